//! The rungs that weigh what a question says: cache, similar, classifier, search.

use crate::classify::{Classed, Classified};
use crate::exact::agents;
use crate::order::ordered;
use crate::question::{
    Alternative, Candidate, Decision, Evidence, Found, Method, Named, Question, Remembered, Rung,
    Similar, alternatives, probability,
};
use crate::reason;
use crate::search::{Judgement, judge, judge_among};

/// How far they led.
#[derive(Debug, Clone, PartialEq)]
pub enum Climbed {
    /// This one has not been asked yet.
    Need(Rung),
    /// One of them decided.
    Chose(Decision),
    /// None of them did.
    Missed(Near),
}

/// What came nearest where nothing was accepted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Near {
    /// Best first.
    pub misses: Vec<Alternative>,
    /// Probability, 0.0 to 1.0, that anybody does this, as far as anything tells.
    pub in_scope: f32,
}

/// A question with its evidence and what its names say.
#[derive(Debug, Clone, PartialEq)]
pub struct Rungs<'a> {
    /// With a threshold from 0.0 to 1.0.
    pub question: &'a Question,
    /// Everything gathered so far.
    pub evidence: &'a Evidence,
    /// The agents that share the caller's words as a name, in the order of names:
    /// one of these is meant. Empty when the words are no name.
    pub meant: Vec<&'a Named>,
}

