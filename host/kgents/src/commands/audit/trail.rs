//! The latest entries of the trail, and how one is told.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

use kgents_audit::{
    AgentAuditEvent, DecisionOutcome, Error, FsDisk, Position, Record, replay, timestamp,
};
use serde::Serialize;

use crate::output::{Style, ago, parse_rfc3339, percent, safe};

/// Something that happened, or that began and has no outcome.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Entry {
    /// It ended: the event as it is kept.
    Ended(Box<AgentAuditEvent>),
    /// Nobody knows how it ended.
    Unknown(Unknown),
}

impl Entry {
    /// The event's name.
    pub fn event(&self) -> &str {
        match self {
            Self::Ended(event) => &event.metadata.name,
            Self::Unknown(unknown) => &unknown.event,
        }
    }

    /// The decision in a few words: how it ended, by which policy of how many,
    /// under which name.
    pub fn verdict(&self) -> String {
        let Self::Ended(event) = self else {
            return format!("unknown · {}", self.event());
        };
        let decision = &event.spec.decision;
        let how = match decision.outcome {
            DecisionOutcome::Allowed => "allowed",
            DecisionOutcome::Denied => "denied",
            DecisionOutcome::Failed => "failed",
        };
        let checked = match decision.policies_checked.len() {
            1 => "1 policy".to_owned(),
            count => format!("{count} policies"),
        };
        let policy = &decision.policy;
        let latency_ms = decision.latency_ms;
        let name = self.event();
        format!("{how} by {policy} · {checked} checked · {latency_ms} ms · {name}")
    }
}

/// An intent without an outcome.
#[derive(Clone, Debug, Serialize)]
pub struct Unknown {
    /// Always `unknown`.
    outcome: &'static str,
    /// The name its event would have.
    event: String,
    /// When it began, RFC 3339.
    timestamp: String,
    /// The caller's SPIFFE id.
    svid: String,
    /// The operation.
    action: String,
    /// What it was about.
    target: String,
}

/// The latest entries, read from where the last reading ended.
pub struct Latest {
    count: usize,
    next: Position,
    ended: VecDeque<(u64, Entry)>,
    open: BTreeMap<String, (u64, Unknown)>,
    follows: bool,
}

impl Latest {
    /// Keeps at most `count` entries.
    pub fn new(count: usize) -> Self {
        Self {
            count,
            next: Position::START,
            ended: VecDeque::new(),
            open: BTreeMap::new(),
            follows: false,
        }
    }

    /// From now on everything that ends is kept; what is under way waits for
    /// its outcome.
    pub fn follow(&mut self) {
        self.follows = true;
    }

    /// Reads what has been added.
    ///
    /// # Errors
    /// When the trail cannot be read, or is damaged.
    pub fn read(&mut self, dir: &Path) -> Result<(), Error> {
        for item in replay(Arc::new(FsDisk::read_only(dir)), self.next)? {
            let (position, record) = item?;
            self.next = position.next();
            self.add(position.index(), record);
        }
        Ok(())
    }

    fn add(&mut self, index: u64, record: Record) {
        match record {
            Record::Intent(intent) => {
                let unknown = Unknown {
                    outcome: "unknown",
                    event: intent.event.clone(),
                    timestamp: timestamp(intent.timestamp_ms),
                    svid: intent.svid,
                    action: intent.action,
                    target: intent.target,
                };
                self.open.insert(intent.event, (index, unknown));
            }
            Record::Outcome(outcome) => {
                self.open.remove(&outcome.event.metadata.name);
                self.ended
                    .push_back((index, Entry::Ended(Box::new(outcome.event))));
                if !self.follows && self.ended.len() > self.count {
                    self.ended.pop_front();
                }
            }
        }
    }

    /// The latest entries, oldest first; they are given once.
    pub fn take(&mut self) -> Vec<Entry> {
        let mut entries: Vec<(u64, Entry)> = self.ended.drain(..).collect();
        if self.follows {
            return entries.into_iter().map(|(_, entry)| entry).collect();
        }
        let open = self.open.values();
        entries.extend(open.map(|(index, unknown)| (*index, Entry::Unknown(unknown.clone()))));
        entries.sort_by_key(|(index, _)| *index);
        let skipped = entries.len().saturating_sub(self.count);
        entries
            .into_iter()
            .skip(skipped)
            .map(|(_, entry)| entry)
            .collect()
    }
}

/// One entry on one line: when (how long ago at `now_ms`, else the time of day),
/// how it ended, who, what, whom, how and by which policy.
pub fn line(entry: &Entry, now_ms: Option<u64>, style: &Style) -> String {
    let text = match entry {
        Entry::Ended(event) => ended(event, now_ms, style),
        Entry::Unknown(unknown) => {
            let when = style.dim(&format!("{:>12}", moment(&unknown.timestamp, now_ms)));
            let what = format!(
                "{} {} → {}",
                unknown.action,
                last(&unknown.svid),
                unknown.target
            );
            format!("{when}  {}  {}", style.yellow("unknown"), safe(&what))
        }
    };
    text.replace('\n', " ")
}

