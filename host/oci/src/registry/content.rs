//! Manifests and blobs: fetched and proven, stored unless they are there.

use std::str::FromStr;

use bytes::Bytes;
use http::header;
use http::{HeaderMap, Method, Response, StatusCode};
use hyper::body::Incoming;
use kgents_app::Digest;
use sha2::{Digest as _, Sha256};

use super::challenge::form;
use super::{Call, Registry};
use crate::layout::{MANIFEST, MANIFESTS_TOLD};
use crate::{OciError, Reference};

/// Largest manifest; what registries must take, by the specification.
const MANIFEST_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// How a registry names what it holds or sends.
const CONTENT_DIGEST: &str = "docker-content-digest";

/// A manifest as it came, proven.
pub(crate) struct Fetched {
    /// The bytes.
    pub(crate) bytes: Bytes,
    /// Their digest.
    pub(crate) digest: Digest,
    /// `Content-Type`, without parameters.
    pub(crate) media_type: String,
}

impl Registry {
    /// The manifest that `reference` names.
    pub(crate) async fn manifest(&self, reference: &Reference) -> Result<Fetched, OciError> {
        let what = format!("the manifest of `{reference}`");
        let uri = self.address(&what, &format!("manifests/{}", reference.manifest()))?;
        let mut call = Call::new(Method::GET, uri);
        call.accept = Some(MANIFESTS_TOLD);
        let response = self.send(&what, call).await?;
        let response = self.accepted(&what, response, &[StatusCode::OK]).await?;
        let told = told_digest(response.headers());
        let media_type = media_type(&response);
        let bytes = self
            .read(&what, response, MANIFEST_BYTES_MAX, |_| {})
            .await?;
        let digest = Digest::of(&bytes);
        for expected in [reference.digest(), told].into_iter().flatten() {
            check_digest(&what, expected, digest)?;
        }
        Ok(Fetched {
            bytes,
            digest,
            media_type,
        })
    }

    /// The blob with `digest`, which has `size` bytes.
    pub(crate) async fn blob(
        &self,
        what: &str,
        digest: Digest,
        size: u64,
    ) -> Result<Bytes, OciError> {
        let uri = self.address(what, &format!("blobs/{digest}"))?;
        let response = self.send(what, Call::new(Method::GET, uri)).await?;
        let response = self.accepted(what, response, &[StatusCode::OK]).await?;
        let mut hash = Sha256::new();
        let read = self
            .read(what, response, size, |piece| hash.update(piece))
            .await;
        let bytes = read.map_err(|error| match error {
            OciError::TooLarge { .. } => {
                let problem = format!("more comes than the {size} bytes of the manifest");
                OciError::artefact(what, problem)
            }
            other => other,
        })?;
        if bytes.len() as u64 != size {
            let problem = format!("{} bytes came, the manifest says {size}", bytes.len());
            return Err(OciError::artefact(what, problem));
        }
        check_digest(what, digest, Digest::from_bytes(hash.finalize().into()))?;
        Ok(bytes)
    }

    /// Store `bytes` as a blob, unless the repository has them.
    pub(crate) async fn store(
        &self,
        what: &str,
        digest: Digest,
        bytes: Bytes,
    ) -> Result<(), OciError> {
        let uri = self.address(what, &format!("blobs/{digest}"))?;
        let response = self.send(what, Call::new(Method::HEAD, uri)).await?;
        if response.status() == StatusCode::OK {
            return Ok(());
        }
        let uploads = self.address(what, "blobs/uploads/")?;
        let begun = self
            .send(what, Call::new(Method::POST, uploads.clone()))
            .await?;
        let begun = self.accepted(what, begun, &[StatusCode::ACCEPTED]).await?;
        let location = self.location(what, &uploads, begun.headers())?;
        let joint = if location.query().is_some() { '&' } else { '?' };
        let question = form([("digest", digest.to_string().as_str())]);
        let uri = format!("{location}{joint}{question}")
            .parse()
            .map_err(|_| self.protocol(what, "it leads to what is no address"))?;
        let mut call = Call::new(Method::PUT, uri);
        call.content_type = Some("application/octet-stream");
        call.body = bytes;
        let response = self.send(what, call).await?;
        let response = self
            .accepted(what, response, &[StatusCode::CREATED])
            .await?;
        self.check_told(what, response.headers(), digest)
    }

    /// Store the manifest, last of all: with it the artefact is there.
    pub(crate) async fn store_manifest(
        &self,
        reference: &Reference,
        digest: Digest,
        bytes: Bytes,
    ) -> Result<(), OciError> {
        let what = format!("storing the manifest of `{reference}`");
        let uri = self.address(&what, &format!("manifests/{}", reference.manifest()))?;
        let mut call = Call::new(Method::PUT, uri);
        call.content_type = Some(MANIFEST);
        call.body = bytes;
        let response = self.send(&what, call).await?;
        let response = self
            .accepted(&what, response, &[StatusCode::CREATED])
            .await?;
        self.check_told(&what, response.headers(), digest)
    }

    /// What the registry says it has stored must be what was sent.
    fn check_told(&self, what: &str, headers: &HeaderMap, sent: Digest) -> Result<(), OciError> {
        match told_digest(headers) {
            Some(told) => check_digest(what, sent, told),
            None => Ok(()),
        }
    }
}

fn check_digest(what: &str, expected: Digest, found: Digest) -> Result<(), OciError> {
    if expected == found {
        return Ok(());
    }
    Err(OciError::Digest {
        what: what.to_owned(),
        expected,
        found,
    })
}

/// The SHA-256 that the answer names; other algorithms prove nothing here.
fn told_digest(headers: &HeaderMap) -> Option<Digest> {
    let told = headers.get(CONTENT_DIGEST)?.to_str().ok()?;
    Digest::from_str(told.trim()).ok()
}

fn media_type(response: &Response<Incoming>) -> String {
    let value = response.headers().get(header::CONTENT_TYPE);
    let value = value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let value = value.split(';').next().unwrap_or_default();
    value.trim().to_ascii_lowercase()
}
