//! The journal: audit records and what rides on them, applied together.
//!
//! The log is the truth. The ledger and the task owners are views of it: they
//! change in memory when a record is appended, are brought into the store in
//! batches, and what is missing there is replayed from the log at start. So no
//! interaction waits for a commit of the store.
//!
//! Reading order: `books` (what changes), this file (when, and with what).
//!
//! INVARIANT: the ledger changes and its record is appended under the lock of
//! `books`, so the log holds the changes in the order in which they were made,
//! and a copy taken under it holds exactly the records up to the newest one.

mod books;

use crate::clock::Clock;
use crate::ledger::{self, Account, Budget, Entry, Ledger, Reservation};
use crate::ports::{self, Audit, Effects, Place};
use crate::principal::Principal;
use crate::registry::Agent;
use crate::store::{self, LedgerAt, Store};
use crate::tasks::Tasks;
use books::{Books, Carried};
use futures_util::future::BoxFuture;
use kgents_audit::{AgentAuditEvent, Intent, Log, Outcome, Record};
use kgents_gateway::call::{Failure, FailureKind};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Tokens set aside for a call whose agent does not say how many it may use.
/// Small, since most agents report their usage and the rest use none we know.
const RESERVE_TOKENS: u64 = 100;
/// Label with which a card says how many tokens a call may use at most.
const RESERVE_LABEL: &str = "kgents.io/reserve-tokens";

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
    /// The work was cut off because the process ends.
    #[error("the mesh is shutting down")]
    Stopping,
}

impl Error {
    /// Stable name of the failure.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Log(_) => "journal-log",
            Self::Store(_) => "journal-store",
            Self::Carried { .. } => "journal-carried",
            Self::Stopping => "journal-stopping",
        }
    }
}

/// Audit log, ledger and task owners as one.
pub struct Journal {
    log: Log,
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    books: Mutex<Books>,
    tasks: Arc<Tasks>,
    /// Number of records that the store contains.
    brought: AtomicU64,
}

/// A change of the ledger that was made and appended together with its outcome.
/// It is to be kept with [`Journal::keep`].
#[derive(Debug)]
#[must_use = "the record may still be lost"]
pub struct Changed {
    /// The account after the change.
    pub account: Option<Account>,
    done: Entry,
    at_ms: u64,
    place: Place,
}

/// Why the ledger was not changed.
#[derive(Debug)]
pub enum Unchanged {
    /// It is not covered.
    Refused(ledger::Error),
    /// The log cannot take the record.
    Lost(Failure),
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
        let now_ms = clock.now_ms();
        let mut books = Books {
            ledger: at.ledger,
            open: at.open,
            last: None,
        };
        books.ledger.configure(budgets, now_ms);
        for record in log.replay(Place::at(at.position)) {
            let (position, record) = record?;
            books.replay(position.index(), &record, &tasks)?;
            books.last = Some(position);
        }
        books.interrupt(now_ms);
        // Accounts that the replay passed through and that nothing is left of.
        books.ledger.configure(budgets, now_ms);
        Ok(Self {
            log,
            store,
            clock,
            books: Mutex::new(books),
            tasks,
            brought: AtomicU64::new(at.position),
        })
    }

    /// Reads from the ledger.
    pub fn ledger<T>(&self, read: impl FnOnce(&Ledger) -> T) -> T {
        read(&self.books.lock().ledger)
    }

    /// Applies the budgets anew, when their files changed.
    pub fn configure(&self, budgets: &[Budget]) {
        let now_ms = self.clock.now_ms();
        self.books.lock().ledger.configure(budgets, now_ms);
    }

    /// Changes the ledger for one of the mesh's own agents, and appends the
    /// outcome that carries the change: both or neither.
    ///
    /// # Errors
    /// When it is not covered, or the log cannot take the record.
    pub fn change(&self, asked: Entry, event: AgentAuditEvent) -> Result<Changed, Unchanged> {
        let at_ms = self.clock.now_ms();
        let name = match &asked {
            Entry::Allocate { account, .. } | Entry::Charge { account, .. } => account.clone(),
            Entry::Reserve(reserved) | Entry::Settle { reserved, .. } => reserved.account.clone(),
        };
        let mut books = self.books.lock();
        let done = books
            .ledger
            .apply(asked, at_ms)
            .map_err(Unchanged::Refused)?;
        let carried = Carried {
            at_ms,
            ledger: vec![done.clone()],
            task: None,
        };
        let record = Record::Outcome(Outcome {
            event,
            carried: carried.raw(),
        });
        match books.append(&self.log, &record) {
            Ok(place) => Ok(Changed {
                account: books.ledger.account(&name, at_ms),
                done,
                at_ms,
                place,
            }),
            Err(failure) => {
                books.ledger.undo(&done, at_ms);
                Err(Unchanged::Lost(failure))
            }
        }
    }

    /// Waits until a change cannot be lost any more, and takes it back if it
    /// is. What is begun is finished, also when nobody waits for it any more.
    ///
    /// # Errors
    /// `Unavailable` when the record was lost.
    pub async fn keep(self: &Arc<Self>, changed: Changed) -> Result<(), Failure> {
        let journal = Arc::clone(self);
        let keeping = tokio::spawn(async move {
            let kept = journal.durable(changed.place).await;
            if kept.is_err() {
                let mut books = journal.books.lock();
                books.ledger.undo(&changed.done, changed.at_ms);
            }
            kept
        });
        keeping.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a change of the ledger was cut off");
            Err(Failure::new(
                FailureKind::Unavailable,
                "the mesh is shutting down",
            ))
        })
    }

    /// Brings what has changed into the store; called in the background and at
    /// the end. Returns how many records that were.
    ///
    /// # Errors
    /// When the log or store fails; it is tried again next time, and what is
    /// new is kept in memory until then.
    pub async fn bring_up(&self) -> Result<u64, Error> {
        let brought = self.brought.load(Ordering::Relaxed);
        let (at, last) = {
            let books = self.books.lock();
            let Some(last) = books.last.filter(|last| last.index() >= brought) else {
                return Ok(0);
            };
            let at = LedgerAt {
                position: last.next().index(),
                ledger: books.ledger.clone(),
                open: books.open.clone(),
            };
            (at, last)
        };
        let owners = self.tasks.fresh();
        // The store must never know more than the log.
        if let Err(error) = self.log.durable(last).await {
            // That record is lost; the next to be appended is the newest then.
            self.books.lock().last.take_if(|newest| *newest == last);
            return Err(error.into());
        }
        let (store, position) = (Arc::clone(&self.store), at.position);
        let writing =
            tokio::task::spawn_blocking(move || store.bring_up(&at, &owners).map(|()| owners));
        let owners = writing.await.map_err(|_| Error::Stopping)??;
        self.tasks.stored(&owners);
        self.brought.store(position, Ordering::Relaxed);
        Ok(position.saturating_sub(brought))
    }
}

