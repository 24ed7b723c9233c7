//! What WebAssembly is from outside: a component at all, and with which imports and exports.

use wasmparser::{Encoding, Parser, Payload};

use crate::names::quoted;
use crate::{AppError, Problem};

/// A component larger than this is refused; interpreters of scripting languages take 40 MiB.
pub(crate) const BYTES_MAX: u64 = 128 << 20;

/// The interfaces and plain names at the outside of a component, in the order it has them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interfaces {
    /// What it needs: `wasi:io/streams@0.2.6`.
    pub imports: Vec<String>,
    /// What it offers: `wasi:http/incoming-handler@0.2.0`.
    pub exports: Vec<String>,
}

/// Reads the imports and exports of a component. Its code is not looked at.
///
/// Fails for a core module, and for what is not WebAssembly.
pub fn interfaces(wasm: &[u8]) -> Result<Interfaces, Problem> {
    let mut interfaces = Interfaces::default();
    let mut depth = 0usize;
    if !wasm.starts_with(b"\0asm") {
        return Err(Problem::new(
            "is not WebAssembly; build the component, and name its `.wasm`",
        ));
    }
    let damaged =
        |error: wasmparser::BinaryReaderError| Problem::new(format!("is damaged ({error})"));
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.map_err(damaged)? {
            Payload::Version {
                encoding: Encoding::Module,
                ..
            } if depth == 0 => {
                return Err(Problem::new(
                    "is a core module, not a component; build it for `wasm32-wasip2`, or wrap it \
                     with `wasm-tools component new`",
                ));
            }
            // What is inside of a component begins with its section and ends with `End`.
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 0 => {
                for import in imports {
                    interfaces
                        .imports
                        .push(import.map_err(damaged)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(exports) if depth == 0 => {
                for export in exports {
                    interfaces
                        .exports
                        .push(export.map_err(damaged)?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(interfaces)
}

/// Checks that a component answers HTTP requests in the one way that is run here.
pub(crate) fn check_http_handler(interfaces: &Interfaces, at: &str) -> Result<(), AppError> {
    const HANDLER: &str = "wasi:http/incoming-handler@0.2.";
    let rebuild = "build it with spin-sdk 5.2, or anything that exports \
                   `wasi:http/incoming-handler@0.2`";
    let exports = |prefix: &str| {
        interfaces
            .exports
            .iter()
            .find(|export| export.starts_with(prefix))
            .cloned()
    };
    let released = interfaces
        .exports
        .iter()
        .any(|export| export.starts_with(HANDLER) && !export.contains("-rc-"));
    if released {
        return Ok(());
    }
    let other = exports("wasi:http/handler@")
        .or_else(|| exports("wasi:http/incoming-handler"))
        .or_else(|| exports("fermyon:spin/inbound-http"))
        .or_else(|| exports("wasi:cli/run"));
    if let Some(other) = other {
        return Err(AppError::unsupported(
            at,
            format!("a component with {}", quoted(&other)),
            rebuild,
        ));
    }
    let found = match interfaces.exports.as_slice() {
        [] => "nothing".to_owned(),
        exports => exports
            .iter()
            .take(5)
            .map(|export| quoted(export))
            .collect::<Vec<_>>()
            .join(", "),
    };
    Err(AppError::invalid(
        at,
        format!("does not answer HTTP requests: it exports {found}; {rebuild}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wat(text: &str) -> Vec<u8> {
        wat::parse_str(text).unwrap()
    }

    #[test]
    fn only_the_outside_of_a_component_counts() {
        let component = wat(r#"(component
                 (import "a:b/c@0.1.0" (instance $c))
                 (component
                   (import "inner" (instance $i))
                   (export "inner-out" (instance $i)))
                 (core module)
                 (export "d:e/f@0.2.0" (instance $c)))"#);
        let found = interfaces(&component).unwrap();
        assert_eq!(found.imports, ["a:b/c@0.1.0"]);
        assert_eq!(found.exports, ["d:e/f@0.2.0"]);
    }

    #[test]
    fn a_core_module_is_refused_with_a_hint() {
        let error = interfaces(&wat("(module)")).unwrap_err().to_string();
        assert!(
            error.contains("core module") && error.contains("wasm32-wasip2"),
            "{error}"
        );
        for bytes in [&b""[..], b"(component)", b"\0asm", b"\0asm\x0d\0\x01\0\xff"] {
            assert!(interfaces(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn handlers_that_are_not_run_here_are_refused_by_name() {
        let check = |export: &str| {
            let interfaces = Interfaces {
                imports: vec![],
                exports: vec![export.to_owned()],
            };
            check_http_handler(&interfaces, "component.x.source")
        };
        assert!(check("wasi:http/incoming-handler@0.2.0").is_ok());
        assert!(check("wasi:http/incoming-handler@0.2.6").is_ok());
        for other in [
            "wasi:http/handler@0.3.0",
            "wasi:http/handler@0.3.0-rc-2026-03-15",
            "wasi:http/incoming-handler@0.2.0-rc-2023-11-10",
            "fermyon:spin/inbound-http",
            "wasi:cli/run@0.2.0",
            "kgents:router/route@0.1.0",
        ] {
            let error = check(other).unwrap_err().to_string();
            assert!(
                error.contains(other) && error.contains("spin-sdk 5.2"),
                "{error}"
            );
        }
        let nothing = check_http_handler(&Interfaces::default(), "x").unwrap_err();
        assert!(nothing.to_string().contains("exports nothing"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(tail in proptest::collection::vec(any::<u8>(), 0..60)) {
            for head in [&b""[..], b"\0asm\x0d\0\x01\0", b"\0asm\x01\0\0\0"] {
                let _ = interfaces(&[head, &tail].concat());
            }
        }
    }
}
