//! Push and pull.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use kgents_app::{Digest, LockedApp, Packed};

use crate::assemble::{Artefact, Blob, assemble};
use crate::cache::Cache;
use crate::layout::{self, Manifest, Part};
use crate::registry::{Access, Registry};
use crate::restore::{self, CONTENTS_BYTES_MAX};
use crate::{OciError, Reference, Settings, archive};

/// Blobs that are moved at once: enough to fill a line, few enough for a registry
/// not to mind.
const AT_ONCE: usize = 6;

/// An application that was pulled.
#[derive(Debug)]
pub struct Pulled {
    /// The application.
    pub packed: Packed,
    /// What the artefact is named by: `REGISTRY/NAME@DIGEST` is this one for ever.
    pub digest: Digest,
}

/// Store `packed` in the registry as `reference`; what the registry has already is
/// not sent again. Returns the digest of the artefact, which is the same for the
/// same application.
///
/// # Errors
/// When a content is missing or too large, and for everything that can go wrong on
/// the way. The tag moves only after everything is stored.
pub async fn push(
    packed: &Packed,
    reference: &Reference,
    settings: &Settings,
) -> Result<Digest, OciError> {
    let Artefact {
        blobs,
        manifest,
        digest,
    } = {
        let (packed, reference) = (packed.clone(), reference.clone());
        off_thread("the artefact", move || assemble(&packed, &reference)).await??
    };
    if let Some(expected) = reference.digest()
        && expected != digest
    {
        return Err(OciError::Digest {
            what: format!("`{reference}`"),
            expected,
            found: digest,
        });
    }
    let pushing = async {
        let registry = open(reference, Access::Push, settings).await?;
        let mut blobs = blobs.into_iter();
        // One alone at first: it gets the credentials that the others then show.
        if let Some(first) = blobs.next() {
            store(&registry, first).await?;
        }
        let storing: Vec<_> = blobs.map(|blob| store(&registry, blob)).collect();
        let stored = stream::iter(storing).buffer_unordered(AT_ONCE);
        stored.try_collect::<Vec<()>>().await?;
        registry.store_manifest(reference, digest, manifest).await
    };
    within(reference, settings, pushing).await?;
    Ok(digest)
}

/// Fetch the application that `reference` names. Manifest, configuration and every
/// blob are proven by their digests.
///
/// # Errors
/// When the artefact is not a Spin application, or not whole, naming the layer; and
/// for everything that can go wrong on the way.
pub async fn pull(reference: &Reference, settings: &Settings) -> Result<Pulled, OciError> {
    let cache = settings.cache.as_deref().map(Cache::open).transpose()?;
    let pulling = async {
        let registry = open(reference, Access::Pull, settings).await?;
        let source = Source {
            registry: &registry,
            cache: cache.as_ref(),
        };
        let fetched = registry.manifest(reference).await?;
        let manifest = Manifest::read(reference, &fetched.media_type, &fetched.bytes)?;
        let packed = source.application(reference, &manifest).await?;
        Ok(Pulled {
            packed,
            digest: fetched.digest,
        })
    };
    within(reference, settings, pulling).await
}

async fn open(
    reference: &Reference,
    access: Access,
    settings: &Settings,
) -> Result<Registry, OciError> {
    let login = settings.credentials.login(reference).await?;
    let plain = settings.plain(reference);
    Registry::new(reference, access, plain, login, settings.times)
}

async fn store(registry: &Registry, blob: Blob) -> Result<(), OciError> {
    let what = format!("storing {}", blob.what);
    registry.store(&what, blob.digest, blob.bytes).await
}

async fn within<T>(
    reference: &Reference,
    settings: &Settings,
    work: impl Future<Output = Result<T, OciError>>,
) -> Result<T, OciError> {
    let whole = settings.times.whole;
    let done = tokio::time::timeout(whole, work).await;
    done.unwrap_or_else(|_| {
        Err(OciError::Late {
            reference: reference.to_string(),
            seconds: whole.as_secs(),
        })
    })
}

/// Where blobs come from.
struct Source<'a> {
    registry: &'a Registry,
    cache: Option<&'a Cache>,
}

impl Source<'_> {
    /// The application that `manifest` describes.
    async fn application(
        &self,
        reference: &Reference,
        manifest: &Manifest,
    ) -> Result<Packed, OciError> {
        let unusable = |source| OciError::App {
            reference: reference.to_string(),
            source,
        };
        let application = manifest.application(reference)?;
        let json = self.part(application).await?;
        if application.digest != manifest.config.digest {
            let image = self.part(&manifest.config).await?;
            layout::check_image(&manifest.config.what, &image, application.digest)?;
        }
        let lock = LockedApp::from_json(&json).map_err(unusable)?;
        let wanted = restore::wanted(&lock).map_err(unusable)?;
        let plan = restore::plan(manifest, &wanted)?;
        let mut found = self.parts(&plan.contents).await?;
        for (part, bytes) in self.fetch(&plan.archives).await? {
            let held: u64 = found.values().map(|bytes| bytes.len() as u64).sum();
            let left = CONTENTS_BYTES_MAX.saturating_sub(held);
            let what = part.what.clone();
            let unpacked =
                off_thread(&part.what, move || archive::read(&what, &bytes, left)).await??;
            found.extend(unpacked);
        }
        let reference = reference.clone();
        off_thread("the application", move || {
            restore::restore(&reference, lock, &wanted, found)
        })
        .await?
    }

    /// All of `parts`, by digest.
    async fn parts(&self, parts: &[Part]) -> Result<BTreeMap<Digest, Bytes>, OciError> {
        let fetched = self.fetch(parts).await?.into_iter();
        Ok(fetched.map(|(part, bytes)| (part.digest, bytes)).collect())
    }

    /// All of `parts`, several at once.
    async fn fetch<'p>(&self, parts: &'p [Part]) -> Result<Vec<(&'p Part, Bytes)>, OciError> {
        let fetching: Vec<_> = parts
            .iter()
            .map(|part| async move { Ok((part, self.part(part).await?)) })
            .collect();
        let fetched = stream::iter(fetching).buffer_unordered(AT_ONCE);
        fetched.try_collect().await
    }

    /// One blob: from the cache, else from the registry and into the cache.
    async fn part(&self, part: &Part) -> Result<Bytes, OciError> {
        let Part {
            what, digest, size, ..
        } = part;
        let Some(cache) = self.cache else {
            return self.registry.blob(what, *digest, *size).await;
        };
        let (reading, digest, size) = (cache.clone(), *digest, *size);
        if let Some(bytes) = off_thread(what, move || reading.get(digest, size)).await? {
            return Ok(bytes);
        }
        let bytes = self.registry.blob(what, digest, size).await?;
        let (writing, kept) = (cache.clone(), bytes.clone());
        off_thread(what, move || writing.put(digest, &kept)).await?;
        Ok(bytes)
    }
}

/// Work that takes milliseconds or waits for a disk, where it holds nobody up.
async fn off_thread<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, OciError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| OciError::artefact(what, "its processing broke off"))
}
