//! One wasmtime engine for precompiling and running, with the two threads it
//! needs: the tick that makes deadlines come true, and the loader that replaces
//! lost instances.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use sha2::{Digest, Sha256};
use wasmtime::{Config, EngineWeak, OptLevel};

use crate::config::{EngineConfig, TICK};
use crate::error::Error;

/// Stack a decider may use, in bytes. Twice the engine's default: policies nest
/// deeply, and half of what a thread of the host has.
const STACK_BYTES_MAX: usize = 1024 * 1024;

/// Address space reserved for each instance, in bytes: all that a 32-bit memory
/// can address. Costs no memory, and no access needs a bounds check: policies
/// are judged in 595 instead of 835 microseconds a hundred, from a quarter less
/// machine code. How much of it an instance may use is its bound's business.
const ADDRESS_BYTES: u64 = 4 << 30;

/// Work for the loader thread.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// The engine that the deciders run in. Cheap to clone; its threads end when
/// the last clone and the last decider are gone.
#[derive(Clone)]
pub struct Engine {
    wasmtime: wasmtime::Engine,
    config: EngineConfig,
    loader: Sender<Job>,
    compatibility: Arc<str>,
}

impl Engine {
    /// Set the engine up and start its threads.
    ///
    /// # Errors
    /// [`Error::Setup`] when the machine cannot run it.
    pub fn new(config: EngineConfig) -> Result<Self, Error> {
        let wasmtime = compiler().map_err(setup)?;
        let (loader, jobs) = channel();
        spawn("kgents-tick", {
            let engine = wasmtime.weak();
            move || tick(&engine)
        })?;
        spawn("kgents-loader", move || load(&jobs))?;
        Ok(Self {
            compatibility: fingerprint(&wasmtime).into(),
            wasmtime,
            config,
            loader,
        })
    }

    /// The settings it was made with.
    pub fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// Hex SHA-256 over everything that machine code must agree on to be run by
    /// this engine: wasmtime's version, target and settings.
    pub fn compatibility(&self) -> &str {
        &self.compatibility
    }

    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.wasmtime
    }

    pub(crate) fn loader(&self) -> Sender<Job> {
        self.loader.clone()
    }
}

/// The one configuration, for precompiling and for running alike.
fn compiler() -> wasmtime::Result<wasmtime::Engine> {
    let mut config = Config::new();
    // The target is named, so that the compiler uses only what every processor
    // of the architecture has: code precompiled on the build machine then runs
    // on any other. Measured cost: none to 3 %.
    config.target(&target_lexicon::HOST.to_string())?;
    config
        .wasm_component_model(true)
        .epoch_interruption(true)
        .cranelift_opt_level(OptLevel::Speed)
        // Replay: the bits of a NaN may not depend on the processor.
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        .max_wasm_stack(STACK_BYTES_MAX)
        .memory_reservation(ADDRESS_BYTES)
        .memory_may_move(false)
        .generate_address_map(false)
        .wasm_backtrace_max_frames(None);
    wasmtime::Engine::new(&config)
}

fn setup(error: impl std::fmt::Display) -> Error {
    Error::Setup {
        detail: format!("{error:#}"),
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map(drop)
        .map_err(setup)
}

/// Advance the clock that deadlines are counted in, until the engine is gone.
fn tick(engine: &EngineWeak) {
    while let Some(engine) = engine.upgrade() {
        engine.increment_epoch();
        drop(engine);
        thread::sleep(TICK);
    }
}

/// Replace lost instances, until nobody is left who could lose one.
fn load(jobs: &Receiver<Job>) {
    for job in jobs {
        job();
    }
}

/// Collects the compatibility hash, which wasmtime gives as something to feed a
/// hasher, under a hash that is the same in every process.
struct Fingerprint(Sha256);

impl Hasher for Fingerprint {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        digest
            .iter()
            .take(8)
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }
}

/// Hex SHA-256 over everything that machine code must agree on to be run by this
/// engine; the same in every process.
#[must_use]
pub fn fingerprint(engine: &wasmtime::Engine) -> String {
    let mut hasher = Fingerprint(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{:x}", hasher.0.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_engines_agree_on_what_code_they_run() {
        let first = Engine::new(EngineConfig::default()).unwrap();
        let second = Engine::new(EngineConfig::default()).unwrap();
        assert_eq!(first.compatibility(), second.compatibility());
        assert_eq!(first.compatibility().len(), 64);
    }

    #[test]
    fn the_tick_does_not_keep_the_engine_alive() {
        let engine = Engine::new(EngineConfig::default()).unwrap();
        let weak = engine.wasmtime().weak();
        drop(engine);
        // The tick holds the engine only while it adds one.
        while weak.upgrade().is_some() {
            thread::yield_now();
        }
    }
}
