//! Bindings in, bindings out.

#![allow(
    missing_docs,
    reason = "generated from the WIT, which documents every item"
)]

use crate::question as pure;
use exports::kgents::router::routing as wit;

wit_bindgen::generate!({ world: "router", path: "../../wit/router" });

struct Router;

export!(Router);

impl wit::Guest for Router {
    fn decide(question: wit::Question, evidence: wit::Evidence) -> wit::Step {
        crate::decide(&question.into(), &evidence.into()).into()
    }
}

impl From<wit::Question> for pure::Question {
    fn from(
        wit::Question {
            text,
            target,
            accept,
        }: wit::Question,
    ) -> Self {
        Self {
            text,
            target,
            accept,
        }
    }
}

impl From<wit::Evidence> for pure::Evidence {
    fn from(
        wit::Evidence {
            exact,
            cache,
            search,
            fallback,
        }: wit::Evidence,
    ) -> Self {
        Self {
            exact: exact.map(|named| named.into_iter().map(Into::into).collect()),
            cache: cache.map(|found| found.map(Into::into)),
            search: search.map(Into::into),
            fallback,
        }
    }
}

impl From<wit::Named> for pure::Named {
    fn from(
        wit::Named {
            agent,
            cluster,
            via,
        }: wit::Named,
    ) -> Self {
        Self {
            agent,
            cluster,
            via,
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
        } = found;
        let alternatives = alternatives.into_iter().map(Into::into).collect();
        Self {
            agent,
            cluster,
            confidence,
            alternatives,
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
            candidates: candidates.into_iter().map(Into::into).collect(),
            encoder,
        }
    }
}

impl From<wit::Candidate> for pure::Candidate {
    fn from(candidate: wit::Candidate) -> Self {
        let wit::Candidate {
            agent,
            cluster,
            skill,
            lexical,
            coverage,
            vector,
        } = candidate;
        Self {
            agent,
            cluster,
            skill,
            lexical,
            coverage,
            vector,
        }
    }
}

impl From<wit::Alternative> for pure::Alternative {
    fn from(
        wit::Alternative {
            agent,
            cluster,
            confidence,
        }: wit::Alternative,
    ) -> Self {
        Self {
            agent,
            cluster,
            confidence,
        }
    }
}

impl From<pure::Alternative> for wit::Alternative {
    fn from(
        pure::Alternative {
            agent,
            cluster,
            confidence,
        }: pure::Alternative,
    ) -> Self {
        Self {
            agent,
            cluster,
            confidence,
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
            pure::Rung::Cache => Self::Cache,
            pure::Rung::Search => Self::Search,
            pure::Rung::Fallback => Self::Fallback,
        }
    }
}

impl From<pure::Method> for wit::Method {
    fn from(method: pure::Method) -> Self {
        match method {
            pure::Method::Exact => Self::Exact,
            pure::Method::Cache => Self::Cache,
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
            fallback,
            reason,
            alternatives,
        } = decision;
        Self {
            agent,
            cluster,
            method: method.into(),
            confidence,
            fallback,
            reason,
            alternatives: alternatives.into_iter().map(Into::into).collect(),
        }
    }
}