impl Rungs<'_> {
    /// Climbs them in their order.
    #[must_use]
    pub fn climb(&self) -> Climbed {
        let Some(cache) = &self.evidence.cache else {
            return Climbed::Need(Rung::Cache);
        };
        if let Some(decision) = cache.as_ref().and_then(|found| self.recall(found)) {
            return Climbed::Chose(decision);
        }
        let Some(similar) = &self.evidence.similar else {
            return Climbed::Need(Rung::Similar);
        };
        if let Some(decision) = similar.as_ref().and_then(|found| self.liken(found)) {
            return Climbed::Chose(decision);
        }
        let Some(classified) = &self.evidence.classifier else {
            return Climbed::Need(Rung::Classifier);
        };
        if let Some(decision) = classified.as_ref().and_then(|all| self.classify(all)) {
            return Climbed::Chose(decision);
        }
        let Some(found) = &self.evidence.search else {
            return Climbed::Need(Rung::Search);
        };
        let judged = match agents(&self.meant) {
            0 => judge(found),
            _ => judge_among(&self.meant, found.clone()),
        };
        match judged {
            Some(judged)
                if judged.confidence >= self.question.accept
                    && !self.is_settled(found, &judged.agent, &judged.cluster) =>
            {
                Climbed::Chose(self.search(judged))
            }
            judged => Climbed::Missed(self.near(found, judged.as_ref())),
        }
    }

    /// Whether this agent may be meant: where the caller gave a name that several
    /// agents share, it is one of these.
    #[must_use]
    pub fn is_meant(&self, agent: &str, cluster: &str) -> bool {
        let is_one = |named: &&Named| named.agent == agent && named.cluster == cluster;
        !agent.is_empty() && (self.meant.is_empty() || self.meant.iter().any(is_one))
    }

    /// A remembered decision counts if it reaches today's threshold and does not
    /// contradict the agents named by the caller.
    fn recall(&self, found: &Remembered) -> Option<Decision> {
        let confidence = probability(found.confidence);
        let counts =
            self.is_meant(&found.agent, &found.cluster) && confidence >= self.question.accept;
        counts.then(|| {
            let chosen = (found.agent.as_str(), found.cluster.as_str());
            self.decision(Decision {
                agent: Some(found.agent.clone()),
                cluster: Some(found.cluster.clone()),
                method: Method::Cache,
                confidence,
                in_scope: confidence,
                fallback: false,
                reason: reason::remembered(found, confidence),
                alternatives: alternatives(found.alternatives.clone(), Some(chosen)),
            })
        })
    }

    /// What was decided of a text much like this one counts if the host's folds
    /// found such a likeness safe. It is as sure as the less sure of the decision
    /// of then and of the model that this question goes there too, and that is what
    /// has to reach the threshold.
    fn liken(&self, found: &Similar) -> Option<Decision> {
        let confidence = probability(found.confidence).min(probability(found.probability));
        let is_safe =
            found.probability >= found.probability_min && found.cosine >= found.cosine_min;
        let counts = is_safe
            && self.is_meant(&found.agent, &found.cluster)
            && confidence >= self.question.accept;
        counts.then(|| {
            self.decision(Decision {
                agent: Some(found.agent.clone()),
                cluster: Some(found.cluster.clone()),
                method: Method::Similar,
                confidence,
                in_scope: confidence,
                fallback: false,
                reason: reason::similar(found, confidence),
                alternatives: Vec::new(),
            })
        })
    }

    /// The model's best agent counts if it was taught by examples and reaches the
    /// threshold.
    fn classify(&self, all: &Classified) -> Option<Decision> {
        let classes = self.classes(all);
        let best = classes.first().filter(|best| best.is_taught)?;
        let confidence = probability(best.confidence);
        (confidence >= self.question.accept).then(|| {
            let chosen = (best.agent.as_str(), best.cluster.as_str());
            self.decision(Decision {
                agent: Some(best.agent.clone()),
                cluster: Some(best.cluster.clone()),
                method: Method::Classifier,
                confidence,
                in_scope: confidence,
                fallback: false,
                reason: reason::classified(best, all),
                alternatives: alternatives(listed(&classes), Some(chosen)),
            })
        })
    }

    /// The model's agents that may be meant, best first.
    fn classes<'a>(&self, all: &'a Classified) -> Vec<&'a Classed> {
        let may = all
            .agents
            .iter()
            .filter(|c| self.is_meant(&c.agent, &c.cluster));
        ordered(may, |a, b| {
            probability(b.confidence).total_cmp(&probability(a.confidence))
        })
    }

    fn search(&self, judged: Judgement) -> Decision {
        let reason = match agents(&self.meant) {
            0 => reason::accepted(&judged),
            shared_by => reason::told_apart(self.question, shared_by, &judged),
        };
        let chosen = Some((judged.agent.as_str(), judged.cluster.as_str()));
        self.decision(Decision {
            alternatives: alternatives(judged.alternatives, chosen),
            agent: Some(judged.agent),
            cluster: Some(judged.cluster),
            method: Method::Search,
            confidence: judged.confidence,
            in_scope: judged.confidence,
            fallback: false,
            reason,
        })
    }

    /// The decision with what the classifier knows of its scope: somebody does what
    /// one agent is right for, so it is never below the confidence.
    fn decision(&self, decision: Decision) -> Decision {
        let known = self.in_scope().unwrap_or(0.0);
        Decision {
            in_scope: decision.in_scope.max(known),
            ..decision
        }
    }

    fn in_scope(&self) -> Option<f32> {
        let classified = self.evidence.classifier.as_ref()?.as_ref()?;
        Some(probability(classified.in_scope))
    }

    /// Whether the classifier has spoken on an agent that the search found: it knows
    /// the agent by examples, and weighs them all. Measured on CLINC150, where a search
    /// could overrule it, the right agent came first for .926 of the questions instead
    /// of .944. Where its best is nobody it was taught, or nobody that is meant, it has
    /// not spoken.
    fn is_settled(&self, found: &Found, agent: &str, cluster: &str) -> bool {
        let classified = self.evidence.classifier.iter().flatten();
        let has_spoken = classified
            .flat_map(|all| self.classes(all))
            .next()
            .is_some_and(|best| best.is_taught);
        let is_taught =
            |one: &Candidate| one.is_taught && one.agent == agent && one.cluster == cluster;
        has_spoken && found.candidates.iter().any(is_taught)
    }

    /// The nearest misses of the classifier and the search, each agent with the
    /// larger of both; of the search without those on whom the classifier has spoken.
    /// An agent that the model was not taught by examples would not
    /// have been accepted by it at any probability, so where such a one is its best
    /// it puts nobody forward.
    fn near(&self, found: &Found, judged: Option<&Judgement>) -> Near {
        let classified = self.evidence.classifier.iter().flatten();
        let classes = classified.flat_map(|all| self.classes(all));
        let classes: Vec<&Classed> = classes.collect();
        let mut all = judged.map_or_else(Vec::new, Judgement::misses);
        all.retain(|miss| !self.is_settled(found, &miss.agent, &miss.cluster));
        if classes.first().is_some_and(|best| best.is_taught) {
            all.extend(listed(&classes));
        }
        let misses = alternatives(all, None);
        let nearest = misses.first().map_or(0.0, |nearest| nearest.confidence);
        Near {
            in_scope: self.in_scope().unwrap_or(nearest),
            misses,
        }
    }
}

fn listed(classes: &[&Classed]) -> Vec<Alternative> {
    let alternative = |one: &&Classed| Alternative {
        agent: one.agent.clone(),
        cluster: one.cluster.clone(),
        confidence: one.confidence,
    };
    classes.iter().map(alternative).collect()
}
