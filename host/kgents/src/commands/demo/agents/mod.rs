//! Two small agents for the demo, real ones: they work on what they are sent,
//! and speak A2A 1.0 over JSON-RPC on loopback.
//!
//! Reading order: this file (what an agent is), `calc`, `text_stats` (two of
//! them), `protocol` (A2A), `desk` (HTTP).

mod calc;
mod desk;
mod protocol;
mod text_stats;

use serde_json::{Value, json};

pub use calc::Calc;
pub use desk::{Desk, open};
pub use text_stats::TextStats;

/// An agent's trade: what it is and how it works on words.
pub trait Trade: Send + Sync + 'static {
    /// Its name, an RFC 1123 label.
    fn name(&self) -> &'static str;

    /// What it is for, in a sentence.
    fn description(&self) -> &'static str;

    /// What it can do, as A2A's AgentSkill objects.
    fn skills(&self) -> Value;

    /// Works on a message.
    ///
    /// # Errors
    /// A sentence for the asker when the words ask for nothing it can do.
    fn work(&self, text: &str) -> Result<Work, String>;
}

/// What came of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Work {
    /// How it got there, a line each, in order; told one by one when streamed.
    pub steps: Vec<String>,
    /// The answer in words.
    pub answer: String,
    /// The same for a program.
    pub data: Value,
}

/// An agent's card, reached at `url`. Source: A2A 1.0, 4.4.1.
fn card(trade: &dyn Trade, url: &str) -> Value {
    json!({
        "name": trade.name(),
        "description": trade.description(),
        "version": env!("CARGO_PKG_VERSION"),
        "supportedInterfaces": [
            {"url": url, "protocolBinding": "JSONRPC", "protocolVersion": "1.0"},
        ],
        "capabilities": {"streaming": true, "pushNotifications": false},
        "defaultInputModes": ["text/plain"],
        "defaultOutputModes": ["text/plain", "application/json"],
        "skills": trade.skills(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_agents_have_cards_that_the_mesh_takes() {
        let trades: [&dyn Trade; 2] = [&Calc, &TextStats];
        for trade in trades {
            let raw = card(trade, "http://127.0.0.1:9/").to_string();
            let payload = kgents_gateway::call::Payload::parse(raw.into()).unwrap();
            let card = kgents_gateway::Card::parse(payload).unwrap();
            assert_eq!(card.label().as_deref(), Some(trade.name()));
            assert!(card.streaming && !card.skills.is_empty());
        }
    }

    #[test]
    fn every_example_on_a_card_is_one_that_the_agent_can_do() {
        let trades: [&dyn Trade; 2] = [&Calc, &TextStats];
        for trade in trades {
            let skills = trade.skills();
            let examples = skills
                .as_array()
                .unwrap()
                .iter()
                .flat_map(|skill| skill["examples"].as_array().unwrap());
            for example in examples {
                let text = example.as_str().unwrap();
                assert!(trade.work(text).is_ok(), "{}: {text}", trade.name());
            }
        }
    }
}
