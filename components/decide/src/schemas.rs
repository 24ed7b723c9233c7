//! The JSON schemas of the four bodies, with examples and with the answers under
//! `$defs/answer`. Made by `cargo run -p kgents-decide --example publish` from the
//! records and from `tests/requests`; a test compares.

/// Body of `POST /v1/decide/router`.
pub const ROUTER: &str = include_str!("../schemas/router.json");
/// Body of `POST /v1/decide/policy`.
pub const POLICY: &str = include_str!("../schemas/policy.json");
/// Body of `POST /v1/decide/pheromone`.
pub const PHEROMONE: &str = include_str!("../schemas/pheromone.json");
/// Body of `POST /v1/decide/health`.
pub const HEALTH: &str = include_str!("../schemas/health.json");
