//! Calls that are answered at once.

use super::world::*;
use kgents_audit::{DecisionOutcome, Record};
use kgents_gateway::call::{Failure, FailureKind, Operation};
use kgents_mesh::exchange::Arrival;
use kgents_mesh::ports::Action;

#[tokio::test]
async fn an_allowed_call_is_intended_before_and_settled_on_what_was_used() {
    let world = World::new();
    world.agent.will(Act::Answer(costly(42)));
    let reply = world.ask("helper", send("hello")).await;
    assert_eq!(reply.head.agent.as_deref(), Some("helper"));
    assert_eq!(reply.head.method.as_deref(), Some("exact"));
    assert_eq!(reply.head.confidence, Some(1.0));
    once(reply).unwrap();
    let records = world.records();
    assert!(matches!(records[0], Record::Intent(_)) && records.len() == 2);
    assert_eq!(records[0].event(), records[1].event());
    let event = world.ended(DecisionOutcome::Allowed, None).await;
    assert_eq!(event.spec.action.kind, "INVOKE");
    assert_eq!(event.spec.action.target, "helper");
    assert_eq!(event.spec.agent.svid, "spiffe://mesh.local/users/ada");
    assert_eq!(event.spec.decision.policy, "all");
    assert!(event.spec.action.input_hash.starts_with("hmac-sha256:"));
    assert_eq!(world.mesh().spent, 42);
}

#[tokio::test]
async fn a_question_goes_to_the_agent_that_fits() {
    let world = World::new();
    world.policy.forbid("ada", Action::Route, "other");
    world.agent.will(Act::Answer(costly(1)));
    let reply = world.ask("", send("fold paper boats")).await;
    assert_eq!(reply.head.agent.as_deref(), Some("helper"));
    assert_eq!(reply.head.method.as_deref(), Some("search"));
    once(reply).unwrap();
    let event = world.ended(DecisionOutcome::Allowed, None).await;
    assert_eq!(event.spec.routing.unwrap().method, "search");
}

#[tokio::test]
async fn a_question_that_nobody_answers_is_a_visible_fallback() {
    let world = World::new();
    let reply = world.ask("", send("zzz qqq")).await;
    assert!(reply.head.fallback);
    assert_eq!(failure(reply).kind, FailureKind::NobodyFound);
    world
        .ended(
            DecisionOutcome::Failed,
            Some(FailureKind::NobodyFound.code()),
        )
        .await;
}

#[tokio::test]
async fn who_may_not_ask_is_not_routed() {
    for operation in [send("fold boats"), route("fold boats")] {
        let world = World::new();
        world.policy.forbid("ada", Action::Ask, "mesh");
        let reply = world.ask("", operation).await;
        assert_eq!(failure(reply).kind, FailureKind::Denied);
        world
            .ended(DecisionOutcome::Denied, Some(FailureKind::Denied.code()))
            .await;
    }
}

#[tokio::test]
async fn a_denied_call_reaches_nobody_and_names_its_policy() {
    let world = World::new();
    world.policy.forbid("ada", Action::Invoke, "helper");
    let reply = world.ask("helper", send("hello")).await;
    assert_eq!(failure(reply).kind, FailureKind::Denied);
    let event = world
        .ended(DecisionOutcome::Denied, Some(FailureKind::Denied.code()))
        .await;
    assert_eq!(event.spec.decision.policy, "forbidden");
    assert_eq!(world.agent.calls(), 0);
}

#[tokio::test]
async fn a_call_that_the_budget_does_not_cover_is_refused_with_what_there_is() {
    let world = World::new();
    world.agent.will(Act::Answer(costly(BUDGET - 30)));
    once(world.ask("helper", send("much")).await).unwrap();
    let failed = failure(world.ask("helper", send("more")).await);
    assert_eq!(failed.kind, FailureKind::BudgetExhausted);
    let fact = ("available".to_owned(), "30".to_owned());
    assert!(failed.metadata.contains(&fact), "{failed:?}");
    assert_eq!(world.agent.calls(), 1);
    let last = world.outcomes().pop().unwrap();
    assert_eq!(last.spec.decision.outcome, DecisionOutcome::Denied);
    world.is_quiet();
}

