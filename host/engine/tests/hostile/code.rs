//! What is loaded, and what is not: imports, foreign worlds, broken machine code.

use std::fs;

use kgents_engine::{Artifact, Error, Health, Origin, Precompiled, Stamp, precompile};

use super::health::{TEXT, judge};
use super::{artifact, component, engine};

fn refused(wasm: &[u8]) -> Error {
    match Health::load(&engine(), &artifact("health", wasm)) {
        Ok(_) => panic!("it was loaded"),
        Err(error) => error,
    }
}

#[test]
fn a_component_with_an_import_is_refused_by_name() {
    let wasm = wat::parse_str(
        r#"(component
            (import "wasi:clocks/monotonic-clock@0.2.0" (instance
                (export "now" (func (result u64))))))"#,
    );
    let error = refused(&wasm.unwrap());
    let expected = Error::Imports {
        decider: "health".into(),
        import: "wasi:clocks/monotonic-clock@0.2.0".into(),
    };
    assert_eq!(error, expected);
    assert_eq!(error.code(), "decider-imports");
}

#[test]
fn a_component_of_another_world_is_refused() {
    let error = refused(&wat::parse_str("(component)").unwrap());
    assert_eq!(error.code(), "decider-world");
    assert!(error.to_string().contains("judging"), "{error}");
}

#[test]
fn what_is_no_component_is_refused() {
    for wasm in [&b"nonsense"[..], &wat::parse_str("(module)").unwrap(), &[]] {
        assert_eq!(refused(wasm).code(), "decider-artifact");
    }
}

#[test]
fn a_component_that_needs_too_much_at_start_has_no_instance() {
    let greedy = TEXT.replace(r#"(export "memory") 1"#, r#"(export "memory") 2048"#);
    let error = refused(&component("health", &greedy));
    assert_eq!(error.code(), "decider-instance", "{error}");
}

/// The origin of the code, after it answered a question.
fn origin(wasm: &[u8], cwasm: &[u8], stamp: &str) -> Origin {
    let artifact = Artifact {
        name: "health",
        wasm,
        precompiled: Some(Precompiled { cwasm, stamp }),
    };
    let health = Health::load(&engine(), &artifact).unwrap();
    judge(&health, 0).unwrap();
    health.origin()
}

#[test]
fn machine_code_is_run_only_when_its_stamp_fits() {
    let engine = engine();
    let wasm = component("health", TEXT);
    let cwasm = precompile::compile(&engine, &wasm).unwrap();
    let stamp = Stamp::new(&engine, "health", &wasm, &cwasm);
    assert_eq!(
        origin(&wasm, &cwasm, &stamp.to_string()),
        Origin::Precompiled
    );

    let mut flipped = cwasm.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    assert_eq!(origin(&wasm, &flipped, &stamp.to_string()), Origin::Corrupt);

    let other = component("health", &TEXT.replace("as told", "as-told"));
    assert_eq!(
        origin(&other, &cwasm, &stamp.to_string()),
        Origin::Unstamped
    );
    assert_eq!(origin(&wasm, &cwasm, "no stamp"), Origin::Unstamped);

    let mut foreign = stamp.clone();
    foreign.engine = "0".repeat(64);
    assert_eq!(origin(&wasm, &cwasm, &foreign.to_string()), Origin::Foreign);

    let vouched = Stamp::new(&engine, "health", &wasm, b"no machine code");
    let origin = origin(&wasm, b"no machine code", &vouched.to_string());
    assert_eq!(origin, Origin::Refused);
}

#[test]
fn without_machine_code_the_component_is_compiled() {
    let wasm = component("health", TEXT);
    let health = Health::load(&engine(), &artifact("health", &wasm)).unwrap();
    assert_eq!(health.origin(), Origin::Absent);
}

#[test]
fn a_directory_is_precompiled_once_and_the_same_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let engine = engine();
    let compiled = || {
        let outcomes = precompile::directory(&engine, folder.path()).unwrap();
        assert_eq!(outcomes.len(), 1);
        assert_eq!(outcomes[0].name, "health");
        outcomes[0].compiled
    };
    fs::write(file("health.wasm"), component("health", TEXT)).unwrap();
    assert!(compiled());
    let first = fs::read(file("health.cwasm")).unwrap();
    assert!(!compiled());

    fs::write(file("health.cwasm"), b"half of i").unwrap();
    assert!(compiled());
    assert_eq!(fs::read(file("health.cwasm")).unwrap(), first);

    let other = component("health", &TEXT.replace("as told", "as-told"));
    fs::write(file("health.wasm"), other).unwrap();
    assert!(compiled());
    assert!(!compiled());
}

#[test]
fn a_file_that_cannot_be_compiled_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("bad.wasm"), b"nonsense").unwrap();
    let error = precompile::directory(&engine(), folder.path()).unwrap_err();
    assert!(error.to_string().contains("bad.wasm"), "{error}");
    let error = precompile::directory(&engine(), &folder.path().join("none")).unwrap_err();
    assert!(error.to_string().contains("none"), "{error}");
}
