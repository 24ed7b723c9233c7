//! The router's records as the pure crate has them, and its answers back.

use kgents_decide::records::router;
use kgents_router::{classify, question};

/// All that was gathered.
pub fn evidence(evidence: &router::Evidence) -> question::Evidence {
    let named = |named: &router::Named| question::Named {
        agent: named.agent.clone(),
        cluster: named.cluster.clone(),
        via: named.via.clone(),
    };
    let holder = |holder: &router::Holder| question::Holder {
        agent: holder.agent.clone(),
        cluster: holder.cluster.clone(),
    };
    let remembered = |found: &router::Remembered| question::Remembered {
        agent: found.agent.clone(),
        cluster: found.cluster.clone(),
        confidence: found.confidence,
        alternatives: found.alternatives.iter().map(alternative).collect(),
        instead_of: found.instead_of.clone(),
    };
    let similar = |found: &router::Similar| question::Similar {
        agent: found.agent.clone(),
        cluster: found.cluster.clone(),
        confidence: found.confidence,
        cosine: found.cosine,
        probability: found.probability,
        probability_min: found.probability_min,
        cosine_min: found.cosine_min,
    };
    question::Evidence {
        exact: evidence
            .exact
            .as_ref()
            .map(|all| all.iter().map(named).collect()),
        conversation: inner(&evidence.conversation, holder),
        cache: inner(&evidence.cache, remembered),
        similar: inner(&evidence.similar, similar),
        classifier: inner(&evidence.classifier, classified),
        search: evidence.search.as_ref().map(found),
        fallback: evidence.fallback.clone(),
    }
}

fn inner<A, B>(rung: &Option<Option<A>>, one: impl Fn(&A) -> B) -> Option<Option<B>> {
    rung.as_ref().map(|found| found.as_ref().map(one))
}

fn classified(all: &router::Classified) -> classify::Classified {
    let classed = |one: &router::Classed| classify::Classed {
        agent: one.agent.clone(),
        cluster: one.cluster.clone(),
        skill: one.skill.clone(),
        confidence: one.confidence,
        is_taught: one.is_taught,
    };
    classify::Classified {
        tier: match all.tier {
            router::Tier::Words => classify::Tier::Words,
            router::Tier::Sentences => classify::Tier::Sentences,
        },
        in_scope: all.in_scope,
        features: classify::Features {
            energy: all.features.energy,
            words_mean: all.features.words_mean,
            words_best: all.features.words_best,
            plain_mean: all.features.plain_mean,
            plain_best: all.features.plain_best,
            sentence_mean: all.features.sentence_mean,
            share: all.features.share,
        },
        agents: all.agents.iter().map(classed).collect(),
    }
}

fn found(found: &router::Found) -> question::Found {
    let candidate = |candidate: &router::Candidate| question::Candidate {
        agent: candidate.agent.clone(),
        cluster: candidate.cluster.clone(),
        skill: candidate.skill.clone(),
        lexical: candidate.lexical,
        coverage: candidate.coverage,
        vector: candidate.vector,
        is_taught: candidate.is_taught,
    };
    question::Found {
        candidates: found.candidates.iter().map(candidate).collect(),
        encoder: found.encoder.clone(),
    }
}

fn alternative(one: &router::Alternative) -> question::Alternative {
    question::Alternative {
        agent: one.agent.clone(),
        cluster: one.cluster.clone(),
        confidence: one.confidence,
    }
}

/// What the pure crate says.
pub fn step(step: question::Step) -> router::Step {
    use question::{Rung, Step};
    match step {
        Step::Need(rung) => router::Step::Need(match rung {
            Rung::Exact => router::Rung::Exact,
            Rung::Conversation => router::Rung::Conversation,
            Rung::Cache => router::Rung::Cache,
            Rung::Similar => router::Rung::Similar,
            Rung::Classifier => router::Rung::Classifier,
            Rung::Search => router::Rung::Search,
            Rung::Fallback => router::Rung::Fallback,
        }),
        Step::Decided(decision) => router::Step::Decided(decided(decision)),
    }
}

fn decided(decision: question::Decision) -> router::Decision {
    use question::Method;
    let alternative = |one: question::Alternative| router::Alternative {
        agent: one.agent,
        cluster: one.cluster,
        confidence: one.confidence,
    };
    router::Decision {
        agent: decision.agent,
        cluster: decision.cluster,
        method: match decision.method {
            Method::Exact => router::Method::Exact,
            Method::Conversation => router::Method::Conversation,
            Method::Cache => router::Method::Cache,
            Method::Similar => router::Method::Similar,
            Method::Classifier => router::Method::Classifier,
            Method::Search => router::Method::Search,
            Method::Fallback => router::Method::Fallback,
        },
        confidence: decision.confidence,
        in_scope: decision.in_scope,
        fallback: decision.fallback,
        reason: decision.reason,
        alternatives: decision.alternatives.into_iter().map(alternative).collect(),
    }
}
