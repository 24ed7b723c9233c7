//! Logs: for people on a terminal, JSON otherwise, always on stderr.

use crate::cli::LogFormat;
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// What is logged when nothing is said: what an operator has to know.
const DEFAULT: &str = "info";
/// With `-v`.
const VERBOSE: &str = "info,kgents=debug,kgents_mesh=debug,kgents_engine=debug,kgents_audit=debug";
/// With `-vv`.
const ALL: &str = "debug,kgents=trace,kgents_mesh=trace,hyper=info,h2=info";

/// Starts logging; `KGENTS_LOG` overrides what `-v` says.
pub fn start(format: LogFormat, verbosity: u8, coloured: bool) {
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
    // With -v each step says how long it took as it ends.
    let spans = if verbosity > 0 {
        FmtSpan::CLOSE
    } else {
        FmtSpan::NONE
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_span_events(spans)
        .with_writer(std::io::stderr);
    // Fails only when logging was started before, which does no harm.
    let _ = if text {
        builder.with_target(false).with_ansi(coloured).try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
}
