//! From a draft to a pheromone, or to everything that is wrong with it.

use crate::signal::{DREAM, Draft, KINDS, Pheromone, Problem};

/// A draft that says nothing is as strong as can be.
pub const INTENSITY: f64 = 1.0;

/// Ten minutes: what v3.1 of the mesh gave a signal that said nothing.
pub const HALF_LIFE_MINUTES: f64 = 10.0;

/// A century: longer is a mistake of units, and stays far from overflow.
pub const HALF_LIFE_MINUTES_MAX: f64 = 52_560_000.0;

/// A century, see [`HALF_LIFE_MINUTES_MAX`].
pub const TTL_SECONDS_MAX: f64 = 3_153_600_000.0;

/// Longest kind in bytes: an RFC 1123 label's length, as kinds become names.
pub const KIND_BYTES_MAX: usize = 63;

/// Longest source or target in bytes. Source: SPIFFE-ID 2.3, "must be able to
/// process IDs up to 2048 bytes".
pub const ADDRESS_BYTES_MAX: usize = 2_048;

const MS_PER_MINUTE: f64 = 60_000.0;
const MS_PER_SECOND: f64 = 1_000.0;

/// Turn `draft` into the pheromone emitted at `now_ms` (milliseconds since the
/// Unix epoch). `own_kinds` are the registered kinds besides [`KINDS`].
///
/// # Errors
/// All problems together, in the order type, source, intensity,
/// halfLifeMinutes, target, ttlSeconds; at least one.
pub fn accept(draft: Draft, own_kinds: &[String], now_ms: u64) -> Result<Pheromone, Vec<Problem>> {
    let mut problems = Vec::new();
    check_kind(&draft.kind, own_kinds, &mut problems);
    check_address("source", &draft.source, &mut problems);
    let initial_intensity = draft.initial_intensity.unwrap_or(INTENSITY);
    if !(0.0..=1.0).contains(&initial_intensity) {
        refuse(
            &mut problems,
            "intensity",
            "must be a number from 0.0 to 1.0; leave it out for 1.0",
        );
    }
    let half_life_ms = milliseconds(
        draft.half_life_minutes.unwrap_or(HALF_LIFE_MINUTES),
        HALF_LIFE_MINUTES_MAX,
        MS_PER_MINUTE,
    );
    if half_life_ms.is_none() {
        refuse(
            &mut problems,
            "halfLifeMinutes",
            "must be a number of minutes above 0, at least a millisecond and at most a century \
             (52560000); leave it out for 10",
        );
    }
    if let Some(target) = &draft.target {
        check_address("target", target, &mut problems);
    }
    let ttl_ms = draft
        .ttl_seconds
        .map(|ttl| milliseconds(ttl, TTL_SECONDS_MAX, MS_PER_SECOND));
    if ttl_ms == Some(None) {
        refuse(
            &mut problems,
            "ttlSeconds",
            "must be a number of seconds above 0, at least a millisecond and at most a century \
             (3153600000); leave it out for no limit",
        );
    }
    match half_life_ms {
        Some(half_life_ms) if problems.is_empty() => Ok(Pheromone {
            half_life_ms: if draft.kind == DREAM {
                half_life_ms * 2
            } else {
                half_life_ms
            },
            kind: draft.kind,
            source: draft.source,
            emitted_at_ms: now_ms,
            initial_intensity,
            target: draft.target,
            ttl_ms: ttl_ms.flatten(),
        }),
        _ => Err(problems),
    }
}

fn refuse(problems: &mut Vec<Problem>, field: &'static str, message: impl Into<String>) {
    problems.push(Problem {
        field,
        message: message.into(),
    });
}

/// A kind is known and written in upper case; `warning` is told so instead of
/// being a second spelling that a filter would miss.
fn check_kind(kind: &str, own_kinds: &[String], problems: &mut Vec<Problem>) {
    let is_known = |kind: &str| KINDS.contains(&kind) || own_kinds.iter().any(|own| own == kind);
    if is_upper_case(kind) && is_known(kind) {
        return;
    }
    let upper = kind.to_ascii_uppercase();
    let message = if kind.is_empty() {
        String::from("is missing; name a kind such as `WARNING`")
    } else if is_upper_case(&upper) && is_known(&upper) {
        ["is written in upper case: `", &upper, "`"].concat()
    } else if is_upper_case(&upper) {
        let known = KINDS.join(", ");
        [
            "`",
            kind,
            "` is not a kind of this mesh; use one of ",
            &known,
            ", or register it as an own kind",
        ]
        .concat()
    } else {
        String::from(
            "must be A to Z, 0 to 9 and `_`, start with a letter and have at most 63 characters",
        )
    };
    refuse(problems, "type", message);
}

