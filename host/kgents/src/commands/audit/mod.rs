//! `kgents audit`: reads and verifies the trail in the data folder, whether a
//! mesh runs or not.

mod trail;

use std::path::{Path, PathBuf};
use std::time::Duration;

use kgents_audit::{FsDisk, Report, VerifierKey, verify_disk};
use serde::Serialize;

use super::Context;
use crate::cli::{AuditCommand, TailArgs, VerifyArgs};
use crate::client::chain;
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::output::{Style, safe};

pub use trail::{Entry, Latest, line};

/// Name of the trail's folder in the data folder.
const AUDIT_DIR: &str = "audit";
/// Between two looks for new events; a person does not notice less.
const FOLLOW_EVERY: Duration = Duration::from_millis(300);

/// Where the trail lies.
pub fn dir(data_dir: &Path) -> PathBuf {
    data_dir.join(AUDIT_DIR)
}

/// Verifies the trail, with the key in `key_file` as the only one that counts
/// if it is given.
///
/// # Errors
/// When there is no trail, it cannot be read, or the key is none. Damage is no
/// error but the report.
pub fn report(dir: &Path, key_file: Option<&Path>) -> Result<Report, Failure> {
    let key = key_file.map(key).transpose()?;
    verify_disk(&FsDisk::read_only(dir), key.as_ref()).map_err(failure)
}

pub async fn run(command: AuditCommand, context: &Context) -> Result<Exit, Failure> {
    match command {
        AuditCommand::Tail(args) => tail(&args, context).await,
        AuditCommand::Verify(args) => verify(&args, context),
    }
}

fn verify(args: &VerifyArgs, context: &Context) -> Result<Exit, Failure> {
    let key_file = args
        .key
        .as_ref()
        .map(|file| context.environment.current_dir.join(file));
    let report = report(&dir(&context.data_dir), key_file.as_deref())?;
    context
        .output
        .show(&report, |style| verdict(&report, style));
    Ok(if report.ok { Exit::Done } else { Exit::Failed })
}

/// A report for a person.
pub fn verdict(report: &Report, style: &Style) -> String {
    let mut lines = Vec::new();
    match &report.first_bad {
        None => lines.push(format!(
            "{} {} events, none changed",
            style.green("ok"),
            report.events
        )),
        Some(bad) => {
            let event = bad
                .event
                .as_deref()
                .unwrap_or("an event whose name cannot be read");
            lines.push(format!(
                "{} at {}",
                style.red("changed or damaged"),
                style.bold(&safe(event))
            ));
            lines.push(format!("  {}", safe(&bad.why)));
            lines.push(format!(
                "  record {}, {} at byte {}",
                bad.index, bad.file, bad.offset
            ));
            lines.push(format!("  {} events before it hold", report.events));
        }
    }
    if report.unknown > 0 {
        lines.push(format!(
            "{} {} began and have no outcome: cut off by a crash, or under way",
            style.yellow("unknown"),
            report.unknown
        ));
    }
    if let Some(head) = &report.head {
        let beyond = match report.unsigned {
            0 => String::new(),
            records => format!(", {records} more not signed yet"),
        };
        lines.push(style.dim(&format!("signed up to record {}{beyond}", head.size)));
    }
    if report.torn_bytes > 0 {
        lines.push(style.dim(&format!(
            "a crash cut off {} bytes of a record nobody was told of",
            report.torn_bytes
        )));
    }
    lines.join("\n")
}

/// The folder of a trail that exists.
fn there(dir: PathBuf) -> Result<PathBuf, Failure> {
    if dir.is_dir() {
        return Ok(dir);
    }
    Err(failure(kgents_audit::Error::Absent {
        dir: dir.display().to_string(),
        file: "vkey",
    }))
}

/// What `tail` tells a program.
#[derive(Serialize)]
struct Tail<'a> {
    events: Vec<&'a Entry>,
}

async fn tail(args: &TailArgs, context: &Context) -> Result<Exit, Failure> {
    let dir = there(dir(&context.data_dir))?;
    let mut latest = Latest::new(args.count);
    latest.read(&dir).map_err(failure)?;
    let now_ms = clock::now_ms();
    let entries = latest.take();
    if !args.follow {
        let tail = Tail {
            events: entries.iter().collect(),
        };
        context
            .output
            .show(&tail, |style| match entries.as_slice() {
                [] => "nothing has happened yet".to_owned(),
                some => {
                    let lines: Vec<String> = some
                        .iter()
                        .map(|entry| line(entry, Some(now_ms), style))
                        .collect();
                    lines.join("\n")
                }
            });
        return Ok(Exit::Done);
    }
    let show = |entries: &[Entry]| {
        for entry in entries {
            context
                .output
                .show_next(entry, |style| line(entry, None, style));
        }
    };
    show(&entries);
    latest.follow();
    loop {
        tokio::time::sleep(FOLLOW_EVERY).await;
        latest.read(&dir).map_err(failure)?;
        show(&latest.take());
    }
}

fn key(file: &Path) -> Result<VerifierKey, Failure> {
    let bad = |why: String| {
        Failure::new(
            Exit::Usage,
            "AUDIT_KEY",
            format!("`{}` {why}", file.display()),
        )
        .hint("it has to hold a verifier key as C2SP writes it: <name>+<id>+<key>")
    };
    let text =
        std::fs::read_to_string(file).map_err(|error| bad(format!("cannot be read: {error}")))?;
    VerifierKey::parse(text.trim()).map_err(|why| bad(format!("is no key: {why}")))
}

fn failure(error: kgents_audit::Error) -> Failure {
    let code = error.code().to_uppercase().replace('-', "_");
    let failure = Failure::new(Exit::Failed, &code, chain(&error));
    match error {
        kgents_audit::Error::Absent { .. } => {
            failure.hint("it begins with the first `kgents up`; is --data the right folder?")
        }
        kgents_audit::Error::Corrupt(_) => failure.hint("run `kgents audit verify`"),
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kgents_audit::FirstBad;

    fn report() -> Report {
        Report {
            ok: true,
            events: 7,
            unknown: 0,
            head: None,
            first_bad: None,
            unsigned: 0,
            torn_bytes: 0,
        }
    }

    #[test]
    fn a_trail_that_never_began_is_told_alike_by_tail_and_verify() {
        let data = tempfile::tempdir().unwrap();
        let dir = dir(data.path());
        let tailed = there(dir.clone()).unwrap_err();
        let verified = super::report(&dir, None).unwrap_err();
        assert_eq!(tailed.code, "AUDIT_ABSENT");
        assert_eq!(tailed.message, verified.message);
        assert_eq!(tailed.hint, verified.hint);
        assert!(tailed.hint.is_some());
    }

    #[test]
    fn a_good_trail_is_one_line_and_a_bad_one_names_the_event() {
        assert_eq!(
            verdict(&report(), &Style::plain()),
            "ok 7 events, none changed"
        );
        let bad = FirstBad {
            index: 14,
            event: Some("evt-9".into()),
            file: "0.log".into(),
            offset: 99,
            why: "its leaf hash differs".into(),
        };
        let report = Report {
            ok: false,
            unknown: 2,
            first_bad: Some(bad),
            ..report()
        };
        assert_eq!(
            verdict(&report, &Style::plain()),
            "changed or damaged at evt-9\n  its leaf hash differs\n  record 14, 0.log at byte 99\n  \
             7 events before it hold\n\
             unknown 2 began and have no outcome: cut off by a crash, or under way"
        );
    }
}
