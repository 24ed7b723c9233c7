//! Trains on labelled lines and says how good the model is on others: a check while
//! developing, with a plain judge in place of the router component.
//!
//! `clinc --train FILE --data FILE [--calibrate FILE] [--model FILE] [--few] [--change] [--split]`: files of lines
//! `{"query": text, "route": label or null}`; a null is for nobody. `--model` is a packed
//! sentence encoder. `--few` prints what the constants for small lessons are fitted to.
//! `--change` takes a route away and adds it again. `--split` makes seven routes of each.

mod few;
mod judge;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use kgents_encoder::Encoder;
use kgents_learn::measures::{self, Outcome};
use kgents_learn::{
    Judge, Judged, Lesson, Line, Model, Progress, Route, Sentences, Table, Tables, Vectors,
};

use judge::BruteForce;

/// A labelled line.
#[derive(serde::Deserialize, Clone)]
pub struct Labelled {
    query: String,
    route: Option<String>,
}

fn main() -> Result<()> {
    let mut paths = HashMap::new();
    let mut flags = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--few" | "--change" | "--split" => flags.push(argument),
            "--train" | "--data" | "--calibrate" | "--model" => {
                let value = arguments
                    .next()
                    .with_context(|| format!("`{argument}` needs a file"))?;
                paths.insert(argument, value);
            }
            _ => bail!("unknown argument `{argument}`"),
        }
    }
    let file = |name: &str| {
        paths
            .get(name)
            .with_context(|| format!("`{name}` is missing"))
    };
    let train = read(file("--train")?)?;
    let data = read(file("--data")?)?;
    let encoder = match paths.get("--model") {
        Some(path) => Some(Remembering::open(Path::new(path))?),
        None => None,
    };
    let encoder = encoder.as_ref().map(|encoder| encoder as &dyn Sentences);
    if flags.iter().any(|flag| flag == "--few") {
        return few::print(&train, &data, encoder);
    }
    let mut lesson = lesson(&train);
    if flags.iter().any(|flag| flag == "--split") {
        split(&mut lesson);
    }
    let began = Instant::now();
    let mut model = Model::train(
        lesson.clone(),
        Table::shipped()?,
        encoder,
        &BruteForce,
        &Told(began),
    )?;
    eprintln!("trained in {:.1?}", began.elapsed());
    if let Some(path) = paths.get("--calibrate") {
        model = model.calibrate(&labelled(&read(path)?, &lesson), encoder, &BruteForce)?;
    }
    let mut report = model.report().clone();
    report.by_route.clear();
    println!("{}", serde_json::to_string_pretty(&report)?);
    measure(&model, &lesson, &data, encoder)?;
    if flags.iter().any(|flag| flag == "--change") {
        change(&model, &lesson, &data, encoder)?;
    }
    Ok(())
}

/// Judges nothing, so that the time is that of learning.
struct Silent;

impl Judge for Silent {
    fn judge(&self, _: &Tables, questions: &[Vectors]) -> Result<Vec<Option<Judged>>, String> {
        Ok(vec![None; questions.len()])
    }
}

struct Told(Instant);

impl Progress for Told {
    fn at(&self, done: usize, of: usize) {
        eprintln!("{done}/{of} after {:.1?}", self.0.elapsed());
    }
}

fn read(path: &str) -> Result<Vec<Labelled>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading `{path}`"))?;
    let line = |line| serde_json::from_str(line).with_context(|| format!("in `{path}`: {line}"));
    text.lines().map(line).collect()
}

/// One route per label, in the order of the alphabet.
pub fn lesson(train: &[Labelled]) -> Lesson {
    let labels = train.iter().filter_map(|line| line.route.as_deref());
    let mut places: BTreeMap<&str, u32> = labels.map(|label| (label, 0)).collect();
    for (place, at) in places.values_mut().zip(0..) {
        *place = at;
    }
    let route = |label: &&str| Route {
        agent: (*label).to_owned(),
        cluster: "here".to_owned(),
        skill: "all".to_owned(),
        skill_name: "all".to_owned(),
        is_taught: true,
    };
    let line = |line: &Labelled| {
        Some(Line {
            route: *places.get(line.route.as_deref()?)?,
            text: line.query.clone(),
            weight: 1.0,
        })
    };
    Lesson {
        routes: places.keys().map(route).collect(),
        lines: train.iter().filter_map(line).collect(),
    }
}

/// As many routes as a large mesh has: a route's lines dealt to seven.
fn split(lesson: &mut Lesson) {
    const PARTS: u32 = 7;
    let parts = |route: &Route| {
        (0..PARTS)
            .map(|part| Route {
                skill: format!("part-{part}"),
                ..route.clone()
            })
            .collect::<Vec<_>>()
    };
    lesson.routes = lesson.routes.iter().flat_map(parts).collect();
    for (line, part) in lesson.lines.iter_mut().zip((0..PARTS).cycle()) {
        line.route = line.route * PARTS + part;
    }
}

/// The lines with the places of their routes.
pub fn labelled(data: &[Labelled], lesson: &Lesson) -> Vec<(String, Option<u32>)> {
    let place = |label: &str| {
        let found = lesson.routes.iter().position(|route| route.agent == label);
        found.map(|at| at as u32)
    };
    let line = |line: &Labelled| (line.query.clone(), line.route.as_deref().and_then(place));
    data.iter().map(line).collect()
}

