//! What a model makes of lines that it did not learn from.
//!
//! Five folds. Each learns without a fifth of the lines, which are then in scope, and
//! without a fifth of the routes, whose lines then play what nobody here does. More of
//! that are the table's background lines, judged by the model that learnt everything.

use crate::Error;
use crate::learner::{Calibrations, Choice, Learnt};
use crate::logistic::log_odds;
use crate::material::Material;
use crate::ports::{Judge, Judged};
use crate::random::Random;
use crate::similar::{self, Pair};
use crate::table::Table;
use crate::tables::{Calibration, Features, Logistic, Tables, Vectors};

/// Folds when training is cheap.
pub(crate) const FOLDS: usize = 5;

/// Multiplications of one pass over the lines up to which all folds are run; above,
/// fewer, down to one. About ten seconds a fold.
const WORK_MAX: usize = 25_000_000_000;

/// Lines that a route has at least for some of them to be held out.
const LINES_MIN: usize = 4;

/// Routes that there are at least for some of them to be held out.
const ROUTES_MIN: usize = 5;

/// Lines of one fold that are judged at most: enough to fit a handful of numbers.
const QUESTIONS_MAX: usize = 3_000;

/// What a judged line is an example of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One of a route that was learnt.
    Own,
    /// One of a route that was held out.
    Stranger,
    /// One of nobody in particular.
    Background,
}

/// A line with what the router saw in it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) kind: Kind,
    /// The route it belongs to, in the lesson; none when out of scope.
    pub(crate) right: Option<usize>,
    /// The route that came first.
    pub(crate) best: usize,
    pub(crate) features: Features,
    /// Log-odds of the first agent's share.
    pub(crate) share: f64,
    /// How much the line counts.
    pub(crate) weight: f32,
}

/// All that was seen, of both tiers.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    pub(crate) words: Vec<Seen>,
    pub(crate) sentences: Vec<Seen>,
    /// Held-out lines, each with the nearest other one.
    pub(crate) pairs: Vec<Pair>,
}

/// What is known of a question.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    pub(crate) kind: Kind,
    pub(crate) right: Option<usize>,
    pub(crate) weight: f32,
}

/// How the lines fall into folds.
pub(crate) struct Split {
    /// Each line's fold; none for one that is always learnt.
    lines: Vec<Option<usize>>,
    /// Each route's fold.
    routes: Vec<Option<usize>>,
    /// Folds to run.
    pub(crate) count: usize,
}

impl Split {
    pub(crate) fn of(material: &Material) -> Split {
        let routes = &material.lesson.routes;
        let mut sizes = vec![0usize; routes.len()];
        let mut lines = Vec::new();
        for line in &material.lesson.lines {
            let place = sizes.get_mut(line.route as usize);
            let place = place.map_or(0, |size| std::mem::replace(size, *size + 1));
            lines.push((line.route as usize, place));
        }
        let is_held = |route: usize| {
            let is_taught = routes.get(route).is_some_and(|route| route.is_taught);
            is_taught && sizes.get(route).is_some_and(|size| *size >= LINES_MIN)
        };
        let lines: Vec<Option<usize>> = lines
            .into_iter()
            .map(|(route, place)| is_held(route).then_some((route + place) % FOLDS))
            .collect();
        let mut order: Vec<usize> = (0..routes.len()).filter(|route| is_held(*route)).collect();
        Random::seeded(5).shuffle(&mut order);
        let mut folds = vec![None; routes.len()];
        for (at, route) in order
            .iter()
            .enumerate()
            .filter(|_| order.len() >= ROUTES_MIN)
        {
            if let Some(fold) = folds.get_mut(*route) {
                *fold = Some(at % FOLDS);
            }
        }
        let numbers = material
            .sentences
            .as_ref()
            .map_or(64, |spoken| 64 + spoken.dimensions);
        let work = material.lesson.lines.len() * routes.len() * numbers;
        let count = match order.is_empty() {
            true => 0,
            false => (WORK_MAX / work.max(1)).clamp(1, FOLDS),
        };
        Split {
            lines,
            routes: folds,
            count,
        }
    }

    /// What the fold learns from.
    fn choice(&self, material: &Material, fold: usize) -> Choice {
        let in_fold = |folds: &[Option<usize>], at: usize| folds.get(at) == Some(&Some(fold));
        Choice::of(
            material,
            |route| !in_fold(&self.routes, route),
            |line| !in_fold(&self.lines, line),
        )
    }

