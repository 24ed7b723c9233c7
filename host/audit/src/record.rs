//! What one entry of the log is: the intent before an interaction, or its
//! outcome, each with opaque state that must be exactly as durable.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{AgentAuditEvent, Error};

/// The longest record, in bytes of JSON. Events hold no content, so this is
/// room for carried state; a longer one is a mistake of its maker.
pub const RECORD_BYTES_MAX: usize = 1024 * 1024;

/// One entry of the log.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::large_enum_variant,
    reason = "a record is made, written and dropped; a box would cost an allocation each"
)]
pub enum Record {
    /// Something is about to be done.
    Intent(Intent),
    /// It ended.
    Outcome(Outcome),
}

/// Something is about to be done. Without an outcome after it, nobody knows
/// whether it was, and the log says so (`unknown`).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Intent {
    /// The name that the event will have.
    pub event: String,
    /// When it began, in milliseconds since the Unix epoch.
    pub timestamp_ms: u64,
    /// The caller's SPIFFE id.
    pub svid: String,
    /// The operation, as in `spec.action.type`.
    pub action: String,
    /// The agent or thing acted upon.
    pub target: String,
    /// State that must be there if the process dies now, such as the budget
    /// reserved. The log does not look into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried: Option<Box<RawValue>>,
}

/// An interaction ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// The event.
    pub event: AgentAuditEvent,
    /// Effects that hold exactly if the event does, such as a settlement or
    /// the owner of a task. The log does not look into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried: Option<Box<RawValue>>,
}

impl Record {
    /// The event's name.
    #[must_use]
    pub fn event(&self) -> &str {
        match self {
            Self::Intent(intent) => &intent.event,
            Self::Outcome(outcome) => &outcome.event.metadata.name,
        }
    }

    /// Appends the record's JSON to `bytes`. On failure `bytes` is as before.
    ///
    /// # Errors
    /// [`Error::Record`] for an empty name, a confidence outside 0 to 1, or
    /// more than [`RECORD_BYTES_MAX`].
    pub fn encode(&self, bytes: &mut Vec<u8>) -> Result<(), Error> {
        self.check()?;
        let start = bytes.len();
        let written = serde_json::to_writer(&mut *bytes, self);
        let length = bytes.len().saturating_sub(start);
        let why = match written {
            Err(error) => error.to_string(),
            Ok(()) if length > RECORD_BYTES_MAX => {
                format!("is {length} bytes, at most {RECORD_BYTES_MAX} may be kept")
            }
            Ok(()) => return Ok(()),
        };
        bytes.truncate(start);
        Err(Error::Record {
            field: "record",
            why,
        })
    }

    /// Reads a record's JSON.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    }

    fn check(&self) -> Result<(), Error> {
        if self.event().is_empty() {
            return Err(Error::Record {
                field: "event",
                why: "is empty; give it a name".to_owned(),
            });
        }
        let Self::Outcome(outcome) = self else {
            return Ok(());
        };
        match &outcome.event.spec.routing {
            Some(routing) if !(0.0..=1.0).contains(&routing.confidence) => Err(Error::Record {
                field: "spec.routing.confidence",
                why: format!("is {}, it must be from 0 to 1", routing.confidence),
            }),
            _ => Ok(()),
        }
    }
}

/// Whose intent or outcome a record is: all that the log itself looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Glance {
    Intent(Box<str>),
    Outcome(Box<str>),
}

impl Glance {
    pub(crate) fn of(record: &Record) -> Self {
        match record {
            Record::Intent(intent) => Self::Intent(intent.event.as_str().into()),
            Record::Outcome(outcome) => Self::Outcome(outcome.event.metadata.name.as_str().into()),
        }
    }

    /// Reads just the event's name, skipping the rest.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Shape {
            Intent { event: Box<str> },
            Outcome { event: Event },
        }
        #[derive(Deserialize)]
        struct Event {
            metadata: Name,
        }
        #[derive(Deserialize)]
        struct Name {
            name: Box<str>,
        }
        match serde_json::from_slice(bytes).map_err(|error| error.to_string())? {
            Shape::Intent { event } => Ok(Self::Intent(event)),
            Shape::Outcome { event } => Ok(Self::Outcome(event.metadata.name)),
        }
    }

    pub(crate) fn event(&self) -> &str {
        match self {
            Self::Intent(event) | Self::Outcome(event) => event,
        }
    }
}

