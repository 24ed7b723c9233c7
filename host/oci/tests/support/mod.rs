//! An application to push, and a registry in this process that does what it is
//! told.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "each test binary uses a part; a test that cannot go on should stop where it stands"
)]

pub mod docker;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use kgents_app::{Digest, LockedApp, Packed};
use kgents_oci::{Credentials, Reference, Settings, Times};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub const APPLICATION: &str = "application/vnd.fermyon.spin.application.v1+config";
pub const ARCHIVE: &str = "application/vnd.wasm.content.bundle.v1.tar+gzip";
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const DATA: &str = "application/vnd.wasm.content.layer.v1+data";
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const WASM: &str = "application/vnd.wasm.content.layer.v1+wasm";

/// Two components of which one has files: one too small for a layer, one large.
pub fn shop() -> Packed {
    let contents: [&'static [u8]; 4] = [b"\0asm web", b"\0asm api", b"small", &[b'x'; 5000]];
    let blobs: BTreeMap<Digest, Bytes> = contents
        .map(|bytes| (Digest::of(bytes), Bytes::from_static(bytes)))
        .into();
    let [web, api, small, large] = contents.map(|bytes| Digest::of(bytes).to_string());
    let wasm = |digest| json!({"content_type": "application/wasm", "digest": digest});
    let trigger = |id: &str, route: &str| json!({"id": id, "trigger_type": "http", "trigger_config": {"component": id, "route": route}});
    let lock = json!({
        "spin_lock_version": 1,
        "must_understand": ["component_host_requirements"],
        "metadata": {"name": "shop", "version": "1.2.0", "description": "sells", "authors": ["Ada", "Bo"],
            "origin": "file:///home/ada/shop/spin.toml", "trigger": {"type": "http"}},
        "variables": {"greeting": {"default": "hello"}, "token": {"secret": true}},
        "triggers": [trigger("web", "/..."), trigger("api", "/api/...")],
        "components": [
            {"id": "web", "metadata": {"allowed_outbound_hosts": ["http://api.spin.internal"]},
             "source": wasm(web), "config": {"greeting": "{{ greeting }}"},
             "host_requirements": {"local_service_chaining": "required"},
             "files": [{"digest": small, "path": "/note.txt"}, {"digest": large, "path": "/img/logo.svg"}]},
            {"id": "api", "source": wasm(api), "env": {"MODE": "fast"}},
        ],
    });
    let lock = LockedApp::from_json(lock.to_string().as_bytes()).unwrap();
    Packed { lock, blobs }
}

/// The lock of what comes back after `packed` was pushed: paths and places as an
/// artefact has them.
pub fn as_pulled(packed: &Packed) -> LockedApp {
    let mut lock = packed.lock.clone();
    lock.metadata.remove("origin");
    for file in lock
        .components
        .iter_mut()
        .flat_map(|component| &mut component.files)
    {
        file.path = file.path.trim_start_matches('/').to_owned();
    }
    lock
}

/// Settings that soon give up on who is silent.
pub fn hasty() -> Settings {
    Settings {
        times: Times {
            idle: Duration::from_millis(500),
            ..Times::default()
        },
        ..Settings::default()
    }
}

/// The same with a login of Docker's configuration in `folder`.
pub fn logged_in(folder: &std::path::Path, registry: &str, entry: Value) -> Settings {
    let config = json!({"auths": {registry: entry}}).to_string();
    std::fs::write(folder.join("config.json"), config).unwrap();
    Settings {
        credentials: Credentials::in_folder(folder),
        ..Settings::default()
    }
}

/// A body of the registry's answers.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;
type Rule = dyn Fn(&Method, &str, &HeaderMap) -> Fault + Send + Sync;

/// What the registry does instead of what it should.
#[derive(Clone, Debug)]
pub enum Fault {
    /// What it should.
    No,
    /// Not answer at all.
    Hang,
    /// Answer a head, then nothing.
    HangInBody,
    /// Answer without end.
    Endless,
    /// Answer with this status, header and body.
    Say(u16, Vec<(&'static str, String)>, Vec<u8>),
}

/// What a registry holds, and what it was asked.
#[derive(Default)]
pub struct Shelf {
    /// Content type and bytes by tag or digest.
    pub manifests: BTreeMap<String, (String, Bytes)>,
    /// Bytes by digest.
    pub blobs: BTreeMap<String, Bytes>,
    /// `METHOD path` of each request, in order.
    pub asked: Vec<String>,
}

/// A registry in this process; it ends with the test's runtime.
#[derive(Clone)]
pub struct Fake {
    /// Host and port.
    pub host: String,
    pub shelf: Arc<Mutex<Shelf>>,
}

impl Fake {
    pub async fn start() -> Self {
        Self::with(|_, _, _| Fault::No).await
    }

    /// A registry that does what `rule` says for a method, path and headers.
    pub async fn with(
        rule: impl Fn(&Method, &str, &HeaderMap) -> Fault + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fake = Self {
            host: listener.local_addr().unwrap().to_string(),
            shelf: Arc::default(),
        };
        let (shelf, rule): (_, Arc<Rule>) = (Arc::clone(&fake.shelf), Arc::new(rule));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (shelf, rule) = (Arc::clone(&shelf), Arc::clone(&rule));
                let service = service_fn(move |request| {
                    let (shelf, rule) = (Arc::clone(&shelf), Arc::clone(&rule));
                    async move { Ok::<_, Infallible>(answer(&shelf, &*rule, request).await) }
                });
                let builder = auto::Builder::new(TokioExecutor::new());
                tokio::spawn(async move {
                    let _ = builder
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        fake
    }

    pub fn reference(&self, rest: &str) -> Reference {
        format!("{}/{rest}", self.host).parse().unwrap()
    }

    /// How often a request that begins with `prefix` was made.
    pub fn asked(&self, prefix: &str) -> usize {
        let shelf = self.shelf.lock().unwrap();
        shelf
            .asked
            .iter()
            .filter(|asked| asked.starts_with(prefix))
            .count()
    }

    /// Put an artefact there, as `name` and under its digest: each layer with its
    /// media type, the image configuration before them.
    pub fn put(&self, tag: &str, layers: &[(&str, &[u8])]) {
        let config = json!({"architecture": "wasm", "os": "wasip1", "config": {},
            "rootfs": {"type": "layers", "diff_ids": []}});
        let config = config.to_string();
        let descriptor = |media_type: &str, bytes: &[u8]| json!({"mediaType": media_type, "digest": Digest::of(bytes).to_string(), "size": bytes.len()});
        let listed: Vec<Value> = layers
            .iter()
            .map(|(kind, bytes)| descriptor(kind, bytes))
            .collect();
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST,
            "config": descriptor(CONFIG, config.as_bytes()), "layers": listed});
        self.put_manifest(tag, &manifest);
        let mut shelf = self.shelf.lock().unwrap();
        for bytes in layers
            .iter()
            .map(|(_, bytes)| *bytes)
            .chain([config.as_bytes()])
        {
            let digest = Digest::of(bytes).to_string();
            shelf.blobs.insert(digest, Bytes::copy_from_slice(bytes));
        }
    }

    /// Put a manifest there.
    pub fn put_manifest(&self, tag: &str, manifest: &Value) {
        let bytes = Bytes::from(manifest.to_string());
        let mut shelf = self.shelf.lock().unwrap();
        for name in [tag.to_owned(), Digest::of(&bytes).to_string()] {
            shelf
                .manifests
                .insert(name, (MANIFEST.to_owned(), bytes.clone()));
        }
    }

    /// The manifest under `tag`.
    pub fn manifest(&self, tag: &str) -> Value {
        let shelf = self.shelf.lock().unwrap();
        serde_json::from_slice(&shelf.manifests[tag].1).unwrap()
    }

    /// The blob of the descriptor `part`.
    pub fn blob(&self, part: &Value) -> Bytes {
        let digest = part["digest"].as_str().unwrap();
        self.shelf.lock().unwrap().blobs[digest].clone()
    }

    /// Forget the blob of the descriptor `part`.
    pub fn forget(&self, part: &Value) {
        let digest = part["digest"].as_str().unwrap();
        self.shelf.lock().unwrap().blobs.remove(digest);
    }
}

/// An answer of the registry.
pub fn say(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Response<Body> {
    let mut builder = Response::builder().status(StatusCode::from_u16(status).unwrap());
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(Full::new(body.into()).boxed_unsync()).unwrap()
}

async fn answer(shelf: &Mutex<Shelf>, rule: &Rule, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let query = head.uri.query().unwrap_or_default().to_owned();
    let asked = format!("{} {path}", head.method);
    shelf.lock().unwrap().asked.push(asked);
    match rule(&head.method, &path, &head.headers) {
        Fault::No => {}
        Fault::Hang => return std::future::pending().await,
        Fault::HangInBody => {
            let body = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
            return Response::new(body.boxed_unsync());
        }
        Fault::Endless => {
            let piece = || Ok::<_, Infallible>(Frame::data(Bytes::from_static(&[b'x'; 65536])));
            let body = StreamBody::new(stream::iter(std::iter::repeat_with(piece)));
            return Response::new(body.boxed_unsync());
        }
        Fault::Say(status, headers, body) => {
            let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
            return say(status, &headers, body);
        }
    }
    let bytes = body.collect().await.unwrap().to_bytes();
    keep_or_give(
        &mut shelf.lock().unwrap(),
        &head.method,
        &path,
        &query,
        &head.headers,
        bytes,
    )
}

/// The registry protocol, as far as a client needs it.
fn keep_or_give(
    shelf: &mut Shelf,
    method: &Method,
    path: &str,
    query: &str,
    headers: &HeaderMap,
    bytes: Bytes,
) -> Response<Body> {
    let name = path.rsplit('/').next().unwrap().to_owned();
    let found = |found: Option<(String, Bytes)>| match found {
        Some((kind, bytes)) => say(200, &[("content-type", &kind)], bytes),
        None => say(404, &[], r#"{"errors":[{"code":"UNKNOWN"}]}"#),
    };
    match (method, path) {
        (&Method::GET, path) if path.contains("/manifests/") => {
            found(shelf.manifests.get(&name).cloned())
        }
        (&Method::GET | &Method::HEAD, path) if path.contains("/blobs/") => {
            let kind = "application/octet-stream".to_owned();
            found(shelf.blobs.get(&name).map(|bytes| (kind, bytes.clone())))
        }
        (&Method::POST, path) if path.ends_with("/blobs/uploads/") => {
            say(202, &[("location", &format!("{path}one?state=x"))], "")
        }
        (&Method::PUT, path) if path.contains("/blobs/uploads/") => {
            let digest = query.strip_prefix("state=x&digest=sha256%3A").unwrap();
            shelf.blobs.insert(format!("sha256:{digest}"), bytes);
            say(201, &[("location", path)], "")
        }
        (&Method::PUT, path) if path.contains("/manifests/") => {
            let kind = headers["content-type"].to_str().unwrap().to_owned();
            let digest = Digest::of(&bytes).to_string();
            for name in [name, digest.clone()] {
                shelf.manifests.insert(name, (kind.clone(), bytes.clone()));
            }
            say(
                201,
                &[("location", path), ("docker-content-digest", &digest)],
                "",
            )
        }
        _ => panic!("{method} {path}"),
    }
}
