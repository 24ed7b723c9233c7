//! Feedback on routing decisions, as callers give it.

use serde::{Deserialize, Serialize};

/// What is said of a routing decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The agent was the right one.
    Right,
    /// It was not.
    Wrong,
}

/// Feedback on a routing decision, as a caller gives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FeedbackDraft {
    /// The decision's `id`: the name of its audit event, also sent as a
    /// `kgents-event` header.
    pub decision: String,
    /// What is said of it.
    pub verdict: Verdict,
    /// The agent whose question it is; goes with `wrong` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub should_be: Option<String>,
    /// The id of the skill whose question it is, of `should_be` or else of the
    /// agent that was right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skill: Option<String>,
    /// The question, where the mesh does not remember it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The agent that was chosen, where the mesh does not remember it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}
