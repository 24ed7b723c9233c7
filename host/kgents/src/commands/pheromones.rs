//! `kgents pheromones`: emit and sense signals that fade.

use serde::Serialize;
use serde_json::Value;

use super::Context;
use crate::cli::{EmitArgs, PheromonesCommand, SenseArgs};
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::output::{Style, ago, parse_rfc3339, percent, safe, table};

pub async fn run(command: PheromonesCommand, context: &Context) -> Result<Exit, Failure> {
    match command {
        PheromonesCommand::List(args) => list(&args, context).await,
        PheromonesCommand::Emit(args) => emit(&args, context).await,
    }
}

async fn list(args: &SenseArgs, context: &Context) -> Result<Exit, Failure> {
    let sensed: Value = context.mesh()?.get(&path(args)).await?;
    let now_ms = clock::now_ms();
    context.output.show(&sensed, |style| {
        list_text(&sensed, now_ms, context.output.columns, style)
    });
    Ok(Exit::Done)
}

fn path(args: &SenseArgs) -> String {
    let mut path = format!("/v1/pheromones?limit={}", args.limit);
    for (name, value) in [("type", &args.kind), ("target", &args.target)] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", escaped(value)));
        }
    }
    if let Some(least) = args.min_intensity {
        path.push_str(&format!("&min_intensity={least}"));
    }
    path
}

/// Percent-encodes all but unreserved characters. Source: RFC 3986, 2.3.
fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn list_text(sensed: &Value, now_ms: u64, columns: Option<usize>, style: &Style) -> String {
    let empty = Vec::new();
    let all = sensed
        .get("pheromones")
        .and_then(Value::as_array)
        .unwrap_or(&empty);
    if all.is_empty() {
        return "nothing is in the air".to_owned();
    }
    let text = |one: &Value, name: &str| one.get(name).and_then(Value::as_str).map(safe);
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|one| {
            let strength = one.get("intensity").and_then(Value::as_f64);
            let emitted = one
                .get("emittedAt")
                .and_then(|at| at.as_u64().or_else(|| at.as_str().and_then(parse_rfc3339)));
            let payload = one.get("payload").filter(|payload| !payload.is_null());
            vec![
                text(one, "type").unwrap_or_default(),
                strength.map(percent).unwrap_or_default(),
                text(one, "source").unwrap_or_default(),
                text(one, "target").unwrap_or_else(|| "all".to_owned()),
                emitted.map(|at| ago(at, now_ms)).unwrap_or_default(),
                payload.map(ToString::to_string).unwrap_or_default(),
            ]
        })
        .collect();
    let head = ["TYPE", "STRENGTH", "FROM", "FOR", "EMITTED", "PAYLOAD"];
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

async fn emit(args: &EmitArgs, context: &Context) -> Result<Exit, Failure> {
    let emitted: Value = context.mesh()?.post("/v1/pheromones", draft(args)?).await?;
    context.output.show(&emitted, |style| {
        format!(
            "{} {}",
            style.green("emitted"),
            style.bold(&safe(&args.kind))
        )
    });
    Ok(Exit::Done)
}

fn draft(args: &EmitArgs) -> Result<Vec<u8>, Failure> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Draft<'a> {
        #[serde(rename = "type")]
        kind: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        intensity: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        half_life_minutes: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        target: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        ttl_seconds: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        payload: Option<&'a serde_json::value::RawValue>,
    }
    let draft = Draft {
        kind: &args.kind,
        intensity: args.intensity,
        half_life_minutes: args.half_life_minutes,
        target: args.target.as_deref(),
        ttl_seconds: args.ttl_seconds,
        payload: args.payload.as_deref(),
    };
    serde_json::to_vec(&draft)
        .map_err(|error| Failure::new(Exit::Usage, "PHEROMONE", error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_filter_becomes_a_query() {
        let args = SenseArgs {
            kind: Some("MY OWN&TYPE".into()),
            target: Some("planner".into()),
            min_intensity: Some(0.5),
            limit: 7,
        };
        assert_eq!(
            path(&args),
            "/v1/pheromones?limit=7&type=MY%20OWN%26TYPE&target=planner&min_intensity=0.5"
        );
    }

    #[test]
    fn signals_are_listed_with_their_strength_and_age() {
        let sensed = json!({"pheromones": [
            {"type": "WARNING", "intensity": 0.49, "source": "ada", "target": null,
             "emittedAt": "1970-01-01T00:00:10.000Z", "payload": {"about": "rail"}},
            {"type": "STATE", "intensity": 0.1, "source": "b", "target": "planner", "emittedAt": 70_000},
        ]});
        assert_eq!(
            list_text(&sensed, 70_000, None, &Style::plain()),
            "TYPE     STRENGTH  FROM  FOR      EMITTED    PAYLOAD\n\
             WARNING  49 %      ada   all      1 min ago  {\"about\":\"rail\"}\n\
             STATE    10 %      b     planner  just now"
        );
        assert_eq!(
            list_text(&json!({}), 0, None, &Style::plain()),
            "nothing is in the air"
        );
    }

    #[test]
    fn a_draft_holds_only_what_was_said() {
        let args = EmitArgs {
            kind: "DREAM".into(),
            intensity: None,
            half_life_minutes: Some(5.0),
            target: None,
            ttl_seconds: None,
            payload: Some(serde_json::value::to_raw_value(&json!({"a": 1})).unwrap()),
        };
        assert_eq!(
            String::from_utf8(draft(&args).unwrap()).unwrap(),
            r#"{"type":"DREAM","halfLifeMinutes":5.0,"payload":{"a":1}}"#
        );
    }
}
