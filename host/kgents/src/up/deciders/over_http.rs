//! Deciders that are deployed elsewhere, asked over HTTP.
//!
//! The nucleus asks its deciders where it stands: on a worker of its runtime,
//! sometimes with a lock held. So the connections live on a thread with a runtime
//! of its own: whoever waits for an answer waits for that thread and never, by a
//! chain of locks, for itself.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kgents_engine::Remote;
use serde::Deserialize;
use tokio::runtime::{Builder, Handle, RuntimeFlavor};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// They are in the same cluster; a connection that takes longer is none.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// From question to answer. Longer than loading as many policies as fit into a
/// body takes; a caller that waited longer would have given up.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest answer that is read: every policy considered for every query of the
/// largest body.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What of a foreign answer is repeated in a message.
const QUOTED_CHARS_MAX: usize = 200;
/// What has to be there.
const NAMES: [&str; 4] = ["router", "policy", "pheromone", "health"];

type Http = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;
type Answer = Result<Bytes, String>;

/// The way to them.
pub struct OverHttp {
    /// Without a slash at the end.
    url: String,
    jobs: UnboundedSender<Job>,
}

struct Job {
    method: Method,
    url: String,
    body: Vec<u8>,
    answer: SyncSender<Answer>,
}

impl OverHttp {
    /// The way to the deciders at `url`; nothing is asked yet.
    ///
    /// # Errors
    /// When the URL has a query, certificates cannot be read for an `https` one,
    /// or no thread can be had.
    pub fn new(url: &str) -> Result<Self, String> {
        if url.contains(['?', '#']) {
            return Err("write it without `?` and `#`".to_owned());
        }
        let http = client(url.starts_with("https:"))?;
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let (jobs, arriving) = unbounded_channel();
        std::thread::Builder::new()
            .name("deciders".to_owned())
            .spawn(move || runtime.block_on(work(http, arriving)))
            .map_err(|error| error.to_string())?;
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            jobs,
        })
    }

    /// Whether the four deciders are there. Blocks.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self) -> Result<(), String> {
        let body = self.request(Method::GET, kgents_decide_wire::PATH, Vec::new())?;
        let list: List = serde_json::from_slice(&body).map_err(|_| {
            format!(
                "what answers under {} are no deciders",
                kgents_decide_wire::PATH
            )
        })?;
        let is_there = |name: &&str| list.deciders.iter().any(|decider| decider.name == **name);
        match NAMES.iter().find(|name| !is_there(name)) {
            None => Ok(()),
            Some(missing) => Err(format!("there is no decider `{missing}`")),
        }
    }

    fn request(&self, method: Method, path: &str, body: Vec<u8>) -> Answer {
        let (answer, answered) = sync_channel(1);
        let job = Job {
            method,
            url: format!("{}{path}", self.url),
            body,
            answer,
        };
        let gone = || "the thread that asks is gone".to_owned();
        self.jobs.send(job).map_err(|_| gone())?;
        let wait = || answered.recv().unwrap_or_else(|_| Err(gone()));
        match Handle::try_current().map(|handle| handle.runtime_flavor()) {
            // The worker's other tasks go on without it.
            Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(wait),
            _ => wait(),
        }
    }
}

impl Remote for OverHttp {
    fn url(&self) -> &str {
        &self.url
    }

    fn ask(&self, decider: &str, body: Vec<u8>) -> Result<Vec<u8>, String> {
        let path = kgents_decide_wire::path(decider);
        self.request(Method::POST, &path, body).map(Vec::from)
    }
}

/// What of the list of deciders is read here.
#[derive(Deserialize)]
struct List {
    deciders: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    name: String,
}

/// What of an error is read here.
#[derive(Deserialize)]
struct Refused {
    error: Reason,
}

#[derive(Deserialize)]
struct Reason {
    message: String,
}

fn client(tls: bool) -> Result<Http, String> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(CONNECT_TIMEOUT));
    // The provider is named, since a process may hold more than one.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = HttpsConnectorBuilder::new();
    let builder = if tls {
        builder
            .with_provider_and_native_roots(provider)
            .map_err(|error| format!("the system's certificate roots cannot be read: {error}"))?
    } else {
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        builder.with_tls_config(config)
    };
    let connector = builder.https_or_http().enable_http1().wrap_connector(http);
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

/// Asks what arrives, side by side, until nobody can ask any more.
async fn work(http: Http, mut arriving: UnboundedReceiver<Job>) {
    while let Some(job) = arriving.recv().await {
        let http = http.clone();
        tokio::spawn(async move {
            let asking = ask(&http, job.method, &job.url, job.body);
            let answer = tokio::time::timeout(ANSWER_TIMEOUT, asking).await;
            let late = || Err(format!("it took longer than {}", shown(ANSWER_TIMEOUT)));
            // Who no longer waits does not want to know.
            let _ = job.answer.send(answer.unwrap_or_else(|_| late()));
        });
    }
}

