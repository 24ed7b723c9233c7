//! Callers that go away, wherever the call is then.

use super::world::*;
use kgents_audit::DecisionOutcome;
use kgents_audit::simulation::SimDisk;
use kgents_gateway::call::Operation;
use kgents_mesh::exchange::ReplyBody;

/// Runs a call until `so`, and goes away.
async fn abandon(world: &World, operation: Operation, so: impl FnMut() -> bool) {
    tokio::select! {
        biased;
        _ = world.ask("helper", operation) => panic!("it was answered"),
        () = until(so) => {}
    }
}

#[tokio::test]
async fn at_the_agent() {
    for operation in [send("hello"), stream("hello")] {
        let world = World::new();
        world.agent.will(Act::Hang);
        abandon(&world, operation, || world.agent.calls() == 1).await;
        world
            .ended(DecisionOutcome::Failed, Some("CANCELLED"))
            .await;
        assert_eq!(world.agent.hung_up(), 1);
        assert_eq!(world.mesh().spent, 100, "hanging up is no way not to pay");
    }
}

#[tokio::test]
async fn before_the_first_event() {
    let world = World::new();
    world.agent.will(Act::Stream(vec![Event::Hang]));
    abandon(&world, stream("hello"), || world.agent.calls() == 1).await;
    world
        .ended(DecisionOutcome::Failed, Some("CANCELLED"))
        .await;
    assert_eq!(world.agent.hung_up(), 1);
}

#[tokio::test]
async fn between_two_events() {
    let world = World::new();
    let working = Event::Say(task("t1", "TASK_STATE_WORKING"));
    world.agent.will(Act::Stream(vec![working, Event::Hang]));
    let reply = world.ask("helper", stream("hello")).await;
    let ReplyBody::Events(mut events) = reply.body else {
        panic!("a stream is expected");
    };
    events.next().await.unwrap().unwrap();
    drop(events);
    world
        .ended(DecisionOutcome::Failed, Some("CANCELLED"))
        .await;
    assert_eq!((world.agent.hung_up(), world.mesh().spent), (1, 100));
    // The task began, so it is theirs.
    world
        .agent
        .will(Act::Answer(raw(r#"{"id":"t1","status":{}}"#)));
    let reply = world
        .ask("helper", Operation::GetTask(task_call("t1")))
        .await;
    once(reply).unwrap();
}

#[tokio::test]
async fn while_the_intent_is_written() {
    let disk = SimDisk::new(3);
    let world = World::with(Setup {
        strict: true,
        disk: disk.clone(),
        ..Setup::default()
    });
    disk.hold();
    abandon(&world, send("hello"), || world.mesh().reserved == 100).await;
    disk.release();
    world
        .ended(DecisionOutcome::Failed, Some("CANCELLED"))
        .await;
    assert_eq!((world.agent.calls(), world.mesh().spent), (0, 0));
}

#[tokio::test]
async fn while_the_outcome_is_written() {
    let world = World::new();
    world.agent.will(Act::Answer(costly(7)));
    world.disk.hold();
    abandon(&world, send("hello"), || world.mesh().spent == 7).await;
    world.disk.release();
    world.ended(DecisionOutcome::Allowed, None).await;
}

#[tokio::test]
async fn before_anything_was_done() {
    let world = World::new();
    drop(world.exchange.run(arrival("ada", "helper", send("hello"))));
    assert!(world.records().is_empty());
    world.is_quiet();
}
