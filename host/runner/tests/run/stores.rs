//! Key-value stores, as guests see them.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use http::StatusCode;
use kgents_app::Component;
use kgents_runner::{Runner, RunnerSettings};

use crate::{answer, app, hostile, run, runtime, settings};

/// What a store answers that does what it should.
const GOOD: &str = "get: Ok(None)\nset: Ok(())\nget: Ok(Some(3))\nexists: Ok(true)\n\
                    keys: Ok(1)\ndelete: Ok(())\nexists: Ok(false)\n";

fn using(labels: &[&str]) -> Component {
    Component {
        key_value_stores: labels.iter().map(|label| (*label).to_owned()).collect(),
        ..hostile()
    }
}

async fn asked(runner: &Runner, query: &str) -> String {
    let (status, told) = answer(runner, &format!("/hostile/kv?{query}")).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    told
}

#[tokio::test]
async fn a_store_keeps_what_it_is_given_and_only_for_whom_it_is() {
    let runner = run(vec![using(&["default"])], settings()).await;
    assert_eq!(asked(&runner, "").await, GOOD);
    assert_eq!(
        asked(&runner, "label=other").await,
        "open: Error::AccessDenied\n"
    );
    let runner = run(vec![hostile()], settings()).await;
    assert_eq!(asked(&runner, "").await, "open: Error::AccessDenied\n");
}

#[tokio::test]
async fn keys_and_values_have_bounds_that_guests_are_told() {
    let runner = run(vec![using(&["default"])], settings()).await;
    let told = asked(&runner, "key=1024&n=1000000").await;
    assert!(told.contains("get: Ok(Some(1000000))"), "{told}");
    let told = asked(&runner, "key=1025").await;
    assert!(
        told.contains("set: Err(Error::Other(\"the key has 1025 bytes"),
        "{told}"
    );
    let told = asked(&runner, "n=9000000").await;
    assert!(
        told.contains("set: Err(Error::Other(\"the value has 9000000 bytes"),
        "{told}"
    );
}

#[tokio::test]
async fn what_is_in_the_data_folder_is_there_the_next_time() {
    let folder = tempfile::tempdir().unwrap();
    let kept = |found: &str| {
        format!("get: Ok({found})\nset: Ok(())\nget: Ok(Some(3))\nexists: Ok(true)\nkeys: Ok(1)\n")
    };
    let config = "[key_value_store.other]\ntype = \"spin\"\npath = \"other.redb\"\n";
    for found in ["None", "Some(3)"] {
        let settings = || RunnerSettings {
            data: Some(folder.path().to_owned()),
            runtime: runtime(config),
            ..settings()
        };
        // The store of the runner before lets go of its file when it is gone.
        let runner = loop {
            let app = app(vec![using(&["default", "other"])]);
            match Runner::new(app, settings()).await {
                Ok(runner) => break runner,
                Err(error) => assert_eq!(error.code(), "run-store", "{error}"),
            }
            tokio::task::yield_now().await;
        };
        assert_eq!(asked(&runner, "keep").await, kept(found));
        assert_eq!(asked(&runner, "keep&label=other").await, kept(found));
    }
    assert!(folder.path().join("key-value.redb").exists());
    assert!(folder.path().join("other.redb").exists());
}

/// A Redis server that ends with the test.
struct Redis {
    process: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Redis {
    /// `None` where the program is not installed.
    async fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let started = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .spawn();
        let Ok(process) = started else {
            eprintln!("skipped: `redis-server` is not installed");
            return None;
        };
        while tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_err()
        {
            tokio::task::yield_now().await;
        }
        Some(Self {
            process,
            url: format!("redis://127.0.0.1:{port}/0"),
            _folder: folder,
        })
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn a_store_on_redis_does_what_the_one_on_disk_does() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let config = format!(
        "[key_value_store.default]\ntype = \"redis\"\nurl = \"{url}\"\n\
         [key_value_store.cache]\ntype = \"redis\"\nurl = \"{url}\"\n",
        url = redis.url,
    );
    let settings = || RunnerSettings {
        runtime: runtime(&config),
        ..settings()
    };
    let runner = run(vec![using(&["default", "cache"])], settings()).await;
    assert_eq!(asked(&runner, "").await, GOOD);
    // Neither labels nor applications of one server see each other.
    let first = asked(&runner, "keep").await;
    assert!(first.starts_with("get: Ok(None)"), "{first}");
    assert_eq!(asked(&runner, "label=cache").await, GOOD);
    let mut other = app(vec![using(&["default"])]);
    other.name = "other".to_owned();
    let other = Runner::new(other, settings()).await.unwrap();
    assert_eq!(asked(&other, "").await, GOOD);
    let again = run(vec![using(&["default"])], settings()).await;
    assert!(asked(&again, "keep").await.starts_with("get: Ok(Some(3))"));
}

#[tokio::test]
async fn a_redis_that_is_gone_is_an_error_for_the_guest() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let config = format!(
        "[key_value_store.default]\ntype = \"redis\"\nurl = \"redis://:hidden@127.0.0.1:{port}\"\n"
    );
    let settings = RunnerSettings {
        runtime: runtime(&config),
        ..settings()
    };
    let runner = run(vec![using(&["default"])], settings).await;
    let told = asked(&runner, "").await;
    assert!(
        told.contains("get: Err(Error::Other(\"the store "),
        "{told}"
    );
    assert!(!told.contains("hidden"), "{told}");
}
