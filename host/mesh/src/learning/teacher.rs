//! The teacher: learns from the cards, the operators' examples and the feedback
//! in the background, and keeps the model in force.
//!
//! One thread does it all, with less right to the processor than what serves
//! callers, where the system can tell. What changed is taken up after a moment's
//! silence; meanwhile, and for as long as learning takes, the model in force goes
//! on to serve. It is replaced in one step, and only by one that is not worse.

use super::bell::Bell;
use super::feedback::{Decided, Feedback, Given, Saying};
use super::rejections::Rejections;
use super::taught::{Taught, Unknown};
use super::training::Training;
use crate::registry::Registry;
use arc_swap::{ArcSwap, ArcSwapOption};
use kgents_engine::{Router, RouterModel};
use kgents_gateway::call::{Failure, FeedbackDraft};
use kgents_learn::{Model, Progress, Report, Table};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How much the thread stands back behind others: half way to the most.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// A model in force.
pub struct Learnt {
    /// Grows with each model; 1 is the first since the start.
    pub number: u64,
    /// Revision of the directory that it was learnt from. Agents may be gone, and
    /// new ones there, since.
    pub revision: u64,
    /// Turns questions into vectors, and tells how good it is.
    pub model: Model,
    /// Ranks and judges.
    pub router: RouterModel,
    /// How long it took to learn.
    pub took: Duration,
    /// Version of the training in full that it goes back to, if by some changes.
    pub base: Arc<str>,
    /// Agents with a skill that is taught by examples.
    pub(super) taught: HashSet<Box<str>>,
}

impl Learnt {
    /// A model that was trained in full, by whoever keeps no [`Teacher`] for it, from
    /// this revision of the directory.
    pub fn first(model: Model, router: RouterModel, revision: u64, took: Duration) -> Self {
        Self {
            number: 1,
            revision,
            taught: taught(&model),
            base: model.report().version.as_str().into(),
            model,
            router,
            took,
        }
    }

    /// Whether the model was taught some skill of an agent by examples.
    pub fn is_taught(&self, agent: &str) -> bool {
        self.taught.contains(agent)
    }
}

/// Agents with a skill that a model was taught by examples.
pub(super) fn taught(model: &Model) -> HashSet<Box<str>> {
    let routes = model.tables().routes.iter();
    let taught = routes.filter(|route| route.is_taught);
    taught.map(|route| route.agent.as_str().into()).collect()
}

/// Where the learning stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// What goes on.
    pub state: State,
    /// Parts done, and of how many, while it trains in full.
    pub progress: Option<(usize, usize)>,
    /// Why the newest lesson is not in force; none when it is.
    pub problem: Option<String>,
    /// Operators' files that name what is not registered.
    pub unknown: Vec<Unknown>,
}

/// What goes on in the teacher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Nothing was learnt yet.
    #[default]
    Waiting,
    /// It learns; a model may be in force meanwhile.
    Learning,
    /// The newest lesson is in force.
    Learnt,
    /// The last good model stays in force: the newest lesson made a worse one.
    Kept,
    /// There are more routes than are learnt; search serves them.
    TooLarge,
    /// Learning failed; what was in force stays.
    Failed,
}

impl State {
    /// Every one.
    pub const ALL: [Self; 6] = [
        Self::Waiting,
        Self::Learning,
        Self::Learnt,
        Self::Kept,
        Self::TooLarge,
        Self::Failed,
    ];

    /// Its name in answers and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Learning => "learning",
            Self::Learnt => "learnt",
            Self::Kept => "kept",
            Self::TooLarge => "too-large",
            Self::Failed => "failed",
        }
    }
}

/// Learns in the background. Dropping it waits for the thread, which ends at the
/// next question it has to its judge or encoder.
pub struct Teacher {
    room: Arc<Room>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread and the others share.
pub(super) struct Room {
    pub(super) registry: Arc<Registry>,
    pub(super) feedback: Feedback,
    pub(super) router: Router,
    pub(super) bell: Arc<Bell>,
    pub(super) taught: Mutex<Arc<[Taught]>>,
    pub(super) learnt: ArcSwapOption<Learnt>,
    pub(super) rejections: ArcSwap<Rejections>,
    pub(super) standing: Mutex<Standing>,
    /// Digest of what people said beside the cards.
    pub(super) says: ArcSwap<[u8; 32]>,
    /// Changes that are taken up.
    heard: AtomicU64,
}

impl Teacher {
    /// Ready to learn from [`Teacher::begin`] on, or from the first change.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        registry: Arc<Registry>,
        feedback: Feedback,
        router: Router,
    ) -> std::io::Result<Self> {
        let mut teacher = Self::idle(registry, feedback, router);
        let room = Arc::clone(&teacher.room);
        let thread = std::thread::Builder::new()
            .name("teacher".to_owned())
            .spawn(move || teach(&room))?;
        teacher.thread = Some(thread);
        Ok(teacher)
    }

    /// Takes up what is known now: call it once a mesh knows its cards, so that none
    /// is learnt without the others.
    pub fn begin(&self) {
        self.room.bell.ring();
    }

