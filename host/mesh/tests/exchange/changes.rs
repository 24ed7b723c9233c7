//! What changes the mesh itself is intended, and finished once it is begun.

use super::world::*;
use kgents_audit::{DecisionOutcome, Record};
use kgents_gateway::call::{FailureKind, Operation, PheromoneDraft, Registration, SenseFilter};
use kgents_mesh::ports::Action;
use std::sync::atomic::Ordering;

fn by_url() -> Operation {
    Operation::RegisterAgent(Registration {
        name: None,
        url: Some("http://127.0.0.1:9/card".into()),
        card: None,
    })
}

#[tokio::test]
async fn a_registration_is_finished_when_its_caller_goes_away() {
    let world = World::new();
    tokio::select! {
        biased;
        _ = world.ask("", by_url()) => panic!("the card has not come"),
        () = until(|| world.agent.cards_wanted.load(Ordering::SeqCst) == 1) => {}
    }
    assert!(world.outcomes().is_empty());
    world.agent.card_ready.notify_one();
    let event = world.ended_later(DecisionOutcome::Allowed).await;
    assert_eq!(event.spec.action.target, "fetched");
    assert!(world.registry.directory().agent("fetched").is_some());
    assert!(matches!(world.records()[0], Record::Intent(_)));
}

#[tokio::test]
async fn who_may_not_register_gets_nothing_fetched() {
    let world = World::new();
    world.policy.forbid("ada", Action::Register, "*");
    assert_eq!(
        failure(world.ask("", by_url()).await).kind,
        FailureKind::Denied
    );
    assert_eq!(world.agent.cards_wanted.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_removed_agent_is_gone_and_one_of_our_own_stays() {
    let world = World::new();
    once(world.ask("helper", Operation::RemoveAgent).await).unwrap();
    assert!(world.registry.directory().agent("helper").is_none());
    let failed = failure(world.ask("b-gent", Operation::RemoveAgent).await);
    assert_eq!(failed.kind, FailureKind::Refused);
    world.is_quiet();
}

#[tokio::test]
async fn a_pheromone_is_sensed_only_by_who_may_sense_its_type() {
    let world = World::new();
    for kind in ["WARNING", "STATE"] {
        let draft = PheromoneDraft {
            kind: kind.into(),
            intensity: None,
            half_life_minutes: None,
            target: None,
            ttl_seconds: None,
            payload: None,
        };
        once(world.ask("", Operation::Emit(draft)).await).unwrap();
    }
    world.policy.forbid("eve", Action::Sense, "WARNING");
    let all = Operation::Sense(SenseFilter::default());
    let sensed = value(&once(world.ask_as("eve", "", all).await).unwrap());
    let kinds: Vec<_> = sensed["pheromones"].as_array().unwrap().iter().collect();
    assert_eq!(kinds.len(), 1, "{sensed}");
    assert_eq!(kinds[0]["type"], "STATE");
    let warnings = Operation::Sense(SenseFilter {
        kind: Some("WARNING".into()),
        ..SenseFilter::default()
    });
    let failed = failure(world.ask_as("eve", "", warnings).await);
    assert_eq!(failed.kind, FailureKind::Denied);
}

#[tokio::test]
async fn a_type_that_nobody_can_emit_is_no_silence_but_a_mistake() {
    for (kind, said) in [("warning", "`WARNING`"), ("STORM", "METAPHOR")] {
        let world = World::new();
        let filter = SenseFilter {
            kind: Some(kind.into()),
            ..SenseFilter::default()
        };
        let failed = failure(world.ask("", Operation::Sense(filter)).await);
        assert_eq!(failed.kind, FailureKind::InvalidParams);
        assert!(failed.message.starts_with("`type`: "), "{failed}");
        assert!(failed.message.contains(said), "{failed}");
        world
            .ended(
                DecisionOutcome::Failed,
                Some(FailureKind::InvalidParams.code()),
            )
            .await;
    }
}

impl World {
    async fn ended_later(&self, outcome: DecisionOutcome) -> kgents_audit::AgentAuditEvent {
        until(|| !self.outcomes().is_empty() && self.metrics.active.get() == 0).await;
        self.ended(outcome, None).await
    }
}
