//! An application as an artefact: which blobs, in which layers, in Spin's layout.
//! Pure.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use kgents_app::lock::{ContentRef, LockedApp};
use kgents_app::{AppError, Digest, Packed};
use serde_json::Value;

use crate::layout::{self, Descriptor};
use crate::{OciError, Reference, archive};

/// Files up to this size are put into the application itself, as Spin does: some
/// registries do not take very small blobs.
const INLINE_BYTES_MAX: usize = 128;
/// Layers of one artefact; some registries take no more. With more files than
/// that, all files go into one archive.
const LAYERS_MAX: usize = 500;

/// All that is stored for one application.
pub(crate) struct Artefact {
    /// Layers and image configuration, each once.
    pub(crate) blobs: Vec<Blob>,
    /// The manifest, stored last.
    pub(crate) manifest: Bytes,
    /// What the artefact is named by from then on.
    pub(crate) digest: Digest,
}

/// One blob.
pub(crate) struct Blob {
    /// What it is called in messages.
    pub(crate) what: String,
    /// What it is named by.
    pub(crate) digest: Digest,
    /// The bytes.
    pub(crate) bytes: Bytes,
    media_type: &'static str,
}

impl Blob {
    fn new(name: &str, media_type: &'static str, digest: Digest, bytes: Bytes) -> Self {
        Self {
            what: format!("{name} ({media_type}, {digest})"),
            digest,
            bytes,
            media_type,
        }
    }

    fn descriptor(&self) -> Descriptor {
        Descriptor {
            media_type: self.media_type.to_owned(),
            digest: self.digest.to_string(),
            size: self.bytes.len() as u64,
        }
    }
}

/// The artefact of `packed`. The same application gives the same artefact.
pub(crate) fn assemble(packed: &Packed, reference: &Reference) -> Result<Artefact, OciError> {
    let unusable = |source| OciError::App {
        reference: reference.to_string(),
        source,
    };
    let mut lock = packed.lock.clone();
    lock.metadata.remove("origin");
    let mut contents = Contents::new(&packed.blobs);
    for component in &mut lock.components {
        contents.place(component).map_err(unusable)?;
    }
    let mut layers = contents.layers(LAYERS_MAX - 1)?;
    let json = Bytes::from(lock.to_json().map_err(unusable)?);
    let application = Digest::of(&json);
    layers.push(Blob::new(
        "the application",
        layout::APPLICATION,
        application,
        json,
    ));
    let image = Bytes::from(layout::image(application)?);
    let digest = Digest::of(&image);
    let image = Blob::new("the image configuration", layout::CONFIG, digest, image);
    let descriptors = layers.iter().map(Blob::descriptor).collect();
    let manifest = layout::write(image.descriptor(), descriptors, &annotations(&lock))?;
    layers.push(image);
    Ok(Artefact {
        blobs: layers,
        digest: Digest::of(&manifest),
        manifest: Bytes::from(manifest),
    })
}

/// The contents of an application, sorted into layers.
struct Contents<'a> {
    blobs: &'a BTreeMap<Digest, Bytes>,
    /// Components, in order, each once.
    wasm: Vec<(String, Digest, Bytes)>,
    /// Files that are not inside the application.
    files: BTreeMap<Digest, Bytes>,
    seen: BTreeSet<Digest>,
}

impl<'a> Contents<'a> {
    fn new(blobs: &'a BTreeMap<Digest, Bytes>) -> Self {
        Self {
            blobs,
            wasm: Vec::new(),
            files: BTreeMap::new(),
            seen: BTreeSet::new(),
        }
    }

