//! Configuration: the only reader of environment and files of a mesh folder.
//!
//! Reading order: `mesh_file`, `resources` and `examples` (what may be written, which is
//! also what the schemas publish) · `values` (durations, addresses, names) ·
//! `document`, `shape`, `read` (text to type, every mistake with its line) ·
//! `folder` (a whole mesh folder) · `place` and `run` (this machine).

pub mod document;
#[cfg(test)]
mod documented;
pub mod examples;
pub mod folder;
pub mod mesh_file;
pub mod place;
pub mod read;
pub mod resources;
pub mod run;
pub mod shape;
pub mod values;

use std::path::{Path, PathBuf};

pub use folder::{Card, FileMistake, MESH_FILE, PolicyFile, Problems};
pub use mesh_file::MeshFile;
pub use place::Environment;
pub use resources::Budget;

/// Everything a mesh starts with. Made by [`Config::load`], which has checked
/// all of it but the policies, which only the policy decider can judge.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where state is kept; absolute; perhaps not there yet.
    pub data_dir: PathBuf,
    /// The mesh folder, absolute; none means the built-in defaults.
    pub mesh_dir: Option<PathBuf>,
    /// Where the packed model would lie; none without a home folder.
    pub model_path: Option<PathBuf>,
    /// How a user calls this program for this mesh, from any shell.
    pub invocation: String,
    /// `-v` given so many times.
    pub verbosity: u8,
    /// `mesh.yaml`, with `--listen` and `--admin` already put in.
    pub mesh: MeshFile,
    /// `policies/*.cedar`, by file name.
    pub policies: Vec<PolicyFile>,
    /// `budgets/*.yaml`, by file name; accounts are unique.
    pub budgets: Vec<Budget>,
    /// `agents/*.yaml` and `*.json`, and what mesh.yaml lists, files read.
    pub cards: Vec<Card>,
    /// `routing/*.yaml`, by file name.
    pub taught: Vec<kgents_mesh::learning::Taught>,
}

/// What the command line says about a mesh that is to start.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// The data folder, absolute.
    pub data_dir: PathBuf,
    /// `MESH_DIR`, if it was given.
    pub mesh_dir: Option<PathBuf>,
    /// `-v` given so many times.
    pub verbosity: u8,
}

impl Config {
    /// Reads the mesh folder: the one given, else the current folder if it has a
    /// mesh.yaml, else the defaults that `kgents init` writes.
    ///
    /// # Errors
    /// Every mistake in every file of the folder.
    pub fn load(environment: &Environment, start: Start) -> Result<Self, Problems> {
        let mesh_dir = mesh_dir(&environment.current_dir, start.mesh_dir)?;
        let content = match &mesh_dir {
            Some(dir) => folder::read(dir)?,
            None => folder::built_in(&environment.operator())?,
        };
        Ok(Self {
            invocation: environment.invocation(&start.data_dir),
            data_dir: start.data_dir,
            mesh_dir,
            model_path: environment.model_path(),
            verbosity: start.verbosity,
            mesh: content.mesh,
            policies: content.policies,
            budgets: content.budgets,
            cards: content.cards,
            taught: content.taught,
        })
    }
}

/// The folder that `up` and `check` mean.
///
/// # Errors
/// When one was given that is not a mesh folder.
pub fn mesh_dir(current: &Path, given: Option<PathBuf>) -> Result<Option<PathBuf>, Problems> {
    let Some(given) = given else {
        return Ok(current
            .join(MESH_FILE)
            .is_file()
            .then(|| current.to_owned()));
    };
    let dir = current.join(&given);
    if dir.join(MESH_FILE).is_file() {
        // `/a/./b` and `/a/b` are one folder; the watcher and run.json see one name.
        return Ok(Some(dir.canonicalize().unwrap_or(dir)));
    }
    Err(Problems::NotAMeshFolder(given))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::templates;

    fn environment(current: &Path) -> Environment {
        Environment {
            login: Some("ada".into()),
            current_dir: current.to_owned(),
            ..Environment::default()
        }
    }

    #[test]
    fn without_a_folder_a_mesh_runs_on_what_init_would_write() {
        let empty = tempfile::tempdir().unwrap();
        let start = || Start {
            data_dir: "/d".into(),
            ..Start::default()
        };
        let built_in = Config::load(&environment(empty.path()), start()).unwrap();
        assert_eq!(built_in.mesh_dir, None);

        let made = tempfile::tempdir().unwrap();
        templates::write(made.path(), "ada", false).unwrap();
        let written = Config::load(&environment(made.path()), start()).unwrap();
        assert_eq!(written.mesh_dir.as_deref(), Some(made.path()));

        assert_eq!(built_in.mesh, written.mesh);
        assert_eq!(built_in.budgets, written.budgets);
        assert_eq!(built_in.policies, written.policies);
    }

    #[test]
    fn a_folder_that_was_named_has_to_be_one() {
        let empty = tempfile::tempdir().unwrap();
        let start = Start {
            mesh_dir: Some(empty.path().to_owned()),
            ..Start::default()
        };
        let problems = Config::load(&environment(empty.path()), start).unwrap_err();
        assert!(matches!(problems, Problems::NotAMeshFolder(_)));
    }
}
