//! The nouns: a signal as stored, as drafted, as sensed.

/// The kinds every mesh knows; others must be registered.
pub const KINDS: [&str; 12] = [
    "METAPHOR",
    "WARNING",
    "MEMORY",
    "NARRATIVE",
    "OPPORTUNITY",
    "SCARCITY",
    "CAPABILITY",
    "STATE",
    "TEST",
    "INTENT",
    DREAM,
    "CHAOS",
];

/// The kind that lingers: its half-life is doubled when it is accepted.
pub const DREAM: &str = "DREAM";

/// A signal as it is stored: immutable.
#[derive(Debug, Clone, PartialEq)]
pub struct Pheromone {
    /// One of [`KINDS`] or a registered own kind, upper case.
    pub kind: String,
    /// SPIFFE path or name of who emitted it.
    pub source: String,
    /// Milliseconds since the Unix epoch.
    pub emitted_at_ms: u64,
    /// 0.0 to 1.0.
    pub initial_intensity: f64,
    /// Milliseconds until the intensity has halved; above 0.
    pub half_life_ms: u64,
    /// The agent it is meant for; `None` is a broadcast.
    pub target: Option<String>,
    /// Milliseconds after which it is gone whatever its strength.
    pub ttl_ms: Option<u64>,
}

/// What someone wants to emit; absent values get the defaults.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Draft {
    /// JSON `type`: one of [`KINDS`] or a registered own kind, upper case.
    pub kind: String,
    /// JSON `source`: SPIFFE ID, SPIFFE path or name.
    pub source: String,
    /// JSON `intensity`: 0.0 to 1.0; default [`crate::accept::INTENSITY`].
    pub initial_intensity: Option<f64>,
    /// JSON `halfLifeMinutes`: above 0; default
    /// [`crate::accept::HALF_LIFE_MINUTES`].
    pub half_life_minutes: Option<f64>,
    /// JSON `target`: the agent it is meant for; absent is a broadcast.
    pub target: Option<String>,
    /// JSON `ttlSeconds`: above 0; absent is no limit.
    pub ttl_seconds: Option<f64>,
}

/// Why a draft is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The field as written in JSON, for example `halfLifeMinutes`.
    pub field: &'static str,
    /// What is wrong and what would be right.
    pub message: String,
}

/// What a listener asks for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filter {
    /// Only this kind, exactly as stored.
    pub kind: Option<String>,
    /// Only what is meant for this agent, and broadcasts.
    pub target: Option<String>,
    /// Only what is at least this strong, 0.0 to 1.0. Nothing is as strong as
    /// a number that is none (NaN).
    pub min_intensity: f64,
    /// At most this many; 0 means no limit.
    pub limit: u32,
}

/// A pheromone that is sensed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sensed {
    /// Index into the list that was given.
    pub index: u32,
    /// Strength now, 0.01 to 1.0.
    pub intensity: f64,
}
