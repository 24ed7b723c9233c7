//! The HTTP client behind guests: pooled connections, TLS, and the three
//! time-outs that a guest may set.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::Sleep;
use tower_service::Service;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use crate::error::RunError;

/// Each of a guest's time-outs where it sets none; as in Spin. What a component
/// may take in all ends sooner.
const TIMEOUT: Duration = Duration::from_secs(600);

/// Idle connections kept to one host: as many as guests call at once.
const IDLE_PER_HOST: usize = 512;

/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(60);

/// Largest head of an answer, in bytes, and most headers in it; a host that
/// sends more is not listened to.
const HEAD_BYTES_MAX: usize = 64 * 1024;
const HEADERS_MAX: usize = 256;

tokio::task_local! {
    /// How long the request in hand may wait for its connection. The client takes
    /// no options per request; a connection that is there already needs no time.
    static CONNECT: Duration;
}

/// Sends requests over HTTP/1.1, and HTTP/2 where TLS agrees on it.
#[derive(Clone)]
pub(crate) struct Client {
    inner: legacy::Client<Hasty<HttpsConnector<HttpConnector<Resolver>>>, WasiBody>,
}

impl Client {
    /// `tls` when requests over `https` are sent; without, the system's certificate
    /// roots are not looked for, and nobody is trusted.
    ///
    /// # Errors
    /// [`RunError::Roots`] when they are needed and cannot be read.
    pub(crate) fn new(tls: bool) -> Result<Self, RunError> {
        let mut http = HttpConnector::new_with_resolver(Resolver(GaiResolver::new()));
        http.enforce_http(false);
        http.set_nodelay(true);
        // The provider is named, since a process may hold more than one.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let https = if tls {
            HttpsConnectorBuilder::new()
                .with_provider_and_native_roots(provider)
                .map_err(RunError::Roots)?
        } else {
            let trusting_nobody = rustls::ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .map_err(|error| RunError::Roots(io::Error::other(error)))?
                .with_root_certificates(rustls::RootCertStore::empty())
                .with_no_client_auth();
            HttpsConnectorBuilder::new().with_tls_config(trusting_nobody)
        };
        let https = https
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(http);
        let inner = legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .http1_max_buf_size(HEAD_BYTES_MAX)
            .http1_max_headers(HEADERS_MAX)
            .http2_max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
            .build(Hasty(https));
        Ok(Self { inner })
    }

    /// Send a request and wait for the head of its answer.
    ///
    /// # Errors
    /// What the guest is told.
    pub(crate) async fn send(
        &self,
        request: Request<WasiBody>,
        options: RequestOptions,
    ) -> Result<Response<WasiBody>, Error> {
        let connect = options.connect_timeout.unwrap_or(TIMEOUT);
        let answering = CONNECT.scope(connect, self.inner.request(request));
        let response: Response<Incoming> = first_byte(options, answering)
            .await?
            .map_err(|error| told(&error))?;
        Ok(response.map(|body| between_bytes(options, body.map_err(Error::Hyper))))
    }
}

/// Wait for the head of an answer as long as the guest wants to.
///
/// # Errors
/// When it does not come in time.
pub(super) async fn first_byte<T>(
    options: RequestOptions,
    answering: impl Future<Output = T>,
) -> Result<T, Error> {
    let patience = options.first_byte_timeout.unwrap_or(TIMEOUT);
    tokio::time::timeout(patience, answering)
        .await
        .map_err(|_| Error::ConnectionReadTimeout)
}

/// A body that breaks off when the next piece does not come as soon as the guest
/// wants it.
pub(super) fn between_bytes(
    options: RequestOptions,
    body: impl Body<Data = Bytes, Error = Error> + Send + 'static,
) -> WasiBody {
    let patience = options.between_bytes_timeout.unwrap_or(TIMEOUT);
    Patient {
        body: Some(Box::pin(body)),
        patience,
        waiting: None,
    }
    .boxed_unsync()
}

struct Patient<B> {
    /// Gone when time is up, and its connection with it.
    body: Option<Pin<Box<B>>>,
    patience: Duration,
    /// Set while a piece is waited for.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<B: Body<Data = Bytes, Error = Error>> Body for Patient<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(frame) = body.as_mut().poll_frame(cx) {
            this.waiting = None;
            return Poll::Ready(frame);
        }
        let patience = this.patience;
        let waiting = this
            .waiting
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(waiting.as_mut().poll(cx));
        this.body = None;
        Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), |body| body.size_hint())
    }
}

/// A connector that gives up when the request in hand would.
#[derive(Clone)]
struct Hasty<C>(C);

