//! The embeddings endpoint that mesh.yaml names.

use super::Finding;
use super::files::Folder;
use crate::config::mesh_file::EncoderFile;
use crate::up::open_endpoint;
use kgents_mesh::registry::Encode;

/// Whether it gives vectors; nothing where the installed model does that.
pub fn endpoint(folder: &Folder) -> Option<Finding> {
    let file = folder.config.mesh.encoder.as_ref()?;
    let opened = open_endpoint(file, folder.config.mesh_dir.as_deref());
    let asked = opened
        .map_err(|failure| failure.message)
        .and_then(|endpoint| {
            let vectors = endpoint.encode(&["which agent does this?"]);
            vectors.map_err(|error| error.to_string())?;
            Ok(endpoint.name().unwrap_or_default().to_owned())
        });
    Some(found(file, asked))
}

fn found(file: &EncoderFile, asked: Result<String, String>) -> Finding {
    let subject = "encoder";
    match asked {
        Ok(name) => Finding::ok(subject, format!("{name} gives vectors")),
        Err(why) => Finding::fail(
            subject,
            format!("`{}` at {} gives no vectors: {why}", file.model, file.url),
            "correct `encoder` in mesh.yaml, or start what it names; questions are routed by words \
             alone meanwhile",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::check::Level;
    use crate::config::MeshFile;
    use crate::config::read::parse;

    #[test]
    fn an_endpoint_that_gives_no_vectors_is_wrong_by_model_and_address() {
        let yaml = "encoder: {url: http://e.example/v1, model: m}\n";
        let file = parse::<MeshFile>(yaml).unwrap().encoder.unwrap();
        let finding = found(&file, Err("refused".to_owned()));
        assert_eq!(finding.level, Level::Fail);
        assert_eq!(
            finding.message,
            "`m` at http://e.example/v1 gives no vectors: refused"
        );
        let finding = found(&file, Ok("openai:e.example/m/4".to_owned()));
        assert_eq!(finding.level, Level::Ok);
    }
}
