//! The memory bound of one instance.

use wasmtime::{ResourceLimiter, Result};

/// Table elements an instance may hold. The largest decider (policy) has some
/// ten thousand functions in its table.
const TABLE_ELEMENTS_MAX: usize = 100_000;

/// Raised as a trap when an instance asks for more than its bound. A trap and
/// not a failed growth: a guest that ignores the failure would spin until its
/// deadline, and the caller could not tell why.
#[derive(Debug, thiserror::Error)]
#[error("an instance may hold {memory_bytes_max} bytes of memory, {memory_bytes} were asked for")]
pub(crate) struct Exceeded {
    memory_bytes: usize,
    memory_bytes_max: usize,
}

/// Data of each store: what the instance may hold and what it holds.
pub(crate) struct Bound {
    memory_bytes_max: usize,
    memory_bytes: usize,
}

impl Bound {
    pub(crate) fn new(memory_bytes_max: usize) -> Self {
        Self {
            memory_bytes_max,
            memory_bytes: 0,
        }
    }

    /// Linear memory held now, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }
}

impl ResourceLimiter for Bound {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool> {
        // A component may have several memories: the bound is on their sum.
        let sum = self
            .memory_bytes
            .saturating_sub(current)
            .saturating_add(desired);
        if sum > self.memory_bytes_max {
            return Err(wasmtime::Error::new(Exceeded {
                memory_bytes: sum,
                memory_bytes_max: self.memory_bytes_max,
            }));
        }
        self.memory_bytes = sum;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool> {
        Ok(desired <= TABLE_ELEMENTS_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_on_the_sum_of_all_memories() {
        let mut bound = Bound::new(100);
        assert!(bound.memory_growing(0, 60, None).unwrap());
        assert!(bound.memory_growing(60, 70, None).unwrap());
        assert_eq!(bound.memory_bytes(), 70);
        let error = bound.memory_growing(0, 31, None).unwrap_err();
        assert!(error.is::<Exceeded>());
        assert_eq!(bound.memory_bytes(), 70);
    }

    #[test]
    fn a_table_storm_is_refused() {
        let mut bound = Bound::new(100);
        assert!(!bound.table_growing(0, 100_001, None).unwrap());
    }
}
