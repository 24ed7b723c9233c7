//! What the command line learns from its environment, read once: where the
//! data lies, who is logged in, whether colours are wanted.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Name of the data folder where nobody chose one.
const DATA_NAME: &str = "default";
/// Name of an operator whose login cannot be found out or written in SPIFFE.
const LOGIN_UNKNOWN: &str = "operator";
/// Longest login that is kept: what a SPIFFE path segment may have here.
const LOGIN_CHARS: usize = 128;

/// What the environment says.
#[derive(Clone, Debug, Default)]
pub struct Environment {
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
            data_home: directories::BaseDirs::new().map(|dirs| dirs.data_dir().to_owned()),
            cache_home: std::env::var_os("XDG_CACHE_HOME"),
            home: std::env::var_os("HOME"),
            login: text("USER").or_else(|| text("LOGNAME")).or_else(ask_id),
            no_color: text("NO_COLOR").is_some(),
            current_dir: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
        }
    }

    /// The data folder: as given, else the user's own. Always absolute.
    ///
    /// # Errors
    /// A sentence, when none is given and there is no home folder.
    pub fn data_dir(&self, given: Option<&Path>) -> Result<PathBuf, String> {
        match (given, &self.data_home) {
            (Some(dir), _) => Ok(self.current_dir.join(dir)),
            (None, Some(home)) => Ok(home.join("kgents").join(DATA_NAME)),
            (None, None) => Err("there is no home folder to keep data in".to_owned()),
        }
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
