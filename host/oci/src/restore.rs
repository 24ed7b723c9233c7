//! An artefact as an application: which of its layers are needed, and what they
//! make together. Pure.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use kgents_app::lock::{ContentRef, LockedApp, LockedComponent};
use kgents_app::{AppError, Dependency, Digest, Packed, Problem, compose};

use crate::layout::{self, Manifest, Part};
use crate::{OciError, Reference};

/// All contents of one application, bytes: they are in memory while it runs.
pub(crate) const CONTENTS_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// What a content has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// WebAssembly.
    Component,
    /// A file that a component sees.
    File,
}

/// A content that the application refers to and does not hold itself.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// By whom: `component `web`: source`.
    at: String,
    digest: Digest,
    kind: Kind,
}

/// What has to be fetched for an application.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Contents, each by its own digest.
    pub(crate) contents: Vec<Part>,
    /// Archives with the contents that have no layer of their own.
    pub(crate) archives: Vec<Part>,
}

/// What `lock` refers to and does not hold itself. What it holds is proven here.
pub(crate) fn wanted(lock: &LockedApp) -> Result<Vec<Wanted>, AppError> {
    let mut wanted = Vec::new();
    for component in &lock.components {
        for (at, content, kind) in contents(component) {
            if let Some(inline) = &content.inline {
                inline_digest(&at, content, inline)?;
            } else {
                let digest = digest(&at, content)?;
                wanted.push(Wanted { at, digest, kind });
            }
        }
    }
    Ok(wanted)
}

/// The layers of `manifest` that hold what is `wanted`. Layers that nobody wants
/// are not fetched, whatever they are.
pub(crate) fn plan(manifest: &Manifest, wanted: &[Wanted]) -> Result<Plan, OciError> {
    let mut by_digest: BTreeMap<Digest, Vec<&Part>> = BTreeMap::new();
    for layer in &manifest.layers {
        by_digest.entry(layer.digest).or_default().push(layer);
    }
    let archive = |layer: &&Part| layer.media_type == layout::ARCHIVE;
    let archives: Vec<Part> = manifest.layers.iter().filter(archive).cloned().collect();
    let mut contents = Vec::new();
    let mut seen = BTreeSet::new();
    let mut in_archives = false;
    for Wanted { at, digest, kind } in wanted {
        let layers = by_digest.get(digest).map(Vec::as_slice).unwrap_or_default();
        match layers.iter().find(|layer| fits(layer, *kind)) {
            Some(layer) => {
                if seen.insert(*digest) {
                    contents.push((*layer).clone());
                }
            }
            None => match layers.first() {
                Some(layer) => return Err(unfit(layer, at, *kind)),
                None if *kind == Kind::File && !archives.is_empty() => in_archives = true,
                None => return Err(absent(at, *digest)),
            },
        }
    }
    let plan = Plan {
        contents,
        archives: if in_archives { archives } else { Vec::new() },
    };
    let bytes = plan
        .contents
        .iter()
        .chain(&plan.archives)
        .map(|part| part.size);
    let sum = bytes.fold(0u64, u64::saturating_add);
    if sum > CONTENTS_BYTES_MAX {
        return Err(OciError::TooLarge {
            what: "the contents of the application".to_owned(),
            bytes_max: CONTENTS_BYTES_MAX,
        });
    }
    Ok(plan)
}

/// The application `lock` with `found`, in which everything wanted must be. What
/// was pushed with its dependencies beside it is composed here, so that what comes
/// out is always whole.
pub(crate) fn restore(
    reference: &Reference,
    mut lock: LockedApp,
    wanted: &[Wanted],
    mut found: BTreeMap<Digest, Bytes>,
) -> Result<Packed, OciError> {
    for Wanted { at, digest, .. } in wanted {
        if !found.contains_key(digest) {
            return Err(absent(at, *digest));
        }
    }
    let mut blobs = BTreeMap::new();
    for component in &mut lock.components {
        let whole = make_whole(component, &mut found, &mut blobs);
        whole.map_err(|source| OciError::App {
            reference: reference.to_string(),
            source,
        })?;
    }
    Ok(Packed { lock, blobs })
}

