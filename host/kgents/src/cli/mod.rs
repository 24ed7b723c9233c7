//! The command line: every command, its arguments and help. What they do is in
//! `commands`.

mod args;
mod router;
mod spin;

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};

pub use args::*;
pub use router::*;
pub use spin::*;

use crate::output::{Colour, Format};

/// An agent mesh whose decisions are WebAssembly components.
///
/// One process routes questions to the agent that can answer them, lets
/// policies decide who may, keeps budgets, and records everything in an audit
/// trail that nobody can change unseen.
#[derive(Debug, Parser)]
#[command(
    name = "kgents",
    version,
    arg_required_else_help = true,
    after_help = "\
Start here:
  kgents init my-mesh && kgents up my-mesh
  kgents agents add http://127.0.0.1:9999/.well-known/agent-card.json --allow everyone
  kgents call b-gent \"allocate 2000 tokens to translation\"
  kgents ask \"how many tokens does the translation team have left?\"

Exit codes: 0 done, 1 anything else, 2 usage, 3 fallback or nobody found,
4 denied, 5 unavailable."
)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// The folder of the mesh's state, where the command line names it. `--data` of
    /// `router eval` and `router fit` names questions instead: these find the mesh as
    /// the environment says.
    pub fn data_dir(&self) -> Option<&Path> {
        match &self.command {
            Command::Router(RouterCommand::Eval(_) | RouterCommand::Fit(_)) => None,
            _ => self.global.data.as_deref(),
        }
    }
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// How the result is written
    #[arg(
        long,
        short,
        global = true,
        value_enum,
        default_value_t,
        help_heading = "Global options"
    )]
    pub output: Format,
    /// Folder of the mesh's state and keys [env: KGENTS_DATA] [default: the user's data folder]
    // The environment is read elsewhere: what clap takes from there stands in
    // every usage line as if it had to be given.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        help_heading = "Global options"
    )]
    pub data: Option<PathBuf>,
    /// Tell more; twice tells everything
    #[arg(long, short, global = true, action = clap::ArgAction::Count, help_heading = "Global options")]
    pub verbose: u8,
    /// When to use colours (NO_COLOR is respected)
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        help_heading = "Global options"
    )]
    pub color: Colour,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a new mesh folder
    #[command(after_help = "Examples:\n  kgents init my-mesh && kgents up my-mesh")]
    Init(InitArgs),
    /// Start a mesh and stay until it is stopped
    ///
    /// Without MESH_DIR: the current folder if it holds a mesh.yaml, else the
    /// defaults that `init` writes. The folder is watched while the mesh runs.
    ///
    /// With -f APP: a Spin application instead, as `spin up` runs it.
    #[command(
        after_help = "Examples:\n  kgents up my-mesh\n  kgents up --listen 127.0.0.1:0 --data /tmp/mesh-data\n  kgents up -f my-app/spin.toml --listen 127.0.0.1:3000"
    )]
    Up(UpArgs),
    /// Push and pull Spin applications
    #[command(
        subcommand,
        after_help = "Examples:\n  kgents app push registry.example/team/mesh:1.0\n  kgents up -f registry.example/team/mesh:1.0"
    )]
    App(AppCommand),
    /// Show a mesh at work: starts one, asks it, explains it, puts it away
    ///
    /// Everything happens in a folder of its own that is gone afterwards, with
    /// real agents and real requests. Exits with 1 when a step does not go as
    /// promised.
    #[command(after_help = "Examples:\n  kgents demo\n  kgents demo --output json > demo.json")]
    Demo(DemoArgs),
    /// Register, list, show and remove agents
    #[command(
        subcommand,
        after_help = "Examples:\n  kgents agents add http://127.0.0.1:9999/.well-known/agent-card.json --allow everyone"
    )]
    Agents(AgentsCommand),
    /// Decide who would answer a question, without asking them
    ///
    /// Exits with 3 when only the fallback, or nobody, was found, and with 4
    /// when policy would not let you ask the agent found.
    #[command(
        after_help = "Examples:\n  kgents route \"how many tokens does the translation team have left?\"\n  kgents route --explain \"who reviews contracts?\""
    )]
    Route(RouteArgs),
    /// Measure routing, fit its threshold, find what is wrong with the cards
    #[command(
        subcommand,
        after_help = "Examples:\n  kgents router eval --data questions.jsonl && kgents router lint"
    )]
    Router(RouterCommand),
    /// Ask the mesh: it finds the agent, calls it, and tells who answered
    #[command(
        after_help = "Examples:\n  kgents ask \"how many tokens does the translation team have left?\"\n  cat report.txt | kgents ask - --stream"
    )]
    Ask(AskArgs),
    /// Send a message to one agent by its name
    #[command(
        after_help = "Examples:\n  kgents call b-gent \"allocate 2000 tokens to translation\"\n  kgents call b-gent allocate --json '{\"operation\": \"allocate\", \"account\": \"translation\", \"tokens\": 2000}'"
    )]
    Call(CallArgs),
    /// Read and verify the audit trail; works while no mesh runs
    #[command(
        subcommand,
        after_help = "Examples:\n  kgents audit verify && kgents audit tail -n 20"
    )]
    Audit(AuditCommand),
    /// Print a token (JWT-SVID) that the mesh accepts
    ///
    /// Alone on stdout, for the local operator unless another is named.
    #[command(
        after_help = "Examples:\n  curl -H \"Authorization: Bearer $(kgents token)\" http://127.0.0.1:8420/v1/agents\n  kgents token --agent planner --ttl 10m"
    )]
    Token(TokenArgs),
    /// Emit and sense pheromones: signals between agents that fade
    #[command(
        subcommand,
        after_help = "Examples:\n  kgents pheromones emit WARNING --target planner --payload '{\"about\": \"rail strike\"}'"
    )]
    Pheromones(PheromonesCommand),
    /// Install the language model behind routing by meaning
    #[command(subcommand, after_help = "Examples:\n  kgents model install")]
    Model(ModelCommand),
    /// Find what is wrong with this installation, and how to mend it
    #[command(after_help = "Examples:\n  kgents check my-mesh")]
    Check(CheckArgs),
    /// Print the JSON Schema of a file of the mesh folder
    #[command(after_help = "Examples:\n  kgents schema mesh > mesh.schema.json")]
    Schema(SchemaArgs),
    /// Print completions for a shell
    #[command(
        after_help = "Examples:\n  source <(kgents completions bash)\n  kgents completions fish > ~/.config/fish/completions/kgents.fish"
    )]
    Completions(CompletionsArgs),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;
    use proptest::prelude::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn questions_are_not_taken_for_the_folder_of_the_mesh() {
        for (line, folder) in [
            ("kgents router eval --data q.jsonl", None),
            ("kgents router fit --data q.jsonl", None),
            ("kgents router lint --data mesh-data", Some("mesh-data")),
        ] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(cli.data_dir(), folder.map(Path::new), "{line}");
        }
    }

    #[test]
    fn options_of_a_mesh_and_of_a_spin_application_are_not_mixed() {
        for (line, words) in [
            ("up --component-id web", ["required", "--from <APP>"]),
            (
                "up --runtime-config-file r.toml",
                ["required", "--from <APP>"],
            ),
            ("up --insecure", ["required", "--from <APP>"]),
            ("up -f app --admin 127.0.0.1:1", ["--admin", "--from <APP>"]),
            (
                "up -f app --gateway-only",
                ["--gateway-only", "--from <APP>"],
            ),
            ("up -f app my-mesh", ["MESH_DIR", "--from <APP>"]),
        ] {
            let line = std::iter::once("kgents").chain(line.split(' '));
            let error = Cli::try_parse_from(line).unwrap_err().to_string();
            for word in words {
                assert!(error.contains(word), "no {word} in {error}");
            }
        }
    }

    #[test]
    fn every_command_shows_an_example() {
        fn visit(command: &clap::Command) {
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(
                help.contains("kgents"),
                "`{}` has no example",
                command.get_name()
            );
            assert!(
                command.get_about().is_some(),
                "`{}` says nothing",
                command.get_name()
            );
            command.get_subcommands().for_each(visit);
        }
        visit(&Cli::command());
    }

    #[test]
    fn help_in_short_and_in_full_shows_the_examples() {
        fn visit(command: &mut clap::Command) {
            let name = command.get_name().to_owned();
            for help in [command.render_help(), command.render_long_help()] {
                let help = help.to_string();
                assert!(help.contains("Examples:\n  "), "`{name}`: {help}");
            }
            // Rendering adds clap's own `help` command.
            let ours = |command: &&mut clap::Command| command.get_name() != "help";
            command.get_subcommands_mut().filter(ours).for_each(visit);
        }
        let mut root = Cli::command();
        root.get_subcommands_mut().for_each(visit);
        assert!(root.render_help().to_string().contains("Start here:"));
    }

    #[test]
    fn a_usage_line_asks_for_nothing_that_the_environment_gave() {
        fn visit(command: &clap::Command) {
            for argument in command.get_arguments() {
                assert!(argument.get_env().is_none(), "{}", argument.get_id());
            }
            command.get_subcommands().for_each(visit);
        }
        visit(&Cli::command());
        let help = Cli::command().render_help().to_string();
        assert!(help.contains("KGENTS_DATA"), "{help}");
    }

    #[test]
    fn every_example_parses() {
        fn visit(command: &clap::Command, seen: &mut usize) {
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            for line in help
                .lines()
                .filter(|line| line.trim_start().starts_with("kgents "))
            {
                for part in line.split("&&") {
                    let words = words(part.split(['>', '#']).next().unwrap());
                    Cli::try_parse_from(&words)
                        .unwrap_or_else(|error| panic!("{words:?}: {error}"));
                    *seen += 1;
                }
            }
            command
                .get_subcommands()
                .for_each(|command| visit(command, seen));
        }
        let mut seen = 0;
        visit(&Cli::command(), &mut seen);
        assert!(seen > 20, "{seen}");
    }

    /// Splits a line as a shell would, as far as the examples need it.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
        for letter in line.chars() {
            match (letter, quote) {
                (c, Some(open)) if c == open => quote = None,
                ('"' | '\'', None) => quote = Some(letter),
                (' ', None) => {
                    if !word.is_empty() {
                        words.push(std::mem::take(&mut word));
                    }
                }
                _ => word.push(letter),
            }
        }
        words.extend((!word.is_empty()).then_some(word));
        words
    }

    proptest! {
        #[test]
        fn no_arguments_make_the_parser_panic(words in proptest::collection::vec("[a-z-]{0,10}|up|call|agents|--[a-z]{1,6}", 0..6)) {
            let _ = Cli::try_parse_from(std::iter::once("kgents".to_owned()).chain(words));
        }
    }
}
