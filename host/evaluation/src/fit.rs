//! Which threshold reaches a precision, and what does it cost?

use kgents_learn::measures::wilson;
use kgents_mesh::routing::Climb;
use serde::Serialize;

use crate::figures::Places;
use crate::lines::Labelled;
use crate::trial::ACCEPT;
use crate::{Error, Step, Told, Trial};

/// Thresholds that are tried first, in thousandths: the lowest, the highest, and
/// how far apart. Below the lowest more is wrong than anybody wants.
const TRIED: (u16, u16, usize) = (200, 995, 5);
/// Accepted lines below which a threshold is little more than chance.
const ACCEPTED_FEW: usize = 100;
/// Lines that nobody answers below which a mesh's strangers are not represented.
const OUT_OF_SCOPE_FEW: usize = 20;

/// The threshold, and what it comes to.
#[derive(Clone, Debug, Serialize)]
pub struct Fit {
    /// The precision that was wanted.
    pub target_precision: f64,
    /// `thresholds.accept` in thousandths of precision; none when no threshold
    /// reaches it.
    pub accept: Option<f64>,
    /// What happens there; where none reaches it, at the most precise threshold.
    pub reached: Figures,
    /// What happens at the threshold of a mesh that says nothing of it.
    pub default: Figures,
    /// What to write in mesh.yaml; none when no threshold reaches it.
    pub mesh_yaml: Option<String>,
    /// What keeps these figures from being trusted.
    pub warnings: Vec<String>,
}

/// What happens at a threshold.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Figures {
    /// The threshold.
    pub accept: f64,
    /// Lines that get an agent.
    pub accepted: usize,
    /// Those of them that get the right one.
    pub right: usize,
    /// Lines in scope that get an agent.
    pub accepted_in_scope: usize,
    /// Lines in scope.
    pub in_scope: usize,
    /// Share of what is accepted that is right.
    pub precision: Option<f64>,
    /// Where that lies, with 95 % probability.
    pub precision_interval: (f64, f64),
    /// Share of the lines in scope that get an agent.
    pub coverage: Option<f64>,
    /// Where that lies, with 95 % probability.
    pub coverage_interval: (f64, f64),
}

/// Finds the threshold of the most coverage that reaches `target` (above 0, below 1).
///
/// # Errors
/// When the lines cannot be routed.
pub fn fit(trial: &Trial, lines: &[Labelled], target: f64, told: &dyn Told) -> Result<Fit, Error> {
    let places = Places::of(trial.fleet());
    let mut tries = Tries::new(trial, &places, lines, told)?;
    let (low, high, step) = TRIED;
    let mut found = Vec::new();
    let coarse: Vec<u16> = (low..=high).step_by(step).collect();
    for (done, accept) in coarse.iter().enumerate() {
        told.at(Step::Fitting, done, coarse.len());
        found.push(tries.at(*accept)?);
    }
    let reaches = |figures: &&Figures| figures.precision.is_some_and(|share| share >= target);
    let best = found
        .iter()
        .filter(reaches)
        .max_by(|a, b| more(a, b))
        .copied();
    let best = match best {
        // Between the tries, a little lower, there may be a bit more.
        Some(best) => {
            let at = (best.accept * 1000.0).round() as u16;
            let mut finest = best;
            for accept in (at.saturating_sub(step as u16 - 1)..at).rev() {
                let figures = tries.at(accept)?;
                if reaches(&&figures) && more(&figures, &finest).is_gt() {
                    finest = figures;
                }
            }
            Some(finest)
        }
        None => None,
    };
    let default = tries.at((ACCEPT * 1000.0) as u16)?;
    let closest = found
        .iter()
        .max_by(|a, b| a.precision_or_none().total_cmp(&b.precision_or_none()));
    let reached = best.or(closest.copied()).unwrap_or(default);
    Ok(Fit {
        target_precision: target,
        accept: best.map(|figures| figures.accept),
        reached,
        default,
        mesh_yaml: best.map(|best| format!("thresholds:\n  accept: {}\n", best.accept)),
        warnings: warnings(&reached, lines, target),
    })
}

/// More questions in scope get an agent; of equals, more get the right one; of
/// equals the more cautious threshold.
fn more(a: &Figures, b: &Figures) -> std::cmp::Ordering {
    let key = |figures: &Figures| (figures.accepted_in_scope, figures.right);
    key(a).cmp(&key(b)).then(a.accept.total_cmp(&b.accept))
}

/// Lines with all evidence that was needed so far.
struct Tries<'a> {
    trial: &'a Trial,
    places: &'a Places,
    lines: Vec<(&'a Labelled, Climb)>,
}

