//! How a new lesson is learnt: as a change of the model in force, or anew; and
//! whether what came of it is good enough to replace the last good one.

use super::lesson::share_changed;
use kgents_learn::{Lesson, Report, RouteReport};
use std::collections::HashMap;

/// Above this share of changed routes a model is trained in full, which also
/// fits its probabilities anew: a change keeps those of before.
const CHANGED_MAX: f32 = 0.25;
/// How much worse a model may be than the one in force, in accuracy.
const WORSE_MAX: f64 = 0.02;
/// Standard errors of the difference within which it may be chance: a few lines
/// tell little.
const CHANCE_ERRORS: f64 = 2.0;

/// What was learnt so far, beside the model in force.
#[derive(Default)]
pub struct Course {
    /// What the model in force was made from; none without one.
    lesson: Option<Lesson>,
    /// The last lesson that was trained in full, whatever came of it.
    trained: Option<Lesson>,
    /// The last lesson of which nothing came: it is not tried again.
    refused: Option<Lesson>,
    /// Best fit of a model since it was trained in full.
    fit: Option<f64>,
    /// Lines that were learnt by words alone although there is an encoder.
    missing: usize,
}

/// How to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It is learnt already, or nothing came of it before.
    Nothing,
    /// As a change of the model in force.
    Change,
    /// Anew.
    Train,
}

/// A model that is worse than the one in force.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Worse {
    /// Accuracy of the one in force on the routes that both know.
    pub before: f64,
    /// Accuracy of the new one there.
    pub after: f64,
    /// Lines on which the new one was measured.
    pub lines: usize,
}

impl std::fmt::Display for Worse {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (before, after) = (self.before * 100.0, self.after * 100.0);
        write!(
            formatter,
            "by its own cross-validation the new model leads {after:.1} % of {} lines right, the one in force {before:.1} %: that one stays; `kgents router lint` shows what contradicts what",
            self.lines
        )
    }
}

impl Course {
    /// How to learn this lesson.
    pub fn way(&self, lesson: &Lesson) -> Way {
        if self.lesson.as_ref() == Some(lesson) || self.refused.as_ref() == Some(lesson) {
            return Way::Nothing;
        }
        match &self.lesson {
            Some(before) if share_changed(before, lesson) <= CHANGED_MAX => Way::Change,
            _ => Way::Train,
        }
    }

    /// Whether the model in force was made from this lesson.
    pub fn is_in_force(&self, lesson: &Lesson) -> bool {
        self.lesson.as_ref() == Some(lesson)
    }

    /// Whether lines were learnt by words alone although there is an encoder.
    pub const fn lacks_vectors(&self) -> bool {
        self.missing > 0
    }

    /// Whether the lesson in force is worth learning again, now that only so many
    /// of its lines have no vector.
    pub fn gains_vectors(&self, lesson: &Lesson, missing: usize) -> bool {
        self.is_in_force(lesson) && missing < self.missing
    }

    /// So many lines are about to be learnt by words alone.
    pub const fn missing(&mut self, lines: usize) {
        self.missing = lines;
    }

    /// Whether so much has changed since the last training in full that it is
    /// time for another.
    pub fn is_due(&self, lesson: &Lesson) -> bool {
        let trained = self.trained.as_ref();
        trained.is_none_or(|trained| share_changed(trained, lesson) > CHANGED_MAX)
    }

    /// Whether a changed model still fits what it was taught.
    pub fn fits(&self, report: &Report) -> bool {
        match (self.fit, report.fit) {
            (Some(best), Some(fit)) => fit >= best - WORSE_MAX,
            _ => true,
        }
    }

    /// A changed model is in force.
    pub fn changed(&mut self, lesson: Lesson, report: &Report) {
        self.fit = match (self.fit, report.fit) {
            (Some(best), Some(fit)) => Some(best.max(fit)),
            (best, fit) => best.or(fit),
        };
        self.lesson = Some(lesson);
        self.refused = None;
    }

    /// A model that was trained in full is in force.
    pub fn trained(&mut self, lesson: Lesson, report: &Report) {
        self.fit = report.fit;
        self.trained = Some(lesson.clone());
        self.lesson = Some(lesson);
        self.refused = None;
    }

    /// Nothing came of a lesson; what was in force stays.
    pub fn refused(&mut self, lesson: Lesson) {
        self.trained = Some(lesson.clone());
        self.refused = Some(lesson);
    }

    /// No model is in force any more.
    pub fn forgotten(&mut self) {
        *self = Self::default();
    }
}

/// Whether a model that was trained in full is worse than the one in force by
/// more than may be chance, on the routes that both know.
pub fn worse(before: &Report, after: &Report) -> Option<Worse> {
    let known = by_route(before);
    let mut old = Share::default();
    let mut new = Share::default();
    for (key, route) in by_route(after) {
        if let Some(same) = known.get(&key) {
            old.add(same);
            new.add(route);
        }
    }
    let (before, after) = (old.accuracy()?, new.accuracy()?);
    let error = (old.variance(before) + new.variance(after)).sqrt();
    let lost = before - after;
    let is_worse = lost > WORSE_MAX && lost > CHANCE_ERRORS * error;
    let lines = new.lines;
    is_worse.then_some(Worse {
        before,
        after,
        lines,
    })
}

type Key<'a> = (&'a str, &'a str, &'a str);

/// The routes of which lines were held out.
fn by_route(report: &Report) -> HashMap<Key<'_>, &RouteReport> {
    let measured = report.by_route.iter().filter(|route| route.held_out > 0);
    measured
        .map(|route| ((&*route.agent, &*route.cluster, &*route.skill), route))
        .collect()
}

/// Lines, and those of them that were led right.
#[derive(Default)]
struct Share {
    lines: usize,
    right: usize,
}

