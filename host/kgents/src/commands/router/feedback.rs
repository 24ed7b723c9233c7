//! `kgents router feedback`: say whether a decision was right, see what was said,
//! and take it back.

use kgents_gateway::call::{FeedbackDraft, Verdict};
use serde_json::Value;

use super::Context;
use crate::cli::FeedbackArgs;
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::output::{Style, ago, safe, table};

const PATH: &str = "/v1/router/feedback";

pub async fn run(args: &FeedbackArgs, context: &Context) -> Result<Exit, Failure> {
    let mesh = context.mesh()?;
    let Some(id) = &args.id else {
        let said: Value = mesh.get(PATH).await?;
        let now_ms = clock::now_ms();
        let columns = context.output.columns;
        context
            .output
            .show(&said, |style| listed(&said, now_ms, columns, style));
        return Ok(Exit::Done);
    };
    if args.undo {
        let gone = mesh.delete(&format!("{PATH}/{id}")).await?;
        context.output.show(&gone, |style| {
            format!("{} {}", style.green("taken back"), sentence(&gone))
        });
        return Ok(Exit::Done);
    }
    let draft = serde_json::to_vec(&draft(id, args))
        .map_err(|error| Failure::new(Exit::Usage, "FEEDBACK", error.to_string()))?;
    let given: Value = mesh.post(PATH, draft).await?;
    context.output.show(&given, |style| {
        let id = text(&given, "id");
        let undo = format!("take it back: kgents router feedback {id} --undo");
        let told = format!("{} {}", style.green("learnt"), sentence(&given));
        format!("{told}\n{}", style.dim(&undo))
    });
    Ok(Exit::Done)
}

fn draft(id: &str, args: &FeedbackArgs) -> FeedbackDraft {
    let verdict = if args.right {
        Verdict::Right
    } else {
        Verdict::Wrong
    };
    FeedbackDraft {
        decision: id.to_owned(),
        verdict,
        should_be: args.should_be.clone(),
        skill: args.skill.clone(),
        text: args.text.clone(),
        agent: args.agent.clone(),
    }
}

fn text(given: &Value, name: &str) -> String {
    safe(given.get(name).and_then(Value::as_str).unwrap_or_default())
}

/// What was said, in words.
fn sentence(given: &Value) -> String {
    let question = text(given, "text");
    let (agent, should_be) = (text(given, "agent"), text(given, "shouldBe"));
    match (text(given, "verdict").as_str(), &*agent, &*should_be) {
        ("right", agent, _) => format!("\"{question}\" is for {agent}"),
        (_, "", should_be) => format!("\"{question}\" is for {should_be}"),
        (_, agent, "") => format!("\"{question}\" is not for {agent}"),
        (_, agent, should_be) => format!("\"{question}\" is for {should_be}, not for {agent}"),
    }
}

fn listed(said: &Value, now_ms: u64, columns: Option<usize>, style: &Style) -> String {
    let all = said.get("feedback").and_then(Value::as_array);
    let rows: Vec<Vec<String>> = all
        .into_iter()
        .flatten()
        .map(|given| {
            let when = given.get("whenMs").and_then(Value::as_u64);
            let who = text(given, "who");
            vec![
                text(given, "id"),
                when.map(|at| ago(at, now_ms)).unwrap_or_default(),
                who.rsplit('/').next().unwrap_or_default().to_owned(),
                sentence(given),
            ]
        })
        .collect();
    if rows.is_empty() {
        return "nobody has said anything of a decision".to_owned();
    }
    let head = ["ID", "WHEN", "WHO", "WHAT"];
    table(
        style,
        columns,
        &head,
        &rows,
        |_, column, cell| match column {
            0 => style.bold(cell),
            _ => cell.to_owned(),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_was_said_is_told_in_words() {
        for (given, told) in [
            (json!({"verdict": "right", "agent": "a"}), "\"x\" is for a"),
            (
                json!({"verdict": "wrong", "agent": "a"}),
                "\"x\" is not for a",
            ),
            (
                json!({"verdict": "wrong", "shouldBe": "b"}),
                "\"x\" is for b",
            ),
            (
                json!({"verdict": "wrong", "agent": "a", "shouldBe": "b"}),
                "\"x\" is for b, not for a",
            ),
        ] {
            let mut given = given;
            given["text"] = json!("x");
            assert_eq!(sentence(&given), told);
        }
    }

    #[test]
    fn all_that_was_said_is_a_table_without_control_characters() {
        let said = json!({"feedback": [{
            "id": "e-1", "whenMs": 0, "who": "spiffe://mesh.local/users/ada",
            "verdict": "right", "agent": "a", "text": "\u{1b}[31mred",
        }]});
        let shown = listed(&said, 60_000, None, &Style::plain());
        assert!(
            shown.contains("ada") && shown.contains("is for a"),
            "{shown}"
        );
        assert!(!shown.contains('\u{1b}'));
        let none = listed(&json!({"feedback": []}), 0, None, &Style::plain());
        assert_eq!(none, "nobody has said anything of a decision");
    }
}
