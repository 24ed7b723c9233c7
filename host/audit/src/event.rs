//! One interaction as the audit trail keeps it: who asked what of whom, what
//! was decided and why. Never content: the input is a keyed hash.
//!
//! Schema `audit.kgents.io/v1 AgentAuditEvent`.

use serde::{Deserialize, Serialize};

use crate::merkle::to_hex;

/// The schema's version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ApiVersion {
    /// `audit.kgents.io/v1`
    #[default]
    #[serde(rename = "audit.kgents.io/v1")]
    V1,
}

/// The schema's kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// `AgentAuditEvent`
    #[default]
    AgentAuditEvent,
}

/// One interaction, as it ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentAuditEvent {
    /// Always `audit.kgents.io/v1`.
    pub api_version: ApiVersion,
    /// Always `AgentAuditEvent`.
    pub kind: Kind,
    /// The event's name.
    pub metadata: Metadata,
    /// What happened.
    pub spec: Spec,
}

impl AgentAuditEvent {
    /// An event under `name` (see [`event_name`]).
    #[must_use]
    pub fn new(name: impl Into<String>, spec: Spec) -> Self {
        Self {
            api_version: ApiVersion::V1,
            kind: Kind::AgentAuditEvent,
            metadata: Metadata { name: name.into() },
            spec,
        }
    }
}

/// What the event is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// Unique in the log; the intent before it has the same. See [`event_name`].
    pub name: String,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// When it began: RFC 3339 in UTC with milliseconds. See [`timestamp`].
    pub timestamp: String,
    /// Who asked.
    pub agent: Agent,
    /// What was asked of whom.
    pub action: Action,
    /// What was decided.
    pub decision: Decision,
    /// How the target was found, where it was looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routing: Option<Routing>,
    /// The W3C trace it belongs to.
    pub trace: Trace,
}

/// Who asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// The caller's short name.
    pub name: String,
    /// The caller's SPIFFE id.
    pub svid: String,
    /// The cluster that answered.
    pub cluster: String,
}

/// What was asked of whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// The operation, in capitals: `INVOKE`, `ROUTE`, `LIST`… The list is
    /// closed where events are made; here it is text, so that old logs read.
    #[serde(rename = "type")]
    pub kind: String,
    /// The agent or thing acted upon.
    pub target: String,
    /// The protocol's method, such as `SendMessage`.
    pub method: String,
    /// What a message asked one of the mesh's own agents to do, and to what, for
    /// example `allocate translation`: policy judged that, not just the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Keyed hash of the input: `hmac-sha256:` and 64 hex digits.
    pub input_hash: String,
}

/// How an interaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum DecisionOutcome {
    /// It was allowed, and done.
    Allowed,
    /// It was refused.
    Denied,
    /// It was allowed, and went wrong.
    Failed,
}

/// What was decided, by what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// How it ended.
    pub outcome: DecisionOutcome,
    /// The deciding policy's id.
    pub policy: String,
    /// Every policy that was looked at, by id.
    pub policies_checked: Vec<String>,
    /// From arrival to the end, in milliseconds.
    pub latency_ms: u64,
    /// The stable code of a denial or failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How the target was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Routing {
    /// The rung that decided, such as `exact` or `search`.
    pub method: String,
    /// Calibrated probability that the target is right: 0.0 to 1.0.
    pub confidence: f64,
    /// Whether nobody was found and the fallback took it.
    pub fallback: bool,
}

/// The W3C trace context.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// 32 hex digits.
    pub trace_id: String,
    /// 16 hex digits.
    pub span_id: String,
}

/// A name for an event that began at `timestamp_ms` (since the Unix epoch):
/// `evt-2025-12-11-143052-b7d9f0a1c2`, its end being the 5 random bytes given.
/// 40 bits within one second: names collide once in 10^12 at 1,000 a second.
#[must_use]
pub fn event_name(timestamp_ms: u64, random: [u8; 5]) -> String {
    let at = Moment::of(timestamp_ms);
    let mut name = String::with_capacity(32);
    name.push_str("evt-");
    at.push_date(&mut name);
    name.push('-');
    for part in [at.hour, at.minute, at.second] {
        push_digits(&mut name, part, 2);
    }
    name.push('-');
    name.push_str(&to_hex(&random));
    name
}

/// `timestamp_ms` (since the Unix epoch) as RFC 3339: `2025-12-11T14:30:52.123Z`.
#[must_use]
pub fn timestamp(timestamp_ms: u64) -> String {
    let at = Moment::of(timestamp_ms);
    let mut text = String::with_capacity(24);
    at.push_date(&mut text);
    for (before, part, digits) in [
        ('T', at.hour, 2),
        (':', at.minute, 2),
        (':', at.second, 2),
        ('.', at.millisecond, 3),
    ] {
        text.push(before);
        push_digits(&mut text, part, digits);
    }
    text.push('Z');
    text
}

