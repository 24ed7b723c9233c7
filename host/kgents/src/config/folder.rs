//! A mesh folder: mesh.yaml, policies/, budgets/, agents/, routing/. Each part can be read
//! on its own, for the watcher of a running mesh.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::document::Mistake;
use super::examples::taught;
use super::mesh_file::MeshFile;
use super::read::parse;
use super::resources::{Budget, card_json};
use super::values::CardSource;
use crate::templates;
use kgents_mesh::learning::Taught;

/// The file that makes a folder a mesh folder.
pub const MESH_FILE: &str = "mesh.yaml";
/// Where policies lie.
pub const POLICIES: &str = "policies";
/// Where budgets lie.
pub const BUDGETS: &str = "budgets";
/// Where cards lie.
pub const AGENTS: &str = "agents";
/// Where examples lie that operators teach.
pub const ROUTING: &str = "routing";

/// Largest file that is read, in bytes: more than the policy decider takes, or
/// than a card may have where it is fetched.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// One policy file; its text is judged by the policy decider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFile {
    /// File name, for example `operator.cedar`.
    pub name: String,
    /// Cedar text.
    pub text: String,
}

/// A card to register at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Card {
    /// To be fetched.
    Url(String),
    /// Read from a file of the mesh folder.
    File {
        /// Relative to the mesh folder.
        path: PathBuf,
        /// An A2A card or an AgentCard resource, as JSON text.
        json: String,
    },
}

/// What a mesh folder holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Content {
    /// mesh.yaml
    pub mesh: MeshFile,
    /// By file name.
    pub policies: Vec<PolicyFile>,
    /// By file name.
    pub budgets: Vec<Budget>,
    /// Files by name, then what mesh.yaml lists.
    pub cards: Vec<Card>,
    /// By file name.
    pub taught: Vec<Taught>,
}

/// A mistake and the file it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileMistake {
    /// Relative to the mesh folder.
    pub file: PathBuf,
    /// What is wrong where.
    pub mistake: Mistake,
}

/// Why a mesh folder cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problems {
    /// The folder has no mesh.yaml.
    #[error("`{}` is not a mesh folder: it has no mesh.yaml", .0.display())]
    NotAMeshFolder(PathBuf),
    /// Files that cannot be read, or say what they must not; at least one.
    #[error("{}", listed(.0))]
    Mistakes(Vec<FileMistake>),
}

impl Problems {
    /// Stable name of the failure.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotAMeshFolder(_) => "NOT_A_MESH_FOLDER",
            Self::Mistakes(_) => "CONFIG_INVALID",
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::NotAMeshFolder(dir) => format!("make one with `kgents init {}`", dir.display()),
            Self::Mistakes(_) => {
                "correct the lines named; `kgents schema mesh` prints what is allowed".to_owned()
            }
        }
    }
}

impl std::fmt::Display for FileMistake {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}", self.file.display(), self.mistake)
    }
}

fn listed(mistakes: &[FileMistake]) -> String {
    let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    match lines.as_slice() {
        [one] => one.clone(),
        many => format!(
            "{} mistakes in the mesh folder\n  {}",
            many.len(),
            many.join("\n  ")
        ),
    }
}

/// Reads a whole folder.
///
/// # Errors
/// Every mistake in every file.
pub fn read(dir: &Path) -> Result<Content, Problems> {
    let mut mistakes = Vec::new();
    let mesh = keep(read_mesh(dir), &mut mistakes);
    let policies = keep(read_policies(dir), &mut mistakes);
    let budgets = keep(read_budgets(dir), &mut mistakes);
    let cards = keep(read_cards(dir, &mesh.agents), &mut mistakes);
    let taught = keep(read_taught(dir), &mut mistakes);
    if mistakes.is_empty() {
        return Ok(Content {
            mesh,
            policies,
            budgets,
            cards,
            taught,
        });
    }
    Err(Problems::Mistakes(mistakes))
}

/// What `kgents init` would write for `operator`, without a folder.
///
/// # Errors
/// None in a released build: a test reads the templates with this parser.
pub fn built_in(operator: &str) -> Result<Content, Problems> {
    let file = |name: &str| PathBuf::from(name);
    let in_file = |name: &str, found: Vec<Mistake>| Problems::Mistakes(placed(&file(name), found));
    let (policy, text) = templates::operator_policy(operator);
    let (budget, budget_text) = templates::mesh_budget();
    Ok(Content {
        mesh: parse(templates::MESH_YAML).map_err(|found| in_file(MESH_FILE, found))?,
        policies: vec![PolicyFile {
            name: policy.to_owned(),
            text,
        }],
        budgets: vec![parse(budget_text).map_err(|found| in_file(budget, found))?],
        cards: Vec::new(),
        taught: Vec::new(),
    })
}

/// Reads mesh.yaml.
///
/// # Errors
/// Every mistake in it.
pub fn read_mesh(dir: &Path) -> Result<MeshFile, Vec<FileMistake>> {
    let text = text_of(dir, Path::new(MESH_FILE))?;
    parse(&text).map_err(|found| placed(Path::new(MESH_FILE), found))
}

