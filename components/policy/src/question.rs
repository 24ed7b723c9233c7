//! What is asked of a policy set and what it answers: the records of
//! `wit/policy/policy.wit`, natively.

/// Type of a principal or resource in the Cedar schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A person.
    User,
    /// An agent, the mesh's own included.
    Agent,
    /// A gateway, which carries requests of others.
    Gateway,
    /// A budget account.
    Account,
    /// A type of pheromone (a signal between agents).
    Pheromone,
    /// The mesh as a whole.
    Mesh,
}

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Cedar `String`.
    Text(String),
    /// Cedar `Long`.
    Number(i64),
    /// Cedar `Bool`.
    Truth(bool),
    /// Cedar `Set<String>`.
    Texts(Vec<String>),
}

/// A named attribute of an entity or of the context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Name as in the schema, for example `trust_domain`.
    pub name: String,
    /// Its value, of the type the schema says.
    pub value: Value,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// User, agent or gateway; anything else fits no action.
    pub kind: Kind,
    /// The name inside the local trust domain, the whole SPIFFE id for a
    /// foreign one.
    pub id: String,
    /// Names of the groups the subject belongs to.
    pub groups: Vec<String>,
    /// What is known about it, each name at most once.
    pub attributes: Vec<Attribute>,
}

/// What is asked: one action on one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// An action of the schema, for example `invoke`.
    pub action: String,
    /// Type of the resource.
    pub resource_kind: Kind,
    /// Id of the resource.
    pub resource_id: String,
    /// Names of the groups the resource belongs to; only agents belong to any.
    pub resource_groups: Vec<String>,
    /// What is known about the resource, each name at most once.
    pub resource_attributes: Vec<Attribute>,
    /// What is known about this one action, each name at most once.
    pub context: Vec<Attribute>,
}

/// The answer to one query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the subject may.
    pub allowed: bool,
    /// The deciding policy, [`DEFAULT_DENY`] or [`POLICY_ERROR`].
    pub policy: String,
    /// Indices into `PolicySet::ids` of every policy considered, ascending.
    pub checked: Vec<u32>,
    /// What went wrong, for the operator's log; empty when all went well.
    pub errors: Vec<String>,
}

/// Stands for the deciding policy when no policy matched.
pub const DEFAULT_DENY: &str = "default-deny";

/// Stands for the deciding policy when a policy could not be evaluated or the
/// query does not fit the schema.
pub const POLICY_ERROR: &str = "policy-error";
