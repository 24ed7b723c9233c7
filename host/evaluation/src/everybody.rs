//! The policies of a trial: none stands in the way.

use std::sync::Arc;

use kgents_gateway::call::Failure;
use kgents_mesh::ports::{Ask, Judgement, Policy};
use kgents_mesh::principal::Principal;

/// Everybody may do everything: what is tried is the routing, among agents that
/// whoever tries it may see.
pub struct Everybody(Judgement);

impl Default for Everybody {
    fn default() -> Self {
        Self(Judgement {
            allowed: true,
            policy: "trial".into(),
            checked: Arc::new([]),
        })
    }
}

impl Policy for Everybody {
    fn judge(&self, _who: &Principal, asks: &[Ask<'_>]) -> Result<Vec<Judgement>, Failure> {
        Ok(vec![self.0.clone(); asks.len()])
    }

    fn generation(&self) -> u64 {
        1
    }

    fn digest(&self) -> [u8; 32] {
        [0; 32]
    }
}
