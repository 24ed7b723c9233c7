//! Feedback on routing: who may give it, what it says, and what it never tells.

use super::world::*;
use kgents_audit::DecisionOutcome;
use kgents_gateway::call::{FailureKind, FeedbackDraft, Operation, Verdict};
use kgents_mesh::ports::Action;
use serde_json::Value;

fn draft(decision: &str, verdict: Verdict) -> FeedbackDraft {
    FeedbackDraft {
        decision: decision.into(),
        verdict,
        should_be: None,
        skill: None,
        text: None,
        agent: None,
    }
}

/// What a caller is answered.
async fn said(world: &World, who: &str, operation: Operation) -> Value {
    value(&once(world.ask_as(who, "", operation).await).unwrap())
}

/// The event of a decision, by which `helper` was chosen.
async fn decided(world: &World, who: &str) -> String {
    let routed = said(world, who, route("helper")).await;
    assert_eq!(routed["agent"], "helper", "{routed}");
    routed["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn it_is_given_listed_and_taken_back_and_the_trail_has_it_all() {
    let world = World::new();
    let decision = decided(&world, "ada").await;
    let wrong = FeedbackDraft {
        should_be: Some("other".into()),
        ..draft(&decision, Verdict::Wrong)
    };
    let given = said(&world, "ada", Operation::GiveFeedback(wrong)).await;
    assert_eq!(given["decision"], decision.as_str());
    assert_eq!(
        (
            &given["verdict"],
            &given["agent"],
            &given["shouldBe"],
            &given["text"]
        ),
        (
            &"wrong".into(),
            &"helper".into(),
            &"other".into(),
            &"helper".into()
        )
    );
    let id = given["id"].as_str().unwrap().to_owned();
    let listed = said(&world, "ada", Operation::ListFeedback).await;
    assert_eq!(listed["feedback"], Value::Array(vec![given.clone()]));
    let undo = || Operation::UndoFeedback { id: id.clone() };
    assert_eq!(said(&world, "ada", undo()).await, given);
    let listed = said(&world, "ada", Operation::ListFeedback).await;
    assert_eq!(listed["feedback"], Value::Array(Vec::new()));
    let again = failure(world.ask("", undo()).await);
    assert_eq!(again.kind, FailureKind::InvalidParams);
    let outcomes = world.outcomes();
    let taught: Vec<(&str, &str)> = outcomes
        .iter()
        .map(|event| &event.spec.action)
        .filter(|action| action.kind == "TEACH")
        .map(|action| (action.method.as_str(), action.target.as_str()))
        .collect();
    assert_eq!(
        taught,
        [
            ("GiveFeedback", "other"),
            ("ListFeedback", "mesh"),
            ("UndoFeedback", "mesh"),
            ("ListFeedback", "mesh"),
            ("UndoFeedback", "mesh"),
        ]
    );
    assert_eq!(
        outcomes[1].metadata.name, id,
        "feedback is kept under its event"
    );
    world.is_quiet();
}

#[tokio::test]
async fn who_may_not_teach_neither_says_nor_reads_anything() {
    let world = World::new();
    world.policy.forbid("eve", Action::Teach, "mesh");
    let decision = decided(&world, "eve").await;
    for operation in [
        Operation::GiveFeedback(draft(&decision, Verdict::Right)),
        Operation::ListFeedback,
        Operation::UndoFeedback { id: "x".into() },
    ] {
        let denied = failure(world.ask_as("eve", "", operation).await);
        assert_eq!(denied.kind, FailureKind::Denied);
    }
    let listed = said(&world, "ada", Operation::ListFeedback).await;
    assert_eq!(listed["feedback"], Value::Array(Vec::new()));
    let outcomes = world.outcomes();
    let denied = outcomes
        .iter()
        .filter(|event| event.spec.decision.outcome == DecisionOutcome::Denied);
    assert_eq!(denied.count(), 3);
}

#[tokio::test]
async fn a_hidden_agent_can_be_told_from_none_by_nothing() {
    let world = World::new();
    world.policy.forbid("eve", Action::List, "other");
    let should_be = |name: &str| {
        Operation::GiveFeedback(FeedbackDraft {
            should_be: Some(name.into()),
            text: Some("fold a boat".into()),
            ..draft("d", Verdict::Wrong)
        })
    };
    let hidden = failure(world.ask_as("eve", "", should_be("other")).await);
    let missing = failure(world.ask_as("eve", "", should_be("nobody")).await);
    assert_eq!(hidden.kind, FailureKind::UnknownAgent);
    assert_eq!(hidden.message.replace("other", "nobody"), missing.message);
    let given = said(&world, "ada", should_be("other")).await;
    let listed = said(&world, "eve", Operation::ListFeedback).await;
    assert_eq!(
        listed["feedback"],
        Value::Array(Vec::new()),
        "it names the hidden one"
    );
    let id = given["id"].as_str().unwrap().to_owned();
    let undo = |id: &str| Operation::UndoFeedback { id: id.into() };
    let there = failure(world.ask_as("eve", "", undo(&id)).await);
    let none = failure(world.ask_as("eve", "", undo("none")).await);
    assert_eq!(there.message.replace(&id, "none"), none.message);
    assert_eq!(said(&world, "ada", undo(&id)).await, given);
}

#[tokio::test]
async fn another_callers_question_is_nobodys_to_teach() {
    let world = World::new();
    let decision = decided(&world, "ada").await;
    let right = || Operation::GiveFeedback(draft(&decision, Verdict::Right));
    let refused = failure(world.ask_as("eve", "", right()).await);
    assert!(refused.message.starts_with("`decision`"), "{refused:?}");
    assert!(once(world.ask("", right()).await).is_ok());
}

#[tokio::test]
async fn whoever_answered_in_a_conversation_is_remembered_for_its_caller() {
    let world = World::new();
    world
        .agent
        .will(super::fakes::Act::Answer(json(serde_json::json!({
            "message": { "messageId": "a1", "role": "ROLE_AGENT", "parts": [], "contextId": "c1" }
        }))));
    once(world.ask("helper", send("hello")).await).unwrap();
    let holder = |caller: &str| world.exchange.evidence.holder(caller, "c1");
    assert_eq!(holder("user/ada").as_deref(), Some("helper"));
    assert_eq!(holder("user/eve"), None);
}
