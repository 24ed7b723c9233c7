//! What was learnt from the cards, taken in and checked: afterwards nothing in it
//! can be out of range, so that judging needs no errors.

use crate::steps::{BYTE_MAX, Rows};
use std::collections::BTreeMap;

/// Most numbers in one vector. It keeps sums of whole steps within 32 bits.
pub const DIMENSIONS_MAX: u32 = 4_096;

/// Features of the tier `words` that tell whether anybody does this.
pub const WORDS_FEATURES: usize = 4;

/// Features of the tier `sentences` that tell whether anybody does this.
pub const SENTENCES_FEATURES: usize = 3;

/// Features that tell whether a route is right.
pub const RIGHT_FEATURES: usize = 2;

/// A route the model tells apart: one skill of one agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// The agent's name.
    pub agent: String,
    /// The cluster it lives in.
    pub cluster: String,
    /// Name of the skill.
    pub skill: String,
    /// Number of its examples in every [`Examples`], which lie in the order of the
    /// routes.
    pub examples: u32,
    /// False when nothing but its description was learnt from.
    pub is_taught: bool,
}

/// Unit vectors in whole steps: a vector is `scale` times its steps.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Examples {
    /// -127 to 127, one vector after the other.
    pub steps: Vec<i8>,
    /// One per vector, above 0.0.
    pub scales: Vec<f32>,
}

/// A linear head over one encoder's unit vectors. Logit of route j:
/// 10.0 · weights[j]·vector + biases[j].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Head {
    /// Numbers in one vector, 1 to [`DIMENSIONS_MAX`].
    pub dimensions: u32,
    /// One row of `dimensions` numbers per route.
    pub weights: Vec<f32>,
    /// One per route.
    pub biases: Vec<f32>,
}

/// A logistic model in log-odds: intercept + weights · features.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Logistic {
    /// Log-odds without evidence.
    pub intercept: f32,
    /// One per feature.
    pub weights: Vec<f32>,
}

/// How one tier's features become probabilities.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Calibration {
    /// P(anybody here does this).
    pub in_scope: Logistic,
    /// P(this route is right), from the log-odds of `in_scope` and of its share.
    pub right: Logistic,
}

/// The part of a model over the sentence encoder.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sentences {
    /// Over the sentence encoder's vectors.
    pub head: Head,
    /// The examples in the sentence encoder.
    pub examples: Examples,
    /// Of [`SENTENCES_FEATURES`] features.
    pub calibration: Calibration,
    /// Logits are those of this head and `mix` times those of the words.
    pub mix: f32,
}

/// What a model is made of.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tables {
    /// What is told apart.
    pub routes: Vec<Route>,
    /// Over the static encoder's vectors, tuned to these routes.
    pub words: Head,
    /// The examples in that encoder.
    pub words_examples: Examples,
    /// The same examples in the static encoder as it is shipped.
    pub plain_examples: Examples,
    /// Of [`WORDS_FEATURES`] features.
    pub words_calibration: Calibration,
    /// None without a sentence encoder.
    pub sentences: Option<Sentences>,
}

/// Tables that fit each other.
///
/// INVARIANT: every list has the length that the routes and dimensions ask for,
/// and every number is finite.
#[derive(Debug)]
pub struct Model {
    /// The heads' weights are in the rows below instead.
    pub(crate) tables: Tables,
    pub(crate) words: Rows,
    pub(crate) sentences: Option<Rows>,
    /// Where each route's examples begin, and after the last the number of all.
    pub(crate) begins: Vec<usize>,
    /// For each route the number of its agent: routes of one agent, in whatever
    /// cluster, have one number.
    pub(crate) agents: Vec<usize>,
    /// How many different agents there are.
    pub(crate) agents_count: usize,
}

impl Model {
    /// Takes the tables in.
    ///
    /// # Errors
    /// The field, by its name in the WIT, whose size does not fit or that has a
    /// number out of range.
    pub fn load(mut tables: Tables) -> Result<Self, String> {
        let begins = begins(&tables.routes)?;
        let examples = begins.last().copied().unwrap_or(0);
        let routes = tables.routes.len();
        let dimensions = head("words", &tables.words, routes)?;
        for (field, table) in [
            ("words-examples", &tables.words_examples),
            ("plain-examples", &tables.plain_examples),
        ] {
            vectors(field, table, examples, dimensions)?;
        }
        calibration(
            "words-calibration",
            &tables.words_calibration,
            WORDS_FEATURES,
        )?;
        if let Some(sentences) = &tables.sentences {
            let dimensions = head("sentences.head", &sentences.head, routes)?;
            vectors(
                "sentences.examples",
                &sentences.examples,
                examples,
                dimensions,
            )?;
            calibration(
                "sentences.calibration",
                &sentences.calibration,
                SENTENCES_FEATURES,
            )?;
            finite("sentences.mix", &[sentences.mix])?;
        }
        let (agents, agents_count) = numbered(&tables.routes);
        let words = rows(&mut tables.words);
        let sentences = tables.sentences.as_mut().map(|it| rows(&mut it.head));
        Ok(Self {
            words,
            sentences,
            agents,
            agents_count,
            begins,
            tables,
        })
    }
}

