//! `kgents route`: who would answer, and why, without asking them.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Context, words};
use crate::cli::TextArgs;
use crate::exit::{Exit, Failure};
use crate::output::{Style, percent, safe};

/// A routing decision. Fields that a later mesh adds are kept in `more`.
#[derive(Debug, Deserialize, Serialize)]
pub struct Route {
    id: String,
    agent: Option<String>,
    cluster: Option<String>,
    method: String,
    confidence: f64,
    fallback: bool,
    reason: String,
    #[serde(default)]
    revision: serde_json::Value,
    #[serde(default)]
    encoder: Option<String>,
    #[serde(default)]
    alternatives: Vec<Alternative>,
    #[serde(default)]
    policy: Policy,
    #[serde(flatten)]
    more: serde_json::Map<String, serde_json::Value>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Alternative {
    agent: String,
    cluster: String,
    confidence: f64,
    #[serde(flatten)]
    more: serde_json::Map<String, serde_json::Value>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
struct Policy {
    allowed: bool,
    #[serde(default)]
    policy: String,
    #[serde(default)]
    policies_checked: Vec<String>,
    #[serde(flatten)]
    more: serde_json::Map<String, serde_json::Value>,
}

pub async fn run(args: &TextArgs, context: &Context) -> Result<Exit, Failure> {
    let question = json!({ "text": words(&args.text)? })
        .to_string()
        .into_bytes();
    let route: Route = context.mesh()?.post("/v1/route", question).await?;
    context
        .output
        .show(&route, |style| explanation(&route, style));
    Ok(exit(&route))
}

impl Route {
    /// Who would answer.
    pub fn agent(&self) -> Option<&str> {
        self.agent.as_deref()
    }

    /// Whether nobody fitted.
    pub const fn is_fallback(&self) -> bool {
        self.fallback
    }
}

fn exit(route: &Route) -> Exit {
    match &route.agent {
        None => Exit::NobodyFound,
        Some(_) if !route.policy.allowed => Exit::Denied,
        Some(_) if route.fallback => Exit::NobodyFound,
        Some(_) => Exit::Done,
    }
}

/// A decision for a person.
pub fn explanation(route: &Route, style: &Style) -> String {
    let mut lines = vec![headline(route, style)];
    // Where nobody was found, the headline is the reason already.
    if route.agent.is_some() {
        lines.push(format!("  {}", safe(&route.reason)));
    }
    if route.agent.is_some() {
        let count = route.policy.policies_checked.len();
        let checked = format!(
            "({count} {} checked)",
            if count == 1 { "policy" } else { "policies" }
        );
        let verdict = if route.policy.allowed {
            style.green("allowed")
        } else {
            style.red("denied")
        };
        let by = safe(&route.policy.policy);
        lines.push(format!("  {verdict} by {by} {}", style.dim(&checked)));
    }
    if route.encoder.is_none() && route.method == "search" {
        lines.push(format!(
            "  {}",
            style.yellow("by words alone: no model (kgents model install)")
        ));
    }
    // Nobody is considered whose probability does not come to a percent.
    let near = |other: &&Alternative| other.confidence >= 0.01;
    if route.alternatives.iter().any(|other| near(&other)) {
        let title = if route.agent.is_some() {
            "also considered"
        } else {
            "nearest misses"
        };
        lines.push(style.dim(title));
        for other in route.alternatives.iter().filter(near) {
            let sure = percent(other.confidence);
            lines.push(format!(
                "  {sure:>5}  {}",
                safe(&format!("{} in {}", other.agent, other.cluster))
            ));
        }
    }
    lines.join("\n")
}

fn headline(route: &Route, style: &Style) -> String {
    let Some(agent) = &route.agent else {
        return style.yellow(&safe(&route.reason));
    };
    let cluster = route.cluster.as_deref().unwrap_or("?");
    let who = format!("{} in {}", style.bold(&safe(agent)), safe(cluster));
    if route.fallback {
        return format!(
            "{who}, {}",
            style.yellow("the fallback: nobody else fitted")
        );
    }
    format!(
        "{who}, found by {}, {} sure",
        safe(&route.method),
        percent(route.confidence)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(changes: serde_json::Value) -> Route {
        let mut route = json!({
            "id": "evt-1", "agent": "b-gent", "cluster": "local", "method": "search",
            "confidence": 0.931, "fallback": false, "reason": "its skill `balance` fits best",
            "revision": 4, "encoder": "all-minilm-l6-v2/int8",
            "alternatives": [{"agent": "l-gent", "cluster": "local", "confidence": 0.08}],
            "policy": {"allowed": true, "policy": "operator", "policies_checked": ["operator", "x"]},
            "later": 1,
        });
        for (key, value) in changes.as_object().unwrap() {
            route[key] = value.clone();
        }
        serde_json::from_value(route).unwrap()
    }

    fn check(route: &Route, exit_expected: Exit, text: &str) {
        assert_eq!(explanation(route, &Style::plain()), text);
        assert_eq!(exit(route), exit_expected);
    }

    #[test]
    fn a_decision_is_explained() {
        check(
            &route(json!({})),
            Exit::Done,
            "b-gent in local, found by search, 93 % sure\n  its skill `balance` fits best\n  \
             allowed by operator (2 policies checked)\nalso considered\n    8 %  l-gent in local",
        );
    }

    #[test]
    fn nobody_the_fallback_and_a_denial_end_differently() {
        check(
            &route(
                json!({"agent": null, "cluster": null, "method": "fallback", "fallback": true,
                          "confidence": 0, "reason": "nothing fits"}),
            ),
            Exit::NobodyFound,
            "nothing fits\nnearest misses\n    8 %  l-gent in local",
        );
        check(
            &route(json!({"method": "fallback", "fallback": true, "alternatives": []})),
            Exit::NobodyFound,
            "b-gent in local, the fallback: nobody else fitted\n  its skill `balance` fits best\n  \
             allowed by operator (2 policies checked)",
        );
        let denied = json!({"allowed": false, "policy": "default-deny", "policies_checked": ["a"]});
        check(
            &route(json!({"policy": denied, "alternatives": [], "encoder": null})),
            Exit::Denied,
            "b-gent in local, found by search, 93 % sure\n  its skill `balance` fits best\n  \
             denied by default-deny (1 policy checked)\n  by words alone: no model (kgents model install)",
        );
    }

    #[test]
    fn agents_that_do_not_come_near_are_not_told() {
        let far = json!([{"agent": "a", "cluster": "local", "confidence": 0.009}]);
        let text = explanation(&route(json!({ "alternatives": far })), &Style::plain());
        assert!(!text.contains("considered"), "{text}");
    }

    #[test]
    fn fields_of_a_later_version_pass_through() {
        assert_eq!(serde_json::to_value(route(json!({}))).unwrap()["later"], 1);
    }
}
