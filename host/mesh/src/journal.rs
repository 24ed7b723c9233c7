//! The journal: audit records and what rides on them, applied together.
//!
//! The log is the truth. The ledger and the task owners are views of it: they
//! change in memory when a record is appended, are brought into the store in
//! batches, and what is missing there is replayed from the log at start. So no
//! interaction waits for a commit of the store.
//!
//! INVARIANT: whoever appends holds `gate` for reading from before the ledger
//! changes until the record has its place; a snapshot holds it for writing, so
//! that what it copies is exactly the records below its position.

use crate::clock::Clock;
use crate::ledger::{self, Budget, Entry, Ledger, Reservation};
use crate::ports::{Audit, Effects, Place};
use crate::store::{self, LedgerAt, Store};
use crate::tasks::Tasks;
use futures_util::future::BoxFuture;
use kgents_audit::{AgentAuditEvent, Intent, Log, Outcome, Record};
use kgents_gateway::call::{Failure, FailureKind};
use parking_lot::{Mutex, RwLock};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log failed.
    #[error("the audit log cannot be replayed")]
    Log(#[from] kgents_audit::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// What rides on a record is unreadable.
    #[error("record {position} of the audit log carries something unreadable")]
    Carried {
        /// Number of the record.
        position: u64,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

impl Error {
    /// Stable name of the failure.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Log(_) => "journal-log",
            Self::Store(_) => "journal-store",
            Self::Carried { .. } => "journal-carried",
        }
    }
}

/// Audit log, ledger and task owners as one.
pub struct Journal {
    log: Log,
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    /// What is applied but perhaps not yet in the store.
    books: Mutex<Books>,
    tasks: Arc<Tasks>,
    gate: RwLock<()>,
    /// The newest record. Appending happens under it, so that it is that.
    last: Mutex<Option<Place>>,
    /// Number of records that the store contains.
    brought: AtomicU64,
}

#[derive(Default)]
struct Books {
    ledger: Ledger,
    open: HashMap<String, Reservation>,
}

impl Journal {
    /// Brings ledger and owners up from the store and the log. Reservations
    /// whose interaction never ended, because the process died, count as spent.
    ///
    /// # Errors
    /// When the log or the store cannot be read.
    pub fn open(
        log: Log,
        store: Arc<Store>,
        tasks: Arc<Tasks>,
        budgets: &[Budget],
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let at = store.ledger()?;
        let mut books = Books {
            ledger: at.ledger,
            open: at.open.into_iter().collect(),
        };
        // New accounts start at the beginning of time, so that each replayed
        // record falls into the window it happened in.
        books.ledger.configure(budgets, 0);
        for record in log.replay(Place::at(at.position)) {
            let (position, record) = record?;
            books.replay(position.index(), &record, &tasks)?;
        }
        for (event, reservation) in std::mem::take(&mut books.open) {
            tracing::warn!(
                event,
                tokens = reservation.tokens,
                "an interrupted call counts as spent"
            );
            let used = reservation.tokens;
            let entry = Entry::Settle {
                reserved: reservation,
                used,
            };
            // A settlement of what is reserved is always covered.
            let _ = books.ledger.apply(&entry, clock.now_ms());
        }
        let journal = Self {
            log,
            store,
            clock,
            books: Mutex::new(books),
            tasks,
            gate: RwLock::new(()),
            last: Mutex::new(None),
            brought: AtomicU64::new(at.position),
        };
        Ok(journal)
    }

    /// Reads from the ledger.
    pub fn ledger<T>(&self, read: impl FnOnce(&Ledger) -> T) -> T {
        read(&self.books.lock().ledger)
    }

    /// Applies the budgets anew, when their files changed.
    pub fn configure(&self, budgets: &[Budget]) {
        self.books
            .lock()
            .ledger
            .configure(budgets, self.clock.now_ms());
    }

    /// Changes the ledger now; the change still has to ride on an outcome.
    /// Used by the mesh's own agents, whose answer depends on it.
    ///
    /// # Errors
    /// When it is not covered.
    pub fn try_entry(&self, entry: &Entry) -> Result<Applied<'_>, ledger::Error> {
        let gate = self.gate.read();
        self.books.lock().ledger.apply(entry, self.clock.now_ms())?;
        Ok(Applied {
            journal: self,
            _gate: gate,
            entry: entry.clone(),
        })
    }

    /// Brings what has changed into the store. Blocks; called in the
    /// background and at the end. Returns how many records that were.
    ///
    /// # Errors
    /// When the log or store fails; it is tried again next time.
    pub async fn bring_up(&self) -> Result<u64, Error> {
        let (at, owners, last) = {
            let _gate = self.gate.write();
            let books = self.books.lock();
            let open: BTreeMap<_, _> = books
                .open
                .iter()
                .map(|(event, r)| (event.clone(), r.clone()))
                .collect();
            let position = self.log.records();
            let at = LedgerAt {
                position,
                ledger: books.ledger.clone(),
                open,
            };
            (at, self.tasks.fresh(), *self.last.lock())
        };
        let fresh = at
            .position
            .saturating_sub(self.brought.load(Ordering::Relaxed));
        let Some(last) = last.filter(|_| fresh > 0) else {
            return Ok(0);
        };
        // The store must never know more than the log.
        self.log.durable(last).await?;
        self.store.bring_up(&at, &owners)?;
        self.tasks.stored(&owners);
        self.brought.store(at.position, Ordering::Relaxed);
        Ok(fresh)
    }

    /// Takes back a change whose record did not become durable.
    pub fn undo(&self, entry: &Entry) {
        self.books.lock().ledger.undo(entry, self.clock.now_ms());
    }

    fn append(&self, record: &Record) -> Result<Place, Failure> {
        let mut last = self.last.lock();
        let place = self
            .log
            .append(record)
            .map_err(|error| unavailable(&error))?;
        *last = Some(place);
        Ok(place)
    }
}

