//! Who says the same as others, and whose examples say something else than its
//! description: agents compared by the directions of their texts.

use std::collections::BTreeMap;
use std::sync::Arc;

use kgents_gateway::Skill;
use kgents_learn::RouteReport;
use kgents_mesh::registry::Agent;

use crate::lint::{Finding, Kind, some_of};
use crate::{Step, Told, Trial};

/// Cosine of what two agents say of themselves from which on they are alike. Chosen
/// by judgement, to name copies and leave neighbours alone; not fitted.
const ALIKE_SENTENCES: f32 = 0.85;
/// The same in the static encoder, whose cosines are higher.
const ALIKE_WORDS: f32 = 0.92;
/// How much nearer an example has to be to another agent's description than to its
/// own, in cosine, to contradict its card. Descriptions and questions are worded
/// differently, so that a good deal may be chance: of the 243 examples of the router's
/// labelled set, which contradict nothing, none comes above .36.
const NEARER_SENTENCES: f32 = 0.4;
/// The same in the static encoder; there none comes above .57.
const NEARER_WORDS: f32 = 0.6;
/// Letters of an example that are told.
const SHOWN_CHARS: usize = 60;

/// What each agent says of itself, as a direction.
pub(crate) struct Profiles<'a> {
    agents: Vec<Profile<'a>>,
    /// Cosine from which on two agents are alike.
    alike: f32,
    /// How much nearer another description has to be to contradict.
    nearer: f32,
}

struct Profile<'a> {
    agent: &'a Agent,
    /// Mean of all its texts.
    all: Option<Vec<f32>>,
    /// Its description and those of its skills.
    described: Option<Vec<f32>>,
    /// Its skills' examples.
    examples: Vec<Example<'a>>,
}

struct Example<'a> {
    skill: &'a Skill,
    text: &'a str,
    /// None without a known word.
    direction: Option<Vec<f32>>,
}

impl<'a> Profile<'a> {
    fn of(trial: &Trial, agent: &'a Agent) -> Self {
        let skills = agent.card.skills.iter();
        let examples: Vec<(&Skill, &str)> = skills
            .flat_map(|skill| {
                skill
                    .examples
                    .iter()
                    .map(move |text| (skill, text.as_str()))
            })
            .collect();
        let said = description(agent);
        let texts = std::iter::once(said.as_str()).chain(examples.iter().map(|(_, text)| *text));
        let texts: Vec<String> = texts.map(str::to_owned).collect();
        let mut directions = trial.directions(&texts).into_iter();
        let described = directions.next().flatten().filter(|_| !said.is_empty());
        let examples: Vec<Example<'a>> = examples
            .into_iter()
            .zip(directions)
            .map(|((skill, text), direction)| Example {
                skill,
                text,
                direction,
            })
            .collect();
        let of_examples = examples.iter().filter_map(|it| it.direction.clone());
        Self {
            agent,
            all: mean(described.iter().cloned().chain(of_examples)),
            described,
            examples,
        }
    }
}

