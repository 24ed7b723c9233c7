//! Logs: for people on a terminal, JSON otherwise, always on stderr.

use crate::cli::LogFormat;
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

/// What is logged when nothing is said: what an operator has to know.
const DEFAULT: &str = "info";
/// With `-v`.
const VERBOSE: &str = "info,kgents=debug,kgents_mesh=debug,kgents_engine=debug,kgents_audit=debug";
/// With `-vv`.
const ALL: &str = "debug,kgents=trace,kgents_mesh=trace,hyper=info,h2=info";

/// Starts logging; `KGENTS_LOG` overrides what `-v` says.
pub fn start(format: LogFormat, verbosity: u8) {
    let default = match verbosity {
        0 => DEFAULT,
        1 => VERBOSE,
        _ => ALL,
    };
    let filter = EnvFilter::try_from_env("KGENTS_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let text = match format {
        LogFormat::Text => true,
        LogFormat::Json => false,
        LogFormat::Auto => std::io::stderr().is_terminal(),
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // Fails only when logging was started before, which does no harm.
    let _ = if text {
        builder.with_target(false).try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
}
