//! Fits `calibration.json` from search features.
//!
//! ```text
//! cargo run --release --example fit -- \
//!     --date 2026-11-24 --note "features by …" --out components/router/calibration.json \
//!     features.jsonl
//! ```
//!
//! A line of features is one query in one mesh, with what search found for it:
//! `{"query", "route": name or null, "encoder": name or null, "one_in",
//! "candidates": [{"agent", "lexical", "coverage", "vector"}]}`; `one_in` is
//! 1 in the mesh of all agents, and n where one in n of the others exists.
//! Lines with an encoder fit the tier `encoder`, lines without the tier `lexical`.
//! Lines whose query hashes to an even number fit; the others report, beside the
//! calibration in force, and that report goes into the calibration.
//!
//! Nothing is random: the same lines give the same weights.

mod lines;
mod logistic;
mod metrics;
mod tier;

use lines::{Line, WHOLE, meshes, weighed};
use serde_json::{Value, json};
use std::error::Error;
use std::path::PathBuf;
use tier::Which;

/// What the command line says.
struct Arguments {
    date: String,
    note: String,
    out: PathBuf,
    features: PathBuf,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = arguments()?;
    let lines = lines::read(&arguments.features)?;
    let encoder = fit(&lines, Which::Encoder)?;
    let lexical = fit(&lines, Which::Lexical)?;
    let root = json!({
        "provenance": provenance(&arguments, &lines),
        "encoder": encoder,
        "lexical": lexical,
    });
    std::fs::write(&arguments.out, serde_json::to_string_pretty(&root)? + "\n")?;
    println!("wrote {}", arguments.out.display());
    Ok(())
}

fn arguments() -> Result<Arguments, String> {
    let (mut date, mut note, mut out) = (None, String::new(), None);
    let mut features = None;
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || {
            words
                .next()
                .ok_or_else(|| format!("`{word}` needs a value"))
        };
        match word.as_str() {
            "--date" => date = Some(value()?),
            "--note" => note = value()?,
            "--out" => out = Some(PathBuf::from(value()?)),
            other if other.starts_with('-') => return Err(format!("unknown option `{other}`")),
            file => {
                if features.replace(PathBuf::from(file)).is_some() {
                    return Err("name one file of features".to_owned());
                }
            }
        }
    }
    Ok(Arguments {
        date: date.ok_or("`--date YYYY-MM-DD` is missing")?,
        note,
        out: out.ok_or("`--out FILE` is missing")?,
        features: features.ok_or("the file of features is missing")?,
    })
}

/// Fits one tier on the fitting half, and reports on the other, mesh by mesh.
fn fit(lines: &[Line], which: Which) -> Result<Value, Box<dyn Error>> {
    let half = |fits: bool| -> Vec<Line> {
        let of = |line: &&Line| which.is_of(line) && line.fits() == fits;
        weighed(lines.iter().filter(of).cloned().collect())
    };
    let name = which.name();
    let (fitting, held_out) = (half(true), half(false));
    if fitting.is_empty() || held_out.is_empty() {
        return Err(format!("there are too few lines for the tier `{name}`").into());
    }
    let fitted = tier::fit(&fitting, which);
    for mesh in meshes(&held_out) {
        let of = held_out.iter().filter(|line| line.one_in == mesh);
        let of: Vec<Line> = of.cloned().collect();
        let agents = of
            .iter()
            .map(|line| line.found.candidates.len())
            .sum::<usize>();
        println!(
            "{name}, one agent in {mesh}, {} candidates:",
            agents / of.len().max(1)
        );
        println!("  fitted:   {}", tier::report(&fitted, &of));
        println!("  in force: {}", tier::report(&which.in_force(), &of));
        if which == Which::Encoder {
            println!("  by cosine alone: top-1 {:.3}", tier::cosine_alone(&of));
        }
    }
    let (whole, smaller): (Vec<Line>, Vec<Line>) =
        held_out.into_iter().partition(|line| line.one_in == WHOLE);
    Ok(tier::to_json(&fitted, which, &whole, &smaller))
}

fn provenance(arguments: &Arguments, lines: &[Line]) -> Value {
    let asked: Vec<&Line> = lines
        .iter()
        .filter(|line| Which::Encoder.is_of(line) && line.one_in == WHOLE)
        .collect();
    json!({
        "data": "calibration/cards.jsonl and calibration/queries.jsonl",
        "lines": asked.len(),
        "lines_fit": asked.iter().filter(|line| line.fits()).count(),
        "lines_reported": asked.iter().filter(|line| !line.fits()).count(),
        "lines_out_of_scope": asked.iter().filter(|line| line.route.is_none()).count(),
        "agents": lines::agents(lines),
        "encoder": asked.iter().find_map(|line| line.found.encoder.clone()),
        "split": "by a hash of the query: even fits, odd reports",
        "date": arguments.date,
        "note": arguments.note,
    })
}
