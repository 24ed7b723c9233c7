//! Streams: the outcome is in the trail before the last event leaves.

use super::world::*;
use kgents_audit::DecisionOutcome;
use kgents_gateway::call::FailureKind;
use kgents_mesh::exchange::{EventStream, ReplyBody};

async fn begun(world: &World, events: Vec<Event>) -> EventStream {
    world.agent.will(Act::Stream(events));
    match world.ask("helper", stream("hello")).await.body {
        ReplyBody::Events(events) => events,
        ReplyBody::Once(result) => panic!("a stream is expected: {result:?}"),
    }
}

fn working() -> Event {
    Event::Say(task("t1", "TASK_STATE_WORKING"))
}

#[tokio::test]
async fn it_ends_with_the_event_that_ends_the_turn() {
    for state in [
        "TASK_STATE_COMPLETED",
        "TASK_STATE_FAILED",
        "TASK_STATE_CANCELED",
        "TASK_STATE_REJECTED",
        "TASK_STATE_INPUT_REQUIRED",
        "TASK_STATE_AUTH_REQUIRED",
    ] {
        let world = World::new();
        let last = Event::Say(task("t1", state));
        let mut events = begun(&world, vec![working(), last, working()]).await;
        events.next().await.unwrap().unwrap();
        assert!(world.outcomes().is_empty());
        events.next().await.unwrap().unwrap();
        assert_eq!(world.outcomes().len(), 1, "{state}: durable before it left");
        assert!(events.next().await.is_none(), "{state}");
        world.ended(DecisionOutcome::Allowed, None).await;
        assert_eq!(world.agent.hung_up(), 1);
    }
}

#[tokio::test]
async fn its_usage_is_the_last_total_told() {
    let world = World::new();
    let told = |n: u64| {
        Event::Say(json(serde_json::json!({ "statusUpdate": {
            "taskId": "t1", "status": { "state": "TASK_STATE_WORKING" },
            "metadata": { "usage": { "totalTokens": n } },
        } })))
    };
    let done = Event::Say(task("t1", "TASK_STATE_COMPLETED"));
    let mut events = begun(&world, vec![told(10), told(25), done]).await;
    while let Some(event) = events.next().await {
        event.unwrap();
    }
    world.ended(DecisionOutcome::Allowed, None).await;
    assert_eq!(world.mesh().spent, 25);
}

#[tokio::test]
async fn a_stream_that_breaks_off_fails_and_says_so_last() {
    let world = World::new();
    let broken = Event::Fail(FailureKind::InvalidAgentResponse);
    let mut events = begun(&world, vec![working(), broken, working()]).await;
    events.next().await.unwrap().unwrap();
    let failed = events.next().await.unwrap().unwrap_err();
    assert_eq!(failed.kind, FailureKind::InvalidAgentResponse);
    assert!(events.next().await.is_none());
    let code = FailureKind::InvalidAgentResponse.code();
    world.ended(DecisionOutcome::Failed, Some(code)).await;
}

#[tokio::test]
async fn a_stream_that_ends_before_its_task_fails_and_settles_what_was_told() {
    let world = World::new();
    let told = Event::Say(json(serde_json::json!({ "statusUpdate": {
        "taskId": "t1", "status": { "state": "TASK_STATE_SUBMITTED" },
        "metadata": { "usage": { "totalTokens": 25 } },
    } })));
    let mut events = begun(&world, vec![told]).await;
    events.next().await.unwrap().unwrap();
    let failed = events.next().await.unwrap().unwrap_err();
    assert_eq!(failed.kind, FailureKind::InvalidAgentResponse);
    assert!(failed.message.contains("`helper`") && failed.hint.is_some());
    assert!(events.next().await.is_none());
    let code = FailureKind::InvalidAgentResponse.code();
    world.ended(DecisionOutcome::Failed, Some(code)).await;
    assert_eq!(world.mesh().spent, 25);
}

#[tokio::test]
async fn a_stream_that_fails_at_once_or_is_empty_is_answered_like_a_call() {
    for (events, kind) in [
        (vec![Event::Fail(FailureKind::Agent)], FailureKind::Agent),
        (Vec::new(), FailureKind::InvalidAgentResponse),
    ] {
        let world = World::new();
        world.agent.will(Act::Stream(events));
        let reply = world.ask("helper", stream("hello")).await;
        assert_eq!(failure(reply).kind, kind);
        world
            .ended(DecisionOutcome::Failed, Some(kind.code()))
            .await;
    }
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_ended() {
    let world = World::hasty();
    let mut events = begun(&world, vec![working(), Event::Hang]).await;
    events.next().await.unwrap().unwrap();
    let failed = events.next().await.unwrap().unwrap_err();
    assert_eq!(failed.kind, FailureKind::TimedOut);
    let code = FailureKind::TimedOut.code();
    world.ended(DecisionOutcome::Failed, Some(code)).await;
    assert_eq!(world.agent.hung_up(), 1);
}

#[tokio::test]
async fn losing_the_wait_for_the_last_event_does_not_lose_the_event() {
    let world = World::new();
    let done = Event::Say(task("t1", "TASK_STATE_COMPLETED"));
    let mut events = begun(&world, vec![working(), done]).await;
    events.next().await.unwrap().unwrap();
    world.disk.hold();
    tokio::select! {
        biased;
        _ = events.next() => panic!("its outcome is not durable"),
        () = tokio::task::yield_now() => {}
    }
    world.disk.release();
    events.next().await.unwrap().unwrap();
    assert!(events.next().await.is_none());
    world.ended(DecisionOutcome::Allowed, None).await;
}
