//! What lies on disk: data folder, keys, mesh folder, model, audit trail.

use std::path::{Path, PathBuf};

use kgents_mesh::store::Store;

use super::Finding;
use crate::client::chain;
use crate::commands::{Context, audit, model};
use crate::config::place::{PRIVATE_DIRS, STATE_FILE};
use crate::config::{Config, Problems, Start, run};

/// A mesh folder that was read.
pub struct Folder {
    /// What it says.
    pub config: Config,
    /// Ids of its policies, when they load.
    pub policies: Option<Vec<String>>,
}

/// The data folder: there, ours alone, writable.
pub fn data_dir(dir: &Path) -> Vec<Finding> {
    let subject = "data folder";
    let shown = dir.display();
    let facts = match dir.metadata() {
        Ok(facts) => facts,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return vec![Finding::ok(
                subject,
                format!("{shown} is made at the first `kgents up`"),
            )];
        }
        Err(error) => {
            let mend = "name another folder with --data or KGENTS_DATA";
            return vec![Finding::fail(
                subject,
                format!("{shown} cannot be read: {error}"),
                mend,
            )];
        }
    };
    if !facts.is_dir() {
        let mend = "name another folder with --data or KGENTS_DATA";
        return vec![Finding::fail(
            subject,
            format!("{shown} is not a folder"),
            mend,
        )];
    }
    let mut findings = Vec::new();
    let probe = dir.join(format!(".check-{}", std::process::id()));
    match std::fs::write(&probe, b"").and_then(|()| std::fs::remove_file(&probe)) {
        Ok(()) => {}
        Err(error) => findings.push(Finding::fail(
            subject,
            format!("{shown} cannot be written: {error}"),
            format!("chown -R \"$(id -un)\" {shown}"),
        )),
    }
    let mode = mode(&facts);
    if mode & 0o022 != 0 {
        let message = format!("others may write {shown} (mode {mode:03o})");
        findings.push(Finding::fail(
            subject,
            message,
            format!("chmod 700 {shown}"),
        ));
    } else if mode & 0o055 != 0 {
        let message = format!("others may look into {shown} (mode {mode:03o})");
        findings.push(Finding::warn(
            subject,
            message,
            format!("chmod 700 {shown}"),
        ));
    }
    if mode & 0o077 != 0 {
        findings.extend(open_parts(dir));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(subject, shown.to_string()));
    }
    findings
}

/// What others who may enter the data folder may look into.
fn open_parts(dir: &Path) -> Vec<Finding> {
    let names = PRIVATE_DIRS.into_iter().chain([STATE_FILE]);
    let open = names.filter_map(|name| {
        let path = dir.join(name);
        let facts = path.metadata().ok()?;
        let mode = mode(&facts);
        (mode & 0o077 != 0).then(|| {
            let right = if facts.is_dir() { "700" } else { "600" };
            let shown = path.display();
            Finding::warn(
                "data folder",
                format!("others may look into {shown} (mode {mode:03o})"),
                format!("chmod {right} {shown}"),
            )
        })
    });
    open.collect()
}

/// The state, which only a mesh that does not run leaves free to be looked at.
/// Opening it repairs what a killed process left, as starting does.
pub fn state(data_dir: &Path) -> Option<Finding> {
    let subject = "state";
    let path = data_dir.join(STATE_FILE);
    if !path.exists() {
        // Opening would make it.
        return None;
    }
    // Held meanwhile, so that a mesh that starts just now waits for us.
    let lock = std::fs::File::open(data_dir.join(run::LOCK_FILE)).ok();
    if lock
        .as_ref()
        .is_some_and(|lock| lock.try_lock_shared().is_err())
    {
        return None;
    }
    match Store::open(&path) {
        Ok(_) => Some(Finding::ok(subject, "can be opened")),
        Err(error) if error.is_in_use() => None,
        Err(error) => {
            let shown = path.display();
            Some(Finding::fail(
                subject,
                format!("{shown}: {}", chain(&error)),
                format!(
                    "if it is damaged: mv {shown} {shown}.damaged (ledger and task owners are \
                     rebuilt from the audit trail; agents added at run time have to be added again)"
                ),
            ))
        }
    }
}

