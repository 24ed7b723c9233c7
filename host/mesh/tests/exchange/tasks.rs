//! A task belongs to the caller that began it.

use super::world::*;
use kgents_audit::DecisionOutcome;
use kgents_gateway::call::{FailureKind, Operation};
use kgents_mesh::exchange::ReplyBody;

async fn begin(world: &World) {
    world
        .agent
        .will(Act::Answer(task("t1", "TASK_STATE_WORKING")));
    once(world.ask("helper", send("hello")).await).unwrap();
}

fn operations() -> Vec<Operation> {
    let mut follow_up = message("go on");
    follow_up.task_id = Some("t1".into());
    let mut reference = message("like that one");
    reference.reference_task_ids = vec!["t1".into()];
    vec![
        Operation::GetTask(task_call("t1")),
        Operation::CancelTask(task_call("t1")),
        Operation::SendMessage(follow_up.clone()),
        Operation::StreamMessage(follow_up),
        Operation::SendMessage(reference),
    ]
}

#[tokio::test]
async fn its_owner_reads_cancels_and_continues_it() {
    let world = World::new();
    begin(&world).await;
    for operation in operations() {
        world
            .agent
            .will(Act::Answer(task("t1", "TASK_STATE_WORKING")));
        once(world.ask("helper", operation).await).unwrap();
    }
    world.is_quiet();
}

#[tokio::test]
async fn it_is_found_from_the_root_by_its_id_alone() {
    let world = World::new();
    begin(&world).await;
    world
        .agent
        .will(Act::Answer(raw(r#"{"id":"t1","status":{}}"#)));
    let reply = world.ask("", Operation::GetTask(task_call("t1"))).await;
    assert_eq!(reply.head.agent.as_deref(), Some("helper"));
    once(reply).unwrap();
}

#[tokio::test]
async fn for_everybody_else_and_elsewhere_it_does_not_exist() {
    let world = World::new();
    begin(&world).await;
    for operation in operations() {
        for (who, target) in [("eve", "helper"), ("ada", "other")] {
            let failed = failure(world.ask_as(who, target, operation.clone()).await);
            assert_eq!(failed.kind, FailureKind::TaskNotFound, "{operation:?}");
            let last = world.outcomes().pop().unwrap();
            assert_eq!(last.spec.decision.outcome, DecisionOutcome::Failed);
        }
    }
    assert_eq!(world.agent.calls(), 1);
    world.is_quiet();
}

#[tokio::test]
async fn one_that_began_in_a_stream_has_an_owner_from_its_first_event() {
    let world = World::new();
    let working = Event::Say(task("t1", "TASK_STATE_WORKING"));
    world.agent.will(Act::Stream(vec![working, Event::Hang]));
    let reply = world.ask("helper", stream("hello")).await;
    let ReplyBody::Events(mut events) = reply.body else {
        panic!("a stream is expected");
    };
    events.next().await.unwrap().unwrap();
    world
        .agent
        .will(Act::Answer(raw(r#"{"id":"t1","status":{}}"#)));
    let get = Operation::GetTask(task_call("t1"));
    once(world.ask("helper", get.clone()).await).unwrap();
    let failed = failure(world.ask_as("eve", "helper", get).await);
    assert_eq!(failed.kind, FailureKind::TaskNotFound);
}

#[tokio::test]
async fn an_agent_cannot_give_tasks_away_when_it_is_asked_for_one() {
    let world = World::new();
    begin(&world).await;
    world
        .agent
        .will(Act::Answer(raw(r#"{"id":"t2","status":{}}"#)));
    let get = |id| Operation::GetTask(task_call(id));
    once(world.ask("helper", get("t1")).await).unwrap();
    let failed = failure(world.ask("helper", get("t2")).await);
    assert_eq!(failed.kind, FailureKind::TaskNotFound);
}
