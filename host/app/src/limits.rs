//! What one component may use: `[component.x.tool.kgents]`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{AppError, Problem};

/// Without a limit in the manifest. A guest of a Spin SDK needs 2 to 20 MiB; this is room for
/// garbage-collected languages, and still keeps a hundred greedy guests within a server.
const MEMORY_BYTES_DEFAULT: u64 = 128 << 20;
/// WebAssembly memory of 32 bits ends here.
const MEMORY_BYTES_MAX: u64 = 4 << 30;
/// One page of WebAssembly memory.
const MEMORY_BYTES_MIN: u64 = 64 << 10;
/// Without a limit in the manifest. Streams that live longer say so in their manifest.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Enough that the cost of a fresh instance vanishes; more would only let leaks grow.
const REUSE_MAX: u32 = 1_000_000;

/// What one component may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory of one instance, bytes, 64 KiB to 4 GiB. `memory = "64MiB"`; 128 MiB when
    /// not given.
    pub memory_bytes: u64,
    /// The longest time until the head of an answer is there, and from then on the longest time in
    /// which nothing of its body is written or taken, at most a day. `timeout = "30s"`; 30 s when
    /// not given.
    pub timeout: Duration,
    /// How many requests one instance may serve, one after the other, 1 to a million.
    /// `reuse = 1000`; absent: a fresh instance for each request, which is Spin's rule.
    pub reuse: Option<u32>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            memory_bytes: MEMORY_BYTES_DEFAULT,
            timeout: TIMEOUT_DEFAULT,
            reuse: None,
        }
    }
}

/// The table as people write it; the lock keeps it in the same words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitsTable {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    memory: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reuse: Option<u32>,
}

impl LimitsTable {
    /// The limits that the table at `place` asks for.
    pub fn limits(&self, place: &str) -> Result<Limits, AppError> {
        let mut limits = Limits::default();
        if let Some(memory) = &self.memory {
            limits.memory_bytes =
                bytes(memory).map_err(|problem| problem.at(format!("{place}.memory")))?;
        }
        if let Some(timeout) = &self.timeout {
            limits.timeout =
                time(timeout).map_err(|problem| problem.at(format!("{place}.timeout")))?;
        }
        if let Some(reuse) = self.reuse {
            if !(1..=REUSE_MAX).contains(&reuse) {
                return Err(AppError::invalid(
                    format!("{place}.reuse"),
                    format!(
                        "{reuse} requests an instance; write 1 to {REUSE_MAX}, or leave it out for \
                         a fresh instance each time"
                    ),
                ));
            }
            limits.reuse = Some(reuse);
        }
        Ok(limits)
    }
}

fn bytes(text: &str) -> Result<u64, Problem> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).unwrap_or((text, ""));
    let scale = match unit.trim_start() {
        "KiB" => 1u64 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => 0,
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(scale))
        .filter(|bytes| (MEMORY_BYTES_MIN..=MEMORY_BYTES_MAX).contains(bytes))
        .ok_or_else(|| {
            Problem::new(format!(
                "{} is not an amount of memory; write `64KiB` to `4GiB`, such as `64MiB`",
                crate::names::quoted(text)
            ))
        })
}

fn time(text: &str) -> Result<Duration, Problem> {
    humantime::parse_duration(text)
        .ok()
        .filter(|time| *time >= Duration::from_millis(1) && *time <= TIMEOUT_MAX)
        .ok_or_else(|| {
            Problem::new(format!(
                "{} is not a time limit; write `1ms` to `24h`, such as `30s`",
                crate::names::quoted(text)
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(json: &str) -> LimitsTable {
        serde_json::from_str(json).expect(json)
    }

    #[test]
    fn limits_are_read_in_words_people_write() {
        let limits = table(r#"{"memory":"64MiB","timeout":"1m 30s","reuse":1000}"#)
            .limits("x")
            .unwrap();
        assert_eq!(
            limits,
            Limits {
                memory_bytes: 64 << 20,
                timeout: Duration::from_secs(90),
                reuse: Some(1000)
            }
        );
        assert_eq!(table("{}").limits("x").unwrap(), Limits::default());
    }

    #[test]
    fn limits_that_make_no_sense_are_refused_at_their_place() {
        for (json, place) in [
            (r#"{"memory":"64"}"#, "x.memory"),
            (r#"{"memory":"64MB"}"#, "x.memory"),
            (r#"{"memory":"1KiB"}"#, "x.memory"),
            (r#"{"memory":"99999999999999GiB"}"#, "x.memory"),
            (r#"{"timeout":"0s"}"#, "x.timeout"),
            (r#"{"timeout":"soon"}"#, "x.timeout"),
            (r#"{"timeout":"2 days"}"#, "x.timeout"),
            (r#"{"reuse":0}"#, "x.reuse"),
        ] {
            let error = table(json).limits("x").unwrap_err();
            assert!(error.to_string().starts_with(place), "{json}: {error}");
        }
        assert!(serde_json::from_str::<LimitsTable>(r#"{"cpu":"1"}"#).is_err());
    }

    proptest! {
        #[test]
        fn any_words_are_read_or_refused(memory in "\\PC{0,20}", timeout in "\\PC{0,20}") {
            let _ = bytes(&memory);
            let _ = time(&timeout);
        }
    }
}
