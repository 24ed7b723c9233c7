//! Machine code made ahead of time. The policy decider takes seconds to
//! compile; a mesh should be up in one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::artifact::{Stamp, sha256};
use crate::engine::Engine;

/// Why a directory was not precompiled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read or written.
    #[error("`{}`: {source}", path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The component cannot be compiled.
    #[error("`{}` cannot be compiled: {detail}", path.display())]
    Compile {
        /// The component.
        path: PathBuf,
        /// What the compiler said.
        detail: String,
    },
}

/// What happened to one component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Name of the decider.
    pub name: String,
    /// Size of the component, in bytes.
    pub wasm_bytes: usize,
    /// Size of the machine code, in bytes.
    pub cwasm_bytes: usize,
    /// False when the code on disk was already the right one.
    pub compiled: bool,
}

/// Compile every `NAME.wasm` of a directory to `NAME.cwasm`, with its
/// [`Stamp`] in `NAME.cwasm.sha256`; what is up to date stays. The same inputs
/// give the same bytes. Sorted by name.
///
/// # Errors
/// The first file that cannot be read, compiled or written.
pub fn directory(engine: &Engine, directory: &Path) -> Result<Vec<Outcome>, Error> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(at(directory))? {
        let path = entry.map_err(at(directory))?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "wasm")
        {
            paths.push(path);
        }
    }
    paths.sort();
    paths.iter().map(|path| component(engine, path)).collect()
}

fn component(engine: &Engine, path: &Path) -> Result<Outcome, Error> {
    let stem = path.file_stem().unwrap_or_default();
    let name = stem.to_string_lossy().into_owned();
    let cwasm_path = path.with_extension("cwasm");
    let stamp_path = path.with_extension("cwasm.sha256");
    let wasm = fs::read(path).map_err(at(path))?;
    if let Some(cwasm_bytes) = up_to_date(engine, &wasm, &cwasm_path, &stamp_path) {
        return Ok(Outcome {
            name,
            wasm_bytes: wasm.len(),
            cwasm_bytes,
            compiled: false,
        });
    }
    let cwasm = compile(engine, &wasm).map_err(|error| Error::Compile {
        path: path.to_owned(),
        detail: format!("{error:#}"),
    })?;
    // The stamp comes last: a build that was cut off leaves none that fits.
    let stamp = Stamp::new(engine, &name, &wasm, &cwasm).to_string();
    fs::write(&cwasm_path, &cwasm).map_err(at(&cwasm_path))?;
    fs::write(&stamp_path, stamp).map_err(at(&stamp_path))?;
    Ok(Outcome {
        name,
        wasm_bytes: wasm.len(),
        cwasm_bytes: cwasm.len(),
        compiled: true,
    })
}

/// Machine code of a component, for any processor of this architecture.
///
/// # Errors
/// The compiler's, when the bytes are no valid component.
pub fn compile(engine: &Engine, wasm: &[u8]) -> wasmtime::Result<Vec<u8>> {
    engine.wasmtime().precompile_component(wasm)
}

/// Size of the machine code on disk, if it is the right one.
fn up_to_date(engine: &Engine, wasm: &[u8], cwasm: &Path, stamp: &Path) -> Option<usize> {
    let stamp = Stamp::parse(&fs::read_to_string(stamp).ok()?)?;
    let cwasm = fs::read(cwasm).ok()?;
    let fits = stamp.engine == engine.compatibility()
        && stamp.wasm == sha256(wasm)
        && stamp.cwasm == sha256(&cwasm);
    fits.then_some(cwasm.len())
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { path, source }
}
