//! The log is the truth: whatever is cut off it, and whenever the store was
//! brought up, the ledger that is replayed is the one that was there.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop where it stands"
)]

use kgents_audit::simulation::SimDisk;
use kgents_audit::{
    Action, Agent, AgentAuditEvent, Config, Decision, DecisionOutcome, Intent, Keys, Log, Position,
    Record, Trace, timestamp,
};
use kgents_mesh::clock::Clock;
use kgents_mesh::journal::Journal;
use kgents_mesh::ledger::{Budget, Entry, Ledger, MESH_ACCOUNT, Reservation, Window};
use kgents_mesh::ports::{Audit, Effects};
use kgents_mesh::store::Store;
use kgents_mesh::tasks::{TaskOwner, TaskStore, Tasks};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const START_MS: u64 = 1_795_500_000_000;
const DAY_MS: u64 = 86_400_000;

#[derive(Default)]
struct Hands(AtomicU64);

impl Clock for Hands {
    fn now_ms(&self) -> u64 {
        START_MS + self.0.load(Ordering::Relaxed)
    }
}

/// What may happen to a journal.
#[derive(Clone, Debug)]
enum Step {
    /// Somebody begins a call that may use so many tokens.
    Begin { tokens: u64, ada: bool },
    /// A call under way ends, having used so many.
    End { which: usize, used: u64 },
    /// b-gent moves tokens.
    Allocate(u64),
    /// b-gent charges tokens.
    Charge(u64),
    /// The clock moves on by so many hours, or back by one.
    Pass(Option<u64>),
    /// The store is brought up.
    BringUp,
}

struct Bench {
    journal: Arc<Journal>,
    log: Log,
    store: Arc<Store>,
    clock: Arc<Hands>,
    _dir: tempfile::TempDir,
}

fn budgets(tokens: u64) -> [Budget; 1] {
    [Budget {
        account: MESH_ACCOUNT.into(),
        tokens,
        window: Window::Day,
    }]
}

fn open_log(disk: &SimDisk) -> Log {
    let keys = Keys::from_secrets([7; 32], &[9; 32]);
    let config = Config::new("local", Arc::new(|| START_MS));
    Log::open(Arc::new(disk.clone()), config, keys).unwrap().0
}

fn open(log: Log, store: Arc<Store>, clock: Arc<Hands>, tokens: u64) -> Arc<Journal> {
    let tasks = Arc::new(Tasks::new(Arc::clone(&store) as Arc<dyn TaskStore>));
    Arc::new(Journal::open(log, store, tasks, &budgets(tokens), clock).unwrap())
}

impl Bench {
    fn new(disk: &SimDisk) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(&dir.path().join("state.redb")).unwrap());
        let (log, clock) = (open_log(disk), Arc::new(Hands::default()));
        let journal = open(log.clone(), Arc::clone(&store), Arc::clone(&clock), 1_000);
        Self {
            journal,
            log,
            store,
            clock,
            _dir: dir,
        }
    }

    fn records(&self) -> Vec<Record> {
        let replay = self.log.replay(Position::START);
        replay.map(|record| record.unwrap().1).collect()
    }
}

fn event(name: &str) -> AgentAuditEvent {
    AgentAuditEvent::new(
        name,
        kgents_audit::event::Spec {
            timestamp: timestamp(START_MS),
            agent: Agent {
                name: "ada".into(),
                svid: String::new(),
                cluster: "local".into(),
            },
            action: Action {
                kind: "INVOKE".into(),
                target: "x".into(),
                method: "SendMessage".into(),
                operation: None,
                input_hash: "hmac-sha256:0".into(),
            },
            decision: Decision {
                outcome: DecisionOutcome::Allowed,
                policy: "p".into(),
                policies_checked: Vec::new(),
                latency_ms: 0,
                reason: None,
            },
            routing: None,
            trace: Trace {
                trace_id: "t".into(),
                span_id: "s".into(),
            },
        },
    )
}

fn intent(name: &str) -> Intent {
    Intent {
        event: name.into(),
        timestamp_ms: START_MS,
        svid: String::new(),
        action: "INVOKE".into(),
        target: "x".into(),
        carried: None,
    }
}

