//! The wasmtime engine that applications run in: pooled memory, a tick that
//! makes guests yield, and a bound on how many run at once.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use kgents_engine::engine::fingerprint;
use tokio::sync::Semaphore;
use wasmtime::component::Component;
use wasmtime::{
    Config, Enabled, EngineWeak, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig,
};

use crate::cache::Cache;
use crate::error::RunError;
use crate::lane::Lane;

/// How often guests that compute give way to others. As in Spin: fine enough for
/// a bound on time, and a hundred wake-ups a second cost nothing measurable.
const TICK: Duration = Duration::from_millis(10);

/// Instances that run at once, unless told otherwise; Spin's number.
const INSTANCES_MAX: u32 = 1000;

/// Instances that wait to be used again, of all components together. Each keeps
/// its memory, so there are few.
pub(crate) const RESTING_MAX: u32 = 256;

/// Linear memories a composed component has at most: its own, and one for each
/// dependency.
const MEMORIES_PER_COMPONENT_MAX: u32 = 16;

/// Memories and tables set aside for each instance on the average. It is address
/// space only; most components have one memory.
const MEMORIES_PER_INSTANCE: u32 = 2;

/// Address space of one memory, in bytes: all that a 32-bit memory can reach, so
/// that no access needs a bounds check. What an instance may use of it is bounded
/// by its component's limits.
const ADDRESS_BYTES: usize = 4 << 30;

/// Memory of a finished instance that is cleared in place instead of being given
/// back, in bytes. Page faults are most of what a fresh instance costs: 12
/// microseconds without this, 4 with it, for a small guest.
const KEEP_RESIDENT_BYTES: usize = 128 * 1024;

/// Elements one table may have. The largest guest known, with Cedar in it, has
/// some ten thousand functions.
pub(crate) const TABLE_ELEMENTS_MAX: usize = 100_000;

/// Stack of a guest's own code, in bytes.
const WASM_STACK_BYTES: usize = 1 << 20;

/// Stack of a guest and of the host's functions it calls, in bytes.
const STACK_BYTES: usize = 2 << 20;

/// How an [`Engine`] is set up.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// Instances that run at once, of all applications of this engine; whoever
    /// comes then waits. Default: 1000. A component that calls another counts
    /// twice while it waits for the answer.
    pub instances_max: u32,
    /// Folder for compiled components, made with mode 0700 where it is absent;
    /// `None`: components are compiled anew at each start. Nobody else may be
    /// able to write there: what is in it runs.
    pub cache: Option<PathBuf>,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            instances_max: INSTANCES_MAX,
            cache: None,
        }
    }
}

/// Runs guests. Cheap to clone; give one to several [`crate::Runner`]s and their
/// applications share its memory and its bounds.
#[derive(Clone)]
pub struct Engine {
    wasmtime: wasmtime::Engine,
    compatibility: Arc<str>,
    cache: Option<Arc<Cache>>,
    instances: u32,
    places: Arc<Semaphore>,
    resting: Arc<Semaphore>,
    lane: Arc<Lane>,
}

