//! The table of requests in `tests/requests`, good and bad, with their answers.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The deciders that are asked.
pub const DECIDERS: [&str; 4] = ["router", "policy", "pheromone", "health"];

/// A request that is answered with a decision.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Good {
    /// A sentence: what it shows.
    pub name: String,
    /// Whether the published schema shows it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub example: bool,
    /// Body of `POST /v1/decide/<decider>`.
    pub request: Value,
    /// Body of the answer, with status 200.
    pub answer: Value,
}

/// A request that is answered with an error.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bad {
    /// A sentence: what it shows.
    pub name: String,
    pub method: String,
    /// With its query.
    pub path: String,
    /// The body as JSON,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<Value>,
    /// or as text
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
    /// that is repeated so often.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<usize>,
    pub status: u16,
    /// The stable code.
    pub reason: String,
    /// For a person, naming the member.
    pub message: Option<String>,
}

impl Bad {
    /// The body's bytes.
    pub fn body(&self) -> Vec<u8> {
        match (&self.request, &self.raw) {
            (Some(request), _) => serde_json::to_vec(request).unwrap_or_default(),
            (None, Some(raw)) => raw.repeat(self.times.unwrap_or(1)).into_bytes(),
            (None, None) => Vec::new(),
        }
    }
}

/// The file of a decider's good requests, or of the `bad` ones.
pub fn file(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/requests");
    folder.join(format!("{name}.json"))
}

/// Reads one of those files.
pub fn read<T: for<'de> Deserialize<'de>>(name: &str) -> Result<Vec<T>, std::io::Error> {
    let text = std::fs::read(file(name))?;
    Ok(serde_json::from_slice(&text)?)
}
