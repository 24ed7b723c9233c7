//! Learning: what do cards, operators and callers teach about who takes which
//! request?
//!
//! Reading order: `taught` and `feedback` (what people say), `rejections` and
//! `lesson` (that and the cards, as what is learnt from), `course` (how, and
//! whether it is good enough), `training` over `judge` and `sentences`, `teacher`
//! (whose thread does it, when the `bell` rings); and `conversations`, which
//! remembers who answered whom.

mod bell;
pub mod conversations;
mod course;
pub mod feedback;
pub mod judge;
pub mod lesson;
pub mod rejections;
mod saying;
pub mod sentences;
pub mod taught;
pub mod teacher;
mod training;

pub use conversations::Conversations;
pub use feedback::{Decided, Feedback, Given, Saying};
pub use rejections::Rejections;
pub use taught::Taught;
pub use teacher::{Learnt, Standing, State, Teacher};
