//! Steps that put a question to the mesh, and look at the decision and the
//! answer.

use std::time::Instant;

use serde_json::json;

use super::stage::{Kept, Stage, Step, milliseconds, promised};
use crate::client::{Answer, Error, Head, Mesh, Message, MessageId};
use crate::clock;
use crate::commands::ask::Printed;
use crate::commands::route::{Route, explanation};
use crate::exit::Failure;
use crate::output::{Said, attribution, said};

/// Who calls: how a line that they type begins, and the mesh as they see it.
pub type Caller<'a> = (&'a str, &'a Mesh);

/// A message to an agent by its name.
pub struct Plain<'a> {
    /// The step's title.
    pub title: &'static str,
    /// Who calls.
    pub caller: Caller<'a>,
    /// The agent.
    pub agent: &'a str,
    /// The message.
    pub text: &'a str,
    /// Whether the answer is taken event by event.
    pub stream: bool,
}

/// A question to whoever fits.
pub struct Question {
    /// The step's title.
    pub title: &'static str,
    /// The question.
    pub text: &'static str,
    /// Who shall answer it.
    pub agent: &'static str,
    /// What the answer shall hold.
    pub says: &'static str,
    /// Whether words alone may not find the agent.
    pub needs_model: bool,
}

/// Calls an agent; what it says shall hold all of `says`.
pub async fn call(stage: &mut Stage, plain: &Plain<'_>, says: &[&str]) {
    let mut step = stage.begin(plain.title);
    let stream = if plain.stream { "--stream " } else { "" };
    let (prompt, mesh) = plain.caller;
    stage.ask(
        &mut step,
        format!("{prompt} call {stream}{} \"{}\"", plain.agent, plain.text),
    );
    let heard = if plain.stream {
        listen(stage, &mut step, plain).await
    } else {
        send(stage, &mut step, mesh, Some(plain.agent), plain.text).await
    };
    let kept = heard.map_err(message).and_then(|(head, said)| {
        came_from(&head, plain.agent)?;
        promised(!said.is_failed(), || {
            format!("the agent says `{}`", said.text)
        })?;
        holds(&said.text, says)
    });
    stage.end(step, kept);
}

/// Decides a question, then asks it: the decision is the same, and remembered.
pub async fn ask(stage: &mut Stage, caller: Caller<'_>, question: &Question, has_model: bool) {
    let mut step = stage.begin(question.title);
    let kept = decided_and_answered(stage, &mut step, caller, question, has_model).await;
    stage.end(step, kept);
}

async fn decided_and_answered(
    stage: &Stage,
    step: &mut Step,
    (prompt, mesh): Caller<'_>,
    question: &Question,
    has_model: bool,
) -> Kept {
    stage.ask(step, format!("{prompt} route \"{}\"", question.text));
    let route = route(stage, mesh, question.text).await.map_err(message)?;
    let found = route.agent().map(str::to_owned);
    step.decision = Some(route);
    let Some(found) = found else {
        stage.tell(
            &stage
                .style()
                .dim("its words are on no card; meaning would find it"),
        );
        return promised(question.needs_model && !has_model, || {
            format!("{} should have been found", question.agent)
        });
    };
    promised(found == question.agent, || {
        format!("{} should have been found, not {found}", question.agent)
    })?;
    stage.ask(step, format!("{prompt} ask \"{}\"", question.text));
    let (head, said) = send(stage, step, mesh, None, question.text)
        .await
        .map_err(message)?;
    came_from(&head, question.agent)?;
    promised(head.method.as_deref() == Some("cache"), || {
        format!(
            "asked again it was found by {:?}, not from the cache",
            head.method
        )
    })?;
    holds(&said.text, &[question.says])
}

/// A question that nobody here answers is told as that, and nobody is called.
pub async fn nobody(stage: &mut Stage, (prompt, mesh): Caller<'_>, text: &str) {
    let mut step = stage.begin("A question that nobody here can answer");
    stage.ask(&mut step, format!("{prompt} route \"{text}\""));
    let kept = match route(stage, mesh, text).await {
        Ok(route) => {
            let kept = promised(route.agent().is_none() && route.is_fallback(), || {
                format!("it went to {:?}", route.agent())
            });
            step.decision = Some(route);
            kept
        }
        Err(error) => Err(message(error)),
    };
    stage.ask(&mut step, format!("{prompt} ask \"{text}\""));
    let refused = refused(stage, &mut step, (mesh, None), text, (200, "NOBODY_FOUND")).await;
    stage.end(step, kept.and(refused));
}

