//! Deciders as files of the build, for what does not embed them: measurements
//! and tests.

use std::fs;
use std::io;
use std::path::Path;

use crate::artifact::{Artifact, Precompiled};
use crate::deciders::Artifacts;

/// The files of one decider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactFiles {
    name: String,
    wasm: Vec<u8>,
    precompiled: Option<(Vec<u8>, String)>,
}

impl ArtifactFiles {
    /// Read `NAME.wasm` and, where both are there, `NAME.cwasm` and
    /// `NAME.cwasm.sha256`.
    ///
    /// # Errors
    /// When `NAME.wasm` cannot be read; the message names it.
    pub fn read(directory: &Path, name: &str) -> io::Result<Self> {
        let path = directory.join(name).with_extension("wasm");
        let wasm = fs::read(&path).map_err(|error| {
            io::Error::new(error.kind(), format!("`{}`: {error}", path.display()))
        })?;
        let cwasm = fs::read(path.with_extension("cwasm"));
        let stamp = fs::read_to_string(path.with_extension("cwasm.sha256"));
        Ok(Self {
            name: name.to_owned(),
            wasm,
            precompiled: cwasm.ok().zip(stamp.ok()),
        })
    }

    /// As the engine takes it.
    pub fn artifact(&self) -> Artifact<'_> {
        Artifact {
            name: &self.name,
            wasm: &self.wasm,
            precompiled: self
                .precompiled
                .as_ref()
                .map(|(cwasm, stamp)| Precompiled { cwasm, stamp }),
        }
    }
}

/// The files of all five deciders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllFiles {
    router: ArtifactFiles,
    policy: ArtifactFiles,
    pheromone: ArtifactFiles,
    health: ArtifactFiles,
    agents: ArtifactFiles,
}

impl AllFiles {
    /// Read all five from one directory.
    ///
    /// # Errors
    /// When one cannot be read; the message names it.
    pub fn read(directory: &Path) -> io::Result<Self> {
        Ok(Self {
            router: ArtifactFiles::read(directory, "router")?,
            policy: ArtifactFiles::read(directory, "policy")?,
            pheromone: ArtifactFiles::read(directory, "pheromone")?,
            health: ArtifactFiles::read(directory, "health")?,
            agents: ArtifactFiles::read(directory, "agents")?,
        })
    }

    /// As the engine takes them.
    pub fn artifacts(&self) -> Artifacts<'_> {
        Artifacts {
            router: self.router.artifact(),
            policy: self.policy.artifact(),
            pheromone: self.pheromone.artifact(),
            health: self.health.artifact(),
            agents: self.agents.artifact(),
        }
    }
}
