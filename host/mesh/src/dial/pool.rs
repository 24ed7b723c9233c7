//! Connections to agents, kept for the next call. What a URL says of where to
//! connect is read and judged once, for all URLs of one origin.

use super::allow::{Allow, Unfit};
use super::connect::Connector;
use super::line::{Asked, Line, Lost};
use bytes::{Buf, Bytes};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::Instant;
use tower_service::Service;

/// How often connections that nobody uses are looked at: a quarter of the time
/// they are kept, so that a socket that the agent has closed does not stay long.
const SWEEP_EVERY: Duration = Duration::from_secs(15);

/// Of a body that nobody wants so many frames are read at most.
const FRAMES_LEFT_MAX: usize = 16;

/// Which connections are kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keep {
    /// Idle connections to one origin, at most.
    pub idle_max: usize,
    /// How long an idle one is kept.
    pub idle: Duration,
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            // As many as callers come at once.
            idle_max: 512,
            idle: Duration::from_secs(60),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The mesh does not call that.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// What follows the host is not fit for a request.
    #[error("the path of the URL cannot be asked for")]
    Path,
    /// Nobody took the connection.
    #[error("it cannot be connected to")]
    Connect(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The connection ended, or what came is no HTTP.
    #[error("the connection broke")]
    Broken(#[source] hyper::Error),
}

/// Where connections go: what stands before the path in a URL.
struct Origin {
    /// Scheme and authority, with the path `/`.
    uri: Uri,
    host: HeaderValue,
    keep: Keep,
    /// The one used last is at the end, and is used next.
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    line: Box<Line>,
    since: Instant,
}

/// What is asked, beside the URL.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    /// The method.
    pub method: Method,
    /// All headers but `Host` and those of framing.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// The pool.
pub(super) struct Pool {
    connector: Connector,
    allow: Arc<Allow>,
    keep: Keep,
    origins: Arc<Origins>,
    /// Whether the sweeper has been started.
    sweeping: AtomicBool,
}

/// By the text of a URL up to its path.
#[derive(Default)]
struct Origins(RwLock<HashMap<Box<str>, Arc<Origin>>>);

impl Pool {
    /// An empty pool.
    pub fn new(connector: Connector, allow: Arc<Allow>, keep: Keep) -> Self {
        Self {
            connector,
            allow,
            keep,
            origins: Arc::default(),
            sweeping: AtomicBool::new(false),
        }
    }

    /// Asks, over a connection that is there or a new one, and gives the head
    /// of the answer. A request is sent a second time only if the connection
    /// was found closed before anything of it was sent.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn ask(&self, url: String, outgoing: Outgoing) -> Result<Reply, Error> {
        self.start_sweeping();
        let (origin, path) = self.origin(&url)?;
        let mut request = request(&origin, target(url, path).ok_or(Error::Path)?, outgoing);
        loop {
            let (mut line, is_new) = match origin.take() {
                Some(line) => (line, false),
                None => (Box::new(self.connect(&origin).await?), true),
            };
            match line.send(request).await {
                Ok(response) => return Ok(Reply::new(response, line, origin)),
                Err(Lost {
                    unsent: Some(unsent),
                    ..
                }) if !is_new => request = *unsent,
                Err(lost) => return Err(Error::Broken(lost.error)),
            }
        }
    }

    async fn connect(&self, origin: &Origin) -> Result<Line, Error> {
        let mut connector = self.connector.clone();
        poll_fn(|cx| connector.poll_ready(cx))
            .await
            .map_err(Error::Connect)?;
        let socket = connector.call(origin.uri.clone());
        let socket = socket.await.map_err(Error::Connect)?;
        Line::open(socket).await.map_err(Error::Broken)
    }

    /// The origin of a URL, and where in it the path begins.
    fn origin(&self, url: &str) -> Result<(Arc<Origin>, usize), Unfit> {
        let path = path_of(url);
        let key = url.get(..path).unwrap_or(url);
        if let Some(origin) = self.origins.0.read().get(key) {
            return Ok((Arc::clone(origin), path));
        }
        self.allow.check_url(url)?;
        let origin = Origin::of(url, self.keep).ok_or_else(|| Unfit::Url(url.to_owned()))?;
        let mut origins = self.origins.0.write();
        let origin = origins
            .entry(key.into())
            .or_insert_with(|| Arc::new(origin));
        Ok((Arc::clone(origin), path))
    }

    fn start_sweeping(&self) {
        if self.sweeping.load(Ordering::Relaxed) || self.sweeping.swap(true, Ordering::Relaxed) {
            return;
        }
        let origins = Arc::downgrade(&self.origins);
        // Without a budget: it would be told that ended connections still wait.
        tokio::spawn(tokio::task::coop::unconstrained(sweep(origins)));
    }
}

