//! What tests of several rooms share: where the build left things.

use std::env;
use std::path::{Path, PathBuf};

/// The five deciders: names of their folders, worlds and components.
pub const DECIDERS: [&str; 5] = ["router", "policy", "pheromone", "health", "agents"];

/// Root of the checkout.
pub fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_owned()
}

/// Folder of the built components: `KGENTS_COMPONENTS`, as `cargo xtask` sets
/// it, else `target/components`.
pub fn components() -> PathBuf {
    env::var_os("KGENTS_COMPONENTS").map_or_else(
        || {
            let target = env::var_os("CARGO_TARGET_DIR");
            target
                .map_or_else(|| root().join("target"), PathBuf::from)
                .join("components")
        },
        PathBuf::from,
    )
}
