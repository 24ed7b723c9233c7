//! A model of a lesson that differs little: less than a second for one agent among 1,000.
//!
//! What did not change keeps its rows and its sums of squared gradients, so it moves no
//! more than in the last epoch. New routes start where their lines lie; then two epochs
//! over the lines of what changed, among some of what did not, so that neither is forgotten.

use std::collections::HashMap;
use std::sync::Arc;

use crate::folds;
use crate::learner::{Calibrations, Choice, Learnt};
use crate::material::Material;
use crate::model::{Model, version};
use crate::ports::{Judge, Sentences};
use crate::random::Random;
use crate::tuning::{Pace, RATE};
use crate::{Error, Lesson, RouteReport};

/// Times that the lines are gone through.
const EPOCHS: usize = 2;

/// Lines of what did not change that are gone through as well.
const REPEATED: usize = 3_000;

/// Of those, how many the sentence head goes through: its vectors stay as they are, so it
/// forgets less, and each costs six times as much.
const REPEATED_SENTENCES: usize = 1_000;

/// How much a line of what changed counts: all of them come, of the others only some.
const CHANGED_WEIGHT: f32 = 0.3;

/// Lines that [`Report::fit`](crate::Report::fit) is measured on.
const FIT_LINES: usize = 1_000;

/// Routes of the new lesson, each with where it was before.
struct Difference {
    /// Each route's place in the lesson of before.
    before: Vec<Option<usize>>,
    /// Whether its lines are others than before.
    is_changed: Vec<bool>,
}

impl Model {
    /// The model of a lesson that differs little from this one's: what did not change
    /// stays almost as it was, and so do calibration and thresholds. Routes are the same
    /// when agent, cluster and skill are. With another sentence encoder, or from a model
    /// without lines, it is trained in full.
    ///
    /// # Errors
    /// As [`Model::train`].
    pub fn change(
        &self,
        lesson: Lesson,
        sentences: Option<&dyn Sentences>,
        judge: &dyn Judge,
    ) -> Result<Model, Error> {
        let encoder = self.material.sentences.as_ref();
        let same_encoder = match (encoder, sentences) {
            (Some(known), Some(given)) => {
                known.encoder == given.name() && known.dimensions == given.dimensions()
            }
            (None, None) => true,
            _ => false,
        };
        if !same_encoder || self.material.lesson.lines.is_empty() {
            return Model::train(lesson, Arc::clone(&self.table), sentences, judge, &());
        }
        let known = Some(self.material.as_ref());
        let material = Material::new(lesson, &self.table, sentences, known)?;
        if material.sentences.is_none() && encoder.is_some() {
            let lesson = material.lesson;
            return Model::train(lesson, Arc::clone(&self.table), sentences, judge, &());
        }
        let difference = Difference::between(&self.material, &material);
        let choice = Choice::all(&material);
        let learnt = self.relearnt(&material, &choice, &difference);
        let calibrations = Calibrations {
            words: self.tables.words_calibration.clone(),
            sentences: match &self.tables.sentences {
                Some(sentences) => sentences.calibration.clone(),
                None => crate::calibration::shipped().sentences,
            },
        };
        let (tables, tuned) = learnt.tables(&material, &choice, calibrations);
        let mut report = self.report.clone();
        report.version = version(&material, &self.table, Some(&self.report.version));
        report.routes = material.lesson.routes.len();
        report.lines = material.lesson.lines.len();
        report.taught = tables.routes.iter().filter(|route| route.is_taught).count();
        report.changes += 1;
        report.by_route = difference.reports(&material, &self.report.by_route);
        let mut model = Model {
            table: Arc::clone(&self.table),
            material: Arc::new(material),
            learnt,
            tuned,
            tables,
            report,
        };
        model.report.fit = model.fit(judge)?;
        Ok(model)
    }

    /// The heads for the new routes, trained on what changed.
    fn relearnt(&self, material: &Material, choice: &Choice, difference: &Difference) -> Learnt {
        let mut learnt = self.learnt.clone();
        let starts = difference.starts(
            |line| Some(self.tuned.vector(material.bags.get(line)?)),
            material,
        );
        learnt.tuning.head = self.learnt.tuning.head.rearranged(&starts);
        if let (Some(head), Some(spoken)) = (&self.learnt.sentences, &material.sentences) {
            let vector = |line| spoken.lines.vector(line, spoken.dimensions);
            learnt.sentences = Some(head.rearranged(&difference.starts(vector, material)));
        }
        let seed = 1 + self.report.changes as u64;
        let (lines, changed) = difference.to_learn(material, seed, REPEATED);
        if changed == 0 {
            return learnt;
        }
        let weight = |at: usize| {
            let line = material.lesson.lines.get(at);
            let is_changed = line.is_some_and(|line| difference.is_changed(line.route));
            let factor = if is_changed { CHANGED_WEIGHT } else { 1.0 };
            line.map_or(0.0, |line| line.weight * factor)
        };
        let pace = Pace {
            epochs: EPOCHS,
            rows: RATE / 2.0,
            head: RATE,
            seed: 1,
        };
        learnt.go_through(material, choice, &lines, weight, pace);
        let (lines, _) = difference.to_learn(material, seed, REPEATED_SENTENCES);
        learnt.hear(material, choice, &lines, weight, EPOCHS);
        learnt
    }