fn owner(task: &str) -> TaskOwner {
    TaskOwner {
        agent: "x".into(),
        task: task.into(),
        caller: "user/ada".into(),
    }
}

fn reservation(tokens: u64, account: &str) -> Reservation {
    Reservation {
        account: account.into(),
        consumer: "ada".into(),
        tokens,
    }
}

/// The ledger after the process died now: what is under way counts as spent.
fn interrupted(ledger: &Ledger, open: &BTreeMap<String, Reservation>, now_ms: u64) -> Ledger {
    let mut ledger = ledger.clone();
    for reserved in open.values() {
        let entry = Entry::Settle {
            reserved: reserved.clone(),
            used: reserved.tokens,
        };
        ledger.replay(&entry, now_ms);
    }
    ledger
}

/// The live ledger after each record, and when that was.
type History = Vec<(Ledger, BTreeMap<String, Reservation>, u64)>;

async fn live(bench: &Bench, steps: &[Step]) -> History {
    let mut history = History::new();
    let mut open: BTreeMap<String, Reservation> = BTreeMap::new();
    for (number, step) in steps.iter().enumerate() {
        let name = format!("evt-{number}");
        let place = match step {
            Step::Begin { tokens, ada } => {
                let account = if *ada { "ada" } else { MESH_ACCOUNT };
                let reserved = reservation(*tokens, account);
                let place = bench.journal.intend(intent(&name), Some(reserved.clone()));
                place.ok().inspect(|_| drop(open.insert(name, reserved)))
            }
            Step::End { which, used } => {
                let Some(name) = open.keys().nth(which % open.len().max(1)).cloned() else {
                    continue;
                };
                open.remove(&name);
                let effects = Effects {
                    used: *used,
                    task: Some(owner(&name)),
                };
                Some(bench.journal.conclude(event(&name), effects).unwrap())
            }
            Step::Allocate(tokens) => {
                let entry = Entry::Allocate {
                    account: "ada".into(),
                    tokens: *tokens,
                };
                keep(bench, entry, &name).await;
                None
            }
            Step::Charge(tokens) => {
                let entry = Entry::Charge {
                    account: MESH_ACCOUNT.into(),
                    consumer: "bob".into(),
                    tokens: *tokens,
                };
                keep(bench, entry, &name).await;
                None
            }
            Step::Pass(Some(hours)) => {
                let ms = hours * DAY_MS / 24;
                bench.clock.0.fetch_add(ms, Ordering::Relaxed);
                None
            }
            Step::Pass(None) => {
                let back = |ms: u64| Some(ms.saturating_sub(DAY_MS / 24));
                let _ = bench
                    .clock
                    .0
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, back);
                None
            }
            Step::BringUp => {
                bench.journal.bring_up().await.unwrap();
                None
            }
        };
        if let Some(place) = place {
            bench.journal.durable(place).await.unwrap();
        }
        let ledger = bench.journal.ledger(Clone::clone);
        let now_ms = bench.clock.now_ms();
        let count = usize::try_from(bench.log.records()).unwrap();
        if count > history.len() {
            history.push((ledger, open.clone(), now_ms));
        }
        assert_eq!(count, history.len(), "one record a step");
    }
    history
}

