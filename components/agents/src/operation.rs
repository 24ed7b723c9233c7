//! The nouns: what is asked, what was done, what is answered.

/// A message to one of the mesh's own agents.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// `b-gent`, `l-gent` or `echo`.
    pub agent: String,
    /// The text parts, joined by newlines.
    pub text: String,
    /// The first data part as JSON text, if any: the exact form.
    pub data: Option<String>,
}

/// Tokens for one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amount {
    /// RFC 1123 label, lower case.
    pub account: String,
    /// Above 0.
    pub tokens: u64,
}

/// What a message asks the mesh to do. Policy judges this, not the words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// How much is left; `None` is the whole mesh.
    Balance(Option<String>),
    /// Move tokens from the free pool to an account.
    Allocate(Amount),
    /// Report tokens used outside the mesh against an account.
    Settle(Amount),
    /// Who used most; at most so many, 1 to [`CONSUMERS_MAX`].
    TopConsumers(u32),
    /// Who can do this? In the asker's words.
    Find(String),
    /// All agents the caller may see.
    ListAgents,
    /// Everything public about one agent.
    Describe(String),
    /// Say it back.
    Echo(String),
}

/// Most consumers one question can ask for.
pub const CONSUMERS_MAX: u32 = 100;

/// Consumers told when the question does not say how many: a short answer.
pub const CONSUMERS_DEFAULT: u32 = 5;

/// The message could not be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unclear {
    /// What was not understood, for a person.
    pub message: String,
    /// Messages that would have been.
    pub examples: Vec<String>,
}

/// One account's figures, in tokens.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Account {
    /// RFC 1123 label, or the name of the whole mesh's budget.
    pub name: String,
    /// `spent + reserved + free`.
    pub allocated: u64,
    /// Settled in this window.
    pub spent: u64,
    /// Held for requests under way.
    pub reserved: u64,
    /// What can still be used.
    pub free: u64,
    /// `day`, `hour` or `total`.
    pub window: String,
}

/// Who used how much in the current window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    /// The account or agent.
    pub name: String,
    /// Tokens used.
    pub tokens: u64,
}

/// An agent as l-gent tells of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Listing {
    /// The agent's name.
    pub name: String,
    /// What it says of itself; may be empty.
    pub description: String,
    /// Names of its skills.
    pub skills: Vec<String>,
    /// `healthy`, `degraded`, `failed` or `unknown`.
    pub health: String,
    /// Calibrated probability when it was searched for, 0.0 to 1.0.
    pub confidence: Option<f32>,
}

/// What the mesh did.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The account's figures.
    Balance(Account),
    /// The account after the allocation, and what was moved.
    Allocated(Account, u64),
    /// The account after the settlement, and what was charged.
    Settled(Account, u64),
    /// Most first.
    TopConsumers(Vec<Consumer>),
    /// Best first.
    Found(Vec<Listing>),
    /// All agents the caller may see.
    Agents(Vec<Listing>),
    /// One agent.
    Described(Listing),
    /// What was said.
    Echoed(String),
    /// No such account.
    NoAccount(String),
    /// More was asked than is free.
    Insufficient {
        /// For whom.
        account: String,
        /// Tokens asked for.
        asked: u64,
        /// Tokens that are free.
        available: u64,
    },
    /// No such agent, or none the caller may see.
    NoAgent(String),
}

/// The words and the data of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Useful sentences for a person.
    pub text: String,
    /// The same facts as a JSON object.
    pub data: String,
}
