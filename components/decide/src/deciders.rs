//! The four deciders behind one trait: composed into the component, or the pure
//! crates in tests.

use crate::ask::{
    HealthAnswer, HealthAsk, Judged, Loaded, PheromoneAnswer, PheromoneAsk, PolicyAnswer,
    PolicyAsk, RouterAnswer, RouterAsk,
};
use crate::records::{health, pheromone, policy, router};

/// Every function of the deciders' WIT, one to one; those of a set of policies
/// begin with loading it, since nothing is kept between two requests.
pub trait Deciders {
    /// Where does this request go?
    fn decide(&self, question: &router::Question, evidence: &router::Evidence) -> router::Step;

    /// The ids of valid policies.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    fn load(&self, sources: &[policy::Source]) -> Result<Loaded, Vec<policy::Problem>>;

    /// One verdict per query, in order.
    ///
    /// # Errors
    /// Everything that is wrong with the policies.
    fn evaluate(
        &self,
        sources: &[policy::Source],
        subject: &policy::Subject,
        queries: &[policy::Query],
    ) -> Result<Judged, Vec<policy::Problem>>;

    /// The Cedar schema that policies are validated against.
    fn schema(&self) -> String;

    /// A draft as a pheromone.
    ///
    /// # Errors
    /// Every field that is wrong.
    fn accept(
        &self,
        draft: &pheromone::Draft,
        own_kinds: &[String],
        now_ms: u64,
    ) -> Result<pheromone::Pheromone, Vec<pheromone::Problem>>;

    /// The strength of a pheromone at `now_ms` since the Unix epoch.
    fn intensity(&self, pheromone: &pheromone::Pheromone, now_ms: u64) -> f64;

    /// What passes the filter at `now_ms`.
    fn sense(
        &self,
        pheromones: &[pheromone::Pheromone],
        filter: &pheromone::Filter,
        now_ms: u64,
    ) -> Vec<pheromone::Sensed>;

    /// Is the agent behind these probes healthy?
    fn judge(
        &self,
        probes: &[health::Probe],
        limits: health::Limits,
        now_ms: u64,
    ) -> health::Verdict;
}

/// Asks the router.
pub fn router(deciders: &impl Deciders, ask: &RouterAsk) -> RouterAnswer {
    match ask {
        RouterAsk::Decide { question, evidence } => {
            RouterAnswer::Decide(deciders.decide(question, evidence))
        }
    }
}

/// Asks the policy decider.
pub fn policy(deciders: &impl Deciders, ask: &PolicyAsk) -> PolicyAnswer {
    match ask {
        PolicyAsk::Evaluate {
            sources,
            subject,
            queries,
        } => PolicyAnswer::Evaluate(deciders.evaluate(sources, subject, queries)),
        PolicyAsk::Load { sources } => PolicyAnswer::Load(deciders.load(sources)),
        PolicyAsk::Schema {} => PolicyAnswer::Schema(deciders.schema()),
    }
}

/// Asks the pheromone decider.
pub fn pheromone(deciders: &impl Deciders, ask: &PheromoneAsk) -> PheromoneAnswer {
    match ask {
        PheromoneAsk::Accept {
            draft,
            own_kinds,
            now_ms,
        } => PheromoneAnswer::Accept(deciders.accept(draft, own_kinds, *now_ms)),
        PheromoneAsk::Intensity { pheromone, now_ms } => {
            PheromoneAnswer::Intensity(deciders.intensity(pheromone, *now_ms))
        }
        PheromoneAsk::Sense {
            pheromones,
            filter,
            now_ms,
        } => PheromoneAnswer::Sense(deciders.sense(pheromones, filter, *now_ms)),
    }
}

/// Asks the health decider.
pub fn health(deciders: &impl Deciders, ask: &HealthAsk) -> HealthAnswer {
    match ask {
        HealthAsk::Judge {
            probes,
            limits,
            now_ms,
        } => HealthAnswer::Judge(deciders.judge(probes, *limits, *now_ms)),
    }
}
