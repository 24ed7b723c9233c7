//! What the mesh has to know of an agent's answer; the rest passes raw.
//! Source: A2A 1.0.1, SendMessageResponse, StreamResponse, Task.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::answer::Answer;
use crate::call::Payload;
use crate::json::{self, Broken};
use crate::message::check_id;

/// The extension under whose URI an agent tells what an answer cost, as
/// `{"totalTokens": n}` in metadata.
pub const USAGE_EXTENSION: &str = "https://kgents.io/ext/usage/v1";

/// Facts of one answer or event; all absent where it is no such thing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResultFacts {
    /// The task it is about.
    pub task_id: Option<String>,
    /// The conversation.
    pub context_id: Option<String>,
    /// The task's state.
    pub state: Option<TaskState>,
    /// Whether nothing more will come: a terminal state, or a plain message.
    pub terminal: bool,
    /// Tokens it cost in all, as the agent tells: under [`USAGE_EXTENSION`], or
    /// else `usage` with `totalTokens` or `total_tokens`.
    pub tokens: Option<u64>,
}

/// States of a task. Source: A2A 1.0.1 §4.1.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// Accepted, not begun.
    Submitted,
    /// Being worked on.
    Working,
    /// Done; terminal.
    Completed,
    /// Ended by an error; terminal.
    Failed,
    /// Ended by its caller; terminal.
    Canceled,
    /// Waits for the caller's words; a stream ends here.
    InputRequired,
    /// The agent will not do it; terminal.
    Rejected,
    /// Waits for credentials; a stream ends here.
    AuthRequired,
}

impl TaskState {
    /// Whether the task can never change again.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Completed | Self::Failed | Self::Canceled | Self::Rejected
        )
    }

    /// Whether the agent waits for someone.
    #[must_use]
    pub const fn is_interrupted(self) -> bool {
        matches!(self, Self::InputRequired | Self::AuthRequired)
    }

    /// ProtoJSON takes the name or the number.
    fn of(raw: &RawValue) -> Option<Self> {
        let state = match raw.get().trim_matches('"') {
            "TASK_STATE_SUBMITTED" | "1" => Self::Submitted,
            "TASK_STATE_WORKING" | "2" => Self::Working,
            "TASK_STATE_COMPLETED" | "3" => Self::Completed,
            "TASK_STATE_FAILED" | "4" => Self::Failed,
            "TASK_STATE_CANCELED" | "5" => Self::Canceled,
            "TASK_STATE_INPUT_REQUIRED" | "6" => Self::InputRequired,
            "TASK_STATE_REJECTED" | "7" => Self::Rejected,
            "TASK_STATE_AUTH_REQUIRED" | "8" => Self::AuthRequired,
            _ => return None,
        };
        Some(state)
    }
}

impl ResultFacts {
    /// Reads the facts; none where the payload is ambiguous or something else.
    /// What came through [`crate::upstream`] was checked there.
    #[must_use]
    pub fn of(payload: &Payload) -> Self {
        let Ok(text) = std::str::from_utf8(payload.as_bytes()) else {
            return Self::default();
        };
        read(text).map(|seen| seen.facts()).unwrap_or_default()
    }
}

/// What kind of answer a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One of task, message: the answer to SendMessage.
    Message,
    /// One of four: an event of a stream.
    Stream,
    /// A task by itself.
    Task,
}