/// Looks at what nobody uses for as long as there is a pool.
async fn sweep(origins: Weak<Origins>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let Some(origins) = origins.upgrade() else {
            return;
        };
        origins.sweep(Instant::now());
    }
}

impl Origins {
    /// Ends connections that are too old by `now` or that the agent has ended,
    /// and forgets origins without any.
    fn sweep(&self, now: Instant) {
        let origins: Vec<_> = self.0.read().values().cloned().collect();
        for origin in &origins {
            let mut idle = origin.idle.lock();
            let is_old = |idle: &mut Idle| origin.is_old(idle, now) || idle.line.is_over();
            let old: Vec<_> = idle.extract_if(.., is_old).collect();
            drop(idle);
            old.into_iter().for_each(|idle| idle.line.end());
        }
        drop(origins);
        // Who is being called is held by the call.
        self.0
            .write()
            .retain(|_, origin| Arc::strong_count(origin) > 1 || !origin.idle.lock().is_empty());
    }
}

impl Origin {
    /// `None` for what is no URL with scheme and host.
    fn of(url: &str, keep: Keep) -> Option<Self> {
        let parsed = url.parse::<Uri>().ok()?;
        let (scheme, authority) = (parsed.scheme()?, parsed.authority()?);
        // As browsers and other clients write it: without a usual port.
        let usual = matches!(
            (scheme.as_str(), authority.port_u16()),
            (_, None) | ("http", Some(80)) | ("https", Some(443))
        );
        let host = match authority.port_u16().filter(|_| !usual) {
            Some(port) => format!("{}:{port}", authority.host()),
            None => authority.host().to_owned(),
        };
        Some(Self {
            host: HeaderValue::try_from(host).ok()?,
            uri: Uri::builder()
                .scheme(scheme.clone())
                .authority(authority.clone())
                .path_and_query("/")
                .build()
                .ok()?,
            keep,
            idle: Mutex::default(),
        })
    }

    fn take(&self) -> Option<Box<Line>> {
        let mut idle = self.idle.lock();
        let last = idle.pop()?;
        if !self.is_old(&last, Instant::now()) {
            return Some(last.line);
        }
        // Those before it are older still.
        let mut old = std::mem::take(&mut *idle);
        drop(idle);
        old.push(last);
        old.into_iter().for_each(|idle| idle.line.end());
        None
    }

    fn give_back(&self, mut line: Box<Line>) {
        if !line.is_idle() {
            return;
        }
        let since = Instant::now();
        let mut idle = self.idle.lock();
        if idle.len() < self.keep.idle_max {
            idle.push(Idle { line, since });
            return;
        }
        drop(idle);
        line.end();
    }

    fn is_old(&self, idle: &Idle, now: Instant) -> bool {
        now.saturating_duration_since(idle.since) >= self.keep.idle
    }
}

/// Where the path of a URL begins, or would.
fn path_of(url: &str) -> usize {
    let authority = url.find("://").map_or(0, |at| at + 3);
    let rest = url.get(authority..).unwrap_or_default();
    rest.find(['/', '?', '#'])
        .map_or(url.len(), |at| authority + at)
}

/// What stands in the first line of a request: path and query of the URL.
fn target(url: String, path: usize) -> Option<Uri> {
    let mut bytes = Bytes::from(url);
    bytes.advance(path.min(bytes.len()));
    if bytes.is_empty() {
        return Some(Uri::from_static("/"));
    }
    let mut parts = http::uri::Parts::default();
    parts.path_and_query = Some(http::uri::PathAndQuery::from_maybe_shared(bytes).ok()?);
    Uri::from_parts(parts).ok()
}

fn request(origin: &Origin, target: Uri, outgoing: Outgoing) -> Asked {
    let mut request = Request::new(Full::new(outgoing.body));
    *request.method_mut() = outgoing.method;
    *request.uri_mut() = target;
    *request.headers_mut() = outgoing.headers;
    let host = request.headers_mut().entry(header::HOST);
    host.or_insert_with(|| origin.host.clone());
    request
}

/// An answer, its body still to be read. Dropping it before the end closes the
/// connection; at the end that goes back to the pool.
pub(super) struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    body: Incoming,
    /// `None` once the body has ended, well or not.
    line: Option<Box<Line>>,
    origin: Arc<Origin>,
}