impl<'a> Profiles<'a> {
    /// Of all agents.
    pub(crate) fn of(trial: &Trial, agents: &[&'a Arc<Agent>], told: &dyn Told) -> Self {
        let profile = |(done, agent): (usize, &&'a Arc<Agent>)| {
            told.at(Step::Comparing, done, agents.len());
            Profile::of(trial, agent)
        };
        let (alike, nearer) = match trial.encoder() {
            Some(_) => (ALIKE_SENTENCES, NEARER_SENTENCES),
            None => (ALIKE_WORDS, NEARER_WORDS),
        };
        Self {
            agents: agents.iter().enumerate().map(profile).collect(),
            alike,
            nearer,
        }
    }

    /// Agents that say the same of themselves. Who was named once is not named again,
    /// so that a hundred copies are one finding.
    pub(crate) fn alike(&self, routes: &[RouteReport]) -> Vec<Finding> {
        let taken = taken(routes);
        let mut named = vec![false; self.agents.len()];
        let mut found = Vec::new();
        for (place, one) in self.agents.iter().enumerate() {
            let Some(direction) = &one.all else { continue };
            let mut others: Vec<(f32, &str)> = Vec::new();
            let later = self.agents.iter().zip(&mut named).skip(place + 1);
            for (other, is_named) in later.filter(|(_, is_named)| !**is_named) {
                let cosine = other.all.as_ref().map(|all| dot(direction, all));
                if let Some(cosine) = cosine.filter(|cosine| *cosine >= self.alike) {
                    *is_named = true;
                    others.push((cosine, &other.agent.name));
                }
            }
            others.sort_by(|a, b| b.0.total_cmp(&a.0));
            found.extend(alike(&one.agent.name, &others, &taken));
        }
        found
    }

    /// Examples that fit another agent's description better than their own's.
    pub(crate) fn contradictions(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        for own in &self.agents {
            let Some(described) = &own.described else {
                continue;
            };
            for example in &own.examples {
                let Some(direction) = &example.direction else {
                    continue;
                };
                let fits = dot(direction, described);
                let others = self.agents.iter().filter_map(|other| {
                    let cosine = dot(direction, other.described.as_ref()?);
                    Some((other.agent, cosine))
                });
                let best = others.max_by(|a, b| a.1.total_cmp(&b.1));
                if let Some((other, cosine)) = best
                    && cosine - fits >= self.nearer
                {
                    let cosines = (fits, cosine);
                    found.push(contradiction(own.agent, example, other, cosines));
                }
            }
        }
        found
    }
}

/// What is told of an agent that others, the nearest first, are alike.
fn alike(
    name: &str,
    others: &[(f32, &str)],
    taken: &BTreeMap<(&str, &str), usize>,
) -> Option<Finding> {
    let (cosine, nearest) = others.first()?;
    let of = |a: &str, b: &str| taken.get(&(a, b)).copied().unwrap_or(0);
    let lines = others
        .iter()
        .map(|(_, other)| of(name, other) + of(other, name));
    let more = match lines.sum::<usize>() {
        0 => String::new(),
        1 => "; 1 text of one goes to another when held out".to_owned(),
        lines => format!("; {lines} texts of one go to another when held out"),
    };
    Some(Finding {
        kind: Kind::Alike,
        agent: name.to_owned(),
        skill: None,
        other: Some((*nearest).to_owned()),
        what: format!(
            "says nearly the same as {} (cosine {cosine:.2}){more}",
            some_of(others.iter().map(|(_, other)| *other))
        ),
        fix: "say in each description what only this one does, with examples; or keep one of \
              them"
            .to_owned(),
    })
}

fn contradiction(
    agent: &Agent,
    example: &Example<'_>,
    other: &Agent,
    (fits, cosine): (f32, f32),
) -> Finding {
    let (other, text) = (&other.name, example.text);
    let shown = match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or(text)),
        None => text.to_owned(),
    };
    Finding {
        kind: Kind::Contradiction,
        agent: agent.name.clone(),
        skill: Some(example.skill.id.clone()),
        other: Some(other.clone()),
        what: format!(
            "the example \"{shown}\" fits the description of `{other}` ({cosine:.2}) better than \
             its own ({fits:.2})"
        ),
        fix: format!("move the example to `{other}`, or say in the description that this is done"),
    }
}

/// What a card says beside its examples.
fn description(agent: &Agent) -> String {
    let skills = agent.card.skills.iter();
    let of_skills = skills.flat_map(|skill| [skill.name.as_str(), skill.description.as_str()]);
    let all = std::iter::once(agent.card.description.as_str()).chain(of_skills);
    let said: Vec<&str> = all.map(str::trim).filter(|text| !text.is_empty()).collect();
    said.join(". ")
}

/// How many examples of the first agent its neighbour, the second, takes.
fn taken(routes: &[RouteReport]) -> BTreeMap<(&str, &str), usize> {
    let mut taken = BTreeMap::new();
    for route in routes {
        if let Some(by) = &route.taken_by {
            *taken.entry((&*route.agent, &*by.agent)).or_default() += by.lines;
        }
    }
    taken
}

/// The direction of the sum of unit vectors; none of none.
fn mean(vectors: impl Iterator<Item = Vec<f32>>) -> Option<Vec<f32>> {
    let sum = vectors.reduce(|sum, vector| {
        let numbers = sum.iter().zip(&vector);
        numbers.map(|(a, b)| a + b).collect()
    })?;
    unit(sum)
}

/// The vector at length one; none when it has no direction.
pub(crate) fn unit(vector: Vec<f32>) -> Option<Vec<f32>> {
    let length = dot(&vector, &vector).sqrt();
    (length > 0.0 && length.is_finite())
        .then(|| vector.into_iter().map(|number| number / length).collect())
}

/// Eight sums side by side, which the processor makes at once.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut lanes = [0.0_f32; 8];
    for (a, b) in a.iter().zip(b) {
        for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane += a * b;
        }
    }
    let rest = a_rest.iter().zip(b_rest).map(|(a, b)| a * b);
    lanes.into_iter().chain(rest).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_that_are_alike_are_one_finding() {
        let others = [
            (0.99, "b"),
            (0.98, "c"),
            (0.97, "d"),
            (0.9, "e"),
            (0.9, "f"),
        ];
        let taken = BTreeMap::from([(("b", "a"), 2), (("b", "x"), 7)]);
        let found = alike("a", &others, &taken).unwrap();
        assert_eq!(
            found.what,
            "says nearly the same as `b`, `c`, `d` and 2 more (cosine 0.99); 2 texts of one go \
             to another when held out"
        );
        assert_eq!(found.other.as_deref(), Some("b"));
        assert_eq!(alike("a", &[], &taken), None);
    }

    #[test]
    fn directions_have_length_one_or_are_none() {
        assert_eq!(mean(std::iter::empty()), None);
        assert_eq!(unit(vec![0.0, 0.0]), None);
        let vectors = [vec![1.0, 0.0], vec![0.0, 1.0]];
        let direction = mean(vectors.into_iter()).unwrap();
        assert!((dot(&direction, &direction) - 1.0).abs() < 1e-6);
    }
}
