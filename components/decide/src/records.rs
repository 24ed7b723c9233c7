//! What the deciders take and return, from `wit/`, where every item is documented.

/// Records of the router.
pub mod router {
    pub use crate::bindings::kgents::router::routing::{
        Alternative, Candidate, Classed, Classified, Decision, Evidence, Features, Found, Holder,
        Method, Named, Question, Remembered, Rung, Similar, Step, Tier,
    };
}

/// Records of the policy decider.
pub mod policy {
    pub use crate::bindings::kgents::policy::authorization::{
        Attribute, Kind, Problem, Query, Source, Subject, Value, Verdict,
    };
}

/// Records of the pheromone decider.
pub mod pheromone {
    pub use crate::bindings::kgents::pheromone::sensing::{
        Draft, Filter, Pheromone, Problem, Sensed,
    };
}

/// Records of the health decider.
pub mod health {
    pub use crate::bindings::kgents::health::judging::{Limits, Outcome, Probe, Status, Verdict};
}
