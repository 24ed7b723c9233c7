//! `kgents agents`: register, list, show, remove.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Context, allow};
use crate::cli::{AddArgs, AgentsCommand, Allow, NameArgs, Source};
use crate::client::Mesh;
use crate::config::document::Mistake;
use crate::config::resources::card_json;
use crate::exit::{Exit, Failure};
use crate::output::{Style, safe, table};

/// What the mesh answers to a registration.
#[derive(Debug, Deserialize)]
pub struct Registered {
    /// The agent's name in this mesh.
    pub name: String,
    #[serde(default)]
    revision: Value,
    #[serde(default)]
    created: bool,
}

/// The same for a program, with what became of the policy.
#[derive(Serialize)]
pub struct Added {
    /// The agent's name in this mesh.
    pub name: String,
    revision: Value,
    created: bool,
    /// The file of the policy that lets everyone use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Whether the mesh has taken that policy up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_force: Option<bool>,
}

impl From<Registered> for Added {
    fn from(registered: Registered) -> Self {
        Self {
            name: registered.name,
            revision: registered.revision,
            created: registered.created,
            policy: None,
            in_force: None,
        }
    }
}

pub async fn run(command: AgentsCommand, context: &Context) -> Result<Exit, Failure> {
    let mesh = context.mesh()?;
    match command {
        AgentsCommand::Add(args) => add(&args, &mesh, context).await,
        AgentsCommand::List => list(&mesh, context).await,
        AgentsCommand::Show(args) => show(&args, &mesh, context).await,
        AgentsCommand::Remove(args) => remove(&args, &mesh, context).await,
    }
}

async fn add(args: &AddArgs, mesh: &Mesh, context: &Context) -> Result<Exit, Failure> {
    let policies = match args.allow {
        Some(Allow::Everyone) => Some(allow::policies_of(mesh)?),
        None => None,
    };
    let name = args.name.as_ref().map(|name| name.get());
    let dir = &context.environment.current_dir;
    let registered = register(&args.source, name, mesh, dir).await?;
    let mut added = Added::from(registered);
    if let Some(policies) = policies {
        let path = allow::write(&policies, &added.name)?;
        added.policy = Some(path.display().to_string());
        added.in_force = Some(allow::is_in_force(mesh, &added.name).await?);
    }
    context
        .output
        .show(&added, |style| added_text(&added, style));
    if added.in_force == Some(false) {
        context.output.note(
            "the mesh has not taken the policy up yet; `kgents check` tells whether it loads",
        );
    }
    Ok(Exit::Done)
}

/// Registers the card at `source`; a file is looked for in `dir`.
///
/// # Errors
/// When the file is no card, or the mesh refuses it.
pub async fn register(
    source: &Source,
    name: Option<&str>,
    mesh: &Mesh,
    dir: &Path,
) -> Result<Registered, Failure> {
    let body = registration(source, name, dir)?;
    Ok(mesh.post("/v1/agents", body).await?)
}

/// The body of a registration: the card as it is, or where it is.
fn registration(source: &Source, name: Option<&str>, dir: &Path) -> Result<Vec<u8>, Failure> {
    #[derive(Serialize)]
    struct Registration<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        url: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        card: Option<Box<serde_json::value::RawValue>>,
    }
    let bad = |message: String| Failure::new(Exit::Failed, "CARD", message);
    let registration = match source {
        Source::Url(url) => Registration {
            name,
            url: Some(url.get()),
            card: None,
        },
        Source::File(file) => {
            let shown = file.display();
            let text = std::fs::read_to_string(dir.join(file)).map_err(|error| {
                bad(format!("`{shown}` cannot be read: {error}"))
                    .hint("give a URL that starts with http:// or https://, or a card file")
            })?;
            let json = card_json(&text).map_err(|mistakes| {
                bad(format!("`{shown}` is not a card: {}", listed(&mistakes)))
                    .hint("`kgents schema agent-card` prints what is allowed")
            })?;
            let card = serde_json::value::RawValue::from_string(json)
                .map_err(|error| bad(error.to_string()))?;
            Registration {
                name,
                url: None,
                card: Some(card),
            }
        }
    };
    serde_json::to_vec(&registration).map_err(|error| bad(error.to_string()))
}

