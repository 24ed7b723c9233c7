//! Tests: an index answers by what is in it, whatever happened to it. Blocks are
//! small in tests, so that they are cut and joined all the time.

use crate::{AgentDoc, AgentKey, Hit, Index, SkillDoc, words};
use proptest::prelude::*;
use reference::Agents;
use texts::{Numbers, VECTORS};

#[path = "../tests/reference/mod.rs"]
mod reference;
#[path = "../tests/reference/texts.rs"]
mod texts;

/// Who goes and who comes, by number.
type Step = (Vec<u8>, Vec<(u8, u64)>);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let remove = prop::collection::vec(any::<u8>(), 0..12);
    let add = prop::collection::vec((any::<u8>(), any::<u64>()), 0..24);
    prop::collection::vec((remove, add), 1..16)
}

fn name(number: u8) -> String {
    format!("agent-{}", number % 120)
}

fn after(steps: Vec<Step>) -> (Index, Agents) {
    let (mut index, mut agents) = (Index::default(), Agents::new());
    for (remove, add) in steps {
        let remove: Vec<AgentKey> = remove.into_iter().map(|n| name(n).into()).collect();
        let add: Vec<AgentDoc> = add
            .into_iter()
            .map(|(number, seed)| Numbers(seed).agent(&name(number), 5))
            .collect();
        for key in &remove {
            agents.remove(&**key);
        }
        for agent in &add {
            agents.insert(agent.agent.to_string(), agent.clone());
        }
        index = index.change(&remove, add).unwrap();
    }
    (index, agents)
}

/// A hit with the bits of its scores, as `==` takes 0.0 and -0.0 for the same.
type Exactly<'a> = (&'a Hit, u32, u32, Option<u32>);

fn bits(hits: &[Hit]) -> Vec<Exactly<'_>> {
    hits.iter()
        .map(|hit| {
            let (lexical, coverage) = (hit.lexical.to_bits(), hit.coverage.to_bits());
            (hit, lexical, coverage, hit.vector.map(f32::to_bits))
        })
        .collect()
}

proptest! {
    #[test]
    fn a_history_leaves_no_trace_in_the_answers(
        steps in steps(),
        question in any::<u64>(),
        encoded in any::<bool>(),
        limit in 0usize..12,
        hidden in 0usize..4,
    ) {
        let (index, agents) = after(steps);
        let fresh = Index::build(agents.values().cloned().collect()).unwrap();
        let mut numbers = Numbers(question);
        let text = numbers.text(8);
        let query = encoded.then(|| &VECTORS[numbers.below(VECTORS.len())]);
        let filter = |name: &str| hidden == 0 || name.len() % 4 != hidden;
        let hits = index.search(&text, query, limit, Some(&filter));
        let from_fresh = fresh.search(&text, query, limit, Some(&filter));
        let wanted = reference::search(&agents, &text, query, limit, &filter);
        prop_assert_eq!(bits(&hits), bits(&from_fresh));
        prop_assert_eq!(bits(&hits), bits(&wanted));
    }

    #[test]
    fn an_index_holds_exactly_who_came_and_did_not_go(steps in steps()) {
        let (index, agents) = after(steps);
        let held: Vec<&str> = index.agents().map(|key| &**key).collect();
        let wanted: Vec<&str> = agents.keys().map(String::as_str).collect();
        prop_assert_eq!(held, wanted);
        for number in 0..=u8::MAX {
            let name = name(number);
            prop_assert_eq!(index.contains(&name), agents.contains_key(&name));
        }
        let stats = index.stats();
        let skills: usize = agents.values().map(|agent| agent.skills.len()).sum();
        let rows: usize = agents.values().map(AgentDoc::vectors).sum();
        prop_assert_eq!((stats.agents, stats.skills, stats.rows), (agents.len(), skills, rows));
    }

    #[test]
    fn an_older_snapshot_answers_as_before(steps in steps(), later in steps()) {
        let (index, _) = after(steps);
        let before = index.search("the report", Some(&VECTORS[0]), 5, None);
        let all: Vec<AgentKey> = index.agents().cloned().collect();
        let changed = index.change(&all, Vec::new()).unwrap();
        prop_assert!(changed.is_empty());
        drop(after(later));
        prop_assert_eq!(index.search("the report", Some(&VECTORS[0]), 5, None), before);
    }
}
