//! The model: its tables in, its judgements out. The tables' lists are taken over
//! as they are, without a copy.

use super::exports::kgents::router::routing as wit;
use super::{all, same};
use crate::{classify, model};

impl wit::GuestModel for model::Model {
    fn load(tables: wit::Tables) -> Result<wit::Model, String> {
        Self::load(tables.into()).map(wit::Model::new)
    }

    fn rank(&self, vectors: wit::Vectors, limit: u32) -> Vec<wit::Ranked> {
        all(self.rank(&vectors.into(), limit))
    }

    fn judge(&self, vectors: wit::Vectors, among: Vec<wit::Ranked>) -> Option<wit::Classified> {
        let among: Vec<classify::Ranked> = all(among);
        self.judge(&vectors.into(), &among).map(Into::into)
    }
}

same!(wit::Route => model::Route { agent, cluster, skill, examples, is_taught });
same!(wit::Examples => model::Examples { steps, scales });
same!(wit::Head => model::Head { dimensions, weights, biases });
same!(wit::Logistic => model::Logistic { intercept, weights });
same!(wit::Calibration => model::Calibration { in_scope, right });
same!(wit::Sentences => model::Sentences { head, examples, calibration, mix });
same!(wit::Vectors => classify::Vectors { words, plain, sentence });
same!(wit::Ranked => classify::Ranked { route, logit, probability });
same!(classify::Ranked => wit::Ranked { route, logit, probability });
same!(wit::Features => classify::Features {
    energy, words_mean, words_best, plain_mean, plain_best, sentence_mean, share,
});
same!(classify::Features => wit::Features {
    energy, words_mean, words_best, plain_mean, plain_best, sentence_mean, share,
});
same!(wit::Classed => classify::Classed { agent, cluster, skill, confidence, is_taught });
same!(classify::Classed => wit::Classed { agent, cluster, skill, confidence, is_taught });

impl From<wit::Tables> for model::Tables {
    fn from(tables: wit::Tables) -> Self {
        let wit::Tables {
            routes,
            words,
            words_examples,
            plain_examples,
            words_calibration,
            sentences,
        } = tables;
        Self {
            routes: all(routes),
            words: words.into(),
            words_examples: words_examples.into(),
            plain_examples: plain_examples.into(),
            words_calibration: words_calibration.into(),
            sentences: sentences.map(Into::into),
        }
    }
}

impl From<wit::Tier> for classify::Tier {
    fn from(tier: wit::Tier) -> Self {
        match tier {
            wit::Tier::Words => Self::Words,
            wit::Tier::Sentences => Self::Sentences,
        }
    }
}

impl From<classify::Tier> for wit::Tier {
    fn from(tier: classify::Tier) -> Self {
        match tier {
            classify::Tier::Words => Self::Words,
            classify::Tier::Sentences => Self::Sentences,
        }
    }
}

impl From<wit::Classified> for classify::Classified {
    fn from(classified: wit::Classified) -> Self {
        let wit::Classified {
            tier,
            in_scope,
            features,
            agents,
        } = classified;
        Self {
            tier: tier.into(),
            in_scope,
            features: features.into(),
            agents: all(agents),
        }
    }
}

impl From<classify::Classified> for wit::Classified {
    fn from(classified: classify::Classified) -> Self {
        let classify::Classified {
            tier,
            in_scope,
            features,
            agents,
        } = classified;
        Self {
            tier: tier.into(),
            in_scope,
            features: features.into(),
            agents: all(agents),
        }
    }
}
