//! One question on its way up the ladder, and how each rung's evidence is gathered.

use super::{Asked, RUNGS, Routing, named, nothing};
use crate::decisions::{Lead, Steps};
use crate::learning::judge::vectors;
use crate::learning::{Learnt, Rejections};
use crate::registry::{self, Agent};
use kgents_encoder::Embedding;
use kgents_engine::deciders::router::{
    Candidate, Classified, Evidence, Found, Holder, Named, Ranked, Rung, Vectors,
};
use kgents_gateway::call::Failure;
use kgents_learn::RANKED_MAX;
use std::sync::Arc;

/// Candidates that are searched at first; more when the caller may use none.
pub const CANDIDATES: usize = 32;
/// Routes that are judged of any question.
const RANKED: u32 = RANKED_MAX as u32;

/// A question with what was gathered for it so far.
pub struct Climb {
    pub(super) asked: Asked,
    pub(super) evidence: Evidence,
    /// What was learnt from the cards, as of when the question came.
    pub(super) learnt: Option<Arc<Learnt>>,
    pub(super) rejections: Arc<Rejections>,
    pub(super) words: Option<Words>,
    sentence: Option<registry::Asked>,
    /// Why the answer rests on less than it should.
    pub(super) degraded: Option<&'static str>,
    /// Whether evidence may be gathered that takes milliseconds.
    pub(super) may_block: bool,
}

/// The question in the static encoder, and what the model makes of that alone.
pub(super) struct Words {
    pub(super) vectors: Vectors,
    pub(super) ranked: Vec<Ranked>,
}

/// Whether a rung could be gathered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gathered {
    /// It is in the evidence.
    Done,
    /// It takes milliseconds, and may not now.
    Later,
}

impl Climb {
    pub(super) fn new(
        asked: Asked,
        learnt: Option<Arc<Learnt>>,
        rejections: Arc<Rejections>,
    ) -> Self {
        Self {
            asked,
            evidence: nothing(),
            learnt,
            rejections,
            words: None,
            sentence: None,
            degraded: None,
            may_block: false,
        }
    }

    /// Whether words alone, and no vector or model, can have led to a decision.
    pub(super) fn is_by_words_alone(&self) -> bool {
        self.learnt.is_none() && self.sentence.as_ref().is_none_or(|s| s.vector.is_none())
    }

    /// Whether the sentence encoder gave a vector.
    pub(super) fn has_sentence(&self) -> bool {
        self.sentence.as_ref().is_some_and(|s| s.vector.is_some())
    }

    /// The question's direction in the static encoder, for those alike to come.
    pub(super) fn direction(&self) -> Option<Steps> {
        Steps::of(&self.words.as_ref()?.vectors.words)
    }
}

