//! What a guest cannot do, whatever it does: its own request fails with a clear
//! status, and its neighbours are answered.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use http_body_util::BodyExt as _;
use kgents_app::{Component, Limits};
use kgents_runner::{BodyError, Runner};

use crate::{answer, app, ask, engine, hello, hostile, run, settings, text};

/// A hostile component with time to spare, and one with little.
const PATIENT: Duration = Duration::from_secs(60);
const HASTY: Duration = Duration::from_millis(200);

fn limited(timeout: Duration) -> Component {
    Component {
        limits: Limits {
            timeout,
            memory_bytes: 16 << 20,
            reuse: None,
        },
        ..hostile()
    }
}

async fn assert_alive(runner: &Runner) {
    let (status, body) = answer(runner, "/hello/").await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "hello\n"));
}

#[tokio::test]
async fn a_trap_a_storm_of_memory_or_no_answer_is_a_500_without_a_word() {
    let runner = run(vec![limited(PATIENT), hello()], settings()).await;
    for path in ["trap", "allocate", "silent", "drop", "error"] {
        let (status, body) = answer(&runner, &format!("/hostile/{path}")).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{path}");
        assert_eq!(body, "", "{path}");
        assert_alive(&runner).await;
    }
}

#[tokio::test]
async fn a_loop_and_a_wait_without_end_are_504_when_time_is_up() {
    let runner = run(vec![limited(HASTY), hello()], settings()).await;
    for path in ["loop", "sleep?n=86400000"] {
        let (status, body) = answer(&runner, &format!("/hostile/{path}")).await;
        assert_eq!(status, StatusCode::GATEWAY_TIMEOUT, "{path}");
        assert_eq!(body, "no answer in time\n", "{path}");
        assert_alive(&runner).await;
    }
}

#[tokio::test]
async fn neighbours_are_answered_while_others_loop() {
    // One thread for all: only giving way lets anybody else run.
    let runner = run(vec![limited(PATIENT), hello()], settings()).await;
    let loops: Vec<_> = (0..3)
        .map(|_| {
            let runner = runner.clone();
            tokio::spawn(async move { answer(&runner, "/hostile/loop").await })
        })
        .collect();
    for _ in 0..20 {
        assert_alive(&runner).await;
    }
    for one in loops {
        assert!(!one.is_finished());
        one.abort();
        assert!(one.await.unwrap_err().is_cancelled());
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_seen_to_break_off() {
    let runner = run(vec![limited(HASTY), hello()], settings()).await;
    for path in ["half", "never-write"] {
        let response = ask(&runner, &format!("/hostile/{path}")).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let broken = response.into_body().collect().await.map(|_| ());
        assert_eq!(broken, Err(BodyError::BrokenOff), "{path}");
        assert_alive(&runner).await;
    }
}

#[tokio::test]
async fn a_guest_may_leave_the_body_of_its_request_unread() {
    let runner = run(vec![limited(PATIENT)], settings()).await;
    let body = http_body_util::Full::new(bytes::Bytes::from(vec![0; 8 << 20]));
    let request = http::Request::post("/hostile/never-read")
        .header("host", "a")
        .body(body)
        .unwrap();
    let response = runner.answer(request, crate::CLIENT.parse().unwrap()).await;
    assert_eq!(text(response).await, "did not read\n");
}

#[tokio::test]
async fn a_caller_who_goes_away_takes_the_instance_along() {
    // One place: the next request is answered only when it is free again.
    let mut one = settings();
    one.engine = engine(1);
    let runner = run(vec![limited(PATIENT), hello()], one).await;
    for path in ["never-write", "write-for-ever"] {
        let response = ask(&runner, &format!("/hostile/{path}")).await;
        drop(response);
        assert_alive(&runner).await;
    }
    for path in ["loop", "sleep?n=86400000"] {
        let path = format!("/hostile/{path}");
        let asking = ask(&runner, &path);
        let given_up = tokio::time::timeout(HASTY, asking).await;
        assert!(given_up.is_err(), "{path}");
        assert_alive(&runner).await;
    }
}

#[tokio::test]
async fn a_caller_who_takes_nothing_is_not_waited_for() {
    let mut one = settings();
    one.engine = engine(1);
    let runner = run(vec![limited(HASTY), hello()], one).await;
    let held = ask(&runner, "/hostile/write-for-ever").await;
    assert_alive(&runner).await;
    let broken = held.into_body().collect().await.map(|_| ());
    assert_eq!(broken, Err(BodyError::BrokenOff));
}

#[tokio::test]
async fn where_there_is_no_room_it_is_503() {
    let mut one = settings();
    one.engine = engine(1);
    let hasty = Component {
        id: "hasty".to_owned(),
        ..limited(HASTY)
    };
    let runner = run(vec![limited(PATIENT), hasty], one).await;
    let _held = ask(&runner, "/hostile/never-write").await;
    let (status, body) = answer(&runner, "/hasty/count").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body, "busy: try again later\n");
}

#[tokio::test]
async fn headers_are_bounded_in_number_and_in_size() {
    let runner = run(vec![limited(PATIENT), hello()], settings()).await;
    let response = ask(&runner, "/hostile/headers?n=100").await;
    assert_eq!(response.headers().len(), 100);
    assert_eq!(text(response).await, "100");
    let (status, body) = answer(&runner, "/hostile/header?n=1000").await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "taken"));
    // More than that is a trap, as wasmtime has it.
    for path in ["headers?n=100000", "header?n=1048576"] {
        let (status, _) = answer(&runner, &format!("/hostile/{path}")).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{path}");
        assert_alive(&runner).await;
    }
}

#[tokio::test]
async fn resources_of_the_host_are_bounded() {
    let runner = run(vec![limited(PATIENT), hello()], settings()).await;
    let (status, _) = answer(&runner, "/hostile/leak?n=1000").await;
    assert_eq!(status, StatusCode::OK);
    let (status, _) = answer(&runner, "/hostile/leak?n=1000000").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_alive(&runner).await;
}

#[tokio::test]
async fn no_socket_and_no_name_is_to_be_had() {
    let mut component = limited(PATIENT);
    component.allowed_outbound_hosts = vec![crate::template("*://*:*")];
    let runner = run(vec![component], settings()).await;
    let (status, told) = answer(&runner, "/hostile/socket").await;
    assert_eq!(status, StatusCode::OK);
    for kind in ["tcp: Err", "udp: Err", "name: Err"] {
        assert!(told.lines().any(|line| line.starts_with(kind)), "{told}");
    }
}

/// What a log holds.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_flood_of_output_is_named_and_cut_short() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // For all threads, since a guest that writes for long goes to one of its own;
    // and so for the other tests of this process.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let mut app = app(vec![limited(PATIENT)]);
    app.name = "flooding".to_owned();
    let runner = Runner::new(app, settings()).await.unwrap();
    let (status, body) = answer(&runner, "/hostile/flood-logs").await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "flooded\n"));
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<_> = log
        .lines()
        .filter(|line| line.contains("app=\"flooding\" component=\"hostile\""))
        .collect();
    let bytes: usize = lines.iter().map(|line| line.len()).sum();
    assert!(bytes < 256 * 1024, "{bytes}");
    for stream in ["stdout", "stderr"] {
        let said = |line: &&&str| line.contains(stream) && line.contains("all work and no play");
        let said = lines.iter().filter(said).count();
        assert!(said > 10, "{stream}: {said}");
    }
    let cut = |line: &&&str| line.contains("too much output");
    assert_eq!(lines.iter().filter(cut).count(), 2, "{lines:#?}");
}
