//! How many instances the engine keeps, how long a call may take and how much
//! memory an instance may hold.

use std::num::NonZeroUsize;
use std::thread::available_parallelism;
use std::time::Duration;

const MIB: usize = 1024 * 1024;

/// How often the engine's clock ticks. Deadlines are rounded up to it: fine
/// enough for a bound of 500 ms, and a hundred wake-ups a second cost nothing
/// that can be measured.
pub const TICK: Duration = Duration::from_millis(10);

/// Linear memory of one policy instance, in bytes. Ten thousand policies, the
/// most a set may have, were measured to need no more than a quarter of it.
const POLICY_MEMORY_BYTES_MAX: usize = 256 * MIB;

/// Linear memory of one router instance with a model inside, in bytes. The largest
/// model that is trained (4,096 routes, 65,536 examples, both encoders) was measured
/// to need 46 MiB: its tables are taken over where they are put.
const ROUTER_MODEL_MEMORY_BYTES_MAX: usize = 64 * MIB;

/// Default of [`EngineConfig::router_model_instances`].
const ROUTER_MODEL_INSTANCES: NonZeroUsize = match NonZeroUsize::new(4) {
    Some(four) => four,
    None => NonZeroUsize::MIN,
};

/// What one call into a decider may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallLimits {
    /// Wall time of one call, rounded up to [`TICK`]; also the longest wait for
    /// a free instance.
    pub deadline: Duration,
    /// Linear memory of one instance, in bytes.
    pub memory_bytes_max: usize,
    /// Growth since the instance was loaded, in bytes, above which it is
    /// replaced after the call: linear memory never shrinks, and one large
    /// message should not be paid for until the process ends.
    pub memory_bytes_kept: usize,
}

impl CallLimits {
    /// For the deciders that keep nothing: microseconds of work. The deadline is
    /// wall time, so it must outlast a container whose processor quota is used
    /// up, which stands still for up to 100 ms at a time. 64 MiB holds the
    /// largest accepted message and its working copies.
    pub const SMALL: Self = Self {
        deadline: Duration::from_millis(500),
        memory_bytes_max: 64 * MIB,
        memory_bytes_kept: 4 * MIB,
    };

    /// For a batch of policy questions: a thousand candidates against a hundred
    /// policies take about 60 ms.
    pub const POLICY: Self = Self {
        deadline: Duration::from_secs(1),
        memory_bytes_max: POLICY_MEMORY_BYTES_MAX,
        memory_bytes_kept: 32 * MIB,
    };

    /// For parsing and validating a set of policies: 0.2 to 0.35 ms each, so 3 s
    /// for the 10,000 that a set may have, on a machine that loads all instances
    /// at once and does other things besides.
    pub const POLICY_LOAD: Self = Self {
        deadline: Duration::from_secs(15),
        ..Self::POLICY
    };

    /// For a question to a model: tens of microseconds, and a millisecond for the
    /// largest. The deadline is that of the small deciders, for the same reason.
    pub const ROUTER_MODEL: Self = Self {
        deadline: Self::SMALL.deadline,
        memory_bytes_max: ROUTER_MODEL_MEMORY_BYTES_MAX,
        memory_bytes_kept: Self::SMALL.memory_bytes_kept,
    };

    /// For taking a model's tables in: less than 100 ms for the largest, in the
    /// background of a machine that may be busy with training the next.
    pub const ROUTER_MODEL_LOAD: Self = Self {
        deadline: Duration::from_secs(10),
        ..Self::ROUTER_MODEL
    };

    /// Deadline in ticks of the engine's clock. One more than the quotient,
    /// because the first tick may come at once.
    pub(crate) fn ticks(&self) -> u64 {
        let whole = self.deadline.as_nanos().div_ceil(TICK.as_nanos());
        u64::try_from(whole).unwrap_or(u64::MAX / 2) + 1
    }
}

/// How the engine runs the deciders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    /// Instances kept warm per decider, and so its concurrent calls; one loaded
    /// spare is kept besides. Default: the machine's parallelism.
    pub instances: NonZeroUsize,
    /// Bounds of the router, pheromone, health and agents deciders.
    pub small: CallLimits,
    /// Bounds of one policy evaluation.
    pub policy: CallLimits,
    /// Bounds of loading a set of policies into one instance.
    pub policy_load: CallLimits,
    /// Instances kept warm per model of the router, at most `instances`: each holds
    /// the model's tables, which may be megabytes, and one answers some 20,000
    /// questions a second.
    pub router_model_instances: NonZeroUsize,
    /// Bounds of one question to a model of the router.
    pub router_model: CallLimits,
    /// Bounds of loading a model of the router into one instance.
    pub router_model_load: CallLimits,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            instances: available_parallelism().unwrap_or(NonZeroUsize::MIN),
            small: CallLimits::SMALL,
            policy: CallLimits::POLICY,
            policy_load: CallLimits::POLICY_LOAD,
            router_model_instances: ROUTER_MODEL_INSTANCES,
            router_model: CallLimits::ROUTER_MODEL,
            router_model_load: CallLimits::ROUTER_MODEL_LOAD,
        }
    }
}
