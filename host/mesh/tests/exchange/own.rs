//! The mesh's own agents: policy judges what is asked for, not only that
//! something is.

use super::world::*;
use kgents_audit::{DecisionOutcome, Record};
use kgents_gateway::call::{FailureKind, Operation, RouteCall};
use kgents_mesh::ports::Action;

#[tokio::test]
async fn a_balance_is_told_in_words_and_data() {
    let world = World::new();
    let reply = world.ask("b-gent", send("how many tokens are left?")).await;
    assert_eq!(reply.head.agent.as_deref(), Some("b-gent"));
    let answer = value(&once(reply).unwrap());
    assert!(answer.to_string().contains("1000"), "{answer}");
    world.ended(DecisionOutcome::Allowed, None).await;
}

#[tokio::test]
async fn a_conversation_with_one_goes_on_and_is_nobody_elses() {
    let world = World::new();
    let in_context = |text: &str| {
        let mut message = message(text);
        message.context_id = Some("c1".into());
        Operation::SendMessage(message)
    };
    let reply = world
        .ask("b-gent", in_context("how many tokens are left?"))
        .await;
    once(reply).unwrap();
    let follow_up = || {
        Operation::Route(RouteCall {
            text: "and tomorrow?".into(),
            context_id: Some("c1".into()),
            explain: false,
        })
    };
    let answer = value(&once(world.ask("", follow_up()).await).unwrap());
    assert_eq!(
        (&answer["agent"], &answer["method"]),
        (&"b-gent".into(), &"conversation".into())
    );
    let answer = value(&once(world.ask_as("eve", "", follow_up()).await).unwrap());
    assert_ne!(answer["method"], "conversation");
}

#[tokio::test]
async fn an_allocation_is_done_and_rides_on_its_outcome() {
    let world = World::new();
    let reply = world
        .ask("b-gent", send("allocate 200 tokens to translation"))
        .await;
    once(reply).unwrap();
    assert_eq!(world.mesh().free(), BUDGET - 200);
    let records = world.records();
    let [Record::Outcome(outcome)] = records.as_slice() else {
        panic!("{records:?}");
    };
    let carried = outcome.carried.as_ref().unwrap().get();
    assert!(carried.contains("translation"), "{carried}");
    world.ended(DecisionOutcome::Allowed, None).await;
}

#[tokio::test]
async fn an_allocation_without_the_right_changes_nothing() {
    let world = World::new();
    world.policy.forbid("ada", Action::Allocate, "translation");
    let reply = world
        .ask("b-gent", send("allocate 200 tokens to translation"))
        .await;
    assert_eq!(failure(reply).kind, FailureKind::Denied);
    assert_eq!(world.mesh().free(), BUDGET);
    let code = FailureKind::Denied.code();
    let event = world.ended(DecisionOutcome::Denied, Some(code)).await;
    assert_eq!(event.spec.decision.policy, "forbidden");
}

#[tokio::test]
async fn more_than_is_free_is_not_allocated_and_the_answer_says_what_is() {
    let world = World::new();
    let reply = world
        .ask("b-gent", send("allocate 5000 tokens to translation"))
        .await;
    let answer = value(&once(reply).unwrap()).to_string();
    assert!(answer.contains("1000"), "{answer}");
    assert_eq!(world.mesh().free(), BUDGET);
}

#[tokio::test]
async fn who_may_not_invoke_it_gets_no_answer() {
    let world = World::new();
    world.policy.forbid("ada", Action::Invoke, "b-gent");
    let reply = world.ask("b-gent", send("how many tokens are left?")).await;
    assert_eq!(failure(reply).kind, FailureKind::Denied);
}

#[tokio::test]
async fn what_is_not_understood_is_answered_with_examples() {
    let world = World::new();
    let reply = world.ask("b-gent", send("the weather in Rome")).await;
    let answer = value(&once(reply).unwrap()).to_string();
    assert!(answer.contains("For example"), "{answer}");
    world.ended(DecisionOutcome::Allowed, None).await;
}

#[tokio::test]
async fn an_echo_streams_one_message() {
    let world = World::new();
    let reply = world.ask("echo", stream("echo good morning")).await;
    let answer = value(&once(reply).unwrap()).to_string();
    assert!(answer.contains("good morning"), "{answer}");
}