impl<C> Service<Uri> for Hasty<C>
where
    C: Service<Uri>,
    C::Future: Send + 'static,
    C::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    type Response = C::Response;
    type Error = Box<dyn StdError + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        // Read now: the connection may be finished outside of the request, for
        // the next one, when this one was served by another meanwhile.
        let patience = CONNECT.try_with(|connect| *connect).unwrap_or(TIMEOUT);
        let connecting = self.0.call(uri);
        Box::pin(async move {
            match tokio::time::timeout(patience, connecting).await {
                Ok(connected) => connected.map_err(Into::into),
                Err(_) => Err(Late.into()),
            }
        })
    }
}

/// Resolves names, and says so when that is what failed.
#[derive(Clone)]
struct Resolver(GaiResolver);

impl Service<Name> for Resolver {
    type Response = <GaiResolver as Service<Name>>::Response;
    type Error = Nameless;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Nameless>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Nameless>> {
        self.0.poll_ready(cx).map_err(Nameless)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolving = self.0.call(name);
        Box::pin(async move { resolving.await.map_err(Nameless) })
    }
}

/// There was no connection in time.
#[derive(Debug)]
struct Late;

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no connection in time")
    }
}

impl StdError for Late {}

/// A name has no address.
#[derive(Debug)]
struct Nameless(io::Error);

impl fmt::Display for Nameless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name cannot be resolved")
    }
}

impl StdError for Nameless {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0)
    }
}

/// What a guest is told about a request that failed.
fn told(error: &legacy::Error) -> Error {
    tracing::debug!(error = ?error, "a request of a guest failed");
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<Late>() {
            return Error::ConnectionTimeout;
        }
        if error.is::<Nameless>() {
            return Error::DnsError {
                rcode: Some("address not available".to_owned()),
                info_code: Some(0),
            };
        }
        // An I/O error shows what it was made of only when asked for it.
        if let Some(error) = error.downcast_ref::<io::Error>()
            && error
                .get_ref()
                .is_some_and(|inner| inner.is::<rustls::Error>())
        {
            return Error::TlsProtocolError;
        }
        if let Some(error) = error.downcast_ref::<hyper::Error>()
            && error.is_parse_too_large()
        {
            return Error::HttpResponseHeaderSectionSize(None);
        }
        if let Some(error) = error.downcast_ref::<Error>()
            && let Error::HttpProtocolError = error
        {
            return Error::HttpProtocolError;
        }
        cause = error.source();
    }
    if error.is_connect() {
        Error::ConnectionRefused
    } else {
        Error::HttpProtocolError
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Empty;
    use tokio::net::TcpListener;

    fn request(url: &str) -> Request<WasiBody> {
        let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
        Request::get(url).body(body).unwrap()
    }

    fn patience(each: Duration) -> RequestOptions {
        RequestOptions {
            connect_timeout: Some(each),
            first_byte_timeout: Some(each),
            between_bytes_timeout: Some(each),
        }
    }

    #[tokio::test]
    async fn a_port_that_nobody_listens_on_is_refused() {
        let port = {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap().port()
        };
        let client = Client::new(false).unwrap();
        let sent = client.send(
            request(&format!("http://127.0.0.1:{port}/")),
            RequestOptions::default(),
        );
        let error = sent.await.map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::ConnectionRefused), "{error:?}");
    }

    #[tokio::test]
    async fn a_host_that_never_answers_costs_only_the_guests_patience() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let client = Client::new(false).unwrap();
        let sent = client.send(request(&url), patience(Duration::from_millis(50)));
        let error = sent.await.map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::ConnectionReadTimeout), "{error:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stops_breaks_off_when_patience_ends() {
        let pieces = stuck_after(vec![Bytes::from_static(b"one")]);
        let mut body = between_bytes(patience(Duration::from_secs(5)), pieces);
        assert!(body.frame().await.unwrap().is_ok());
        let error = body.frame().await.unwrap().unwrap_err();
        assert!(matches!(error, Error::ConnectionReadTimeout), "{error:?}");
        assert!(body.frame().await.is_none());
    }

    /// A body of these pieces that then waits for ever.
    fn stuck_after(pieces: Vec<Bytes>) -> impl Body<Data = Bytes, Error = Error> + Send + 'static {
        struct Stuck(Vec<Bytes>);
        impl Body for Stuck {
            type Data = Bytes;
            type Error = Error;
            fn poll_frame(
                mut self: Pin<&mut Self>,
                _: &mut Context<'_>,
            ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
                match self.0.pop() {
                    Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
                    None => Poll::Pending,
                }
            }
        }
        Stuck(pieces)
    }
}
