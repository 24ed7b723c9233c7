//! What the cards of the mesh's own agents say.

use kgents_gateway::call::Failure;
use kgents_gateway::card::{Card, Skill};
use kgents_gateway::{OwnAgent, own_card};

/// Cards of the mesh's own agents, by name.
///
/// # Errors
/// Never for these; the parser's failure is passed on.
pub fn cards() -> Result<Vec<(String, Card)>, Failure> {
    let described = [
        (
            "b-gent",
            "Budget agent: token economics and resource allocation",
            &budget()[..],
        ),
        (
            "l-gent",
            "Library agent: knows every registered agent and what it can do",
            &library()[..],
        ),
        ("echo", "Echo agent: says back what it is told", &echo()[..]),
    ];
    described
        .into_iter()
        .map(|(name, description, skills)| {
            let version = env!("CARGO_PKG_VERSION");
            // Where it listens is written into each served card; this is a stand-in.
            let payload = own_card(
                &format!("http://mesh.invalid/agents/{name}"),
                &OwnAgent {
                    name,
                    description,
                    version,
                    skills,
                },
            );
            Ok((name.to_owned(), Card::parse(payload)?))
        })
        .collect()
}

fn budget() -> [Skill; 4] {
    [
        skill(
            "balance",
            "Token balance",
            "Tells how many tokens an account or the whole mesh has left, has spent and has reserved",
            &["budget", "tokens", "balance"],
            &[
                "how many tokens does the research team have left?",
                "what is the balance of support?",
                "is there any budget left for support?",
            ],
        ),
        skill(
            "allocate",
            "Allocate tokens",
            "Moves tokens from the free pool to a team's account",
            &["budget", "tokens", "allocation"],
            &[
                "allocate 5000 tokens to research",
                "give the support team 2k tokens",
            ],
        ),
        skill(
            "settle",
            "Settle usage",
            "Charges tokens that were used outside the mesh to an account",
            &["budget", "tokens"],
            &["charge 300 tokens to research"],
        ),
        skill(
            "top-consumers",
            "Top consumers",
            "Tells who used the most tokens",
            &["budget", "tokens", "usage"],
            &["who spends the most tokens?", "top 5 consumers"],
        ),
    ]
}

fn library() -> [Skill; 3] {
    [
        skill(
            "find",
            "Find an agent",
            "Tells which agent can do something",
            &["discovery", "registry", "agents"],
            &[
                "which agent can review contracts?",
                "who can do data analysis here?",
            ],
        ),
        skill(
            "list-agents",
            "List agents",
            "Lists the registered agents with their skills and health",
            &["discovery", "registry"],
            &["list all agents", "what agents are there?"],
        ),
        skill(
            "describe",
            "Describe an agent",
            "Tells what is known of one agent",
            &["discovery", "registry"],
            &["describe the agent b-gent"],
        ),
    ]
}

fn echo() -> [Skill; 1] {
    [skill(
        "echo",
        "Echo",
        "Says back what it is told; for testing a connection",
        &["test", "connectivity"],
        &["echo hello", "repeat after me: good morning"],
    )]
}

fn skill(id: &str, name: &str, description: &str, tags: &[&str], examples: &[&str]) -> Skill {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Skill {
        id: id.to_owned(),
        name: name.to_owned(),
        description: description.to_owned(),
        tags: texts(tags),
        examples: texts(examples),
    }
}
