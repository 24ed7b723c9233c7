//! Agents of whom only names and descriptions are known: the router's labelled set.

use std::path::{Path, PathBuf};

use anyhow::Result;
use kgents_evaluation::lines::{Labelled, described, labelled};
use kgents_evaluation::{Tier, Trial, fleet};

use super::{Mesh, ONE_IN, is_right};
use crate::Settings;
use crate::table::{Cell, Table};

/// As many agents as the router is given.
const CANDIDATES: usize = 32;

/// Counts how often the right agent comes first.
pub fn run(settings: &Settings, mesh: &Mesh) -> Result<Table> {
    let folder: PathBuf =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../components/router/calibration");
    let cards = described(&folder.join("cards.jsonl"))?;
    let step = if settings.quick { ONE_IN } else { 1 };
    let lines = labelled(&folder.join("queries.jsonl"))?;
    let lines: Vec<Labelled> = lines.into_iter().step_by(step).collect();
    let trial = mesh.trial(fleet::of_descriptions(&cards)?, Tier::Search, &[])?;
    let asked = lines.iter().filter(|line| line.route.is_some());
    let mut table = Table::new(
        format!(
            "Zero examples: {} agents by their names and descriptions, {} questions",
            cards.len(),
            asked.clone().count()
        ),
        &["", "right agent first"],
    );
    let share = |right: usize| Cell::Number(right as f64 / asked.clone().count() as f64, 4);
    if mesh.encoder.is_some() {
        let right = asked
            .clone()
            .filter(|line| nearest(&trial, line) == line.route);
        table.row([
            Cell::text("by the language model's cosine alone"),
            share(right.count()),
        ]);
    }
    let mut right = 0;
    for line in asked.clone() {
        let (decision, _) = trial.decide(&line.query)?;
        right += usize::from(is_right(&decision, line));
    }
    table.row([
        Cell::text("by words and meaning, as the router decides"),
        share(right),
    ]);
    table.note("How the set was made is in components/router/calibration/README.md.");
    Ok(table)
}

/// The agent with the skill of the highest cosine.
fn nearest(trial: &Trial, line: &Labelled) -> Option<String> {
    let vector = trial.fleet().embedder().question(&line.query).vector?;
    let hits = trial
        .fleet()
        .directory()
        .search("", Some(&vector), CANDIDATES);
    let cosine = |hit: &kgents_search::Hit| hit.vector.unwrap_or(f32::MIN);
    let best = hits
        .iter()
        .max_by(|a, b| cosine(&a.1).total_cmp(&cosine(&b.1)));
    best.map(|(agent, _)| agent.name.clone())
}