/// Private keys: readable by their owner alone.
pub fn keys(data_dir: &Path) -> Vec<Finding> {
    let subject = "keys";
    let mut findings = Vec::new();
    let mut count = 0;
    for path in PRIVATE_DIRS
        .iter()
        .flat_map(|dir| keys_in(&data_dir.join(dir)))
    {
        count += 1;
        let Ok(facts) = path.metadata() else { continue };
        let mode = mode(&facts);
        if mode & 0o077 != 0 {
            let message = format!("others may use {} (mode {mode:03o})", path.display());
            findings.push(Finding::fail(
                subject,
                message,
                format!("chmod 600 {}", path.display()),
            ));
        }
    }
    if findings.is_empty() {
        let message = match count {
            0 => "made at the first `kgents up`".to_owned(),
            _ => format!("{count}, for their owner alone"),
        };
        findings.push(Finding::ok(subject, message));
    }
    findings
}

fn keys_in(dir: &Path) -> Vec<PathBuf> {
    let is_key = |path: &PathBuf| {
        path.extension().is_some_and(|ending| {
            ["p8", "key", "pk8", "secret"]
                .iter()
                .any(|known| ending == *known)
        })
    };
    let entries = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    entries.map(|entry| entry.path()).filter(is_key).collect()
}

/// The mesh folder: mesh.yaml, budgets and cards parse, policies load.
pub fn mesh_folder(context: &Context, mesh_dir: Option<PathBuf>) -> (Vec<Finding>, Option<Folder>) {
    let start = Start {
        data_dir: context.data_dir.clone(),
        mesh_dir,
        verbosity: 0,
    };
    let config = match Config::load(&context.environment, start) {
        Ok(config) => config,
        Err(Problems::Mistakes(mistakes)) => {
            let finding = |mistake: &crate::config::FileMistake| {
                Finding::fail(
                    "mesh folder",
                    mistake.to_string(),
                    "correct that line; `kgents schema` prints what is allowed",
                )
            };
            return (mistakes.iter().map(finding).collect(), None);
        }
        Err(problems) => {
            let finding = Finding::fail("mesh folder", problems.to_string(), problems.hint());
            return (vec![finding], None);
        }
    };
    let read = match &config.mesh_dir {
        Some(dir) => format!(
            "{}: {}, {}, {}",
            dir.display(),
            counted(config.policies.len(), "policy file"),
            counted(config.budgets.len(), "budget file"),
            counted(config.cards.len(), "card"),
        ),
        None => "none here; the built-in defaults count (kgents init DIR writes them)".to_owned(),
    };
    let (finding, policies) = policies(&config);
    let findings = vec![Finding::ok("mesh folder", read), finding];
    (findings, Some(Folder { config, policies }))
}

/// `1 card`, `2 cards`.
fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

fn policies(config: &Config) -> (Finding, Option<Vec<String>>) {
    if config.policies.is_empty() {
        let finding = Finding::warn(
            "policies",
            "there are none, so nobody may do anything",
            "write policies/operator.cedar (kgents init shows one)",
        );
        return (finding, Some(Vec::new()));
    }
    match crate::up::validate_policies(&config.policies) {
        Ok(ids) => {
            let message = format!("{} load: {}", ids.len(), ids.join(", "));
            (Finding::ok("policies", message), Some(ids))
        }
        Err(problems) => {
            let mend = "correct the policy; a mesh that runs takes it as it is saved";
            (Finding::fail("policies", problems.join("\n"), mend), None)
        }
    }
}

/// The model: without it routing goes by words alone.
pub fn model(context: &Context) -> Finding {
    let status = model::status(context.environment.model_path());
    let path = status.path.as_deref().unwrap_or(Path::new("?")).display();
    match status.problem {
        Some(problem) => Finding::fail("model", problem, "kgents model install"),
        None if status.installed => Finding::ok("model", format!("{} at {path}", status.name)),
        None => Finding::warn(
            "model",
            "not installed; agents are found by words, not by meaning",
            "kgents model install",
        ),
    }
}