impl Audit for Journal {
    fn intend(&self, mut intent: Intent, reserve: Option<Reservation>) -> Result<Place, Failure> {
        let _span = tracing::debug_span!("audit.append", record = "intent").entered();
        let Some(reservation) = reserve else {
            return self.books.lock().append(&self.log, &Record::Intent(intent));
        };
        let at_ms = self.clock.now_ms();
        let event = intent.event.clone();
        let mut books = self.books.lock();
        let done = books
            .ledger
            .apply(Entry::Reserve(reservation.clone()), at_ms)
            .map_err(|error| exhausted(&error))?;
        let carried = Carried {
            at_ms,
            ledger: vec![done],
            task: None,
        };
        intent.carried = carried.raw();
        match books.append(&self.log, &Record::Intent(intent)) {
            Ok(place) => {
                books.open.insert(event, reservation);
                Ok(place)
            }
            Err(failure) => {
                // Nothing was done, so nothing is used.
                let back = Entry::Settle {
                    reserved: reservation,
                    used: 0,
                };
                books.ledger.replay(&back, at_ms);
                Err(failure)
            }
        }
    }

    fn conclude(&self, event: AgentAuditEvent, effects: Effects) -> Result<Place, Failure> {
        let _span = tracing::debug_span!("audit.append", record = "outcome").entered();
        let at_ms = self.clock.now_ms();
        let Effects { used, task } = effects;
        let mut books = self.books.lock();
        // What is done stays done also when the log cannot take the record: the
        // tokens are used, the task is there. The intent tells of it.
        let settled = books.settle(&event.metadata.name, used, at_ms);
        if let Some(owner) = &task {
            self.tasks.remember(owner);
        }
        let carried = Carried {
            at_ms,
            ledger: settled.into_iter().collect(),
            task,
        };
        let carried = carried.raw();
        books.append(&self.log, &Record::Outcome(Outcome { event, carried }))
    }

    fn durable(&self, place: Place) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move { self.log.durable(place).await.map_err(|e| unavailable(&e)) })
    }

    fn is_failing(&self) -> bool {
        self.log.is_failing()
    }

    fn input_hash(&self, input: &[u8]) -> String {
        self.log.input_hash(input)
    }
}

impl ports::Budget for Journal {
    fn quote(&self, who: &Principal, agent: &Agent) -> Reservation {
        let tokens = agent
            .card
            .labels
            .get(RESERVE_LABEL)
            .and_then(|text| text.parse().ok())
            .unwrap_or(RESERVE_TOKENS);
        let consumer = who.entity().to_owned();
        let account = self.ledger(|ledger| ledger.payer(&consumer).to_owned());
        Reservation {
            account,
            consumer,
            tokens,
        }
    }
}

fn exhausted(error: &ledger::Error) -> Failure {
    let failure = Failure::new(FailureKind::BudgetExhausted, error.to_string())
        .hint("ask b-gent for the balance, or raise the budget in budgets/");
    match error {
        ledger::Error::Insufficient { available, .. } => {
            failure.fact("available", available.to_string())
        }
        ledger::Error::NoAccount { .. } | ledger::Error::OtherWindow { .. } => failure,
    }
}

fn unavailable(error: &kgents_audit::Error) -> Failure {
    let code = error.code();
    let cause = error as &dyn std::error::Error;
    tracing::error!(code, error = cause, "the audit log cannot take a record");
    let hint = match error {
        kgents_audit::Error::Displaced(_) => {
            "its folder was taken away or replaced: put it back, or restart the mesh; \
             nothing is done without a trail"
        }
        _ => "free space on the disk of the data folder; nothing is done without a trail",
    };
    Failure::new(
        FailureKind::Unavailable,
        "the audit log cannot take a record now",
    )
    .hint(hint)
    .fact("cause", error.code())
}
