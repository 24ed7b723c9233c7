//! Deciders written as WebAssembly text.

use std::path::Path;

use kgents_engine::Artifact;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

/// A core module in text, as a component of the decider's own world.
pub fn component(world: &str, text: &str) -> Vec<u8> {
    let mut module = wat::parse_str(text).unwrap();
    let wit = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../wit")
        .join(world);
    let mut resolve = wit_parser::Resolve::default();
    let (package, _) = resolve.push_dir(&wit).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .unwrap()
        .encode()
        .unwrap()
}

/// As the engine takes it: without machine code.
pub fn artifact<'a>(name: &'a str, wasm: &'a [u8]) -> Artifact<'a> {
    Artifact {
        name,
        wasm,
        precompiled: None,
    }
}
