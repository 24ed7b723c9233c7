//! `run.json`: what a running mesh tells the other commands about itself, and
//! the lock that only one mesh can hold on a data folder.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Its name in the data folder.
pub const RUN_FILE: &str = "run.json";
/// Name of the lock in the data folder.
pub const LOCK_FILE: &str = "lock";

/// A running mesh. Fields may be added, none changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Where callers connect, for example `http://127.0.0.1:8420`.
    pub listen: String,
    /// Where `/metrics` is.
    pub admin: String,
    /// The process.
    pub pid: u32,
    /// The mesh folder, absolute; none when it runs on the built-in defaults.
    #[serde(default)]
    pub mesh_dir: Option<PathBuf>,
    /// The trust domain its tokens are for.
    pub trust_domain: String,
    /// The cluster's name.
    pub cluster: String,
    /// The version of kgents that runs.
    pub version: String,
    /// Whether only gateways are served there: no command can speak with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gateway_only: bool,
}

/// What is known about the mesh of a data folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// One runs.
    Running(Run),
    /// None runs.
    Stopped,
    /// None runs, but the last one left its `run.json`: it was killed.
    Stale(Run),
    /// `run.json` cannot be read as one; the text says why.
    Unreadable(String),
}

impl Run {
    /// Writes it into the data folder, whole or not at all.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn write(&self, data_dir: &Path) -> std::io::Result<()> {
        let fresh = data_dir.join(format!("{RUN_FILE}.{}", self.pid));
        let mut file = File::create(&fresh)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.sync_all()?;
        std::fs::rename(&fresh, data_dir.join(RUN_FILE))
    }
}

/// Looks whether a mesh runs on a data folder. The lock decides, so a recycled
/// process id cannot deceive.
pub fn find(data_dir: &Path) -> Found {
    let text = match std::fs::read_to_string(data_dir.join(RUN_FILE)) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Found::Stopped,
        Err(error) => return Found::Unreadable(error.to_string()),
    };
    match serde_json::from_str::<Run>(&text) {
        Ok(run) if is_locked(data_dir) => Found::Running(run),
        Ok(run) => Found::Stale(run),
        Err(error) => Found::Unreadable(error.to_string()),
    }
}

/// Whether a mesh holds the lock of a data folder.
pub fn is_locked(data_dir: &Path) -> bool {
    let Ok(file) = File::open(data_dir.join(LOCK_FILE)) else {
        return false;
    };
    // Taken only to see whether it can be, and let go as the file closes. Shared,
    // so that two commands that look at once do not take each other for a mesh.
    matches!(
        file.try_lock_shared(),
        Err(std::fs::TryLockError::WouldBlock)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run() -> Run {
        Run {
            listen: "http://127.0.0.1:1".into(),
            admin: "http://127.0.0.1:2".into(),
            pid: 3,
            mesh_dir: None,
            trust_domain: "mesh.local".into(),
            cluster: "local".into(),
            version: "0.1.0".into(),
            gateway_only: false,
        }
    }

    #[test]
    fn only_a_held_lock_makes_a_run_file_a_running_mesh() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(find(dir.path()), Found::Stopped);
        run().write(dir.path()).unwrap();
        assert_eq!(find(dir.path()), Found::Stale(run()));
        let lock = File::create(dir.path().join(LOCK_FILE)).unwrap();
        lock.try_lock().unwrap();
        assert_eq!(find(dir.path()), Found::Running(run()));
        drop(lock);
        assert_eq!(find(dir.path()), Found::Stale(run()));
    }

    #[test]
    fn a_broken_run_file_says_so() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(RUN_FILE), "{").unwrap();
        assert!(matches!(find(dir.path()), Found::Unreadable(_)));
    }

    #[test]
    fn fields_of_a_later_version_do_no_harm() {
        let text = r#"{"listen":"a","admin":"b","pid":1,"mesh_dir":null,"trust_domain":"t","cluster":"c","version":"9","new":1}"#;
        assert_eq!(serde_json::from_str::<Run>(text).unwrap().version, "9");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 4))]

        #[test]
        fn no_content_of_the_run_file_is_taken_for_a_running_mesh(
            bytes in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..200),
                "(\\{|\\}|\"listen\":|\"pid\":|\"a\"|-?[0-9]{1,12}|,|null|\\[|\\]){0,24}".prop_map(String::into_bytes),
            ],
            cut in any::<prop::sample::Index>(),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let whole = serde_json::to_vec(&run()).unwrap();
            for content in [bytes.as_slice(), &whole[..cut.index(whole.len())]] {
                std::fs::write(dir.path().join(RUN_FILE), content).unwrap();
                prop_assert!(!matches!(find(dir.path()), Found::Running(_)));
            }
        }
    }
}
