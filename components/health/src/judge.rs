//! The decision: the last probe and the failures since the last good answer.

use crate::probe::{Limits, Outcome, Probe, Status, Verdict};

/// Judge `probes` at `now_ms` (milliseconds since the Unix epoch).
///
/// Order: by time, and probes of the same millisecond in the order given, so
/// an unsorted list is judged like the sorted one.
///
/// Rules: the last probe decides. Answered in time is healthy, answered late is
/// degraded, either forgets all failures before it. A time-out is slowness: it
/// degrades, adds no failure and forgives none. Anything else is a failure;
/// as many of them as the limit since the last good answer is failed, fewer is
/// degraded. A probe from the future (the clock went back) counts as fresh.
pub fn judge(probes: &[Probe], limits: Limits, now_ms: u64) -> Verdict {
    // Only the last probe of the last answer onwards matters, but finding it
    // needs the order; lists are short (the host keeps a handful per agent).
    let mut ordered: Vec<&Probe> = probes.iter().collect();
    ordered.sort_by_key(|probe| probe.at_ms);
    let Some(last) = ordered.last() else {
        return verdict(Status::Unknown, String::from("it has not been probed yet"));
    };
    let age_ms = now_ms.saturating_sub(last.at_ms);
    let stale_ms = limits.stale_ms.max(1);
    if age_ms > stale_ms {
        let reason = format!(
            "the last probe is {} old, older than the {} that count",
            duration(age_ms),
            duration(stale_ms)
        );
        return verdict(Status::Unknown, reason);
    }
    let failures = failures_since_answer(&ordered);
    let failures_max = usize::try_from(limits.failures.max(1)).unwrap_or(usize::MAX);
    let slow_ms = limits.slow_ms.max(1);
    let how = sentence(last.outcome);
    match last.outcome {
        Outcome::Answered(took_ms) if took_ms <= slow_ms => verdict(Status::Healthy, how),
        Outcome::Answered(_) => verdict(
            Status::Degraded,
            format!("{how}, slower than {}", duration(slow_ms.into())),
        ),
        _ if failures >= failures_max => verdict(
            Status::Failed,
            format!(
                "{how}; {} since it last answered well, failed at {failures_max}",
                times(failures)
            ),
        ),
        Outcome::TimedOut(_) => verdict(Status::Degraded, how),
        _ => verdict(
            Status::Degraded,
            format!(
                "{how}; {} since it last answered well, failed at {failures_max}",
                times(failures)
            ),
        ),
    }
}

fn verdict(status: Status, reason: String) -> Verdict {
    Verdict { status, reason }
}

/// Failures after the last good answer; a time-out is neither.
fn failures_since_answer(ordered: &[&Probe]) -> usize {
    ordered
        .iter()
        .rev()
        .take_while(|probe| !matches!(probe.outcome, Outcome::Answered(_)))
        .filter(|probe| !matches!(probe.outcome, Outcome::TimedOut(_)))
        .count()
}

fn sentence(outcome: Outcome) -> String {
    match outcome {
        Outcome::Answered(took_ms) => format!("it answered in {}", duration(took_ms.into())),
        Outcome::Status(code) => format!("it answered with HTTP status {code}"),
        Outcome::Unreachable => String::from("it could not be reached"),
        Outcome::TimedOut(budget_ms) => {
            format!("it did not answer within {}", duration(budget_ms.into()))
        }
        Outcome::Malformed => {
            String::from("it answered with something that is not an agent's answer")
        }
    }
}

fn times(failures: usize) -> String {
    match failures {
        1 => String::from("1 failure"),
        many => format!("{many} failures"),
    }
}

/// `950 ms`, `12 s`, `3 min`, `5 h`, `2 d`: exact while small, then rounded
/// down to the largest unit of which there are at least two (ten, for seconds).
fn duration(ms: u64) -> String {
    let (size_ms, unit) = match ms {
        172_800_000.. => (86_400_000, "d"),
        7_200_000.. => (3_600_000, "h"),
        120_000.. => (60_000, "min"),
        10_000.. => (1_000, "s"),
        _ => (1, "ms"),
    };
    format!("{} {unit}", ms / size_ms)
}

#[cfg(test)]
mod tests {
    use super::Outcome::{Answered, Malformed, TimedOut, Unreachable};
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits {
        slow_ms: 5_000,
        failures: 3,
        stale_ms: 60_000,
    };

    /// One probe a second, the last one second ago.
    fn probes(outcomes: &[Outcome]) -> Vec<Probe> {
        (1_u64..)
            .zip(outcomes)
            .map(|(n, &outcome)| Probe {
                at_ms: n * 1_000,
                outcome,
            })
            .collect()
    }

    fn check(outcomes: &[Outcome], status: Status, reason: &str) {
        let now_ms = (outcomes.len() as u64 + 1) * 1_000;
        let got = judge(&probes(outcomes), LIMITS, now_ms);
        assert_eq!(
            (got.status, got.reason.as_str()),
            (status, reason),
            "{outcomes:?}"
        );
    }

    #[test]
    fn an_agent_never_probed_is_unknown() {
        check(&[], Status::Unknown, "it has not been probed yet");
    }

    #[test]
    fn an_answer_in_time_is_healthy() {
        check(&[Answered(12)], Status::Healthy, "it answered in 12 ms");
        check(
            &[Answered(5_000)],
            Status::Healthy,
            "it answered in 5000 ms",
        );
    }

