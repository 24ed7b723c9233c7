//! What is learnt from: the cards, the operators' examples and the feedback, as
//! routes and lines, and as what must not be led to whom.
//!
//! A route is one skill of one agent. Its lines are the examples of its card,
//! those of operators and those that feedback gave; while there are few of them,
//! its description as well. Whoever wrote lines is their author, and no author
//! weighs more than so many lines of a route, however many they write: a flood
//! from one source moves a route no further than a handful of examples do.
//!
//! An example that was refuted is none, on whichever card it stands.

use super::feedback::Given;
use super::rejections::{Rejections, rejections};
use super::taught::{Taught, Unknown};
use crate::registry::{Agent, Directory, Origin};
use kgents_gateway::card::Skill;
use kgents_learn::{Lesson, Line, Route};
use kgents_search::words::{clip, normalise, words};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// What the lines of one author weigh together in one route, at most, in lines.
pub const AUTHOR_WEIGHT_MAX: f32 = 20.0;
/// Lines of one author that count in one route: the newest.
pub const AUTHOR_LINES_MAX: usize = 200;
/// Below so many examples a route's description is a line of it.
pub const EXAMPLES_ENOUGH: usize = 8;
/// From so many examples on a route may be chosen by what was learnt.
pub const EXAMPLES_TAUGHT: usize = 2;

/// A lesson, and what goes beside it.
#[derive(Debug, Default)]
pub struct Lessons {
    /// What the model is trained on.
    pub lesson: Lesson,
    /// Which agents are left out for which words.
    pub rejections: Rejections,
    /// Operators' files that name what is not registered.
    pub unknown: Vec<Unknown>,
}

/// Makes a lesson of everything that is known.
pub fn lessons(directory: &Directory, taught: &[Taught], given: &[Given]) -> Lessons {
    let mut made = Lessons {
        rejections: rejections(taught, given),
        ..Lessons::default()
    };
    let mut school = School::of(directory);
    for file in taught {
        if let Err(unknown) = school.file(file) {
            made.unknown.push(unknown);
        }
    }
    let mut given: Vec<&Given> = given.iter().collect();
    given.sort_by_key(|given| (given.when_ms, given.id.as_str()));
    for given in given {
        school.feedback(given);
    }
    made.lesson = school.lesson(&made.rejections);
    made
}

/// Share of the routes, 0.0 to 1.0, that are not as they were: new, gone, or with
/// other lines.
pub fn share_changed(before: &Lesson, now: &Lesson) -> f32 {
    let (before, now) = (by_key(before), by_key(now));
    let changed = now
        .iter()
        .filter(|(key, lines)| before.get(*key) != Some(lines));
    let gone = before.keys().filter(|key| !now.contains_key(*key));
    let count = changed.count() + gone.count();
    count as f32 / before.len().max(now.len()).max(1) as f32
}

type Key<'a> = (&'a str, &'a str, &'a str);

fn by_key(lesson: &Lesson) -> BTreeMap<Key<'_>, Vec<(&str, u32)>> {
    let keys: Vec<Key<'_>> = lesson
        .routes
        .iter()
        .map(|route| (&*route.agent, &*route.cluster, &*route.skill))
        .collect();
    let mut lines: BTreeMap<Key<'_>, Vec<(&str, u32)>> =
        keys.iter().map(|key| (*key, Vec::new())).collect();
    for line in &lesson.lines {
        let of = keys
            .get(line.route as usize)
            .and_then(|key| lines.get_mut(key));
        if let Some(of) = of {
            of.push((&line.text, line.weight.to_bits()));
        }
    }
    lines
}

/// All agents with the lines of their routes.
struct School<'a> {
    pupils: Vec<Pupil<'a>>,
    by_name: HashMap<&'a str, usize>,
}

/// An agent.
struct Pupil<'a> {
    agent: &'a Arc<Agent>,
    classes: Vec<Class<'a>>,
}

/// A route: a skill, or an agent that tells of none.
struct Class<'a> {
    skill: Option<&'a Skill>,
    lines: Vec<Said>,
    seen: HashSet<String>,
}

/// A line, and who says it.
struct Said {
    author: Arc<str>,
    text: String,
    normal: String,
}

