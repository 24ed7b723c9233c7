//! Cards that the mesh writes: its own, and those of its own agents.

use serde::Serialize;

use crate::call::Payload;
use crate::card::{CardInterface, Skill};
use crate::head::A2A_VERSION;
use crate::interface::Binding;

/// An agent that the mesh itself is.
#[derive(Clone, Copy, Debug)]
pub struct OwnAgent<'a> {
    /// Its name; an RFC 1123 label but for the mesh itself.
    pub name: &'a str,
    /// What it is for.
    pub description: &'a str,
    /// The version of kgents.
    pub version: &'a str,
    /// What it can do.
    pub skills: &'a [Skill],
}

/// The card of one of the mesh's own agents, reached at `base_url` in both
/// bindings. To be registered and rewritten as any other.
#[must_use]
pub fn own_card(base_url: &str, agent: &OwnAgent<'_>) -> Payload {
    let url = base_url.trim_end_matches('/');
    let interface = |binding| WrittenInterface {
        url,
        binding,
        version: A2A_VERSION,
    };
    write(&Written {
        name: agent.name,
        description: agent.description,
        version: agent.version,
        interfaces: [Binding::JsonRpc, Binding::HttpJson]
            .map(interface)
            .to_vec(),
        skills: agent.skills,
        streaming: true,
    })
}

/// The card of the mesh's own agent, which routes; `base_url` is the mesh's.
/// Served as it is, without identity.
#[must_use]
pub fn mesh_card(base_url: &str, name: &str, description: &str, version: &str) -> Payload {
    let skill = Skill {
        id: "route".to_owned(),
        name: "Route".to_owned(),
        description: "Finds the agent that fits a question, asks it, and gives its answer"
            .to_owned(),
        tags: ["routing", "discovery", "mesh"].map(str::to_owned).to_vec(),
        examples: vec!["Who can translate a contract into French?".to_owned()],
    };
    let skills = [skill];
    let card = own_card(
        base_url,
        &OwnAgent {
            name,
            description,
            version,
            skills: &skills,
        },
    );
    // Written by us a line above, it parses; were it not to, it is still a card.
    match crate::card::Card::parse(card.clone()) {
        Ok(parsed) => parsed.rewrite(base_url),
        Err(_) => card,
    }
}

/// What a card is written from.
pub(crate) struct Written<'a> {
    pub name: &'a str,
    pub description: &'a str,
    pub version: &'a str,
    pub interfaces: Vec<WrittenInterface<'a>>,
    pub skills: &'a [Skill],
    pub streaming: bool,
}

#[derive(Clone, Copy)]
pub(crate) struct WrittenInterface<'a> {
    pub url: &'a str,
    pub binding: Binding,
    pub version: &'a str,
}

/// An A2A 1.0 card with every required member.
pub(crate) fn write(card: &Written<'_>) -> Payload {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        name: &'a str,
        description: &'a str,
        version: &'a str,
        supported_interfaces: Vec<CardInterface<'a>>,
        capabilities: Capabilities,
        default_input_modes: [&'static str; 2],
        default_output_modes: [&'static str; 2],
        skills: &'a [Skill],
    }
    #[derive(Serialize)]
    struct Capabilities {
        streaming: bool,
    }
    let modes = ["text/plain", "application/json"];
    Payload::of(&Body {
        name: card.name,
        description: card.description,
        version: card.version,
        supported_interfaces: card
            .interfaces
            .iter()
            .map(|interface| CardInterface {
                url: interface.url,
                protocol_binding: interface.binding.name(),
                protocol_version: interface.version,
            })
            .collect(),
        capabilities: Capabilities {
            streaming: card.streaming,
        },
        default_input_modes: modes,
        default_output_modes: modes,
        skills: card.skills,
    })
}
