//! Writes what is made of the records: the schemas that the component publishes,
//! and the answers of the deciders in the table of requests, which
//! are then to be read through as any other change.
//!
//! `cargo run -p kgents-decide --example publish`

#[path = "../tests/native/mod.rs"]
mod native;

use std::path::Path;

use kgents_decide::{Body, handle};
use native::table::{Bad, DECIDERS, Good, file, read};
use native::{Native, schema};
use serde::Serialize;
use serde_json::Value;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for decider in DECIDERS {
        let mut good: Vec<Good> = read(decider)?;
        for good in &mut good {
            let body = serde_json::to_vec(&good.request)?;
            let path = kgents_decide_wire::path(decider);
            let answer = handle("POST", &path, Body::Whole(&body), &Native);
            good.answer = serde_json::from_slice(&answer.body)?;
            if answer.status != 200 {
                println!("{decider}: {}: {}", good.name, good.answer);
            }
        }
        write(&file(decider), &good)?;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
        let schema = schema::published(decider, &good);
        write(&folder.join(format!("{decider}.json")), &schema)?;
    }
    let mut bad: Vec<Bad> = read("bad")?;
    for bad in &mut bad {
        let answer = handle(&bad.method, &bad.path, Body::Whole(&bad.body()), &Native);
        let told: Value = serde_json::from_slice(&answer.body)?;
        if answer.status != bad.status {
            println!("bad: {}: {told}", bad.name);
        }
        let message = told.pointer("/error/message").and_then(Value::as_str);
        bad.message = message.map(str::to_owned);
    }
    write(&file("bad"), &bad)
}

fn write(path: &Path, value: &impl Serialize) -> Result<(), Box<dyn std::error::Error>> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    Ok(std::fs::write(path, text)?)
}
