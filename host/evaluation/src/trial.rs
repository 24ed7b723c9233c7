//! One question on its way: the mesh's own routing, among agents that need not exist,
//! with a model of them in force.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use kgents_engine::Router;
use kgents_engine::deciders::router::Decision;
use kgents_gateway::Card;
use kgents_learn::{Model, Sentences, Table};
use kgents_mesh::decisions::{Decisions, Encode as Directions, Steps};
use kgents_mesh::evidence::LocalEvidence;
use kgents_mesh::learning::judge::{RouterJudge, load};
use kgents_mesh::learning::lesson::lessons;
use kgents_mesh::learning::sentences::Stored;
use kgents_mesh::learning::{Feedback, Learnt, Teacher};
use kgents_mesh::ports::Policy;
use kgents_mesh::principal::Principal;
use kgents_mesh::registry::Encode;
use kgents_mesh::routing::{Asking, Climb, Parts, Routed, Routing};
use kgents_mesh::tasks::{TaskStore, Tasks};

use crate::clock::Timed;
use crate::fleet::CLUSTER;
use crate::likeness::unit;
use crate::lines::Labelled;
use crate::{Error, Fleet, Step, Told};

/// The threshold of a mesh that says nothing of it. Source: mesh.yaml,
/// `thresholds.accept`.
pub const ACCEPT: f32 = 0.8;
/// Root of identities in a trial.
const TRUST_DOMAIN: &str = "mesh.local";
/// Training is never broken off: whoever has enough of it ends the process.
static STOPPED: AtomicBool = AtomicBool::new(false);

/// What may be used to decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// The language model, if there is one, the static encoder and the search.
    Full,
    /// The static encoder and the search by words.
    Static,
    /// The search alone.
    Search,
}

impl Tier {
    /// Its name in what is told.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Static => "static",
            Self::Search => "search",
        }
    }
}

/// What a trial is made of.
pub struct Plan<'a> {
    /// Between whom is chosen.
    pub agents: Vec<(String, Card)>,
    /// What may be used.
    pub tier: Tier,
    /// The installed language model; used in the full tier and by the search.
    pub encoder: Option<Arc<dyn Encode>>,
    /// The decider.
    pub router: Router,
    /// Whom the caller may be led to; see [`crate::Everybody`].
    pub policy: Arc<dyn Policy>,
    /// Labelled questions to calibrate with; empty: by cross-validation.
    pub calibrate: &'a [Labelled],
}

/// Agents, what was learnt of them, and the mesh's routing.
pub struct Trial {
    fleet: Fleet,
    tier: Tier,
    router: Router,
    policy: Arc<dyn Policy>,
    evidence: Arc<LocalEvidence>,
    teacher: Arc<Teacher>,
    learnt: Option<Arc<Learnt>>,
    /// Why nothing was learnt, where something should have been.
    unlearnt: Option<kgents_learn::Error>,
    encoder: Option<Arc<Timed>>,
    who: Principal,
    /// Remembers nothing: each question is new to it.
    routing: Routing,
}

/// How long a decision took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// All of it.
    pub whole: Duration,
    /// What the language model took for the question's vector.
    pub encode: Duration,
}

impl Times {
    /// All but the language model.
    pub fn beside(&self) -> Duration {
        self.whole.saturating_sub(self.encode)
    }
}

