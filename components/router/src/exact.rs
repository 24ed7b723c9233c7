//! The exact rung: names settle it, unless several agents share one.

use crate::order::ordered;
use crate::question::{Alternative, Decision, Method, Named, alternatives};
use crate::reason;

/// What the exact rung says.
#[derive(Debug, Clone, PartialEq)]
pub enum Exact<'a> {
    /// No agent is called that.
    Nobody,
    /// One agent is meant.
    One(Decision),
    /// Several agents share the alias or skill: one of these, in the order of names,
    /// and nobody else, is meant.
    Several(Vec<&'a Named>),
}

/// Judges the matches: a name beats an alias beats a skill; what then is left
/// decides if it is one agent (in several clusters: the first by cluster name).
#[must_use]
pub fn resolve(matches: &[Named]) -> Exact<'_> {
    let known = || matches.iter().filter(|m| !m.agent.is_empty());
    let Some(strongest) = known().map(|m| strength(&m.via)).min() else {
        return Exact::Nobody;
    };
    let strong = known().filter(|m| strength(&m.via) == strongest);
    let mut meant = ordered(strong, |a, b| {
        (&a.agent, &a.cluster).cmp(&(&b.agent, &b.cluster))
    });
    meant.dedup_by(|a, b| a.agent == b.agent && a.cluster == b.cluster);
    let Some((first, others)) = meant.split_first() else {
        return Exact::Nobody;
    };
    if others.iter().any(|m| m.agent != first.agent) {
        return Exact::Several(meant);
    }
    Exact::One(decision(first, matches))
}

/// The others that matched are alternatives: the same agent elsewhere is as
/// certain, a weaker match is not what was meant.
fn decision(chosen: &Named, matches: &[Named]) -> Decision {
    let others = matches
        .iter()
        .filter(|m| !m.agent.is_empty())
        .map(|m| Alternative {
            agent: m.agent.clone(),
            cluster: m.cluster.clone(),
            confidence: if m.agent == chosen.agent { 1.0 } else { 0.0 },
        });
    Decision {
        agent: Some(chosen.agent.clone()),
        cluster: Some(chosen.cluster.clone()),
        method: Method::Exact,
        confidence: 1.0,
        in_scope: 1.0,
        fallback: false,
        reason: reason::exact(chosen),
        alternatives: alternatives(others.collect(), Some((&chosen.agent, &chosen.cluster))),
    }
}

/// How many different agents are meant; `meant` is in the order of names.
#[must_use]
pub fn agents(meant: &[&Named]) -> usize {
    let changes = meant.windows(2).filter(|pair| match pair {
        [a, b] => a.agent != b.agent,
        _ => false,
    });
    changes.count() + usize::from(!meant.is_empty())
}

fn strength(via: &str) -> u8 {
    match via {
        "name" => 0,
        "alias" => 1,
        "skill" => 2,
        _ => 3,
    }
}
