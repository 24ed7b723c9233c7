//! What the command line learns from its environment, read once: where the
//! data lies, who is logged in, whether colours are wanted.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Name of the data folder where nobody chose one.
const DATA_NAME: &str = "default";
/// Where state lies in a data folder.
pub const STATE_FILE: &str = "state.redb";
/// Folders of a data folder that nobody else may look into: keys, and the trail.
pub const PRIVATE_DIRS: [&str; 2] = ["identity", "audit"];
/// Name of an operator whose login cannot be found out or written in SPIFFE.
const LOGIN_UNKNOWN: &str = "operator";
/// Longest login that is kept: what a SPIFFE path segment may have here.
const LOGIN_CHARS: usize = 128;

/// What the environment says.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `KGENTS_DATA`: the data folder, where the command line names none.
    pub chosen_data: Option<PathBuf>,
    /// `XDG_DATA_HOME` or what the platform has in its place.
    pub data_home: Option<PathBuf>,
    /// `XDG_CACHE_HOME`.
    pub cache_home: Option<OsString>,
    /// `HOME`.
    pub home: Option<OsString>,
    /// `USER`, else `LOGNAME`, else what `id -un` says.
    pub login: Option<String>,
    /// Whether `NO_COLOR` is set to something. Source: no-color.org.
    pub no_color: bool,
    /// Where the command was started.
    pub current_dir: PathBuf,
    /// Folders of `PATH`, in order.
    pub search_path: Vec<PathBuf>,
    /// This program's own file.
    pub program: Option<PathBuf>,
}

impl Environment {
    /// Reads it from the process.
    pub fn read() -> Self {
        let text = |name| {
            std::env::var(name)
                .ok()
                .filter(|value: &String| !value.is_empty())
        };
        Self {
            chosen_data: std::env::var_os("KGENTS_DATA")
                .filter(|dir| !dir.is_empty())
                .map(PathBuf::from),
            data_home: directories::BaseDirs::new().map(|dirs| dirs.data_dir().to_owned()),
            cache_home: std::env::var_os("XDG_CACHE_HOME"),
            home: std::env::var_os("HOME"),
            login: text("USER").or_else(|| text("LOGNAME")).or_else(ask_id),
            no_color: text("NO_COLOR").is_some(),
            current_dir: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
            search_path: std::env::var_os("PATH")
                .map(|path| std::env::split_paths(&path).collect())
                .unwrap_or_default(),
            program: std::env::current_exe().ok(),
        }
    }

    /// The data folder: as given, else as the environment chose, else the user's
    /// own. Always absolute.
    ///
    /// # Errors
    /// A sentence, when none is given and there is no home folder.
    pub fn data_dir(&self, given: Option<&Path>) -> Result<PathBuf, String> {
        match given.or(self.chosen_data.as_deref()) {
            Some(dir) => Ok(self.current_dir.join(dir)),
            None => self
                .own_data_dir()
                .ok_or_else(|| "there is no home folder to keep data in".to_owned()),
        }
    }

    /// The user's own data folder.
    fn own_data_dir(&self) -> Option<PathBuf> {
        let home = self.data_home.as_ref()?;
        Some(home.join("kgents").join(DATA_NAME))
    }

    /// The beginning of a command line that reaches the mesh of this data
    /// folder from any shell: what is printed can be pasted as it stands.
    pub fn invocation(&self, data_dir: &Path) -> String {
        let name = format!("kgents{}", std::env::consts::EXE_SUFFIX);
        let found = self.search_path.iter().map(|dir| dir.join(&name));
        let first = found.into_iter().find(|path| path.is_file());
        let same = |path: &Path| path.canonicalize().ok() == self.program_file();
        let mut words = match (&first, &self.program) {
            (Some(path), _) if same(path) => "kgents".to_owned(),
            (_, Some(program)) => quoted(program),
            (_, None) => "kgents".to_owned(),
        };
        // Another shell does not have to know what the environment chose here.
        if self.own_data_dir().as_deref() != Some(data_dir) {
            words.push_str(" --data ");
            words.push_str(&quoted(data_dir));
        }
        words
    }

    fn program_file(&self) -> Option<PathBuf> {
        self.program.as_deref()?.canonicalize().ok()
    }

    /// The local operator's name, fit for a SPIFFE path: 1 to 128 of letters,
    /// digits, `.`, `_` and `-`.
    pub fn operator(&self) -> String {
        self.login
            .as_deref()
            .map_or_else(|| LOGIN_UNKNOWN.to_owned(), sanitised)
    }

    /// Where the packed model lies, whatever the data folder.
    pub fn model_path(&self) -> Option<PathBuf> {
        kgents_encoder::default_path(self.cache_home.as_deref(), self.home.as_deref())
    }
}

/// Makes the data folder, for its owner alone, where it is not there yet.
///
/// # Errors
/// What the operating system says.
pub fn make_data_dir(dir: &Path) -> std::io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let mut builder = std::fs::DirBuilder::new();
    // Another command may make it at the same moment; both are then content.
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Makes what a mesh keeps in its data folder its owner's alone, new or old,
/// whoever may look into the folder itself.
///
/// # Errors
/// What the operating system says; the rest is then as it was.
#[cfg(unix)]
pub fn close_to_others(data_dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    for name in PRIVATE_DIRS {
        let dir = data_dir.join(name);
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&dir)?;
        close(&dir, 0o700)?;
    }
    let state = data_dir.join(STATE_FILE);
    // An empty one is a new one to who opens it.
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true).mode(0o600).open(&state)?;
    close(&state, 0o600)
}

