//! What each command does: arguments in, a result shown, an exit code out.

mod agents;
mod allow;
pub mod app;
mod ask;
mod audit;
mod check;
mod demo;
mod init;
mod model;
mod pheromones;
mod route;
mod router;
mod schema;
mod terminate;
mod token;

use std::path::PathBuf;

use crate::cli::Command;
use crate::client::{self, Mesh};
use crate::clock;
use crate::config::{Environment, Problems};
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// What every command knows.
pub struct Context {
    /// Where results go.
    pub output: Output,
    /// The mesh's data folder, absolute.
    pub data_dir: PathBuf,
    /// What the environment says.
    pub environment: Environment,
}

impl Context {
    /// The running mesh, as the local operator sees it.
    fn mesh(&self) -> Result<Mesh, client::Error> {
        let operator = format!("/users/{}", self.environment.operator());
        Mesh::find(&self.data_dir, &operator, clock::now_ms())?.for_callers()
    }
}

/// Runs any command but `up`.
pub async fn run(command: Command, context: &Context) -> Result<Exit, Failure> {
    match command {
        Command::Init(args) => init::run(&args, context),
        Command::Up(_) => Err(Failure::new(
            Exit::Failed,
            "UP",
            "a mesh is started before other commands",
        )),
        // Its future is large, and made once.
        Command::Demo(args) => Box::pin(demo::run(&args, context)).await,
        Command::App(command) => app::run(command, context).await,
        Command::Agents(command) => agents::run(command, context).await,
        Command::Route(args) => route::run(&args, context).await,
        Command::Router(command) => router::run(command, context).await,
        Command::Ask(args) => ask::ask(&args, context).await,
        Command::Call(args) => ask::call(&args, context).await,
        Command::Audit(command) => audit::run(command, context).await,
        Command::Token(args) => token::run(&args, context),
        Command::Pheromones(command) => pheromones::run(command, context).await,
        Command::Model(command) => model::run(command, context).await,
        Command::Check(args) => check::run(args, context).await,
        Command::Schema(args) => schema::schema(&args, context),
        Command::Completions(args) => schema::completions(&args, context),
    }
}

/// A mesh folder's problems as a command's failure.
pub fn failure_of(problems: &Problems) -> Failure {
    let exit = match problems {
        Problems::NotAMeshFolder(_) => Exit::Usage,
        Problems::Mistakes(_) => Exit::Failed,
    };
    Failure::new(exit, problems.code(), problems.to_string()).hint(problems.hint())
}

/// A message's words: as given, or from stdin for `-`.
///
/// # Errors
/// When stdin cannot be read, or there are no words.
fn words(given: &str) -> Result<String, Failure> {
    let text = if given == "-" {
        std::io::read_to_string(std::io::stdin()).map_err(|error| {
            Failure::new(
                Exit::Usage,
                "STDIN",
                format!("stdin cannot be read: {error}"),
            )
        })?
    } else {
        given.to_owned()
    };
    let text = text.trim();
    if text.is_empty() {
        return Err(
            Failure::new(Exit::Usage, "EMPTY", "there are no words to send")
                .hint("put the question in quotes: kgents ask \"who can translate?\""),
        );
    }
    Ok(text.to_owned())
}