/// Takes the weights out of a head that was checked.
fn rows(head: &mut Head) -> Rows {
    Rows::of(&std::mem::take(&mut head.weights), head.dimensions as usize)
}

fn begins(routes: &[Route]) -> Result<Vec<usize>, String> {
    let mut begins = Vec::with_capacity(routes.len() + 1);
    let mut total = 0_usize;
    begins.push(total);
    for (index, route) in routes.iter().enumerate() {
        if route.agent.is_empty() {
            return Err(format!("`routes[{index}].agent` is empty"));
        }
        total = usize::try_from(route.examples)
            .ok()
            .and_then(|own| total.checked_add(own))
            .ok_or_else(|| format!("`routes[{index}].examples` is more than there can be"))?;
        begins.push(total);
    }
    Ok(begins)
}

/// The number of each route's agent, and how many there are.
fn numbered(routes: &[Route]) -> (Vec<usize>, usize) {
    let mut numbers = BTreeMap::new();
    let mut agents = Vec::with_capacity(routes.len());
    for route in routes {
        let next = numbers.len();
        agents.push(*numbers.entry(route.agent.as_str()).or_insert(next));
    }
    (agents, numbers.len())
}

/// Checks a head; gives its dimensions.
fn head(field: &str, head: &Head, routes: usize) -> Result<usize, String> {
    let dimensions = head.dimensions;
    if !(1..=DIMENSIONS_MAX).contains(&dimensions) {
        return Err(format!(
            "`{field}.dimensions` is {dimensions}, and must be from 1 to {DIMENSIONS_MAX}"
        ));
    }
    let dimensions = dimensions as usize;
    let (weights, biases) = (format!("{field}.weights"), format!("{field}.biases"));
    size(&weights, head.weights.len(), routes, dimensions, "route")?;
    size(&biases, head.biases.len(), routes, 1, "route")?;
    finite(&weights, &head.weights)?;
    finite(&biases, &head.biases)?;
    Ok(dimensions)
}

fn vectors(field: &str, table: &Examples, count: usize, dimensions: usize) -> Result<(), String> {
    let (steps, scales) = (format!("{field}.steps"), format!("{field}.scales"));
    size(&steps, table.steps.len(), count, dimensions, "example")?;
    size(&scales, table.scales.len(), count, 1, "example")?;
    finite(&scales, &table.scales)?;
    if let Some(place) = table.scales.iter().position(|scale| *scale <= 0.0) {
        return Err(format!("`{scales}[{place}]` is not above 0"));
    }
    let is_outside = |step: &i8| i16::from(*step).abs() > BYTE_MAX;
    match table.steps.iter().position(is_outside) {
        Some(place) => Err(format!(
            "`{steps}[{place}]` is -128, and must be from -{BYTE_MAX} to {BYTE_MAX}"
        )),
        None => Ok(()),
    }
}

fn calibration(field: &str, table: &Calibration, features: usize) -> Result<(), String> {
    for (name, logistic, count) in [
        ("in-scope", &table.in_scope, features),
        ("right", &table.right, RIGHT_FEATURES),
    ] {
        let field = format!("{field}.{name}");
        let weights = format!("{field}.weights");
        finite(&format!("{field}.intercept"), &[logistic.intercept])?;
        size(&weights, logistic.weights.len(), count, 1, "feature")?;
        finite(&weights, &logistic.weights)?;
    }
    Ok(())
}

fn size(field: &str, has: usize, count: usize, each: usize, of: &str) -> Result<(), String> {
    if count.checked_mul(each) == Some(has) {
        return Ok(());
    }
    Err(format!(
        "`{field}` has {has} numbers, and must have {each} for each of {count} {of}s"
    ))
}

fn finite(field: &str, numbers: &[f32]) -> Result<(), String> {
    match numbers.iter().position(|number| !number.is_finite()) {
        Some(_) if numbers.len() == 1 => Err(format!("`{field}` is not a finite number")),
        Some(place) => Err(format!("`{field}[{place}]` is not a finite number")),
        None => Ok(()),
    }
}
