//! What it takes from a question to its decision, policies and all, rung by rung.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use kgents_engine::deciders::router::Method;
use kgents_evaluation::Trial;
use kgents_mesh::decisions::ENTRIES;
use kgents_mesh::routing::{Routing, method_name};

use super::clinc::Clinc;
use crate::Settings;
use crate::table::{Cell, Table};
use crate::timing::{Times, microseconds, nanoseconds};

/// Questions below which a way of deciding is not told of.
const FEW: usize = 20;
/// Questions that are asked over and over.
const QUESTIONS: usize = 500;

/// What the figures go into.
pub fn table() -> Table {
    let mut table = Table::new(
        "From the exchange to a decision, among 150 agents",
        &["", "questions", "median µs", "p99 µs"],
    );
    table.note(
        "With every candidate put to the policies. Decided before, and classified by words, is \
         what the exchange does without leaving its thread; the others are told as they came, \
         each question once. p99 is wall time, so it also shows what else the machine does.",
    );
    table
}

/// Measures what the tier of the trial has.
pub fn run(settings: &Settings, clinc: &Clinc, trial: &Trial, table: &mut Table) -> Result<()> {
    let times = if settings.quick { 5_000 } else { 50_000 };
    let in_scope = clinc.validation.iter().filter(|line| line.route.is_some());
    let texts: Vec<&str> = in_scope.map(|line| line.query.as_str()).collect();
    let (remembers, forgets) = (trial.routing(ENTRIES)?, trial.routing(0)?);
    // Once to be decided, once to be known.
    let mut known = Vec::new();
    for text in texts.iter().take(QUESTIONS) {
        trial.decide_in(&remembers, text)?;
        let (routed, _) = trial.decide_in(&remembers, text)?;
        if routed.decision.method == Method::Cache {
            known.push(*text);
        }
    }
    at_once(trial, &remembers, &known, times, "decided before", table)?;
    let mut ways: BTreeMap<&str, Way<'_>> = BTreeMap::new();
    for text in &texts {
        let (routed, times) = trial.decide_in(&forgets, text)?;
        let way = ways.entry(method_name(&routed.decision)).or_default();
        way.texts.push(text);
        way.wholes.push(nanoseconds(times.whole));
        way.besides.push(nanoseconds(times.beside()));
    }
    let is_by_words = trial.encoder().is_none();
    for (method, way) in ways {
        let questions = way.texts.len();
        if questions < FEW {
            continue;
        }
        let name = match method {
            "classifier" if is_by_words => {
                let name = "classified by words";
                at_once(trial, &forgets, &way.texts, times, name, table)?;
                continue;
            }
            "classifier" => "classified",
            "fallback" => "nobody is sure enough, after every rung",
            other => other,
        };
        told(trial, name, Times::of(way.wholes), questions, table);
        if !is_by_words {
            let name = format!("{name}, beside the language model");
            told(trial, &name, Times::of(way.besides), questions, table);
        }
    }
    Ok(())
}

/// Questions that were decided in one way, and how long each took.
#[derive(Default)]
struct Way<'a> {
    texts: Vec<&'a str>,
    wholes: Vec<u32>,
    besides: Vec<u32>,
}

/// Asks the same questions again and again, as the exchange does without leaving its
/// thread.
fn at_once(
    trial: &Trial,
    routing: &Routing,
    texts: &[&str],
    times: usize,
    name: &str,
    table: &mut Table,
) -> Result<()> {
    ensure!(!texts.is_empty(), "no question is {name}");
    let mut texts_again = texts.iter().cycle();
    let measured = Times::try_measure(times, || {
        let text = texts_again.next().copied().unwrap_or_default();
        let mut climb = trial.ask(routing, text);
        let routed = routing.at_once(&mut climb)?;
        ensure!(routed.is_some(), "`{text}` takes longer");
        Ok((routed, climb))
    })?;
    told(trial, name, measured, texts.len(), table);
    Ok(())
}

fn told(trial: &Trial, name: &str, times: Times, questions: usize, table: &mut Table) {
    table.row([
        Cell::text(format!("{}: {name}", trial.tier().name())),
        Cell::Number(questions as f64, 0),
        microseconds(times.median(), 1),
        microseconds(times.quantile(0.99), 1),
    ]);
}
