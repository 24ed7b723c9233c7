//! The `kgents` binary: arguments, signals, exit codes.
//!
//! Reading order: `cli` (what may be asked) · `commands` (what is done) ·
//! `client` (the running mesh) · `config` (files and environment) · `output`
//! (how results look) · `up` (the mesh itself).

mod cli;
mod client;
mod clock;
mod commands;
mod config;
mod exit;
mod output;
mod templates;
mod up;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use crate::cli::{Cli, Command, Global, UpArgs};
use crate::commands::Context;
use crate::config::{Config, Environment, Start};
use crate::exit::{Exit, Failure};
use crate::output::{Colour, Format, Output, Style};

fn main() -> ExitCode {
    let environment = Environment::read();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error, &environment).into(),
    };
    let output = output(&cli.global, &environment);
    let data_dir = match environment.data_dir(cli.data_dir()) {
        Ok(data_dir) => data_dir,
        Err(message) => {
            let failure = Failure::new(Exit::Failed, "NO_DATA_DIR", message)
                .hint("name a folder with --data or KGENTS_DATA");
            return output.fail(&failure).into();
        }
    };
    let context = Context {
        output,
        data_dir,
        environment,
    };
    if let Command::Up(args) = cli.command {
        let ended = match &args.spin.from {
            Some(app) => up::app::run(&args, app, &context, cli.global.verbose),
            None => return up(&args, &cli.global, &context),
        };
        return ended.unwrap_or_else(|error| failed_to_start(error, &context));
    }
    let ended = run(cli.command, &context);
    ended.unwrap_or_else(|failure| output.fail(&failure)).into()
}

/// Starts the mesh; the runtime and signals are its own.
fn up(args: &UpArgs, global: &Global, context: &Context) -> ExitCode {
    let start = Start {
        data_dir: context.data_dir.clone(),
        mesh_dir: args.mesh_dir.clone(),
        verbosity: global.verbose,
    };
    let mut config = match Config::load(&context.environment, start) {
        Ok(config) => config,
        Err(problems) => return context.output.fail(&commands::failure_of(&problems)).into(),
    };
    if let Some(listen) = args.listen {
        config.mesh.listen = listen;
    }
    if let Some(admin) = args.admin {
        config.mesh.admin = admin;
    }
    up::run(args, config, context.output).unwrap_or_else(|error| failed_to_start(error, context))
}

fn failed_to_start(error: anyhow::Error, context: &Context) -> ExitCode {
    let failure = error.downcast::<Failure>().unwrap_or_else(|error| {
        Failure::new(Exit::Failed, "UP", format!("{error:#}")).hint("run `kgents check`")
    });
    context.output.fail(&failure).into()
}

/// Runs any other command on a small runtime; Ctrl-C ends it at once.
fn run(command: Command, context: &Context) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, "RUNTIME", error.to_string()))?;
    let ended = runtime.block_on(commands::run(command, context));
    // A name lookup or connection attempt still under way must not hold us up.
    runtime.shutdown_background();
    ended
}

/// Shows help, the version, or what is wrong with the arguments.
fn usage(error: &clap::Error, environment: &Environment) -> Exit {
    let _ = error.print();
    if !error.use_stderr() {
        return Exit::Done;
    }
    // The arguments could not be read, so what they say of the output is looked
    // for by hand: a program that asked for JSON gets its error as JSON.
    let words: Vec<String> = std::env::args_os()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    if let Some(format) = format_in(&words) {
        let global = Global {
            output: format,
            data: None,
            verbose: 0,
            color: Colour::Never,
        };
        let message = error.render().to_string();
        let first = message.lines().next().unwrap_or_default();
        let failure = Failure::new(Exit::Usage, "USAGE", first.trim_start_matches("error: "));
        output(&global, environment)
            .show(&serde_json::json!({ "error": failure }), |_| String::new());
    }
    Exit::Usage
}

fn format_in(words: &[String]) -> Option<Format> {
    let value = words
        .iter()
        .zip(words.iter().skip(1))
        .find_map(|(word, next)| {
            let inline = next
                .strip_prefix("--output=")
                .or_else(|| next.strip_prefix("-o="));
            inline.or(matches!(word.as_str(), "--output" | "-o").then_some(next.as_str()))
        });
    match value {
        Some("json") => Some(Format::Json),
        Some("yaml") => Some(Format::Yaml),
        _ => None,
    }
}

fn output(global: &Global, environment: &Environment) -> Output {
    let coloured = |terminal: bool| match global.color {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => terminal && !environment.no_color,
    };
    let terminal = std::io::stdout().is_terminal();
    let columns = terminal_size::terminal_size().filter(|_| terminal);
    Output {
        format: global.output,
        style: Style::new(coloured(terminal)),
        error_style: Style::new(coloured(std::io::stderr().is_terminal())),
        columns: columns.map(|(width, _)| usize::from(width.0)),
    }
}

/// The command line, for completions.
fn command_line() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_command_line_still_tells_how_its_error_is_wanted() {
        let check = |line: &str, expected: Option<Format>| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(format_in(&words), expected, "{line}");
        };
        check("kgents nonsense --output json", Some(Format::Json));
        check("kgents --output=yaml nonsense", Some(Format::Yaml));
        check("kgents -o json", Some(Format::Json));
        check("kgents nonsense", None);
        check("kgents --output", None);
    }
}