/// Reads and checks an answer of that shape.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub(crate) fn check(text: &str, shape: Shape) -> Result<(), String> {
    let seen = read(text).map_err(|broken| match broken {
        Broken::Syntax(detail) => format!("the answer is not JSON: {detail}"),
        Broken::Fault(fault) => format!("in the answer, {}", crate::message::sentence(&fault)),
    })?;
    let wrong = |what: &str| Err(format!("the answer must {what}"));
    let updates = usize::from(seen.has_status) + usize::from(seen.has_artifact);
    let wholes = usize::from(seen.has_task) + usize::from(seen.has_message);
    match shape {
        Shape::Message if wholes != 1 || updates != 0 => {
            return wrong("hold exactly one of `task` and `message`");
        }
        Shape::Stream if wholes + updates != 1 => {
            return wrong(
                "hold exactly one of `task`, `message`, `statusUpdate`, `artifactUpdate`",
            );
        }
        Shape::Task if wholes + updates != 0 || !seen.bare.has_status => {
            return wrong("be a task with `id` and `status`");
        }
        _ => {}
    }
    let id = match shape {
        Shape::Task => Some(("id", seen.bare.id)),
        _ if seen.has_task => Some(("task.id", seen.task.id)),
        _ if seen.has_status => Some(("statusUpdate.taskId", seen.status.id)),
        _ if seen.has_artifact => Some(("artifactUpdate.taskId", seen.artifact.id)),
        _ => None,
    };
    let Some((field, raw)) = id else {
        return Ok(());
    };
    let id = raw.and_then(json::string).unwrap_or_default();
    if id.is_empty() {
        return wrong(&format!("name its task in `{field}`"));
    }
    check_id(field, &id).map_err(|failure| failure.message)
}

fn read(text: &str) -> Result<Answer<'_>, Broken> {
    let mut seen = Answer::default();
    json::read(text, &mut seen)?;
    Ok(seen)
}

impl<'de> Answer<'de> {
    fn facts(&self) -> ResultFacts {
        let (id, context, status, metadata) = if self.has_message {
            let message = &self.message;
            (message.id, message.context, None, message.metadata)
        } else if self.has_status {
            let update = &self.status;
            (
                update.id,
                update.context,
                Some(&update.status),
                update.metadata,
            )
        } else if self.has_artifact {
            let update = &self.artifact;
            (update.id, update.context, None, update.metadata)
        } else {
            let task = if self.has_task {
                &self.task
            } else {
                &self.bare
            };
            (task.id, task.context, Some(&task.status), task.metadata)
        };
        let state = status
            .and_then(|status| status.state)
            .and_then(TaskState::of);
        ResultFacts {
            task_id: owned(id),
            context_id: owned(context),
            state,
            terminal: self.has_message || state.is_some_and(TaskState::is_terminal),
            tokens: metadata
                .and_then(tokens)
                .or_else(|| status.and_then(|status| status.metadata).and_then(tokens)),
        }
    }
}

fn owned(raw: Option<&RawValue>) -> Option<String> {
    raw.and_then(json::string)
        .filter(|text| !text.is_empty())
        .map(|text| text.into_owned())
}

