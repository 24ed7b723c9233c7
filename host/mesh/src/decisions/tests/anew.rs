//! What stays is what would be decided anew.

use super::*;

/// Words of equal length, none of them silent.
fn vocabulary(number: u8) -> String {
    format!("word{:02}", number % 24)
}

fn text(words: &[u8]) -> String {
    let words: Vec<String> = words.iter().map(|word| vocabulary(*word)).collect();
    words.join(" ")
}

/// Decides by words alone, as sure as the best is ahead of the next.
fn decide(directory: &Directory, question: &str) -> Option<Decided> {
    let mut found: Vec<(f32, String)> = directory
        .search(question, None, 64)
        .into_iter()
        .map(|(agent, hit)| (hit.lexical, agent.name.clone()))
        .filter(|(score, _)| *score > 0.0)
        .collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (best, agent) = found.first()?.clone();
    let second = found.get(1).map_or(0.0, |(score, _)| *score);
    let alternative = |(score, agent): &(f32, String)| Alternative {
        agent: agent.clone(),
        cluster: "local".to_owned(),
        confidence: score / (best + second),
    };
    (best > second).then(|| Decided {
        confidence: best / (best + second),
        basis: Basis::Search,
        by_words_alone: true,
        alternatives: found.iter().skip(1).take(5).map(alternative).collect(),
        ..decided(&agent, &[])
    })
}

/// Whether no word of the question is in more than half of the texts: what most
/// say weighs next to nothing, and what weighs nothing tells nothing apart.
fn tells_something(fleet: &HashMap<String, Vec<u8>>, question: &[u8]) -> bool {
    question.iter().all(|word| {
        let word = vocabulary(*word);
        let has = |words: &&Vec<u8>| words.iter().any(|known| vocabulary(*known) == word);
        2 * fleet.values().filter(has).count() <= fleet.len()
    })
}

fn words_of_card() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(0_u8..24, 4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_decision_that_stays_is_the_one_that_would_be_made_anew(
        cards in prop::collection::vec(words_of_card(), 4..12),
        questions in prop::collection::vec(prop::collection::vec(0_u8..24, 1..4), 12),
        changes in prop::collection::vec((0_u8..14, prop::option::of(words_of_card())), 1..4),
    ) {
        let world = World::new();
        let name = |number: usize| format!("agent{number:02}");
        let mut fleet: HashMap<String, Vec<u8>> =
            cards.iter().enumerate().map(|(number, words)| (name(number), words.clone())).collect();
        let put = fleet.iter().map(|(name, words)| entry(name, &text(words)));
        world.registry.put(put.collect()).unwrap();
        let decisions = Decisions::new(64, &world.directory(), None, None);
        let mut told = Vec::new();
        for words in questions {
            let question = text(&words);
            let is_new = known(&decisions, &world, &question).is_none();
            let Some(decided) = decide(&world.directory(), &question).filter(|_| is_new) else {
                continue;
            };
            if tells_something(&fleet, &words) {
                keep(&decisions, &world, &question, decided.clone());
                told.push((words, question));
            }
        }
        for (number, to) in changes {
            let name = name(usize::from(number));
            match to {
                Some(words) => {
                    world.put(&name, &text(&words));
                    fleet.insert(name, words);
                }
                None if fleet.remove(&name).is_some() => {
                    world.registry.remove(&name).unwrap();
                }
                None => continue,
            }
            let directory = world.directory();
            told.retain(|(words, _)| tells_something(&fleet, words));
            for (_, question) in &told {
                if let Some(agent) = known(&decisions, &world, question) {
                    let anew = decide(&directory, question).map(|decided| decided.agent);
                    prop_assert_eq!(Some(agent), anew, "{}", question);
                }
            }
        }
    }
}
