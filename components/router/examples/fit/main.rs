//! Fits `calibration.json` from search features.
//!
//! ```text
//! cargo run --release -p kgents-router --example fit -- \
//!     --date 2026-11-24 --note "features by …" --out components/router/calibration.json \
//!     features.jsonl [smaller-catalogue.jsonl …]
//! ```
//!
//! A line of features is one query with what search found for it:
//! `{"query", "route": name or null, "encoder": name or null,
//! "candidates": [{"agent", "skill", "lexical", "coverage", "vector"}]}`.
//! Lines with an encoder fit the tier `encoder`, lines without the tier `lexical`.
//! Of the first file, lines whose query hashes to an even number fit; the others
//! report, and that report goes into the calibration. Of further files, smaller
//! catalogues say, the report is printed.
//!
//! Nothing is random: the same lines give the same weights.

mod lines;
mod logistic;
mod metrics;
mod tier;

use lines::Line;
use serde_json::{Value, json};
use std::error::Error;
use std::path::PathBuf;
use tier::Which;

/// What the command line says.
struct Arguments {
    date: String,
    note: String,
    out: PathBuf,
    files: Vec<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = arguments()?;
    let mut files: Vec<(String, Vec<Line>)> = Vec::new();
    for path in &arguments.files {
        files.push((path.display().to_string(), lines::read(path)?));
    }
    let encoder = fit(&files, Which::Encoder)?;
    let lexical = fit(&files, Which::Lexical)?;
    let root = json!({
        "provenance": provenance(&arguments, &files),
        "encoder": encoder,
        "lexical": lexical,
    });
    std::fs::write(&arguments.out, serde_json::to_string_pretty(&root)? + "\n")?;
    println!("wrote {}", arguments.out.display());
    Ok(())
}

fn arguments() -> Result<Arguments, String> {
    let (mut date, mut note, mut out) = (None, String::new(), None);
    let mut files = Vec::new();
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
            file => files.push(PathBuf::from(file)),
        }
    }
    if files.is_empty() {
        return Err("name at least one file of features".to_owned());
    }
    Ok(Arguments {
        date: date.ok_or("`--date YYYY-MM-DD` is missing")?,
        note,
        out: out.ok_or("`--out FILE` is missing")?,
        files,
    })
}

/// Fits one tier on the first file and reports on each.
fn fit(files: &[(String, Vec<Line>)], which: Which) -> Result<Value, Box<dyn Error>> {
    let name = which.name();
    let of = |lines: &'_ [Line], fits: bool| -> Vec<Line> {
        let of_tier = lines
            .iter()
            .filter(|line| which.is_of(line) && line.fits() == fits);
        of_tier.cloned().collect()
    };
    let first = files.first().map_or(&[][..], |(_, lines)| lines.as_slice());
    let (fitting, reported) = (of(first, true), of(first, false));
    if fitting.is_empty() || reported.is_empty() {
        return Err(format!("the first file has too few lines for the tier `{name}`").into());
    }
    let fitted = tier::fit(&fitting, which);
    for (file, lines) in files {
        println!(
            "{name} on {file}: {}",
            tier::report(&fitted, &of(lines, false))
        );
    }
    Ok(tier::to_json(&fitted, &tier::report(&fitted, &reported)))
}

fn provenance(arguments: &Arguments, files: &[(String, Vec<Line>)]) -> Value {
    let whole = files.first().map_or(&[][..], |(_, lines)| lines.as_slice());
    let of = |line: &&Line| Which::Encoder.is_of(line);
    json!({
        "data": "calibration/cards.jsonl and calibration/queries.jsonl",
        "lines": whole.iter().filter(of).count(),
        "lines_fit": whole.iter().filter(of).filter(|line| line.fits()).count(),
        "lines_reported": whole.iter().filter(of).filter(|line| !line.fits()).count(),
        "lines_out_of_scope": whole.iter().filter(of).filter(|line| line.route.is_none()).count(),
        "agents": lines::agents(whole),
        "encoder": whole.iter().find_map(|line| line.found.encoder.clone()),
        "split": "by a hash of the query: even fits, odd reports",
        "date": arguments.date,
        "note": arguments.note,
    })
}