/// The audit trail: whole and unchanged.
pub fn audit(data_dir: &Path) -> Finding {
    let dir = audit::dir(data_dir);
    if !dir.exists() {
        return Finding::ok("audit trail", "begins at the first `kgents up`");
    }
    match audit::report(&dir, None) {
        Ok(report) if report.ok && report.unknown == 0 => Finding::ok(
            "audit trail",
            format!("{} events, none changed", report.events),
        ),
        Ok(report) if report.ok => Finding::ok(
            "audit trail",
            format!(
                "{} events, none changed; {} began and were cut off by a crash, or are under way",
                report.events, report.unknown
            ),
        ),
        Ok(report) => Finding::fail(
            "audit trail",
            report.first_bad.map_or_else(
                || "it does not verify".to_owned(),
                |bad| {
                    format!(
                        "record {} ({}): {}",
                        bad.index,
                        bad.event.unwrap_or_default(),
                        bad.why
                    )
                },
            ),
            format!(
                "keep a copy of {} for whoever investigates, then see `kgents audit verify`",
                dir.display()
            ),
        ),
        Err(failure) => Finding::fail("audit trail", failure.message, "see `kgents audit verify`"),
    }
}

#[cfg(unix)]
fn mode(facts: &std::fs::Metadata) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&facts.permissions()) & 0o777
}

/// Where modes do not exist, access lists are the administrator's business.
#[cfg(not(unix))]
fn mode(_facts: &std::fs::Metadata) -> u32 {
    0o700
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn levels(findings: &[Finding]) -> Vec<Level> {
        findings.iter().map(|finding| finding.level).collect()
    }

    fn set(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_data_folder_that_others_may_write_fails_and_one_they_may_read_warns() {
        let dir = tempfile::tempdir().unwrap();
        for (mode, expected) in [
            (0o700, vec![Level::Ok]),
            (0o755, vec![Level::Warn]),
            (0o711, vec![Level::Warn]),
            (0o777, vec![Level::Fail]),
        ] {
            set(dir.path(), mode);
            assert_eq!(levels(&data_dir(dir.path())), expected, "{mode:o}");
        }
        assert_eq!(levels(&data_dir(&dir.path().join("none"))), [Level::Ok]);
    }

    #[test]
    fn what_others_may_look_into_in_the_data_folder_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let audit = dir.path().join("audit");
        std::fs::create_dir(&audit).unwrap();
        set(&audit, 0o755);
        set(dir.path(), 0o700);
        assert_eq!(levels(&data_dir(dir.path())), [Level::Ok]);
        set(dir.path(), 0o755);
        let findings = data_dir(dir.path());
        assert_eq!(levels(&findings), [Level::Warn, Level::Warn]);
        assert_eq!(
            findings[1].mend.as_deref(),
            Some(format!("chmod 700 {}", audit.display()).as_str())
        );
    }

    #[test]
    fn a_state_that_cannot_be_opened_fails_and_none_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(STATE_FILE);
        assert_eq!(state(dir.path()), None);
        assert!(!path.exists());
        let store = Store::open(&path).unwrap();
        assert_eq!(state(dir.path()), None, "in use");
        drop(store);
        assert_eq!(state(dir.path()).unwrap().level, Level::Ok);
        std::fs::write(&path, "no database at all").unwrap();
        let finding = state(dir.path()).unwrap();
        assert_eq!(finding.level, Level::Fail);
        assert!(finding.message.contains(STATE_FILE), "{finding:?}");
        assert!(finding.mend.unwrap().contains("audit trail"));
    }

    #[test]
    fn a_key_that_others_may_read_fails_with_the_command_that_mends_it() {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("identity/authority.p8");
        std::fs::create_dir(dir.path().join("identity")).unwrap();
        std::fs::write(&key, "").unwrap();
        set(&key, 0o600);
        assert_eq!(levels(&keys(dir.path())), [Level::Ok]);
        set(&key, 0o640);
        let findings = keys(dir.path());
        assert_eq!(levels(&findings), [Level::Fail]);
        assert_eq!(
            findings[0].mend.as_deref(),
            Some(format!("chmod 600 {}", key.display()).as_str())
        );
    }
}