impl Reply {
    fn new(response: http::Response<Incoming>, line: Box<Line>, origin: Arc<Origin>) -> Self {
        let (head, body) = response.into_parts();
        let mut reply = Self {
            status: head.status,
            headers: head.headers,
            body,
            line: Some(line),
            origin,
        };
        reply.end_if_read();
        reply
    }

    /// The next bytes of the body; `None` at its end.
    pub async fn data(&mut self) -> Option<Result<Bytes, hyper::Error>> {
        loop {
            let line = self.line.as_mut()?;
            match line.frame(&mut self.body).await {
                Some(Ok(frame)) => {
                    self.end_if_read();
                    // Trailers say nothing to us.
                    if let Ok(data) = frame.into_data() {
                        return Some(Ok(data));
                    }
                }
                Some(Err(error)) => {
                    self.line = None;
                    return Some(Err(error));
                }
                None => {
                    self.end();
                    return None;
                }
            }
        }
    }

    /// For who does not want the body: one that has come already is read, so
    /// that the connection can be used again.
    pub fn let_go(mut self) {
        for _ in 0..FRAMES_LEFT_MAX {
            if !matches!(self.data().now_or_never(), Some(Some(Ok(_)))) {
                return;
            }
        }
    }

    fn end_if_read(&mut self) {
        if self.body.is_end_stream() {
            self.end();
        }
    }

