//! The JSON of `/v1/decide`, for both of its sides: the component that answers
//! and the nucleus that asks. Records come from `wit/` by two generators that
//! take no names for JSON, so the rules are kept here, once:
//!
//! - A record is an object; its members are named in camelCase (`now-ms` is
//!   `nowMs`). An unknown member, one given twice, or one that is missing is an
//!   error that names it.
//! - A case is its name as text, or an object of that one name when it holds a
//!   value: `"unreachable"`, `{"timedOut": 5000}`. A `result` is `{"ok": …}` or
//!   `{"err": …}`.
//! - An option that is none is left out. `null` stands only for the inner none of
//!   an option of an option: "it was looked for, and there is none".
//! - Numbers are finite, and arrive with the bits they were sent with.
//!
//! Reading order: this file, `tree` (a document, each member once), `read` and
//! `write` (the rules), `fault` and `error`.
//!
//! Invariant: nothing here panics, whatever the bytes.

mod error;
mod fault;
mod name;
mod read;
mod tree;
mod write;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use error::Error;
pub use name::json_name;

/// Largest body of a request, in bytes.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Where the list of deciders is; each is below it, under its name.
pub const PATH: &str = "/v1/decide";

/// The path of one decider, for example `/v1/decide/router`.
#[must_use]
pub fn path(decider: &str) -> String {
    format!("{PATH}/{decider}")
}

/// A value of the deciders' records, as JSON.
///
/// # Errors
/// [`Error::Unwritable`] for a number that is not finite, and for Rust types that
/// no record has.
pub fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Error> {
    write::write(value)
}

/// The value of the deciders' records that is written as this JSON.
///
/// # Errors
/// [`Error::Syntax`] when it is not JSON, [`Error::Member`] when it says something
/// else.
pub fn from_json<T: DeserializeOwned>(json: &[u8]) -> Result<T, Error> {
    let tree = tree::parse(json)?;
    read::read(tree)
}
