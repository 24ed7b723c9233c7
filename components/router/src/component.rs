//! Bindings in, bindings out.

#![allow(
    missing_docs,
    reason = "generated from the WIT, which documents every item"
)]

mod learnt;

use crate::question as pure;
use exports::kgents::router::routing as wit;

wit_bindgen::generate!({ world: "router", path: "../../wit/router" });

/// A record that has the same fields on both sides, by one way.
macro_rules! same {
    ($from:path => $to:path { $($field:ident),* $(,)? }) => {
        impl From<$from> for $to {
            fn from($from { $($field),* }: $from) -> Self {
                Self { $($field: $field.into()),* }
            }
        }
    };
}
use same;

struct Router;

export!(Router);

impl wit::Guest for Router {
    type Model = crate::model::Model;

    fn decide(question: wit::Question, evidence: wit::Evidence) -> wit::Step {
        crate::decide(&question.into(), &evidence.into()).into()
    }
}

fn all<A, B: From<A>>(values: Vec<A>) -> Vec<B> {
    values.into_iter().map(Into::into).collect()
}

same!(wit::Question => pure::Question { text, target, accept });
same!(wit::Named => pure::Named { agent, cluster, via });
same!(wit::Holder => pure::Holder { agent, cluster });
same!(wit::Candidate => pure::Candidate { agent, cluster, skill, lexical, coverage, vector, is_taught });
same!(wit::Alternative => pure::Alternative { agent, cluster, confidence });
same!(pure::Alternative => wit::Alternative { agent, cluster, confidence });
same!(wit::Similar => pure::Similar {
    agent, cluster, confidence, cosine, probability, probability_min, cosine_min,
});

impl From<wit::Evidence> for pure::Evidence {
    fn from(evidence: wit::Evidence) -> Self {
        let wit::Evidence {
            exact,
            conversation,
            cache,
            similar,
            classifier,
            search,
            fallback,
        } = evidence;
        Self {
            exact: exact.map(all),
            conversation: conversation.map(|holder| holder.map(Into::into)),
            cache: cache.map(|found| found.map(Into::into)),
            similar: similar.map(|found| found.map(Into::into)),
            classifier: classifier.map(|classified| classified.map(Into::into)),
            search: search.map(Into::into),
            fallback,
        }
    }
}

impl From<wit::Remembered> for pure::Remembered {
    fn from(found: wit::Remembered) -> Self {
        let wit::Remembered {
            agent,
            cluster,
            confidence,
            alternatives,
            instead_of,
        } = found;
        Self {
            agent,
            cluster,
            confidence,
            alternatives: all(alternatives),
            instead_of,
        }
    }
}

impl From<wit::Found> for pure::Found {
    fn from(
        wit::Found {
            candidates,
            encoder,
        }: wit::Found,
    ) -> Self {
        Self {
            candidates: all(candidates),
            encoder,
        }
    }
}

impl From<pure::Step> for wit::Step {
    fn from(step: pure::Step) -> Self {
        match step {
            pure::Step::Need(rung) => Self::Need(rung.into()),
            pure::Step::Decided(decision) => Self::Decided(decision.into()),
        }
    }
}

impl From<pure::Rung> for wit::Rung {
    fn from(rung: pure::Rung) -> Self {
        match rung {
            pure::Rung::Exact => Self::Exact,
            pure::Rung::Conversation => Self::Conversation,
            pure::Rung::Cache => Self::Cache,
            pure::Rung::Similar => Self::Similar,
            pure::Rung::Classifier => Self::Classifier,
            pure::Rung::Search => Self::Search,
            pure::Rung::Fallback => Self::Fallback,
        }
    }
}

impl From<pure::Method> for wit::Method {
    fn from(method: pure::Method) -> Self {
        match method {
            pure::Method::Exact => Self::Exact,
            pure::Method::Conversation => Self::Conversation,
            pure::Method::Cache => Self::Cache,
            pure::Method::Similar => Self::Similar,
            pure::Method::Classifier => Self::Classifier,
            pure::Method::Search => Self::Search,
            pure::Method::Fallback => Self::Fallback,
        }
    }
}

impl From<pure::Decision> for wit::Decision {
    fn from(decision: pure::Decision) -> Self {
        let pure::Decision {
            agent,
            cluster,
            method,
            confidence,
            in_scope,
            fallback,
            reason,
            alternatives,
        } = decision;
        Self {
            agent,
            cluster,
            method: method.into(),
            confidence,
            in_scope,
            fallback,
            reason,
            alternatives: all(alternatives),
        }
    }
}