async fn ask(http: &Http, method: Method, url: &str, body: Vec<u8>) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(url)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| error.to_string())?;
    let response = http.request(request).await.map_err(|error| chain(&error))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
        .collect()
        .await
        .map_err(|error| format!("the answer broke off: {error}"))?
        .to_bytes();
    if status.is_success() {
        return Ok(body);
    }
    let told = match serde_json::from_slice::<Refused>(&body) {
        Ok(refused) => refused.error.message,
        Err(_) => String::from_utf8_lossy(&body).into_owned(),
    };
    let told: String = told.chars().take(QUOTED_CHARS_MAX).collect();
    Err(format!("it answered {status}: {}", told.trim()))
}

/// An error and what it comes from; hyper says in the source what went wrong.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

fn shown(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    /// A server that takes one request and answers it so.
    fn answers(answer: &'static str) -> (String, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/base/", listener.local_addr().unwrap());
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut request, mut piece) = (Vec::new(), [0; 1024]);
            // Every request here ends with a brace or with its head.
            while !request.ends_with(b"}") && !request.ends_with(b"\r\n\r\n") {
                let count = stream.read(&mut piece).unwrap();
                request.extend(&piece[..count]);
                if count == 0 {
                    break;
                }
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(request).unwrap()
        });
        (url, serving)
    }

    const LIST: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"deciders\":[{\"name\":\"router\"},{\"name\":\"policy\"},{\"name\":\"pheromone\"},{\"name\":\"health\",\"url\":\"x\"}]}";

    #[test]
    fn a_question_is_posted_and_its_answer_returned() {
        let (url, serving) = answers("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
        let remote = OverHttp::new(&url).unwrap();
        assert_eq!(
            remote.ask("health", b"{\"x\":1}".to_vec()),
            Ok(b"{}".to_vec())
        );
        let request = serving.join().unwrap();
        assert!(
            request.starts_with("POST /base/v1/decide/health HTTP/1.1\r\n"),
            "{request}"
        );
        assert!(
            request.contains("content-type: application/json"),
            "{request}"
        );
        assert!(request.ends_with("{\"x\":1}"), "{request}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_worker_may_ask_while_it_holds_what_others_wait_for() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let remote = OverHttp::new(&url).unwrap();
        let (asked, was_asked) = tokio::sync::oneshot::channel();
        let (waits, is_waited_for) = sync_channel(1);
        // Answers only once the runtime's other worker waits for the lock, too.
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            asked.send(()).unwrap();
            is_waited_for.recv().unwrap();
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
                .unwrap();
        });
        let held = Arc::new(std::sync::Mutex::new(()));
        let wanted = Arc::clone(&held);
        let first = tokio::spawn(async move {
            let _held = held.lock().unwrap();
            remote.ask("health", b"{}".to_vec())
        });
        let second = tokio::spawn(async move {
            was_asked.await.unwrap();
            waits.send(()).unwrap();
            drop(wanted.lock().unwrap());
        });
        assert_eq!(first.await.unwrap(), Ok(b"{}".to_vec()));
        second.await.unwrap();
        serving.join().unwrap();
    }

    #[test]
    fn a_refusal_is_told_in_its_own_words() {
        let (url, serving) = answers(
            "HTTP/1.1 413 Payload Too Large\r\nconnection: close\r\n\r\n{\"error\":{\"code\":413,\"message\":\"the body is above 1048576 bytes\"}}",
        );
        let told = OverHttp::new(&url).unwrap().ask("router", b"{}".to_vec());
        assert_eq!(
            told.unwrap_err(),
            "it answered 413 Payload Too Large: the body is above 1048576 bytes"
        );
        serving.join().unwrap();
    }

    #[test]
    fn nobody_there_is_said_so() {
        let url = {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            format!("http://{}", listener.local_addr().unwrap())
        };
        let told = OverHttp::new(&url).unwrap().check().unwrap_err();
        assert!(told.contains("refused"), "{told}");
    }

    #[test]
    fn a_connection_that_is_cut_is_no_answer() {
        let (url, serving) = answers("HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{}");
        let told = OverHttp::new(&url).unwrap().ask("router", b"{}".to_vec());
        assert!(told.unwrap_err().starts_with("the answer broke off"));
        serving.join().unwrap();
    }

    #[test]
    fn only_what_lists_the_four_is_deciders() {
        let other = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
        for (answer, told) in [
            (LIST.to_owned(), None),
            (
                LIST.replace("pheromone", "x"),
                Some("there is no decider `pheromone`"),
            ),
            (
                format!("{other}hello"),
                Some("what answers under /v1/decide are no deciders"),
            ),
        ] {
            let (url, serving) = answers(answer.leak());
            let checked = OverHttp::new(&url).unwrap().check();
            assert_eq!(checked.err().as_deref(), told);
            serving.join().unwrap();
        }
    }

    #[test]
    fn an_address_with_a_query_is_refused() {
        for url in ["http://a.example/?x", "http://a.example/#x"] {
            assert!(OverHttp::new(url).is_err(), "{url}");
        }
    }
}