/// What [`timestamp`] made, read back: milliseconds since the Unix epoch.
/// `None` for text that it cannot have made.
pub(crate) fn read_timestamp(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.split('-').map(|part| part.parse::<u64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (time, millisecond) = time.split_once('.')?;
    let mut time = time.split(':').map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    let millisecond = millisecond.parse::<u64>().ok()?;
    let possible = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60
        && millisecond < 1_000;
    if !possible {
        return None;
    }
    // Source: as for `Moment::of`, `days_from_civil`; years begin in March.
    let year = if month <= 2 { year - 1 } else { year };
    let shifted = (month + 9) % 12;
    let day_of_year = (153 * shifted + 2) / 5 + day - 1;
    let day_of_era = year % 400 * 365 + year % 400 / 4 - year % 400 / 100 + day_of_year;
    let days = (year / 400 * 146_097 + day_of_era).checked_sub(719_468)?;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000 + millisecond)
}

/// At least so many decimal digits of a number.
fn push_digits(text: &mut String, number: u64, digits: usize) {
    let mut buffer = [b'0'; 20];
    let mut left = number;
    let mut used = 0;
    for slot in buffer.iter_mut().rev() {
        if left == 0 && used >= digits {
            break;
        }
        *slot = b'0' + (left % 10) as u8;
        left /= 10;
        used += 1;
    }
    let start = buffer.len() - used;
    text.extend(buffer.iter().skip(start).map(|digit| char::from(*digit)));
}

/// A point in time in the civil calendar, UTC.
struct Moment {
    year: u64,
    month: u64,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
    millisecond: u64,
}

impl Moment {
    /// Source: Howard Hinnant, "chrono-compatible low-level date algorithms",
    /// `civil_from_days`, for days since 1970 (never negative here).
    fn of(timestamp_ms: u64) -> Self {
        let seconds = timestamp_ms / 1_000;
        let days = seconds / 86_400 + 719_468;
        let era = days / 146_097;
        let day_of_era = days % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let month = if shifted < 10 {
            shifted + 3
        } else {
            shifted - 9
        };
        Self {
            year: year_of_era + era * 400 + u64::from(month <= 2),
            month,
            day: day_of_year - (153 * shifted + 2) / 5 + 1,
            hour: seconds / 3_600 % 24,
            minute: seconds / 60 % 60,
            second: seconds % 60,
            millisecond: timestamp_ms % 1_000,
        }
    }

    /// `2025-12-11`
    fn push_date(&self, text: &mut String) {
        push_digits(text, self.year, 4);
        text.push('-');
        push_digits(text, self.month, 2);
        text.push('-');
        push_digits(text, self.day, 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_the_calendar_has_them() {
        let check = |ms, expected: &str| {
            assert_eq!(timestamp(ms), expected);
            assert_eq!(read_timestamp(expected), Some(ms));
        };
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_782_400_000, "2000-02-29T00:00:00.000Z");
        check(951_868_799_999, "2000-02-29T23:59:59.999Z");
        check(1_765_463_452_123, "2025-12-11T14:30:52.123Z");
        check(4_107_542_400_000, "2100-03-01T00:00:00.000Z");
        assert_eq!(
            event_name(1_765_463_452_123, [0xb7, 0xd9, 0xf0, 0xa1, 0xc2]),
            "evt-2025-12-11-143052-b7d9f0a1c2"
        );
    }

    #[test]
    fn an_event_is_written_exactly_as_the_schema_has_it() {
        let text = concat!(
            r#"{"apiVersion":"audit.kgents.io/v1","kind":"AgentAuditEvent","#,
            r#""metadata":{"name":"evt-2025-12-11-143052-b7d9f0a1c2"},"spec":{"#,
            r#""timestamp":"2025-12-11T14:30:52.123Z","#,
            r#""agent":{"name":"b-gent","svid":"spiffe://kgents.io/agents/b-gent","cluster":"us-west-1"},"#,
            r#""action":{"type":"INVOKE","target":"l-gent","method":"SendMessage","input_hash":"hmac-sha256:00"},"#,
            r#""decision":{"outcome":"ALLOWED","policy":"default-allow","policies_checked":["a","b"],"latency_ms":47},"#,
            r#""routing":{"method":"exact","confidence":1.0,"fallback":false},"#,
            r#""trace":{"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7"}}}"#
        );
        let event: AgentAuditEvent = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&event).unwrap(), text);
        assert_eq!(event.spec.decision.outcome, DecisionOutcome::Allowed);
        let denied = text.replace(r#""ALLOWED""#, r#""DENIED""#).replace(
            r#""latency_ms":47"#,
            r#""latency_ms":47,"reason":"policy-denied""#,
        );
        let event: AgentAuditEvent = serde_json::from_str(&denied).unwrap();
        assert_eq!(serde_json::to_string(&event).unwrap(), denied);
        assert!(serde_json::from_str::<AgentAuditEvent>(&text.replace("io/v1", "io/v2")).is_err());
    }
}
