//! What lies on disk: data folder, keys, mesh folder, model, audit trail.

use std::path::{Path, PathBuf};

use super::Finding;
use crate::commands::{Context, audit, model};
use crate::config::{Config, Problems, Start};

/// Folders of the data dir that hold keys.
const KEY_DIRS: [&str; 2] = ["identity", "audit"];

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
        Ok(()) => findings.push(Finding::ok(subject, shown.to_string())),
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
    findings
}

/// Private keys: readable by their owner alone.
pub fn keys(data_dir: &Path) -> Vec<Finding> {
    let subject = "keys";
    let mut findings = Vec::new();
    let mut count = 0;
    for path in KEY_DIRS.iter().flat_map(|dir| keys_in(&data_dir.join(dir))) {
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
pub fn mesh_folder(context: &Context, mesh_dir: Option<PathBuf>) -> (Vec<Finding>, Option<Config>) {
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
    let findings = vec![Finding::ok("mesh folder", read), policies(&config)];
    (findings, Some(config))
}

/// `1 card`, `2 cards`.
fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

fn policies(config: &Config) -> Finding {
    if config.policies.is_empty() {
        return Finding::warn(
            "policies",
            "there are none, so nobody may do anything",
            "write policies/operator.cedar (kgents init shows one)",
        );
    }
    match crate::up::validate_policies(&config.policies) {
        Ok(ids) => Finding::ok(
            "policies",
            format!("{} load: {}", ids.len(), ids.join(", ")),
        ),
        Err(problems) => Finding::fail(
            "policies",
            problems.join("\n"),
            "correct the policy; the last good ones stay in force until then",
        ),
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
            (0o755, vec![Level::Ok, Level::Warn]),
            (0o777, vec![Level::Ok, Level::Fail]),
        ] {
            set(dir.path(), mode);
            assert_eq!(levels(&data_dir(dir.path())), expected, "{mode:o}");
        }
        assert_eq!(levels(&data_dir(&dir.path().join("none"))), [Level::Ok]);
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
