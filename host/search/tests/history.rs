//! Blocks of the real size: thousands of agents come, change and go, and the index
//! answers like one that was built at once, and like the definition.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

use kgents_search::{AgentDoc, AgentKey, Hit, Index, SkillDoc, words};
use reference::Agents;
use texts::{Numbers, VECTORS};

mod reference;
#[path = "reference/texts.rs"]
mod texts;

const SEED: u64 = 20_260_101;

#[test]
fn thousands_of_agents_leave_no_trace_of_their_history() {
    let mut numbers = Numbers(SEED);
    let (mut index, mut agents) = (Index::default(), Agents::new());
    for step in 0..60 {
        // Mostly one agent, at times half of all.
        let many = if step % 10 == 0 { 1500 } else { 1 + step % 3 };
        let name = |numbers: &mut Numbers| format!("agent-{}", numbers.below(3000));
        let add: Vec<AgentDoc> = (0..many)
            .map(|_| {
                let name = name(&mut numbers);
                numbers.agent(&name, 6)
            })
            .collect();
        let remove: Vec<AgentKey> = (0..many / 2).map(|_| name(&mut numbers).into()).collect();
        for key in &remove {
            agents.remove(&**key);
        }
        for agent in &add {
            agents.insert(agent.agent.to_string(), agent.clone());
        }
        index = index.change(&remove, add).unwrap();
        if step % 6 == 5 {
            same_answers(&index, &agents, &mut numbers);
        }
    }
    assert!(index.stats().blocks > 3, "{:?}", index.stats());
}

fn same_answers(index: &Index, agents: &Agents, numbers: &mut Numbers) {
    let fresh = Index::build(agents.values().cloned().collect()).unwrap();
    for limit in [1, 10, 400] {
        let text = numbers.text(8);
        let query = &VECTORS[numbers.below(VECTORS.len())];
        let query = (limit != 10).then_some(query);
        let hits = index.search(&text, query, limit, None);
        assert_eq!(hits, fresh.search(&text, query, limit, None), "seed {SEED}");
        let wanted = reference::search(agents, &text, query, limit, &|_| true);
        assert_eq!(hits, wanted, "seed {SEED}");
    }
}