    #[test]
    fn slowness_degrades_and_never_fails() {
        check(
            &[Answered(5_001)],
            Status::Degraded,
            "it answered in 5001 ms, slower than 5000 ms",
        );
        check(
            &[Answered(12_000); 9],
            Status::Degraded,
            "it answered in 12 s, slower than 5000 ms",
        );
        check(
            &[TimedOut(10_000); 9],
            Status::Degraded,
            "it did not answer within 10 s",
        );
    }

    #[test]
    fn failures_degrade_until_there_are_enough_of_them() {
        check(
            &[Answered(1), Unreachable],
            Status::Degraded,
            "it could not be reached; 1 failure since it last answered well, failed at 3",
        );
        check(
            &[Answered(1), Unreachable, Outcome::Status(503), Malformed],
            Status::Failed,
            "it answered with something that is not an agent's answer; 3 failures since it last answered well, failed at 3",
        );
        check(
            &[Outcome::Status(500); 4],
            Status::Failed,
            "it answered with HTTP status 500; 4 failures since it last answered well, failed at 3",
        );
    }

    #[test]
    fn a_time_out_between_failures_neither_adds_nor_forgives() {
        let streak = [Unreachable, TimedOut(900), Unreachable];
        check(
            &streak,
            Status::Degraded,
            "it could not be reached; 2 failures since it last answered well, failed at 3",
        );
        check(
            &[Unreachable, Unreachable, Unreachable, TimedOut(900)],
            Status::Failed,
            "it did not answer within 900 ms; 3 failures since it last answered well, failed at 3",
        );
    }

    #[test]
    fn one_good_probe_recovers_a_failed_agent() {
        check(
            &[Unreachable, Unreachable, Unreachable, Answered(9)],
            Status::Healthy,
            "it answered in 9 ms",
        );
        check(
            &[Unreachable, Unreachable, Unreachable, Answered(9_000)],
            Status::Degraded,
            "it answered in 9000 ms, slower than 5000 ms",
        );
        check(
            &[Unreachable, Unreachable, Answered(9), Unreachable],
            Status::Degraded,
            "it could not be reached; 1 failure since it last answered well, failed at 3",
        );
    }

    #[test]
    fn what_is_too_old_says_nothing() {
        let old = probes(&[Answered(1)]);
        assert_eq!(judge(&old, LIMITS, 61_000).status, Status::Healthy);
        let got = judge(&old, LIMITS, 61_001);
        assert_eq!(got.status, Status::Unknown);
        assert_eq!(
            got.reason,
            "the last probe is 60 s old, older than the 60 s that count"
        );
        assert_eq!(
            judge(&probes(&[Unreachable; 5]), LIMITS, 10_000_000).status,
            Status::Unknown
        );
    }

    #[test]
    fn a_clock_that_went_back_makes_a_probe_fresh() {
        assert_eq!(
            judge(&probes(&[Answered(1)]), LIMITS, 0).status,
            Status::Healthy
        );
    }

    #[test]
    fn limits_of_zero_count_as_one() {
        let limits = Limits {
            slow_ms: 0,
            failures: 0,
            stale_ms: 0,
        };
        assert_eq!(
            judge(&probes(&[Answered(1)]), limits, 1_001).status,
            Status::Healthy
        );
        assert_eq!(
            judge(&probes(&[Unreachable]), limits, 1_001).status,
            Status::Failed
        );
        assert_eq!(judge(&[], limits, 1_001).status, Status::Unknown);
        assert_eq!(
            judge(&probes(&[Answered(1)]), limits, 1_002).status,
            Status::Unknown
        );
    }

    #[test]
    fn durations_read_well() {
        for (ms, text) in [
            (0, "0 ms"),
            (9_999, "9999 ms"),
            (10_000, "10 s"),
            (119_999, "119 s"),
            (120_000, "2 min"),
            (7_199_999, "119 min"),
            (7_200_000, "2 h"),
            (172_800_000, "2 d"),
        ] {
            assert_eq!(duration(ms), text);
        }
    }

    fn any_outcome() -> impl Strategy<Value = Outcome> {
        prop_oneof![
            any::<u32>().prop_map(Answered),
            (0..20_000_u32).prop_map(Answered),
            any::<u16>().prop_map(Outcome::Status),
            Just(Unreachable),
            any::<u32>().prop_map(TimedOut),
            Just(Malformed),
        ]
    }

    proptest! {
        #[test]
        fn the_order_given_does_not_matter(
            outcomes in proptest::collection::vec(any_outcome(), 0..12), seed: u64,
            slow_ms: u32, failures in 0..5_u32, stale_ms: u64, now_ms: u64,
        ) {
            let limits = Limits { slow_ms, failures, stale_ms };
            let sorted = probes(&outcomes);
            let mut shuffled = sorted.clone();
            shuffled.sort_by_key(|probe| probe.at_ms.wrapping_mul(seed | 1) >> 3);
            prop_assert_eq!(judge(&sorted, limits, now_ms), judge(&shuffled, limits, now_ms));
        }

        #[test]
        fn only_failures_fail_and_only_an_answer_heals(
            outcomes in proptest::collection::vec(any_outcome(), 1..12), failures: u32, slow_ms: u32,
        ) {
            let limits = Limits { slow_ms, failures, stale_ms: u64::MAX };
            let status = judge(&probes(&outcomes), limits, 0).status;
            let hard = outcomes.iter().filter(|o| !matches!(o, Answered(_) | TimedOut(_))).count();
            let last_answered = matches!(outcomes.last(), Some(Answered(_)));
            prop_assert_ne!(status, Status::Unknown);
            prop_assert!(status != Status::Failed || (!last_answered && hard >= limits.failures.max(1) as usize));
            prop_assert!(status != Status::Healthy || last_answered);
        }
    }
}
