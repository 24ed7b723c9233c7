//! Which skills will nobody reach, and what has to be added to which card?

use std::sync::Arc;

use kgents_gateway::Skill;
use kgents_learn::RouteReport;
use kgents_mesh::learning::lesson::EXAMPLES_TAUGHT;
use kgents_mesh::registry::Agent;
use serde::Serialize;

use crate::likeness::Profiles;
use crate::{Told, Trial};

/// Share of a skill's held-out examples that one neighbour has to take.
const TAKEN: f64 = 0.5;
/// Held-out examples below which nothing follows from that.
const HELD_OUT_FEW: usize = 2;
/// Names that are told of many.
const NAMES: usize = 3;

/// What was looked at, and what was found.
#[derive(Clone, Debug, Serialize)]
pub struct Lint {
    /// Agents.
    pub agents: usize,
    /// Their skills.
    pub skills: usize,
    /// Whose vectors were compared; none: the static encoder's.
    pub encoder: Option<String>,
    /// Share of the cards' texts that models which had not seen them led to their own
    /// agent.
    pub accuracy: Option<f64>,
    /// Why examples could not be learnt from, where they could not.
    pub unlearnt: Option<String>,
    /// The gravest first.
    pub findings: Vec<Finding>,
}

/// Something to mend.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// What it is about.
    pub kind: Kind,
    /// Whose card.
    pub agent: String,
    /// Id of the skill; none when it is about the agent.
    pub skill: Option<String>,
    /// The agent that is in the way.
    pub other: Option<String>,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub fix: String,
}

/// What a finding is about, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Nothing says what the agent does.
    NoSkills,
    /// A neighbour gets what the skill's own examples ask for.
    OutOfReach,
    /// Two agents say the same of themselves.
    Alike,
    /// An example that fits another card better.
    Contradiction,
    /// Too few examples to be learnt from.
    FewExamples,
}

/// Looks at all cards.
pub fn lint(trial: &Trial, told: &dyn Told) -> Lint {
    let directory = trial.fleet().directory();
    let agents: Vec<&Arc<Agent>> = directory.agents().collect();
    let report = trial.model().map(kgents_learn::Model::report);
    let figures = report.map(|report| report.sentences.as_ref().unwrap_or(&report.words));
    let routes = report.map_or(&[] as &[RouteReport], |report| &report.by_route);
    let mut findings: Vec<Finding> = agents.iter().flat_map(|agent| few(agent)).collect();
    findings.extend(routes.iter().filter_map(out_of_reach));
    let profiles = Profiles::of(trial, &agents, told);
    findings.extend(profiles.alike(routes));
    findings.extend(profiles.contradictions());
    findings.sort();
    Lint {
        agents: agents.len(),
        skills: agents.iter().map(|agent| agent.card.skills.len()).sum(),
        encoder: trial.encoder(),
        accuracy: figures.and_then(|figures| figures.accuracy),
        unlearnt: trial.unlearnt().map(ToString::to_string),
        findings,
    }
}

/// Skills that cannot be learnt, since too little is said of them.
fn few(agent: &Agent) -> Vec<Finding> {
    let finding = |kind, skill: Option<&Skill>, what: String, fix: String| Finding {
        kind,
        agent: agent.name.clone(),
        skill: skill.map(|skill| skill.id.clone()),
        other: None,
        what,
        fix,
    };
    let skills = &agent.card.skills;
    if skills.is_empty() {
        let what = "the card has no skills, so that no question finds the agent";
        let fix = "add a skill to the card, with three to five examples of what people ask";
        return vec![finding(
            Kind::NoSkills,
            None,
            what.to_owned(),
            fix.to_owned(),
        )];
    }
    let has_few = |skill: &&Skill| skill.examples.len() < EXAMPLES_TAUGHT;
    let few: Vec<&Skill> = skills.iter().filter(has_few).collect();
    let (without, with_one): (Vec<&Skill>, Vec<&Skill>) =
        few.iter().partition(|skill| skill.examples.is_empty());
    let mut what = Vec::new();
    if !without.is_empty() {
        let ids = without.iter().map(|skill| skill.id.as_str());
        what.push(format!(
            "without examples, so found by descriptions alone: {}",
            some_of(ids)
        ));
    }
    if !with_one.is_empty() {
        let ids = with_one.iter().map(|skill| skill.id.as_str());
        what.push(format!("too few to learn from: {}", some_of(ids)));
    }
    if what.is_empty() {
        return Vec::new();
    }
    let skill = match few.as_slice() {
        [only] => Some(*only),
        _ => None,
    };
    let fix = "add three to five examples of each in the words that people use".to_owned();
    vec![finding(Kind::FewExamples, skill, what.join("; "), fix)]
}

/// The first of some names, and how many more there are.
pub(crate) fn some_of<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(NAMES);
    let some: Vec<String> = names.take(NAMES).map(|name| format!("`{name}`")).collect();
    match more {
        0 => some.join(", "),
        more => format!("{} and {more} more", some.join(", ")),
    }
}

/// A skill whose examples go to one neighbour when they are not learnt.
fn out_of_reach(route: &RouteReport) -> Option<Finding> {
    let taker = route.taken_by.as_ref()?;
    let is_own = taker.agent == route.agent && taker.cluster == route.cluster;
    let share = taker.lines as f64 / route.held_out.max(1) as f64;
    if is_own || route.held_out < HELD_OUT_FEW || share < TAKEN {
        return None;
    }
    let (lines, held_out, other) = (taker.lines, route.held_out, &taker.agent);
    Some(Finding {
        kind: Kind::OutOfReach,
        agent: route.agent.clone(),
        skill: Some(route.skill.clone()),
        other: Some(other.clone()),
        what: format!(
            "{lines} of its {held_out} texts go to `{other}` (`{}`) when each is held out",
            taker.skill
        ),
        fix: format!(
            "add examples that only this skill answers, or take what both do from `{other}`"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kgents_learn::TakenBy;

    fn route(held_out: usize, taker: &str, lines: usize) -> RouteReport {
        RouteReport {
            agent: "a".to_owned(),
            cluster: "local".to_owned(),
            skill: "s".to_owned(),
            held_out,
            right: held_out - lines,
            taken_by: Some(TakenBy {
                agent: taker.to_owned(),
                cluster: "local".to_owned(),
                skill: "t".to_owned(),
                lines,
            }),
        }
    }

    #[test]
    fn a_skill_is_out_of_reach_when_a_neighbour_takes_most_of_its_examples() {
        let found = out_of_reach(&route(5, "b", 4)).unwrap();
        assert_eq!(
            (found.kind, found.other.as_deref()),
            (Kind::OutOfReach, Some("b"))
        );
        assert!(found.what.contains("4 of its 5"), "{}", found.what);
        assert_eq!(out_of_reach(&route(5, "b", 2)), None);
        assert_eq!(out_of_reach(&route(1, "b", 1)), None);
        assert_eq!(out_of_reach(&route(5, "a", 5)), None);
    }
}
