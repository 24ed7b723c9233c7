//! Leaves an endpoint alone that does not work, so that questions do not wait for
//! it one after another. Pure: told what time it is.

use std::time::{Duration, Instant};

/// Failures in a row after which nothing is asked: one may be chance, and two a
/// restart.
pub(super) const FAILURES: u32 = 3;
/// How long nothing is asked then. Long enough to cost a question in a hundred its
/// wait, short enough that nobody looks for the reason once it works again.
pub(super) const REST: Duration = Duration::from_secs(10);

/// Counts failures in a row.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    /// Nothing is asked before; none while all is well.
    until: Option<Instant>,
}

impl Breaker {
    /// Whether to ask now. After a rest one question goes first; the others rest
    /// on until it has its answer.
    pub fn may_ask(&mut self, now: Instant) -> bool {
        match self.until {
            None => true,
            Some(until) if now < until => false,
            Some(_) => {
                self.until = Some(now + REST);
                true
            }
        }
    }

    /// Notes an answer that could be used.
    pub fn worked(&mut self) {
        *self = Self::default();
    }

    /// Notes a failure.
    pub fn failed(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES {
            self.until = Some(now + REST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_in_a_row_are_followed_by_a_rest() {
        let (mut breaker, start) = (Breaker::default(), Instant::now());
        for _ in 0..2 {
            breaker.failed(start);
            breaker.failed(start);
            assert!(breaker.may_ask(start));
            breaker.worked();
        }
        (0..FAILURES).for_each(|_| breaker.failed(start));
        assert!(!breaker.may_ask(start));
        assert!(!breaker.may_ask(start + REST - Duration::from_millis(1)));
    }

    #[test]
    fn after_a_rest_one_question_goes_first() {
        let (mut breaker, start) = (Breaker::default(), Instant::now());
        (0..FAILURES).for_each(|_| breaker.failed(start));
        let later = start + REST;
        assert!(breaker.may_ask(later) && !breaker.may_ask(later));
        breaker.failed(later);
        assert!(!breaker.may_ask(later));
        let again = later + REST;
        assert!(breaker.may_ask(again));
        breaker.worked();
        assert!(breaker.may_ask(again) && breaker.may_ask(again));
    }
}
