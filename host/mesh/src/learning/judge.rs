//! The router decider as the judge of what was learnt: the same component that
//! judges questions later, so that probabilities are fitted on what they will
//! be made from.

use kgents_engine::deciders::router as wit;
use kgents_engine::{LoadModelError, Router, RouterModel};
use kgents_learn::tables::{self, Features, RANKED_MAX, Tables, Vectors};
use kgents_learn::{Judge, Judged};
use std::sync::atomic::{AtomicBool, Ordering};

/// Judges with the router decider.
pub struct RouterJudge<'a> {
    router: &'a Router,
    stop: Option<&'a AtomicBool>,
}

impl<'a> RouterJudge<'a> {
    /// A judge that answers whenever it is asked.
    pub const fn new(router: &'a Router) -> Self {
        Self { router, stop: None }
    }

    /// A judge that stops answering, which ends a training, once `stop` is set.
    pub const fn until(router: &'a Router, stop: &'a AtomicBool) -> Self {
        Self {
            router,
            stop: Some(stop),
        }
    }

    fn goes_on(&self) -> Result<(), String> {
        match self.stop {
            Some(stop) if stop.load(Ordering::Relaxed) => Err("the mesh is shutting down".into()),
            _ => Ok(()),
        }
    }
}

impl Judge for RouterJudge<'_> {
    fn judge(&self, tables: &Tables, questions: &[Vectors]) -> Result<Vec<Option<Judged>>, String> {
        self.goes_on()?;
        let model = load(self.router, tables).map_err(|error| error.to_string())?;
        questions
            .iter()
            .map(|question| {
                self.goes_on()?;
                judged(&model, tables, question).map_err(|error| error.to_string())
            })
            .collect()
    }
}

/// Takes tables into instances of the router.
///
/// # Errors
/// See [`Router::model`].
pub fn load(router: &Router, tables: &Tables) -> Result<RouterModel, LoadModelError> {
    router.model(&record(tables))
}

fn judged(
    model: &RouterModel,
    tables: &Tables,
    question: &Vectors,
) -> Result<Option<Judged>, kgents_engine::Error> {
    let question = vectors(question);
    let limit = u32::try_from(RANKED_MAX).unwrap_or(u32::MAX);
    let ranked = model.rank(&question, limit)?;
    let Some(classified) = model.judge(&question, &ranked)? else {
        return Ok(None);
    };
    let Some(best) = classified.agents.first() else {
        return Ok(None);
    };
    // Of several routes of the best agent the one that ranks first.
    let is_its = |route: &wit::Ranked| {
        let of = tables.routes.get(route.route as usize);
        of.is_some_and(|of| of.agent == best.agent && of.cluster == best.cluster)
    };
    Ok(ranked
        .iter()
        .find(|route| is_its(route))
        .map(|route| Judged {
            route: route.route,
            in_scope: classified.in_scope,
            confidence: best.confidence,
            features: features(&classified.features),
        }))
}

/// A question's vectors as the router takes them.
pub fn vectors(of: &Vectors) -> wit::Vectors {
    wit::Vectors {
        words: of.words.clone(),
        plain: of.plain.clone(),
        sentence: of.sentence.clone(),
    }
}

const fn features(of: &wit::Features) -> Features {
    Features {
        energy: of.energy,
        words_mean: of.words_mean,
        words_best: of.words_best,
        plain_mean: of.plain_mean,
        plain_best: of.plain_best,
        sentence_mean: of.sentence_mean,
        share: of.share,
    }
}

/// Tables as the router takes them.
pub fn record(of: &Tables) -> wit::Tables {
    wit::Tables {
        routes: of.routes.iter().map(route).collect(),
        words: head(&of.words),
        words_examples: examples(&of.words_examples),
        plain_examples: examples(&of.plain_examples),
        words_calibration: calibration(&of.words_calibration),
        sentences: of.sentences.as_ref().map(|of| wit::Sentences {
            head: head(&of.head),
            examples: examples(&of.examples),
            calibration: calibration(&of.calibration),
            mix: of.mix,
        }),
    }
}

fn route(of: &tables::Route) -> wit::Route {
    wit::Route {
        agent: of.agent.clone(),
        cluster: of.cluster.clone(),
        skill: of.skill.clone(),
        examples: of.examples,
        is_taught: of.is_taught,
    }
}

fn head(of: &tables::Head) -> wit::Head {
    wit::Head {
        dimensions: of.dimensions,
        weights: of.weights.clone(),
        biases: of.biases.clone(),
    }
}

fn examples(of: &tables::Examples) -> wit::Examples {
    wit::Examples {
        steps: of.steps.clone(),
        scales: of.scales.clone(),
    }
}

fn calibration(of: &tables::Calibration) -> wit::Calibration {
    let logistic = |of: &tables::Logistic| wit::Logistic {
        intercept: of.intercept,
        weights: of.weights.clone(),
    };
    wit::Calibration {
        in_scope: logistic(&of.in_scope),
        right: logistic(&of.right),
    }
}