/// Prints the figures of each tier over the lines.
fn measure(
    model: &Model,
    lesson: &Lesson,
    data: &[Labelled],
    encoder: Option<&dyn Sentences>,
) -> Result<()> {
    let lines = labelled(data, lesson);
    let tiers = [None, encoder];
    for encoder in tiers.iter().take(1 + usize::from(encoder.is_some())) {
        let began = Instant::now();
        let sentence = |text: &str| encoder.and_then(|encoder| encoder.encode(text));
        let questions: Vec<Vectors> = lines
            .iter()
            .map(|(text, _)| model.vectors(text, sentence(text)))
            .collect();
        let each = began.elapsed() / lines.len().max(1) as u32;
        let answers = BruteForce.judge(model.tables(), &questions);
        let answers = answers.map_err(anyhow::Error::msg)?;
        let outcomes: Vec<Outcome> = answers
            .iter()
            .zip(&lines)
            .filter_map(|(answer, (_, right))| {
                let answer = (*answer)?;
                Some(Outcome {
                    right: *right,
                    best: Some(answer.route),
                    in_scope: answer.in_scope,
                    confidence: answer.confidence,
                })
            })
            .collect();
        let outcomes = a_fifth_out_of_scope(outcomes);
        let report = match encoder {
            Some(_) => model.report().sentences.as_ref(),
            None => Some(&model.report().words),
        };
        let least = report.map_or(0.5, |report| report.in_scope_min);
        println!(
            "{} accuracy {:.4?} macro-f1 {:.4?} auroc {:.4?} f1 at own {least:.3}: {:.4?} fpr95 {:.3?} ece {:.4?} ({each:.1?} a text to vectors)",
            encoder.map_or("words", |encoder| encoder.name()),
            measures::accuracy(&outcomes),
            measures::macro_f1(&outcomes),
            measures::oos_auroc(&outcomes),
            measures::oos_f1(&outcomes, least),
            measures::fpr95(&outcomes),
            measures::ece(&outcomes),
        );
    }
    Ok(())
}

/// Repeats those out of scope until they are about a fifth, as the calibration assumes.
fn a_fifth_out_of_scope(outcomes: Vec<Outcome>) -> Vec<Outcome> {
    let (own, strange): (Vec<Outcome>, Vec<Outcome>) = outcomes
        .into_iter()
        .partition(|outcome| outcome.right.is_some());
    let times = (own.len() / 4)
        .checked_div(strange.len())
        .unwrap_or(0)
        .max(1);
    let repeated = strange.iter().copied().cycle().take(strange.len() * times);
    own.into_iter().chain(repeated).collect()
}

/// Takes some routes away and adds each again, telling what that costs and does.
fn change(
    model: &Model,
    lesson: &Lesson,
    data: &[Labelled],
    encoder: Option<&dyn Sentences>,
) -> Result<()> {
    for gone in [7, 77, 147] {
        let without = Lesson {
            routes: lesson.routes.clone(),
            lines: lesson
                .lines
                .iter()
                .filter(|line| line.route != gone)
                .cloned()
                .collect(),
        };
        let mut fewer = without.clone();
        fewer.routes.remove(gone as usize);
        for line in &mut fewer.lines {
            line.route -= u32::from(line.route > gone);
        }
        let began = Instant::now();
        let fewer = Model::train(fewer, Table::shipped()?, encoder, &BruteForce, &())?;
        let trained = began.elapsed();
        let began = Instant::now();
        fewer.change(lesson.clone(), encoder, &Silent)?;
        let changed = began.elapsed();
        println!("route {gone}: {trained:.2?} without it, {changed:.2?} to add it, unjudged");
        let again = fewer.change(lesson.clone(), encoder, &BruteForce)?;
        measure(&again, lesson, data, encoder)?;
        let own: Vec<Labelled> = data
            .iter()
            .filter(|line| {
                line.route
                    == lesson
                        .routes
                        .get(gone as usize)
                        .map(|route| route.agent.clone())
            })
            .cloned()
            .collect();
        print!("  its own lines: ");
        measure(&again, lesson, &own, encoder)?;
        print!("  those of the model in full: ");
        measure(model, lesson, &own, encoder)?;
        let began = Instant::now();
        let removed = again.change(without, encoder, &BruteForce)?;
        println!(
            "  its lines taken away in {:.2?}, fit {:?}",
            began.elapsed(),
            removed.report().fit
        );
    }
    Ok(())
}

/// An encoder that remembers: lines come several times.
struct Remembering {
    encoder: Encoder,
    known: Mutex<HashMap<String, Vec<f32>>>,
}

impl Remembering {
    fn open(path: &Path) -> Result<Remembering> {
        Ok(Remembering {
            encoder: Encoder::open(path)?,
            known: Mutex::default(),
        })
    }
}

impl Sentences for Remembering {
    fn name(&self) -> &str {
        kgents_encoder::NAME
    }

    fn dimensions(&self) -> usize {
        kgents_encoder::DIMENSIONS
    }

    fn encode(&self, text: &str) -> Option<Vec<f32>> {
        let mut known = self.known.lock().ok()?;
        if let Some(vector) = known.get(text) {
            return Some(vector.clone());
        }
        let vector = self.encoder.encode(text).values().to_vec();
        known.insert(text.to_owned(), vector.clone());
        Some(vector)
    }
}