    /// One that takes in what is said and learns nothing from it: where search is
    /// to decide alone.
    pub fn idle(registry: Arc<Registry>, feedback: Feedback, router: Router) -> Self {
        let bell = Arc::new(Bell::default());
        let ringing = Arc::clone(&bell);
        registry.on_change(Box::new(move || ringing.ring()));
        let room = Arc::new(Room {
            registry,
            feedback,
            router,
            bell,
            taught: Mutex::new(Arc::new([])),
            learnt: ArcSwapOption::empty(),
            rejections: ArcSwap::default(),
            standing: Mutex::default(),
            says: ArcSwap::default(),
            heard: AtomicU64::new(0),
        });
        Self { room, thread: None }
    }

    /// One that learns nothing more than what is given: where a model is to be tried
    /// that somebody else trained.
    pub fn with(
        registry: Arc<Registry>,
        feedback: Feedback,
        router: Router,
        learnt: Learnt,
    ) -> Self {
        let teacher = Self::idle(registry, feedback, router);
        teacher.room.learnt.store(Some(Arc::new(learnt)));
        teacher
    }

    /// The model in force; none until the first is learnt, and where there are
    /// too many routes.
    pub fn learnt(&self) -> Option<Arc<Learnt>> {
        self.room.learnt.load_full()
    }

    /// Which agents are left out for which words; in force a moment after they
    /// were said, whatever becomes of the model.
    pub fn rejections(&self) -> Arc<Rejections> {
        self.room.rejections.load_full()
    }

    /// Digest of what people said beside the cards, operators' examples and feedback,
    /// as far as it is taken up.
    pub fn says(&self) -> Arc<[u8; 32]> {
        self.room.says.load_full()
    }

    /// Where the learning stands.
    pub fn standing(&self) -> Standing {
        self.room.standing.lock().clone()
    }

    /// How good the model in force is.
    pub fn report(&self) -> Option<Report> {
        Some(self.learnt()?.model.report().clone())
    }

    /// Whether everything that has changed so far is taken up.
    pub fn is_settled(&self) -> bool {
        self.room.heard.load(Ordering::Acquire) == self.room.bell.changes()
    }

    /// Takes the operators' files in place of those before.
    pub fn teach(&self, files: Vec<Taught>) {
        let mut taught = self.room.taught.lock();
        if **taught != *files {
            *taught = files.into();
            drop(taught);
            self.room.bell.ring();
        }
    }

    /// Keeps a decision at hand, for feedback on it.
    pub fn decided(&self, event: &str, decided: Decided) {
        self.room.feedback.decided(event, decided);
    }

    /// Takes feedback in; see [`Feedback::give`]. Blocks.
    ///
    /// # Errors
    /// See there.
    pub fn give(&self, saying: &Saying<'_>, draft: FeedbackDraft) -> Result<Given, Failure> {
        let directory = self.room.registry.directory();
        let has_skill = |agent: &str, skill: &str| {
            let agent = directory.agent(agent);
            agent.is_some_and(|agent| agent.card.skills.iter().any(|known| known.id == skill))
        };
        let given = self.room.feedback.give(saying, draft, has_skill)?;
        self.room.bell.ring();
        Ok(given)
    }

    /// Takes feedback back; see [`Feedback::undo`]. Blocks.
    ///
    /// # Errors
    /// See there.
    pub fn undo(&self, id: &str) -> Result<Given, Failure> {
        let gone = self.room.feedback.undo(id)?;
        self.room.bell.ring();
        Ok(gone)
    }

    /// All feedback, oldest first.
    pub fn feedback(&self) -> Vec<Given> {
        self.room.feedback.all()
    }
}

impl Drop for Teacher {
    fn drop(&mut self) {
        self.room.bell.stop();
        if let Some(thread) = self.thread.take() {
            // A panic in it was logged when it happened.
            let _ = thread.join();
        }
    }
}

fn teach(room: &Room) {
    // Elsewhere than on Linux it would be that of the whole process.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!(%error, "learning does not stand back behind what serves callers");
    }
    let table = match Table::shipped() {
        Ok(table) => table,
        Err(error) => {
            tracing::error!(code = error.code(), %error, "nothing is learnt from the cards");
            return room.stand(State::Failed, Some(error.to_string()));
        }
    };
    let mut training = Training::new(room, table);
    let mut heard = 0;
    while let Some(changes) = room.bell.wait(heard) {
        heard = changes;
        let learning = std::panic::catch_unwind(AssertUnwindSafe(|| training.learn()));
        if learning.is_err() {
            training.fail("learning broke off", "learn-panicked");
        }
        room.heard.store(heard, Ordering::Release);
    }
}

impl Room {
    pub(super) fn stand(&self, state: State, problem: Option<String>) {
        let mut standing = self.standing.lock();
        standing.state = state;
        standing.problem = problem;
        standing.progress = None;
    }
}

impl Progress for Room {
    fn at(&self, done: usize, of: usize) {
        self.standing.lock().progress = Some((done, of));
    }
}
