//! Whether records that no head covers have waited for one longer than a writer
//! lets them: then heads were removed, or the records were put there.
//!
//! A writer signs within `Config::head_ms` of a record, when it closes, when it
//! opens a log that has unsigned records, and before it writes on after a break
//! (see `Store::sign_if_late`). So a crash, wherever it strikes, leaves records
//! of a few seconds unsigned. There is no clock here; time is read off the
//! records themselves, in a way that errs towards an honest writer:
//!
//! - A record is written after its interaction began, and outcomes are written
//!   when it ended. The latest such moment up to a record is therefore the
//!   earliest that this record can have been written.
//! - An outcome is written right when its interaction ended, which is when the
//!   waiting begins. An intent's moment says nothing of the kind: routing may
//!   have taken long.

use serde::Deserialize;

use crate::event::read_timestamp;

/// Milliseconds between records without a head that no writer leaves: heads
/// follow within a second, and a disk may stall for a while.
const UNSIGNED_MS_MAX: u64 = 60_000;

/// The records that no head covers, as they are taken in order.
#[derive(Debug, Default)]
pub(crate) struct Unsigned {
    /// The latest moment that any of them names.
    newest_ms: u64,
    /// When the first outcome among them was written, at the latest known.
    since_ms: Option<u64>,
}

impl Unsigned {
    /// Takes the next one. A record without a time that can be read is left
    /// out.
    pub(crate) fn note(&mut self, payload: &[u8]) {
        match Moment::decode(payload) {
            Some(Moment::Began(at)) => self.newest_ms = self.newest_ms.max(at),
            Some(Moment::Ended(at)) => {
                self.newest_ms = self.newest_ms.max(at);
                self.since_ms.get_or_insert(self.newest_ms);
            }
            None => {}
        }
    }

    /// Whether a head must have been signed in the time between them.
    pub(crate) fn is_overdue(&self) -> bool {
        self.since_ms
            .is_some_and(|since| self.newest_ms.saturating_sub(since) > UNSIGNED_MS_MAX)
    }
}

/// When what a record tells of happened, in milliseconds since the Unix epoch.
enum Moment {
    Began(u64),
    Ended(u64),
}

impl Moment {
    fn decode(payload: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Shape {
            Intent { timestamp_ms: u64 },
            Outcome { event: Event },
        }
        #[derive(Deserialize)]
        struct Event {
            spec: Spec,
        }
        #[derive(Deserialize)]
        struct Spec {
            timestamp: String,
            decision: Decision,
        }
        #[derive(Deserialize)]
        struct Decision {
            latency_ms: u64,
        }
        match serde_json::from_slice(payload).ok()? {
            Shape::Intent { timestamp_ms } => Some(Self::Began(timestamp_ms)),
            Shape::Outcome { event } => {
                let began = read_timestamp(&event.spec.timestamp)?;
                let ended = began.saturating_add(event.spec.decision.latency_ms);
                Some(Self::Ended(ended))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timestamp;

    const START: u64 = 1_765_463_452_123;

    fn began(at: u64) -> String {
        format!(
            r#"{{"intent":{{"event":"evt-1","timestamp_ms":{}}}}}"#,
            START + at
        )
    }

    fn ended(began: u64, latency: u64) -> String {
        let at = timestamp(START + began);
        format!(
            r#"{{"outcome":{{"event":{{"spec":{{"timestamp":"{at}","decision":{{"latency_ms":{latency}}}}}}}}}}}"#
        )
    }

    fn check(records: &[String], expected: bool) {
        let mut unsigned = Unsigned::default();
        for record in records {
            unsigned.note(record.as_bytes());
        }
        assert_eq!(unsigned.is_overdue(), expected, "{records:?}");
    }

    #[test]
    fn records_of_more_than_a_minute_are_overdue() {
        check(&[], false);
        check(&[ended(0, 5)], false);
        check(&[ended(0, 5), ended(59_000, 1_005)], false);
        check(&[ended(0, 5), ended(59_000, 1_006)], true);
        check(&[ended(0, 5), began(60_006)], true);
    }

    #[test]
    fn a_long_call_and_a_clock_set_back_are_not_overdue() {
        let hour = 3_600_000;
        check(&[began(0), ended(0, hour), began(hour)], false);
        check(&[began(0), began(hour)], false);
        check(&[began(hour), ended(0, 1), began(hour)], false);
        check(&[ended(hour, 1), ended(0, 1)], false);
        check(&["{}".to_owned(), ended(0, 1)], false);
    }
}
