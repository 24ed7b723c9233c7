//! The nouns: how a probe ended, what the limits are, what the verdict is.

/// How one probe ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It answered well after so many milliseconds.
    Answered(u32),
    /// It answered with an HTTP status that is not a success.
    Status(u16),
    /// Nothing listens there, or the connection broke.
    Unreachable,
    /// No answer within the probe's budget, in milliseconds.
    TimedOut(u32),
    /// It answered, but not with what an agent answers.
    Malformed,
}

/// One probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// How it ended.
    pub outcome: Outcome,
}

/// When is what what. Every limit counts as at least 1: a limit of 0 would
/// call everything slow, failed or stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Slower than this degrades, in milliseconds.
    pub slow_ms: u32,
    /// So many failures without a good answer between them mean failed.
    pub failures: u32,
    /// A last probe older than this, in milliseconds, is stale.
    pub stale_ms: u64,
}

/// Closed list of states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// No probe yet, or all of them too old to say.
    Unknown,
    /// The last probe was answered well and in time.
    Healthy,
    /// Slow, or failing but not often enough to be failed.
    Degraded,
    /// Failed as often as the limit says since it last answered well.
    Failed,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The state.
    pub status: Status,
    /// One sentence for a person, with the numbers that decided.
    pub reason: String,
}