impl<'a> School<'a> {
    fn of(directory: &'a Directory) -> Self {
        let pupils: Vec<Pupil<'a>> = directory.agents().map(Pupil::of).collect();
        let by_name = pupils
            .iter()
            .enumerate()
            .map(|(place, pupil)| (pupil.agent.name.as_str(), place))
            .collect();
        Self { pupils, by_name }
    }

    fn pupil(&mut self, name: &str) -> Option<&mut Pupil<'a>> {
        let place = *self.by_name.get(name)?;
        self.pupils.get_mut(place)
    }

    fn file(&mut self, taught: &Taught) -> Result<(), Unknown> {
        let (file, agent) = (taught.file.clone(), taught.agent.clone());
        let Some(pupil) = self.pupil(&taught.agent) else {
            return Err(Unknown::Agent { file, agent });
        };
        let skill = taught.skill.as_deref();
        if let Some(skill) = skill
            && !pupil.has(skill)
        {
            let skill = skill.to_owned();
            return Err(Unknown::Skill { file, agent, skill });
        }
        let author: Arc<str> = format!("file {}", taught.file).into();
        for text in &taught.examples {
            pupil.say(&author, skill, text);
        }
        Ok(())
    }

    fn feedback(&mut self, given: &Given) {
        let Some(pupil) = given.taught_to().and_then(|name| self.pupil(name)) else {
            return;
        };
        // The skill may be gone since.
        let skill = given.skill.as_deref().filter(|skill| pupil.has(skill));
        let author: Arc<str> = format!("caller {}", given.who).into();
        pupil.say(&author, skill, &given.text);
    }

    fn lesson(self, rejections: &Rejections) -> Lesson {
        let mut lesson = Lesson::default();
        for pupil in self.pupils {
            let agent = pupil.agent;
            for mut class in pupil.classes {
                class
                    .lines
                    .retain(|said| !rejections.rejects(&said.normal, &agent.name));
                if class.skill.is_none() && class.lines.is_empty() {
                    continue;
                }
                let route = u32::try_from(lesson.routes.len()).unwrap_or(u32::MAX);
                let lines = bounded(&class.lines);
                lesson.routes.push(Route {
                    agent: agent.name.clone(),
                    cluster: agent.cluster.to_string(),
                    skill: class
                        .skill
                        .map(|skill| skill.id.clone())
                        .unwrap_or_default(),
                    skill_name: class
                        .skill
                        .map_or(&agent.card.name, |skill| &skill.name)
                        .clone(),
                    is_taught: lines.len() >= EXAMPLES_TAUGHT,
                });
                let description = (lines.len() < EXAMPLES_ENOUGH)
                    .then(|| (description(agent, class.skill), 1.0))
                    .filter(|(text, _)| !text.is_empty());
                let lines = lines.into_iter().chain(description);
                lesson.lines.extend(lines.map(|(text, weight)| Line {
                    route,
                    text,
                    weight,
                }));
            }
        }
        lesson
    }
}

impl<'a> Pupil<'a> {
    fn of(agent: &'a Arc<Agent>) -> Self {
        let author: Arc<str> = match &agent.origin {
            Origin::Own => "own".into(),
            Origin::Registered { source } => format!("card {source}").into(),
        };
        let class = |skill: &'a Skill| {
            let mut class = Class::of(Some(skill));
            for text in &skill.examples {
                class.say(&author, text);
            }
            class
        };
        let mut classes: Vec<Class<'a>> = agent.card.skills.iter().map(class).collect();
        if classes.is_empty() {
            classes.push(Class::of(None));
        }
        Self { agent, classes }
    }

    fn has(&self, skill: &str) -> bool {
        self.agent.card.skills.iter().any(|known| known.id == skill)
    }

    /// Takes a line into the class of a skill, or into the one it fits best.
    fn say(&mut self, author: &Arc<str>, skill: Option<&str>, text: &str) {
        let place = match skill {
            Some(id) => self
                .agent
                .card
                .skills
                .iter()
                .position(|known| known.id == id),
            None => Some(self.nearest(text)),
        };
        if let Some(class) = place.and_then(|place| self.classes.get_mut(place)) {
            class.say(author, text);
        }
    }

    /// The class whose skill shares most of the words: each counts as much as it
    /// tells the skills apart. The first of several.
    fn nearest(&self, text: &str) -> usize {
        if self.classes.len() < 2 {
            return 0;
        }
        let asked: HashSet<String> = words(text).map(std::borrow::Cow::into_owned).collect();
        let known: Vec<HashSet<String>> = self
            .classes
            .iter()
            .map(|class| class.words().filter(|word| asked.contains(word)).collect())
            .collect();
        let score = |of: &HashSet<String>| -> f64 {
            let share = |word: &String| {
                let having = known.iter().filter(|other| other.contains(word)).count();
                1.0 / having.max(1) as f64
            };
            // In one order, as the sum depends on it.
            let mut shares: Vec<f64> = of.iter().map(share).collect();
            shares.sort_by(f64::total_cmp);
            shares.iter().sum()
        };
        let (mut best, mut most) = (0, 0.0);
        for (place, of) in known.iter().enumerate() {
            let found = score(of);
            if found > most {
                (best, most) = (place, found);
            }
        }
        best
    }
}

