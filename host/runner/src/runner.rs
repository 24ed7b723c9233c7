//! An application that runs: from a request to the trigger that is for it, and
//! its answer.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::uri::Scheme;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body::Body;
use http_body_util::{BodyExt as _, Full, StreamBody};
use kgents_app::{App, Router, StaticResponse};
use tempfile::TempDir;
use tokio::sync::{Semaphore, watch};
use wasmtime_wasi_http::{Error as WasiError, WasiBody};

use crate::body::RunnerBody;
use crate::component::{Call, Failure, Loaded};
use crate::error::RunError;
use crate::headers::{self, Routed};
use crate::outbound::{self, CHAINED_CLIENT, Client};
use crate::resting::REST_MAX;
use crate::settings::RunnerSettings;

/// Requests below this path are answered by the runner itself.
const WELL_KNOWN: &str = "/.well-known/spin/";

/// Requests that may be under way at once; more than any engine has places for,
/// since some wait.
const RUNNING_MAX: u32 = 1 << 20;

/// Bodies of at most so many bytes, if they say so, are read before an instance is
/// taken,
const SHORT_BODY_BYTES: u64 = 64 * 1024;
/// and for at most so long.
const SHORT_BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Host of requests to the application itself, where the settings name none.
const OWN_HOST: &str = "localhost";

/// An application that runs. Cheap to clone.
#[derive(Clone)]
pub struct Runner {
    inner: Arc<Inner>,
}

/// What answers a trigger.
pub(crate) enum Answers {
    Component(Arc<Loaded>),
    Static(StaticResponse),
}

pub(crate) struct Inner {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) router: Router,
    /// By the trigger's place in the application.
    pub(crate) answers: Vec<Answers>,
    /// By their ids.
    pub(crate) components: BTreeMap<String, Arc<Loaded>>,
    pub(crate) client: Client,
    pub(crate) origin: Option<String>,
    pub(crate) running: Arc<Semaphore>,
    pub(crate) stop: watch::Sender<bool>,
    /// Held for as long as components may read them.
    pub(crate) _files: Vec<TempDir>,
    /// This very value, for those who outlive it.
    pub(crate) this: Weak<Inner>,
}

impl Runner {
    /// Load an application: compile its components (or take them from the cache),
    /// link them, open its stores. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`RunError`] for the first thing that would not work; nothing is left for
    /// the first request to find out.
    pub async fn new(app: App, settings: RunnerSettings) -> Result<Self, RunError> {
        let inner = crate::load::load(app, settings).await?;
        tokio::spawn(prune(Arc::downgrade(&inner)));
        Ok(Self { inner })
    }

    /// Answer a request that came from `client`: always with a response. 404 for
    /// a path without a route, 500 for a component that trapped or gave up (as
    /// Spin has it, without a body), 504 for one that took longer than it may, 503
    /// where there was no room for one more, 400 for a request without a host.
    ///
    /// A component's time limit is for the time until the head of its answer,
    /// and then for each time in which no piece of the body is written or taken:
    /// a stream may live for as long as something comes.
    ///
    /// Dropping the future, or the body of the answer, stops the component.
    pub async fn answer<B>(&self, request: Request<B>, client: SocketAddr) -> Response<RunnerBody>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let request = request.map(|body| {
            let told = |error: B::Error| {
                let error = error.into();
                tracing::debug!(%error, "the body of a request broke off");
                WasiError::HttpProtocolError
            };
            body.map_err(told).boxed_unsync()
        });
        self.inner.answer(request, client, 0).await
    }

    /// Name of the application.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Take no more requests (they are answered 503), and wait up to `grace` for
    /// those under way; then stop these. Returns how many were stopped.
    pub async fn close(&self, grace: Duration) -> u32 {
        let running = &self.inner.running;
        let closed = tokio::time::timeout(grace, running.acquire_many(RUNNING_MAX)).await;
        let stopped = match closed {
            Ok(_) => 0,
            Err(_) => RUNNING_MAX.saturating_sub(permits(running)),
        };
        running.close();
        self.inner.stop.send_replace(true);
        self.inner.prune(Duration::ZERO);
        stopped
    }
}

fn permits(semaphore: &Semaphore) -> u32 {
    u32::try_from(semaphore.available_permits()).unwrap_or(u32::MAX)
}

/// Drop instances that nobody asks for any more, until the runner is gone.
async fn prune(inner: Weak<Inner>) {
    loop {
        tokio::time::sleep(REST_MAX / 2).await;
        match inner.upgrade() {
            Some(inner) => inner.prune(REST_MAX),
            None => return,
        }
    }
}