fn listed(mistakes: &[Mistake]) -> String {
    let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    match lines.as_slice() {
        [one] => one.clone(),
        many => format!("\n  {}", many.join("\n  ")),
    }
}

/// What a person is told of it.
pub fn added_text(added: &Added, style: &Style) -> String {
    let verb = if added.created {
        "registered"
    } else {
        "replaced"
    };
    let mut text = format!("{} {}", style.green(verb), style.bold(&safe(&added.name)));
    match (&added.policy, added.in_force) {
        (Some(path), Some(true)) => {
            text.push_str(&format!("; everyone may use it ({path})"));
        }
        (Some(path), _) => text.push_str(&format!("; wrote {path}")),
        (None, _) => text
            .push_str(&style.dim(
                "\nonly those whom a policy permits may use it (--allow everyone writes one)",
            )),
    }
    text
}

async fn list(mesh: &Mesh, context: &Context) -> Result<Exit, Failure> {
    let listing: Value = mesh.get("/v1/agents").await?;
    context.output.show(&listing, |style| {
        list_text(&listing, context.output.columns, style)
    });
    Ok(Exit::Done)
}

/// The agents of a listing in columns, or that there are none.
pub fn list_text(listing: &Value, columns: Option<usize>, style: &Style) -> String {
    let empty = Vec::new();
    let agents = listing
        .get("agents")
        .and_then(Value::as_array)
        .unwrap_or(&empty);
    if agents.is_empty() {
        return format!(
            "no agents that you may see\n{} add one with `kgents agents add URL`",
            style.cyan("hint:")
        );
    }
    let rows: Vec<Vec<String>> = agents
        .iter()
        .map(|agent| {
            let skills = agent
                .get("skills")
                .and_then(Value::as_array)
                .map_or(0, Vec::len);
            vec![
                text(agent, "name"),
                health(agent),
                skills.to_string(),
                text(agent, "cluster"),
                text(agent, "description"),
            ]
        })
        .collect();
    table(
        style,
        columns,
        &["NAME", "HEALTH", "SKILLS", "CLUSTER", "WHAT IT DOES"],
        &rows,
        |row, column, cell| match column {
            0 => style.bold(cell),
            1 => agents
                .get(row)
                .map_or_else(|| cell.to_owned(), |agent| painted(&health(agent), style)),
            _ => cell.to_owned(),
        },
    )
}

async fn show(args: &NameArgs, mesh: &Mesh, context: &Context) -> Result<Exit, Failure> {
    let agent: Value = mesh.get(&format!("/v1/agents/{}", args.name)).await?;
    context
        .output
        .show(&agent, |style| agent_text(&agent, style));
    Ok(Exit::Done)
}

fn agent_text(agent: &Value, style: &Style) -> String {
    let mut lines = vec![format!(
        "{}  {}",
        style.bold(&text(agent, "name")),
        text(agent, "description")
    )];
    let mut fact = |name: &str, value: String| {
        if !value.is_empty() {
            lines.push(format!("{}  {value}", style.dim(&format!("{name:<10}"))));
        }
    };
    let reason = text(agent, "health_reason");
    let why = if reason.is_empty() {
        String::new()
    } else {
        format!(" ({reason})")
    };
    fact("health", format!("{}{why}", painted(&health(agent), style)));
    fact("cluster", text(agent, "cluster"));
    fact("version", text(agent, "version"));
    fact("source", text(agent, "source"));
    for interface in items(agent, "interfaces") {
        fact(
            "interface",
            format!("{}  {}", text(interface, "binding"), text(interface, "url")),
        );
    }
    for skill in items(agent, "skills") {
        fact(
            "skill",
            format!("{}  {}", text(skill, "id"), text(skill, "description")),
        );
    }
    lines.join("\n")
}

