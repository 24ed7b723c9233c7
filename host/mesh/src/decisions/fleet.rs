//! A digest of all agents: processes that know the same cards, and the same agents
//! to be failing, agree on it.

use super::key::{hex, text};
use crate::registry::Agent;
use sha2::{Digest, Sha256};

/// The sum of the agents' digests, so that a change costs what it touches and the
/// order in which agents came does not count. After Bellare and Micciancio, "A new
/// paradigm for collision-free hashing", 1997. Two fleets of one digest can be made
/// by who may register thousands of cards; all that is won by it is that one mesh
/// takes the other's decisions over.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Fleet([u64; 4]);

impl Fleet {
    pub(super) fn add(&mut self, agent: &Agent) {
        self.sum(card(agent), u64::wrapping_add);
    }

    pub(super) fn remove(&mut self, agent: &Agent) {
        self.sum(card(agent), u64::wrapping_sub);
    }

    /// An agent fails its probes from now on.
    pub(super) fn fails(&mut self, name: &str) {
        self.sum(failing(name), u64::wrapping_add);
    }

    /// An agent does not fail them any more.
    pub(super) fn recovers(&mut self, name: &str) {
        self.sum(failing(name), u64::wrapping_sub);
    }

    /// In hexadecimal digits.
    pub(super) fn digest(&self) -> String {
        let bytes: Vec<u8> = self.0.iter().flat_map(|lane| lane.to_le_bytes()).collect();
        hex(&bytes)
    }

    fn sum(&mut self, digest: Sha256, with: fn(u64, u64) -> u64) {
        let bytes: [u8; 32] = digest.finalize().into();
        let (lanes, _) = bytes.as_chunks::<8>();
        for (sum, lane) in self.0.iter_mut().zip(lanes) {
            *sum = with(*sum, u64::from_le_bytes(*lane));
        }
    }
}

fn card(agent: &Agent) -> Sha256 {
    let mut digest = Sha256::new();
    digest.update(b"card");
    text(&mut digest, &agent.name);
    text(&mut digest, &agent.cluster);
    digest.update(agent.card.raw().as_bytes());
    digest
}

fn failing(name: &str) -> Sha256 {
    let mut digest = Sha256::new();
    digest.update(b"fail");
    text(&mut digest, name);
    digest
}
