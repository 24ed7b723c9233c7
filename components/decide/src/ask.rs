//! What may be asked of each decider, and what it answers. As JSON each of these
//! is an object of one member: `{"decide": {"question": …, "evidence": …}}` is
//! answered with `{"decide": {"need": "search"}}`.

use serde::{Deserialize, Serialize};

use crate::records::{health, pheromone, policy, router};

/// A question to the router.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
pub enum RouterAsk {
    /// Where does this request go? Answered with the decision, or with the rung of
    /// evidence still needed: ask again with it filled in.
    Decide {
        /// What is to be routed.
        question: router::Question,
        /// Everything gathered so far.
        evidence: router::Evidence,
    },
}

/// What the router says.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
pub enum RouterAnswer {
    /// Where it goes, or what is missing.
    Decide(router::Step),
}

/// A question to the policy decider.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
pub enum PolicyAsk {
    /// May this caller do that? One verdict per query, in order.
    Evaluate {
        /// The policies to judge by; all of them or none are loaded.
        sources: Vec<policy::Source>,
        /// Who asks.
        subject: policy::Subject,
        /// What is asked.
        queries: Vec<policy::Query>,
    },
    /// Are these policies valid?
    Load {
        /// The policy files.
        sources: Vec<policy::Source>,
    },
    /// The Cedar schema that policies are validated against, as text.
    Schema {},
}

/// What the policy decider says.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
pub enum PolicyAnswer {
    /// The verdicts, or everything that is wrong with the policies.
    Evaluate(Result<Judged, Vec<policy::Problem>>),
    /// The policies, or everything that is wrong with them.
    Load(Result<Loaded, Vec<policy::Problem>>),
    /// The Cedar schema as text.
    Schema(String),
}

/// Policies that are valid.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
pub struct Loaded {
    /// Ids of all policies, sorted.
    pub ids: Vec<String>,
}

/// What valid policies say.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
pub struct Judged {
    /// Ids of all policies, sorted; the verdicts' `checked` counts into them.
    pub ids: Vec<String>,
    /// One per query, in order.
    pub verdicts: Vec<policy::Verdict>,
}

/// A question to the pheromone decider.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
pub enum PheromoneAsk {
    /// Turn a draft into a pheromone, or say which fields are wrong.
    Accept {
        /// What someone wants to emit.
        draft: pheromone::Draft,
        /// Registered types besides the built-in twelve.
        own_kinds: Vec<String>,
        /// Milliseconds since the Unix epoch.
        now_ms: u64,
    },
    /// How strong is this signal now? 0.01 to 1.0, or 0.0 when it is gone.
    Intensity {
        /// The signal as it is stored.
        pheromone: pheromone::Pheromone,
        /// Milliseconds since the Unix epoch.
        now_ms: u64,
    },
    /// What passes the filter now? Strongest first, ties by index.
    Sense {
        /// The signals as they are stored.
        pheromones: Vec<pheromone::Pheromone>,
        /// What is asked for.
        filter: pheromone::Filter,
        /// Milliseconds since the Unix epoch.
        now_ms: u64,
    },
}

/// What the pheromone decider says.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
pub enum PheromoneAnswer {
    /// The pheromone, or every field of the draft that is wrong.
    Accept(Result<pheromone::Pheromone, Vec<pheromone::Problem>>),
    /// The strength.
    Intensity(f64),
    /// What is sensed.
    Sense(Vec<pheromone::Sensed>),
}

/// A question to the health decider.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
pub enum HealthAsk {
    /// Is this agent healthy?
    Judge {
        /// How it answered lately, oldest first.
        probes: Vec<health::Probe>,
        /// When is what what.
        limits: health::Limits,
        /// Milliseconds since the Unix epoch.
        now_ms: u64,
    },
}

/// What the health decider says.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
pub enum HealthAnswer {
    /// The status with its reason.
    Judge(health::Verdict),
}