/// Take all contents of `component` out of it, compose it, and put what it then
/// refers to into `blobs`.
fn make_whole(
    component: &mut LockedComponent,
    found: &mut BTreeMap<Digest, Bytes>,
    blobs: &mut BTreeMap<Digest, Bytes>,
) -> Result<(), AppError> {
    for content in contents_mut(component) {
        // An address on the machine where it was packed means nothing here.
        content.source = None;
        if let Some(bytes) = content.inline.take().map(Bytes::from) {
            let digest = Digest::of(&bytes);
            content.digest = Some(digest.to_string());
            found.insert(digest, bytes);
        }
    }
    if !component.dependencies.is_empty() {
        let mut dependencies = Vec::with_capacity(component.dependencies.len());
        for (name, dependency) in std::mem::take(&mut component.dependencies) {
            let at = format!("component `{}`: dependency `{name}`", component.id);
            dependencies.push(Dependency {
                wasm: content(&at, &dependency.source.content, found)?.1,
                name,
                export: dependency.export,
                inherit: dependency.inherit,
            });
        }
        let at = format!("component `{}`: source", component.id);
        let (_, wasm) = content(&at, &component.source.content, found)?;
        let composed = compose(&component.id, &wasm, &dependencies)?;
        let digest = Digest::of(&composed);
        component.source.content.digest = Some(digest.to_string());
        found.insert(digest, composed);
    }
    for (at, reference, _) in contents(component) {
        let (digest, bytes) = content(&at, reference, found)?;
        blobs.insert(digest, bytes);
    }
    Ok(())
}

/// What `reference` at `at` stands for.
fn content(
    at: &str,
    reference: &ContentRef,
    found: &BTreeMap<Digest, Bytes>,
) -> Result<(Digest, Bytes), AppError> {
    let digest = digest(at, reference)?;
    let bytes = found
        .get(&digest)
        .cloned()
        .ok_or_else(|| AppError::Missing {
            at: at.to_owned(),
            digest,
        })?;
    Ok((digest, bytes))
}

fn fits(layer: &Part, kind: Kind) -> bool {
    match kind {
        Kind::Component => [layout::WASM, layout::WASM_PLAIN].contains(&layer.media_type.as_str()),
        Kind::File => layer.media_type == layout::DATA,
    }
}

fn unfit(layer: &Part, at: &str, kind: Kind) -> OciError {
    let expected = match kind {
        Kind::Component => layout::WASM,
        Kind::File => layout::DATA,
    };
    OciError::artefact(
        layer.what.as_str(),
        format!("its media type is wrong: {at} needs it as `{expected}`"),
    )
}

fn absent(at: &str, digest: Digest) -> OciError {
    OciError::artefact(
        at,
        format!("no layer of the artefact holds {digest}; push it again"),
    )
}

/// What a component refers to, with the place and what it has to be.
fn contents(component: &LockedComponent) -> Vec<(String, &ContentRef, Kind)> {
    let at = format!("component `{}`", component.id);
    let source = (
        format!("{at}: source"),
        &component.source.content,
        Kind::Component,
    );
    let dependencies = component.dependencies.iter().map(|(name, dependency)| {
        let at = format!("{at}: dependency `{name}`");
        (at, &dependency.source.content, Kind::Component)
    });
    let files = component.files.iter().map(|file| {
        (
            format!("{at}: file `{}`", file.path),
            &file.content,
            Kind::File,
        )
    });
    std::iter::once(source)
        .chain(dependencies)
        .chain(files)
        .collect()
}

fn contents_mut(component: &mut LockedComponent) -> impl Iterator<Item = &mut ContentRef> {
    let dependencies = component.dependencies.values_mut();
    std::iter::once(&mut component.source.content)
        .chain(dependencies.map(|dependency| &mut dependency.source.content))
        .chain(component.files.iter_mut().map(|file| &mut file.content))
}

fn digest(at: &str, content: &ContentRef) -> Result<Digest, AppError> {
    let missing = || Problem::new("it has neither a digest nor content").at(at);
    let written = content.digest.as_deref().ok_or_else(missing)?;
    written.parse().map_err(|problem: Problem| problem.at(at))
}

/// The digest of content that is held inside, which must be the one written down,
/// if one is.
fn inline_digest(at: &str, content: &ContentRef, inline: &[u8]) -> Result<Digest, AppError> {
    let found = Digest::of(inline);
    if content.digest.is_some() {
        let expected = digest(at, content)?;
        if expected != found {
            return Err(AppError::Digest {
                at: at.to_owned(),
                expected,
                found,
            });
        }
    }
    Ok(found)
}
