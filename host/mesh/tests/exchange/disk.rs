//! The trail's disk is full: nothing is answered that is not recorded, and the
//! next call is served once there is space.

use super::world::*;
use kgents_gateway::call::FailureKind;

#[tokio::test]
async fn at_the_intent() {
    let world = World::with(Setup {
        strict: true,
        ..Setup::default()
    });
    world.disk.set_space(Some(0));
    let failed = failure(world.ask("helper", send("hello")).await);
    assert_eq!(failed.kind, FailureKind::Unavailable);
    assert_eq!(world.agent.calls(), 0);
    assert!(failed.hint.is_some());
    world.is_quiet();
    served_again(&world).await;
}

#[tokio::test]
async fn at_the_outcome() {
    let world = World::new();
    world.disk.set_space(Some(0));
    world.agent.will(Act::Answer(costly(42)));
    let failed = failure(world.ask("helper", send("hello")).await);
    assert_eq!(failed.kind, FailureKind::Unavailable);
    assert_eq!(world.mesh().spent, 42, "used is used");
    world.is_quiet();
    served_again(&world).await;
}

#[tokio::test]
async fn at_a_change_of_the_ledger_which_is_then_taken_back() {
    let world = World::new();
    world.disk.set_space(Some(0));
    let failed = failure(
        world
            .ask("b-gent", send("allocate 200 tokens to ada"))
            .await,
    );
    assert_eq!(failed.kind, FailureKind::Unavailable);
    assert_eq!(world.mesh().free(), BUDGET);
    assert_eq!(world.journal.ledger(|l| l.payer("ada").to_owned()), "mesh");
    served_again(&world).await;
}

#[tokio::test]
async fn at_a_refusal() {
    let world = World::new();
    world.disk.set_space(Some(0));
    let failed = failure(world.ask("nobody", send("hello")).await);
    assert_eq!(failed.kind, FailureKind::Unavailable);
    served_again(&world).await;
}

async fn served_again(world: &World) {
    world.disk.set_space(None);
    let before = world.outcomes().len();
    world.agent.will(Act::Answer(costly(1)));
    once(world.ask("helper", send("again")).await).unwrap();
    assert_eq!(world.outcomes().len(), before + 1);
    world.is_quiet();
}
