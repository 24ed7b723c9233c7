//! What became of many labelled questions, in figures.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::time::Duration;

use kgents_engine::deciders::router::Decision;
use kgents_learn::Report;
use kgents_learn::measures::{self, Outcome};
use kgents_mesh::routing::method_name;
use serde::Serialize;

use crate::lines::{FileError, Labelled};
use crate::trial::{ACCEPT, Times};
use crate::{Error, Fleet, Step, Told, Trial};

/// Share of all questions that is taken to be out of scope where a threshold is
/// chosen: how many such lines a file has says little about how many people ask.
pub const OOS_SHARE: f64 = 0.2;
/// Confusions that are told.
const CONFUSIONS: usize = 20;
/// Names of routes that are told where one is not known.
const NAMES: usize = 5;
/// The threshold of being in scope where nothing could be fitted: more likely than not.
const EVEN: f32 = 0.5;

/// How well questions were routed. A figure is none where there is nothing to
/// measure it on.
#[derive(Clone, Debug, Serialize)]
pub struct Evaluation {
    /// Share of the questions in scope whose right route came first, before any
    /// threshold.
    pub accuracy: Option<f64>,
    /// Mean of the F1 of the routes, over questions in scope.
    pub macro_f1: Option<f64>,
    /// P(a question in scope scores higher than one that is not).
    pub oos_auroc: Option<f64>,
    /// F1 of the out-of-scope class at `threshold`.
    pub oos_f1: Option<f64>,
    /// Share out of scope that is accepted where 95 % of those in scope are.
    pub fpr95: Option<f64>,
    /// Expected calibration error over all lines, of 15 bins.
    pub ece: Option<f64>,
    /// Mean microseconds of a decision, encoders included.
    pub us_per_query: f64,
    /// What they are made of.
    pub us: Microseconds,
    /// What might be used to decide: `full`, `static` or `search`.
    pub tier: &'static str,
    /// The language model that was used; none: words alone.
    pub encoder: Option<String>,
    /// Where a question counts as out of scope.
    pub threshold: Threshold,
    /// What a mesh would have done with its threshold.
    pub accepted: Accepted,
    /// How many lines, and between whom was chosen.
    pub counts: Counts,
    /// How many were decided by which rung.
    pub methods: BTreeMap<&'static str, usize>,
    /// Routes that were taken for others, the most frequent first.
    pub confusions: Vec<Confused>,
    /// What the model says of itself; none where nothing was learnt.
    pub model: Option<Report>,
}

/// Where the time goes, in microseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Microseconds {
    /// Half of the decisions took no longer.
    pub p50: f64,
    /// One in a hundred took longer.
    pub p99: f64,
    /// Mean of encoding the question with the language model; 0 for those that were
    /// decided without it.
    pub encode: f64,
    /// Mean of everything else.
    pub decide: f64,
}

/// Where a question counts as out of scope: below it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Threshold {
    /// Probability of being in scope, 0 to 1.
    pub in_scope: f32,
    /// What it was chosen on.
    pub from: From,
}

/// What a threshold was chosen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum From {
    /// The lines of `--calibrate`.
    Calibrate,
    /// The model's own folds.
    CrossValidation,
    /// Nothing: more likely than not.
    Default,
}

/// What a mesh does at its threshold.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Accepted {
    /// `thresholds.accept`.
    pub accept: f32,
    /// Share of the questions in scope that got an agent.
    pub coverage: Option<f64>,
    /// Share of those that got an agent, in scope or not, that got the right one.
    pub precision: Option<f64>,
}

/// How much there was.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Counts {
    /// Labelled questions.
    pub lines: usize,
    /// Those with a route.
    pub in_scope: usize,
    /// Those without.
    pub out_of_scope: usize,
    /// Routes to choose between.
    pub routes: usize,
    /// Examples of all their cards.
    pub examples: usize,
}

/// One route taken for another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Confused {
    /// The right one.
    pub right: String,
    /// The one that came first; none when nothing was found.
    pub taken: Option<String>,
    /// How many questions.
    pub count: usize,
}