    /// The lines held out, at most [`QUESTIONS_MAX`] of them.
    fn held_out(&self, fold: usize) -> Vec<usize> {
        let all: Vec<usize> = (0..self.lines.len())
            .filter(|at| self.lines.get(*at) == Some(&Some(fold)))
            .collect();
        let every = all.len().div_ceil(QUESTIONS_MAX).max(1);
        all.into_iter().step_by(every).collect()
    }
}

/// Runs one fold, and adds what it saw.
pub(crate) fn run(
    split: &Split,
    fold: usize,
    material: &Material,
    table: &Table,
    judge: &dyn Judge,
    evidence: &mut Evidence,
) -> Result<(), Error> {
    let choice = split.choice(material, fold);
    let learnt = Learnt::anew(table, material, &choice);
    let (tables, tuned) = learnt.tables(material, &choice, bare_calibrations());
    let held_out = split.held_out(fold);
    let known = |at: usize| {
        let line = material.lesson.lines.get(at)?;
        let route = line.route as usize;
        let is_own = choice.place.get(route).copied().flatten().is_some();
        Some(Known {
            kind: if is_own { Kind::Own } else { Kind::Stranger },
            right: is_own.then_some(route),
            weight: line.weight,
        })
    };
    let ask = |with_sentence| {
        let asked = held_out.iter().filter_map(|at| {
            let question = material.question(*at, &tuned, with_sentence)?;
            let is_whole = question.sentence.is_some() || !with_sentence;
            is_whole.then_some((question, known(*at)?))
        });
        asked.collect::<(Vec<Vectors>, Vec<Known>)>()
    };
    let (questions, known) = ask(false);
    let seen = judged(judge, &tables, &questions, &known, &choice)?;
    evidence.words.extend(seen);
    let own = questions
        .into_iter()
        .zip(&known)
        .filter_map(|(question, known)| {
            let route = choice.place.get(known.right?).copied().flatten()?;
            Some((question.words, route))
        });
    let own: Vec<(Vec<f32>, usize)> = own.collect();
    evidence.pairs.extend(similar::pairs(&tables.words, &own));
    if material.sentences.is_some() {
        let (questions, known) = ask(true);
        let seen = judged(judge, &tables, &questions, &known, &choice)?;
        evidence.sentences.extend(seen);
    }
    Ok(())
}

/// Lets the router judge questions by tables of [`bare_calibrations`]. Left out is what
/// it does not judge.
pub(crate) fn judged(
    judge: &dyn Judge,
    tables: &Tables,
    questions: &[Vectors],
    known: &[Known],
    choice: &Choice,
) -> Result<Vec<Seen>, Error> {
    if questions.is_empty() || choice.routes.is_empty() {
        return Ok(Vec::new());
    }
    let answers = asked(judge, tables, questions)?;
    let seen = |(answer, known): (Option<Judged>, &Known)| {
        let answer = answer?;
        Some(Seen {
            kind: known.kind,
            right: known.right,
            best: choice.routes.get(answer.route as usize).copied()?,
            features: answer.features,
            share: log_odds(f64::from(answer.confidence)),
            weight: known.weight,
        })
    };
    Ok(answers.into_iter().zip(known).filter_map(seen).collect())
}

/// Asks the router, and makes sure that it answered what was asked.
pub(crate) fn asked(
    judge: &dyn Judge,
    tables: &Tables,
    questions: &[Vectors],
) -> Result<Vec<Option<Judged>>, Error> {
    let answers = judge
        .judge(tables, questions)
        .map_err(|problem| Error::Judge { problem })?;
    if answers.len() != questions.len() {
        let (answers, questions) = (answers.len(), questions.len());
        let problem = format!("{answers} answers to {questions} questions");
        return Err(Error::Judge { problem });
    }
    Ok(answers)
}

/// Calibrations under which the router's confidence is the agent's share itself.
pub(crate) fn bare_calibrations() -> Calibrations {
    let bare = |features| Calibration {
        in_scope: Logistic {
            intercept: 0.0,
            weights: vec![0.0; features],
        },
        right: Logistic {
            intercept: 0.0,
            weights: vec![0.0, 1.0],
        },
    };
    Calibrations {
        words: bare(4),
        sentences: bare(3),
    }
}
