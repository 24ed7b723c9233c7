//! The packed model against `reference/golden.json`, which an independent float64 forward pass
//! and tokenizer wrote (`reference/reference.py`).
//!
//! Finds the packed model by `KGENTS_MODEL` or in the user's cache folder; without one each test
//! says that it was skipped.

#![expect(
    clippy::unwrap_used,
    reason = "the functions that tests share are not tests to the lint"
)]

use std::path::PathBuf;

use kgents_encoder::{Encoder, Kernel, default_path, scores};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    text: String,
    ids: Vec<u32>,
    vector: Vec<f64>,
}

fn golden() -> Vec<Golden> {
    serde_json::from_str(include_str!("../reference/golden.json")).unwrap()
}

/// The model, or none after saying so.
fn model(test: &str) -> Option<Encoder> {
    let variable = |name| std::env::var_os(name);
    let named = variable("KGENTS_MODEL").map(PathBuf::from);
    let cached = || {
        let path = default_path(
            variable("XDG_CACHE_HOME").as_deref(),
            variable("HOME").as_deref(),
        );
        path.filter(|path| path.exists())
    };
    let Some(path) = named.or_else(cached) else {
        println!("skipped: {test}: the model is not installed (kgents model install)");
        return None;
    };
    Some(Encoder::open(&path).unwrap())
}

#[test]
fn token_ids_are_those_of_the_reference() {
    let Some(encoder) = model("token_ids_are_those_of_the_reference") else {
        return;
    };
    for Golden { text, ids, .. } in golden() {
        assert_eq!(encoder.tokens(&text), ids, "{text:?}");
    }
}

#[test]
fn vectors_point_where_the_float_reference_points() {
    let Some(encoder) = model("vectors_point_where_the_float_reference_points") else {
        return;
    };
    for Golden { text, vector, .. } in golden() {
        let found = encoder.encode(&text);
        let products = found.values().iter().zip(&vector);
        let cosine: f64 = products
            .map(|(found, wanted)| f64::from(*found) * wanted)
            .sum();
        let length: f64 = found.values().iter().map(|v| f64::from(*v).powi(2)).sum();
        assert!(cosine >= 0.998, "{cosine} for {text:?}");
        assert!((length - 1.0).abs() < 1e-5, "length {length} for {text:?}");
    }
}

#[test]
fn every_kernel_gives_the_same_bits() {
    let Some(mut encoder) = model("every_kernel_gives_the_same_bits") else {
        return;
    };
    for Golden { text, .. } in golden() {
        encoder = encoder.with_kernel(Kernel::PORTABLE);
        let wanted = encoder.encode(&text).values().map(f32::to_bits);
        for kernel in Kernel::available() {
            encoder = encoder.with_kernel(kernel);
            let found = encoder.encode(&text).values().map(f32::to_bits);
            assert_eq!(found, wanted, "{} on {text:?}", kernel.name());
        }
    }
}

#[test]
fn a_batch_gives_the_same_bits_as_one_by_one() {
    let Some(encoder) = model("a_batch_gives_the_same_bits_as_one_by_one") else {
        return;
    };
    let golden = golden();
    let texts: Vec<&str> = golden.iter().map(|golden| golden.text.as_str()).collect();
    for (text, batched) in texts.iter().zip(encoder.encode_all(&texts)) {
        assert_eq!(encoder.encode(text), batched, "{text:?}");
    }
}

#[test]
fn threads_share_one_encoder() {
    let Some(encoder) = model("threads_share_one_encoder") else {
        return;
    };
    let golden = golden();
    let wanted: Vec<_> = golden
        .iter()
        .map(|golden| encoder.encode(&golden.text))
        .collect();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for (golden, wanted) in golden.iter().zip(&wanted) {
                    assert_eq!(encoder.encode(&golden.text), *wanted, "{:?}", golden.text);
                }
            });
        }
    });
}

/// A change in a dependency (its Unicode tables) or in the arithmetic that moves vectors has to be
/// seen, because stored vectors and recorded decisions rest on them.
#[test]
fn vectors_are_the_bits_they_were() {
    let Some(encoder) = model("vectors_are_the_bits_they_were") else {
        return;
    };
    let mut digest = 0xcbf2_9ce4_8422_2325u64;
    for Golden { text, .. } in golden() {
        for value in encoder.encode(&text).values() {
            digest = (digest ^ u64::from(value.to_bits())).wrapping_mul(0x0100_0000_01b3);
        }
    }
    assert_eq!(format!("{digest:016x}"), "2b3afd5d5bbd8337");
}

#[test]
fn a_question_finds_its_own_subject_first() {
    let Some(encoder) = model("a_question_finds_its_own_subject_first") else {
        return;
    };
    let cards = [
        "translates documents between languages",
        "keeps the token budget of every team and shows what is left",
        "reviews pull requests and runs the tests",
        "finds trains and reports their delays",
    ];
    let rows: Vec<_> = encoder
        .encode_all(&cards)
        .iter()
        .map(|v| v.quantised())
        .collect();
    let cases = [
        ("how many tokens may my group still spend?", 1),
        ("put this letter into French", 0),
        ("please test the change in my pull request", 2),
        ("when does the next railway connection leave", 3),
    ];
    let mut out = Vec::new();
    for (question, wanted) in cases {
        scores(&encoder.encode(question), &rows, &mut out);
        let best = (0..out.len()).max_by(|a, b| out[*a].total_cmp(&out[*b]));
        assert_eq!(best, Some(wanted), "{question}: {out:?}");
    }
}
