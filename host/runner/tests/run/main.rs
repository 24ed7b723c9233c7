//! Guests as built, run as an application: what good ones get and what bad ones
//! cannot do.
//!
//! In reading order: this file (an application of one guest, and how it is
//! asked), `answers`, `limits` (what a guest cannot do), `outbound`, `stores`,
//! `reuse`, `refused` (what does not even load), `closing`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop where it stands"
)]

mod answers;
mod closing;
mod limits;
mod outbound;
mod refused;
mod reuse;
mod stores;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use kgents_app::{
    App, Component, Digest, HttpTrigger, Limits, Route, RuntimeConfig, Target, Template,
};
use kgents_runner::{Engine, EngineSettings, Runner, RunnerBody, RunnerSettings};
use tempfile::TempDir;

/// The client that all requests come from.
const CLIENT: &str = "192.0.2.1:4711";

/// Compiled guests, kept for the tests of this process: each is compiled once.
static CACHE: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

/// A built guest.
fn guest(name: &str) -> Bytes {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
        PathBuf::from,
    );
    let components =
        env::var_os("KGENTS_COMPONENTS").map_or_else(|| target.join("components"), PathBuf::from);
    let path = components.join("guests").join(name).with_extension("wasm");
    let bytes = fs::read(&path)
        .unwrap_or_else(|error| panic!("`{}`: {error}; run `cargo xtask test`", path.display()));
    bytes.into()
}

/// An engine for so many instances at once.
fn engine(instances_max: u32) -> Engine {
    Engine::new(&EngineSettings {
        instances_max,
        cache: Some(CACHE.path().to_owned()),
    })
    .unwrap()
}

fn settings() -> RunnerSettings {
    RunnerSettings::new(engine(16))
}

fn component(id: &str, wasm: Bytes) -> Component {
    Component {
        id: id.to_owned(),
        digest: Digest::of(&wasm),
        wasm,
        environment: BTreeMap::new(),
        variables: BTreeMap::new(),
        files: Vec::new(),
        allowed_outbound_hosts: Vec::new(),
        key_value_stores: Vec::new(),
        limits: Limits::default(),
    }
}

fn hostile() -> Component {
    component("hostile", guest("hostile"))
}

fn hello() -> Component {
    component("hello", guest("hello"))
}

fn trigger(route: &str, component: &str) -> HttpTrigger {
    HttpTrigger {
        id: format!("trigger-{component}"),
        route: Route::Path(route.to_owned()),
        target: Target::Component(component.to_owned()),
    }
}

fn template(text: &str) -> Template {
    text.parse().unwrap()
}

/// An application in which each component is under its own id.
fn app(components: Vec<Component>) -> App {
    App {
        name: "tested".to_owned(),
        version: "1.2.3".to_owned(),
        variables: BTreeMap::new(),
        triggers: components
            .iter()
            .map(|component| trigger(&format!("/{}/...", component.id), &component.id))
            .collect(),
        components,
    }
}

async fn run(components: Vec<Component>, settings: RunnerSettings) -> Runner {
    Runner::new(app(components), settings).await.unwrap()
}

/// A configuration written as an operator would.
fn runtime(toml: &str) -> RuntimeConfig {
    RuntimeConfig::parse(toml).unwrap()
}

/// Ask, and get the head of the answer.
async fn ask(runner: &Runner, path: &str) -> Response<RunnerBody> {
    let request = Request::get(path).header("host", "tested.example");
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    runner.answer(request, CLIENT.parse().unwrap()).await
}

/// All of an answer, as text.
async fn text(response: Response<RunnerBody>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Ask, and get status and text.
async fn answer(runner: &Runner, path: &str) -> (StatusCode, String) {
    let response = ask(runner, path).await;
    (response.status(), text(response).await)
}
