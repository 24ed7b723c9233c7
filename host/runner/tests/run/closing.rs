//! A runner that is closed.

use std::time::Duration;

use http::StatusCode;
use http_body_util::BodyExt as _;
use kgents_app::{Component, Limits};
use kgents_runner::BodyError;

use crate::{answer, ask, hello, hostile, run, settings, text};

fn patient() -> Component {
    Component {
        limits: Limits {
            timeout: Duration::from_secs(60),
            ..Limits::default()
        },
        ..hostile()
    }
}

#[tokio::test]
async fn what_is_under_way_is_finished_and_nothing_new_is_begun() {
    let runner = run(vec![patient(), hello()], settings()).await;
    let under_way = ask(&runner, "/hostile/stream?n=20").await;
    let closing = runner.close(Duration::from_secs(60));
    let (stopped, told) = tokio::join!(closing, text(under_way));
    assert_eq!(stopped, 0);
    assert!(told.ends_with("piece 19\n"), "{told}");
    let (status, body) = answer(&runner, "/hello/").await;
    assert_eq!(
        (status, body.as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "closing\n")
    );
    // A second time there is nothing left to do.
    assert_eq!(runner.close(Duration::ZERO).await, 0);
}

#[tokio::test]
async fn what_does_not_end_in_time_is_stopped_and_seen_to_be() {
    let runner = run(vec![patient()], settings()).await;
    let written = ask(&runner, "/hostile/never-write").await;
    let waiting = {
        let runner = runner.clone();
        tokio::spawn(async move { answer(&runner, "/hostile/loop").await })
    };
    // It has begun when the thread is given back for the first time.
    tokio::task::yield_now().await;
    assert_eq!(runner.close(Duration::from_millis(50)).await, 2);
    let broken = written.into_body().collect().await.map(|_| ());
    assert_eq!(broken, Err(BodyError::BrokenOff));
    let (status, _) = waiting.await.unwrap();
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
}