#[tokio::test]
async fn an_agent_that_cannot_be_reached_costs_nothing() {
    let world = World::new();
    world.agent.will(Act::Fail(FailureKind::Unreachable));
    let reply = world.ask("helper", send("hello")).await;
    assert_eq!(failure(reply).kind, FailureKind::Unreachable);
    world
        .ended(
            DecisionOutcome::Failed,
            Some(FailureKind::Unreachable.code()),
        )
        .await;
    assert_eq!(world.mesh().spent, 0);
}

#[tokio::test]
async fn an_agents_own_error_is_called_in_the_trail_what_its_caller_is_told() {
    for (code, reason) in [
        (-32001, "TASK_NOT_FOUND"),
        (-32602, "INVALID_PARAMS"),
        (-32042, "AGENT_ERROR"),
        // That of the mesh's own refusals, which an agent cannot speak.
        (-32051, "AGENT_ERROR"),
    ] {
        let world = World::new();
        world.agent.will(Act::Refuse(code));
        let told = failure(world.ask("helper", send("hello")).await);
        assert_eq!(told.words().reason, reason);
        world.ended(DecisionOutcome::Failed, Some(reason)).await;
    }
}

#[tokio::test]
async fn an_agent_that_hangs_is_hung_up_on_and_what_it_may_use_is_charged() {
    let world = World::hasty();
    world.agent.will(Act::Hang);
    let reply = world.ask("helper", send("hello")).await;
    assert_eq!(failure(reply).kind, FailureKind::TimedOut);
    world
        .ended(DecisionOutcome::Failed, Some(FailureKind::TimedOut.code()))
        .await;
    assert_eq!((world.agent.hung_up(), world.mesh().spent), (1, 100));
}

#[tokio::test]
async fn a_bug_in_a_port_costs_one_call_and_is_in_the_trail() {
    let world = World::new();
    world.agent.will(Act::Panic);
    world.agent.will(Act::Answer(costly(1)));
    let reply = world.ask("helper", send("hello")).await;
    assert_eq!(failure(reply).kind, FailureKind::Internal);
    world
        .ended(DecisionOutcome::Failed, Some(FailureKind::Internal.code()))
        .await;
    once(world.ask("helper", send("again")).await).unwrap();
}

#[tokio::test]
async fn callers_that_nobody_knows_are_refused_and_recorded() {
    for who in ["", "forged"] {
        let world = World::new();
        let reply = world.ask_as(who, "helper", send("hello")).await;
        assert_eq!(failure(reply).kind, FailureKind::Unauthenticated);
        let code = FailureKind::Unauthenticated.code();
        let event = world.ended(DecisionOutcome::Denied, Some(code)).await;
        assert_eq!(event.spec.agent.svid, "");
    }
}

#[tokio::test]
async fn a_flood_of_unknown_callers_does_not_fill_the_trail() {
    let world = World::new();
    for _ in 0..500 {
        let reply = world.ask_as("", "helper", send("hello")).await;
        assert_eq!(failure(reply).kind, FailureKind::Unauthenticated);
    }
    let recorded = world.outcomes().len();
    assert!((100..400).contains(&recorded), "{recorded}");
    world.is_quiet();
}

#[tokio::test]
async fn what_no_codec_understood_is_told_to_the_known_only_and_is_no_interaction() {
    let world = World::new();
    for (token, kind) in [
        (Some("ada"), FailureKind::Malformed),
        (None, FailureKind::Unauthenticated),
    ] {
        let arrival = Arrival {
            call: Err(Failure::new(FailureKind::Malformed, "not JSON")),
            token: token.map(str::to_owned),
            base_url: String::new(),
        };
        assert_eq!(failure(world.exchange.run(arrival).await).kind, kind);
    }
    assert!(world.records().is_empty());
}

#[tokio::test]
async fn the_meshs_own_card_is_public_and_agents_cards_are_not() {
    let world = World::new();
    let reply = world.ask_as("", "", Operation::Card).await;
    assert_eq!(value(&once(reply).unwrap())["name"], "kgents");
    assert!(world.records().is_empty());
    let reply = world.ask_as("", "helper", Operation::Card).await;
    assert_eq!(failure(reply).kind, FailureKind::Unauthenticated);
}

#[tokio::test]
async fn a_name_that_a_caller_made_up_does_not_get_into_the_trail() {
    let world = World::new();
    let reply = world.ask("my password is hunter2", send("hello")).await;
    assert_eq!(failure(reply).kind, FailureKind::UnknownAgent);
    let text = format!("{:?}", world.records());
    assert!(!text.contains("hunter2"), "{text}");
}
