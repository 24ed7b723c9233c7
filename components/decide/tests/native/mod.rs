//! The four deciders as the pure crates they are made of: no component, no
//! composer, the same decisions. And the table of requests to ask them.

pub mod ladder;
pub mod schema;
pub mod table;

use kgents_decide::Deciders;
use kgents_decide::ask::{Judged, Loaded};
use kgents_decide::records::{health, pheromone, policy, router};

/// The pure crates behind the component's trait.
pub struct Native;

impl Deciders for Native {
    fn decide(&self, question: &router::Question, evidence: &router::Evidence) -> router::Step {
        let question = kgents_router::question::Question {
            text: question.text.clone(),
            target: question.target.clone(),
            accept: question.accept,
        };
        ladder::step(kgents_router::decide(
            &question,
            &ladder::evidence(evidence),
        ))
    }

    fn load(&self, sources: &[policy::Source]) -> Result<Loaded, Vec<policy::Problem>> {
        let set = set(sources)?;
        Ok(Loaded {
            ids: set.ids().to_vec(),
        })
    }

    fn evaluate(
        &self,
        sources: &[policy::Source],
        subject: &policy::Subject,
        queries: &[policy::Query],
    ) -> Result<Judged, Vec<policy::Problem>> {
        let set = set(sources)?;
        let subject = kgents_policy::Subject {
            kind: kind(subject.kind),
            id: subject.id.clone(),
            groups: subject.groups.clone(),
            attributes: attributes(&subject.attributes),
        };
        let queries: Vec<_> = queries.iter().map(query).collect();
        let verdict = |verdict: kgents_policy::Verdict| policy::Verdict {
            allowed: verdict.allowed,
            policy: verdict.policy,
            checked: verdict.checked,
            errors: verdict.errors,
        };
        let verdicts = set.evaluate(&subject, &queries);
        Ok(Judged {
            ids: set.ids().to_vec(),
            verdicts: verdicts.into_iter().map(verdict).collect(),
        })
    }

    fn schema(&self) -> String {
        kgents_policy::SCHEMA.to_owned()
    }

    fn accept(
        &self,
        draft: &pheromone::Draft,
        own_kinds: &[String],
        now_ms: u64,
    ) -> Result<pheromone::Pheromone, Vec<pheromone::Problem>> {
        let draft = kgents_pheromone::Draft {
            kind: draft.kind.clone(),
            source: draft.source.clone(),
            initial_intensity: draft.initial_intensity,
            half_life_minutes: draft.half_life_minutes,
            target: draft.target.clone(),
            ttl_seconds: draft.ttl_seconds,
        };
        let problem = |problem: kgents_pheromone::Problem| pheromone::Problem {
            field: problem.field.to_owned(),
            message: problem.message,
        };
        kgents_pheromone::accept(draft, own_kinds, now_ms)
            .map(|stored| pheromone::Pheromone {
                kind: stored.kind,
                source: stored.source,
                emitted_at_ms: stored.emitted_at_ms,
                initial_intensity: stored.initial_intensity,
                half_life_ms: stored.half_life_ms,
                target: stored.target,
                ttl_ms: stored.ttl_ms,
            })
            .map_err(|problems| problems.into_iter().map(problem).collect())
    }

    fn intensity(&self, pheromone: &pheromone::Pheromone, now_ms: u64) -> f64 {
        kgents_pheromone::intensity(&signal(pheromone), now_ms)
    }

    fn sense(
        &self,
        pheromones: &[pheromone::Pheromone],
        filter: &pheromone::Filter,
        now_ms: u64,
    ) -> Vec<pheromone::Sensed> {
        let signals: Vec<_> = pheromones.iter().map(signal).collect();
        let filter = kgents_pheromone::Filter {
            kind: filter.kind.clone(),
            target: filter.target.clone(),
            min_intensity: filter.min_intensity,
            limit: filter.limit,
        };
        let sensed = |sensed: kgents_pheromone::Sensed| pheromone::Sensed {
            index: sensed.index,
            intensity: sensed.intensity,
        };
        let all = kgents_pheromone::sense(&signals, &filter, now_ms);
        all.into_iter().map(sensed).collect()
    }

