//! Every seed, through its parser.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop where it stands"
)]

use std::fs;
use std::path::Path;

#[test]
fn no_seed_makes_its_parser_panic() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    for (name, feed) in kgents_fuzz::TARGETS {
        let mut count = 0;
        for entry in fs::read_dir(seeds.join(name)).unwrap() {
            let seed = fs::read(entry.unwrap().path()).unwrap();
            feed(&seed);
            // And what a cut line leaves of it.
            for end in 0..seed.len().min(512) {
                feed(seed.get(..end).unwrap());
            }
            count += 1;
        }
        assert!(count > 0, "no seeds for {name}");
    }
}
