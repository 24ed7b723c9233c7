//! What was decided before: the same question, or one much like it.

use super::{Climb, Routing};
use crate::decisions::{Lead, Lookup, Served};
use kgents_engine::deciders::router::{Ranked, Remembered, Similar};
use kgents_gateway::call::Failure;
use std::time::Duration;

/// How long to wait for whoever decides the same question: as long as deciding takes
/// on a machine that is busy.
const PATIENCE: Duration = Duration::from_millis(250);

impl Routing {
    pub(super) fn cache<'a>(
        &'a self,
        climb: &Climb,
        lead: &mut Option<Lead<'a>>,
    ) -> Result<Option<Remembered>, Failure> {
        let asked = &climb.asked;
        let Some(key) = &asked.key else {
            return Ok(None);
        };
        let patience = climb.may_block.then_some(PATIENCE);
        let served = match self.parts.decisions.lookup(key, &asked.directory, patience) {
            Lookup::Hit(served) => served,
            Lookup::Lead(to_decide) => {
                *lead = Some(to_decide);
                return Ok(None);
            }
            Lookup::Pass => return Ok(None),
        };
        if !self.may_serve(climb, &served)? {
            return Ok(None);
        }
        Ok(Some(Remembered {
            confidence: served.decided.confidence,
            alternatives: served.decided.alternatives.clone(),
            agent: served.agent,
            cluster: served.cluster,
            instead_of: served.instead_of,
        }))
    }

    /// The nearest text that was decided, with what the model makes of going there.
    pub(super) fn similar(&self, climb: &mut Climb) -> Result<Option<Similar>, Failure> {
        let Some(learnt) = climb.learnt.clone() else {
            return Ok(None);
        };
        let (probability_min, cosine_min) = learnt.model.similar();
        if climb.asked.key.is_none() || probability_min > 1.0 {
            return Ok(None);
        }
        self.in_words(climb, &learnt);
        let Some(direction) = climb.direction() else {
            return Ok(None);
        };
        let asked = &climb.asked;
        let nearest = self
            .parts
            .decisions
            .nearest(&asked.scope, &direction, &asked.directory);
        let Some((cosine, served)) = nearest else {
            return Ok(None);
        };
        if !self.may_serve(climb, &served)? {
            return Ok(None);
        }
        // Where that one was led to then, before a successor took over.
        let routes = &learnt.model.tables().routes;
        let decided = &served.decided;
        let is_its = |ranked: &&Ranked| {
            let route = routes.get(ranked.route as usize);
            route.is_some_and(|r| r.agent == decided.agent && r.cluster == decided.cluster)
        };
        let ranked = climb.words.as_ref().map_or(&[][..], |words| &words.ranked);
        let shares = ranked
            .iter()
            .filter(is_its)
            .map(|ranked| ranked.probability);
        Ok(Some(Similar {
            confidence: decided.confidence,
            cosine,
            probability: shares.sum::<f32>().min(1.0),
            probability_min,
            cosine_min,
            agent: served.agent,
            cluster: served.cluster,
        }))
    }

    /// Whether what was decided before may be served to this caller for these words.
    fn may_serve(&self, climb: &Climb, served: &Served) -> Result<bool, Failure> {
        let asked = &climb.asked;
        let rejections = &climb.rejections;
        if rejections.rejects(&served.text, &served.decided.agent) {
            return Ok(false);
        }
        let Some(agent) = asked.directory.agent(&served.agent) else {
            return Ok(false);
        };
        let eligible = self.eligible(asked, rejections, &[agent])?;
        Ok(eligible.contains(&true))
    }
}
