//! Finding the mesh and speaking with it.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kgents_mesh::identity::{Authority, Grant};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::{Error, Refusal};
use super::events::Events;
use super::head::Head;
use super::message::{A2A_VERSION, Message};
use crate::config::place::make_data_dir;
use crate::config::run::{self, Found, RUN_FILE, Run};

/// How long a command's own token is good for: longer than a command takes,
/// short enough that one in a core dump is worthless soon.
const TOKEN_LIFE: Duration = Duration::from_secs(5 * 60);
/// The mesh is on this machine; a connection that takes longer is none.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long the mesh may take where it calls no agent.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Where the authority's key lies in the data folder.
const IDENTITY_DIR: &str = "identity";

/// The running mesh, as one principal sees it.
pub struct Mesh {
    run: Run,
    token: Option<String>,
    http: Client<HttpConnector, Full<Bytes>>,
}

/// An agent's answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Who gave it and how it was found.
    pub head: Head,
    /// A2A's SendMessageResponse.
    pub result: Value,
}

/// An agent's answer, event by event.
pub struct Stream {
    /// Who gives it and how it was found.
    pub head: Head,
    url: String,
    body: Option<Incoming>,
    events: Events,
    ready: VecDeque<String>,
}

/// Opens the authority that issues this mesh's tokens, making the data folder
/// and its key on first use.
///
/// # Errors
/// When the key in the data folder cannot be used.
pub fn authority(data_dir: &Path, trust_domain: &str) -> Result<Authority, Error> {
    make_data_dir(data_dir).map_err(|source| Error::DataDir {
        path: data_dir.to_owned(),
        source,
    })?;
    Authority::open(&data_dir.join(IDENTITY_DIR), trust_domain).map_err(Error::Token)
}

impl Mesh {
    /// Finds the mesh that runs on `data_dir` and speaks to it as the SPIFFE
    /// path `principal`.
    ///
    /// # Errors
    /// When none runs, or no token can be made.
    pub fn find(data_dir: &Path, principal: &str, now_ms: u64) -> Result<Self, Error> {
        let run = match run::find(data_dir) {
            Found::Running(run) => run,
            Found::Stopped => return Err(Error::NotRunning(data_dir.to_owned())),
            Found::Stale(run) => {
                return Err(Error::Gone {
                    data_dir: data_dir.to_owned(),
                    pid: run.pid,
                });
            }
            Found::Unreadable(why) => {
                return Err(Error::RunFile {
                    path: data_dir.join(RUN_FILE),
                    why,
                });
            }
        };
        let grant = Grant {
            path: principal.to_owned(),
            audience: run.trust_domain.clone(),
            ttl: TOKEN_LIFE,
        };
        let token = authority(data_dir, &run.trust_domain)?
            .issue(&grant, now_ms)
            .map_err(Error::Token)?;
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        Ok(Self {
            run,
            token: Some(token),
            http: Client::builder(TokioExecutor::new()).build(connector),
        })
    }

    /// This mesh, if callers can speak with it.
    ///
    /// # Errors
    /// When only gateways can.
    pub fn for_callers(self) -> Result<Self, Error> {
        if self.run.gateway_only {
            let url = self.run.listen;
            return Err(Error::GatewayOnly { url });
        }
        Ok(self)
    }

    /// The same mesh, as it is for somebody who shows no token.
    pub fn without_identity(&self) -> Self {
        Self {
            run: self.run.clone(),
            token: None,
            http: self.http.clone(),
        }
    }

    /// What the mesh wrote about itself.
    pub const fn run(&self) -> &Run {
        &self.run
    }

