//! How a decision came about: what each rung would have said alone, and what would
//! have changed the answer. The router itself is asked each of these questions, so
//! that an explanation cannot tell another story than the decision.

use super::routed::{method_name, rounded};
use super::{Climb, RUNGS, Routing, undecided};
use kgents_engine::deciders::router::{Decision, Evidence, Method, Question, Rung, Step};
use kgents_gateway::call::Failure;
use serde_json::{Value, json};

/// What every rung said, and what would have changed the answer.
#[derive(Clone, Debug)]
pub struct Explanation {
    accept: f32,
    rungs: Vec<Said>,
    otherwise: Vec<String>,
}

/// What one rung says when it is asked alone.
#[derive(Clone, Debug)]
struct Said {
    rung: Rung,
    decided: bool,
    says: String,
    evidence: Value,
}

impl Routing {
    /// Explains a decision for which every rung's evidence was gathered.
    pub(super) fn explain(
        &self,
        climb: &Climb,
        decision: &Decision,
    ) -> Result<Explanation, Failure> {
        let question = self.question(climb);
        let rungs = RUNGS.map(|rung| self.said(&question, &climb.evidence, rung));
        Ok(Explanation {
            accept: climb.asked.accept,
            rungs: rungs.into_iter().collect::<Result<_, _>>()?,
            otherwise: self.otherwise(&question, &climb.evidence, decision)?,
        })
    }

    fn said(&self, question: &Question, all: &Evidence, rung: Rung) -> Result<Said, Failure> {
        let mut evidence = in_vain();
        // Which agents share the words as a name counts for every rung.
        evidence.exact.clone_from(&all.exact);
        match rung {
            Rung::Exact => {}
            Rung::Conversation => evidence.conversation.clone_from(&all.conversation),
            Rung::Cache => evidence.cache.clone_from(&all.cache),
            Rung::Similar => evidence.similar.clone_from(&all.similar),
            Rung::Classifier => evidence.classifier.clone_from(&all.classifier),
            Rung::Search => evidence.search.clone_from(&all.search),
            Rung::Fallback => evidence.fallback.clone_from(&all.fallback),
        }
        let decision = self.decision(question, &evidence)?;
        let by_name = decision.method == Method::Exact;
        let is_its_own = (rung == Rung::Exact) == by_name;
        let mut decided = match rung {
            Rung::Fallback => decision.agent.is_some() && is_its_own,
            _ => !decision.fallback && is_its_own,
        };
        let mut overruled = "";
        if rung == Rung::Search && decided {
            // The search does not overrule the classifier on whom that was taught.
            evidence.classifier.clone_from(&all.classifier);
            decided = !self.decision(question, &evidence)?.fallback;
            if !decided {
                overruled = "; the classifier, which knows it by examples, is not sure";
            }
        }
        let says = match silent(all, rung) {
            Some(silent) => silent.to_owned(),
            None if by_name && rung != Rung::Exact => "the name had decided".to_owned(),
            None if rung == Rung::Similar && !decided => unlike(all),
            None => format!("{}{overruled}", decision.reason),
        };
        Ok(Said {
            rung,
            decided,
            says,
            evidence: seen(all, rung),
        })
    }

    /// What would have changed the answer.
    fn otherwise(
        &self,
        question: &Question,
        all: &Evidence,
        decision: &Decision,
    ) -> Result<Vec<String>, Failure> {
        let mut otherwise = Vec::new();
        let sure = rounded(decision.confidence);
        let remembered = matches!(
            decision.method,
            Method::Cache | Method::Similar | Method::Conversation
        );
        if remembered {
            let anew = Evidence {
                conversation: Some(None),
                cache: Some(None),
                similar: Some(None),
                ..all.clone()
            };
            otherwise.push(anew_would_be(&self.decision(question, &anew)?));
        }
        match (&decision.agent, decision.method) {
            (Some(_), Method::Exact) => {
                otherwise.push("other words than the name: then what they mean decides".to_owned());
            }
            (Some(agent), _) if !decision.fallback => {
                if decision.method != Method::Conversation {
                    otherwise.push(format!(
                        "`thresholds.accept` above {sure}: it would refuse `{agent}`"
                    ));
                }
                if let Some(next) = decision.alternatives.first() {
                    let next_sure = rounded(next.confidence);
                    otherwise.push(format!(
                        "without `{agent}`, `{}` came next at {next_sure}",
                        next.agent
                    ));
                }
            }
            _ => {
                if let Some(near) = decision.alternatives.first() {
                    let near_sure = rounded(near.confidence);
                    otherwise.push(format!(
                        "`thresholds.accept` at {near_sure} or below: it would take `{}`",
                        near.agent
                    ));
                }
                otherwise.push(
                    "an example in these words: on the card of whoever should answer, or by \
                     `kgents router feedback ID --wrong --should-be AGENT`"
                        .to_owned(),
                );
            }
        }
        Ok(otherwise)
    }

