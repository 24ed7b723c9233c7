//! Pheromones (fading signals between agents): stored rows that never change;
//! how strong one is now is the decider's to say, at reading.

use crate::store::{self, Store};
use kgents_engine::Pheromones as Decider;
use kgents_engine::deciders::pheromone::{Draft, Filter, Pheromone, Problem};
use kgents_gateway::call::{Failure, FailureKind, Payload, PheromoneDraft, SenseFilter};
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Sensed at most, however many are asked for.
const SENSED_MAX: u32 = 1000;
/// Sensed when nothing is said.
const SENSED_DEFAULT: u32 = 100;
/// Largest payload of one.
const PAYLOAD_BYTES_MAX: usize = 64 * 1024;
/// Most that may be in the air at once; a flood is refused, not stored.
const ROWS_MAX: usize = 20_000;

/// A stored row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    #[serde(rename = "type")]
    kind: String,
    source: String,
    emitted_at_ms: u64,
    initial_intensity: f64,
    half_life_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ttl_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload: Option<Payload>,
}

/// All pheromones in the air.
pub struct Pheromones {
    decider: Decider,
    store: Arc<Store>,
    rows: RwLock<Rows>,
    /// Held by whoever emits, so that nobody who senses waits for the disk.
    emitting: Mutex<()>,
}

#[derive(Default)]
struct Rows {
    next: u64,
    /// Number and row, and the row as the decider takes it.
    rows: Vec<(u64, Row)>,
    signals: Vec<Pheromone>,
}

impl Pheromones {
    /// Reads what is stored.
    ///
    /// # Errors
    /// When the store fails.
    pub fn open(decider: Decider, store: Arc<Store>) -> Result<Self, store::Error> {
        let mut rows = Rows::default();
        for (number, bytes) in store.pheromones()? {
            rows.next = number.saturating_add(1);
            match serde_json::from_slice::<Row>(&bytes) {
                Ok(row) => rows.push(number, row),
                Err(error) => tracing::warn!(number, %error, "a stored pheromone is left out"),
            }
        }
        Ok(Self {
            decider,
            store,
            rows: RwLock::new(rows),
            emitting: Mutex::new(()),
        })
    }

    /// Emits one; durable when it returns. Blocks for a commit. What has faded
    /// is removed along the way.
    ///
    /// # Errors
    /// `InvalidParams` with every field that is wrong, `Unavailable`.
    pub fn emit(
        &self,
        source: &str,
        draft: &PheromoneDraft,
        now_ms: u64,
    ) -> Result<Payload, Failure> {
        if draft
            .payload
            .as_ref()
            .is_some_and(|p| p.as_bytes().len() > PAYLOAD_BYTES_MAX)
        {
            let message = format!("`payload` is above {PAYLOAD_BYTES_MAX} bytes");
            return Err(Failure::new(FailureKind::InvalidParams, message));
        }
        let accepted = self.decider.accept(
            &Draft {
                kind: draft.kind.clone(),
                source: source.to_owned(),
                initial_intensity: draft.intensity,
                half_life_minutes: draft.half_life_minutes,
                target: draft.target.clone(),
                ttl_seconds: draft.ttl_seconds,
            },
            &[],
            now_ms,
        );
        let signal = accepted
            .map_err(|error| failed(&error))?
            .map_err(|problems| refused(&problems))?;
        let row = Row::new(&signal, draft.payload.clone());
        let _one_at_a_time = self.emitting.lock();
        let (gone, count, number) = {
            let rows = self.rows.read();
            (self.gone(&rows, now_ms)?, rows.rows.len(), rows.next)
        };
        if count.saturating_sub(gone.len()) >= ROWS_MAX {
            return Err(Failure::new(
                FailureKind::Unavailable,
                "too many pheromones are in the air",
            )
            .hint("wait until some have faded, or emit them with a shorter half-life"));
        }
        let bytes = serde_json::to_vec(&row).unwrap_or_default();
        self.store
            .put_pheromone(number, &bytes, &gone)
            .map_err(|error| {
                tracing::error!(code = error.code(), "a pheromone cannot be stored");
                Failure::new(
                    FailureKind::Unavailable,
                    "the pheromone cannot be stored now",
                )
            })?;
        let payload = Payload::of(&shown(number, &row, signal.initial_intensity));
        let mut rows = self.rows.write();
        rows.next = number.saturating_add(1);
        rows.remove(&gone);
        rows.push(number, row);
        Ok(payload)
    }

    /// The types that are in the air, or were until lately; sorted.
    pub fn kinds(&self) -> Vec<String> {
        let rows = self.rows.read();
        let kinds: BTreeSet<&str> = rows.rows.iter().map(|(_, row)| &*row.kind).collect();
        kinds.into_iter().map(str::to_owned).collect()
    }

