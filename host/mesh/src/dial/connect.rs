//! Connections: names are resolved here, and only addresses that are allowed
//! come out, so what is connected to is what was judged.

use super::Allow;
use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tower_service::Service;

/// Idle connections kept to one agent: as many as callers come at once.
const IDLE_PER_HOST: usize = 512;
/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(60);

/// The HTTP client behind the dialler; follows no redirects.
pub(super) type Client =
    hyper_util::client::legacy::Client<HttpsConnector<HttpConnector<Judged>>, Full<Bytes>>;

/// Resolves names and lets only allowed addresses through.
#[derive(Clone)]
pub(super) struct Judged {
    resolver: GaiResolver,
    allow: Arc<Allow>,
}

pub(super) fn client(allow: Arc<Allow>, connect: Duration) -> io::Result<Client> {
    let mut http = HttpConnector::new_with_resolver(Judged {
        resolver: GaiResolver::new(),
        allow,
    });
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(connect));
    // The provider is named, since a process may hold more than one.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let https = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(provider)?
        .https_or_http()
        .enable_http1()
        .wrap_connector(http);
    Ok(
        hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .pool_timer(TokioTimer::new())
            .build(https),
    )
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
