//! The policy decider: may this caller do that? Cedar policies, strictly
//! validated against the mesh's own schema. It imports nothing.
//!
//! Invariants:
//! - Nothing is allowed unless a policy permits it; a forbid that matches always
//!   wins; a policy that errs, or a query that does not fit the schema, denies.
//! - Loading takes all policies or none, and tells everything that is wrong.
//! - A loaded set never changes and keeps nothing between calls: the same
//!   question always gets the same verdict.
//! - The cost of a query grows with the policies whose scope it fits, not with
//!   all of them.
//!
//! To read in this order: `question` (what is asked and answered), `schema` (what
//! policies can speak about), `problem`, `limits` and `load` (from text to valid
//! policies), `index` (which of them a query concerns), `party` and `judge` (the
//! verdict), `policy_set` (the whole), `component` (its door).

#[cfg(target_family = "wasm")]
mod component;
mod index;
mod judge;
mod limits;
mod load;
mod party;
mod policy_set;
mod problem;
mod question;
mod schema;

pub use limits::{DEPTH_MAX, FILE_BYTES_MAX, LINKS_MAX, POLICIES_MAX};
pub use load::ID_BYTES_MAX;
pub use policy_set::PolicySet;
pub use problem::{Problem, Source};
pub use question::{Attribute, DEFAULT_DENY, Kind, POLICY_ERROR, Query, Subject, Value, Verdict};
pub use schema::SCHEMA;
