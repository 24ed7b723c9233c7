//! Times of repeated work, and what most of them are below.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::table::Cell;

/// How long something took, each time.
#[derive(Default)]
pub struct Times {
    /// Sorted, in nanoseconds; what took longer than 4 s is counted as 4 s.
    nanoseconds: Vec<u32>,
}

impl Times {
    /// Times as they came.
    pub fn of(mut nanoseconds: Vec<u32>) -> Self {
        nanoseconds.sort_unstable();
        Self { nanoseconds }
    }

    /// Does the work once unmeasured, then so many times.
    ///
    /// # Errors
    /// The first error of the work.
    pub fn try_measure<T, E>(
        times: usize,
        mut work: impl FnMut() -> Result<T, E>,
    ) -> Result<Self, E> {
        work()?;
        let mut spent = Vec::with_capacity(times);
        for _ in 0..times {
            let began = Instant::now();
            let answer = black_box(work()?);
            spent.push(nanoseconds(began.elapsed()));
            drop(answer);
        }
        Ok(Self::of(spent))
    }

    /// Does the work once unmeasured, then so many times.
    pub fn measure<T>(times: usize, mut work: impl FnMut() -> T) -> Self {
        let endless = || Ok::<_, std::convert::Infallible>(work());
        Self::try_measure(times, endless).unwrap_or_default()
    }

    /// What `share` (0 to 1) of the times are not above.
    pub fn quantile(&self, share: f64) -> Duration {
        let last = self.nanoseconds.len().saturating_sub(1);
        let at = (last as f64 * share.clamp(0.0, 1.0)).round() as usize;
        Duration::from_nanos(self.nanoseconds.get(at).copied().unwrap_or(0).into())
    }

    /// What all of them together took, shared out evenly.
    pub fn mean(&self) -> Duration {
        let sum: u64 = self.nanoseconds.iter().copied().map(u64::from).sum();
        let count = u64::try_from(self.nanoseconds.len()).unwrap_or(u64::MAX);
        Duration::from_nanos(sum.checked_div(count).unwrap_or(0))
    }

    /// The middle one.
    pub fn median(&self) -> Duration {
        self.quantile(0.5)
    }
}

/// Nanoseconds as [`Times`] keep them.
pub fn nanoseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_nanos()).unwrap_or(u32::MAX)
}

/// In microseconds, with so many decimals.
pub fn microseconds(duration: Duration, decimals: usize) -> Cell {
    Cell::Number(duration.as_secs_f64() * 1e6, decimals)
}

/// In milliseconds, with so many decimals.
pub fn milliseconds(duration: Duration, decimals: usize) -> Cell {
    Cell::Number(duration.as_secs_f64() * 1e3, decimals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_times_that_were_measured() {
        let times = Times::of((1..=101).rev().collect());
        for (share, nanoseconds) in [(0.0, 1), (0.5, 51), (0.99, 100), (1.0, 101), (2.0, 101)] {
            assert_eq!(times.quantile(share), Duration::from_nanos(nanoseconds));
        }
        assert_eq!(times.mean(), Duration::from_nanos(51));
        assert_eq!(Times::default().median(), Duration::ZERO);
        assert_eq!(Times::default().mean(), Duration::ZERO);
    }

    #[test]
    fn the_first_failure_of_the_work_ends_a_measurement() {
        let mut left = 3;
        let measured = Times::try_measure(10, || {
            left -= 1;
            if left == 0 { Err("done") } else { Ok(()) }
        });
        assert_eq!(measured.err(), Some("done"));
    }
}
