//! `kgents route`: who would answer, and why, without asking them.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Context, words};
use crate::cli::RouteArgs;
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    degraded: Option<String>,
    #[serde(default)]
    alternatives: Vec<Alternative>,
    #[serde(default)]
    policy: Policy,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    explanation: Option<Explanation>,
    #[serde(flatten)]
    more: serde_json::Map<String, serde_json::Value>,
}

/// What is asked.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Question<'a> {
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    context_id: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    explain: bool,
}

/// How a decision came about, where that was asked for.
#[derive(Debug, Deserialize, Serialize)]
struct Explanation {
    accept: f64,
    rungs: Vec<Rung>,
    #[serde(default)]
    otherwise: Vec<String>,
    #[serde(flatten)]
    more: serde_json::Map<String, serde_json::Value>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Rung {
    rung: String,
    decided: bool,
    says: String,
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

pub async fn run(args: &RouteArgs, context: &Context) -> Result<Exit, Failure> {
    let question = Question {
        text: words(&args.text)?,
        context_id: args.context.as_deref(),
        explain: args.explain,
    };
    let question = json!(question).to_string().into_bytes();
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
    if let Some(why) = &route.degraded {
        let line = format!("decided with less: {}", safe(why));
        lines.push(format!("  {}", style.yellow(&line)));
    } else if route.encoder.is_none() && route.method == "search" {
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
    if let Some(explanation) = &route.explanation {
        lines.extend(ladder(explanation, style));
    }
    lines.join("\n")
}

/// What each rung said, and what would have changed the answer.
fn ladder(explanation: &Explanation, style: &Style) -> Vec<String> {
    let accept = percent(explanation.accept);
    let title = format!("the ladder, first that decides (accepted from {accept} on)");
    let mut lines = vec![style.dim(&title)];
    let name = |rung: &Rung| safe(&rung.rung);
    let widths = explanation.rungs.iter().map(|r| name(r).chars().count());
    let width = widths.max().unwrap_or(0);
    let mut is_open = true;
    for rung in &explanation.rungs {
        let first = rung.decided && is_open;
        is_open &= !first;
        let mark = if first { "→" } else { " " };
        let line = format!("{mark} {:width$}  {}", name(rung), safe(&rung.says));
        lines.push(match (first, is_open) {
            (true, _) => style.bold(&line),
            (false, true) => line,
            (false, false) => style.dim(&line),
        });
    }
    if !explanation.otherwise.is_empty() {
        lines.push(style.dim("what would have changed it"));
        let all = explanation.otherwise.iter();
        lines.extend(all.map(|other| format!("  {}", safe(other))));
    }
    lines
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
    fn what_a_decision_had_to_do_without_is_told() {
        let why = "the encoder did not answer in time";
        let degraded = json!({"alternatives": [], "encoder": null, "degraded": why});
        let text = explanation(&route(degraded), &Style::plain());
        let line = "\n  decided with less: the encoder did not answer in time";
        assert!(text.ends_with(line), "{text}");
    }

    #[test]
    fn agents_that_do_not_come_near_are_not_told() {
        let far = json!([{"agent": "a", "cluster": "local", "confidence": 0.009}]);
        let text = explanation(&route(json!({ "alternatives": far })), &Style::plain());
        assert!(!text.contains("considered"), "{text}");
    }

    #[test]
    fn every_rung_is_told_and_the_one_that_decided_is_marked() {
        let rung = |name, decided| json!({"rung": name, "decided": decided, "says": "it says", "evidence": 1});
        let explained = route(json!({ "alternatives": [], "explanation": {
            "accept": 0.8, "otherwise": ["a name"],
            "rungs": [rung("exact", false), rung("classifier", true), rung("search", true)],
        }}));
        let text = explanation(&explained, &Style::plain());
        let ladder: Vec<&str> = text.lines().skip(3).collect();
        assert_eq!(
            ladder,
            [
                "the ladder, first that decides (accepted from 80 % on)",
                "  exact       it says",
                "→ classifier  it says",
                "  search      it says",
                "what would have changed it",
                "  a name"
            ]
        );
        let passed = serde_json::to_value(&explained).unwrap();
        assert_eq!(passed["explanation"]["rungs"][0]["evidence"], 1);
    }

    #[test]
    fn fields_of_a_later_version_pass_through() {
        assert_eq!(serde_json::to_value(route(json!({}))).unwrap()["later"], 1);
    }
}