/// Whether every route of the lines is one of `names`.
///
/// # Errors
/// The first line whose route is not, with some that are.
pub fn check_routes<'a>(
    file: &Path,
    lines: &[Labelled],
    names: impl Iterator<Item = &'a str>,
) -> Result<(), FileError> {
    let names: BTreeSet<&str> = names.collect();
    for line in lines {
        let Some(route) = &line.route else { continue };
        if names.contains(route.as_str()) {
            continue;
        }
        let some: Vec<&str> = names.iter().take(NAMES).copied().collect();
        let more = if names.len() > NAMES { ", …" } else { "" };
        return Err(FileError::at(
            file,
            line.line,
            format!("`route`: there is no `{route}` to route to"),
            format!(
                "give null where nobody answers this, or add the agent; there are {}{more}",
                some.join(", ")
            ),
        ));
    }
    Ok(())
}

/// Where a question counts as out of scope: the best place on the `calibrate` lines;
/// without them, what the model's own folds found.
///
/// # Errors
/// When the lines cannot be routed.
pub fn threshold(
    trial: &Trial,
    calibrate: &[Labelled],
    told: &dyn Told,
) -> Result<Threshold, Error> {
    if !calibrate.is_empty() {
        let routed = route(trial, calibrate, Step::Calibrating, told)?;
        if let Some(best) = measures::oos_threshold(&routed.outcomes, Some(OOS_SHARE)) {
            return Ok(Threshold {
                in_scope: best.at,
                from: From::Calibrate,
            });
        }
    }
    let report = trial.model().map(kgents_learn::Model::report);
    let figures = report.map(|report| report.sentences.as_ref().unwrap_or(&report.words));
    Ok(match figures {
        Some(figures) => Threshold {
            in_scope: figures.in_scope_min,
            from: From::CrossValidation,
        },
        None => Threshold {
            in_scope: EVEN,
            from: From::Default,
        },
    })
}

/// Routes all lines and measures what became of them.
///
/// # Errors
/// When they cannot be routed.
pub fn evaluate(
    trial: &Trial,
    lines: &[Labelled],
    threshold: Threshold,
    told: &dyn Told,
) -> Result<Evaluation, Error> {
    let routed = route(trial, lines, Step::Routing, told)?;
    let outcomes = &routed.outcomes;
    let times = routed.microseconds();
    Ok(Evaluation {
        accuracy: measures::accuracy(outcomes),
        macro_f1: measures::macro_f1(outcomes),
        oos_auroc: measures::oos_auroc(outcomes),
        oos_f1: measures::oos_f1(outcomes, threshold.in_scope),
        fpr95: measures::fpr95(outcomes),
        ece: measures::ece(outcomes),
        us_per_query: mean(routed.times.iter().map(|times| times.whole)),
        us: times,
        tier: trial.tier().name(),
        encoder: trial.encoder(),
        threshold,
        accepted: routed.accepted(),
        counts: counts(trial.fleet(), lines),
        methods: routed.methods.clone(),
        confusions: routed.confusions(),
        model: trial.model().map(|model| model.report().clone()),
    })
}

/// Lines that were routed.
pub(crate) struct Routed {
    /// By their places.
    names: Vec<String>,
    pub(crate) outcomes: Vec<Outcome>,
    /// Whether an agent was chosen, in the order of the outcomes.
    chosen: Vec<bool>,
    times: Vec<Times>,
    methods: BTreeMap<&'static str, usize>,
}

/// Places of the routes, by name.
pub(crate) struct Places(HashMap<String, u32>);

impl Places {
    pub(crate) fn of(fleet: &Fleet) -> Self {
        let names = fleet.directory().agents().map(|agent| agent.name.clone());
        Self(names.zip(0_u32..).collect())
    }

    /// What became of a question.
    pub(crate) fn outcome(&self, line: &Labelled, decision: &Decision) -> Outcome {
        let place = |name: &String| self.0.get(name).copied();
        let next = decision.alternatives.first();
        let (best, confidence) = match &decision.agent {
            Some(agent) => (Some(agent), decision.confidence),
            None => (
                next.map(|miss| &miss.agent),
                next.map_or(0.0, |miss| miss.confidence),
            ),
        };
        Outcome {
            right: line.route.as_ref().and_then(place),
            best: best.and_then(place),
            in_scope: decision.in_scope,
            confidence,
        }
    }
}

