//! `cargo xtask COMMAND`: builds, tests and runs the project. What fails prints
//! the command that repeats it.
//!
//! In reading order: [`workspace`] (where things are, running commands),
//! [`prerequisites`] (what the machine must have), [`build`], then one file per
//! command; [`tally`] counts test results.

mod bench;
mod build;
mod demo;
mod fuzz;
mod install;
mod model;
mod prerequisites;
mod tally;
mod test;
mod up;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// Build, test and run kgents.
#[derive(Parser)]
#[command(bin_name = "cargo xtask", max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the WebAssembly components, precompile the deciders, build the binary.
    #[command(
        after_help = "Examples:\n  cargo xtask build && target/release/kgents --version\n  cargo xtask build --components   (only what spin.toml needs)"
    )]
    Build {
        /// Only the WebAssembly components, as `spin build` needs them.
        #[arg(long)]
        components: bool,
    },
    /// Build, fetch the language model, then start the mesh: `kgents up`.
    #[command(after_help = "Example:\n  cargo xtask up -- --listen 127.0.0.1:8080 my-mesh/")]
    Up {
        /// Passed to `kgents up`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Build, fetch the language model, then show the mesh at work: `kgents demo`.
    #[command(after_help = "Examples:\n  cargo xtask demo\n  cargo xtask demo --keep")]
    Demo {
        /// Passed to `kgents demo`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Format check, lints (native and WebAssembly), build, all tests. The last
    /// line is `N passed, N failed, N skipped`.
    #[command(
        after_help = "Examples:\n  cargo xtask test\n  cargo xtask test a_silent_trail   (only tests whose name contains this)\n  cargo xtask test --spin ~/bin/spin"
    )]
    Test {
        /// Run only tests whose name contains this; the other steps run too.
        filter: Option<String>,
        /// Spin's binary, for the tests that compare with it; default: the one on
        /// the path, if there is one.
        #[arg(long, value_name = "PATH")]
        spin: Option<PathBuf>,
    },
    /// Build, then measure: what the mesh costs, beside its peers and limits.
    #[command(
        after_help = "Examples:\n  cargo xtask bench\n  cargo xtask bench hop --quick\n  cargo xtask bench --output json > figures.json"
    )]
    Bench(bench::Arguments),
    /// Build, then copy the binary to where cargo installs binaries.
    #[command(after_help = "Example:\n  cargo xtask install --root ~/.local   (to ~/.local/bin)")]
    Install {
        /// Install into ROOT/bin; default `$CARGO_HOME`, else `~/.cargo`.
        #[arg(long)]
        root: Option<PathBuf>,
    },
    /// Feed a parser inputs that libFuzzer makes up, or run the property tests with
    /// many more cases than `test` does.
    #[command(
        after_help = "Examples:\n  cargo xtask fuzz manifest --inputs 10000000\n  cargo xtask fuzz --package kgents-gateway --cases 1000000"
    )]
    Fuzz(fuzz::Arguments),
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    let workspace = Workspace::find()?;
    match command {
        Command::Build { components: true } => {
            build::components(&workspace).map(|()| ExitCode::SUCCESS)
        }
        Command::Build { components: false } => build::run(&workspace).map(|()| ExitCode::SUCCESS),
        Command::Up { arguments } => up::run(&workspace, &arguments),
        Command::Demo { arguments } => demo::run(&workspace, &arguments),
        Command::Test { filter, spin } => test::run(&workspace, filter.as_deref(), spin.as_deref()),
        Command::Bench(arguments) => bench::run(&workspace, &arguments),
        Command::Install { root } => {
            install::run(&workspace, root.as_deref()).map(|()| ExitCode::SUCCESS)
        }
        Command::Fuzz(arguments) => fuzz::run(&workspace, &arguments),
    }
}
