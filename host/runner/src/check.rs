//! What a component may import and must export. Everything else is refused by
//! name when the application is loaded, not when its first request comes.

use wasmtime::component::Component;

use crate::error::RunError;

/// The packages of WASI 0.2 that guests get, and Spin's own interfaces.
const OFFERED: [(&str, &[&str]); 8] = [
    ("wasi:io", &["error", "poll", "streams"]),
    ("wasi:clocks", &["monotonic-clock", "wall-clock"]),
    ("wasi:random", &["random", "insecure", "insecure-seed"]),
    (
        "wasi:cli",
        &[
            "environment",
            "exit",
            "stdin",
            "stdout",
            "stderr",
            "terminal-input",
            "terminal-output",
            "terminal-stdin",
            "terminal-stdout",
            "terminal-stderr",
        ],
    ),
    ("wasi:filesystem", &["types", "preopens"]),
    (
        // Linked because every guest built with a standard library imports them;
        // each use of a socket is refused.
        "wasi:sockets",
        &[
            "network",
            "instance-network",
            "ip-name-lookup",
            "tcp",
            "tcp-create-socket",
            "udp",
            "udp-create-socket",
        ],
    ),
    ("wasi:http", &["types", "outgoing-handler"]),
    ("fermyon:spin", &["key-value", "variables"]),
];

/// Name of an interface: `PACKAGE/INTERFACE@VERSION`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Name<'a> {
    package: &'a str,
    interface: &'a str,
    version: &'a str,
}

impl<'a> Name<'a> {
    fn parse(name: &'a str) -> Option<Self> {
        let (package, rest) = name.split_once('/')?;
        let (interface, version) = rest.split_once('@').unwrap_or((rest, ""));
        Some(Self {
            package,
            interface,
            version,
        })
    }

    fn offered(&self) -> bool {
        let version = if self.package == "fermyon:spin" {
            self.version == "2.0.0"
        } else {
            stable(self.version)
        };
        let listed = |(package, interfaces): &(&str, &[&str])| {
            *package == self.package && interfaces.contains(&self.interface)
        };
        version && OFFERED.iter().any(listed)
    }
}

/// Whether this is a released version of WASI 0.2.
fn stable(version: &str) -> bool {
    version
        .strip_prefix("0.2.")
        .is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit()))
}

/// What to do about an import that is not offered.
fn hint(import: &str) -> &'static str {
    let Some(name) = Name::parse(import) else {
        return "compose it with a component that exports it (`dependencies` in spin.toml)";
    };
    match (name.package, name.interface) {
        ("fermyon:spin" | "spin:sqlite", "sqlite") => {
            "SQLite databases are not supported; a key-value store is"
        }
        ("fermyon:spin", "llm") => "language models are not supported",
        ("fermyon:spin", "redis" | "mysql" | "postgres" | "mqtt" | "rdbms-types")
        | ("spin:postgres" | "spin:redis" | "spin:mqtt" | "spin:mysql", _) => {
            "databases and queues are reached over HTTP only"
        }
        ("fermyon:spin" | "spin:key-value" | "spin:variables", _) => {
            "build it with spin-sdk 5, which imports fermyon:spin@2.0.0"
        }
        ("wasi:keyvalue" | "wasi:config" | "wasi:otel", _) => {
            "drafts of WASI are not supported; use Spin's own interfaces (spin-sdk 5)"
        }
        ("wasi:http" | "wasi:cli" | "wasi:io" | "wasi:clocks" | "wasi:random", _)
        | ("wasi:filesystem" | "wasi:sockets", _)
            if !stable(name.version) =>
        {
            "build it for WASI 0.2 (target wasm32-wasip2, spin-sdk 5)"
        }
        _ => "compose it with a component that exports it (`dependencies` in spin.toml)",
    }
}

/// Refuse a component that imports what is not offered or answers no requests.
///
/// # Errors
/// [`RunError::Import`] or [`RunError::Export`].
pub(crate) fn component(
    id: &str,
    engine: &wasmtime::Engine,
    component: &Component,
) -> Result<(), RunError> {
    let kind = component.component_type();
    let imports = kind.imports(engine).map(|(name, _)| name);
    imported(id, imports)?;
    let exports: Vec<&str> = kind.exports(engine).map(|(name, _)| name).collect();
    exported(id, &exports)
}