    fn decision(&self, question: &Question, evidence: &Evidence) -> Result<Decision, Failure> {
        match self.step(question, evidence)? {
            Step::Decided(decision) => Ok(decision),
            Step::Need(_) => Err(undecided()),
        }
    }
}

impl Explanation {
    /// As `POST /v1/route` answers it.
    pub fn to_json(&self) -> Value {
        let said = |said: &Said| {
            json!({
                "rung": rung_name(said.rung),
                "decided": said.decided,
                "says": said.says,
                "evidence": said.evidence,
            })
        };
        json!({
            "accept": rounded(self.accept),
            "rungs": self.rungs.iter().map(said).collect::<Vec<_>>(),
            "otherwise": self.otherwise,
        })
    }
}

/// Evidence of which every rung was asked in vain.
fn in_vain() -> Evidence {
    Evidence {
        exact: Some(Vec::new()),
        conversation: Some(None),
        cache: Some(None),
        similar: Some(None),
        classifier: Some(None),
        search: Some(kgents_engine::deciders::router::Found {
            candidates: Vec::new(),
            encoder: None,
        }),
        fallback: Some(None),
    }
}

/// What is to be said of a rung that has nothing to say.
fn silent(all: &Evidence, rung: Rung) -> Option<&'static str> {
    let is_silent = |is_empty: bool, says| is_empty.then_some(says);
    match rung {
        Rung::Exact => is_silent(
            all.exact.as_ref().is_none_or(Vec::is_empty),
            "no agent, alias or skill is called that",
        ),
        Rung::Conversation => is_silent(
            all.conversation.as_ref().is_none_or(Option::is_none),
            "no conversation, or nobody who has it",
        ),
        Rung::Cache => is_silent(
            all.cache.as_ref().is_none_or(Option::is_none),
            "not decided before",
        ),
        Rung::Similar => is_silent(
            all.similar.as_ref().is_none_or(Option::is_none),
            "nothing like it was decided before",
        ),
        Rung::Classifier => is_silent(
            all.classifier.as_ref().is_none_or(Option::is_none),
            "nothing that was learnt from the cards comes near",
        ),
        Rung::Search => is_silent(
            all.search
                .as_ref()
                .is_none_or(|found| found.candidates.is_empty()),
            "no skill has a word or a meaning in common with it",
        ),
        Rung::Fallback => is_silent(
            all.fallback.as_ref().is_none_or(Option::is_none),
            "no fallback is configured for this caller",
        ),
    }
}

/// Why the nearest decided text did not decide.
fn unlike(all: &Evidence) -> String {
    let Some(near) = all.similar.iter().flatten().next() else {
        return String::new();
    };
    format!(
        "the nearest question before went to `{}`: cosine {:.2} of {:.2}, and {:.2} of {:.2} \
         that this one goes there too",
        near.agent, near.cosine, near.cosine_min, near.probability, near.probability_min
    )
}

fn anew_would_be(decision: &Decision) -> String {
    let sure = rounded(decision.confidence);
    match &decision.agent {
        Some(agent) => format!(
            "decided anew, it would be `{agent}` by {} at {sure}",
            method_name(decision)
        ),
        None => "decided anew, it would be nobody".to_owned(),
    }
}

/// A rung's evidence as JSON, numbers to four digits.
fn seen(all: &Evidence, rung: Rung) -> Value {
    let evidence = match rung {
        Rung::Exact => serde_json::to_value(&all.exact),
        Rung::Conversation => serde_json::to_value(&all.conversation),
        Rung::Cache => serde_json::to_value(&all.cache),
        Rung::Similar => serde_json::to_value(&all.similar),
        Rung::Classifier => serde_json::to_value(&all.classifier),
        Rung::Search => serde_json::to_value(&all.search),
        Rung::Fallback => serde_json::to_value(&all.fallback),
    };
    let mut evidence = evidence.unwrap_or_default();
    round(&mut evidence);
    // A name of the contract, where Rust's is capitalised.
    if let Some(Value::String(tier)) = evidence.get_mut("tier") {
        tier.make_ascii_lowercase();
    }
    evidence
}

fn round(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let digits = number.as_f64().filter(|_| number.is_f64());
            if let Some(digits) = digits {
                *value = json!((digits * 10_000.0).round() / 10_000.0);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(round),
        Value::Object(members) => members.values_mut().for_each(round),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

const fn rung_name(rung: Rung) -> &'static str {
    match rung {
        Rung::Exact => "exact",
        Rung::Conversation => "conversation",
        Rung::Cache => "cache",
        Rung::Similar => "similar",
        Rung::Classifier => "classifier",
        Rung::Search => "search",
        Rung::Fallback => "fallback",
    }
}
