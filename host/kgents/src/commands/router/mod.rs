//! `kgents router`: how well questions are routed, which threshold they ask for,
//! and what is wrong with the cards.

mod eval;
mod feedback;
mod fit;
mod lint;
mod progress;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kgents_encoder::Encoder;
use kgents_evaluation::figures::check_routes;
use kgents_evaluation::lines::{Described, Labelled, described, labelled};
use kgents_evaluation::{Error, Everybody, Plan, Tier, Trial, fleet};
use kgents_gateway::Card;
use kgents_gateway::call::Payload;
use kgents_mesh::registry::Encode;
use serde_json::Value;

use super::Context;
use crate::cli::{self, RouterCommand, RoutesArgs};
use crate::client::{self, chain};
use crate::exit::{Exit, Failure};
use crate::up;
use progress::Progress;

pub async fn run(command: RouterCommand, context: &Context) -> Result<Exit, Failure> {
    match command {
        RouterCommand::Eval(args) => eval::run(&args, context).await,
        RouterCommand::Fit(args) => fit::run(&args, context).await,
        RouterCommand::Lint(args) => lint::run(&args, context).await,
        RouterCommand::Feedback(args) => feedback::run(&args, context).await,
    }
}

/// A trial, with labelled questions for it.
struct Bench {
    trial: Trial,
    data: Vec<Labelled>,
    calibrate: Vec<Labelled>,
}

impl Bench {
    /// Reads all files before anything else is done, so that a mistake in one of
    /// them is told at once; then makes the trial.
    async fn open(
        data: &Path,
        routes: &RoutesArgs,
        context: &Context,
        progress: &Progress,
    ) -> Result<Self, Failure> {
        let place = |file: &PathBuf| context.environment.current_dir.join(file);
        let read = |file: &Path| labelled(file).map_err(|error| failed(&error.into()));
        let data_file = context.environment.current_dir.join(data);
        let questions = read(&data_file)?;
        let calibrate_file = routes.calibrate.as_ref().map(place);
        let calibrate = match &calibrate_file {
            Some(file) => read(file)?,
            None => Vec::new(),
        };
        let agents = agents(
            routes.train.as_ref().map(place).as_deref(),
            routes.cards.as_ref().map(place).as_deref(),
            context,
        )
        .await?;
        let tier = tier(routes.tier);
        // Before the long work, too.
        let files = [
            (Some(&data_file), &questions),
            (calibrate_file.as_ref(), &calibrate),
        ];
        for (file, lines) in files {
            let Some(file) = file else { continue };
            check_routes(file, lines, agents.iter().map(|(name, _)| name.as_str()))
                .map_err(|error| failed(&error.into()))?;
        }
        let plan = Plan {
            agents,
            tier,
            encoder: encoder(tier, context),
            router: router()?,
            policy: Arc::new(Everybody::default()),
            calibrate: &calibrate,
        };
        let trial = Trial::open(plan, progress).map_err(|error| failed(&error))?;
        if let Some(why) = trial.unlearnt() {
            context
                .output
                .note(&format!("the search alone decides: {why}"));
        }
        Ok(Self {
            trial,
            data: questions,
            calibrate,
        })
    }
}

/// Between whom is chosen: the labels of `train`, the agents of `cards`, or those of
/// the running mesh that the operator may see.
async fn agents(
    train: Option<&Path>,
    cards: Option<&Path>,
    context: &Context,
) -> Result<Vec<(String, Card)>, Failure> {
    let made = match (train, cards) {
        (Some(train), _) => labelled(train).map_err(Error::from).and_then(|lines| {
            let without = lines.iter().filter(|line| line.route.is_none()).count();
            if without > 0 {
                context.output.note(&format!(
                    "{without} lines of --train have no route, and teach nothing; \
                     --calibrate takes such lines"
                ));
            }
            fleet::of_examples(&lines)
        }),
        (None, Some(cards)) => described(cards)
            .map_err(Error::from)
            .and_then(|agents: Vec<Described>| fleet::of_descriptions(&agents)),
        (None, None) => return of_mesh(context).await,
    };
    made.map_err(|error| failed(&error))
}

/// The agents of the running mesh with their cards, examples and all.
async fn of_mesh(context: &Context) -> Result<Vec<(String, Card)>, Failure> {
    let mesh = context.mesh().map_err(|error| {
        let is_none = matches!(error, client::Error::NotRunning(_));
        let failure = Failure::from(error);
        // `--data` is the file of questions here.
        let hint = match &failure.hint {
            Some(hint) if !is_none => hint.clone(),
            _ => "start one with `kgents up`, or name its data folder in KGENTS_DATA".to_owned(),
        };
        failure.hint(format!(
            "{hint}, or give --train or --cards, which need no mesh"
        ))
    })?;
    let listing: Value = mesh.get("/v1/agents").await?;
    let listed = listing.get("agents").and_then(Value::as_array);
    let names = listed.into_iter().flatten();
    let names = names.filter_map(|agent| agent.get("name").and_then(Value::as_str));
    let mut agents = Vec::new();
    for name in names {
        let path = format!("/agents/{name}/.well-known/agent-card.json");
        let card: Value = mesh.get(&path).await?;
        let card = Card::parse(Payload::of(&card)).map_err(|failure| {
            let message = format!("the card of `{name}` cannot be read: {}", failure.message);
            Failure::new(Exit::Failed, "CARD", message)
        })?;
        agents.push((name.to_owned(), card));
    }
    Ok(agents)
}

/// The installed language model, where the tier takes one.
fn encoder(tier: Tier, context: &Context) -> Option<Arc<dyn Encode>> {
    if tier == Tier::Static {
        return None;
    }
    let path = context.environment.model_path();
    let Some(path) = path.filter(|path| path.is_file()) else {
        context
            .output
            .note("no language model is installed, so this is without it: kgents model install");
        return None;
    };
    match Encoder::open(&path) {
        Ok(encoder) => Some(Arc::new(encoder)),
        Err(error) => {
            let why = chain(&error);
            context.output.note(&format!(
                "the language model cannot be used, so this is without it: {why}; \
                 kgents model install"
            ));
            None
        }
    }
}

fn router() -> Result<kgents_engine::Router, Failure> {
    up::router().map_err(|error| failed(&Error::Decider(error)))
}

const fn tier(tier: cli::Tier) -> Tier {
    match tier {
        cli::Tier::Full => Tier::Full,
        cli::Tier::Static => Tier::Static,
        cli::Tier::Search => Tier::Search,
    }
}

fn failed(error: &Error) -> Failure {
    let failure = Failure::new(Exit::Failed, error.code(), chain(error));
    match error.fix() {
        Some(fix) => failure.hint(fix),
        None => failure,
    }
}

/// A share as people read it: `95.4 %`.
fn share(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// A number with its thousands set apart.
fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use kgents_evaluation::lines::FileError;

    #[test]
    fn a_mistake_in_a_file_is_told_with_its_fix() {
        let file = Path::new("d.jsonl");
        let error = FileError::at(file, 3, "`query` is missing".into(), "add it");
        let failure = failed(&error.into());
        assert_eq!(
            (failure.code.as_str(), failure.exit),
            ("FILE", Exit::Failed)
        );
        assert_eq!(failure.message, "`d.jsonl` line 3: `query` is missing");
        assert_eq!(failure.hint.as_deref(), Some("add it"));
    }

    #[test]
    fn numbers_are_written_for_people() {
        let counts = [0, 999, 1_000, 1_234_567].map(count);
        assert_eq!(counts, ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(share(0.9537), "95.4 %");
    }
}
