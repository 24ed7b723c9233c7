//! Turns `calibration.json` into Rust constants, so that the guest carries the
//! numbers and no JSON parser. A weight that is missing, misspelt or not finite
//! stops the build: the literals below must match the structs in
//! `src/calibration.rs` field by field.

use serde_json::{Map, Value};
use std::fmt::Write;

const SOURCE: &str = "calibration.json";

fn main() -> Result<(), String> {
    println!("cargo::rerun-if-changed={SOURCE}");
    let text = std::fs::read_to_string(SOURCE).map_err(|e| format!("{SOURCE}: {e}"))?;
    let root: Value = serde_json::from_str(&text).map_err(|e| format!("{SOURCE}: {e}"))?;
    let mut rust = String::new();
    for (constant, key) in [("ENCODER", "encoder"), ("LEXICAL", "lexical")] {
        let tier = object(&root, key)?;
        let ranking = literal("Ranking", tier, "ranking")?;
        let best = literal("Weights", tier, "best")?;
        let rest = literal("Weights", tier, "rest")?;
        writeln!(
            rust,
            "/// The `{key}` tier of `{SOURCE}`.\n\
             pub const {constant}: Tier = Tier {{ ranking: {ranking}, best: {best}, rest: {rest} }};"
        )
        .map_err(|e| e.to_string())?;
    }
    let out = std::env::var("OUT_DIR").map_err(|e| format!("OUT_DIR: {e}"))?;
    std::fs::write(std::path::Path::new(&out).join("calibration.rs"), rust)
        .map_err(|e| format!("writing the constants: {e}"))
}

fn object<'a>(value: &'a Value, key: &str) -> Result<&'a Map<String, Value>, String> {
    value
        .get(key)
        .and_then(Value::as_object)
        .ok_or_else(|| format!("{SOURCE}: `{key}` must be an object"))
}

/// `Name { field: 1.5f32, … }` from the numbers under `key`.
fn literal(name: &str, tier: &Map<String, Value>, key: &str) -> Result<String, String> {
    let fields = tier
        .get(key)
        .and_then(Value::as_object)
        .ok_or_else(|| format!("{SOURCE}: `{key}` must be an object"))?;
    let mut rust = format!("{name} {{ ");
    for (field, number) in fields {
        let number = number
            .as_f64()
            .filter(|n| n.is_finite())
            .ok_or_else(|| format!("{SOURCE}: `{key}.{field}` must be a finite number"))?;
        write!(rust, "{field}: {number:?}f32, ").map_err(|e| e.to_string())?;
    }
    rust.push('}');
    Ok(rust)
}