/// Sends what shall be refused with this status and reason. JSON-RPC answers
/// with 200 what is about the request and not about who may.
pub async fn refused(
    stage: &Stage,
    step: &mut Step,
    (mesh, agent): (&Mesh, Option<&str>),
    text: &str,
    (status, reason): (u16, &str),
) -> Kept {
    let refusal = match mesh.send(agent, &words(text, false)).await {
        Err(Error::Refused(refusal)) => refusal,
        Err(error) => return Err(message(error)),
        Ok(answer) => {
            let said = said(&answer.result).text;
            return Err(format!("it should have been refused, and got `{said}`"));
        }
    };
    let style = stage.style();
    let exit = refusal.exit.code();
    stage.tell(&format!(
        "{} {} {}",
        style.yellow("refused:"),
        crate::output::safe(&refusal.message),
        style.dim(&format!(
            "({}, HTTP {}, exit code {exit})",
            refusal.reason, refusal.status
        )),
    ));
    let as_promised = refusal.reason == reason && refusal.status == status;
    let came = format!("{} with HTTP {}", refusal.reason, refusal.status);
    step.refusal = Some(Failure::from(Error::Refused(refusal)));
    promised(as_promised, || {
        format!("{reason} with HTTP {status} was due, not {came}")
    })
}

async fn route(stage: &Stage, mesh: &Mesh, text: &str) -> Result<Route, Error> {
    let body = json!({ "text": text }).to_string().into_bytes();
    let asked = Instant::now();
    let route: Route = mesh.post("/v1/route", body).await?;
    let took_ms = milliseconds(asked.elapsed());
    stage.tell(&explanation(&route, stage.style()));
    stage.tell(&stage.style().dim(&format!("decided in {took_ms:.1} ms")));
    Ok(route)
}

async fn send(
    stage: &Stage,
    step: &mut Step,
    mesh: &Mesh,
    agent: Option<&str>,
    text: &str,
) -> Result<(Head, Said), Error> {
    let asked = Instant::now();
    let Answer { head, result } = mesh.send(agent, &words(text, false)).await?;
    let took_ms = milliseconds(asked.elapsed());
    let said = said(&result);
    stage.tell(said.text.trim_end());
    tell_who(stage, &head, &said, took_ms);
    step.answer = Some(said.text.clone());
    step.head = Some(head.clone());
    Ok((head, said))
}

async fn listen(stage: &Stage, step: &mut Step, plain: &Plain<'_>) -> Result<(Head, Said), Error> {
    let asked = Instant::now();
    let mut stream = plain
        .caller
        .1
        .stream(Some(plain.agent), &words(plain.text, true))
        .await?;
    let head = stream.head.clone();
    let mut printed = Printed::default();
    let mut whole = Said::default();
    while let Some(event) = stream.next().await? {
        let said = said(&event);
        let begins_line = !printed.is_mid_line();
        let piece = printed.piece(&event, &said.text);
        stage.tell_part(&piece, begins_line && !piece.is_empty());
        whole.text.push_str(&piece);
        whole.state = said.state.or(whole.state);
        whole.task = said.task.or(whole.task);
    }
    stage.show(printed.gap());
    tell_who(stage, &head, &whole, milliseconds(asked.elapsed()));
    step.answer = Some(whole.text.clone());
    step.head = Some(head.clone());
    Ok((head, whole))
}

fn tell_who(stage: &Stage, head: &Head, said: &Said, took_ms: f64) {
    let style = stage.style();
    let who = attribution(head, said, style);
    stage.tell(&format!(
        "{who} {}",
        style.dim(&format!("· answered in {took_ms:.1} ms"))
    ));
}

fn words(text: &str, stream: bool) -> Message<'_> {
    use std::sync::atomic::{AtomicU32, Ordering};
    static SENT: AtomicU32 = AtomicU32::new(0);
    let number = SENT.fetch_add(1, Ordering::Relaxed);
    Message {
        text,
        data: None,
        id: MessageId::new(clock::now_ms(), std::process::id(), number),
        stream,
    }
}

fn came_from(head: &Head, agent: &str) -> Kept {
    promised(head.agent.as_deref() == Some(agent), || {
        format!("{agent} should have answered, not {:?}", head.agent)
    })
}

fn holds(text: &str, says: &[&str]) -> Kept {
    let missing = says.iter().find(|part| !text.contains(**part));
    match missing {
        None => Ok(()),
        Some(part) => Err(format!("the answer should hold `{part}`: `{text}`")),
    }
}

fn message(error: Error) -> String {
    Failure::from(error).message
}
