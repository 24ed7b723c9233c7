//! Decisions shared with other processes, or outliving this one: what is asked of
//! such a store, and how a decision is written.

use super::entry::{Basis, Decided};
use super::key::Key;
use kgents_engine::deciders::router::Alternative;
use serde::{Deserialize, Serialize};

/// Of this form of values; another form has other names.
const PREFIX: &str = "kgents:decisions:v1:";
/// Bytes of a value, at most: five alternatives and room.
const VALUE_BYTES_MAX: usize = 8 * 1024;

/// A store that may be slow, or gone: it costs time, never an answer.
pub trait Shared: Send + Sync {
    /// What is kept under a name; `None` also when the store does not answer in time.
    /// Blocks for some milliseconds at worst.
    fn get(&self, name: &str) -> Option<Vec<u8>>;

    /// Keeps a value for a while, some time later or never. Does not block.
    fn put(&self, name: String, value: Vec<u8>);

    /// What it was asked, and how it went.
    fn counts(&self) -> SharedCounts;
}

/// How a store beyond this process does. All grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SharedCounts {
    /// Answers that failed or came too late.
    pub failures: u64,
    /// Values that were not written: too many waited, or the store did not answer.
    pub dropped: u64,
}

/// The name of a decision.
pub(super) fn name(key: &Key) -> String {
    format!("{PREFIX}{}", key.digest())
}

/// A value was not written by a mesh that knows this form, or was damaged.
#[derive(Debug, thiserror::Error)]
#[error("the value is no decision of this form: {0}")]
pub(super) struct Foreign(String);

/// A decision as it is written: readable, and refused where anything is unknown.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Value {
    version: u8,
    /// Digest of the fleet that it was made for.
    fleet: String,
    agent: String,
    cluster: String,
    confidence: f32,
    basis: Basis,
    alternatives: Vec<Next>,
    in_scope: f32,
    by_words_alone: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Next {
    agent: String,
    cluster: String,
    confidence: f32,
}

/// Version of the value within its names.
const VERSION: u8 = 1;

/// A decision as bytes.
pub(super) fn write(decided: &Decided, fleet: &str) -> Vec<u8> {
    let next = |a: &Alternative| Next {
        agent: a.agent.clone(),
        cluster: a.cluster.clone(),
        confidence: a.confidence,
    };
    let value = Value {
        version: VERSION,
        fleet: fleet.to_owned(),
        agent: decided.agent.clone(),
        cluster: decided.cluster.clone(),
        confidence: decided.confidence,
        basis: decided.basis,
        alternatives: decided.alternatives.iter().map(next).collect(),
        in_scope: decided.in_scope,
        by_words_alone: decided.by_words_alone,
    };
    // Texts and numbers can always be written.
    serde_json::to_vec(&value).unwrap_or_default()
}

/// The decision that bytes are; `None` when it was made for another fleet.
///
/// # Errors
/// When the bytes are no such value.
pub(super) fn read(bytes: &[u8], fleet: &str) -> Result<Option<Decided>, Foreign> {
    if bytes.len() > VALUE_BYTES_MAX {
        return Err(Foreign(format!("it has {} bytes", bytes.len())));
    }
    let value: Value = serde_json::from_slice(bytes).map_err(|error| Foreign(error.to_string()))?;
    if value.version != VERSION {
        return Err(Foreign(format!("it is of version {}", value.version)));
    }
    if value.fleet != fleet {
        return Ok(None);
    }
    let next = |next: Next| Alternative {
        agent: next.agent,
        cluster: next.cluster,
        confidence: next.confidence,
    };
    let decided = Decided {
        agent: value.agent,
        cluster: value.cluster,
        confidence: value.confidence,
        basis: value.basis,
        alternatives: value.alternatives.into_iter().map(next).collect(),
        in_scope: value.in_scope,
        by_words_alone: value.by_words_alone,
    };
    let checked = decided.checked();
    checked
        .map(Some)
        .ok_or_else(|| Foreign("a probability is none, or no agent is named".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decided() -> Decided {
        let next = Alternative {
            agent: "b".to_owned(),
            cluster: "eu".to_owned(),
            confidence: 0.1,
        };
        Decided {
            agent: "a".to_owned(),
            cluster: "local".to_owned(),
            confidence: 0.912_345,
            basis: Basis::Classifier,
            alternatives: vec![next],
            in_scope: 0.99,
            by_words_alone: false,
        }
    }

    #[test]
    fn a_decision_reads_back_as_written_for_the_same_fleet_alone() {
        let bytes = write(&decided(), "fleet");
        assert_eq!(read(&bytes, "fleet").unwrap(), Some(decided()));
        assert_eq!(read(&bytes, "other").unwrap(), None);
    }

    #[test]
    fn what_is_no_decision_is_refused() {
        let good = String::from_utf8(write(&decided(), "fleet")).unwrap();
        let broken = [
            String::new(),
            "nothing".to_owned(),
            good.replace("\"version\":1", "\"version\":2"),
            good.replace("\"version\":1", "\"version\":1,\"more\":1"),
            good.replace("0.99", "1.5"),
            good.replace("0.99", "null"),
            good.replace("\"agent\":\"a\"", "\"agent\":\"\""),
            good.replace("classifier", "oracle"),
            format!("{good}{}", " ".repeat(VALUE_BYTES_MAX)),
        ];
        for text in broken {
            assert!(read(text.as_bytes(), "fleet").is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes, "fleet");
        }
    }
}