/// Routes lines at the threshold of a mesh that says nothing of it.
pub(crate) fn route(
    trial: &Trial,
    lines: &[Labelled],
    step: Step,
    told: &dyn Told,
) -> Result<Routed, Error> {
    let places = Places::of(trial.fleet());
    let agents = trial.fleet().directory().agents();
    let mut routed = Routed {
        names: agents.map(|agent| agent.name.clone()).collect(),
        outcomes: Vec::with_capacity(lines.len()),
        chosen: Vec::with_capacity(lines.len()),
        times: Vec::with_capacity(lines.len()),
        methods: BTreeMap::new(),
    };
    for (done, line) in lines.iter().enumerate() {
        told.at(step, done, lines.len());
        let (decision, times) = trial.decide(&line.query)?;
        routed.outcomes.push(places.outcome(line, &decision));
        routed.chosen.push(decision.agent.is_some());
        routed.times.push(times);
        *routed.methods.entry(method_name(&decision)).or_default() += 1;
    }
    Ok(routed)
}

impl Routed {
    fn accepted(&self) -> Accepted {
        let chosen = self
            .outcomes
            .iter()
            .zip(&self.chosen)
            .filter(|(_, chosen)| **chosen);
        let all = chosen.clone().count();
        let right = chosen
            .clone()
            .filter(|(outcome, _)| outcome.is_right())
            .count();
        let inside = chosen
            .filter(|(outcome, _)| outcome.right.is_some())
            .count();
        let in_scope = self
            .outcomes
            .iter()
            .filter(|outcome| outcome.right.is_some());
        Accepted {
            accept: ACCEPT,
            coverage: share(inside, in_scope.count()),
            precision: share(right, all),
        }
    }

    fn confusions(&self) -> Vec<Confused> {
        let name = |place: u32| self.names.get(place as usize).cloned().unwrap_or_default();
        let found = measures::confusions(&self.outcomes, CONFUSIONS).into_iter();
        let confused = |found: measures::Confusion| Confused {
            right: name(found.right),
            taken: found.taken.map(name),
            count: found.count,
        };
        found.map(confused).collect()
    }

    fn microseconds(&self) -> Microseconds {
        let mut wholes: Vec<Duration> = self.times.iter().map(|times| times.whole).collect();
        wholes.sort_unstable();
        let quantile = |share: f64| {
            let at = (wholes.len().saturating_sub(1) as f64 * share).round() as usize;
            wholes.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e6)
        };
        let part = |of: fn(&Times) -> Duration| mean(self.times.iter().map(of));
        Microseconds {
            p50: quantile(0.5),
            p99: quantile(0.99),
            encode: part(|times| times.encode),
            decide: part(Times::beside),
        }
    }
}

/// How much there is.
fn counts(fleet: &Fleet, lines: &[Labelled]) -> Counts {
    let in_scope = lines.iter().filter(|line| line.route.is_some()).count();
    let skills = fleet
        .directory()
        .agents()
        .flat_map(|agent| &agent.card.skills);
    Counts {
        lines: lines.len(),
        in_scope,
        out_of_scope: lines.len() - in_scope,
        routes: fleet.directory().len(),
        examples: skills.map(|skill| skill.examples.len()).sum(),
    }
}

fn mean(times: impl Iterator<Item = Duration>) -> f64 {
    let (mut sum, mut count) = (0.0, 0_usize);
    for time in times {
        sum += time.as_secs_f64() * 1e6;
        count += 1;
    }
    if count == 0 { 0.0 } else { sum / count as f64 }
}

fn share(part: usize, all: usize) -> Option<f64> {
    (all > 0).then(|| part as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_that_nobody_has_is_told_with_its_line_and_some_that_are() {
        let line = |route: Option<&str>, line| Labelled {
            query: String::new(),
            route: route.map(str::to_owned),
            line,
        };
        let lines = [line(Some("b c"), 1), line(None, 2), line(Some("d"), 4)];
        let file = Path::new("d.jsonl");
        let check = |names: &[&str]| check_routes(file, &lines, names.iter().copied());
        assert_eq!(check(&["b c", "d"]), Ok(()));
        let error = check(&["x", "b c"]).unwrap_err();
        assert_eq!(error.line, Some(4));
        assert!(error.problem.contains("`d`"), "{error}");
        assert!(error.fix.ends_with("b c, x"), "{}", error.fix);
    }

    #[test]
    fn the_mean_of_no_times_is_none() {
        assert!(mean(std::iter::empty()).abs() < f64::EPSILON);
        let two = [Duration::from_micros(1), Duration::from_micros(3)];
        assert!((mean(two.into_iter()) - 2.0).abs() < 1e-9);
    }
}