impl Inner {
    /// The counter of requests under way.
    pub(crate) fn running() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(RUNNING_MAX as usize))
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    fn prune(&self, age: Duration) {
        for component in self.components.values() {
            component.resting.prune(age);
        }
    }

    async fn answer(
        &self,
        mut request: Request<WasiBody>,
        client: SocketAddr,
        depth: u8,
    ) -> Response<RunnerBody> {
        // That name is for neighbours only; nobody outside may take it.
        let host = request.headers().get(header::HOST);
        if host.is_some_and(|host| outbound::names_neighbour(host.as_bytes())) {
            request.headers_mut().remove(header::HOST);
        }
        let path = request.uri().path().to_owned();
        if let Some(name) = path.strip_prefix(WELL_KNOWN) {
            return self.well_known(name);
        }
        let Some(found) = self.router.matches(&path) else {
            return plain(StatusCode::NOT_FOUND, "");
        };
        match self.answers.get(found.trigger) {
            Some(Answers::Static(response)) => fixed(response),
            Some(Answers::Component(component)) => {
                let routed = Routed::matched(found);
                self.run(component, request, &routed, client, depth).await
            }
            None => plain(StatusCode::NOT_FOUND, ""),
        }
    }

    /// Answer a request of the application to itself, by its routes.
    pub(crate) fn itself(
        &self,
        mut request: Request<WasiBody>,
        depth: u8,
    ) -> Pin<Box<dyn Future<Output = Response<RunnerBody>> + Send + '_>> {
        let host = self.origin.as_deref().unwrap_or(OWN_HOST);
        let path = request.uri().path_and_query().cloned();
        let path = path.unwrap_or_else(|| http::uri::PathAndQuery::from_static("/"));
        if let Ok(host) = HeaderValue::from_str(host) {
            request.headers_mut().insert(header::HOST, host);
        }
        *request.uri_mut() = Uri::from(path);
        Box::pin(self.answer(request, CHAINED_CLIENT, depth))
    }

    /// Answer a request of one component to another one.
    ///
    /// # Errors
    /// When there is no such component.
    pub(crate) fn chained<'a>(
        &'a self,
        id: &str,
        request: Request<WasiBody>,
        depth: u8,
    ) -> Pin<Box<dyn Future<Output = Result<Response<RunnerBody>, WasiError>> + Send + 'a>> {
        let named = |(name, _): &(&String, &Arc<Loaded>)| name.eq_ignore_ascii_case(id);
        let component = self.components.iter().find(named);
        Box::pin(async move {
            let (_, component) = component.ok_or(WasiError::DestinationNotFound)?;
            let routed = Routed::chained(request.uri().path());
            let answer = self.run(component, request, &routed, CHAINED_CLIENT, depth);
            Ok(answer.await)
        })
    }

    async fn run(
        &self,
        component: &Arc<Loaded>,
        mut request: Request<WasiBody>,
        routed: &Routed<'_>,
        client: SocketAddr,
        depth: u8,
    ) -> Response<RunnerBody> {
        let uri = match headers::address(request.headers(), request.uri(), Scheme::HTTP) {
            Ok(uri) => uri,
            Err(error) => return plain(StatusCode::BAD_REQUEST, &format!("{error}\n")),
        };
        routed.set(request.headers_mut(), &uri, client);
        *request.uri_mut() = uri;
        let Ok(running) = Arc::clone(&self.running).try_acquire_owned() else {
            return refused(&Failure::Closing);
        };
        let request = match depth {
            0 => with_short_body(request).await,
            _ => request,
        };
        let call = Call {
            request,
            depth,
            running,
            share: None,
        };
        let stop = self.stop.subscribe();
        match component.answer(&self.this, call, stop).await {
            Ok(response) => response,
            Err(failure) => {
                component.tell(&failure, "before its answer");
                refused(&failure)
            }
        }
    }

    fn well_known(&self, name: &str) -> Response<RunnerBody> {
        match name {
            "health" => plain(StatusCode::OK, "OK"),
            "info" => {
                let mut info = serde_json::Map::new();
                info.insert("name".to_owned(), self.name.clone().into());
                if !self.version.is_empty() {
                    info.insert("version".to_owned(), self.version.clone().into());
                }
                let text = serde_json::to_string_pretty(&info).unwrap_or_default();
                let mut response = plain(StatusCode::OK, &text);
                let kind = HeaderValue::from_static("application/json");
                response.headers_mut().insert(header::CONTENT_TYPE, kind);
                response
            }
            _ => plain(StatusCode::NOT_FOUND, ""),
        }
    }
}

/// The request with its body read, if that is short: before an instance is taken
/// for it, since else who sends slowly, or never, would hold one. What breaks off
/// or takes too long breaks off for the component, which has words for it.
async fn with_short_body(request: Request<WasiBody>) -> Request<WasiBody> {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if !length.is_some_and(|length| (1..=SHORT_BODY_BYTES).contains(&length)) {
        return request;
    }
    let (parts, body) = request.into_parts();
    let body = match tokio::time::timeout(SHORT_BODY_TIMEOUT, body.collect()).await {
        Ok(Ok(whole)) => Full::new(whole.to_bytes())
            .map_err(|never| match never {})
            .boxed_unsync(),
        Ok(Err(_)) | Err(_) => {
            let broken = std::future::ready(Err(WasiError::HttpProtocolError));
            StreamBody::new(futures_util::stream::once(broken)).boxed_unsync()
        }
    };
    Request::from_parts(parts, body)
}

/// The answer of a trigger that has no component.
fn fixed(fixed: &StaticResponse) -> Response<RunnerBody> {
    let mut response = Response::new(RunnerBody::whole(fixed.body.clone()));
    // All were checked when the application was opened.
    *response.status_mut() =
        StatusCode::from_u16(fixed.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in &fixed.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// The answer where a component gave none.
fn refused(failure: &Failure) -> Response<RunnerBody> {
    match failure {
        Failure::Busy => plain(StatusCode::SERVICE_UNAVAILABLE, "busy: try again later\n"),
        Failure::Closing => plain(StatusCode::SERVICE_UNAVAILABLE, "closing\n"),
        Failure::Late(_) => plain(StatusCode::GATEWAY_TIMEOUT, "no answer in time\n"),
        // As in Spin: what went wrong is for the log.
        Failure::Failed(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, ""),
    }
}

fn plain(status: StatusCode, text: &str) -> Response<RunnerBody> {
    let mut response = Response::new(RunnerBody::whole(Bytes::copy_from_slice(text.as_bytes())));
    *response.status_mut() = status;
    response
}