    /// Take what `component` refers to, and let it refer to where that will be.
    fn place(&mut self, component: &mut kgents_app::lock::LockedComponent) -> Result<(), AppError> {
        let at = format!("component `{}`", component.id);
        let sources = component
            .dependencies
            .values_mut()
            .map(|one| &mut one.source);
        for source in std::iter::once(&mut component.source).chain(sources) {
            let place = format!("{at}: source");
            let (digest, bytes) = self.content(&place, &source.content)?;
            source.content = ContentRef {
                digest: Some(digest.to_string()),
                ..ContentRef::default()
            };
            if self.seen.insert(digest) {
                self.wasm.push((at.clone(), digest, bytes));
            }
        }
        for file in &mut component.files {
            let place = format!("{at}: file `{}`", file.path);
            let (digest, bytes) = self.content(&place, &file.content)?;
            let inline = bytes.len() <= INLINE_BYTES_MAX;
            file.content = ContentRef {
                source: None,
                inline: inline.then(|| bytes.to_vec()),
                digest: Some(digest.to_string()),
            };
            file.path = relative(&place, &file.path)?;
            if !inline {
                self.files.insert(digest, bytes);
            }
        }
        Ok(())
    }

    /// What `content` at `at` stands for.
    fn content(&self, at: &str, content: &ContentRef) -> Result<(Digest, Bytes), AppError> {
        if let Some(inline) = &content.inline {
            return Ok((Digest::of(inline), Bytes::copy_from_slice(inline)));
        }
        let digest = content.digest.as_deref().unwrap_or_default();
        let digest: Digest = digest
            .parse()
            .map_err(|problem: kgents_app::Problem| problem.at(at))?;
        let found = self.blobs.get(&digest).cloned();
        let bytes = found.ok_or_else(|| AppError::Missing {
            at: at.to_owned(),
            digest,
        })?;
        Ok((digest, bytes))
    }

    /// At most `layers_max` layers.
    fn layers(self, layers_max: usize) -> Result<Vec<Blob>, OciError> {
        let components = self.wasm.into_iter();
        let mut layers: Vec<Blob> = components
            .map(|(name, digest, bytes)| Blob::new(&name, layout::WASM, digest, bytes))
            .collect();
        let one_each = layers.len() + self.files.len() <= layers_max;
        if one_each {
            layers.extend(
                self.files
                    .into_iter()
                    .map(|(digest, bytes)| Blob::new("a file", layout::DATA, digest, bytes)),
            );
        } else if !self.files.is_empty() {
            let what = "the archive of files";
            let bytes = archive::write(&self.files)
                .map_err(|error| OciError::artefact(what, error.to_string()))?;
            let digest = Digest::of(&bytes);
            layers.push(Blob::new(what, layout::ARCHIVE, digest, Bytes::from(bytes)));
        }
        if layers.len() > layers_max {
            let count = layers.len();
            return Err(OciError::artefact(
                "the artefact",
                format!("{count} components; registries take {layers_max} layers"),
            ));
        }
        let large = |layer: &&Blob| layer.bytes.len() as u64 > layout::LAYER_BYTES_MAX;
        match layers.iter().find(large) {
            Some(layer) => Err(OciError::TooLarge {
                what: layer.what.clone(),
                bytes_max: layout::LAYER_BYTES_MAX,
            }),
            None => Ok(layers),
        }
    }
}

/// A path as Spin wants it in an artefact: below the component's root, without a
/// step out of it.
fn relative(at: &str, path: &str) -> Result<String, AppError> {
    let path = path.trim_start_matches('/');
    let sound = |step: &str| !matches!(step, "" | "." | "..");
    if path.split('/').all(sound) {
        return Ok(path.to_owned());
    }
    Err(kgents_app::Problem::new("the path has an empty step, `.` or `..`").at(at))
}

/// What registries show of the application, in the words of the image
/// specification.
fn annotations(lock: &LockedApp) -> BTreeMap<String, String> {
    let text = |name: &str| match lock.metadata.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(texts)) => {
            let texts: Vec<&str> = texts.iter().filter_map(Value::as_str).collect();
            texts.join(", ")
        }
        _ => String::new(),
    };
    [
        ("org.opencontainers.image.title", "name"),
        ("org.opencontainers.image.version", "version"),
        ("org.opencontainers.image.description", "description"),
        ("org.opencontainers.image.authors", "authors"),
    ]
    .into_iter()
    .map(|(annotation, name)| (annotation.to_owned(), text(name)))
    .filter(|(_, text)| !text.is_empty())
    .collect()
}
