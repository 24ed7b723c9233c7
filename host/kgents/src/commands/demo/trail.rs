//! Steps about the audit trail, and what was counted.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::folder::Folder;
use super::script::Callers;
use super::stage::{Kept, Stage, Step, promised};
use crate::clock;
use crate::commands::Context;
use crate::commands::audit::{self, Latest, line, verdict};
use crate::exit::Failure;
use crate::output::safe;

/// Events that are shown at the end.
const SHOWN: usize = 8;
/// The name that is changed in a copy of the trail.
const VICTIM: &[u8] = b"b-gent";

/// Shows the latest events; every answer's event is among all of them.
pub fn tail(stage: &mut Stage, context: &Context) {
    let mut step = stage.begin("Everything that happened is in the audit trail");
    stage.ask(&mut step, format!("$ kgents audit tail -n {SHOWN}"));
    let mut latest = Latest::new(SHOWN);
    let kept = match latest.read(&audit::dir(&context.data_dir)) {
        Ok(()) => {
            let now_ms = clock::now_ms();
            for entry in latest.take() {
                stage.tell(&line(&entry, Some(now_ms), stage.style()));
            }
            every_answer_is_recorded(stage)
        }
        Err(error) => Err(error.to_string()),
    };
    stage.end(step, kept);
}

fn every_answer_is_recorded(stage: &Stage) -> Kept {
    let recorded = stage.events();
    let mut heads = stage.steps().iter().filter_map(|step| step.head.as_ref());
    let lost = heads.find(|head| {
        let event = head.event.as_deref();
        !event.is_some_and(|event| recorded.contains(&event))
    });
    promised(lost.is_none(), || {
        format!("an answer is not in the trail: {lost:?}")
    })
}

/// Verifies the trail while the mesh runs.
pub fn verify(stage: &mut Stage, context: &Context) {
    let mut step = stage.begin("Nobody has changed it");
    stage.ask(&mut step, "$ kgents audit verify".to_owned());
    let kept = holds(stage, context, &mut step);
    stage.end(step, kept);
}

/// Verifies the trail and shows the verdict: it holds, and nothing is open.
pub fn holds(stage: &Stage, context: &Context, step: &mut Step) -> Kept {
    let report =
        audit::report(&audit::dir(&context.data_dir), None).map_err(|failure| failure.message)?;
    stage.tell(&verdict(&report, stage.style()));
    let recorded = u64::try_from(stage.events().len()).unwrap_or(u64::MAX);
    step.found = serde_json::to_value(&report).ok();
    promised(report.ok, || "the trail does not hold".to_owned())?;
    promised(report.unknown == 0, || {
        format!("{} events have no outcome", report.unknown)
    })?;
    promised(report.events >= recorded, || {
        format!(
            "it counts {} events, and {recorded} were seen",
            report.events
        )
    })
}

/// Changes one byte in a copy of the trail: verifying names the event.
pub fn tamper(stage: &mut Stage, context: &Context, folder: &Folder) {
    let mut step = stage.begin("One byte changed in a copy of it is found, and the event named");
    let copy = folder.path().join("tampered");
    let kept = tampered(stage, context, &mut step, &copy);
    stage.end(step, kept);
}

fn tampered(stage: &Stage, context: &Context, step: &mut Step, copy: &Path) -> Kept {
    let io = |error: std::io::Error| format!("the trail cannot be copied: {error}");
    // The first call of b-gent, the allocation: somebody might want to hide it.
    let event = stage
        .steps()
        .iter()
        .filter_map(|step| step.head.as_ref())
        .find(|head| head.agent.as_deref() == Some("b-gent"))
        .and_then(|head| head.event.clone())
        .ok_or("no allocation was recorded that could be changed")?;
    let trail = audit::dir(copy);
    copy_files(&audit::dir(&context.data_dir), &trail).map_err(io)?;
    let file = change_one_byte(&trail, &event)
        .map_err(io)?
        .ok_or_else(|| format!("{event} is in no file of the trail"))?;
    let name = file.file_name().unwrap_or_default().display();
    stage.tell(&format!("in {name}, `b-gent` of {event} becomes `c-gent`"));
    stage.ask(step, "$ kgents audit verify --data tampered".to_owned());
    let report = audit::report(&trail, None).map_err(|failure| failure.message)?;
    stage.tell(&verdict(&report, stage.style()));
    step.found = serde_json::to_value(&report).ok();
    let named = report
        .first_bad
        .as_ref()
        .and_then(|bad| bad.event.as_deref());
    promised(!report.ok && named == Some(event.as_str()), || {
        format!("it should have named {event}, not {named:?}")
    })
}

