//! What the demo shows, in order.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::agents::{Calc, Desk, TextStats, Trade, open};
use super::folder::Folder;
use super::process::MeshProcess;
use super::questions::{self, Plain, Question};
use super::stage::{Kept, Stage, milliseconds, promised};
use super::{rights, trail};
use crate::client::{Error, Mesh};
use crate::clock;
use crate::commands::agents::Added;
use crate::commands::{Context, agents, allow, audit, model};
use crate::config::run::Run;
use crate::exit::{Exit, Failure};

/// What is known about the mesh and the whole run.
#[derive(Debug, Default, Serialize)]
pub struct Facts {
    /// Where the mesh listened, and what else it wrote about itself.
    pub mesh: Option<Run>,
    /// The language model behind the search; none where words alone decided.
    pub encoder: Option<&'static str>,
    /// Milliseconds from starting the process until it listened.
    pub listening_ms: Option<f64>,
    /// Milliseconds from starting the process to the first answer.
    pub first_answer_ms: Option<f64>,
}

/// Those who call the mesh.
pub struct Callers {
    /// The local operator, who may do everything.
    pub operator: Mesh,
    /// Somebody with an identity and no rights of their own.
    pub visitor: Mesh,
    /// Somebody without an identity.
    pub nobody: Mesh,
}

/// Plays the whole demo.
///
/// # Errors
/// When there is no mesh to show, or no agents. Everything else is in the steps.
pub async fn play(
    stage: &mut Stage,
    facts: &mut Facts,
    mesh: &mut MeshProcess,
    context: &Context,
    folder: &Folder,
) -> Result<(), Failure> {
    let callers = start(stage, facts, mesh, context, folder).await?;
    first_answer(stage, facts, mesh, &callers).await;
    let (calc, text_stats) = (
        desk(Arc::new(Calc)).await?,
        desk(Arc::new(TextStats)).await?,
    );
    register(stage, context, &callers, &[&calc, &text_stats]).await;
    list(stage, &callers).await;
    ask_around(stage, &callers, facts.encoder.is_some()).await;
    rights::show(stage, &callers, facts.encoder.is_some()).await;
    text_stats.close().await;
    rights::unreachable(stage, &callers).await;
    trail::tail(stage, context);
    trail::verify(stage, context);
    trail::tamper(stage, context, folder);
    trail::metrics(stage, &callers).await;
    calc.close().await;
    stop(stage, mesh, context).await;
    Ok(())
}

/// The model that the mesh will find, as it looks in the same place.
fn encoder(context: &Context) -> Option<&'static str> {
    let status = model::status(context.environment.model_path());
    (status.installed && status.problem.is_none()).then_some(status.name)
}

async fn start(
    stage: &mut Stage,
    facts: &mut Facts,
    mesh: &mut MeshProcess,
    context: &Context,
    folder: &Folder,
) -> Result<Callers, Failure> {
    let mut step = stage.begin("A mesh starts: one process, one folder");
    let typed = format!(
        "$ kgents init {mesh} && kgents up {mesh}",
        mesh = folder.mesh().display()
    );
    stage.ask(&mut step, typed);
    // Looked for while the mesh starts.
    facts.encoder = encoder(context);
    let run = mesh.listening().await?;
    let took_ms = milliseconds(mesh.started().elapsed());
    let routing = match facts.encoder {
        Some(name) => format!("questions are routed by meaning and words ({name})"),
        None => "questions are routed by words alone: no language model is installed".to_owned(),
    };
    stage.tell(&format!(
        "process {} listens on {} after {took_ms:.0} ms\n{routing}",
        run.pid, run.listen
    ));
    let now_ms = clock::now_ms();
    let operator = context.mesh()?;
    let visitor = Mesh::find(&context.data_dir, "/users/visitor", now_ms)?;
    let nobody = operator.without_identity();
    stage.watch_trail(audit::dir(&context.data_dir));
    step.found = Some(json!({ "pid": run.pid, "listen": run.listen }));
    stage.end(step, Ok(()));
    facts.listening_ms = Some(took_ms);
    facts.mesh = Some(run);
    Ok(Callers {
        operator,
        visitor,
        nobody,
    })
}

async fn first_answer(stage: &mut Stage, facts: &mut Facts, mesh: &MeshProcess, callers: &Callers) {
    let plain = Plain {
        title: "The first answer",
        caller: ("$ kgents", &callers.operator),
        agent: "l-gent",
        text: "which agents are there?",
        stream: false,
    };
    questions::call(stage, &plain, &["b-gent", "echo"]).await;
    facts.first_answer_ms = Some(milliseconds(mesh.started().elapsed()));
}

async fn desk(trade: Arc<dyn Trade>) -> Result<Desk, Failure> {
    let name = trade.name();
    open(trade).await.map_err(|error| {
        let message = format!("the agent `{name}` cannot listen: {error}");
        Failure::new(Exit::Failed, "DEMO_AGENT", message)
    })
}