impl Share {
    fn add(&mut self, route: &RouteReport) {
        self.lines += route.held_out;
        self.right += route.right.min(route.held_out);
    }

    fn accuracy(&self) -> Option<f64> {
        (self.lines > 0).then(|| self.right as f64 / self.lines as f64)
    }

    fn variance(&self, share: f64) -> f64 {
        share * (1.0 - share) / self.lines.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kgents_learn::{Calibrated, Line, Route, TierReport};

    fn lesson(routes: &[&str]) -> Lesson {
        let route = |agent: &&str| Route {
            agent: (*agent).to_owned(),
            cluster: "here".into(),
            skill: "s".into(),
            skill_name: "S".into(),
            is_taught: true,
        };
        let line = |(route, agent): (usize, &&str)| Line {
            route: route as u32,
            text: format!("ask {agent}"),
            weight: 1.0,
        };
        Lesson {
            routes: routes.iter().map(route).collect(),
            lines: routes.iter().enumerate().map(line).collect(),
        }
    }

    fn report(fit: Option<f64>, routes: &[(&str, usize, usize)]) -> Report {
        let route = |(agent, held_out, right): &(&str, usize, usize)| RouteReport {
            agent: (*agent).to_owned(),
            cluster: "here".into(),
            skill: "s".into(),
            held_out: *held_out,
            right: *right,
            taken_by: None,
        };
        Report {
            version: String::new(),
            routes: routes.len(),
            lines: 0,
            taught: routes.len(),
            encoder: None,
            calibrated: Calibrated::Folds,
            changes: 0,
            fit,
            words: TierReport::default(),
            sentences: None,
            by_route: routes.iter().map(route).collect(),
            similar_probability_min: 2.0,
            similar_cosine_min: 1.0,
        }
    }

    #[test]
    fn a_small_change_is_learnt_as_one_and_a_large_one_anew() {
        let mut course = Course::default();
        let five = lesson(&["a", "b", "c", "d", "e"]);
        assert_eq!(course.way(&five), Way::Train);
        course.trained(five.clone(), &report(None, &[]));
        assert_eq!(course.way(&five), Way::Nothing);
        let six = lesson(&["a", "b", "c", "d", "e", "f"]);
        assert_eq!(course.way(&six), Way::Change);
        assert_eq!(course.way(&lesson(&["x", "y"])), Way::Train);
    }

    #[test]
    fn many_small_changes_are_due_for_a_training_in_full() {
        let mut course = Course::default();
        let all = ["a", "b", "c", "d", "e", "f", "g", "h"];
        course.trained(lesson(&all), &report(None, &[]));
        let next = lesson(&["a", "b", "c", "d", "e", "f", "g", "x"]);
        assert_eq!(course.way(&next), Way::Change);
        assert!(!course.is_due(&next));
        course.changed(next, &report(None, &[]));
        let last = lesson(&["a", "b", "c", "d", "e", "f", "y", "x"]);
        assert_eq!(course.way(&last), Way::Change);
        assert!(course.is_due(&last));
    }

    #[test]
    fn a_change_that_fits_worse_than_the_best_so_far_is_none() {
        let mut course = Course::default();
        course.trained(lesson(&["a"]), &report(Some(0.97), &[]));
        assert!(course.fits(&report(Some(0.96), &[])));
        course.changed(lesson(&["a", "b"]), &report(Some(0.96), &[]));
        assert!(
            !course.fits(&report(Some(0.94), &[])),
            "not step by step either"
        );
        assert!(course.fits(&report(None, &[])));
    }

    #[test]
    fn a_lesson_is_learnt_again_once_the_encoder_gives_more() {
        let mut course = Course::default();
        let one = lesson(&["a"]);
        course.missing(4);
        course.trained(one.clone(), &report(None, &[]));
        assert!(course.lacks_vectors() && course.is_in_force(&one));
        assert!(course.gains_vectors(&one, 0));
        assert!(!course.gains_vectors(&one, 4), "it still fails");
        assert!(!course.gains_vectors(&lesson(&["b"]), 0));
        course.missing(0);
        assert!(!course.lacks_vectors());
    }

    #[test]
    fn a_lesson_of_which_nothing_came_is_not_tried_again() {
        let mut course = Course::default();
        course.trained(lesson(&["a"]), &report(None, &[]));
        course.refused(lesson(&["b"]));
        assert_eq!(course.way(&lesson(&["b"])), Way::Nothing);
        assert_ne!(course.way(&lesson(&["c"])), Way::Nothing);
        course.forgotten();
        assert_eq!(course.way(&lesson(&["b"])), Way::Train);
    }

    #[test]
    fn a_worse_model_is_told_by_the_routes_that_both_know() {
        let before = report(None, &[("a", 500, 480), ("b", 500, 480), ("gone", 500, 0)]);
        let same = report(None, &[("a", 500, 475), ("b", 500, 475), ("new", 900, 0)]);
        assert_eq!(worse(&before, &same), None);
        let poor = report(None, &[("a", 500, 300), ("b", 500, 480)]);
        let told = worse(&before, &poor).unwrap();
        assert_eq!((told.before, told.after, told.lines), (0.96, 0.78, 1_000));
        let text = told.to_string();
        assert!(
            text.contains("78.0 % of 1000 lines") && text.contains("96.0 %"),
            "{text}"
        );
    }

    #[test]
    fn a_few_lines_tell_little() {
        let before = report(None, &[("a", 10, 9)]);
        assert_eq!(worse(&before, &report(None, &[("a", 10, 8)])), None);
        assert!(worse(&before, &report(None, &[("a", 10, 1)])).is_some());
        assert_eq!(worse(&before, &report(None, &[("b", 10, 1)])), None);
    }
}