fn copy_files(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_files(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Changes the agent's name in the record of `event`, and tells in which file.
fn change_one_byte(trail: &Path, event: &str) -> std::io::Result<Option<PathBuf>> {
    for entry in std::fs::read_dir(trail)? {
        let path = entry?.path();
        if !path.is_file() {
            continue;
        }
        let mut bytes = std::fs::read(&path)?;
        let Some(record) = find(&bytes, event.as_bytes()) else {
            continue;
        };
        let name = bytes.get(record..).and_then(|rest| find(rest, VICTIM));
        let letter = name.and_then(|name| bytes.get_mut(record + name));
        let Some(letter) = letter else { continue };
        *letter += 1;
        std::fs::write(&path, bytes)?;
        return Ok(Some(path));
    }
    Ok(None)
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

/// Reads what the mesh counted.
pub async fn metrics(stage: &mut Stage, callers: &Callers) {
    let mut step = stage.begin("What was counted");
    let mesh = &callers.operator;
    stage.ask(&mut step, format!("$ curl {}/metrics", mesh.run().admin));
    let kept = match mesh.admin("/metrics").await {
        Ok(text) => {
            let lines = text.lines().filter(|line| !line.starts_with('#')).count();
            let interactions = total(&text, "kgents_interactions_total");
            let recorded = stage.events().len() as f64;
            stage.tell(&safe(&format!(
                "{lines} series; {interactions} interactions, {} decisions of the router",
                total(&text, "kgents_routing_decisions_total"),
            )));
            step.found = Some(json!({ "series": lines, "interactions": interactions }));
            promised(interactions >= recorded, || {
                format!("{interactions} interactions were counted, and {recorded} recorded")
            })
        }
        Err(error) => Err(Failure::from(error).message),
    };
    stage.end(step, kept);
}

/// The sum of a metric's series. Source: OpenMetrics 1.0, text format.
fn total(text: &str, metric: &str) -> f64 {
    let value = |line: &str| {
        let rest = line.strip_prefix(metric)?;
        let rest = match rest.strip_prefix('{') {
            Some(labelled) => labelled.split_once('}')?.1,
            None => rest,
        };
        // An exemplar may follow the value.
        rest.strip_prefix(' ')?
            .split(' ')
            .next()?
            .parse::<f64>()
            .ok()
    };
    text.lines().filter_map(value).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_a_metric_are_added_and_those_of_others_are_not() {
        let text = "# TYPE a counter\na_total{x=\"1\"} 2\na_total{x=\"2\"} 3 # {trace=\"t\"} 1\n\
                    a_total 4\na_totally 9\nb_total 9\n";
        assert!((total(text, "a_total") - 9.0).abs() < 1e-9);
        assert!(total(text, "c_total").abs() < 1e-9);
    }

    #[test]
    fn exactly_one_byte_of_the_event_is_changed() {
        let dir = tempfile::tempdir().unwrap();
        let before = "b-gent evt-1 … b-gent evt-2 b-gent";
        std::fs::write(dir.path().join("0.log"), before).unwrap();
        let path = change_one_byte(dir.path(), "evt-1").unwrap().unwrap();
        let after = std::fs::read_to_string(path).unwrap();
        assert_eq!(after, "b-gent evt-1 … c-gent evt-2 b-gent");
        assert_eq!(change_one_byte(dir.path(), "evt-9").unwrap(), None);
    }
}
