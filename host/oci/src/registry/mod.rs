//! One repository of one registry, over HTTP: the OCI distribution protocol, as
//! far as an application needs it.
//!
//! Its own client, on the HTTP and TLS that the mesh has: every answer is bounded
//! in size and time, and nothing a registry says can stop this process.
//!
//! Reading order: `upload`, `challenge` (pure), this file (what a registry is),
//! `request` (one answer, wherever it leads), `authorize` (credentials), `content`
//! (manifests and blobs).

mod authorize;
mod challenge;
mod content;
mod request;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use http::header::HeaderValue;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::Mutex;

use crate::credentials::Login;
use crate::{OciError, Reference, Times};
use request::Call;
use upload::Upload;

/// How long a connection without a request is kept.
const IDLE_CONNECTION: Duration = Duration::from_secs(30);

/// What one may do with the repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Read.
    Pull,
    /// Read and write.
    Push,
}

/// A repository that can be asked.
pub(crate) struct Registry {
    client: Client<HttpsConnector<HttpConnector>, Upload>,
    /// Scheme, host and port, as in `https://ghcr.io`.
    origin: String,
    /// Host and port as people write them.
    name: String,
    repository: String,
    access: Access,
    login: Login,
    /// What is shown on each request, once the registry has asked for it.
    authorization: Mutex<Option<HeaderValue>>,
    times: Times,
}

impl Registry {
    /// The repository of `reference`; nothing is sent yet.
    ///
    /// # Errors
    /// When the system's certificate roots cannot be read.
    pub(crate) fn new(
        reference: &Reference,
        access: Access,
        plain: bool,
        login: Login,
        times: Times,
    ) -> Result<Self, OciError> {
        let scheme = if plain { "http" } else { "https" };
        Ok(Self {
            client: client(plain, times.connect).map_err(OciError::Roots)?,
            origin: format!("{scheme}://{}", reference.host()),
            name: reference.registry().to_owned(),
            repository: reference.repository().to_owned(),
            access,
            login,
            authorization: Mutex::new(None),
            times,
        })
    }

    /// The address of `rest` in this repository.
    fn address(&self, what: &str, rest: &str) -> Result<Uri, OciError> {
        format!("{}/v2/{}/{rest}", self.origin, self.repository)
            .parse()
            .map_err(|_| self.protocol(what, "its address cannot be written"))
    }

    fn protocol(&self, what: &str, problem: impl Into<String>) -> OciError {
        OciError::Protocol {
            registry: self.name.clone(),
            what: what.to_owned(),
            problem: problem.into(),
        }
    }

    fn denied(&self, what: &str, message: String) -> OciError {
        OciError::Denied {
            registry: self.name.clone(),
            what: what.to_owned(),
            who: self.login.who(),
            message,
        }
    }

    fn silent(&self, registry: String, what: &str) -> OciError {
        OciError::Silent {
            registry,
            what: what.to_owned(),
            seconds: self.times.idle.as_secs(),
        }
    }
}

fn client(
    plain: bool,
    connect: Duration,
) -> std::io::Result<Client<HttpsConnector<HttpConnector>, Upload>> {
    // The provider is named, since a process may hold more than one.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = HttpsConnectorBuilder::new();
    let builder = match builder.with_provider_and_native_roots(Arc::clone(&provider)) {
        Ok(builder) => builder,
        // A machine without roots can still use a registry without TLS.
        Err(_) if plain => {
            let config = rustls::ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .map_err(std::io::Error::other)?
                .with_root_certificates(rustls::RootCertStore::empty())
                .with_no_client_auth();
            HttpsConnectorBuilder::new().with_tls_config(config)
        }
        Err(error) => return Err(error),
    };
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(connect));
    let https = builder.https_or_http().enable_http1().wrap_connector(http);
    Ok(Client::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE_CONNECTION)
        .pool_timer(TokioTimer::new())
        .build(https))
}