impl<'a> Class<'a> {
    fn of(skill: Option<&'a Skill>) -> Self {
        Self {
            skill,
            lines: Vec::new(),
            seen: HashSet::new(),
        }
    }

    /// The same words are one line, whoever says them.
    fn say(&mut self, author: &Arc<str>, text: &str) {
        let normal = normalise(text);
        if normal.is_empty() || !self.seen.insert(normal.clone()) {
            return;
        }
        self.lines.push(Said {
            author: Arc::clone(author),
            text: clip(text.trim()).to_owned(),
            normal,
        });
    }

    fn words(&self) -> impl Iterator<Item = String> {
        let skill = self.skill.into_iter();
        let texts = skill.flat_map(|skill| {
            [&skill.name, &skill.description]
                .into_iter()
                .chain(&skill.tags)
                .chain(&skill.examples)
        });
        texts
            .flat_map(|text| words(text))
            .map(std::borrow::Cow::into_owned)
    }
}

/// The lines that count, each with its weight; the newest come last.
fn bounded(lines: &[Said]) -> Vec<(String, f32)> {
    let mut left: HashMap<&str, usize> = HashMap::new();
    for said in lines {
        *left.entry(&*said.author).or_default() += 1;
    }
    let counts: HashMap<&str, usize> = left
        .iter()
        .map(|(author, count)| (*author, (*count).min(AUTHOR_LINES_MAX)))
        .collect();
    let mut kept = Vec::with_capacity(lines.len());
    for said in lines {
        let Some(left) = left.get_mut(&*said.author) else {
            continue;
        };
        *left -= 1;
        // So many newer ones of this author follow.
        if *left < AUTHOR_LINES_MAX {
            let count = counts.get(&*said.author).copied().unwrap_or(1);
            let weight = (AUTHOR_WEIGHT_MAX / count as f32).min(1.0);
            kept.push((said.text.clone(), weight));
        }
    }
    kept
}