impl Routing {
    /// Gathers one rung's evidence.
    pub(super) fn gather<'a>(
        &'a self,
        rung: Rung,
        climb: &mut Climb,
        lead: &mut Option<Lead<'a>>,
    ) -> Result<Gathered, Failure> {
        match rung {
            Rung::Exact => climb.evidence.exact = Some(self.exact(climb)?),
            Rung::Conversation => climb.evidence.conversation = Some(self.conversation(climb)?),
            Rung::Cache => climb.evidence.cache = Some(self.cache(climb, lead)?),
            Rung::Similar => climb.evidence.similar = Some(self.similar(climb)?),
            Rung::Fallback => climb.evidence.fallback = Some(self.fallback(climb)?),
            Rung::Classifier => match self.classifier(climb)? {
                Some(classified) => climb.evidence.classifier = Some(classified),
                None => return Ok(Gathered::Later),
            },
            Rung::Search => match self.search(climb)? {
                Some(found) => climb.evidence.search = Some(found),
                None => return Ok(Gathered::Later),
            },
        }
        Ok(Gathered::Done)
    }

    /// Gathers at once what takes microseconds, in the order in which the router would
    /// ask, so that it need not be asked for each.
    pub(super) fn gather_quick<'a>(
        &'a self,
        climb: &mut Climb,
        lead: &mut Option<Lead<'a>>,
    ) -> Result<(), Failure> {
        if climb.asked.normal.is_empty() {
            return Ok(());
        }
        if climb.evidence.exact.is_none() {
            self.gather(Rung::Exact, climb, lead)?;
        }
        if !climb.evidence.exact.as_ref().is_none_or(Vec::is_empty) {
            return Ok(());
        }
        if climb.evidence.conversation.is_none() {
            self.gather(Rung::Conversation, climb, lead)?;
        }
        if climb.evidence.cache.is_none() {
            self.gather(Rung::Cache, climb, lead)?;
        }
        if climb.evidence.cache == Some(None) && climb.evidence.similar.is_none() {
            self.gather(Rung::Similar, climb, lead)?;
        }
        Ok(())
    }

    /// Gathers every rung, for an explanation.
    pub(super) fn gather_all(&self, climb: &mut Climb) -> Result<(), Failure> {
        for rung in RUNGS {
            // Dropped at once: an explanation is not remembered.
            self.gather(rung, climb, &mut None)?;
        }
        Ok(())
    }

    fn exact(&self, climb: &Climb) -> Result<Vec<Named>, Failure> {
        let asked = &climb.asked;
        let found: Vec<_> = asked.directory.exact(&asked.text).collect();
        let agents: Vec<&Arc<Agent>> = found.iter().map(|(agent, _)| *agent).collect();
        let usable = self.usable(asked, &agents)?;
        let kept = found.iter().zip(usable).filter(|(_, usable)| *usable);
        Ok(kept.map(|((agent, via), _)| named(agent, *via)).collect())
    }

    /// The agent that has the conversation, if the caller may be led to it.
    fn conversation(&self, climb: &Climb) -> Result<Option<Holder>, Failure> {
        let asked = &climb.asked;
        let Some(context) = &asked.context else {
            return Ok(None);
        };
        let caller = crate::exchange::caller(&asked.who);
        let holder = self.parts.evidence.holder(&caller, context);
        let Some(agent) = holder.and_then(|name| asked.directory.agent(&name).cloned()) else {
            return Ok(None);
        };
        let eligible = self.eligible(asked, &climb.rejections, &[&agent])?;
        Ok(eligible.contains(&true).then(|| Holder {
            agent: agent.name.clone(),
            cluster: agent.cluster.to_string(),
        }))
    }

    /// What the model makes of it among the agents that the caller may be led to;
    /// none where that would take the encoder, and may not.
    fn classifier(&self, climb: &mut Climb) -> Result<Option<Option<Classified>>, Failure> {
        let Some(learnt) = climb.learnt.clone() else {
            return Ok(Some(None));
        };
        let is_with_sentences = learnt.model.tables().sentences.is_some();
        if is_with_sentences && !climb.may_block {
            return Ok(None);
        }
        self.in_words(climb, &learnt);
        let sentence = if is_with_sentences {
            self.sentence(climb)
        } else {
            None
        };
        let Some(words) = &climb.words else {
            return Ok(Some(None));
        };
        let mut vectors = words.vectors.clone();
        vectors.sentence = sentence.map(|vector| vector.values().to_vec());
        let ranked = if vectors.sentence.is_some() {
            learnt.router.rank(&vectors, RANKED)
        } else {
            Ok(words.ranked.clone())
        };
        let ranked = match ranked {
            Ok(ranked) => self.among(climb, &learnt, ranked)?,
            Err(error) => return Ok(Some(self.not_judged(climb, &error))),
        };
        match learnt.router.judge(&vectors, &ranked) {
            Ok(classified) => Ok(Some(classified)),
            Err(error) => Ok(Some(self.not_judged(climb, &error))),
        }
    }

    /// Those routes that the question may be led to.
    fn among(
        &self,
        climb: &Climb,
        learnt: &Learnt,
        ranked: Vec<Ranked>,
    ) -> Result<Vec<Ranked>, Failure> {
        let routes = &learnt.model.tables().routes;
        let agent = |ranked: &Ranked| {
            let route = routes.get(ranked.route as usize)?;
            climb.asked.directory.agent(&route.agent)
        };
        let known: Vec<(&Arc<Agent>, Ranked)> = ranked
            .into_iter()
            .filter_map(|ranked| Some((agent(&ranked)?, ranked)))
            .collect();
        let agents: Vec<&Arc<Agent>> = known.iter().map(|(agent, _)| *agent).collect();
        let eligible = self.eligible(&climb.asked, &climb.rejections, &agents)?;
        let kept = known.into_iter().zip(eligible).filter(|(_, is)| *is);
        Ok(kept.map(|((_, ranked), _)| ranked).collect())
    }

    /// Sees to it that the question is there in the static encoder.
    pub(super) fn in_words(&self, climb: &mut Climb, learnt: &Learnt) {
        if climb.words.is_some() {
            return;
        }
        let vectors = vectors(&learnt.model.vectors(&climb.asked.text, None));
        match learnt.router.rank(&vectors, RANKED) {
            Ok(ranked) => climb.words = Some(Words { vectors, ranked }),
            Err(error) => {
                self.not_judged(climb, &error);
            }
        }
    }

    /// The search still decides when the model does not.
    fn not_judged(&self, climb: &mut Climb, error: &kgents_engine::Error) -> Option<Classified> {
        tracing::warn!(code = error.code(), %error, "what was learnt cannot be asked");
        climb.degraded = Some("what was learnt from the cards could not be asked");
        None
    }

    /// The question's vector in the sentence encoder, which is asked once.
    fn sentence(&self, climb: &mut Climb) -> Option<Embedding> {
        let text = &climb.asked.text;
        let evidence = &self.parts.evidence;
        let sentence = climb
            .sentence
            .get_or_insert_with(|| evidence.question(text));
        climb.degraded = climb.degraded.or(sentence.degraded);
        sentence.vector.clone()
    }

    /// What the search finds among the agents that the caller may be led to; none
    /// where that would take the encoder, and may not.
    fn search(&self, climb: &mut Climb) -> Result<Option<Found>, Failure> {
        let encoder = self.parts.evidence.encoder().map(str::to_owned);
        if self.parts.evidence.has_encoder() && !climb.may_block {
            return Ok(None);
        }
        let query = self.sentence(climb);
        let encoder = query.as_ref().and(encoder);
        let asked = &climb.asked;
        let learnt = climb.learnt.as_ref();
        let is_taught = |agent: &str| learnt.is_some_and(|learnt| learnt.is_taught(agent));
        let mut limit = CANDIDATES;
        loop {
            let hits = asked.directory.search(&asked.text, query.as_ref(), limit);
            let agents: Vec<&Arc<Agent>> = hits.iter().map(|(agent, _)| *agent).collect();
            let eligible = self.eligible(asked, &climb.rejections, &agents)?;
            let all = hits.len() >= asked.directory.len() || hits.len() < limit;
            let candidates: Vec<Candidate> = hits
                .into_iter()
                .zip(eligible)
                .filter(|(_, is_eligible)| *is_eligible)
                .map(|((agent, hit), _)| Candidate {
                    agent: agent.name.clone(),
                    cluster: agent.cluster.to_string(),
                    skill: hit.skill,
                    lexical: hit.lexical,
                    coverage: hit.coverage,
                    vector: hit.vector,
                    is_taught: is_taught(&agent.name),
                })
                .collect();
            if !candidates.is_empty() || all {
                return Ok(Some(Found {
                    candidates,
                    encoder,
                }));
            }
            limit = limit.saturating_mul(8);
        }
    }

    fn fallback(&self, climb: &Climb) -> Result<Option<String>, Failure> {
        let asked = &climb.asked;
        let name = self.parts.evidence.fallback();
        let Some(agent) = name.and_then(|name| asked.directory.agent(name)) else {
            return Ok(None);
        };
        // Of a deprecated one the successor takes the question, and has to be usable too.
        let eligible = self.eligible(asked, &climb.rejections, &[agent])?;
        Ok(eligible.contains(&true).then(|| agent.name.clone()))
    }
}