/// A change of the ledger that has been made and is to be recorded.
///
/// While it is held no snapshot is taken, so hold it only until the outcome is
/// appended. It must be concluded.
#[must_use = "the change is made; its outcome has to be recorded"]
pub struct Applied<'a> {
    journal: &'a Journal,
    _gate: parking_lot::RwLockReadGuard<'a, ()>,
    entry: Entry,
}

impl Applied<'_> {
    /// The change.
    pub const fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Appends the outcome that carries the change.
    ///
    /// # Errors
    /// `Unavailable`; the change is undone then.
    pub fn conclude(self, event: AgentAuditEvent) -> Result<Place, Failure> {
        let effects = Effects {
            ledger: vec![self.entry.clone()],
            task: None,
        };
        let record = Record::Outcome(Outcome {
            event,
            carried: carried(&effects),
        });
        self.journal
            .append(&record)
            .inspect_err(|_| self.journal.undo(&self.entry))
    }
}

impl Audit for Journal {
    fn intend(&self, mut intent: Intent, reserve: Option<&Reservation>) -> Result<Place, Failure> {
        let _gate = self.gate.read();
        let now = self.clock.now_ms();
        if let Some(reservation) = reserve {
            let entry = Entry::Reserve(reservation.clone());
            let mut books = self.books.lock();
            books
                .ledger
                .apply(&entry, now)
                .map_err(|error| exhausted(&error))?;
            books.open.insert(intent.event.clone(), reservation.clone());
            drop(books);
            intent.carried = carried(&Effects {
                ledger: vec![entry],
                task: None,
            });
        }
        let event = intent.event.clone();
        self.append(&Record::Intent(intent)).inspect_err(|_| {
            let mut books = self.books.lock();
            if let Some(reserved) = books.open.remove(&event) {
                // Nothing was done, so nothing is used.
                let _ = books
                    .ledger
                    .apply(&Entry::Settle { reserved, used: 0 }, now);
            }
        })
    }

    fn conclude(&self, event: AgentAuditEvent, effects: Effects) -> Result<Place, Failure> {
        let _gate = self.gate.read();
        let name = event.metadata.name.clone();
        let record = Record::Outcome(Outcome {
            event,
            carried: carried(&effects),
        });
        let place = self.append(&record);
        // Applied also when the log is full: the tokens are used, the task is
        // there. The intent without an outcome will tell of it.
        let mut books = self.books.lock();
        books.open.remove(&name);
        books.take_in(&effects, self.clock.now_ms(), &self.tasks);
        place
    }

    fn durable(&self, place: Place) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move { self.log.durable(place).await.map_err(|e| unavailable(&e)) })
    }

    fn input_hash(&self, input: &[u8]) -> String {
        self.log.input_hash(input)
    }
}

impl Books {
    fn replay(&mut self, position: u64, record: &Record, tasks: &Tasks) -> Result<(), Error> {
        let (carried, at_ms) = match record {
            Record::Intent(intent) => (&intent.carried, intent.timestamp_ms),
            Record::Outcome(outcome) => (&outcome.carried, moment(&outcome.event)),
        };
        if let Record::Outcome(outcome) = record {
            self.open.remove(&outcome.event.metadata.name);
        }
        let Some(carried) = carried else {
            return Ok(());
        };
        let effects: Effects = serde_json::from_str(carried.get())
            .map_err(|source| Error::Carried { position, source })?;
        if let (Record::Intent(intent), Some(Entry::Reserve(reservation))) =
            (record, effects.ledger.first())
        {
            self.open.insert(intent.event.clone(), reservation.clone());
        }
        self.take_in(&effects, at_ms, tasks);
        Ok(())
    }

    fn take_in(&mut self, effects: &Effects, now_ms: u64, tasks: &Tasks) {
        for entry in &effects.ledger {
            if let Err(error) = self.ledger.apply(entry, now_ms) {
                // Only after the operator cut a budget below what was granted.
                tracing::warn!(code = error.code(), %error, "an entry is not covered any more");
            }
        }
        if let Some(owner) = &effects.task {
            tasks.remember(owner);
        }
    }
}

/// When an event happened, in milliseconds since the epoch.
fn moment(event: &AgentAuditEvent) -> u64 {
    humantime::parse_rfc3339(&event.spec.timestamp)
        .ok()
        .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
        .map_or(0, |age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX))
}

fn carried(effects: &Effects) -> Option<Box<RawValue>> {
    if effects.is_empty() {
        return None;
    }
    serde_json::value::to_raw_value(effects).ok()
}

fn exhausted(error: &ledger::Error) -> Failure {
    Failure::new(FailureKind::BudgetExhausted, error.to_string())
        .hint("ask b-gent for the balance, or raise the budget in budgets/")
}

fn unavailable(error: &kgents_audit::Error) -> Failure {
    tracing::error!(code = error.code(), %error, "the audit log cannot take a record");
    Failure::new(
        FailureKind::Unavailable,
        "the audit log cannot take a record now",
    )
    .hint("free space on the disk of the data folder; nothing is done without a trail")
    .fact("cause", error.code())
}
