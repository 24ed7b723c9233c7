//! An agent that a caller may not list is answered as one that does not exist,
//! and audited as denied.

use super::world::*;
use kgents_audit::DecisionOutcome;
use kgents_gateway::call::{FailureKind, Operation, ReplyHead};
use kgents_mesh::ports::Action;

fn operations() -> Vec<Operation> {
    vec![
        send("hello"),
        stream("hello"),
        Operation::GetTask(task_call("t1")),
        Operation::CancelTask(task_call("t1")),
        Operation::Card,
        Operation::DescribeAgent,
        Operation::RemoveAgent,
    ]
}

#[tokio::test]
async fn the_two_cannot_be_told_apart_but_in_the_trail() {
    for operation in operations() {
        let world = World::new();
        world.policy.forbid("eve", Action::List, "helper");
        let hidden = world.ask_as("eve", "helper", operation.clone()).await;
        let missing = world.ask_as("eve", "nobody", operation.clone()).await;
        let bare = |head: &ReplyHead| ReplyHead {
            event: String::new(),
            ..head.clone()
        };
        assert_eq!(bare(&hidden.head), bare(&missing.head), "{operation:?}");
        let (hidden, missing) = (failure(hidden), failure(missing));
        assert_eq!(hidden.kind, FailureKind::UnknownAgent);
        let renamed = hidden.message.replace("helper", "nobody");
        assert_eq!((renamed, hidden.hint), (missing.message, missing.hint));
        assert_eq!(hidden.metadata, missing.metadata);
        let outcomes = world.outcomes();
        let ended: Vec<_> = outcomes.iter().map(|e| e.spec.decision.outcome).collect();
        assert_eq!(ended, [DecisionOutcome::Denied, DecisionOutcome::Failed]);
        assert_eq!(outcomes[0].spec.decision.policy, "forbidden");
        world.is_quiet();
    }
}

#[tokio::test]
async fn it_is_in_no_list_no_search_and_no_alternative() {
    let world = World::new();
    for hidden in ["helper", "b-gent"] {
        world.policy.forbid("eve", Action::List, hidden);
    }
    let asked = [
        ("", Operation::ListAgents),
        ("", route("fold paper boats")),
        ("", route("helper")),
        ("l-gent", send("list all agents")),
        ("l-gent", send("who can fold paper boats?")),
        ("l-gent", send("describe the agent b-gent")),
    ];
    for (target, operation) in asked {
        let answer = once(world.ask_as("eve", target, operation).await).unwrap();
        let mut text = value(&answer).to_string();
        // What the caller said themselves may be said back.
        for own_words in ["`b-gent`", "\"b-gent\"", "`helper`", "b-gent\""] {
            if text.contains("no agent") || text.contains("no-agent") || text.contains("nobody") {
                text = text.replace(own_words, "");
            }
        }
        assert!(!text.contains("fold-helper"), "{text}");
        assert!(!text.contains("\"agent\":\"helper\""), "{text}");
        assert!(!text.contains("\"name\":\"helper\""), "{text}");
        assert!(!text.contains("Token balance"), "{text}");
    }
}
