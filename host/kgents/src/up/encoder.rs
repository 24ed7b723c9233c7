//! What turns texts into vectors here: the endpoint that mesh.yaml names, else the
//! model that is installed.

use crate::config::mesh_file::EncoderFile;
use crate::config::{Config, MESH_FILE};
use crate::exit::{Exit, Failure};
use kgents_mesh::registry::{Embedder, Encode, Endpoint, EndpointError, EndpointSettings};
use std::path::Path;
use std::sync::Arc;

/// The encoder of this mesh; none where words alone decide. An endpoint is not asked
/// yet.
///
/// # Errors
/// When the endpoint cannot be used as it is configured. A model that cannot be used
/// is said and done without.
pub fn open(config: &Config) -> Result<Option<Arc<dyn Encode>>, Failure> {
    match &config.mesh.encoder {
        Some(file) => {
            let endpoint = open_endpoint(file, config.mesh_dir.as_deref())?;
            Ok(Some(Arc::new(endpoint)))
        }
        None => Ok(installed(config)),
    }
}

/// The endpoint of a mesh.yaml, whose folder is `mesh_dir`. It is not asked yet.
///
/// # Errors
/// When it cannot be used as it is configured, by its field.
pub fn open_endpoint(file: &EncoderFile, mesh_dir: Option<&Path>) -> Result<Endpoint, Failure> {
    let in_folder = |name: &String| mesh_dir.unwrap_or(Path::new(".")).join(name);
    let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let settings = EndpointSettings {
        url: file.url.get().to_owned(),
        model: file.model.clone(),
        key_file: file.key_file.as_ref().map(in_folder),
        timeout: file.timeout.get(),
        batch: size(file.batch),
        dimensions: file.dimensions.map(size),
    };
    Endpoint::new(settings).map_err(|error| refused(&error))
}

fn refused(error: &EndpointError) -> Failure {
    let message = format!("{MESH_FILE}: {}", crate::client::chain(error));
    let failure = Failure::new(Exit::Failed, "ENCODER", message);
    match error {
        EndpointError::Url(_) => failure.hint("write one like `http://127.0.0.1:11434/v1`"),
        EndpointError::Key(_) => failure
            .hint("put the key into a file of its own, for its owner alone, and name that file"),
        EndpointError::Start(_) => failure,
    }
}

fn installed(config: &Config) -> Option<Arc<dyn Encode>> {
    let path = config.model_path.as_ref().filter(|path| path.is_file());
    let Some(path) = path else {
        tracing::warn!(
            "no language model is installed, so words alone decide: kgents model install"
        );
        return None;
    };
    match kgents_encoder::Encoder::open(path) {
        Ok(encoder) => Some(Arc::new(encoder)),
        Err(error) => {
            tracing::warn!(code = error.code(), %error, "the model cannot be used: kgents model install");
            None
        }
    }
}

/// How questions are routed, for who starts a mesh.
pub fn described(embedder: &Embedder) -> &'static str {
    match embedder.name() {
        Some(_) => "by meaning and words",
        None if embedder.is_there() => {
            "by words alone, until the encoder's endpoint answers (see the log)"
        }
        None => "by words alone (kgents model install adds meaning)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MeshFile;
    use crate::config::read::parse;

    /// What is told of a mesh.yaml's encoder in an empty folder.
    fn told(yaml: &str) -> Failure {
        let file = parse::<MeshFile>(yaml).unwrap().encoder.unwrap();
        let dir = tempfile::tempdir().unwrap();
        open_endpoint(&file, Some(dir.path())).err().unwrap()
    }

    #[test]
    fn an_endpoint_that_cannot_be_used_is_refused_by_its_field() {
        let failure = told("encoder: {url: 'http://e.example/v1?x', model: m}\n");
        assert!(
            failure
                .message
                .starts_with("mesh.yaml: `encoder.url`: `http://e.example/v1?x`"),
            "{failure}"
        );
        let failure = told("encoder: {url: http://e.example, model: m, key_file: gone}\n");
        assert!(
            failure
                .message
                .starts_with("mesh.yaml: `encoder.key_file`: `")
                && failure.hint.is_some(),
            "{failure}"
        );
    }
}