/// `[A-Z][A-Z0-9_]*`, at most [`KIND_BYTES_MAX`].
fn is_upper_case(kind: &str) -> bool {
    kind.len() <= KIND_BYTES_MAX
        && kind.starts_with(|first: char| first.is_ascii_uppercase())
        && kind
            .bytes()
            .all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_'))
}

/// A name, SPIFFE path or SPIFFE ID: visible ASCII, so that it prints, compares
/// and travels in headers.
fn check_address(field: &'static str, address: &str, problems: &mut Vec<Problem>) {
    let message = if address.is_empty() && field == "target" {
        "is empty; leave it out for a broadcast"
    } else if address.is_empty() {
        "is missing; name who emits it, for example `/agents/scout`"
    } else if address.len() > ADDRESS_BYTES_MAX {
        "is longer than 2048 bytes"
    } else if !address.bytes().all(|byte| byte.is_ascii_graphic()) {
        "must be a name or SPIFFE path without spaces, for example `/agents/scout`"
    } else {
        return;
    };
    refuse(problems, field, message);
}

/// Above 0, at most `max`, and at least one millisecond once rounded. NaN and
/// the infinities are none.
fn milliseconds(value: f64, max: f64, ms_per_unit: f64) -> Option<u64> {
    if !(value > 0.0 && value <= max) {
        return None;
    }
    // Within the bounds above the product is below 2^52, so the cast is exact.
    let rounded = (value * ms_per_unit + 0.5) as u64;
    (rounded > 0).then_some(rounded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn draft() -> Draft {
        Draft {
            kind: "WARNING".into(),
            source: "/agents/scout".into(),
            ..Draft::default()
        }
    }

    fn own() -> Vec<String> {
        vec!["TIDE".into(), "lower".into()]
    }

    /// Fields that are refused, in order.
    fn check(draft: Draft, fields: &[&str]) {
        let got: Vec<&str> = match accept(draft.clone(), &own(), 7) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.iter().map(|problem| problem.field).collect(),
        };
        assert_eq!(got, fields, "{draft:?}");
    }

    #[test]
    fn absent_values_get_the_defaults() {
        let got = accept(draft(), &[], 7).unwrap();
        assert_eq!(got.initial_intensity, 1.0);
        assert_eq!(got.half_life_ms, 600_000);
        assert_eq!((got.emitted_at_ms, got.target, got.ttl_ms), (7, None, None));
    }

    #[test]
    fn given_values_are_kept_and_converted() {
        let given = Draft {
            initial_intensity: Some(0.25),
            half_life_minutes: Some(0.5),
            target: Some("b-gent".into()),
            ttl_seconds: Some(1.5),
            ..draft()
        };
        let got = accept(given, &[], 7).unwrap();
        assert_eq!(got.initial_intensity, 0.25);
        assert_eq!((got.half_life_ms, got.ttl_ms), (30_000, Some(1_500)));
        assert_eq!(got.target.as_deref(), Some("b-gent"));
    }

    #[test]
    fn a_dream_lingers_twice_as_long() {
        let dream = |half_life_minutes| Draft {
            kind: "DREAM".into(),
            half_life_minutes,
            ..draft()
        };
        assert_eq!(accept(dream(None), &[], 0).unwrap().half_life_ms, 1_200_000);
        assert_eq!(
            accept(dream(Some(1.0)), &[], 0).unwrap().half_life_ms,
            120_000
        );
    }

    #[test]
    fn every_built_in_kind_and_registered_own_kind_is_accepted() {
        for kind in KINDS.into_iter().chain(["TIDE"]) {
            check(
                Draft {
                    kind: kind.into(),
                    ..draft()
                },
                &[],
            );
        }
    }

    #[test]
    fn a_kind_is_known_and_upper_case() {
        for kind in [
            "", "warning", "Warning", "STORM", "lower", "LOWER", "WARNING ", "WÄRME", "9LIVES",
            "_X",
        ] {
            check(
                Draft {
                    kind: kind.into(),
                    ..draft()
                },
                &["type"],
            );
        }
        let message = |kind: &str| {
            accept(
                Draft {
                    kind: kind.into(),
                    ..draft()
                },
                &own(),
                0,
            )
            .unwrap_err()
            .remove(0)
            .message
        };
        assert_eq!(message("tide"), "is written in upper case: `TIDE`");
        assert!(
            message("STORM")
                .starts_with("`STORM` is not a kind of this mesh; use one of METAPHOR,")
        );
        assert_eq!(message(&"X".repeat(64)), message("a b"));
    }

    #[test]
    fn numbers_out_of_range_and_no_numbers_are_refused() {
        for bad in [-0.1, 1.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            check(
                Draft {
                    initial_intensity: Some(bad),
                    ..draft()
                },
                &["intensity"],
            );
        }
        for bad in [
            0.0,
            -1.0,
            1e-9,
            1e12,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
        ] {
            check(
                Draft {
                    half_life_minutes: Some(bad),
                    ..draft()
                },
                &["halfLifeMinutes"],
            );
            check(
                Draft {
                    ttl_seconds: Some(bad),
                    ..draft()
                },
                &["ttlSeconds"],
            );
        }
        for good in [0.0, 1.0] {
            check(
                Draft {
                    initial_intensity: Some(good),
                    ..draft()
                },
                &[],
            );
        }
        check(
            Draft {
                half_life_minutes: Some(HALF_LIFE_MINUTES_MAX),
                ..draft()
            },
            &[],
        );
        check(
            Draft {
                ttl_seconds: Some(0.001),
                ..draft()
            },
            &[],
        );
    }

    #[test]
    fn a_source_and_a_target_are_addresses() {
        for bad in [
            "",
            "two words",
            "tab\t",
            "line\n",
            "naïve",
            &"x".repeat(2_049),
        ] {
            check(
                Draft {
                    source: bad.into(),
                    ..draft()
                },
                &["source"],
            );
            check(
                Draft {
                    target: Some(bad.into()),
                    ..draft()
                },
                &["target"],
            );
        }
        check(
            Draft {
                source: "spiffe://mesh.local/agents/scout".into(),
                ..draft()
            },
            &[],
        );
    }

    #[test]
    fn all_problems_are_reported_together() {
        let bad = Draft {
            kind: "storm".into(),
            source: String::new(),
            initial_intensity: Some(2.0),
            half_life_minutes: Some(0.0),
            target: Some(String::new()),
            ttl_seconds: Some(-1.0),
        };
        check(
            bad,
            &[
                "type",
                "source",
                "intensity",
                "halfLifeMinutes",
                "target",
                "ttlSeconds",
            ],
        );
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_obeys_the_rules(
            kind in prop_oneof!["[A-Z]{1,12}", Just("DREAM".to_owned()), Just("STATE".to_owned()), any::<String>()],
            source in prop_oneof!["[a-z/]{1,9}", any::<String>()], target in proptest::option::of(any::<String>()),
            initial_intensity in proptest::option::of(prop_oneof![0.0..=1.0_f64, proptest::num::f64::ANY]),
            half_life_minutes in proptest::option::of(prop_oneof![0.0..=1e6_f64, proptest::num::f64::ANY]),
            ttl_seconds in proptest::option::of(prop_oneof![0.0..=1e6_f64, proptest::num::f64::ANY]), now_ms: u64,
        ) {
            let given = Draft { kind, source, initial_intensity, half_life_minutes, target, ttl_seconds };
            match accept(given.clone(), &own(), now_ms) {
                Ok(row) => {
                    prop_assert!(row.half_life_ms > 0 && row.ttl_ms != Some(0));
                    prop_assert!((0.0..=1.0).contains(&row.initial_intensity));
                    prop_assert_eq!(row.ttl_ms.is_some(), given.ttl_seconds.is_some());
                    prop_assert_eq!(row.emitted_at_ms, now_ms);
                    // The strength at birth is what was asked for, or already too faint.
                    let born = crate::intensity(&row, now_ms);
                    prop_assert!(born == row.initial_intensity || row.initial_intensity < 0.01);
                }
                Err(problems) => prop_assert!(!problems.is_empty()),
            }
        }
    }
}