    /// Senses what passes the filter, strongest first. `except` are types that
    /// are not looked at.
    ///
    /// # Errors
    /// `InvalidParams` for a filter out of range or a type that there is not,
    /// `Unavailable`.
    pub fn sense(
        &self,
        filter: &SenseFilter,
        except: &[&str],
        now_ms: u64,
    ) -> Result<Payload, Failure> {
        if !(0.0..=1.0).contains(&filter.min_intensity) {
            let message = "`min_intensity` must be between 0.0 and 1.0";
            return Err(Failure::new(FailureKind::InvalidParams, message));
        }
        if let Some(kind) = &filter.kind {
            self.check_kind(kind, now_ms)?;
        }
        let limit = match filter.limit {
            None | Some(0) => SENSED_DEFAULT,
            Some(limit) => limit.min(SENSED_MAX),
        };
        let filter = Filter {
            kind: filter.kind.clone(),
            target: filter.target.clone(),
            min_intensity: filter.min_intensity,
            // Those left out are told apart below, so all have to be seen.
            limit: if except.is_empty() { limit } else { 0 },
        };
        let rows = self.rows.read();
        let sensed = self
            .decider
            .sense(&rows.signals, &filter, now_ms)
            .map_err(|e| failed(&e))?;
        let shown: Vec<_> = sensed
            .iter()
            .filter_map(|s| Some((rows.rows.get(s.index as usize)?, s.intensity)))
            .filter(|((_, row), _)| !except.contains(&row.kind.as_str()))
            .take(limit as usize)
            .map(|((number, row), intensity)| shown(*number, row, intensity))
            .collect();
        Ok(Payload::of(&serde_json::json!({ "pheromones": shown })))
    }

    /// Fails unless a pheromone of that type could be emitted: nothing would
    /// ever be sensed, and a slip of the pen would look like silence.
    fn check_kind(&self, kind: &str, now_ms: u64) -> Result<(), Failure> {
        let draft = Draft {
            kind: kind.to_owned(),
            source: "listener".to_owned(),
            initial_intensity: None,
            half_life_minutes: None,
            target: None,
            ttl_seconds: None,
        };
        let accepted = self.decider.accept(&draft, &[], now_ms);
        match accepted.map_err(|error| failed(&error))? {
            Ok(_) => Ok(()),
            Err(problems) => Err(refused(&problems)),
        }
    }

    /// Numbers of the rows that are not sensed any more.
    fn gone(&self, rows: &Rows, now_ms: u64) -> Result<Vec<u64>, Failure> {
        let all = Filter {
            kind: None,
            target: None,
            min_intensity: 0.0,
            limit: 0,
        };
        let sensed = self
            .decider
            .sense(&rows.signals, &all, now_ms)
            .map_err(|e| failed(&e))?;
        let alive: std::collections::HashSet<usize> =
            sensed.iter().map(|s| s.index as usize).collect();
        Ok(rows
            .rows
            .iter()
            .enumerate()
            .filter(|(index, _)| !alive.contains(index))
            .map(|(_, (number, _))| *number)
            .collect())
    }
}

impl Rows {
    fn push(&mut self, number: u64, row: Row) {
        self.signals.push(row.signal());
        self.rows.push((number, row));
    }

    fn remove(&mut self, gone: &[u64]) {
        if gone.is_empty() {
            return;
        }
        self.rows
            .retain(|(number, _)| gone.binary_search(number).is_err());
        self.signals = self.rows.iter().map(|(_, row)| row.signal()).collect();
    }
}

impl Row {
    fn new(signal: &Pheromone, payload: Option<Payload>) -> Self {
        Self {
            kind: signal.kind.clone(),
            source: signal.source.clone(),
            emitted_at_ms: signal.emitted_at_ms,
            initial_intensity: signal.initial_intensity,
            half_life_ms: signal.half_life_ms,
            target: signal.target.clone(),
            ttl_ms: signal.ttl_ms,
            payload,
        }
    }

    fn signal(&self) -> Pheromone {
        Pheromone {
            kind: self.kind.clone(),
            source: self.source.clone(),
            emitted_at_ms: self.emitted_at_ms,
            initial_intensity: self.initial_intensity,
            half_life_ms: self.half_life_ms,
            target: self.target.clone(),
            ttl_ms: self.ttl_ms,
        }
    }
}

fn shown(number: u64, row: &Row, intensity: f64) -> serde_json::Value {
    let mut value = serde_json::json!({
        "id": number.to_string(),
        "type": row.kind,
        "source": row.source,
        "emittedAt": kgents_audit::timestamp(row.emitted_at_ms),
        "initialIntensity": row.initial_intensity,
        "intensity": intensity,
        "halfLifeMinutes": row.half_life_ms as f64 / 60_000.0,
        "target": row.target,
    });
    if let (Some(object), Some(payload)) = (value.as_object_mut(), &row.payload) {
        let payload = serde_json::from_slice(payload.as_bytes()).unwrap_or_default();
        object.insert("payload".to_owned(), payload);
    }
    value
}

fn refused(problems: &[Problem]) -> Failure {
    let text: Vec<String> = problems
        .iter()
        .map(|problem| format!("`{}`: {}", problem.field, problem.message))
        .collect();
    Failure::new(FailureKind::InvalidParams, text.join("; "))
}

fn failed(error: &kgents_engine::Error) -> Failure {
    tracing::error!(code = error.code(), %error, "the pheromone decider failed");
    Failure::new(FailureKind::Unavailable, "pheromones cannot be judged now").hint("try again")
}