/// Everything a card says of a skill but its examples, as one line.
fn description(agent: &Agent, skill: Option<&Skill>) -> String {
    let card = &agent.card;
    let (name, told, tags) = match skill {
        Some(skill) => (&skill.name, &skill.description, skill.tags.join(" ")),
        None => (&card.name, &card.description, String::new()),
    };
    let told = if told.trim().is_empty() {
        &card.description
    } else {
        told
    };
    let parts = [name.as_str(), told.as_str(), tags.as_str()];
    let parts: Vec<&str> = parts
        .into_iter()
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect();
    clip(&parts.join(". ")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Embedder, Entry, Registry};
    use crate::store::Store;
    use kgents_gateway::call::{Payload, Verdict};
    use kgents_gateway::card::Card;
    use serde_json::{Value, json};

    fn skill(id: &str, about: &str, examples: &[String]) -> Value {
        json!({ "id": id, "name": id, "description": about, "tags": ["t"], "examples": examples })
    }

    fn directory(cards: &[(&str, &[Value])]) -> (tempfile::TempDir, Arc<Directory>) {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(&dir.path().join("state.redb")).unwrap());
        let embedder = Embedder::new(None, Arc::clone(&store));
        let registry = Registry::open(store, embedder, "here", Vec::new()).unwrap();
        let entry = |(name, skills): &(&str, &[Value])| {
            let card = json!({
                "name": name, "description": "does things", "version": "1",
                "supportedInterfaces": [
                    { "url": "http://127.0.0.1:9/", "protocolBinding": "JSONRPC", "protocolVersion": "1.0" }
                ],
                "skills": skills,
            });
            Entry {
                name: (*name).into(),
                card: Card::parse(Payload::of(&card)).unwrap(),
                source: "api".into(),
            }
        };
        registry.put(cards.iter().map(entry).collect()).unwrap();
        (dir, registry.directory())
    }

    fn texts(count: usize, word: &str) -> Vec<String> {
        (0..count).map(|n| format!("{word} {n}")).collect()
    }

    fn said(who: &str, when_ms: u64, verdict: Verdict, agent: &str, text: &str) -> Given {
        Given {
            id: format!("e{when_ms}"),
            decision: "d".into(),
            who: who.into(),
            when_ms,
            verdict,
            agent: Some(agent.into()),
            should_be: None,
            skill: None,
            text: text.into(),
        }
    }

    /// Texts and weights of a route.
    fn lines<'a>(lesson: &'a Lesson, agent: &str, skill: &str) -> Vec<(&'a str, f32)> {
        let is_it = |route: &Route| route.agent == agent && route.skill == skill;
        let route = lesson.routes.iter().position(is_it).unwrap() as u32;
        let of = lesson.lines.iter().filter(|line| line.route == route);
        of.map(|line| (line.text.as_str(), line.weight)).collect()
    }

    fn is_taught(lesson: &Lesson, agent: &str) -> bool {
        let route = lesson.routes.iter().find(|route| route.agent == agent);
        route.unwrap().is_taught
    }

    #[test]
    fn a_route_with_few_examples_has_its_description_as_a_line_and_is_taught_by_two() {
        let cards: &[(&str, &[Value])] = &[
            ("none", &[skill("s", "says hello", &[])]),
            ("one", &[skill("s", "says hello", &texts(1, "greet"))]),
            ("two", &[skill("s", "says hello", &texts(2, "greet"))]),
            ("many", &[skill("s", "says hello", &texts(8, "greet"))]),
        ];
        let (_dir, directory) = directory(cards);
        let lesson = lessons(&directory, &[], &[]).lesson;
        let count = |agent| lines(&lesson, agent, "s").len();
        assert_eq!(["none", "one", "two", "many"].map(count), [1, 2, 3, 8]);
        assert_eq!(lines(&lesson, "none", "s"), [("s. says hello. t", 1.0)]);
        let taught = ["none", "one", "two", "many"].map(|agent| is_taught(&lesson, agent));
        assert_eq!(taught, [false, false, true, true]);
    }

    #[test]
    fn the_same_words_count_once_however_often_and_by_whom_they_are_said() {
        let examples = ["Say hello", "say  HELLO!", "?!"].map(str::to_owned);
        let (_dir, directory) = directory(&[("a", &[skill("s", "x", &examples)])]);
        let given = [said("eve", 1, Verdict::Right, "a", "say hello")];
        let lesson = lessons(&directory, &[], &given).lesson;
        assert_eq!(
            lines(&lesson, "a", "s"),
            [("Say hello", 1.0), ("s. x. t", 1.0)]
        );
        assert!(!is_taught(&lesson, "a"));
    }

    #[test]
    fn a_flood_of_one_author_weighs_no_more_than_twenty_lines_and_the_newest_count() {
        let (_dir, directory) = directory(&[("a", &[skill("s", "x", &texts(5, "greet"))])]);
        let flood: Vec<Given> = (0..1_000)
            .map(|n| said("eve", n, Verdict::Right, "a", &format!("flood {n}")))
            .collect();
        let lesson = lessons(&directory, &[], &flood).lesson;
        let all = lines(&lesson, "a", "s");
        let (flood, card): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|(text, _)| text.starts_with("flood"));
        assert_eq!(flood.len(), AUTHOR_LINES_MAX);
        assert_eq!(flood.first().unwrap().0, "flood 800");
        let weight: f32 = flood.iter().map(|(_, weight)| weight).sum();
        assert!((weight - AUTHOR_WEIGHT_MAX).abs() < 1e-3, "{weight}");
        assert!(card.iter().all(|(_, weight)| *weight == 1.0));
        assert_eq!(card.len(), 5);
    }

    #[test]
    fn an_example_without_a_skill_goes_where_its_words_are() {
        let skills = [
            skill("book", "books seats on trains", &[]),
            skill(
                "refund",
                "gives money back",
                &["I want my money".to_owned()],
            ),
        ];
        let (_dir, directory) = directory(&[("a", &skills)]);
        let file = |skill: Option<&str>, text: &str| Taught {
            file: "routing/a.yaml".into(),
            agent: "a".into(),
            skill: skill.map(str::to_owned),
            examples: vec![text.into()],
            counter_examples: Vec::new(),
        };
        let taught = [
            file(None, "money back for a seat please"),
            file(Some("book"), "give me money"),
            file(None, "zzz"),
        ];
        let lesson = lessons(&directory, &taught, &[]).lesson;
        let of = |skill| -> Vec<&str> {
            let lines = lines(&lesson, "a", skill).into_iter();
            lines
                .map(|(text, _)| text)
                .filter(|text| !text.ends_with(". t"))
                .collect()
        };
        assert_eq!(
            of("refund"),
            ["I want my money", "money back for a seat please"]
        );
        assert_eq!(of("book"), ["give me money", "zzz"]);
    }

    #[test]
    fn a_file_about_what_is_not_there_is_said_and_the_others_count() {
        let (_dir, directory) = directory(&[("a", &[skill("s", "x", &[])])]);
        let file = |agent: &str, skill: Option<&str>| Taught {
            file: format!("routing/{agent}.yaml"),
            agent: agent.into(),
            skill: skill.map(str::to_owned),
            examples: vec!["one".into(), "two".into()],
            counter_examples: Vec::new(),
        };
        let taught = [file("gone", None), file("a", Some("t")), file("a", None)];
        let made = lessons(&directory, &taught, &[]);
        let told: Vec<String> = made.unknown.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "routing/gone.yaml: spec.agent: there is no agent `gone` yet; its examples count once it is registered",
                "routing/a.yaml: spec.skill: `a` has no skill `t`; give the id of one of its skills, or none",
            ]
        );
        assert!(is_taught(&made.lesson, "a"));
    }

    #[test]
    fn an_example_that_was_refuted_is_none_even_on_a_card() {
        let (_dir, directory) = directory(&[("a", &[skill("s", "x", &texts(3, "greet"))])]);
        let given = [said("ada", 1, Verdict::Wrong, "a", "Greet 1!")];
        let made = lessons(&directory, &[], &given);
        assert!(made.rejections.rejects("greet 1", "a"));
        let left = lines(&made.lesson, "a", "s");
        assert!(left.iter().all(|(text, _)| *text != "greet 1"), "{left:?}");
    }

    #[test]
    fn an_agent_without_skills_is_a_route_once_it_is_taught() {
        let (_dir, directory) = directory(&[("a", &[])]);
        assert!(lessons(&directory, &[], &[]).lesson.routes.is_empty());
        let given = [
            said("ada", 1, Verdict::Right, "a", "fold a boat"),
            said("ada", 2, Verdict::Right, "a", "fold a hat"),
        ];
        let lesson = lessons(&directory, &[], &given).lesson;
        assert!(is_taught(&lesson, "a"));
        assert_eq!(lesson.routes[0].skill_name, "a");
    }

    #[test]
    fn a_hundred_cards_with_the_same_words_are_a_hundred_routes() {
        let names: Vec<String> = (0..100).map(|n| format!("a{n}")).collect();
        let skills = [skill("s", "x", &texts(2, "greet"))];
        let cards: Vec<(&str, &[Value])> =
            names.iter().map(|name| (&**name, &skills[..])).collect();
        let (_dir, directory) = directory(&cards);
        let lesson = lessons(&directory, &[], &[]).lesson;
        assert_eq!((lesson.routes.len(), lesson.lines.len()), (100, 300));
    }

    #[test]
    fn what_has_changed_is_counted_by_route() {
        let two: &[(&str, &[Value])] = &[
            ("a", &[skill("s", "x", &texts(2, "greet"))]),
            ("b", &[skill("s", "x", &texts(2, "part"))]),
        ];
        let (_one, before) = directory(two);
        let before = lessons(&before, &[], &[]).lesson;
        assert_eq!(share_changed(&before, &before), 0.0);
        let (_two, now) = directory(&two[..1]);
        assert_eq!(share_changed(&before, &lessons(&now, &[], &[]).lesson), 0.5);
        let other: &[(&str, &[Value])] = &[two[0], ("b", &[skill("s", "x", &texts(3, "part"))])];
        let (_three, now) = directory(other);
        assert_eq!(share_changed(&before, &lessons(&now, &[], &[]).lesson), 0.5);
        assert_eq!(share_changed(&Lesson::default(), &before), 1.0);
    }
}
