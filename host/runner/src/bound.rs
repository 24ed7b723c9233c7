//! How much memory the instances of one request may hold.

use wasmtime::{ResourceLimiter, Result};

use crate::engine::TABLE_ELEMENTS_MAX;

/// The memory bound of one guest. A growth beyond it fails, as WebAssembly has
/// it: a guest may cope; most end themselves, and [`Bound::refused`] then tells
/// why.
#[derive(Debug)]
pub(crate) struct Bound {
    memory_bytes_max: usize,
    memory_bytes: usize,
    refused: bool,
}

impl Bound {
    pub(crate) fn new(memory_bytes_max: u64) -> Self {
        Self {
            memory_bytes_max: usize::try_from(memory_bytes_max).unwrap_or(usize::MAX),
            memory_bytes: 0,
            refused: false,
        }
    }

    /// Whether it asked for more than it may hold.
    pub(crate) fn refused(&self) -> bool {
        self.refused
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
            self.refused = true;
            return Ok(false);
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
        assert!(!bound.refused());
        assert!(!bound.memory_growing(0, 31, None).unwrap());
        assert!(bound.refused());
        assert!(bound.memory_growing(0, 30, None).unwrap());
    }

    #[test]
    fn a_table_storm_is_refused() {
        let mut bound = Bound::new(100);
        assert!(!bound.table_growing(0, 100_001, None).unwrap());
    }
}