async fn remove(args: &NameArgs, mesh: &Mesh, context: &Context) -> Result<Exit, Failure> {
    mesh.delete(&format!("/v1/agents/{}", args.name)).await?;
    let removed = json!({ "name": args.name.get(), "removed": true });
    context.output.show(&removed, |style| {
        format!("{} {}", style.green("removed"), args.name)
    });
    let policy = mesh.run().mesh_dir.as_ref().map(|dir| {
        dir.join(crate::config::folder::POLICIES)
            .join(format!("allow-{}.cedar", args.name))
    });
    if let Some(policy) = policy.filter(|policy| policy.exists()) {
        let left = format!(
            "its policy is left at {}; delete it if nobody of that name shall come back",
            policy.display()
        );
        context.output.note(&left);
    }
    Ok(Exit::Done)
}

fn health(agent: &Value) -> String {
    let health = text(agent, "health").to_lowercase();
    if health.is_empty() {
        "unknown".to_owned()
    } else {
        health
    }
}

fn painted(health: &str, style: &Style) -> String {
    match health {
        "healthy" => style.green(health),
        "degraded" => style.yellow(health),
        "failed" => style.red(health),
        _ => style.dim(health),
    }
}

fn text(value: &Value, name: &str) -> String {
    value
        .get(name)
        .and_then(Value::as_str)
        .map(safe)
        .unwrap_or_default()
}

fn items<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value
        .get(name)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::resources::raw_card;

    fn agents() -> Value {
        json!({"revision": 2, "agents": [
            {"name": "b-gent", "description": "Keeps the token budget.", "cluster": "local",
             "health": "healthy", "health_reason": "answered in 3 ms",
             "skills": [{"id": "balance", "name": "Balance", "description": "What is left"}],
             "interfaces": [{"binding": "JSONRPC", "url": "http://127.0.0.1:8420/agents/b-gent"}],
             "source": "built-in", "version": "0.1.0"},
            {"name": "translator", "description": "Translates.\u{1b}[2J", "cluster": "local", "health": "Failed"},
        ]})
    }

    #[test]
    fn agents_are_listed_in_columns() {
        assert_eq!(
            list_text(&agents(), None, &Style::plain()),
            "NAME        HEALTH   SKILLS  CLUSTER  WHAT IT DOES\n\
             b-gent      healthy  1       local    Keeps the token budget.\n\
             translator  failed   0       local    Translates.[2J"
        );
        assert!(list_text(&json!({}), None, &Style::plain()).starts_with("no agents"));
    }

    #[test]
    fn what_became_of_the_policy_is_told_with_its_file() {
        let check = |in_force, expected: &str| {
            let added = Added {
                name: "calc".into(),
                revision: json!(3),
                created: true,
                policy: Some("m/policies/allow-calc.cedar".into()),
                in_force,
            };
            assert_eq!(added_text(&added, &Style::plain()), expected);
        };
        check(
            Some(true),
            "registered calc; everyone may use it (m/policies/allow-calc.cedar)",
        );
        check(
            Some(false),
            "registered calc; wrote m/policies/allow-calc.cedar",
        );
    }

    #[test]
    fn an_agent_is_shown_with_its_skills() {
        assert_eq!(
            agent_text(&agents()["agents"][0], &Style::plain()),
            "b-gent  Keeps the token budget.\n\
             health      healthy (answered in 3 ms)\n\
             cluster     local\nversion     0.1.0\nsource      built-in\n\
             interface   JSONRPC  http://127.0.0.1:8420/agents/b-gent\n\
             skill       balance  What is left"
        );
    }

    #[test]
    fn a_card_file_travels_as_it_is_and_a_url_as_a_url() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.json"), raw_card("x")).unwrap();
        let body = |source: &str, name: Option<&str>| {
            registration(&source.parse().unwrap(), name, dir.path())
                .map(|body| String::from_utf8(body).unwrap())
        };
        assert_eq!(
            body("a.json", Some("y")).unwrap(),
            format!(r#"{{"name":"y","card":{}}}"#, raw_card("x"))
        );
        assert_eq!(
            body("http://a.example/c", None).unwrap(),
            r#"{"url":"http://a.example/c"}"#
        );
        assert_eq!(body("gone.json", None).unwrap_err().code, "CARD");
        std::fs::write(dir.path().join("b.yaml"), "kind: AgentCard\n").unwrap();
        let failure = body("b.yaml", None).unwrap_err();
        assert!(
            failure.message.contains("`apiVersion` is missing"),
            "{}",
            failure.message
        );
    }
}
