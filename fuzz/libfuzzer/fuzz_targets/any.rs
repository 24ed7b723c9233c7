//! One binary for all parsers; `KGENTS_FUZZ` names the one that is fed.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();

fuzz_target!(|bytes: &[u8]| {
    let feed = TARGET.get_or_init(|| {
        let name = std::env::var("KGENTS_FUZZ").unwrap_or_default();
        let found = kgents_fuzz::TARGETS
            .iter()
            .find(|(target, _)| *target == name);
        match found {
            Some((_, feed)) => *feed,
            None => panic!("KGENTS_FUZZ={name}: no such parser"),
        }
    });
    feed(bytes);
});