impl<'a> Tries<'a> {
    fn new(
        trial: &'a Trial,
        places: &'a Places,
        lines: &'a [Labelled],
        told: &dyn Told,
    ) -> Result<Self, Error> {
        let mut gathered = Vec::with_capacity(lines.len());
        for (done, line) in lines.iter().enumerate() {
            told.at(Step::Routing, done, lines.len());
            // Where nothing is accepted, every rung is asked.
            let mut climb = trial.take_up(&line.query);
            trial.decide_at(&mut climb, 1.0)?;
            gathered.push((line, climb));
        }
        Ok(Self {
            trial,
            places,
            lines: gathered,
        })
    }

    /// Decides all lines at a threshold in thousandths.
    fn at(&mut self, thousandths: u16) -> Result<Figures, Error> {
        let accept = f64::from(thousandths) / 1000.0;
        let (mut accepted, mut right, mut accepted_in_scope, mut in_scope) = (0, 0, 0, 0);
        for (line, climb) in &mut self.lines {
            let decision = self.trial.decide_at(climb, accept as f32)?;
            let outcome = self.places.outcome(line, &decision);
            let is_inside = outcome.right.is_some();
            in_scope += usize::from(is_inside);
            if decision.agent.is_some() {
                accepted += 1;
                right += usize::from(outcome.is_right());
                accepted_in_scope += usize::from(is_inside);
            }
        }
        let share = |part: usize, all: usize| (all > 0).then(|| part as f64 / all as f64);
        Ok(Figures {
            accept,
            accepted,
            right,
            accepted_in_scope,
            in_scope,
            precision: share(right, accepted),
            precision_interval: wilson(right, accepted),
            coverage: share(accepted_in_scope, in_scope),
            coverage_interval: wilson(accepted_in_scope, in_scope),
        })
    }
}

impl Figures {
    fn precision_or_none(&self) -> f64 {
        self.precision.unwrap_or(0.0)
    }
}

fn warnings(reached: &Figures, lines: &[Labelled], target: f64) -> Vec<String> {
    let mut warnings = Vec::new();
    let outside = lines.iter().filter(|line| line.route.is_none()).count();
    if outside < OUT_OF_SCOPE_FEW {
        warnings.push(format!(
            "{outside} of the lines have a route of null; without questions that nobody here \
             answers (some {OUT_OF_SCOPE_FEW} at least) the precision is too good to be true"
        ));
    }
    let (low, _) = reached.precision_interval;
    if reached.accepted < ACCEPTED_FEW {
        warnings.push(format!(
            "only {} lines are accepted there; with {ACCEPTED_FEW} or more the figures mean more",
            reached.accepted
        ));
    } else if reached.precision_or_none() >= target && low < target {
        warnings.push(format!(
            "with these {} accepted lines the precision may as well be {low:.3}; more lines, or a \
             higher target, make it sure",
            reached.accepted
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(accept: f64, accepted: usize, right: usize) -> Figures {
        Figures {
            accept,
            accepted,
            right,
            accepted_in_scope: accepted,
            in_scope: 1_000,
            precision: Some(right as f64 / accepted as f64),
            precision_interval: wilson(right, accepted),
            coverage: None,
            coverage_interval: (0.0, 1.0),
        }
    }

    fn lines(outside: usize) -> Vec<Labelled> {
        let line = |line: usize| Labelled {
            query: String::new(),
            route: (line >= outside).then(|| "a".to_owned()),
            line,
        };
        (0..200).map(line).collect()
    }

    #[test]
    fn too_few_lines_are_told() {
        let check = |figures: Figures, outside, words: &[&str]| {
            let told = warnings(&figures, &lines(outside), 0.95);
            assert_eq!(told.len(), words.len(), "{told:?}");
            for (told, word) in told.iter().zip(words) {
                assert!(told.contains(word), "{told}");
            }
        };
        check(figures(0.8, 5_000, 4_900), 50, &[]);
        check(figures(0.8, 5_000, 4_900), 3, &["null"]);
        check(figures(0.8, 20, 20), 50, &["only 20"]);
        check(figures(0.8, 200, 192), 50, &["may as well"]);
    }

    #[test]
    fn the_more_cautious_of_two_thresholds_that_do_the_same_is_taken() {
        let (low, high) = (figures(0.7, 100, 99), figures(0.8, 100, 99));
        assert!(more(&high, &low).is_gt());
        assert!(more(&figures(0.6, 101, 99), &high).is_gt());
    }
}
