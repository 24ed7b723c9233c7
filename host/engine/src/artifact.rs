//! A decider's bytes: the component, and machine code made from it ahead of
//! time. Machine code is run as it is, so it is trusted only when a stamp ties
//! it to this component and to this engine; otherwise the component is compiled
//! anew, which is slower and safe.

use std::fmt;

use sha2::{Digest, Sha256};
use wasmtime::component::{Component, InstancePre, Linker};

use crate::bound::Bound;
use crate::engine::Engine;
use crate::error::Error;

/// A decider as the build leaves it.
#[derive(Clone, Copy, Debug)]
pub struct Artifact<'a> {
    /// Name of the decider, for messages.
    pub name: &'a str,
    /// The component, binary.
    pub wasm: &'a [u8],
    /// Machine code for it, if there is any.
    pub precompiled: Option<Precompiled<'a>>,
}

/// Machine code of a component and the stamp that vouches for it.
#[derive(Clone, Copy, Debug)]
pub struct Precompiled<'a> {
    /// What [`crate::precompile::compile`] returned (`NAME.cwasm`).
    pub cwasm: &'a [u8],
    /// Text of the [`Stamp`] written with it (`NAME.cwasm.sha256`).
    pub stamp: &'a str,
}

/// What machine code was made from and for. Its text is a file that
/// `sha256sum --check` understands:
///
/// ```text
/// # engine 6b0c…
/// 9f86…  router.wasm
/// 2c26…  router.cwasm
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Name of the decider.
    pub name: String,
    /// [`Engine::compatibility`] of the engine that made it.
    pub engine: String,
    /// Hex SHA-256 of the component.
    pub wasm: String,
    /// Hex SHA-256 of the machine code.
    pub cwasm: String,
}

impl Stamp {
    /// The stamp of this code.
    pub fn new(engine: &Engine, name: &str, wasm: &[u8], cwasm: &[u8]) -> Self {
        Self {
            name: name.to_owned(),
            engine: engine.compatibility().to_owned(),
            wasm: sha256(wasm),
            cwasm: sha256(cwasm),
        }
    }

    /// Read a stamp's text; `None` when it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let engine = lines.next()?.strip_prefix("# engine ")?;
        let (wasm, source) = lines.next()?.split_once("  ")?;
        let (cwasm, target) = lines.next()?.split_once("  ")?;
        let name = source.strip_suffix(".wasm")?;
        let same = target.strip_suffix(".cwasm")? == name;
        (same && lines.next().is_none()).then(|| Self {
            name: name.to_owned(),
            engine: engine.to_owned(),
            wasm: wasm.to_owned(),
            cwasm: cwasm.to_owned(),
        })
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            engine,
            wasm,
            cwasm,
        } = self;
        writeln!(f, "# engine {engine}")?;
        writeln!(f, "{wasm}  {name}.wasm")?;
        writeln!(f, "{cwasm}  {name}.cwasm")
    }
}

/// Where a decider's machine code came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The precompiled code was intact and fits this engine.
    Precompiled,
    /// Compiled at start, because there was no precompiled code.
    Absent,
    /// Compiled at start: the stamp is for another component or is no stamp.
    Unstamped,
    /// Compiled at start: the code was made for another engine version or
    /// architecture.
    Foreign,
    /// Compiled at start: the code is not what the stamp was made for.
    Corrupt,
    /// Compiled at start: stamped for this engine, and yet refused by it.
    Refused,
    /// None is here: the decider is asked elsewhere.
    Remote,
}

/// A component ready to be instantiated.
pub(crate) struct Prepared {
    pub(crate) name: String,
    pub(crate) origin: Origin,
    pub(crate) component: InstancePre<Bound>,
}

