//! A model: what was learnt from a lesson.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::bag::Bag;
use crate::calibration::{self, Fitted, Tier};
use crate::figures;
use crate::folds::{self, Evidence, Kind, Known, Seen, Split};
use crate::lanes;
use crate::learner::{Calibrations, Choice, Learnt};
use crate::material::{self, Material};
use crate::ports::{Judge, Progress, Sentences};
use crate::similar;
use crate::tables::{Tables, Vectors};
use crate::tuning::Tuned;
use crate::{Calibrated, Error, Lesson, Report, Table, TierReport};

/// Background lines that the sentence encoder is asked for: 300 gave the same figures as
/// 2,000, and each costs a millisecond.
const BACKGROUND_SENTENCES: usize = 500;

/// What was learnt from a lesson. Immutable: a change makes another.
#[derive(Debug, Clone)]
pub struct Model {
    pub(crate) table: Arc<Table>,
    pub(crate) material: Arc<Material>,
    /// In the form in which learning can go on.
    pub(crate) learnt: Learnt,
    /// In the form that judges.
    pub(crate) tuned: Tuned,
    pub(crate) tables: Tables,
    pub(crate) report: Report,
}

impl Model {
    /// Learns a lesson in full: five folds to calibrate by, then all of it. About six
    /// times what one pass takes; 15,000 lines of 150 routes take some seconds.
    ///
    /// Odd input is no error: without lines, with one route, with texts that are all alike
    /// or empty there is a model, whose probabilities are low. With too few lines to hold
    /// any out (no route with four) they are those of constants fitted beforehand.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::UnknownRoute`] and [`Error::Weight`] for a lesson that
    /// cannot be learnt, [`Error::Sentences`] for vectors of the wrong length, and
    /// [`Error::Judge`] when the router does not judge.
    pub fn train(
        lesson: Lesson,
        table: Arc<Table>,
        sentences: Option<&dyn Sentences>,
        judge: &dyn Judge,
        told: &dyn Progress,
    ) -> Result<Model, Error> {
        let material = Material::new(lesson, &table, sentences, None)?;
        let split = Split::of(&material);
        let parts = split.count + 1;
        let mut evidence = Evidence::default();
        told.at(0, parts);
        for fold in 0..split.count {
            folds::run(&split, fold, &material, &table, judge, &mut evidence)?;
            told.at(fold + 1, parts);
        }
        let choice = Choice::all(&material);
        let learnt = Learnt::anew(&table, &material, &choice);
        let (tables, tuned) = learnt.tables(&material, &choice, folds::bare_calibrations());
        let mut model = Model {
            report: Report::of(&material, version(&material, &table, None)),
            table,
            material: Arc::new(material),
            learnt,
            tuned,
            tables,
        };
        if split.count > 0 {
            model.see_background(sentences, judge, &mut evidence)?;
            model.report.calibrated = Calibrated::Folds;
        }
        (
            model.report.similar_probability_min,
            model.report.similar_cosine_min,
        ) = similar::bounds(&evidence.pairs);
        model.take_in(&evidence);
        model.report.by_route = figures::by_route(&model.material, evidence.best_tier());
        model.report.fit = model.fit(judge)?;
        told.at(parts, parts);
        Ok(model)
    }

    /// This model with its probabilities fitted to labelled lines: each a text and its
    /// place in the lesson's routes, or none for one that nobody here takes. Without any
    /// of the latter the table's background stands in for them.
    ///
    /// # Errors
    /// [`Error::Calibration`] when no line has a route, [`Error::UnknownRoute`] for one
    /// that the lesson does not have, and as [`Model::train`].
    pub fn calibrate(
        &self,
        lines: &[(String, Option<u32>)],
        sentences: Option<&dyn Sentences>,
        judge: &dyn Judge,
    ) -> Result<Model, Error> {
        let routes = self.material.lesson.routes.len();
        for (line, (_, route)) in lines.iter().enumerate() {
            if let Some(route) = route.filter(|route| *route as usize >= routes) {
                return Err(Error::UnknownRoute {
                    line,
                    route,
                    routes,
                });
            }
        }
        if lines.iter().all(|(_, route)| route.is_none()) {
            return Err(Error::Calibration {
                lines: lines.len(),
                missing: "has a route",
            });
        }
        let mut model = self.bare();
        let mut evidence = Evidence::default();
        let asked: Vec<(&str, Known)> = lines
            .iter()
            .map(|(text, route)| {
                let kind = if route.is_some() {
                    Kind::Own
                } else {
                    Kind::Background
                };
                let right = route.map(|route| route as usize);
                let weight = 1.0;
                (
                    text.as_str(),
                    Known {
                        kind,
                        right,
                        weight,
                    },
                )
            })
            .collect();
        model.see(&asked, usize::MAX, sentences, judge, &mut evidence)?;
        if lines.iter().all(|(_, route)| route.is_some()) {
            model.see_background(sentences, judge, &mut evidence)?;
        }
        model.take_in(&evidence);
        model.report.calibrated = Calibrated::Lines;
        Ok(model)
    }

    /// The text in the model's encoders; `sentence` is what its sentence encoder gave, of
    /// any length but zero. Some microseconds.
    #[must_use]
    pub fn vectors(&self, text: &str, sentence: Option<Vec<f32>>) -> Vectors {
        let bag = Bag::of(text, self.table.pieces());
        Vectors {
            words: self.tuned.vector(&bag),
            plain: self.table.vector(&bag),
            sentence: sentence.map(|mut sentence| {
                lanes::unit(&mut sentence);
                sentence
            }),
        }
    }

