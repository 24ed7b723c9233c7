//! Connections: names are resolved here, and only addresses that are allowed
//! come out, so what is connected to is what was judged.

use super::Allow;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::rt::TokioIo;
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tower_service::Service;

/// Opens connections, with TLS where the URL says https.
pub(super) type Connector = HttpsConnector<HttpConnector<Judged>>;
/// What it opens.
pub(super) type Socket = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Resolves names and lets only allowed addresses through.
#[derive(Clone)]
pub(super) struct Judged {
    resolver: GaiResolver,
    allow: Arc<Allow>,
}

/// A connector that gives up on an address after `connect`. Where the system has no
/// certificate roots, as in the smallest containers, nobody is trusted over TLS and
/// the log says so; plain addresses need none.
///
/// # Errors
/// When TLS cannot be set up at all.
pub(super) fn connector(allow: Arc<Allow>, connect: Duration) -> io::Result<Connector> {
    let mut http = HttpConnector::new_with_resolver(Judged {
        resolver: GaiResolver::new(),
        allow,
    });
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(connect));
    // The provider is named, since a process may hold more than one.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let rooted = HttpsConnectorBuilder::new().with_provider_and_native_roots(Arc::clone(&provider));
    let tls = match rooted {
        Ok(rooted) => rooted,
        Err(error) => {
            tracing::warn!(
                %error,
                "no certificate roots: agents at https addresses cannot be called; install ca-certificates"
            );
            HttpsConnectorBuilder::new().with_tls_config(trusting_nobody(provider)?)
        }
    };
    Ok(tls.https_or_http().enable_http1().wrap_connector(http))
}

fn trusting_nobody(provider: Arc<CryptoProvider>) -> io::Result<ClientConfig> {
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth())
}

impl Service<Name> for Judged {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.resolver.poll_ready(cx)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let host = name.as_str().to_owned();
        let resolving = self.resolver.call(name);
        let allow = Arc::clone(&self.allow);
        Box::pin(async move {
            let found: Vec<SocketAddr> = resolving
                .await?
                .filter(|address| allow.permits(address.ip()))
                .collect();
            if found.is_empty() {
                let text = format!("`{host}` has no address the mesh may call");
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
            }
            Ok(found.into_iter())
        })
    }
}
