//! The labelled questions of CLINC150, and how well they are routed.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use kgents_evaluation::figures::{Evaluation, threshold};
use kgents_evaluation::lines::{Labelled, labelled};
use kgents_evaluation::{Tier, Trial, evaluate, fleet};

use super::{Mesh, ONE_IN};
use crate::table::{Cell, Table};

/// The lines of CLINC150.
pub struct Clinc {
    /// What is learnt.
    pub train: Vec<Labelled>,
    /// What may be looked at.
    pub validation: Vec<Labelled>,
    /// What is asked: the test lines, or a sample of the validation lines where a
    /// rough figure will do, so that nobody looks at the test lines all day.
    asked: Vec<Labelled>,
}

/// What the figures go into.
pub fn table(quick: bool) -> Table {
    let mut table = Table::new(
        "CLINC150, 15,000 examples of 150 routes",
        &[
            "",
            "accuracy",
            "OOS AUROC",
            "OOS F1",
            "FPR95",
            "ECE",
            "mean µs",
            "p99 µs",
            "learnt in s",
        ],
    );
    table.note(
        "Floors, from Aurelio's semantic-router with the same language model, and as set for \
         the static encoder: full .895 / .963 / .743, static .880 / .950 / .70. Learning \
         includes encoding the examples.",
    );
    if quick {
        table.note("Asked are some of the validation lines, not the test lines.");
    }
    table
}

impl Clinc {
    /// Reads what is needed.
    ///
    /// # Errors
    /// The first file that is not as it must be.
    pub fn read(folder: &Path, quick: bool) -> Result<Self> {
        let read = |name: &str| {
            labelled(&folder.join(name)).with_context(|| "--clinc150: a file cannot be used")
        };
        let validation = read("validation.jsonl")?;
        let asked = if quick {
            rough(&validation)
        } else {
            read("test.jsonl")?
        };
        Ok(Self {
            train: read("train.jsonl")?,
            validation,
            asked,
        })
    }

    /// From the examples alone; what was learnt took so long.
    pub fn alone(&self, trial: &Trial, learnt: Duration, table: &mut Table) -> Result<()> {
        self.measure(trial, &[], learnt, table)
    }

    /// With the validation lines to calibrate on.
    pub fn calibrated(&self, mesh: &Mesh, tier: Tier, table: &mut Table) -> Result<()> {
        let began = Instant::now();
        let trial = mesh.trial(fleet::of_examples(&self.train)?, tier, &self.validation)?;
        self.measure(&trial, &self.validation, began.elapsed(), table)
    }

    fn measure(
        &self,
        trial: &Trial,
        calibrate: &[Labelled],
        learnt: Duration,
        table: &mut Table,
    ) -> Result<()> {
        let how = match calibrate {
            [] => "from the examples alone",
            _ => "with --calibrate",
        };
        let threshold = threshold(trial, calibrate, &())?;
        let found = evaluate(trial, &self.asked, threshold, &())?;
        let cells = figures(&found).into_iter();
        let first = Cell::text(format!("{}, {how}", trial.tier().name()));
        let last = Cell::Number(learnt.as_secs_f64(), 1);
        table.row(std::iter::once(first).chain(cells).chain([last]));
        Ok(())
    }
}

/// Some of the lines with a route, and all without: there are few of those.
fn rough(lines: &[Labelled]) -> Vec<Labelled> {
    let (inside, outside): (Vec<&Labelled>, Vec<&Labelled>) =
        lines.iter().partition(|line| line.route.is_some());
    let some = inside.into_iter().step_by(ONE_IN);
    some.chain(outside).cloned().collect()
}

fn figures(found: &Evaluation) -> [Cell; 7] {
    let figure = |figure: Option<f64>| figure.map_or(Cell::Missing, |f| Cell::Number(f, 4));
    [
        figure(found.accuracy),
        figure(found.oos_auroc),
        figure(found.oos_f1),
        figure(found.fpr95),
        figure(found.ece),
        Cell::Number(found.us_per_query, 0),
        Cell::Number(found.us.p99, 0),
    ]
}