    /// What the router is to load.
    #[must_use]
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// The lesson learnt, its lines in the order of their routes.
    #[must_use]
    pub fn lesson(&self) -> &Lesson {
        &self.material.lesson
    }

    /// How good it is.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Smallest probability and smallest cosine (of [`Vectors::words`]) at which a
    /// paraphrase may go where its like went; the probability is above 1.0 when never.
    #[must_use]
    pub fn similar(&self) -> (f32, f32) {
        (
            self.report.similar_probability_min,
            self.report.similar_cosine_min,
        )
    }

    /// The same model with calibrations under which the router shows shares.
    fn bare(&self) -> Model {
        let mut model = self.clone();
        model.set_calibrations(folds::bare_calibrations());
        model
    }

    pub(crate) fn set_calibrations(&mut self, calibrations: Calibrations) {
        self.tables.words_calibration = calibrations.words;
        if let Some(sentences) = &mut self.tables.sentences {
            sentences.calibration = calibrations.sentences;
        }
    }

    /// Adds what the router makes of the background.
    fn see_background(
        &self,
        sentences: Option<&dyn Sentences>,
        judge: &dyn Judge,
        evidence: &mut Evidence,
    ) -> Result<(), Error> {
        let known = Known {
            kind: Kind::Background,
            right: None,
            weight: 1.0,
        };
        let texts = self.table.background().iter();
        let asked: Vec<(&str, Known)> = texts.map(|text| (text.as_str(), known)).collect();
        self.see(&asked, BACKGROUND_SENTENCES, sentences, judge, evidence)
    }

    /// Adds what the router makes of texts, at most `spoken_max` of them in the tier of
    /// sentences.
    fn see(
        &self,
        asked: &[(&str, Known)],
        spoken_max: usize,
        encoder: Option<&dyn Sentences>,
        judge: &dyn Judge,
        evidence: &mut Evidence,
    ) -> Result<(), Error> {
        let choice = Choice::all(&self.material);
        let words = asked
            .iter()
            .map(|(text, known)| (self.vectors(text, None), *known));
        let (questions, known): (Vec<Vectors>, Vec<Known>) = words.collect();
        let seen = folds::judged(judge, &self.tables, &questions, &known, &choice)?;
        evidence.words.extend(seen);
        let Some(encoder) = encoder.filter(|_| self.tables.sentences.is_some()) else {
            return Ok(());
        };
        let (mut questions, mut known) = (Vec::new(), Vec::new());
        for (text, of_text) in asked.iter().take(spoken_max) {
            if let Some(sentence) = material::encoded(encoder, text)? {
                questions.push(self.vectors(text, Some(sentence)));
                known.push(*of_text);
            }
        }
        let seen = folds::judged(judge, &self.tables, &questions, &known, &choice)?;
        evidence.sentences.extend(seen);
        Ok(())
    }

    /// Fits the calibrations to what was seen, and reports it.
    fn take_in(&mut self, evidence: &Evidence) {
        let material = Arc::clone(&self.material);
        let is_right = |seen: &Seen| {
            let right = seen.right;
            right.is_some_and(|right| material.is_same_agent(right, seen.best))
        };
        let tier = |tier, seen: &[Seen]| -> (Fitted, TierReport) {
            let fitted = calibration::fitted(tier, seen, is_right);
            let report = figures::tier(tier, &fitted, seen, is_right);
            (fitted, report)
        };
        let (words, words_report) = tier(Tier::Words, &evidence.words);
        let (sentences, sentences_report) = tier(Tier::Sentences, &evidence.sentences);
        self.set_calibrations(Calibrations {
            words: words.calibration,
            sentences: sentences.calibration,
        });
        self.report.words = words_report;
        self.report.sentences = self.tables.sentences.is_some().then_some(sentences_report);
    }
}

impl Evidence {
    /// What the best tier saw of its own lines.
    fn best_tier(&self) -> &[Seen] {
        match self.sentences.is_empty() {
            true => &self.words,
            false => &self.sentences,
        }
    }
}

impl Report {
    /// Of a lesson, before anything was measured.
    fn of(material: &Material, version: String) -> Report {
        let lesson = &material.lesson;
        Report {
            version,
            routes: lesson.routes.len(),
            lines: lesson.lines.len(),
            taught: lesson.routes.iter().filter(|route| route.is_taught).count(),
            encoder: material
                .sentences
                .as_ref()
                .map(|spoken| spoken.encoder.clone()),
            calibrated: Calibrated::Shipped,
            changes: 0,
            fit: None,
            words: TierReport::default(),
            sentences: None,
            by_route: Vec::new(),
            similar_probability_min: similar::NEVER,
            similar_cosine_min: 0.0,
        }
    }
}

/// Digest of all that a model depends on, in 16 hexadecimal digits.
pub(crate) fn version(material: &Material, table: &Table, changed_from: Option<&str>) -> String {
    let mut hash = Sha256::new();
    hash.update(material.lesson.digest());
    hash.update(table.digest());
    let encoder = material.sentences.as_ref().map(|spoken| &spoken.encoder);
    for text in [encoder.map(String::as_str), changed_from] {
        let text = text.unwrap_or_default();
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    let digest = hash.finalize();
    digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