async fn register(stage: &mut Stage, context: &Context, callers: &Callers, desks: &[&Desk]) {
    let mut step = stage.begin("Two agents are registered by their cards' URLs");
    let typed = |url: &str| format!("$ kgents agents add {url} --allow everyone");
    let mut all = Vec::new();
    let mut kept: Kept = Ok(());
    for desk in desks {
        let url = desk.card_url();
        match register_one(context, callers, &url).await {
            Ok(added) => all.push((url, added)),
            Err(failure) => {
                stage.ask(&mut step, typed(&url));
                kept = Err(failure.message);
            }
        }
    }
    // Both are written before the mesh is waited for: it reads them at once.
    for (url, added) in &mut all {
        stage.ask(&mut step, typed(url));
        let in_force = allow::is_in_force(&callers.operator, &added.name).await;
        added.in_force = in_force.ok();
        stage.tell(&agents::added_text(added, stage.style()));
        if added.in_force != Some(true) {
            let name = &added.name;
            kept = Err(format!("the policy for {name} has not come into force"));
        }
    }
    let names: Vec<&str> = all.iter().map(|(_, added)| added.name.as_str()).collect();
    step.found = Some(json!({ "registered": names }));
    let both = promised(names == ["calc", "text-stats"], || {
        format!("registered are {}", names.join(", "))
    });
    stage.end(step, kept.and(both));
}

async fn register_one(context: &Context, callers: &Callers, url: &str) -> Result<Added, Failure> {
    let policies = allow::policies_of(&callers.operator)?;
    let source = url
        .parse()
        .map_err(|error: String| Failure::new(Exit::Failed, "CARD", error))?;
    let dir = &context.environment.current_dir;
    let registered = agents::register(&source, None, &callers.operator, dir).await?;
    let mut added = Added::from(registered);
    let policy = allow::write(&policies, &added.name)?;
    added.policy = Some(policy.display().to_string());
    Ok(added)
}

async fn list(stage: &mut Stage, callers: &Callers) {
    let mut step = stage.begin("Everyone who is in the mesh");
    stage.ask(&mut step, "$ kgents agents list".to_owned());
    let listing: Result<Value, Error> = callers.operator.get("/v1/agents").await;
    let kept = listing
        .map_err(|error| Failure::from(error).message)
        .and_then(|listing| {
            stage.tell(&agents::list_text(
                &listing,
                stage.columns().map(|columns| columns.saturating_sub(4)),
                stage.style(),
            ));
            let wanted = BTreeSet::from(["b-gent", "calc", "echo", "l-gent", "text-stats"]);
            let names: BTreeSet<&str> = listing
                .get("agents")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(|agent| agent.get("name")?.as_str())
                .collect();
            let kept = promised(wanted == names, || format!("there are {names:?}"));
            step.found = Some(listing);
            kept
        });
    stage.end(step, kept);
}

/// Plain language to five agents. Paraphrases that share no word with a card
/// need the language model.
async fn ask_around(stage: &mut Stage, callers: &Callers, has_model: bool) {
    let allocate = Plain {
        title: "Tokens are allocated to a team: an agent is called by its name",
        caller: ("$ kgents", &callers.operator),
        agent: "b-gent",
        text: "allocate 2000 tokens to translation",
        stream: false,
    };
    questions::call(stage, &allocate, &["2,000", "translation"]).await;
    let asked = [
        Question {
            title: "A question finds its agent: first only the decision, then the answer",
            text: "how many tokens does the translation team have left?",
            agent: "b-gent",
            says: "2,000",
            needs_model: false,
        },
        Question {
            title: "The same in other words",
            text: "how much of translation's token budget is still available?",
            agent: "b-gent",
            says: "2,000",
            needs_model: true,
        },
        Question {
            title: "A question for an agent that was registered a moment ago",
            text: "what is 17 percent of 2,400?",
            agent: "calc",
            says: "408",
            needs_model: false,
        },
        Question {
            title: "One for the other",
            text: "count the words and characters of the following text: the mesh routes, the policies decide",
            agent: "text-stats",
            says: "6 words",
            needs_model: false,
        },
    ];
    for question in &asked {
        let caller = ("$ kgents", &callers.operator);
        questions::ask(stage, caller, question, has_model).await;
    }
    let steps = Plain {
        title: "An answer that streams, printed as it comes",
        caller: ("$ kgents", &callers.operator),
        agent: "calc",
        text: "multiply twelve by seven, then subtract 4 and double it",
        stream: true,
    };
    questions::call(stage, &steps, &["12 × 7 = 84", "80 × 2 = 160", "160"]).await;
    let nobody = "book me a flight to Lisbon on Friday";
    questions::nobody(stage, ("$ kgents", &callers.operator), nobody).await;
}

async fn stop(stage: &mut Stage, mesh: &mut MeshProcess, context: &Context) {
    let mut step = stage.begin("The mesh stops, and its trail holds");
    stage.ask(&mut step, format!("$ kill -TERM {}", mesh.id()));
    let kept = match mesh.stop().await {
        Ok(()) => trail::holds(stage, context, &mut step),
        Err(failure) => Err(failure.message),
    };
    stage.end(step, kept);
}