/// Reads policies/*.cedar; none is no mistake, and denies everything.
///
/// # Errors
/// Every file that cannot be read.
pub fn read_policies(dir: &Path) -> Result<Vec<PolicyFile>, Vec<FileMistake>> {
    each(dir, POLICIES, &["cedar"], |file, text| {
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        Ok(PolicyFile { name, text })
    })
}

/// Reads budgets/*.yaml.
///
/// # Errors
/// Every mistake in every file; two budgets for one account are one.
pub fn read_budgets(dir: &Path) -> Result<Vec<Budget>, Vec<FileMistake>> {
    let mut accounts: BTreeMap<String, PathBuf> = BTreeMap::new();
    each(dir, BUDGETS, &["yaml", "yml"], |file, text| {
        let budget = parse::<Budget>(&text)?;
        let account = budget.spec.account.get().to_owned();
        match accounts.insert(account.clone(), file.to_owned()) {
            Some(first) => Err(vec![Mistake {
                line: 0,
                path: "spec.account".to_owned(),
                message: format!("`{account}` has a budget already, in {}", first.display()),
            }]),
            None => Ok(budget),
        }
    })
}

/// Reads routing/*.yaml.
///
/// # Errors
/// Every mistake in every file.
pub fn read_taught(dir: &Path) -> Result<Vec<Taught>, Vec<FileMistake>> {
    each(dir, ROUTING, &["yaml", "yml"], |file, text| {
        taught(&file.display().to_string(), &text)
    })
}

/// Reads agents/* and the files that mesh.yaml lists.
///
/// # Errors
/// Every mistake in every file.
pub fn read_cards(dir: &Path, listed: &[CardSource]) -> Result<Vec<Card>, Vec<FileMistake>> {
    let card = |path: &Path, text: String| {
        let json = card_json(&text)?;
        Ok(Card::File {
            path: path.to_owned(),
            json,
        })
    };
    let mut mistakes = Vec::new();
    let mut cards = keep(
        each(dir, AGENTS, &["yaml", "yml", "json"], card),
        &mut mistakes,
    );
    for source in listed {
        match source {
            CardSource::Url(url) => {
                cards.push(Card::Url(url.get().to_owned()));
            }
            CardSource::File(file) => {
                let file = Path::new(file);
                let read = text_of(dir, file)
                    .and_then(|text| card(file, text).map_err(|found| placed(file, found)));
                match read {
                    Ok(card) => cards.push(card),
                    Err(found) => mistakes.extend(found),
                }
            }
        }
    }
    if mistakes.is_empty() {
        Ok(cards)
    } else {
        Err(mistakes)
    }
}

/// Reads each file of a subfolder with one of these endings, by name. Hidden
/// files are an editor's business.
fn each<T>(
    dir: &Path,
    subfolder: &str,
    endings: &[&str],
    mut read: impl FnMut(&Path, String) -> Result<T, Vec<Mistake>>,
) -> Result<Vec<T>, Vec<FileMistake>> {
    let entries = match std::fs::read_dir(dir.join(subfolder)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(Path::new(subfolder), &error)),
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| Path::new(subfolder).join(entry.file_name()))
        .filter(|file| {
            let ending = file.extension().unwrap_or_default();
            let hidden = file
                .file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            !hidden && endings.iter().any(|known| ending == *known)
        })
        .collect();
    files.sort();
    let (mut values, mut mistakes) = (Vec::new(), Vec::new());
    for file in files {
        let found = text_of(dir, &file)
            .and_then(|text| read(&file, text).map_err(|found| placed(&file, found)));
        match found {
            Ok(value) => values.push(value),
            Err(found) => mistakes.extend(found),
        }
    }
    if mistakes.is_empty() {
        Ok(values)
    } else {
        Err(mistakes)
    }
}

fn text_of(dir: &Path, file: &Path) -> Result<String, Vec<FileMistake>> {
    let path = dir.join(file);
    let unreadable = |error| unreadable(file, &error);
    // A pipe would be waited for, and a device read, without end.
    if !path.metadata().map_err(unreadable)?.is_file() {
        return Err(whole(file, "is not a regular file".to_owned()));
    }
    let mut bytes = Vec::new();
    let opened = File::open(&path).map_err(unreadable)?;
    opened
        .take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let message = format!("is above {FILE_BYTES_MAX} bytes, the most that is read");
        return Err(whole(file, message));
    }
    String::from_utf8(bytes).map_err(|_| whole(file, "cannot be read: it is not UTF-8".to_owned()))
}

fn unreadable(file: &Path, error: &std::io::Error) -> Vec<FileMistake> {
    whole(file, format!("cannot be read: {error}"))
}

/// A mistake that concerns a whole file.
fn whole(file: &Path, message: String) -> Vec<FileMistake> {
    placed(
        file,
        vec![Mistake {
            line: 0,
            path: String::new(),
            message,
        }],
    )
}

