//! What an agent said: the words in an A2A answer, and the line that tells who
//! gave it.

use serde_json::Value;

use super::style::{Style, safe};
use crate::client::Head;

/// The words of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    /// Text parts, joined by line ends; when there are none, data parts as JSON.
    pub text: String,
    /// The task's state, for example `TASK_STATE_COMPLETED`, if it is a task.
    pub state: Option<String>,
    /// The task's id, if it is a task.
    pub task: Option<String>,
}

impl Said {
    /// Whether the task ended without doing what was asked.
    pub fn is_failed(&self) -> bool {
        let failed = [
            "TASK_STATE_FAILED",
            "TASK_STATE_REJECTED",
            "TASK_STATE_CANCELED",
        ];
        self.state
            .as_deref()
            .is_some_and(|state| failed.contains(&state))
    }

    /// The state in plain words, unless it is the usual one.
    pub fn remark(&self) -> Option<String> {
        let state = self.state.as_deref()?;
        let plain = state.strip_prefix("TASK_STATE_").unwrap_or(state);
        let plain = plain.to_lowercase().replace('_', " ");
        (plain != "completed").then_some(plain)
    }
}

/// The words in an A2A 1.0 SendMessageResponse or StreamResponse: of the
/// message, or of the task's artifacts and status. Source: A2A 1.0, 4.1.
pub fn said(response: &Value) -> Said {
    let mut parts: Vec<&Value> = Vec::new();
    let mut said = Said::default();
    if let Some(message) = response.get("message") {
        parts.extend(parts_of(message));
    }
    if let Some(task) = response.get("task") {
        said.task = text_at(task, "id");
        said.state = task
            .get("status")
            .and_then(|status| text_at(status, "state"));
        for artifact in task
            .get("artifacts")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            parts.extend(parts_of(artifact));
        }
        parts.extend(
            task.pointer("/status/message")
                .into_iter()
                .flat_map(parts_of),
        );
    }
    if let Some(update) = response.get("statusUpdate") {
        said.task = text_at(update, "taskId");
        said.state = update
            .get("status")
            .and_then(|status| text_at(status, "state"));
        parts.extend(
            update
                .pointer("/status/message")
                .into_iter()
                .flat_map(parts_of),
        );
    }
    if let Some(update) = response.get("artifactUpdate") {
        said.task = text_at(update, "taskId");
        parts.extend(update.get("artifact").into_iter().flat_map(parts_of));
    }
    said.text = words(&parts);
    said
}

fn words(parts: &[&Value]) -> String {
    let texts: Vec<&str> = parts
        .iter()
        .filter_map(|part| part.get("text"))
        .filter_map(Value::as_str)
        .collect();
    if !texts.is_empty() {
        return safe(&texts.join("\n"));
    }
    let others: Vec<String> = parts.iter().filter_map(|part| other(part)).collect();
    safe(&others.join("\n"))
}

/// A part that is not text.
fn other(part: &Value) -> Option<String> {
    if let Some(data) = part.get("data") {
        return serde_json::to_string_pretty(data).ok();
    }
    let name = part
        .get("filename")
        .and_then(Value::as_str)
        .unwrap_or("a file");
    if let Some(url) = part.get("url").and_then(Value::as_str) {
        return Some(format!("{name}: {url}"));
    }
    let raw = part.get("raw").and_then(Value::as_str)?;
    Some(format!(
        "{name}, about {} bytes (use --output json to get it)",
        raw.len() / 4 * 3
    ))
}

fn parts_of(holder: &Value) -> impl Iterator<Item = &Value> {
    holder
        .get("parts")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn text_at(value: &Value, name: &str) -> Option<String> {
    value.get(name).and_then(Value::as_str).map(str::to_owned)
}

/// The line under an answer: who gave it, how it was found, how sure that is.
pub fn attribution(head: &Head, said: &Said, style: &Style) -> String {
    let mut facts = vec![match (&head.agent, &head.cluster) {
        (Some(agent), Some(cluster)) => format!("{agent} in {cluster}"),
        (Some(agent), None) => agent.clone(),
        _ => "the mesh".to_owned(),
    }];
    if head.fallback {
        facts.push("the fallback, as nobody else fitted".to_owned());
    } else if let Some(method) = &head.method {
        facts.push(match head.confidence {
            Some(confidence) => format!("{method}, {} sure", percent(confidence)),
            None => method.clone(),
        });
    }
    facts.extend(said.remark());
    facts.extend(head.event.clone());
    style.dim(&safe(&format!("— {}", facts.join(" · "))))
}

/// A probability as whole percent, rounded down as in the router's reasons, so
/// that what missed a threshold is not shown as reaching it.
pub fn percent(share: f64) -> String {
    // The small addend keeps 0.29, stored as 0.28999999, from reading 28.
    format!("{:.0} %", (share * 100.0 + 1e-3).floor())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_words_are_found_wherever_a2a_puts_them() {
        let parts = |text: &str| json!([{ "text": text }]);
        for (response, expected) in [
            (
                json!({"message": {"parts": [{"text": "a"}, {"data": {"n": 1}}, {"text": "b"}]}}),
                "a\nb",
            ),
            (
                json!({"message": {"parts": [{"data": {"n": 1}}]}}),
                "{\n  \"n\": 1\n}",
            ),
            (
                json!({"task": {"id": "t", "status": {"state": "TASK_STATE_COMPLETED", "message": {"parts": parts("done")}},
                       "artifacts": [{"parts": parts("one")}, {"parts": parts("two")}]}}),
                "one\ntwo\ndone",
            ),
            (
                json!({"statusUpdate": {"status": {"state": "TASK_STATE_WORKING", "message": {"parts": parts("on it")}}}}),
                "on it",
            ),
            (
                json!({"artifactUpdate": {"artifact": {"parts": parts("bit")}}}),
                "bit",
            ),
            (
                json!({"message": {"parts": [{"url": "http://x/y", "filename": "y"}]}}),
                "y: http://x/y",
            ),
            (json!(null), ""),
            (json!({"message": {"parts": "?"}}), ""),
        ] {
            assert_eq!(said(&response).text, expected, "{response}");
        }
    }

    #[test]
    fn a_failed_task_is_not_a_success() {
        let state = |state: &str| said(&json!({"task": {"status": {"state": state}}}));
        assert!(state("TASK_STATE_FAILED").is_failed());
        assert!(!state("TASK_STATE_COMPLETED").is_failed());
        assert_eq!(
            state("TASK_STATE_INPUT_REQUIRED").remark().as_deref(),
            Some("input required")
        );
        assert_eq!(state("TASK_STATE_COMPLETED").remark(), None);
    }

    #[test]
    fn the_line_below_tells_who_how_and_how_sure() {
        let head = Head {
            agent: Some("b-gent".into()),
            cluster: Some("local".into()),
            method: Some("search".into()),
            confidence: Some(0.934),
            fallback: false,
            event: Some("evt-1".into()),
        };
        let line = |head: &Head| attribution(head, &Said::default(), &Style::plain());
        assert_eq!(line(&head), "— b-gent in local · search, 93 % sure · evt-1");
        let fallback = Head {
            fallback: true,
            ..head
        };
        assert_eq!(
            line(&fallback),
            "— b-gent in local · the fallback, as nobody else fitted · evt-1"
        );
        assert_eq!(line(&Head::default()), "— the mesh");
    }
}