#[cfg(unix)]
fn close(path: &Path, mode: u32) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut permissions = path.metadata()?.permissions();
    if permissions.mode() & 0o077 == 0 {
        return Ok(());
    }
    permissions.set_mode(mode);
    std::fs::set_permissions(path, permissions)
}

/// Where modes do not exist, access lists are the administrator's business.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn close_to_others(_data_dir: &Path) -> std::io::Result<()> {
    Ok(())
}

/// A path as one word of a POSIX shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

fn ask_id() -> Option<String> {
    let output = std::process::Command::new("id").arg("-un").output().ok()?;
    let name = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !name.is_empty()).then_some(name)
}

/// A login with everything that SPIFFE does not take replaced by `-`. Source:
/// SPIFFE ID specification, section 2.2.
fn sanitised(login: &str) -> String {
    // `DOMAIN\ada` is ada.
    let name = login.rsplit('\\').next().unwrap_or(login);
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let clean: String = name
        .chars()
        .take(LOGIN_CHARS)
        .map(|c| if fits(c) { c } else { '-' })
        .collect();
    if clean.chars().all(|c| matches!(c, '.' | '-')) {
        LOGIN_UNKNOWN.to_owned()
    } else {
        clean
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_login_becomes_a_spiffe_path_segment() {
        for (login, expected) in [
            ("ada", "ada"),
            ("ACME\\ada", "ada"),
            ("ada lovelace", "ada-lovelace"),
            ("..", "operator"),
            ("é", "operator"),
            ("", "operator"),
        ] {
            assert_eq!(sanitised(login), expected);
        }
    }

    #[test]
    fn data_lies_where_it_was_said_or_at_home() {
        let environment = Environment {
            data_home: Some("/home/ada/.local/share".into()),
            current_dir: "/here".into(),
            ..Environment::default()
        };
        let check = |given: Option<&str>, expected: &str| {
            assert_eq!(
                environment.data_dir(given.map(Path::new)),
                Ok(PathBuf::from(expected))
            );
        };
        check(None, "/home/ada/.local/share/kgents/default");
        check(Some("/d"), "/d");
        check(Some("d"), "/here/d");
        assert!(Environment::default().data_dir(None).is_err());
    }

    #[test]
    fn the_data_folder_is_the_given_one_before_the_chosen_one_before_the_users_own() {
        let own = Environment {
            data_home: Some("/home/ada/share".into()),
            current_dir: "/here".into(),
            ..Environment::default()
        };
        let chosen = Environment {
            chosen_data: Some("chosen".into()),
            ..own.clone()
        };
        let check = |environment: &Environment, given: Option<&str>, expected: &str| {
            let found = environment.data_dir(given.map(Path::new)).unwrap();
            assert_eq!(found, Path::new(expected));
        };
        check(&own, None, "/home/ada/share/kgents/default");
        check(&chosen, None, "/here/chosen");
        check(&chosen, Some("/given"), "/given");
        let printed = chosen.invocation(Path::new("/here/chosen"));
        assert!(printed.ends_with(" --data /here/chosen"), "{printed}");
        assert!(Environment::default().data_dir(None).is_err());
    }

    #[test]
    fn a_printed_command_reaches_the_same_mesh_from_another_shell() {
        let bin = tempfile::tempdir().unwrap();
        let program = bin
            .path()
            .join(format!("kgents{}", std::env::consts::EXE_SUFFIX));
        std::fs::write(&program, "").unwrap();
        let installed = Environment {
            data_home: Some("/home/ada/share".into()),
            search_path: vec!["/nowhere".into(), bin.path().to_owned()],
            program: Some(program.clone()),
            ..Environment::default()
        };
        let default = Path::new("/home/ada/share/kgents/default");
        assert_eq!(installed.invocation(default), "kgents");
        assert_eq!(
            installed.invocation(Path::new("/tmp/it's")),
            r"kgents --data '/tmp/it'\''s'"
        );
        let elsewhere = Environment {
            search_path: Vec::new(),
            ..installed
        };
        assert_eq!(elsewhere.invocation(default), program.display().to_string());
    }

    #[cfg(unix)]
    #[test]
    fn what_lies_in_an_open_data_folder_is_closed_to_others() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let mode = |name: &str| {
            let facts = dir.path().join(name).metadata().unwrap();
            facts.permissions().mode() & 0o777
        };
        let set = |name: &str, mode| {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(dir.path().join(name), permissions).unwrap();
        };
        set("", 0o755);
        for _new_then_old in 0..2 {
            close_to_others(dir.path()).unwrap();
            for (name, expected) in [("identity", 0o700), ("audit", 0o700), (STATE_FILE, 0o600)] {
                assert_eq!(mode(name), expected, "{name}");
                set(name, 0o755);
            }
        }
        std::fs::write(dir.path().join(STATE_FILE), "kept").unwrap();
        close_to_others(dir.path()).unwrap();
        let kept = std::fs::read_to_string(dir.path().join(STATE_FILE));
        assert_eq!(kept.unwrap(), "kept");
    }

    proptest! {
        #[test]
        fn every_login_becomes_one_that_spiffe_takes(login in "\\PC{0,300}") {
            let name = sanitised(&login);
            prop_assert!((1..=LOGIN_CHARS).contains(&name.len()));
            prop_assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)));
            prop_assert!(name != "." && name != "..");
        }
    }
}
