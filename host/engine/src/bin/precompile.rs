//! `precompile DIR`: machine code for every component of a directory. Part of
//! the build; `cargo xtask build` runs it.

use std::path::Path;
use std::process::ExitCode;

use kgents_engine::{Engine, EngineConfig, precompile};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(directory), None) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: precompile DIR");
        return ExitCode::from(2);
    };
    let engine = match Engine::new(EngineConfig::default()) {
        Ok(engine) => engine,
        Err(error) => return failed(&error),
    };
    match precompile::directory(&engine, Path::new(&directory)) {
        Ok(outcomes) => {
            for outcome in outcomes {
                let verb = if outcome.compiled {
                    "compiled"
                } else {
                    "fresh"
                };
                eprintln!(
                    "{verb:>8} {:<10} {:>9} bytes of component, {:>9} of machine code",
                    outcome.name, outcome.wasm_bytes, outcome.cwasm_bytes,
                );
            }
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error),
    }
}

fn failed(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}
