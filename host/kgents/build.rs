//! Tells the crate where the deciders lie that it embeds.

use std::path::PathBuf;

const NAMES: [&str; 5] = ["router", "policy", "pheromone", "health", "agents"];

fn main() {
    println!("cargo:rerun-if-env-changed=KGENTS_COMPONENTS");
    let folder = std::env::var_os("KGENTS_COMPONENTS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/components"),
        PathBuf::from,
    );
    for name in NAMES {
        for ending in ["wasm", "cwasm", "cwasm.sha256"] {
            let file = folder.join(format!("{name}.{ending}"));
            println!("cargo:rerun-if-changed={}", file.display());
            if !file.is_file() {
                println!(
                    "cargo:error={} is not there: the deciders are built by `cargo xtask build`",
                    file.display()
                );
            }
        }
    }
    println!("cargo:rustc-env=KGENTS_COMPONENTS={}", folder.display());
}
