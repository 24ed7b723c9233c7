//! Search: which agents' skills resemble the caller's words? Gathers scores,
//! decides nothing; the router weighs them.
//!
//! Reading order: `words`, `lexical`, `index`.

pub mod index;
pub mod lexical;
pub mod words;

pub use index::{Hit, Index, SkillText};
