//! Instances that serve several requests, where the manifest asks for it.

use std::time::Duration;

use http_body_util::BodyExt as _;
use kgents_app::{Component, Limits};
use kgents_runner::Runner;

use crate::{answer, ask, hostile, run, settings};

fn reused(reuse: u32) -> Component {
    Component {
        limits: Limits {
            reuse: Some(reuse),
            timeout: Duration::from_millis(500),
            memory_bytes: 16 << 20,
        },
        ..hostile()
    }
}

async fn count(runner: &Runner) -> String {
    answer(runner, "/hostile/count").await.1
}

/// Ask until the instance that answered the request before has come back.
async fn count_after_rest(runner: &Runner, expected: &str) {
    while count(runner).await != expected {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_instance_serves_as_many_requests_as_it_may() {
    let runner = run(vec![reused(3)], settings()).await;
    let mut seen = Vec::new();
    for _ in 0..9 {
        seen.push(count(&runner).await);
        tokio::task::yield_now().await;
    }
    assert!(
        seen.contains(&"2".to_owned()) && seen.contains(&"3".to_owned()),
        "{seen:?}"
    );
    assert!(!seen.contains(&"4".to_owned()), "{seen:?}");
}

#[tokio::test]
async fn an_instance_that_failed_serves_nobody_again() {
    for path in ["trap", "loop", "allocate", "sleep?n=100000", "drop"] {
        // One each: who computed for long goes on in other threads for a while, and
        // then there may be several instances that rest.
        let runner = run(vec![reused(1000)], settings()).await;
        count_after_rest(&runner, "2").await;
        let (status, _) = answer(&runner, &format!("/hostile/{path}")).await;
        assert!(status.is_server_error(), "{path}");
        assert_eq!(count(&runner).await, "1", "{path}");
    }
}

#[tokio::test]
async fn an_instance_whose_answer_nobody_took_serves_nobody_again() {
    let runner = run(vec![reused(1000)], settings()).await;
    drop(ask(&runner, "/hostile/stream?n=100").await);
    assert_eq!(count(&runner).await, "1");
}

#[tokio::test]
async fn two_requests_at_once_never_share_an_instance() {
    let runner = run(vec![reused(1000)], settings()).await;
    let held = ask(&runner, "/hostile/stream?n=3").await;
    assert_eq!(count(&runner).await, "1");
    held.into_body().collect().await.unwrap();
}
