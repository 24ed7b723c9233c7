//! Learning: what do the agents' cards teach about who takes which request?
//!
//! Takes a lesson (routes, and lines that belong to them), gives a model: numbers that the
//! `router` component loads and judges questions by. Pure and deterministic: the same
//! lesson, table and sentence vectors give the same model to the bit, on every processor.
//!
//! In reading order: [`Lesson`] goes in, [`Model`] comes out, [`tables`] is what it is made
//! of and [`Report`] what it says of itself. [`Table`] is the shipped static encoder;
//! [`Sentences`], [`Judge`] and [`Progress`] are what training asks of others. [`measures`]
//! are the figures that decisions are measured by.
//!
//! Behind the door: `material` makes a lesson ready (`bag`: a text as rows); `learner` trains
//! `tuning` (the static encoder and its head) and `sentence_head`, both by `head`; `folds`
//! lets the router judge what was held out, `calibration` (by `logistic`) and `similar` fit
//! to that, `figures` reports it; `change` learns what differs. `lanes`, `steps` and `random`
//! are the arithmetic.

mod bag;
mod calibration;
mod change;
mod error;
mod figures;
mod folds;
mod head;
mod lanes;
mod learner;
mod lesson;
mod logistic;
mod material;
pub mod measures;
mod model;
mod ports;
mod random;
mod report;
mod sentence_head;
mod similar;
mod steps;
mod table;
pub mod tables;
mod tuning;

pub use error::Error;
pub use lesson::{LINES_MAX, Lesson, Line, ROUTES_MAX, Route};
pub use model::Model;
pub use ports::{Judge, Judged, Progress, Sentences};
pub use report::{Calibrated, Report, RouteReport, TakenBy, TierReport};
pub use table::Table;
pub use tables::{Features, RANKED_MAX, Tables, Vectors, WORDS_DIMENSIONS};