/// Load machine code, precompiled if it can be trusted, and check that the
/// component imports nothing.
pub(crate) fn prepare(engine: &Engine, artifact: &Artifact<'_>) -> Result<Prepared, Error> {
    let (component, origin) = machine_code(engine, artifact)?;
    let kind = component.component_type();
    if let Some((import, _)) = kind.imports(engine.wasmtime()).next() {
        return Err(Error::Imports {
            decider: artifact.name.to_owned(),
            import: import.to_owned(),
        });
    }
    // INVARIANT: the linker stays empty, so linking fails for any import.
    let component = Linker::new(engine.wasmtime())
        .instantiate_pre(&component)
        .map_err(|error| unloadable(artifact, &error))?;
    Ok(Prepared {
        name: artifact.name.to_owned(),
        origin,
        component,
    })
}

fn machine_code(engine: &Engine, artifact: &Artifact<'_>) -> Result<(Component, Origin), Error> {
    let distrust = match precompiled(engine, artifact) {
        Ok(component) => return Ok((component, Origin::Precompiled)),
        Err(distrust) => distrust,
    };
    tracing::warn!(
        decider = artifact.name,
        reason = ?distrust,
        "no usable precompiled code: compiling at start, which takes seconds for the policy decider",
    );
    let component = Component::from_binary(engine.wasmtime(), artifact.wasm)
        .map_err(|error| unloadable(artifact, &error))?;
    Ok((component, distrust))
}

fn precompiled(engine: &Engine, artifact: &Artifact<'_>) -> Result<Component, Origin> {
    let Precompiled { cwasm, stamp } = artifact.precompiled.ok_or(Origin::Absent)?;
    let stamp = Stamp::parse(stamp).ok_or(Origin::Unstamped)?;
    if stamp.wasm != sha256(artifact.wasm) {
        return Err(Origin::Unstamped);
    }
    if stamp.engine != engine.compatibility() {
        return Err(Origin::Foreign);
    }
    if stamp.cwasm != sha256(cwasm) {
        return Err(Origin::Corrupt);
    }
    // SAFETY: `deserialize` runs the bytes as they are, so they must come from
    // `precompile_component` of a compatible engine, unchanged. The stamp is
    // written beside them by our own build and embedded in the same binary (who
    // can replace both can replace the binary); it was just found to name this
    // component, this engine's compatibility hash and exactly these bytes.
    #[expect(unsafe_code, reason = "the only way to load precompiled code")]
    unsafe { Component::deserialize(engine.wasmtime(), cwasm) }.map_err(|error| {
        tracing::warn!(
            decider = artifact.name,
            error = format!("{error:#}"),
            "precompiled code was refused",
        );
        Origin::Refused
    })
}

fn unloadable(artifact: &Artifact<'_>, error: &wasmtime::Error) -> Error {
    Error::Artifact {
        decider: artifact.name.to_owned(),
        detail: format!("{error:#}"),
    }
}

/// Hex SHA-256 of these bytes.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stamp() -> Stamp {
        Stamp {
            name: "router".into(),
            engine: sha256(b"engine"),
            wasm: sha256(b"wasm"),
            cwasm: sha256(b"cwasm"),
        }
    }

    #[test]
    fn a_stamp_reads_back_as_it_was_written() {
        assert_eq!(Stamp::parse(&stamp().to_string()), Some(stamp()));
    }

    #[test]
    fn a_stamp_that_is_cut_short_mixed_up_or_too_long_is_none() {
        let whole = stamp().to_string();
        for end in 0..whole.len() - 1 {
            let cut = Stamp::parse(&whole[..end]);
            assert_eq!(cut, None, "{:?}", &whole[..end]);
        }
        assert_eq!(Stamp::parse(&format!("{whole}more")), None);
        let mixed = whole.replace("router.cwasm", "policy.cwasm");
        assert_eq!(Stamp::parse(&mixed), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic_and_what_is_read_is_written_alike(
            text in prop_oneof![
                "\\PC{0,200}",
                "(# engine |[0-9a-f]{1,8}|  |router|\\.wasm|\\.cwasm|\n|\r\n){0,16}",
            ],
        ) {
            if let Some(stamp) = Stamp::parse(&text) {
                prop_assert_eq!(Stamp::parse(&stamp.to_string()), Some(stamp));
            }
        }
    }
}
