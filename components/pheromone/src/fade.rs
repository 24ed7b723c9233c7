//! The formula: `I(t) = I0 * 0.5^(elapsed / half-life)`.

use crate::signal::Pheromone;

/// Weaker than this is gone. Source: the mesh's definition of a pheromone.
pub const INTENSITY_MIN: f64 = 0.01;

/// Strength of `pheromone` at `now_ms` (milliseconds since the Unix epoch):
/// 0.0 when it is gone, otherwise 0.01 to 1.0.
///
/// Gone is: weaker than [`INTENSITY_MIN`], or older than its ttl. A clock that
/// went back counts as no time elapsed. A row that `accept` would never have
/// made (no half-life, an intensity that is not a number) is gone too, rather
/// than fresh for ever.
pub fn intensity(pheromone: &Pheromone, now_ms: u64) -> f64 {
    let elapsed_ms = now_ms.saturating_sub(pheromone.emitted_at_ms);
    let expired = pheromone.ttl_ms.is_some_and(|ttl_ms| elapsed_ms > ttl_ms);
    if expired || pheromone.half_life_ms == 0 {
        return 0.0;
    }
    let half_lives = elapsed_ms as f64 / pheromone.half_life_ms as f64;
    // 2^-x is 0.5^x to the last bit, and a third of the code of a general power.
    let strength = (pheromone.initial_intensity * libm::exp2(-half_lives)).clamp(0.0, 1.0);
    // A comparison that NaN fails, so that NaN is gone.
    if strength >= INTENSITY_MIN {
        strength
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE_MS: u64 = 60_000;

    fn trail() -> Pheromone {
        Pheromone {
            kind: "WARNING".into(),
            source: "/agents/scout".into(),
            emitted_at_ms: 1_000_000,
            initial_intensity: 1.0,
            half_life_ms: 10 * MINUTE_MS,
            target: None,
            ttl_ms: None,
        }
    }

    fn check(trail: &Pheromone, elapsed_ms: u64, expected: f64) {
        let got = intensity(trail, trail.emitted_at_ms + elapsed_ms);
        assert!(
            (got - expected).abs() < 1e-12,
            "after {elapsed_ms} ms: {got}, not {expected}"
        );
    }

    #[test]
    fn it_halves_every_half_life() {
        check(&trail(), 0, 1.0);
        check(&trail(), 10 * MINUTE_MS, 0.5);
        check(&trail(), 20 * MINUTE_MS, 0.25);
        check(&trail(), 5 * MINUTE_MS, 0.707_106_781_186_547_5);
        check(
            &Pheromone {
                initial_intensity: 0.8,
                ..trail()
            },
            10 * MINUTE_MS,
            0.4,
        );
    }

    #[test]
    fn whole_half_lives_are_exact() {
        for n in 0..=6_u64 {
            let got = intensity(&trail(), 1_000_000 + n * 10 * MINUTE_MS);
            assert_eq!(got.to_bits(), (1.0 / f64::from(1_u32 << n)).to_bits());
        }
    }

    #[test]
    fn below_a_hundredth_it_is_gone() {
        // 2^-6.643 is 0.01001, 2^-6.645 is 0.00999.
        let halves = |x: f64| (x * 10.0 * MINUTE_MS as f64) as u64;
        assert!(intensity(&trail(), 1_000_000 + halves(6.643)) >= INTENSITY_MIN);
        check(&trail(), halves(6.645), 0.0);
        check(
            &Pheromone {
                initial_intensity: 0.01,
                ..trail()
            },
            0,
            0.01,
        );
        check(
            &Pheromone {
                initial_intensity: 0.009,
                ..trail()
            },
            0,
            0.0,
        );
        check(&trail(), u64::MAX - 1_000_000, 0.0);
    }

    #[test]
    fn past_its_ttl_it_is_gone_whatever_its_strength() {
        let mortal = Pheromone {
            ttl_ms: Some(1_000),
            ..trail()
        };
        assert!(intensity(&mortal, 1_001_000) > 0.99);
        check(&mortal, 1_001, 0.0);
    }

    #[test]
    fn a_clock_that_went_back_counts_as_no_time_elapsed() {
        assert_eq!(intensity(&trail(), 0), 1.0);
    }

    #[test]
    fn it_is_clamped_and_a_broken_row_is_gone() {
        check(
            &Pheromone {
                initial_intensity: 3.0,
                ..trail()
            },
            0,
            1.0,
        );
        check(
            &Pheromone {
                initial_intensity: -1.0,
                ..trail()
            },
            0,
            0.0,
        );
        check(
            &Pheromone {
                initial_intensity: f64::NAN,
                ..trail()
            },
            0,
            0.0,
        );
        check(
            &Pheromone {
                half_life_ms: 0,
                ..trail()
            },
            0,
            0.0,
        );
        check(
            &Pheromone {
                half_life_ms: 0,
                ..trail()
            },
            5,
            0.0,
        );
    }

    proptest! {
        #[test]
        fn any_row_at_any_time_is_gone_or_in_range(
            initial_intensity in proptest::num::f64::ANY,
            half_life_ms: u64, emitted_at_ms: u64, now_ms: u64, ttl_ms: Option<u64>,
        ) {
            let row = Pheromone { initial_intensity, half_life_ms, emitted_at_ms, ttl_ms, ..trail() };
            let got = intensity(&row, now_ms);
            prop_assert!(got == 0.0 || (INTENSITY_MIN..=1.0).contains(&got), "{}", got);
        }

        #[test]
        fn it_never_grows_with_time(
            initial_intensity in 0.0..=1.0_f64, half_life_ms in 1..=u64::MAX, a: u64, b: u64, ttl_ms: Option<u64>,
        ) {
            let row = Pheromone { initial_intensity, half_life_ms, emitted_at_ms: 0, ttl_ms, ..trail() };
            prop_assert!(intensity(&row, a.min(b)) >= intensity(&row, a.max(b)));
        }

        #[test]
        fn it_agrees_with_the_formula_as_written(
            initial_intensity in 0.0..=1.0_f64, half_life_ms in 1..=10_000_000_u64, elapsed_ms in 0..=50_000_000_u64,
        ) {
            let row = Pheromone { initial_intensity, half_life_ms, emitted_at_ms: 0, ..trail() };
            let plain = initial_intensity * 0.5_f64.powf(elapsed_ms as f64 / half_life_ms as f64);
            let expected = if plain < INTENSITY_MIN { 0.0 } else { plain };
            prop_assert!((intensity(&row, elapsed_ms) - expected).abs() < 1e-12);
        }
    }
}