fn imported<'a>(id: &str, imports: impl Iterator<Item = &'a str>) -> Result<(), RunError> {
    for import in imports {
        if !Name::parse(import).is_some_and(|name| name.offered()) {
            return Err(RunError::Import {
                component: id.to_owned(),
                import: import.to_owned(),
                hint: hint(import).to_owned(),
            });
        }
    }
    Ok(())
}

fn exported(id: &str, exports: &[&str]) -> Result<(), RunError> {
    let names = || exports.iter().filter_map(|export| Name::parse(export));
    let handles = |name: Name<'_>| {
        (name.package, name.interface) == ("wasi:http", "incoming-handler") && stable(name.version)
    };
    if names().any(handles) {
        return Ok(());
    }
    let near = |name: &Name<'_>| {
        matches!(
            (name.package, name.interface),
            ("wasi:http", "handler" | "incoming-handler") | ("fermyon:spin", "inbound-http")
        )
    };
    let (found, hint) = match names().find(near) {
        Some(name) if name.package == "wasi:http" => (
            exported_name(name),
            "build it for WASI 0.2: spin-sdk 5 with `#[http_component]`",
        ),
        Some(name) => (
            exported_name(name),
            "Spin 1's interface is not supported; build it with spin-sdk 5",
        ),
        None => (
            "exports no HTTP handler".to_owned(),
            "a component that a route names has to answer HTTP requests",
        ),
    };
    Err(RunError::Export {
        component: id.to_owned(),
        found,
        hint: hint.to_owned(),
    })
}

fn exported_name(name: Name<'_>) -> String {
    let Name {
        package,
        interface,
        version,
    } = name;
    let at = if version.is_empty() { "" } else { "@" };
    format!("exports `{package}/{interface}{at}{version}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_guests_of_the_sdk_import_is_offered() {
        let imports = [
            "wasi:io/poll@0.2.0",
            "wasi:io/streams@0.2.6",
            "wasi:cli/terminal-stdout@0.2.6",
            "wasi:http/outgoing-handler@0.2.10",
            "wasi:sockets/tcp@0.2.6",
            "fermyon:spin/key-value@2.0.0",
            "fermyon:spin/variables@2.0.0",
        ];
        assert!(imported("web", imports.into_iter()).is_ok());
    }

    #[test]
    fn any_other_import_is_refused_by_its_name() {
        for import in [
            "wasi:io/poll@0.3.0",
            "wasi:io/poll@0.2.0-rc-2023-11-10",
            "wasi:io/poll@0.2.",
            "wasi:io/poll",
            "wasi:http/client@0.3.0",
            "wasi:keyvalue/store@0.2.0-draft2",
            "fermyon:spin/key-value",
            "fermyon:spin/sqlite@2.0.0",
            "spin:postgres/postgres@4.0.0",
            "kgents:router/router@0.1.0",
            "log",
            "",
        ] {
            let error = imported("web", [import].into_iter()).unwrap_err();
            let text = error.to_string();
            assert!(text.contains("`web`"), "{text}");
            assert!(text.contains(&format!("`{import}`")), "{text}");
        }
    }

    #[test]
    fn a_component_must_answer_requests_and_is_told_what_it_does_instead() {
        assert!(exported("web", &["wasi:http/incoming-handler@0.2.0"]).is_ok());
        assert!(exported("web", &["x", "wasi:http/incoming-handler@0.2.6"]).is_ok());
        for (exports, told) in [
            (
                &["wasi:http/handler@0.3.0"][..],
                "`wasi:http/handler@0.3.0`",
            ),
            (
                &["wasi:http/incoming-handler@0.2.0-rc-2023-11-10"],
                "`wasi:http/incoming-handler@0.2.0-rc-2023-11-10`",
            ),
            (&["fermyon:spin/inbound-http"], "Spin 1's interface"),
            (&["wasi:cli/run@0.2.0"], "no HTTP handler"),
            (&[], "no HTTP handler"),
        ] {
            let text = exported("web", exports).unwrap_err().to_string();
            assert!(text.contains(told), "{text}");
        }
    }
}
