//! Components for the tests, as text.

use bytes::Bytes;

/// The type that every interface of the fixtures has.
const ASK: &str = r#"(instance (export "ask" (func)))"#;

fn instance(ask: &str) -> String {
    format!(
        r#"(core module $m (func (export "ask")))
           (core instance $i (instantiate $m))
           (func $ask (canon lift (core func $i "ask")))
           (instance $out (export "{ask}" (func $ask)))"#
    )
}

fn component(body: &str) -> Bytes {
    wat::parse_str(format!("(component {body})"))
        .expect(body)
        .into()
}

fn imported(imports: &[&str]) -> String {
    imports
        .iter()
        .map(|import| format!(r#"(import "{import}" {ASK})"#))
        .collect()
}

fn exported(exports: &[&str]) -> String {
    exports
        .iter()
        .map(|export| format!(r#"(export "{export}" (instance $out))"#))
        .collect()
}

/// Answers HTTP, as far as anybody can see, and has these imports.
pub(crate) fn front(imports: &[&str]) -> Bytes {
    with_imports(imports, "wasi:http/incoming-handler@0.2.0")
}

/// Has these imports and this export.
pub(crate) fn with_imports(imports: &[&str], export: &str) -> Bytes {
    component(&format!(
        "{}{}{}",
        imported(imports),
        instance("ask"),
        exported(&[export])
    ))
}

/// Imports nothing and has these exports.
pub(crate) fn decider(exports: &[&str]) -> Bytes {
    component(&format!("{}{}", instance("ask"), exported(exports)))
}
