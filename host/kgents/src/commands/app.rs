//! `kgents app push|pull`: Spin applications in OCI registries.

use std::path::PathBuf;
use std::str::FromStr as _;

use kgents_app::{AppError, PackOptions, Packed};
use kgents_oci::{Credentials, OciError, Reference, Settings};
use serde::Serialize;

use super::Context;
use crate::cli::{AppCommand, AppPullArgs, AppPushArgs};
use crate::exit::{Exit, Failure};

/// Folder of pulled contents below the data folder.
const CACHE_DIR: &str = "apps/oci";

/// What was pushed or pulled.
#[derive(Serialize)]
struct Moved {
    /// As it was named.
    reference: String,
    /// The artefact: `REGISTRY/NAME@DIGEST` is this one for ever.
    digest: String,
    /// Its components, by name.
    components: Vec<String>,
    /// All its contents together.
    bytes: u64,
}

pub async fn run(command: AppCommand, context: &Context) -> Result<Exit, Failure> {
    match command {
        AppCommand::Push(args) => push(&args, context).await,
        AppCommand::Pull(args) => pull(&args, context).await,
    }
}

async fn push(args: &AppPushArgs, context: &Context) -> Result<Exit, Failure> {
    let reference = reference(&args.reference)?;
    check_is_no_digest(&reference)?;
    let packed = pack(&args.from)?;
    let settings = settings(args.insecure, context);
    let digest = kgents_oci::push(&packed, &reference, &settings)
        .await
        .map_err(|error| failure_of_registry(&error))?;
    told(&reference, digest.to_string(), &packed, "pushed", context);
    Ok(Exit::Done)
}

async fn pull(args: &AppPullArgs, context: &Context) -> Result<Exit, Failure> {
    let reference = reference(&args.reference)?;
    let pulled = fetch(&reference, args.insecure, context).await?;
    let digest = pulled.digest.to_string();
    told(&reference, digest, &pulled.packed, "pulled", context);
    Ok(Exit::Done)
}

/// What is pushed is named by a tag.
fn check_is_no_digest(reference: &Reference) -> Result<(), Failure> {
    if reference.digest().is_none() {
        return Ok(());
    }
    let message = format!("push takes a tag and no digest, and `{reference}` names one");
    Err(Failure::new(Exit::Usage, "REFERENCE", message).hint(
        "push to REGISTRY/NAME:TAG; the digest follows from what is pushed, and is shown then",
    ))
}

fn told(reference: &Reference, digest: String, packed: &Packed, done: &str, context: &Context) {
    let moved = Moved {
        reference: reference.to_string(),
        digest,
        components: packed
            .lock
            .components
            .iter()
            .map(|one| one.id.clone())
            .collect(),
        bytes: packed.blobs.values().map(|bytes| bytes.len() as u64).sum(),
    };
    context.output.show(&moved, |style| {
        format!(
            "{done} {}\n  digest      {}\n  components  {}\n  bytes       {}\n",
            style.bold(&moved.reference),
            moved.digest,
            moved.components.join(", "),
            moved.bytes
        )
    });
}

/// An application of this machine: a folder or a manifest, with its contents.
///
/// # Errors
/// What is wrong with it.
pub fn pack(from: &std::path::Path) -> Result<Packed, Failure> {
    Packed::from_folder_or_manifest(from, &PackOptions::default())
        .map_err(|error| failure_of_app(&error))
}

/// The application that a registry has under this name; contents are kept, so
/// that the next time only the manifest is asked for.
///
/// # Errors
/// What the registry or the network says, or what is wrong with the artefact.
pub async fn fetch(
    reference: &Reference,
    insecure: bool,
    context: &Context,
) -> Result<kgents_oci::Pulled, Failure> {
    kgents_oci::pull(reference, &settings(insecure, context))
        .await
        .map_err(|error| failure_of_registry(&error))
}

/// Reads an artefact's name.
///
/// # Errors
/// When it is none.
pub fn reference(text: &str) -> Result<Reference, Failure> {
    Reference::from_str(text).map_err(|error| {
        Failure::new(Exit::Usage, "REFERENCE", error.to_string())
            .hint("name it as REGISTRY/NAME:TAG, for example 127.0.0.1:5000/mesh:dev")
    })
}

/// An application that cannot be used, as a command's failure.
pub fn failure_of_app(error: &AppError) -> Failure {
    let code = format!("APP_{}", error.code().replace('-', "_").to_uppercase());
    let failure = Failure::new(Exit::Failed, &code, in_full(error));
    match error {
        AppError::Read { at, source, .. }
            if at.starts_with("component.") && source.kind() == std::io::ErrorKind::NotFound =>
        {
            failure.hint("build the component first (`spin build`), or correct its path")
        }
        _ => failure,
    }
}

fn failure_of_registry(error: &OciError) -> Failure {
    let code = format!("OCI_{}", error.code().replace('-', "_").to_uppercase());
    let exit = match error {
        OciError::Unreachable { .. } | OciError::Silent { .. } | OciError::Late { .. } => {
            Exit::Unavailable
        }
        _ => Exit::Failed,
    };
    let failure = Failure::new(exit, &code, in_full(error));
    match error {
        OciError::Digest { .. } => failure.hint(
            "if you named that digest: `kgents app pull REGISTRY/NAME:TAG` tells which the tag has",
        ),
        _ => failure,
    }
}

/// An error and what is behind it, in one sentence.
pub fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut behind = error.source();
    while let Some(source) = behind {
        let words = source.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        behind = source.source();
    }
    text
}

fn settings(insecure: bool, context: &Context) -> Settings {
    Settings {
        credentials: Credentials::docker(),
        insecure,
        cache: Some(cache_dir(context)),
        ..Settings::default()
    }
}

fn cache_dir(context: &Context) -> PathBuf {
    context.data_dir.join(CACHE_DIR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pushed_is_named_by_a_tag() {
        let named = |text: &str| reference(text).and_then(|named| check_is_no_digest(&named));
        assert!(named("127.0.0.1:5000/mesh:dev").is_ok());
        let digest = "0".repeat(64);
        let failure = named(&format!("127.0.0.1:5000/mesh@sha256:{digest}")).unwrap_err();
        assert!(failure.message.contains(&digest), "{}", failure.message);
        assert!(failure.hint.is_some_and(|hint| hint.contains(":TAG")));
    }

    #[test]
    fn a_registry_without_a_name_in_it_is_no_reference() {
        let failure = reference("127.0.0.1:28500").unwrap_err();
        assert!(
            failure.message.contains("REGISTRY/NAME:TAG"),
            "{}",
            failure.message
        );
    }
}