fn placed(file: &Path, mistakes: Vec<Mistake>) -> Vec<FileMistake> {
    mistakes
        .into_iter()
        .map(|mistake| FileMistake {
            file: file.to_owned(),
            mistake,
        })
        .collect()
}

fn keep<T: Default>(read: Result<T, Vec<FileMistake>>, mistakes: &mut Vec<FileMistake>) -> T {
    read.unwrap_or_else(|found| {
        mistakes.extend(found);
        T::default()
    })
}

#[cfg(test)]
mod tests {
    use super::super::resources::raw_card;
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        dir
    }

    const BUDGET: &str = "apiVersion: policy.kgents.io/v1\nkind: Budget\nmetadata: {name: a}\n\
                          spec: {account: a, tokens: 5}\n";

    #[test]
    fn mistakes_of_all_files_come_together() {
        let dir = folder(&[
            ("mesh.yaml", "listen: x\n"),
            ("budgets/a.yaml", BUDGET),
            ("budgets/b.yaml", BUDGET),
            ("agents/one.yaml", "kind: AgentCard\n"),
            ("agents/.one.yaml.swp.yaml", "{{{"),
            ("agents/notes.txt", "{{{"),
        ]);
        let problems = read(dir.path()).unwrap_err();
        let Problems::Mistakes(mistakes) = &problems else {
            panic!("{problems}")
        };
        let files: Vec<String> = mistakes
            .iter()
            .map(|found| found.file.display().to_string())
            .collect();
        assert_eq!(files[..2], ["mesh.yaml", "budgets/b.yaml"]);
        assert!(
            files[2..].iter().all(|file| file == "agents/one.yaml"),
            "{files:?}"
        );
        assert!(
            problems.to_string().contains(
                "budgets/b.yaml: spec.account: `a` has a budget already, in budgets/a.yaml"
            )
        );
    }

    #[test]
    fn cards_come_from_the_folder_and_from_what_mesh_yaml_lists() {
        let dir = folder(&[
            (
                "mesh.yaml",
                "agents: [http://a.example/card, more/b.json]\n",
            ),
            ("agents/a.json", &raw_card("a")),
            ("more/b.json", &raw_card("b")),
        ]);
        let cards = read(dir.path()).unwrap().cards;
        let file = |path: &str, json: &str| Card::File {
            path: path.into(),
            json: json.into(),
        };
        assert_eq!(
            cards,
            [
                file("agents/a.json", &raw_card("a")),
                Card::Url("http://a.example/card".into()),
                file("more/b.json", &raw_card("b")),
            ]
        );
    }

    #[test]
    fn a_listed_file_that_is_missing_is_named() {
        let dir = folder(&[("mesh.yaml", "agents: [gone.json]\n")]);
        let problems = read(dir.path()).unwrap_err();
        assert!(
            problems
                .to_string()
                .starts_with("gone.json: cannot be read"),
            "{problems}"
        );
    }

    #[test]
    fn a_file_that_is_too_large_is_named_with_the_limit() {
        let limit = usize::try_from(FILE_BYTES_MAX).unwrap();
        let dir = folder(&[("policies/a.cedar", &"/".repeat(limit))]);
        assert_eq!(read_policies(dir.path()).unwrap()[0].text.len(), limit);
        std::fs::write(dir.path().join("policies/a.cedar"), "é".repeat(limit)).unwrap();
        assert_eq!(
            read_policies(dir.path()).unwrap_err()[0].to_string(),
            "policies/a.cedar: is above 1048576 bytes, the most that is read"
        );
    }

    #[cfg(unix)]
    #[test]
    fn pipes_devices_and_folders_are_named_and_not_read() {
        let dir = folder(&[
            ("mesh.yaml", ""),
            ("policies/folder.cedar/a", ""),
            ("budgets/real", BUDGET),
            ("agents/b.json", &raw_card("b")),
        ]);
        let pipe = dir.path().join("policies/pipe.cedar");
        let made = std::process::Command::new("mkfifo").arg(pipe).status();
        assert!(made.unwrap().success());
        let link = |from: &str, to: &str| {
            std::os::unix::fs::symlink(from, dir.path().join(to)).unwrap();
        };
        link("/dev/zero", "budgets/z.yaml");
        link("real", "budgets/linked.yaml");
        link("/dev/zero", "agents/z.yaml");
        let problems = read(dir.path()).unwrap_err();
        let Problems::Mistakes(mistakes) = &problems else {
            panic!("{problems}")
        };
        let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "policies/folder.cedar: is not a regular file",
                "policies/pipe.cedar: is not a regular file",
                "budgets/z.yaml: is not a regular file",
                "agents/z.yaml: is not a regular file",
            ]
        );
    }

    #[test]
    fn a_folder_with_only_mesh_yaml_has_no_policies() {
        let dir = folder(&[("mesh.yaml", "")]);
        assert_eq!(read(dir.path()).unwrap(), Content::default());
    }
}
