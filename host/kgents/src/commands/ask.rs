//! `kgents ask` and `kgents call`: a message out, an answer in, whole or as it
//! comes.

use serde::Serialize;
use serde_json::Value;

use super::{Context, words};
use crate::cli::{AskArgs, CallArgs};
use crate::client::{Answer, Head, Message, MessageId, Stream};
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::output::{Said, attribution, said};

/// An answer for a program.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    head: &'a Head,
    result: &'a Value,
}

pub async fn ask(args: &AskArgs, context: &Context) -> Result<Exit, Failure> {
    let text = words(&args.text)?;
    let message = Message {
        text: &text,
        data: None,
        id: new_id(),
        stream: args.stream,
    };
    deliver(None, &message, context).await
}

pub async fn call(args: &CallArgs, context: &Context) -> Result<Exit, Failure> {
    let text = words(&args.text)?;
    let data = args.json.as_deref();
    let message = Message {
        text: &text,
        data,
        id: new_id(),
        stream: args.stream,
    };
    deliver(Some(args.agent.get()), &message, context).await
}

fn new_id() -> MessageId {
    // One process sends one message.
    MessageId::new(clock::now_ms(), std::process::id(), 1)
}

async fn deliver(
    agent: Option<&str>,
    message: &Message<'_>,
    context: &Context,
) -> Result<Exit, Failure> {
    let mesh = context.mesh()?;
    if message.stream {
        return show_stream(mesh.stream(agent, message).await?, context).await;
    }
    let Answer { head, result } = mesh.send(agent, message).await?;
    let said = said(&result);
    context.output.show(
        &Report {
            head: &head,
            result: &result,
        },
        |style| {
            let line = attribution(&head, &said, style);
            if said.text.is_empty() {
                line
            } else {
                format!("{}\n{line}", said.text.trim_end())
            }
        },
    );
    Ok(exit(&head, &said))
}

async fn show_stream(mut stream: Stream, context: &Context) -> Result<Exit, Failure> {
    let head = stream.head.clone();
    let mut printed = Printed::default();
    let mut last = Said::default();
    while let Some(result) = stream.next().await? {
        let said = said(&result);
        let piece = printed.piece(&result, &said.text);
        match context.output.format {
            crate::output::Format::Text => context.output.write_part(&piece),
            _ => context.output.show_next(
                &Report {
                    head: &head,
                    result: &result,
                },
                |_| String::new(),
            ),
        }
        last.state = said.state.or(last.state);
        last.task = said.task.or(last.task);
    }
    if context.output.format == crate::output::Format::Text {
        let line = attribution(&head, &last, &context.output.style);
        context.output.write(&format!("{}{line}", printed.gap()));
    }
    Ok(exit(&head, &last))
}

/// What is on the terminal already, so that pieces of one artifact are joined
/// and different ones stand on lines of their own.
#[derive(Debug, Default)]
pub struct Printed {
    artifact: Option<String>,
    mid_line: bool,
}

impl Printed {
    /// What to print for an event that says `text`.
    pub fn piece(&mut self, event: &Value, text: &str) -> String {
        if text.is_empty() {
            return String::new();
        }
        let artifact = event
            .pointer("/artifactUpdate/artifact/artifactId")
            .and_then(Value::as_str)
            .map(str::to_owned);
        let appends = event
            .pointer("/artifactUpdate/append")
            .and_then(Value::as_bool)
            == Some(true);
        let continues = appends && artifact.is_some() && artifact == self.artifact;
        let gap = if continues { "" } else { self.gap() };
        self.artifact = artifact;
        self.mid_line = !text.ends_with('\n');
        format!("{gap}{text}")
    }

    /// Whether the last thing printed did not end its line.
    pub const fn is_mid_line(&self) -> bool {
        self.mid_line
    }

    /// What ends the line that is begun, if one is.
    pub const fn gap(&self) -> &'static str {
        if self.mid_line { "\n" } else { "" }
    }
}

fn exit(head: &Head, said: &Said) -> Exit {
    if said.is_failed() {
        Exit::Failed
    } else if head.fallback {
        Exit::NobodyFound
    } else {
        Exit::Done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pieces_of_one_artifact_are_joined_and_others_start_a_line() {
        let artifact = |id: &str, append: bool| json!({"artifactUpdate": {"append": append, "artifact": {"artifactId": id}}});
        let mut printed = Printed::default();
        let mut text = String::new();
        for (event, words) in [
            (json!({"statusUpdate": {}}), "on it"),
            (artifact("a", false), "one "),
            (artifact("a", true), "two"),
            (artifact("a", true), ""),
            (artifact("a", true), " three"),
            (artifact("b", true), "four\n"),
            (json!({"statusUpdate": {}}), "done"),
        ] {
            text.push_str(&printed.piece(&event, words));
        }
        assert_eq!(text, "on it\none two three\nfour\ndone");
        assert_eq!(printed.gap(), "\n");
    }

    #[test]
    fn a_fallback_is_told_by_the_exit_code_and_a_failed_task_too() {
        let fallback = Head {
            fallback: true,
            ..Head::default()
        };
        let failed = Said {
            state: Some("TASK_STATE_FAILED".into()),
            ..Said::default()
        };
        assert_eq!(exit(&Head::default(), &Said::default()), Exit::Done);
        assert_eq!(exit(&fallback, &Said::default()), Exit::NobodyFound);
        assert_eq!(exit(&fallback, &failed), Exit::Failed);
    }
}