/// The name of the event in bytes that may be damaged, as far as it can be
/// made out: what stands between quotes after `evt-`.
pub(crate) fn name_in(bytes: &[u8]) -> Option<String> {
    if let Ok(glance) = Glance::decode(bytes) {
        return Some(glance.event().to_owned());
    }
    let start = bytes.windows(5).position(|five| five == b"\"evt-")?;
    let rest = bytes.get(start.checked_add(1)?..)?;
    let end = rest.iter().take(128).position(|byte| *byte == b'"')?;
    let name = rest.get(..end)?;
    let plain = |byte: &u8| byte.is_ascii_graphic();
    name.iter()
        .all(plain)
        .then(|| String::from_utf8_lossy(name).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn outcome(confidence: f64) -> Record {
        let text = format!(
            r#"{{"outcome":{{"event":{{"apiVersion":"audit.kgents.io/v1","kind":"AgentAuditEvent",
            "metadata":{{"name":"evt-1"}},"spec":{{"timestamp":"t","agent":{{"name":"a","svid":"s","cluster":"c"}},
            "action":{{"type":"INVOKE","target":"t","method":"m","input_hash":"h"}},
            "decision":{{"outcome":"DENIED","policy":"p","policies_checked":[],"latency_ms":1}},
            "routing":{{"method":"exact","confidence":{confidence},"fallback":false}},
            "trace":{{"trace_id":"0","span_id":"1"}}}}}},"carried":{{"spent": 1.50}}}}}}"#
        );
        Record::decode(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_is_carried_comes_back_byte_for_byte() {
        let mut bytes = Vec::new();
        outcome(0.5).encode(&mut bytes).unwrap();
        let Record::Outcome(back) = Record::decode(&bytes).unwrap() else {
            panic!("an outcome was written");
        };
        assert_eq!(back.carried.unwrap().get(), r#"{"spent": 1.50}"#);
        assert_eq!(
            Glance::decode(&bytes).unwrap(),
            Glance::Outcome("evt-1".into())
        );
        assert_eq!(Glance::of(&outcome(0.5)), Glance::decode(&bytes).unwrap());
    }

    #[test]
    fn records_that_cannot_be_kept_are_refused_and_leave_no_trace() {
        let mut bytes = b"before".to_vec();
        let check = |record: Record, field: &str, bytes: &mut Vec<u8>| {
            let error = record.encode(bytes).unwrap_err();
            assert_eq!(error.code(), "audit-record");
            assert!(error.to_string().contains(field), "{error}");
            assert_eq!(bytes, b"before");
        };
        check(outcome(1.5), "confidence", &mut bytes);
        let intent = |event: &str, target: String| {
            Record::Intent(Intent {
                event: event.into(),
                timestamp_ms: 0,
                svid: String::new(),
                action: String::new(),
                target,
                carried: None,
            })
        };
        check(intent("", String::new()), "`event`", &mut bytes);
        check(
            intent("evt-1", "x".repeat(RECORD_BYTES_MAX)),
            "bytes",
            &mut bytes,
        );
    }

    #[test]
    fn a_name_is_made_out_in_damaged_bytes() {
        assert_eq!(
            name_in(b"{\"intent\":{\"ev\x00nt\":\"evt-7\",\"tim").as_deref(),
            Some("evt-7")
        );
        assert_eq!(name_in(b"{\"intent\":{\"event\":\"evt-7"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoders_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Record::decode(&bytes);
            let _ = Glance::decode(&bytes);
            let _ = name_in(&bytes);
        }

        #[test]
        fn any_intent_comes_back_as_it_was(event in "\\PC{1,20}", at in any::<u64>(), target in "\\PC*") {
            let intent = Intent { event, timestamp_ms: at, svid: target.clone(), action: "X".into(), target, carried: None };
            let mut bytes = Vec::new();
            Record::Intent(intent.clone()).encode(&mut bytes).unwrap();
            let Record::Intent(back) = Record::decode(&bytes).unwrap() else { panic!("an intent was written") };
            prop_assert_eq!(back.event, intent.event);
            prop_assert_eq!(back.timestamp_ms, intent.timestamp_ms);
            prop_assert_eq!(back.target, intent.target);
        }
    }
}
