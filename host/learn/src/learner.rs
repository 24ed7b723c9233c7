//! Learns from some of a lesson's lines and routes, and makes the router's tables of it.

use crate::head::Head;
use crate::material::Material;
use crate::sentence_head::{self, Sentence};
use crate::table::Table;
use crate::tables::{self, Calibration, Examples, Tables, WORDS_DIMENSIONS};
use crate::tuning::{self, Pace, Taught, Tuned, Tuning};

/// Times that every line is gone through.
const EPOCHS: usize = 8;

/// How much the static head counts beside the sentence head, whose logits count 1.0.
/// Measured on validation lines: .967 of them right, instead of .958 by sentences alone.
const MIX: f32 = 0.5;

/// Which of a lesson's lines and routes are learnt from.
#[derive(Debug)]
pub(crate) struct Choice {
    /// Rising places of the lines.
    pub(crate) lines: Vec<usize>,
    /// Rising places of the routes: what the heads call route 0, 1, …
    pub(crate) routes: Vec<usize>,
    /// Each route's place in `routes`.
    pub(crate) place: Vec<Option<usize>>,
}

impl Choice {
    /// Those that the predicates choose; lines of routes not chosen are left out.
    pub(crate) fn of(
        material: &Material,
        route: impl Fn(usize) -> bool,
        line: impl Fn(usize) -> bool,
    ) -> Choice {
        let mut place = vec![None; material.lesson.routes.len()];
        let mut routes = Vec::new();
        for (at, place) in place.iter_mut().enumerate() {
            if route(at) {
                *place = Some(routes.len());
                routes.push(at);
            }
        }
        let owner = |at: &usize| {
            let line = material.lesson.lines.get(*at);
            line.and_then(|line| place.get(line.route as usize).copied().flatten())
        };
        Choice {
            lines: (0..material.lesson.lines.len())
                .filter(|at| line(*at) && owner(at).is_some())
                .collect(),
            routes,
            place,
        }
    }

    /// Everything.
    pub(crate) fn all(material: &Material) -> Choice {
        Choice::of(material, |_| true, |_| true)
    }
}

/// What was learnt, in the form in which learning can go on.
#[derive(Debug, Clone)]
pub(crate) struct Learnt {
    pub(crate) tuning: Tuning,
    pub(crate) sentences: Option<Head>,
}

/// The calibrations of both tiers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Calibrations {
    pub(crate) words: Calibration,
    pub(crate) sentences: Calibration,
}

impl Learnt {
    /// Learns the chosen lines from nothing.
    pub(crate) fn anew(table: &Table, material: &Material, choice: &Choice) -> Learnt {
        let mut learnt = Learnt {
            tuning: Tuning::new(table, choice.routes.len()),
            sentences: material
                .sentences
                .as_ref()
                .map(|spoken| Head::new(choice.routes.len(), spoken.dimensions)),
        };
        let pace = Pace {
            epochs: EPOCHS,
            rows: tuning::RATE,
            head: tuning::RATE,
            seed: 1,
        };
        let counts = |at: usize| {
            material
                .lesson
                .lines
                .get(at)
                .map_or(0.0, |line| line.weight)
        };
        learnt.go_through(material, choice, &choice.lines, counts, pace);
        learnt.hear(material, choice, &choice.lines, counts, EPOCHS);
        learnt
    }

    /// Tunes words and their head on these lines.
    pub(crate) fn go_through(
        &mut self,
        material: &Material,
        choice: &Choice,
        lines: &[usize],
        weight: impl Fn(usize) -> f32,
        pace: Pace,
    ) {
        let taught = |at: &usize| {
            let line = material.lesson.lines.get(*at)?;
            Some(Taught {
                bag: material.bags.get(*at)?,
                route: choice.place.get(line.route as usize).copied().flatten()?,
                weight: weight(*at),
            })
        };
        let lines: Vec<Taught<'_>> = lines.iter().filter_map(taught).collect();
        self.tuning.learn(&lines, pace);
    }

    /// Trains the sentence head, if there is one, on these lines.
    pub(crate) fn hear(
        &mut self,
        material: &Material,
        choice: &Choice,
        lines: &[usize],
        weight: impl Fn(usize) -> f32,
        epochs: usize,
    ) {
        let (Some(head), Some(spoken)) = (self.sentences.as_mut(), &material.sentences) else {
            return;
        };
        let sentence = |at: &usize| {
            let line = material.lesson.lines.get(*at)?;
            Some(Sentence {
                at: *at,
                route: choice.place.get(line.route as usize).copied().flatten()?,
                weight: weight(*at),
            })
        };
        let lines: Vec<Sentence> = lines.iter().filter_map(sentence).collect();
        let lessons = sentence_head::Lessons {
            head,
            vectors: &spoken.lines,
            lines: &lines,
            epochs,
            rate: sentence_head::RATE,
            seed: 1,
        };
        lessons.learn();
    }

    /// The tables for the router, and the tuned encoder whose vectors they judge.
    pub(crate) fn tables(
        &self,
        material: &Material,
        choice: &Choice,
        calibrations: Calibrations,
    ) -> (Tables, Tuned) {
        let tuned = self.tuning.tuned();
        let mut words_examples = Examples::default();
        for bag in choice.lines.iter().filter_map(|at| material.bags.get(*at)) {
            words_examples.push(&tuned.vector(bag));
        }
        let sentences = self.sentences.as_ref().zip(material.sentences.as_ref());
        let tables = Tables {
            routes: table_routes(material, choice),
            words: self.tuning.head.centred(),
            words_examples,
            plain_examples: material.plain.chosen(&choice.lines, WORDS_DIMENSIONS),
            words_calibration: calibrations.words,
            sentences: sentences.map(|(head, spoken)| tables::Sentences {
                head: head.centred(),
                examples: spoken.lines.chosen(&choice.lines, spoken.dimensions),
                calibration: calibrations.sentences,
                mix: MIX,
            }),
        };
        (tables, tuned)
    }
}

fn table_routes(material: &Material, choice: &Choice) -> Vec<tables::Route> {
    let mut counts = vec![0u32; material.lesson.routes.len()];
    for line in choice
        .lines
        .iter()
        .filter_map(|at| material.lesson.lines.get(*at))
    {
        if let Some(count) = counts.get_mut(line.route as usize) {
            *count += 1;
        }
    }
    let route = |at: &usize| {
        let route = material.lesson.routes.get(*at)?;
        Some(tables::Route {
            agent: route.agent.clone(),
            cluster: route.cluster.clone(),
            skill: route.skill_name.clone(),
            examples: counts.get(*at).copied().unwrap_or(0),
            is_taught: route.is_taught,
        })
    };
    choice.routes.iter().filter_map(route).collect()
}