async fn keep(bench: &Bench, entry: Entry, name: &str) {
    if let Ok(changed) = bench.journal.change(entry, event(name)) {
        bench.journal.keep(changed).await.unwrap();
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0u64..400, any::<bool>()).prop_map(|(tokens, ada)| Step::Begin { tokens, ada }),
        4 => (any::<usize>(), 0u64..600).prop_map(|(which, used)| Step::End { which, used }),
        1 => (1u64..500).prop_map(Step::Allocate),
        1 => (0u64..300).prop_map(Step::Charge),
        1 => proptest::option::weighted(0.7, 0u64..30).prop_map(Step::Pass),
        1 => Just(Step::BringUp),
    ];
    proptest::collection::vec(step, 1..25)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        // A failure prints its steps; there is nothing to keep.
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_log_cut_anywhere_gives_the_ledger_of_then(steps in steps()) {
        let runtime = runtime();
        let bench = Bench::new(&SimDisk::new(5));
        let history = runtime.block_on(live(&bench, &steps));
        let records = bench.records();
        prop_assert_eq!(records.len(), history.len());
        for (count, (ledger, open, now_ms)) in (1..).zip(&history) {
            let log = open_log(&SimDisk::new(5));
            runtime.block_on(async {
                for record in &records[..count] {
                    log.durable(log.append(record).unwrap()).await.unwrap();
                }
            });
            let cut = Bench::new(&SimDisk::new(6));
            cut.clock.0.store(now_ms - START_MS, Ordering::Relaxed);
            let replayed = open_journal(&cut, log, 1_000);
            prop_assert_eq!(replayed, interrupted(ledger, open, *now_ms));
        }
    }

    #[test]
    fn a_restart_from_any_store_gives_the_ledger_of_the_log(steps in steps(), cut in 0u64..1_000) {
        let runtime = runtime();
        let bench = Bench::new(&SimDisk::new(5));
        let history = runtime.block_on(live(&bench, &steps));
        let Some((ledger, open, _)) = history.last() else {
            return Ok(());
        };
        let now_ms = bench.clock.now_ms();
        // Not even a budget that was cut since changes what has happened.
        let mut expected = ledger.clone();
        expected.configure(&budgets(cut), now_ms);
        let mut expected = interrupted(&expected, open, now_ms);
        expected.configure(&budgets(cut), now_ms);
        prop_assert_eq!(open_journal(&bench, bench.log.clone(), cut), expected);
    }
}

fn open_journal(bench: &Bench, log: Log, tokens: u64) -> Ledger {
    open(
        log,
        Arc::clone(&bench.store),
        Arc::clone(&bench.clock),
        tokens,
    )
    .ledger(Clone::clone)
}

#[test]
fn what_is_appended_but_not_durable_is_not_brought_into_the_store() {
    runtime().block_on(async {
        let disk = SimDisk::new(5);
        let bench = Bench::new(&disk);
        let reserve = || Some(reservation(100, MESH_ACCOUNT));
        let kept = bench.journal.intend(intent("evt-1"), reserve()).unwrap();
        bench.journal.durable(kept).await.unwrap();
        disk.set_space(Some(0));
        let lost = bench.journal.intend(intent("evt-2"), reserve()).unwrap();
        assert!(bench.journal.durable(lost).await.is_err());
        assert!(bench.journal.bring_up().await.is_err());
        assert_eq!(bench.store.ledger().unwrap().position, 0);
        disk.set_space(None);
        // The outcome comes although its intent was lost.
        let ended = bench.journal.conclude(event("evt-2"), Effects::default());
        bench.journal.durable(ended.unwrap()).await.unwrap();
        let account = |ledger: &Ledger| ledger.account(MESH_ACCOUNT, START_MS).unwrap();
        assert_eq!(bench.journal.ledger(account).reserved, 100);
        let replayed = open_journal(&bench, bench.log.clone(), 1_000);
        let mesh = account(&replayed);
        assert_eq!(
            (mesh.reserved, mesh.spent),
            (0, 100),
            "evt-1 counts as spent"
        );
        assert_eq!(bench.journal.bring_up().await.unwrap(), 2);
    });
}

#[test]
fn owners_reach_the_store_and_are_found_after_a_restart() {
    runtime().block_on(async {
        let bench = Bench::new(&SimDisk::new(5));
        let owner = owner("t1");
        let effects = Effects {
            used: 0,
            task: Some(owner.clone()),
        };
        let place = bench.journal.conclude(event("evt-1"), effects).unwrap();
        bench.journal.durable(place).await.unwrap();
        assert!(bench.store.owners("user/ada", "t1").unwrap().is_empty());
        // Replayed from the log, before the store has it.
        let tasks = Arc::new(Tasks::new(Arc::clone(&bench.store) as Arc<dyn TaskStore>));
        let (log, store) = (bench.log.clone(), Arc::clone(&bench.store));
        let clock = Arc::clone(&bench.clock);
        let journal = Journal::open(log, store, Arc::clone(&tasks), &budgets(1), clock).unwrap();
        assert_eq!(tasks.agents("user/ada", "t1").unwrap(), ["x"]);
        assert_eq!(journal.bring_up().await.unwrap(), 1);
        assert_eq!(bench.store.owners("user/ada", "t1").unwrap(), [owner]);
        assert_eq!(journal.bring_up().await.unwrap(), 0);
    });
}
