//! Against `semantic-router` (PyPI): the same vectors, the same questions, the same
//! run. Its program is beside this file, its version in `requirements.txt`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use kgents_evaluation::lines::Labelled;
use kgents_evaluation::{Tier, Trial, fleet};
use serde::Deserialize;
use serde_json::json;

use super::clinc::Clinc;
use super::{Mesh, is_right};
use crate::Settings;
use crate::table::{Cell, Table};
use crate::timing::{Times, nanoseconds};

/// Routes, and examples of each.
const SIZES: [(usize, usize); 3] = [(10, 5), (100, 10), (100, 100)];
/// Questions of each size.
const QUESTIONS: usize = 500;

/// What the peer says.
#[derive(Deserialize)]
struct Said {
    accuracy: f64,
    p50_us: f64,
    p99_us: f64,
}

/// Measures both with some, many and very many examples.
pub fn run(settings: &Settings, clinc: &Clinc, mesh: &Mesh) -> Result<Table> {
    let mut table = Table::new(
        "Against semantic-router 1.1.1: the same vectors and questions, the encoder's time not counted",
        &["", "examples", "accuracy", "median µs", "p99 µs"],
    );
    if mesh.encoder.is_none() {
        table.note("skipped: no language model is installed.");
        return Ok(table);
    }
    let python = match python() {
        Ok(python) => python,
        Err(error) => {
            table.note(format!("skipped: {error:#}"));
            return Ok(table);
        }
    };
    for (routes, each) in SIZES {
        let (train, asked) = clinc.part(routes, each);
        let folder = settings.work.join(format!("peer-{routes}-{each}"));
        let trial = mesh.trial(fleet::of_examples(&train)?, Tier::Full, &[])?;
        write(&folder, &train, &asked, &trial)?;
        let theirs = ask(&python, &folder)?;
        let examples = Cell::Number(train.len() as f64, 0);
        table.row([
            Cell::text("semantic-router"),
            examples,
            Cell::Number(theirs.accuracy, 4),
            Cell::Number(theirs.p50_us, 1),
            Cell::Number(theirs.p99_us, 1),
        ]);
        table.row(ours(&train, &asked, &trial)?);
    }
    table.note(
        "Both decide a question that they have not seen before. Ours looks for names, asks what was \
         learnt, where that is not sure searches all examples, puts candidates to the policies, \
         and says how sure it is.",
    );
    Ok(table)
}

impl Clinc {
    /// The first examples of the first routes, and questions to these routes.
    fn part(&self, routes: usize, each: usize) -> (Vec<Labelled>, Vec<Labelled>) {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for line in &self.train {
            counts
                .entry(line.route.as_deref().unwrap_or_default())
                .or_default();
        }
        let kept: Vec<&str> = counts.keys().take(routes).copied().collect();
        let is_kept = |line: &&Labelled| {
            let route = line.route.as_deref();
            route.is_some_and(|route| kept.contains(&route))
        };
        let mut train = Vec::new();
        for line in self.train.iter().filter(is_kept) {
            let route = line.route.as_deref().unwrap_or_default();
            let count = counts.entry(route).or_default();
            if *count < each {
                *count += 1;
                train.push(line.clone());
            }
        }
        let asked: Vec<&Labelled> = self.validation.iter().filter(is_kept).collect();
        // Some of every route: they lie in the order of their routes.
        let step = asked.len().div_ceil(QUESTIONS).max(1);
        (train, asked.into_iter().step_by(step).cloned().collect())
    }
}

fn ours(train: &[Labelled], asked: &[Labelled], trial: &Trial) -> Result<[Cell; 5]> {
    let (mut right, mut spent) = (0, Vec::with_capacity(asked.len()));
    for line in asked {
        let (decision, times) = trial.decide(&line.query)?;
        right += usize::from(is_right(&decision, line));
        spent.push(nanoseconds(times.beside()));
    }
    let times = Times::of(spent);
    Ok([
        Cell::text("kgents"),
        Cell::Number(train.len() as f64, 0),
        Cell::Number(right as f64 / asked.len().max(1) as f64, 4),
        crate::timing::microseconds(times.median(), 1),
        crate::timing::microseconds(times.quantile(0.99), 1),
    ])
}

/// Writes what the peer is given: the examples' vectors as our trial keeps them, and
/// the questions'.
fn write(folder: &Path, train: &[Labelled], asked: &[Labelled], trial: &Trial) -> Result<()> {
    fs::create_dir(folder)?;
    let embedder = trial.fleet().embedder();
    let texts: Vec<String> = train.iter().map(|line| line.query.clone()).collect();
    let kept = embedder.embed(&texts);
    ensure!(kept.len() == texts.len(), "an example has no vector");
    let number = |step: &i8, scale: f32| (f32::from(*step) * scale).to_le_bytes();
    let mut bytes = Vec::new();
    for vector in &kept {
        let steps = vector.values.iter();
        bytes.extend(steps.flat_map(|step| number(step, vector.scale)));
    }
    fs::write(folder.join("utterances.f32"), &bytes)?;
    bytes.clear();
    let mut dimensions = 0;
    for line in asked {
        let vector = embedder.question(&line.query).vector;
        let vector = vector.context("the encoder gave no vector")?;
        dimensions = vector.values().len();
        bytes.extend(vector.values().iter().flat_map(|value| value.to_le_bytes()));
    }
    fs::write(folder.join("questions.f32"), bytes)?;
    let routes = |lines: &[Labelled]| lines.iter().map(|l| l.route.clone()).collect::<Vec<_>>();
    let given = json!({
        "dimensions": dimensions,
        "utterances": routes(train),
        "questions": routes(asked),
    });
    fs::write(folder.join("peer.json"), given.to_string())?;
    Ok(())
}

fn ask(python: &Path, folder: &Path) -> Result<Said> {
    let script = here().join("semantic_router_peer.py");
    let output = Command::new(python).arg(script).arg(folder).output()?;
    ensure!(
        output.status.success(),
        "the peer failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    serde_json::from_slice(&output.stdout).context("the peer said something else")
}

/// An interpreter with the peer installed; kept under the build's folder, keyed by
/// the requirements.
fn python() -> Result<PathBuf> {
    let requirements = here().join("requirements.txt");
    let folder = crate::target()?.join("python-routing");
    let python = folder.join("bin/python");
    let ready = folder.join("ready");
    let wanted = fs::read_to_string(&requirements)?;
    if fs::read_to_string(&ready).is_ok_and(|made| made == wanted) {
        return Ok(python);
    }
    // What an interrupted run left is of no use.
    let _ = fs::remove_dir_all(&folder);
    eprintln!("  installing {}", wanted.trim());
    run_quietly(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    let install = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-r",
    ];
    run_quietly(Command::new(&python).args(install).arg(&requirements))?;
    fs::write(ready, wanted)?;
    Ok(python)
}

fn run_quietly(command: &mut Command) -> Result<()> {
    let output = command.output().context("python3 cannot be run")?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        bail!("{}", text.trim().lines().last().unwrap_or("python3 failed"));
    }
    Ok(())
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/routing")
}
