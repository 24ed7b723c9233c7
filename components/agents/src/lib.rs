//! The mesh's own agents: b-gent (the token budget), l-gent (the library of
//! agents) and echo. [`plan`] turns a message into an operation, [`phrase`]
//! words the operation's result. English in, no language model.
//!
//! Pure and import-free. Invariants:
//! - An operation that moves tokens is planned only when *every* word of the
//!   message is accounted for: whatever is left over (a negation, a condition,
//!   a second order, an upper bound) makes it unclear. Reading is tolerant.
//! - An amount or an account is never guessed; the data part is the exact form
//!   and wins over the text.
//! - What a message means depends on nothing but the message.
//!
//! Read in this order: [`operation`] (the nouns), [`plan`] (who reads what),
//! [`exact`] (the data part), [`token`], [`number`], [`lexicon`], [`asking`] and [`name`]
//! (the words), `mood`,
//! [`order`] and `slot` (moving tokens), [`question`] (asking b-gent),
//! [`library`] (asking l-gent), [`phrase`] and [`json`] (the answer).

pub mod asking;
pub mod exact;
pub mod json;
pub mod lexicon;
pub mod library;
mod mood;
pub mod name;
pub mod number;
pub mod operation;
pub mod order;
pub mod phrase;
pub mod plan;
pub mod question;
mod slot;
pub mod token;

#[cfg(target_family = "wasm")]
mod component;

pub use operation::{
    Account, Amount, Consumer, Listing, Message, Operation, Outcome, Reply, Unclear,
};
pub use phrase::phrase;
pub use plan::plan;
