//! The listener's view: what passes a filter now, strongest first.

use crate::fade::intensity;
use crate::signal::{Filter, Pheromone, Sensed};

/// What passes `filter` at `now_ms`, strongest first, ties by index.
///
/// A target filter passes what is meant for that agent and every broadcast;
/// what is gone never passes, whatever the filter's minimum.
pub fn sense(pheromones: &[Pheromone], filter: &Filter, now_ms: u64) -> Vec<Sensed> {
    let mut sensed: Vec<Sensed> = (0..)
        .zip(pheromones)
        .filter(|(_, pheromone)| is_meant(pheromone, filter))
        .map(|(index, pheromone)| Sensed {
            index,
            intensity: intensity(pheromone, now_ms),
        })
        .filter(|sensed| sensed.intensity > 0.0 && sensed.intensity >= filter.min_intensity)
        .collect();
    // No two entries share an index, so an unstable sort has one outcome.
    sensed.sort_unstable_by(|a, b| {
        b.intensity
            .total_cmp(&a.intensity)
            .then_with(|| a.index.cmp(&b.index))
    });
    if filter.limit > 0 {
        sensed.truncate(usize::try_from(filter.limit).unwrap_or(usize::MAX));
    }
    sensed
}

/// Of the kind and for the ears the listener asks for?
fn is_meant(pheromone: &Pheromone, filter: &Filter) -> bool {
    let kind = filter
        .kind
        .as_ref()
        .is_none_or(|kind| *kind == pheromone.kind);
    let target = match (&filter.target, &pheromone.target) {
        (Some(wanted), Some(target)) => wanted == target,
        (None, _) | (_, None) => true,
    };
    kind && target
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn trail(kind: &str, strength: f64, target: Option<&str>) -> Pheromone {
        Pheromone {
            kind: kind.into(),
            source: "scout".into(),
            emitted_at_ms: 0,
            initial_intensity: strength,
            half_life_ms: 1_000,
            target: target.map(str::to_owned),
            ttl_ms: None,
        }
    }

    fn check(filter: Filter, now_ms: u64, expected: &[u32]) {
        let trails = [
            trail("WARNING", 0.5, None),
            trail("DREAM", 0.9, Some("b-gent")),
            trail("WARNING", 0.9, Some("l-gent")),
            trail("STATE", 0.02, None),
            trail("STATE", 0.0, None),
            trail("WARNING", 0.5, None),
        ];
        let got: Vec<u32> = sense(&trails, &filter, now_ms)
            .iter()
            .map(|s| s.index)
            .collect();
        assert_eq!(got, expected, "{filter:?} at {now_ms}");
    }

    #[test]
    fn the_strongest_comes_first_and_ties_keep_their_order() {
        check(Filter::default(), 0, &[1, 2, 0, 5, 3]);
    }

    #[test]
    fn a_silent_trail_is_never_sensed() {
        check(Filter::default(), 1_500, &[1, 2, 0, 5]);
        check(Filter::default(), 60_000, &[]);
    }

    #[test]
    fn a_kind_filter_is_exact() {
        check(
            Filter {
                kind: Some("WARNING".into()),
                ..Filter::default()
            },
            0,
            &[2, 0, 5],
        );
        check(
            Filter {
                kind: Some("warning".into()),
                ..Filter::default()
            },
            0,
            &[],
        );
    }

    #[test]
    fn a_target_filter_still_passes_broadcasts() {
        check(
            Filter {
                target: Some("l-gent".into()),
                ..Filter::default()
            },
            0,
            &[2, 0, 5, 3],
        );
        check(
            Filter {
                target: Some("stranger".into()),
                ..Filter::default()
            },
            0,
            &[0, 5, 3],
        );
    }

    #[test]
    fn the_minimum_counts_what_is_left_now() {
        let filter = Filter {
            min_intensity: 0.45,
            ..Filter::default()
        };
        check(filter.clone(), 0, &[1, 2, 0, 5]);
        check(filter, 1_000, &[1, 2]);
        check(
            Filter {
                min_intensity: f64::NAN,
                ..Filter::default()
            },
            0,
            &[],
        );
    }

    #[test]
    fn a_limit_keeps_the_strongest_and_zero_is_no_limit() {
        check(
            Filter {
                limit: 2,
                ..Filter::default()
            },
            0,
            &[1, 2],
        );
        check(
            Filter {
                limit: 3,
                ..Filter::default()
            },
            0,
            &[1, 2, 0],
        );
        check(
            Filter {
                limit: u32::MAX,
                ..Filter::default()
            },
            0,
            &[1, 2, 0, 5, 3],
        );
    }

    prop_compose! {
        fn any_trail()(
            kind in prop_oneof![Just("WARNING"), Just("DREAM"), Just("OWN")],
            target in proptest::option::of(prop_oneof![Just("a"), Just("b")]),
            emitted_at_ms in 0..100_000_u64, initial_intensity in prop_oneof![0.0..=1.0_f64, proptest::num::f64::ANY],
            half_life_ms in 0..50_000_u64, ttl_ms in proptest::option::of(0..100_000_u64),
        ) -> Pheromone {
            Pheromone { emitted_at_ms, half_life_ms, ttl_ms, ..trail(kind, initial_intensity, target) }
        }
    }

    proptest! {
        #[test]
        fn sensing_is_sorted_complete_and_limited(
            trails in proptest::collection::vec(any_trail(), 0..40),
            kind in proptest::option::of(Just("WARNING".to_owned())), target in proptest::option::of(Just("a".to_owned())),
            min_intensity in 0.0..1.0_f64, limit in 0..10_u32, now_ms in 0..200_000_u64,
        ) {
            let filter = Filter { kind, target, min_intensity, limit };
            let got = sense(&trails, &filter, now_ms);
            for pair in got.windows(2) {
                prop_assert!(pair[0].intensity > pair[1].intensity
                    || (pair[0].intensity == pair[1].intensity && pair[0].index < pair[1].index));
            }
            let all = sense(&trails, &Filter { limit: 0, ..filter.clone() }, now_ms);
            let passes = |t: &Pheromone| {
                let strength = intensity(t, now_ms);
                strength >= min_intensity.max(0.01)
                    && filter.kind.as_ref().is_none_or(|k| *k == t.kind)
                    && (filter.target.is_none() || t.target.is_none() || filter.target == t.target)
            };
            prop_assert_eq!(all.len(), trails.iter().filter(|t| passes(t)).count());
            for sensed in &all {
                let t = &trails[sensed.index as usize];
                prop_assert!(passes(t));
                prop_assert_eq!(sensed.intensity, intensity(t, now_ms));
            }
            let expected = if limit == 0 { all.len() } else { all.len().min(limit as usize) };
            prop_assert_eq!(&got[..], &all[..expected]);
        }
    }
}
