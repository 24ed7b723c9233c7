//! Search: which agents' skills resemble the caller's words? Gathers scores,
//! decides nothing; the router weighs them.
//!
//! Exact on both halves: BM25 over words, and every vector compared. Snapshots are
//! immutable, so readers never wait; a change costs what it touches. Invariant: the
//! same agents give the same hits to the bit, whatever changes led there, on every
//! processor, so a decision that rests on them can be replayed.
//!
//! The agents lie in the order of their keys in blocks of some hundred, each with its
//! own words, postings and vectors. No count is kept over all of them: a question asks
//! every block, and adds up. That is what makes snapshots cheap and counts exact.
//!
//! In reading order: [`Index`] is the door; `document` is what goes in; `words`,
//! `dictionary` and `postings` are the lexical half; `block` holds agents; `question`,
//! `best` and `search` answer.

mod best;
mod block;
mod dictionary;
mod document;
mod error;
#[cfg(test)]
mod history;
mod index;
mod postings;
mod question;
mod search;
pub mod words;

pub use document::{AgentDoc, AgentKey, SKILLS_MAX, SkillDoc, VECTORS_MAX};
pub use error::Error;
pub use index::{Index, Stats};
pub use question::QUESTION_WORDS_MAX;
pub use search::{Filter, Hit};