    /// Asks for a resource.
    ///
    /// # Errors
    /// Everything an [`Error`] can be.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.rest(Method::GET, path, Vec::new()).await
    }

    /// Sends a JSON body.
    ///
    /// # Errors
    /// Everything an [`Error`] can be.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: Vec<u8>) -> Result<T, Error> {
        self.rest(Method::POST, path, body).await
    }

    /// Deletes a resource.
    ///
    /// # Errors
    /// Everything an [`Error`] can be.
    pub async fn delete(&self, path: &str) -> Result<Value, Error> {
        self.rest(Method::DELETE, path, Vec::new()).await
    }

    /// Status and body of a public page, whatever they are.
    ///
    /// # Errors
    /// When the mesh cannot be reached.
    pub async fn probe(&self, path: &str) -> Result<(StatusCode, Bytes), Error> {
        let response = self.request(Method::GET, path, Vec::new(), "application/json");
        self.in_time(async { self.whole(response.await?).await })
            .await
    }

    /// A page of the admin listener: `/metrics`, or `/policies`, which are in
    /// force. Nobody has to be anybody for that.
    ///
    /// # Errors
    /// When the listener cannot be reached or says no.
    pub async fn admin(&self, path: &str) -> Result<String, Error> {
        let request = Request::get(format!("{}{path}", self.run.admin))
            .body(Full::default())
            .map_err(|error| self.unreachable(error))?;
        let (status, body) = self
            .in_time(async {
                let response = self.http.request(request).await;
                self.whole(response.map_err(|error| self.unreachable(error))?)
                    .await
            })
            .await?;
        if !status.is_success() {
            return Err(Error::Refused(Refusal::bare(status)));
        }
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// Sends a message: to `agent`, or to the mesh, which routes it. Waits as
    /// long as the mesh does.
    ///
    /// # Errors
    /// Everything an [`Error`] can be.
    pub async fn send(&self, agent: Option<&str>, message: &Message<'_>) -> Result<Answer, Error> {
        let path = path_of(agent);
        let response = self
            .request(Method::POST, &path, message.to_json(), "application/json")
            .await?;
        let head = Head::read(response.headers());
        let (status, body) = self.whole(response).await?;
        let result = result_of(status, &body)?;
        Ok(Answer { head, result })
    }

    /// Sends a message and takes the answer event by event.
    ///
    /// # Errors
    /// Everything an [`Error`] can be.
    pub async fn stream(
        &self,
        agent: Option<&str>,
        message: &Message<'_>,
    ) -> Result<Stream, Error> {
        let path = path_of(agent);
        let response = self
            .request(Method::POST, &path, message.to_json(), "text/event-stream")
            .await?;
        let head = Head::read(response.headers());
        let streams = response
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        let mut stream = Stream {
            head,
            url: self.run.listen.clone(),
            body: None,
            events: Events::default(),
            ready: VecDeque::new(),
        };
        if streams {
            stream.body = Some(response.into_body());
        } else {
            // A refusal before the stream began, or an agent that answers at once.
            let (status, body) = self.whole(response).await?;
            result_of(status, &body)?;
            stream
                .ready
                .push_back(String::from_utf8_lossy(&body).into_owned());
        }
        Ok(stream)
    }

    async fn rest<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<T, Error> {
        let response = self.request(method, path, body, "application/json");
        let (status, body) = self
            .in_time(async { self.whole(response.await?).await })
            .await?;
        if !status.is_success() {
            let refusal = Refusal::read(status, &body).unwrap_or_else(|| Refusal::bare(status));
            return Err(Error::Refused(refusal));
        }
        // A success without a body, as DELETE may have, is nothing.
        let body = if body.is_empty() {
            Bytes::from_static(b"null")
        } else {
            body
        };
        serde_json::from_slice(&body).map_err(|error| Error::Malformed(error.to_string()))
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
        accept: &str,
    ) -> Result<Response<Incoming>, Error> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.run.listen))
            .header(header::ACCEPT, accept)
            .header("A2A-Version", A2A_VERSION);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| self.unreachable(error))?;
        self.http
            .request(request)
            .await
            .map_err(|error| self.unreachable(error))
    }

    async fn whole(&self, response: Response<Incoming>) -> Result<(StatusCode, Bytes), Error> {
        let status = response.status();
        let body = response
            .into_body()
            .collect()
            .await
            .map_err(|error| self.unreachable(error))?;
        Ok((status, body.to_bytes()))
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        tokio::time::timeout(ANSWER_TIMEOUT, work)
            .await
            .unwrap_or_else(|_| {
                Err(Error::Late {
                    url: self.run.listen.clone(),
                    seconds: ANSWER_TIMEOUT.as_secs(),
                })
            })
    }

    fn unreachable(&self, source: impl std::error::Error + Send + Sync + 'static) -> Error {
        Error::Unreachable {
            url: self.run.listen.clone(),
            source: Box::new(source),
        }
    }
}

impl Stream {
    /// The next event's result, or none at the end.
    ///
    /// # Errors
    /// When the stream breaks, or the mesh or agent reports an error in it.
    pub async fn next(&mut self) -> Result<Option<Value>, Error> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return result_of(StatusCode::OK, event.as_bytes()).map(Some);
            }
            let Some(body) = &mut self.body else {
                return Ok(None);
            };
            let Some(frame) = body.frame().await else {
                return Ok(None);
            };
            let frame = frame.map_err(|error| Error::Unreachable {
                url: self.url.clone(),
                source: Box::new(error),
            })?;
            if let Ok(bytes) = frame.into_data() {
                self.ready
                    .extend(self.events.push(&bytes).map_err(Error::Malformed)?);
            }
        }
    }
}

fn path_of(agent: Option<&str>) -> String {
    agent.map_or_else(|| "/".to_owned(), |name| format!("/agents/{name}"))
}

/// The `result` of a JSON-RPC answer.
fn result_of(status: StatusCode, body: &[u8]) -> Result<Value, Error> {
    if let Some(refusal) = Refusal::read(status, body) {
        return Err(Error::Refused(refusal));
    }
    if !status.is_success() {
        return Err(Error::Refused(Refusal::bare(status)));
    }
    let mut answer: Value =
        serde_json::from_slice(body).map_err(|error| Error::Malformed(error.to_string()))?;
    match answer.get_mut("result") {
        Some(result) => Ok(result.take()),
        None => Err(Error::Malformed("neither `result` nor `error`".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mesh_that_serves_gateways_only_is_found_and_not_spoken_to() {
        let dir = tempfile::tempdir().unwrap();
        let lock = std::fs::File::create(dir.path().join(run::LOCK_FILE)).unwrap();
        lock.try_lock().unwrap();
        let find = |gateway_only| {
            let run = Run {
                listen: "http://127.0.0.1:1".into(),
                admin: "http://127.0.0.1:2".into(),
                pid: 3,
                mesh_dir: None,
                trust_domain: "mesh.local".into(),
                cluster: "local".into(),
                version: "0.1.0".into(),
                gateway_only,
            };
            run.write(dir.path()).unwrap();
            Mesh::find(dir.path(), "/users/ada", 0).unwrap()
        };
        assert!(find(false).for_callers().is_ok());
        let refused = find(true).for_callers().err();
        assert!(matches!(refused, Some(Error::GatewayOnly { .. })));
    }
}