    fn judge(
        &self,
        probes: &[health::Probe],
        limits: health::Limits,
        now_ms: u64,
    ) -> health::Verdict {
        let probes: Vec<_> = probes.iter().map(probe).collect();
        let limits = kgents_health::Limits {
            slow_ms: limits.slow_ms,
            failures: limits.failures,
            stale_ms: limits.stale_ms,
        };
        let verdict = kgents_health::judge(&probes, limits, now_ms);
        health::Verdict {
            status: match verdict.status {
                kgents_health::Status::Unknown => health::Status::Unknown,
                kgents_health::Status::Healthy => health::Status::Healthy,
                kgents_health::Status::Degraded => health::Status::Degraded,
                kgents_health::Status::Failed => health::Status::Failed,
            },
            reason: verdict.reason,
        }
    }
}

fn probe(probe: &health::Probe) -> kgents_health::Probe {
    kgents_health::Probe {
        at_ms: probe.at_ms,
        outcome: match probe.outcome {
            health::Outcome::Answered(took_ms) => kgents_health::Outcome::Answered(took_ms),
            health::Outcome::Status(code) => kgents_health::Outcome::Status(code),
            health::Outcome::Unreachable => kgents_health::Outcome::Unreachable,
            health::Outcome::TimedOut(budget_ms) => kgents_health::Outcome::TimedOut(budget_ms),
            health::Outcome::Malformed => kgents_health::Outcome::Malformed,
        },
    }
}

fn signal(stored: &pheromone::Pheromone) -> kgents_pheromone::Pheromone {
    kgents_pheromone::Pheromone {
        kind: stored.kind.clone(),
        source: stored.source.clone(),
        emitted_at_ms: stored.emitted_at_ms,
        initial_intensity: stored.initial_intensity,
        half_life_ms: stored.half_life_ms,
        target: stored.target.clone(),
        ttl_ms: stored.ttl_ms,
    }
}

fn set(sources: &[policy::Source]) -> Result<kgents_policy::PolicySet, Vec<policy::Problem>> {
    let source = |source: &policy::Source| kgents_policy::Source {
        name: source.name.clone(),
        text: source.text.clone(),
    };
    let problem = |problem: kgents_policy::Problem| policy::Problem {
        source: problem.source,
        policy: problem.policy,
        line: problem.line,
        message: problem.message,
        hint: problem.hint,
    };
    let sources: Vec<_> = sources.iter().map(source).collect();
    kgents_policy::PolicySet::load(&sources)
        .map_err(|problems| problems.into_iter().map(problem).collect())
}

fn query(query: &policy::Query) -> kgents_policy::Query {
    kgents_policy::Query {
        action: query.action.clone(),
        resource_kind: kind(query.resource_kind),
        resource_id: query.resource_id.clone(),
        resource_groups: query.resource_groups.clone(),
        resource_attributes: attributes(&query.resource_attributes),
        context: attributes(&query.context),
    }
}

fn kind(kind: policy::Kind) -> kgents_policy::Kind {
    match kind {
        policy::Kind::User => kgents_policy::Kind::User,
        policy::Kind::Agent => kgents_policy::Kind::Agent,
        policy::Kind::Gateway => kgents_policy::Kind::Gateway,
        policy::Kind::Account => kgents_policy::Kind::Account,
        policy::Kind::Pheromone => kgents_policy::Kind::Pheromone,
        policy::Kind::Mesh => kgents_policy::Kind::Mesh,
    }
}

fn attributes(attributes: &[policy::Attribute]) -> Vec<kgents_policy::Attribute> {
    let value = |value: &policy::Value| match value.clone() {
        policy::Value::Text(text) => kgents_policy::Value::Text(text),
        policy::Value::Number(number) => kgents_policy::Value::Number(number),
        policy::Value::Truth(truth) => kgents_policy::Value::Truth(truth),
        policy::Value::Texts(texts) => kgents_policy::Value::Texts(texts),
    };
    let attribute = |attribute: &policy::Attribute| kgents_policy::Attribute {
        name: attribute.name.clone(),
        value: value(&attribute.value),
    };
    attributes.iter().map(attribute).collect()
}