fn ended(event: &AgentAuditEvent, now_ms: Option<u64>, style: &Style) -> String {
    let spec = &event.spec;
    let when = style.dim(&format!("{:>12}", moment(&spec.timestamp, now_ms)));
    let how = match spec.decision.outcome {
        DecisionOutcome::Allowed => style.green("allowed"),
        DecisionOutcome::Denied => style.red("denied "),
        DecisionOutcome::Failed => style.red("failed "),
    };
    let what = format!(
        "{} {} → {}",
        spec.action.kind, spec.agent.name, spec.action.target
    );
    let mut facts = Vec::new();
    facts.extend(spec.decision.reason.clone());
    if let Some(routing) = &spec.routing {
        facts.push(match routing.fallback {
            true => "fallback".to_owned(),
            false => format!("{} {}", routing.method, percent(routing.confidence)),
        });
    }
    facts.push(format!("by {}", spec.decision.policy));
    facts.push(format!("{} ms", spec.decision.latency_ms));
    facts.push(event.metadata.name.clone());
    format!(
        "{when}  {how}  {}  {}",
        safe(&what),
        style.dim(&safe(&facts.join(" · ")))
    )
}

fn moment(timestamp: &str, now_ms: Option<u64>) -> String {
    match (parse_rfc3339(timestamp), now_ms) {
        (Some(then_ms), Some(now_ms)) => ago(then_ms, now_ms),
        // `2025-12-11T14:30:52.123Z`: the time of day.
        _ => timestamp
            .get(11..19)
            .map_or_else(|| safe(timestamp), |time| format!("{}Z", safe(time))),
    }
}

/// The last segment of a SPIFFE ID.
fn last(svid: &str) -> &str {
    svid.rsplit('/').next().unwrap_or(svid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn outcome(name: &str, how: &str) -> Record {
        let event = json!({"apiVersion": "audit.kgents.io/v1", "kind": "AgentAuditEvent",
            "metadata": {"name": name}, "spec": {"timestamp": "1970-01-01T00:01:00.000Z",
            "agent": {"name": "ada", "svid": "spiffe://m/users/ada", "cluster": "local"},
            "action": {"type": "INVOKE", "target": "b-gent", "method": "SendMessage", "input_hash": "h"},
            "decision": {"outcome": how, "policy": "operator", "policies_checked": [], "latency_ms": 12},
            "routing": {"method": "search", "confidence": 0.93, "fallback": false},
            "trace": {"trace_id": "0", "span_id": "1"}}});
        Record::decode(json!({"outcome": {"event": event}}).to_string().as_bytes()).unwrap()
    }

    fn intent(name: &str) -> Record {
        let intent = json!({"intent": {"event": name, "timestamp_ms": 60_000,
            "svid": "spiffe://m/users/ada", "action": "INVOKE", "target": "b-gent"}});
        Record::decode(intent.to_string().as_bytes()).unwrap()
    }

    fn names(entries: &[Entry]) -> Vec<String> {
        entries
            .iter()
            .map(|entry| match entry {
                Entry::Ended(event) => event.metadata.name.clone(),
                Entry::Unknown(unknown) => format!("{}?", unknown.event),
            })
            .collect()
    }

    fn latest(count: usize, records: Vec<Record>) -> Latest {
        let mut latest = Latest::new(count);
        for (index, record) in (0..).zip(records) {
            latest.add(index, record);
        }
        latest
    }

    #[test]
    fn the_last_entries_are_kept_and_an_intent_without_outcome_is_one() {
        let records = || {
            vec![
                intent("a"),
                outcome("a", "ALLOWED"),
                intent("lost"),
                intent("b"),
                outcome("b", "DENIED"),
            ]
        };
        assert_eq!(names(&latest(9, records()).take()), ["a", "lost?", "b"]);
        assert_eq!(names(&latest(2, records()).take()), ["lost?", "b"]);
        assert_eq!(names(&latest(0, records()).take()), [""; 0]);
    }

    #[test]
    fn while_following_all_that_ends_is_told_once() {
        let mut latest = latest(1, vec![intent("a"), outcome("a", "ALLOWED"), intent("b")]);
        assert_eq!(names(&latest.take()), ["b?"]);
        latest.follow();
        latest.add(3, outcome("b", "FAILED"));
        latest.add(4, intent("c"));
        latest.add(5, outcome("d", "ALLOWED"));
        assert_eq!(names(&latest.take()), ["b", "d"]);
        assert_eq!(names(&latest.take()), [""; 0]);
    }

    #[test]
    fn an_entry_is_told_on_one_line() {
        let check = |record: Record, now_ms: Option<u64>, expected: &str| {
            let entries = latest(1, vec![record]).take();
            assert_eq!(line(&entries[0], now_ms, &Style::plain()), expected);
        };
        check(
            outcome("evt-1", "ALLOWED"),
            Some(180_000),
            "   2 min ago  allowed  INVOKE ada → b-gent  search 93 % · by operator · 12 ms · evt-1",
        );
        check(
            outcome("evt-1", "DENIED"),
            None,
            "   00:01:00Z  denied   INVOKE ada → b-gent  search 93 % · by operator · 12 ms · evt-1",
        );
        check(
            intent("evt-2"),
            Some(61_000),
            "     1 s ago  unknown  INVOKE ada → b-gent",
        );
    }
}