impl Trial {
    /// Makes the agents into a registry, learns from them, and calibrates.
    ///
    /// # Errors
    /// Everything an [`Error`] can be but a file's.
    pub fn open(plan: Plan<'_>, told: &dyn Told) -> Result<Self, Error> {
        let is_static = plan.tier == Tier::Static;
        let encoder = plan.encoder.filter(|_| !is_static);
        let encoder = encoder.map(|encoder| Arc::new(Timed::new(encoder)));
        let encodes = encoder.clone().map(|timed| timed as Arc<dyn Encode>);
        let fleet = Fleet::open(plan.agents, encodes, told)?;
        let (mut learnt, mut unlearnt) = (None, None);
        if plan.tier != Tier::Search {
            match learn(&fleet, &plan.router, plan.calibrate, told) {
                Ok(model) => learnt = Some(model),
                // The mesh searches then, so that is what is measured.
                Err(Error::Learn(error @ kgents_learn::Error::TooLarge { .. })) => {
                    unlearnt = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        let (registry, router) = (Arc::clone(fleet.registry()), plan.router.clone());
        let feedback = Feedback::open(Arc::clone(fleet.store()))?;
        let teacher = Arc::new(match learnt {
            Some(learnt) => Teacher::with(Arc::clone(&registry), feedback, router, learnt),
            None => Teacher::idle(Arc::clone(&registry), feedback, router),
        });
        let tasks = Arc::clone(fleet.store()) as Arc<dyn TaskStore>;
        let tasks = Arc::new(Tasks::new(tasks));
        let evidence = Arc::new(LocalEvidence::new(registry, tasks, None));
        let (router, policy) = (plan.router, plan.policy);
        Ok(Self {
            routing: routing(0, &router, &policy, &evidence, &teacher)?,
            who: Principal::anonymous(TRUST_DOMAIN),
            learnt: teacher.learnt(),
            tier: plan.tier,
            fleet,
            router,
            policy,
            evidence,
            teacher,
            unlearnt,
            encoder,
        })
    }

    /// The agents.
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// What may be used.
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// What was learnt, if anything was.
    pub fn model(&self) -> Option<&Model> {
        self.learnt.as_ref().map(|learnt| &learnt.model)
    }

    /// Why nothing was learnt, where something should have been.
    pub fn unlearnt(&self) -> Option<&kgents_learn::Error> {
        self.unlearnt.as_ref()
    }

    /// Name of the encoder whose vectors are used; none: words alone.
    pub fn encoder(&self) -> Option<String> {
        self.fleet.embedder().name().map(|name| name.to_string())
    }

    /// Directions of texts in the encoder at hand: the language model's, else the
    /// static encoder's as it is shipped; none of a text without a known word.
    pub fn directions(&self, texts: &[String]) -> Vec<Option<Vec<f32>>> {
        if self.encoder.is_some() {
            let vectors = self.fleet.embedder().embed(texts);
            // Of fewer vectors nobody knows whose they are.
            let is_all = vectors.len() == texts.len();
            let of = |place: usize| {
                let vector = vectors.get(place).filter(|_| is_all)?;
                unit(vector.values.iter().map(|step| f32::from(*step)).collect())
            };
            return (0..texts.len()).map(of).collect();
        }
        let model = self.model();
        let plain = |text: &String| unit(model?.vectors(text, None).plain);
        texts.iter().map(plain).collect()
    }

    /// The mesh's routing among these agents, with a memory of its own for so many
    /// decisions; 0 remembers none.
    ///
    /// # Errors
    /// [`Error::Learn`] when the static encoder is damaged.
    pub fn routing(&self, entries: usize) -> Result<Routing, Error> {
        routing(
            entries,
            &self.router,
            &self.policy,
            &self.evidence,
            &self.teacher,
        )
    }

    /// Takes a question up in a routing of this trial.
    pub fn ask(&self, routing: &Routing, text: &str) -> Climb {
        let asking = Asking {
            text,
            ..Asking::default()
        };
        routing.ask(&self.who, &asking)
    }

    /// Decides a question in a routing of this trial, as the exchange has it decided:
    /// at once, else where it may take its time.
    ///
    /// # Errors
    /// [`Error::Routing`].
    pub fn decide_in(&self, routing: &Routing, text: &str) -> Result<(Routed, Times), Error> {
        let (began, encoded) = (Instant::now(), self.encoded());
        let mut climb = self.ask(routing, text);
        let routed = match routing.at_once(&mut climb)? {
            Some(routed) => routed,
            None => routing.decide(climb)?,
        };
        let times = Times {
            whole: began.elapsed(),
            encode: self.encoded().saturating_sub(encoded),
        };
        Ok((routed, times))
    }

    /// Decides a question as a mesh does that has not seen it before.
    ///
    /// # Errors
    /// [`Error::Routing`].
    pub fn decide(&self, text: &str) -> Result<(Decision, Times), Error> {
        let (routed, times) = self.decide_in(&self.routing, text)?;
        Ok((routed.decision, times))
    }

    /// Decides a question at some threshold; what was gathered stays with it for the
    /// next one.
    ///
    /// # Errors
    /// [`Error::Routing`].
    pub fn decide_at(&self, climb: &mut Climb, accept: f32) -> Result<Decision, Error> {
        Ok(self.routing.decide_at(climb, accept)?.decision)
    }

    /// Takes a question up, to decide it at several thresholds.
    pub fn take_up(&self, text: &str) -> Climb {
        self.ask(&self.routing, text)
    }

    /// What the language model has taken so far.
    fn encoded(&self) -> Duration {
        let encoder = self.encoder.as_ref();
        encoder.map_or(Duration::ZERO, |encoder| encoder.spent())
    }
}

fn routing(
    entries: usize,
    router: &Router,
    policy: &Arc<dyn Policy>,
    evidence: &Arc<LocalEvidence>,
    teacher: &Arc<Teacher>,
) -> Result<Routing, Error> {
    let table = Table::shipped()?;
    let directions: Arc<Directions> = Arc::new(move |text| Steps::of(&table.encode(text)));
    let evidence = Arc::clone(evidence) as Arc<dyn kgents_mesh::ports::Evidence>;
    let directory = evidence.directory();
    Ok(Routing::new(Parts {
        decisions: Arc::new(Decisions::new(entries, &directory, Some(directions), None)),
        router: router.clone(),
        policy: Arc::clone(policy),
        teacher: Arc::clone(teacher),
        trust_domain: TRUST_DOMAIN.to_owned(),
        cluster: CLUSTER.to_owned(),
        accept: ACCEPT,
        evidence,
    }))
}

/// Trains as the mesh's teacher does, and calibrates.
fn learn(
    fleet: &Fleet,
    router: &Router,
    calibrate: &[Labelled],
    told: &dyn Told,
) -> Result<Learnt, Error> {
    let began = Instant::now();
    let lesson = lessons(fleet.directory(), &[], &[]).lesson;
    let sentences = Stored::of(fleet.embedder(), &STOPPED);
    if let Some(sentences) = &sentences {
        sentences.prepare(&lesson);
    }
    let sentences = sentences.as_ref().map(|stored| stored as &dyn Sentences);
    let judge = RouterJudge::new(router);
    let table = Table::shipped()?;
    let mut model = Model::train(lesson, table, sentences, &judge, &Training(told))?;
    if !calibrate.is_empty() {
        told.at(Step::Calibrating, 0, 1);
        let place = |name: &String| {
            let mut routes = model.tables().routes.iter();
            let place = routes.position(|route| route.agent == *name)?;
            u32::try_from(place).ok()
        };
        let lines: Vec<(String, Option<u32>)> = calibrate
            .iter()
            .map(|line| (line.query.clone(), line.route.as_ref().and_then(place)))
            .collect();
        model = model.calibrate(&lines, sentences, &judge)?;
    }
    let router = load(router, model.tables())?;
    let revision = fleet.directory().revision;
    Ok(Learnt::first(model, router, revision, began.elapsed()))
}

struct Training<'a>(&'a dyn Told);

impl kgents_learn::Progress for Training<'_> {
    fn at(&self, done: usize, of: usize) {
        self.0.at(Step::Training, done, of);
    }
}