/// Metadata is free-form: what is not understood there is no fault.
fn tokens(metadata: &RawValue) -> Option<u64> {
    #[derive(Deserialize)]
    struct Metadata<'a> {
        #[serde(borrow, rename = "https://kgents.io/ext/usage/v1")]
        ours: Option<&'a RawValue>,
        #[serde(borrow)]
        usage: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Usage {
        #[serde(alias = "totalTokens")]
        total_tokens: f64,
    }
    let metadata: Metadata<'_> = serde_json::from_str(metadata.get()).ok()?;
    [metadata.ours, metadata.usage]
        .into_iter()
        .flatten()
        .find_map(|raw| {
            let usage: Usage = serde_json::from_str(raw.get()).ok()?;
            // A protobuf Value turns 42 into 42.0; beyond 2^53 it is no count.
            let count = usage.total_tokens;
            (count.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&count))
                .then_some(count as u64)
        })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn of(text: &str) -> ResultFacts {
        ResultFacts::of(&Payload::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap())
    }

    fn facts(
        task: &str,
        context: &str,
        state: Option<TaskState>,
        tokens: Option<u64>,
    ) -> ResultFacts {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        ResultFacts {
            task_id: some(task),
            context_id: some(context),
            state,
            terminal: state.is_some_and(TaskState::is_terminal),
            tokens,
        }
    }

    #[test]
    fn facts_are_read_from_every_shape() {
        use TaskState::*;
        let cases = [
            (
                r#"{"task":{"id":"t","contextId":"c","status":{"state":"TASK_STATE_COMPLETED"},
                    "metadata":{"https://kgents.io/ext/usage/v1":{"totalTokens":42.0},"usage":{"total_tokens":1}}}}"#,
                facts("t", "c", Some(Completed), Some(42)),
            ),
            (
                r#"{"id":"t","contextId":"c","status":{"state":3,"message":{"messageId":"m",
                    "metadata":{"usage":{"total_tokens":7}}}},"history":[{"taskId":"other"}]}"#,
                facts("t", "c", Some(Completed), Some(7)),
            ),
            (
                r#"{"statusUpdate":{"taskId":"t","contextId":"c","status":{"state":"TASK_STATE_WORKING"},
                    "metadata":{"usage":{"totalTokens":9}}}}"#,
                facts("t", "c", Some(Working), Some(9)),
            ),
            (
                r#"{"artifactUpdate":{"taskId":"t","contextId":"c","artifact":{"artifactId":"a","parts":[]}}}"#,
                facts("t", "c", None, None),
            ),
            (
                r#"{"message":{"messageId":"m","role":"ROLE_AGENT","parts":[],"contextId":"c"}}"#,
                ResultFacts {
                    terminal: true,
                    ..facts("", "c", None, None)
                },
            ),
            (
                r#"{"task":{"id":"t","status":{"state":"TASK_STATE_INPUT_REQUIRED"},"metadata":{"usage":-1}}}"#,
                facts("t", "", Some(InputRequired), None),
            ),
            (
                r#"{"task":{"id":"t","task_id":"x"}}"#,
                facts("t", "", None, None),
            ),
            (r#"{"task":{"id":"t","id":"x"}}"#, ResultFacts::default()),
            (r#"[1]"#, ResultFacts::default()),
            (
                r#"{"task":{"id":"t","status":{"state":"NEW"},"metadata":{"usage":{"totalTokens":-3}}}}"#,
                facts("t", "", None, None),
            ),
            (
                r#"{"task":{"id":"t","metadata":{"Usage":{"totalTokens":3}}}}"#,
                facts("t", "", None, None),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(of(text), expected, "{text}");
        }
    }

    #[test]
    fn an_answer_of_another_shape_is_named() {
        let task = r#"{"task":{"id":"t","status":{}}}"#;
        let update = r#"{"statusUpdate":{"taskId":"t","status":{}}}"#;
        assert_eq!(check(task, Shape::Message), Ok(()));
        assert_eq!(check(task, Shape::Stream), Ok(()));
        assert_eq!(check(update, Shape::Stream), Ok(()));
        assert_eq!(check(r#"{"id":"t","status":{}}"#, Shape::Task), Ok(()));
        for (text, shape, word) in [
            (update, Shape::Message, "exactly one"),
            ("{}", Shape::Message, "exactly one"),
            ("{}", Shape::Stream, "exactly one"),
            (r#"{"task":null}"#, Shape::Stream, "exactly one"),
            (
                r#"{"task":{"id":"t"},"message":{}}"#,
                Shape::Message,
                "exactly one",
            ),
            (
                r#"{"task":{"id":"t"},"message":{}}"#,
                Shape::Stream,
                "exactly one",
            ),
            (r#"{"task":7}"#, Shape::Stream, "`task` must be an object"),
            (r#"{"task":{"id":""}}"#, Shape::Stream, "`task.id`"),
            (
                r#"{"statusUpdate":{}}"#,
                Shape::Stream,
                "`statusUpdate.taskId`",
            ),
            (
                r#"{"artifactUpdate":{}}"#,
                Shape::Stream,
                "`artifactUpdate.taskId`",
            ),
            (
                r#"{"status_update":{"taskId":"t"}}"#,
                Shape::Stream,
                "`status_update` can be taken",
            ),
            (
                r#"{"task":{"id":"t","id":"u"}}"#,
                Shape::Message,
                "`task.id` is given twice",
            ),
            (
                r#"{"task":{"id":"a\nb"}}"#,
                Shape::Message,
                "control character",
            ),
            (task, Shape::Task, "`id` and `status`"),
            (r#"{"id":"t"}"#, Shape::Task, "`id` and `status`"),
            ("null", Shape::Task, "must be an object"),
        ] {
            let error = check(text, shape).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
