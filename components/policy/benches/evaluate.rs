//! What a query costs, beside Cedar asked with the whole set. Run with
//! `cargo bench -p kgents-policy`; the figures are minimum and median over
//! repeated runs, in microseconds a query.

#![expect(
    clippy::indexing_slicing,
    clippy::result_large_err,
    reason = "a measurement stops at the first surprise"
)]

use std::time::Instant;

use kgents_policy::{Attribute, Kind, PolicySet, Query, Source, Subject, Value};

const RUNS: usize = 200;

fn main() {
    println!(
        "policies |  load ms | sliced us min/p50 (considered) | batch us/query | whole set us min/p50"
    );
    for agents in [10, 100, 1_000] {
        row(agents);
    }
}

fn row(agents: usize) {
    let text = policies(agents);
    let sources = [Source {
        name: "bench.cedar".to_owned(),
        text,
    }];
    let begun = Instant::now();
    let Ok(set) = PolicySet::load(&sources) else {
        println!("the policies do not load");
        return;
    };
    let load_ms = begun.elapsed().as_secs_f64() * 1e3;
    let subject = subject(agents);
    let queries: Vec<Query> = (0..agents).map(query).collect();
    let one = &queries[agents / 2..=agents / 2];
    let considered = set.evaluate(&subject, one)[0].checked.len();
    let single = timed(|| drop(set.evaluate(&subject, one)));
    let batch = timed(|| drop(set.evaluate(&subject, &queries)));
    let whole = whole(&sources[0].text, agents);
    println!(
        "{:8} | {load_ms:8.1} | {:8.1} /{:8.1} ({considered}) | {:8.1} | {:8.1} /{:8.1}",
        set.ids().len(),
        single.0,
        single.1,
        batch.1 / agents as f64,
        whole.0,
        whole.1,
    );
}

/// Three forbids, one for the operator, and one permit for each agent.
fn policies(agents: usize) -> String {
    let mut text = String::from(
        r#"
        @id("operator") permit(principal == User::"ada", action, resource);
        @id("no-chaos") forbid(principal, action == Action::"emit", resource == Pheromone::"CHAOS");
        @id("residency") forbid(principal, action in Action::"use", resource is Agent)
          when { resource has labels && resource.labels.contains("residency=eu") }
          unless { principal has cluster && principal.cluster like "eu-*" };
        @id("large") forbid(principal, action == Action::"allocate", resource)
          when { context.tokens > 1000000 };
        "#,
    );
    for agent in 0..agents {
        let team = agent % 50;
        text += &format!(
            "@id(\"allow-agent-{agent}\") permit(principal in Group::\"team-{team}\", \
             action in Action::\"use\", resource == Agent::\"agent-{agent}\");\n"
        );
    }
    text
}

fn subject(agents: usize) -> Subject {
    let text = |name: &str, value: &str| Attribute {
        name: name.to_owned(),
        value: Value::Text(value.to_owned()),
    };
    Subject {
        kind: Kind::User,
        id: "bob".to_owned(),
        groups: vec!["everyone".to_owned(), format!("team-{}", (agents / 2) % 50)],
        attributes: vec![
            text("spiffe_id", "spiffe://mesh.local/users/bob"),
            text("trust_domain", "mesh.local"),
            text("cluster", "eu-1"),
        ],
    }
}

fn query(agent: usize) -> Query {
    let texts = |name: &str, values: &[&str]| Attribute {
        name: name.to_owned(),
        value: Value::Texts(values.iter().map(ToString::to_string).collect()),
    };
    Query {
        action: "invoke".to_owned(),
        resource_kind: Kind::Agent,
        resource_id: format!("agent-{agent}"),
        resource_groups: Vec::new(),
        resource_attributes: vec![
            texts("labels", &["residency=eu", "team=a"]),
            texts("skills", &["translate", "summarise"]),
        ],
        context: Vec::new(),
    }
}

/// Cedar alone: only the evaluation, with request and entities made before.
fn whole(text: &str, agents: usize) -> (f64, f64) {
    use cedar_policy::{Authorizer, Context, Entities, Request};
    let entities = format!(
        r#"[{{"uid": {{"type": "User", "id": "bob"}}, "attrs": {{"cluster": "eu-1"}},
             "parents": [{{"type": "Group", "id": "team-{}"}}]}},
            {{"uid": {{"type": "Agent", "id": "agent-{}"}}, "parents": [],
             "attrs": {{"labels": ["residency=eu"]}}}},
            {{"uid": {{"type": "Action", "id": "invoke"}}, "attrs": {{}},
             "parents": [{{"type": "Action", "id": "use"}}]}}]"#,
        (agents / 2) % 50,
        agents / 2
    );
    let (Ok(set), Ok(entities)) = (
        text.parse::<cedar_policy::PolicySet>(),
        Entities::from_json_str(&entities, None),
    ) else {
        return (f64::NAN, f64::NAN);
    };
    let names = [
        "User::\"bob\"".to_owned(),
        "Action::\"invoke\"".to_owned(),
        format!("Agent::\"agent-{}\"", agents / 2),
    ];
    let [Ok(principal), Ok(action), Ok(resource)] = names.map(|name| name.parse()) else {
        return (f64::NAN, f64::NAN);
    };
    let Ok(request) = Request::new(principal, action, resource, Context::empty(), None) else {
        return (f64::NAN, f64::NAN);
    };
    let authorizer = Authorizer::new();
    timed(|| drop(authorizer.is_authorized(&request, &set, &entities)))
}

/// Minimum and median, in microseconds.
fn timed(mut run: impl FnMut()) -> (f64, f64) {
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let begun = Instant::now();
            run();
            begun.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    (times[0], times[RUNS / 2])
}