    fn end(&mut self) {
        if let Some(line) = self.line.take() {
            self.origin.give_back(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dial::{Rule, connect};
    use std::sync::atomic::AtomicUsize;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::sync::Notify;

    const PATIENCE: Duration = Duration::from_secs(60);
    const HI: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

    /// What a server does with one request.
    #[derive(Clone, Copy)]
    enum Does {
        /// Says this, and waits for the next request.
        Says(&'static str),
        /// Says this, and closes the connection.
        SaysLast(&'static str),
    }

    /// A server that does one thing after another, the last again and again.
    struct Server {
        url: String,
        /// Has one connection closed that waits for a request.
        hang_up: Arc<Notify>,
        /// Connections that were opened, requests that came, connections that
        /// the mesh closed.
        counts: [Arc<AtomicUsize>; 3],
    }

    async fn server(does: &'static [Does]) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/a", listener.local_addr().unwrap());
        let counts = [(); 3].map(|()| Arc::new(AtomicUsize::new(0)));
        let [opened, requests, closed] = counts.clone();
        let hang_up = Arc::new(Notify::new());
        let told = Arc::clone(&hang_up);
        tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                opened.fetch_add(1, Ordering::SeqCst);
                let (requests, closed) = (Arc::clone(&requests), Arc::clone(&closed));
                let told = Arc::clone(&told);
                tokio::spawn(async move {
                    let mut said = Vec::new();
                    loop {
                        let read = tokio::select! {
                            read = socket.read_buf(&mut said) => read,
                            () = told.notified() => return,
                        };
                        if !read.is_ok_and(|read| read > 0) {
                            closed.fetch_add(1, Ordering::SeqCst);
                            return;
                        }
                        if !said.ends_with(b"\r\n\r\n") {
                            continue;
                        }
                        said.clear();
                        let nth = requests.fetch_add(1, Ordering::SeqCst);
                        let (text, is_last) = match does[nth.min(does.len() - 1)] {
                            Does::Says(text) => (text, false),
                            Does::SaysLast(text) => (text, true),
                        };
                        socket.write_all(text.as_bytes()).await.unwrap();
                        if is_last {
                            return;
                        }
                    }
                });
            }
        });
        Server {
            url,
            hang_up,
            counts,
        }
    }

    impl Server {
        fn opened(&self) -> usize {
            self.counts[0].load(Ordering::SeqCst)
        }

        fn requests(&self) -> usize {
            self.counts[1].load(Ordering::SeqCst)
        }

        fn closed(&self) -> usize {
            self.counts[2].load(Ordering::SeqCst)
        }
    }

    fn pool(keep: Keep) -> Pool {
        let allow = Arc::new(Allow::new(vec![Rule::Loopback]));
        let connector = connect::connector(Arc::clone(&allow), PATIENCE).unwrap();
        Pool::new(connector, allow, keep)
    }

    impl Pool {
        async fn get(&self, url: &str) -> Result<Reply, Error> {
            let asking = self.ask(url.to_owned(), Outgoing::default());
            tokio::time::timeout(PATIENCE, asking).await.unwrap()
        }

        async fn read(&self, url: &str) -> String {
            whole(self.get(url).await.unwrap()).await
        }

        fn idle(&self, url: &str) -> usize {
            let (origin, _) = self.origin(url).unwrap();
            origin.idle.lock().len()
        }
    }

    async fn whole(mut reply: Reply) -> String {
        let mut text = Vec::new();
        while let Some(data) = reply.data().await {
            text.extend_from_slice(&data.unwrap());
        }
        String::from_utf8(text).unwrap()
    }

    async fn until(condition: impl Fn() -> bool) {
        let waiting = async {
            while !condition() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap();
    }

    #[tokio::test]
    async fn one_connection_takes_one_request_after_another() {
        let server = server(&[Does::Says(HI)]).await;
        let pool = pool(Keep::default());
        for _ in 0..3 {
            assert_eq!(pool.read(&server.url).await, "hi");
            assert_eq!(pool.idle(&server.url), 1);
        }
        assert_eq!((server.opened(), server.requests()), (1, 3));
    }

    #[tokio::test]
    async fn a_body_in_chunks_is_read_to_its_end_and_the_connection_kept() {
        const CHUNKS: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n4\r\n you\r\n0\r\n\r\n";
        const EMPTY: &str = "HTTP/1.1 204 No Content\r\n\r\n";
        let server = server(&[Does::Says(CHUNKS), Does::Says(EMPTY), Does::Says(HI)]).await;
        let pool = pool(Keep::default());
        for said in ["hi you", "", "hi"] {
            assert_eq!(pool.read(&server.url).await, said);
        }
        assert_eq!(server.opened(), 1);
    }

    #[tokio::test]
    async fn calls_at_the_same_time_have_a_connection_each() {
        let server = server(&[Does::Says(HI)]).await;
        let pool = pool(Keep::default());
        let (one, other) = tokio::join!(pool.get(&server.url), pool.get(&server.url));
        assert_eq!(whole(one.unwrap()).await, "hi");
        assert_eq!(whole(other.unwrap()).await, "hi");
        assert_eq!((server.opened(), pool.idle(&server.url)), (2, 2));
    }

    #[tokio::test]
    async fn an_agent_that_closes_after_each_answer_is_called_anew_each_time() {
        const LAST: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi";
        const UNTIL_CLOSED: &str = "HTTP/1.1 200 OK\r\n\r\nhi";
        for says in [LAST, UNTIL_CLOSED] {
            let server = server(Vec::leak(vec![Does::SaysLast(says)])).await;
            let pool = pool(Keep::default());
            for calls in 1..4 {
                assert_eq!(pool.read(&server.url).await, "hi");
                assert_eq!(pool.idle(&server.url), 0, "{says:?}");
                assert_eq!(server.opened(), calls);
            }
        }
    }

    #[tokio::test]
    async fn a_request_on_a_connection_that_was_closed_meanwhile_is_sent_on_a_new_one() {
        let server = server(&[Does::Says(HI)]).await;
        let pool = pool(Keep::default());
        assert_eq!(pool.read(&server.url).await, "hi");
        server.hang_up.notify_one();
        let (origin, _) = pool.origin(&server.url).unwrap();
        until(|| origin.idle.lock().iter_mut().all(|i| i.line.is_over())).await;
        assert_eq!(pool.idle(&server.url), 1);
        assert_eq!(pool.read(&server.url).await, "hi");
        assert_eq!((server.opened(), server.requests()), (2, 2));
    }

    #[tokio::test]
    async fn a_request_that_was_sent_is_not_sent_again() {
        let server = server(&[Does::Says(HI), Does::SaysLast("")]).await;
        let pool = pool(Keep::default());
        assert_eq!(pool.read(&server.url).await, "hi");
        let failed = pool.get(&server.url).await;
        assert!(matches!(failed, Err(Error::Broken(_))));
        assert_eq!((server.opened(), server.requests()), (1, 2));
    }

    #[tokio::test]
    async fn an_answer_that_is_not_read_to_its_end_takes_its_connection_along() {
        const PART: &str = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi";
        let server = server(&[Does::Says(PART), Does::Says(HI)]).await;
        let pool = pool(Keep::default());
        let mut reply = pool.get(&server.url).await.unwrap();
        assert_eq!(reply.data().await.unwrap().unwrap(), "hi");
        reply.let_go();
        assert_eq!(pool.idle(&server.url), 0);
        until(|| server.closed() == 1).await;
        assert_eq!(pool.read(&server.url).await, "hi");
        assert_eq!(server.opened(), 2);
    }

    #[tokio::test]
    async fn an_answer_that_nobody_reads_leaves_its_connection_if_it_is_there() {
        let server = server(&[Does::Says(HI)]).await;
        let pool = pool(Keep::default());
        pool.get(&server.url).await.unwrap().let_go();
        assert_eq!(pool.idle(&server.url), 1);
    }

    #[tokio::test]
    async fn a_call_that_is_given_up_closes_its_connection() {
        let server = server(&[Does::Says(HI), Does::Says("")]).await;
        let pool = pool(Keep::default());
        assert_eq!(pool.read(&server.url).await, "hi");
        let mut call = Box::pin(pool.get(&server.url));
        assert!((&mut call).now_or_never().is_none());
        until(|| server.requests() == 2).await;
        drop(call);
        until(|| server.closed() == 1).await;
        assert_eq!((server.opened(), pool.idle(&server.url)), (1, 0));
    }

    #[tokio::test]
    async fn no_more_connections_are_kept_than_is_said() {
        let server = server(&[Does::Says(HI)]).await;
        let pool = pool(Keep {
            idle_max: 1,
            ..Keep::default()
        });
        let mut replies = Vec::new();
        for _ in 0..3 {
            replies.push(pool.get(&server.url).await.unwrap());
        }
        for reply in replies {
            whole(reply).await;
        }
        assert_eq!(pool.idle(&server.url), 1);
        until(|| server.closed() == 2).await;
    }

    #[tokio::test]
    async fn a_connection_that_was_kept_too_long_is_not_used() {
        let server = server(&[Does::Says(HI)]).await;
        let pool = pool(Keep {
            idle: Duration::ZERO,
            ..Keep::default()
        });
        for _ in 0..2 {
            assert_eq!(pool.read(&server.url).await, "hi");
        }
        until(|| server.closed() == 1).await;
        assert_eq!(server.opened(), 2);
    }

    #[tokio::test]
    async fn what_nobody_uses_is_ended_after_a_while_and_what_is_used_stays() {
        let used = server(&[Does::Says("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nh")]).await;
        let unused = server(&[Does::Says(HI)]).await;
        let gone = server(&[Does::Says(HI)]).await;
        let pool = pool(Keep::default());
        let reply = pool.get(&used.url).await.unwrap();
        for server in [&unused, &gone] {
            assert_eq!(pool.read(&server.url).await, "hi");
        }
        // What the agent has ended is not kept for its time.
        assert_eq!(pool.idle(&gone.url), 1);
        gone.hang_up.notify_one();
        until(|| {
            pool.origins.sweep(Instant::now());
            pool.origins.0.read().len() == 2
        })
        .await;
        assert_eq!(pool.idle(&unused.url), 1);
        pool.origins.sweep(Instant::now() + Keep::default().idle);
        assert_eq!(pool.origins.0.read().len(), 1);
        until(|| unused.closed() == 1).await;
        assert_eq!(used.closed(), 0);
        drop(reply);
        until(|| used.closed() == 1).await;
    }

    #[tokio::test]
    async fn an_origin_that_may_not_be_called_is_judged_each_time() {
        let allow = Arc::new(Allow::default());
        let connector = connect::connector(Arc::clone(&allow), PATIENCE).unwrap();
        let pool = Pool::new(connector, allow, Keep::default());
        for _ in 0..2 {
            let failed = pool.get("http://127.0.0.1:9/x").await;
            assert!(matches!(failed, Err(Error::Unfit(Unfit::Address(_)))));
        }
        for url in ["ftp://agent.example/", "agent.example", "/x", ""] {
            let failed = pool.get(url).await;
            assert!(matches!(failed, Err(Error::Unfit(Unfit::Url(_)))), "{url}");
        }
        assert!(pool.origins.0.read().is_empty());
    }

    #[test]
    fn a_url_becomes_host_and_path_as_clients_write_them() {
        for (url, host, path) in [
            ("http://h", "h", "/"),
            ("http://h:80/", "h", "/"),
            ("https://h:443/a/b", "h", "/a/b"),
            ("https://h:80/a?b=/c", "h:80", "/a?b=/c"),
            ("http://h:8080?x=http://y", "h:8080", "/?x=http://y"),
            ("http://[::1]:81/a#f", "[::1]:81", "/a"),
        ] {
            let origin = Origin::of(url, Keep::default()).unwrap();
            assert_eq!(origin.host, host, "{url}");
            let target = target(url.to_owned(), path_of(url)).unwrap();
            assert_eq!(target.to_string(), path, "{url}");
        }
        assert!(target("http://h/ ".to_owned(), 8).is_none());
    }
}
