//! Requests as they repeat: how many are answered from memory, and how many of those
//! wrongly.

use std::collections::{BTreeMap, HashSet};

use anyhow::Result;
use kgents_engine::deciders::router::Method;
use kgents_evaluation::Trial;
use kgents_mesh::decisions::ENTRIES;
use kgents_search::words::normalise;

use super::clinc::Clinc;
use crate::table::{Cell, Table};
use crate::timing::{Times, microseconds, nanoseconds};

/// Requests, of which the second half is counted.
const REQUESTS: usize = 20_000;
/// Where the drawing begins.
const SEED: u64 = 1;

/// A question, and whose it is.
type Request<'a> = (&'a str, &'a str);

/// What the figures go into.
pub fn table() -> Table {
    let mut table = Table::new(
        "20,000 requests as they repeat, the second half counted: what memory answers",
        &[
            "",
            "asked before",
            "exact",
            "similar",
            "similar of the rest",
            "together",
            "wrong of exact",
            "wrong of similar",
            "wrong of both",
            "decided anew p50 µs",
        ],
    );
    table.note(
        "The route of each request is drawn by Zipf's law (exponent 1, routes in the order of \
         their names), its words evenly from the route's train and validation lines, none twice \
         before all were drawn; seed 1. Asked before: a request had the same words, which is the \
         most that exact hits can be. Wrong: another agent than the label.",
    );
    table
}

/// What became of the counted half.
#[derive(Default)]
struct Found {
    repeated: usize,
    exact: usize,
    exact_wrong: usize,
    similar: usize,
    similar_wrong: usize,
    anew: Vec<u32>,
}

/// Sends the requests through one routing with the memory of a mesh that says nothing
/// of it.
pub fn run(clinc: &Clinc, trial: &Trial, table: &mut Table) -> Result<()> {
    let requests = drawn(clinc);
    let routing = trial.routing(ENTRIES)?;
    let (mut found, mut seen) = (Found::default(), HashSet::new());
    for (number, (text, route)) in requests.iter().enumerate() {
        let (routed, times) = trial.decide_in(&routing, text)?;
        let is_new = seen.insert(normalise(text));
        if number < REQUESTS / 2 {
            continue;
        }
        found.repeated += usize::from(!is_new);
        let is_wrong = routed.decision.agent.as_deref() != Some(*route);
        match routed.decision.method {
            Method::Cache => {
                found.exact += 1;
                found.exact_wrong += usize::from(is_wrong);
            }
            Method::Similar => {
                found.similar += 1;
                found.similar_wrong += usize::from(is_wrong);
            }
            _ => found.anew.push(nanoseconds(times.whole)),
        }
    }
    table.row(found.cells(trial.tier().name()));
    Ok(())
}

impl Found {
    fn cells(self, name: &str) -> [Cell; 10] {
        let counted = self.exact + self.similar + self.anew.len();
        let (hits, wrong) = (
            self.exact + self.similar,
            self.exact_wrong + self.similar_wrong,
        );
        let share = |part: usize, of: usize| match of {
            0 => Cell::Missing,
            of => Cell::Number(part as f64 / of as f64, 4),
        };
        [
            Cell::text(name),
            share(self.repeated, counted),
            share(self.exact, counted),
            share(self.similar, counted),
            share(self.similar, counted - self.exact),
            share(hits, counted),
            share(self.exact_wrong, self.exact),
            share(self.similar_wrong, self.similar),
            share(wrong, hits),
            microseconds(Times::of(self.anew).median(), 0),
        ]
    }
}

/// The requests.
fn drawn(clinc: &Clinc) -> Vec<Request<'_>> {
    let mut routes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in clinc.train.iter().chain(&clinc.validation) {
        if let Some(route) = &line.route {
            routes.entry(route).or_default().push(&line.query);
        }
    }
    let routes: Vec<(&str, Vec<&str>)> = routes.into_iter().collect();
    let mut left: Vec<Vec<&str>> = vec![Vec::new(); routes.len()];
    let mut sum = 0.0;
    let up_to: Vec<f64> = (1..=routes.len())
        .map(|rank| {
            sum += 1.0 / rank as f64;
            sum
        })
        .collect();
    let mut dice = Dice(SEED);
    let request = |_| {
        let drawn = dice.share() * sum;
        let place = up_to.partition_point(|share| *share <= drawn);
        let ((route, all), left) = (routes.get(place)?, left.get_mut(place)?);
        if left.is_empty() {
            left.clone_from(all);
        }
        let text = left.swap_remove(dice.below(left.len()));
        Some((text, *route))
    };
    (0..REQUESTS).filter_map(request).collect()
}

/// Numbers by chance (SplitMix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0, below 1.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Below `end`, which has to be above 0.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}