    /// Share of the model's own lines that the router leads to their agent; none when
    /// there are none. Makes sure as well that the router takes the tables.
    pub(crate) fn fit(&self, judge: &dyn Judge) -> Result<Option<f64>, Error> {
        let lines = &self.material.lesson.lines;
        let every = lines.len().div_ceil(FIT_LINES).max(1);
        let places: Vec<usize> = (0..lines.len()).step_by(every).collect();
        let question = |at: &usize| self.material.question(*at, &self.tuned, true);
        let questions: Vec<_> = places.iter().filter_map(question).collect();
        if questions.is_empty() {
            return Ok(None);
        }
        let answers = folds::asked(judge, &self.tables, &questions)?;
        let right = places.iter().zip(&answers).filter(|(at, answer)| {
            let route = lines.get(**at).map(|line| line.route as usize);
            route
                .zip(answer.map(|answer| answer.route as usize))
                .is_some_and(|(right, best)| self.material.is_same_agent(right, best))
        });
        Ok(Some(right.count() as f64 / questions.len() as f64))
    }
}

impl Difference {
    fn between(before: &Material, after: &Material) -> Difference {
        let key = |route: &crate::Route| {
            (
                route.agent.clone(),
                route.cluster.clone(),
                route.skill.clone(),
            )
        };
        let mut places = HashMap::new();
        for (at, route) in before.lesson.routes.iter().enumerate() {
            places.entry(key(route)).or_insert(at);
        }
        let (old, new) = (lines_of(before), lines_of(after));
        let mut difference = Difference {
            before: Vec::new(),
            is_changed: Vec::new(),
        };
        for (at, route) in after.lesson.routes.iter().enumerate() {
            // Of two routes with one key the second counts as new.
            let place = places.remove(&key(route));
            let lines = place.and_then(|place| old.get(place));
            difference.is_changed.push(lines != new.get(at));
            difference.before.push(place);
        }
        difference
    }

    fn is_changed(&self, route: u32) -> bool {
        self.is_changed.get(route as usize) == Some(&true)
    }

    /// For each route where it was, or the direction of its lines.
    fn starts(
        &self,
        vector: impl Fn(usize) -> Option<Vec<f32>>,
        material: &Material,
    ) -> Vec<Result<usize, Vec<f32>>> {
        let mut starts: Vec<Result<usize, Vec<f32>>> = Vec::new();
        for place in &self.before {
            starts.push(place.ok_or_else(Vec::new));
        }
        for (at, line) in material.lesson.lines.iter().enumerate() {
            let Some(Err(sum)) = starts.get_mut(line.route as usize) else {
                continue;
            };
            let Some(vector) = vector(at) else { continue };
            sum.resize(vector.len(), 0.0);
            crate::lanes::add(sum, line.weight, &vector);
        }
        for start in &mut starts {
            if let Err(sum) = start {
                crate::lanes::unit(sum);
            }
        }
        starts
    }

    /// The lines to go through, rising, so many of them of what did not change, and how many
    /// belong to what did.
    fn to_learn(&self, material: &Material, seed: u64, repeated: usize) -> (Vec<usize>, usize) {
        let lines = &material.lesson.lines;
        let is_changed = |at: &usize| {
            lines
                .get(*at)
                .is_some_and(|line| self.is_changed(line.route))
        };
        let (mut all, mut others): (Vec<usize>, Vec<usize>) =
            (0..lines.len()).partition(is_changed);
        let changed = all.len();
        Random::seeded(seed).shuffle(&mut others);
        all.extend(others.into_iter().take(repeated));
        all.sort_unstable();
        (all, changed)
    }

    /// The routes' reports of before; a changed or new route has none.
    fn reports(&self, material: &Material, before: &[RouteReport]) -> Vec<RouteReport> {
        let routes = material.lesson.routes.iter().enumerate();
        let report = |(at, route): (usize, &crate::Route)| {
            let known = self.before.get(at).copied().flatten();
            let known = known.filter(|_| !self.is_changed(at as u32));
            let known = known.and_then(|place| before.get(place)).cloned();
            known.unwrap_or_else(|| RouteReport {
                agent: route.agent.clone(),
                cluster: route.cluster.clone(),
                skill: route.skill.clone(),
                held_out: 0,
                right: 0,
                taken_by: None,
            })
        };
        routes.map(report).collect()
    }
}

/// Each route's lines, with the bits of their weights.
fn lines_of(material: &Material) -> Vec<Vec<(&str, u32)>> {
    let mut of_routes = vec![Vec::new(); material.lesson.routes.len()];
    for line in &material.lesson.lines {
        if let Some(lines) = of_routes.get_mut(line.route as usize) {
            lines.push((line.text.as_str(), line.weight.to_bits()));
        }
    }
    of_routes
}
