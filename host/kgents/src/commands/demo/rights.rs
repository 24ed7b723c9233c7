//! Steps about who may do what, and about an agent that is away.

use super::questions::{self, Plain, Question, refused};
use super::script::Callers;
use super::stage::Stage;

/// How a line begins that somebody types who has no rights of their own.
const VISITOR: &str = "visitor>";

/// Shows what somebody else may and may not.
pub async fn show(stage: &mut Stage, callers: &Callers, has_model: bool) {
    let visitor = (VISITOR, &callers.visitor);
    let balance = Plain {
        title: "Somebody else may ask b-gent for a balance, as policies/visitors.cedar says",
        caller: visitor,
        agent: "b-gent",
        text: "what is the balance of translation?",
        stream: false,
    };
    questions::call(stage, &balance, &["2,000"]).await;

    let mut step = stage.begin("But not move tokens: the operation is judged, not only the call");
    let text = "allocate 500 tokens to visitor";
    stage.ask(&mut step, format!("{VISITOR} call b-gent \"{text}\""));
    let to = (&callers.visitor, Some("b-gent"));
    let kept = refused(stage, &mut step, to, text, (403, "DENIED")).await;
    stage.end(step, kept);

    let mut step = stage.begin("An agent they may not see is answered as one that is not there");
    let text = "which agents are there?";
    stage.ask(&mut step, format!("{VISITOR} call l-gent \"{text}\""));
    let to = (&callers.visitor, Some("l-gent"));
    let kept = refused(stage, &mut step, to, text, (404, "UNKNOWN_AGENT")).await;
    stage.end(step, kept);

    let sum = Question {
        title: "They are only ever routed to what they may call",
        text: "how much is 12 plus 30?",
        agent: "calc",
        says: "42",
        needs_model: false,
    };
    questions::ask(stage, visitor, &sum, has_model).await;

    let mut step = stage.begin("Without an identity nobody gets in");
    let text = "how many tokens are left?";
    stage.ask(
        &mut step,
        format!("$ curl {} …  (no token)", callers.nobody.run().listen),
    );
    let to = (&callers.nobody, None);
    let kept = refused(stage, &mut step, to, text, (401, "UNAUTHENTICATED")).await;
    stage.end(step, kept);
}

/// Calls an agent that has gone away.
pub async fn unreachable(stage: &mut Stage, callers: &Callers) {
    let mut step = stage.begin("An agent that is down");
    let text = "how many words are in \"nobody is listening\"?";
    stage.ask(&mut step, format!("$ kgents call text-stats '{text}'"));
    let to = (&callers.operator, Some("text-stats"));
    let kept = refused(stage, &mut step, to, text, (200, "UNREACHABLE")).await;
    stage.end(step, kept);
}