impl Engine {
    /// Set the engine up and start its tick.
    ///
    /// # Errors
    /// [`RunError::Engine`] when the machine cannot give what the settings ask
    /// for; [`RunError::Cache`] when the folder cannot be used.
    pub fn new(settings: &EngineSettings) -> Result<Self, RunError> {
        let instances = settings.instances_max.max(1);
        let wasmtime = wasmtime::Engine::new(&config(instances)).map_err(|error| {
            let detail = format!("{error:#}; fewer `instances_max` need less address space");
            RunError::Engine { detail }
        })?;
        let cache = settings.cache.as_deref().map(Cache::open).transpose()?;
        let weak = wasmtime.weak();
        thread::Builder::new()
            .name("kgents-run-tick".to_owned())
            .spawn(move || tick(&weak))
            .map_err(|error| RunError::Engine {
                detail: error.to_string(),
            })?;
        let lane = Lane::new().map_err(|error| RunError::Engine {
            detail: error.to_string(),
        })?;
        let permits = |count: u32| Arc::new(Semaphore::new(count as usize));
        Ok(Self {
            compatibility: fingerprint(&wasmtime).into(),
            wasmtime,
            cache: cache.map(Arc::new),
            places: permits(instances),
            resting: permits(RESTING_MAX),
            instances,
            lane: Arc::new(lane),
        })
    }

    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.wasmtime
    }

    /// How many instances one of so many components may run at once: all of them
    /// when it is alone, else half, so that none can take the others' room.
    pub(crate) fn share(&self, components: usize) -> usize {
        let all = self.instances as usize;
        if components < 2 { all } else { all.div_ceil(2) }
    }

    /// One permit for each instance that may run.
    pub(crate) fn places(&self) -> &Arc<Semaphore> {
        &self.places
    }

    /// One permit for each instance that may wait to be used again.
    pub(crate) fn resting(&self) -> &Arc<Semaphore> {
        &self.resting
    }

    /// Where guests go on that compute for long.
    pub(crate) fn lane(&self) -> &Arc<Lane> {
        &self.lane
    }

    /// Machine code for the component `id`: from the cache if it can be trusted, else
    /// compiled now (and kept there). Takes up to seconds; call it where blocking
    /// is allowed.
    ///
    /// # Errors
    /// What wasmtime says of the component.
    pub(crate) fn compile(&self, id: &str, wasm: &[u8]) -> wasmtime::Result<Component> {
        let kept = self.cache.as_deref();
        let known = kept.and_then(|kept| kept.load(&self.wasmtime, &self.compatibility, wasm));
        if let Some(component) = known {
            return Ok(component);
        }
        tracing::info!(component = id, bytes = wasm.len(), "compiling");
        let component = Component::from_binary(&self.wasmtime, wasm)?;
        if let Some(kept) = kept {
            kept.store(&component, &self.compatibility, wasm);
        }
        Ok(component)
    }
}

fn config(instances: u32) -> Config {
    let slots = instances.saturating_add(RESTING_MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_core_instances(slots.saturating_mul(16))
        .total_memories(slots.saturating_mul(MEMORIES_PER_INSTANCE))
        .total_tables(slots.saturating_mul(MEMORIES_PER_INSTANCE * 2))
        .total_stacks(slots)
        .max_core_instances_per_component(128)
        .max_memories_per_component(MEMORIES_PER_COMPONENT_MAX)
        .max_tables_per_component(MEMORIES_PER_COMPONENT_MAX * 4)
        .max_component_instance_size(4 << 20)
        .max_core_instance_size(4 << 20)
        .max_memory_size(ADDRESS_BYTES)
        .table_elements(TABLE_ELEMENTS_MAX)
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(KEEP_RESIDENT_BYTES)
        // Where the kernel tells which pages were written (Linux 6.7), these are
        // cleared, and not the first ones, which are mostly unused stack.
        .pagemap_scan(Enabled::Auto);
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        // Nothing of WASI 0.3 is offered, and stores are cheaper without it.
        .concurrency_support(false)
        .epoch_interruption(true)
        .cranelift_opt_level(OptLevel::Speed)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .memory_init_cow(true)
        .memory_reservation(ADDRESS_BYTES as u64)
        .memory_may_move(false)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(STACK_BYTES);
    config
}

/// Advance the clock that guests yield by, until the engine is gone.
fn tick(engine: &EngineWeak) {
    while let Some(engine) = engine.upgrade() {
        engine.increment_epoch();
        drop(engine);
        thread::sleep(TICK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_engines_agree_on_what_code_they_run() {
        let settings = EngineSettings {
            instances_max: 2,
            cache: None,
        };
        let first = Engine::new(&settings).unwrap();
        let second = Engine::new(&settings).unwrap();
        assert_eq!(first.compatibility, second.compatibility);
        assert_eq!(first.compatibility.len(), 64);
    }

    #[test]
    fn the_tick_does_not_keep_the_engine_alive() {
        let engine = Engine::new(&EngineSettings {
            instances_max: 1,
            cache: None,
        });
        let weak = engine.unwrap().wasmtime().weak();
        // The tick holds the engine only while it adds one.
        while weak.upgrade().is_some() {
            thread::yield_now();
        }
    }
}
