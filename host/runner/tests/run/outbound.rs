//! Requests that guests send: to neighbours and themselves without a socket, to
//! others over HTTP, and to nobody whom their manifest does not name.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kgents_app::{Component, HttpTrigger, Limits, Route, Target};
use kgents_runner::{Runner, RunnerSettings};
use tokio::net::TcpListener;

use crate::{answer, app, ask, component, guest, hello, hostile, run, settings, template, text};

/// A server of the outside world; its address.
async fn outside() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let answering = service_fn(|request: Request<Incoming>| async move {
                let host = request.headers().get("host").cloned();
                let text = format!("outside {} {host:?}\n", request.uri());
                let mut response = Response::new(Full::new(Bytes::from(text)));
                if request.uri().path() == "/large" {
                    *response.body_mut() = Full::new(Bytes::from(vec![b'x'; 4 << 20]));
                }
                Ok::<_, Infallible>(response)
            });
            let serving = http1::Builder::new().serve_connection(TokioIo::new(socket), answering);
            tokio::spawn(serving);
        }
    });
    address
}

fn allowing(hosts: &[&str]) -> Component {
    Component {
        allowed_outbound_hosts: hosts.iter().map(|host| template(host)).collect(),
        ..hostile()
    }
}

async fn outbound(runner: &Runner, url: &str) -> String {
    let (status, told) = answer(runner, &format!("/hostile/outbound?url={url}")).await;
    assert_eq!(status, StatusCode::OK, "{url}: {told}");
    told
}

#[tokio::test]
async fn an_allowed_host_is_reached_and_no_other() {
    let address = outside().await;
    let allowed = format!("http://{address}");
    let runner = run(vec![allowing(&[&allowed])], settings()).await;
    let told = outbound(&runner, &format!("http://{address}/a?b=c")).await;
    assert_eq!(told, format!("200\noutside /a?b=c Some(\"{address}\")\n"));
    let other = outside().await;
    for url in [
        format!("http://{other}/"),
        format!("https://{address}/"),
        "http://example.com/".to_owned(),
        "http://hostile.spin.internal/count".to_owned(),
        "http://self.alt/hostile/count".to_owned(),
        "/hostile/count".to_owned(),
    ] {
        let told = outbound(&runner, &url).await;
        assert_eq!(told, "error: ErrorCode::HttpRequestDenied\n", "{url}");
    }
    // What stands before an `@` fools nobody.
    let told = outbound(&runner, &format!("http://{address}@{other}/")).await;
    assert!(told.starts_with("error: "), "{told}");
}

#[tokio::test]
async fn large_answers_pass_through_whole() {
    let address = outside().await;
    let allowed = format!("http://{address}");
    let runner = run(vec![allowing(&[&allowed])], settings()).await;
    let told = outbound(&runner, &format!("http://{address}/large")).await;
    assert_eq!(told.len(), "200\n".len() + (4 << 20));
}

#[tokio::test]
async fn nobody_there_is_an_error_for_the_guest_alone() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let runner = run(vec![allowing(&["*://*:*"])], settings()).await;
    let told = outbound(&runner, &format!("http://127.0.0.1:{port}/")).await;
    assert_eq!(told, "error: ErrorCode::ConnectionRefused\n");
    let told = outbound(&runner, "ftp://example.com/").await;
    assert!(told.starts_with("error: "), "{told}");
}

#[tokio::test]
async fn neighbours_call_each_other_by_name_on_private_routes_too() {
    let caller = allowing(&["http://*.spin.internal"]);
    let called = component("Called", guest("hostile"));
    let mut app = app(vec![caller, hello()]);
    app.triggers.push(HttpTrigger {
        id: "private".to_owned(),
        route: Route::Private,
        target: Target::Component("Called".to_owned()),
    });
    app.components.push(called);
    let runner = Runner::new(app, settings()).await.unwrap();
    let told = outbound(&runner, "http://hello.spin.internal/x").await;
    assert_eq!(told, "200\nhello\n");
    let told = outbound(&runner, "http://called.spin.internal/a/request?b").await;
    for line in [
        "Method::Get Some(Scheme::Http) Some(\"called.spin.internal\") Some(\"/a/request?b\")",
        "spin-path-info: /a/request",
        "spin-raw-component-route: /...",
        "spin-component-route: ",
        "spin-client-addr: 0.0.0.0:0",
    ] {
        assert!(told.lines().any(|told| told == line), "{line}\n{told}");
    }
    let told = outbound(&runner, "http://nobody.spin.internal/").await;
    assert!(told.starts_with("error: "), "{told}");
    // What it answers passes piece by piece, and what breaks off breaks off.
    let told = outbound(&runner, "http://called.spin.internal/stream?n=10").await;
    assert_eq!(told.lines().count(), 11);
    let told = outbound(&runner, "http://called.spin.internal/trap").await;
    assert_eq!(told, "500\n");
    let response = ask(
        &runner,
        "/hostile/outbound?url=http://called.spin.internal/half",
    )
    .await;
    assert!(response.into_body().collect().await.is_err());
}

#[tokio::test]
async fn an_application_reaches_itself_by_its_routes() {
    let settings = RunnerSettings {
        origin: Some("127.0.0.1:3000".to_owned()),
        ..settings()
    };
    let runner = run(vec![allowing(&["http://self"]), hello()], settings).await;
    for url in ["http://self.alt/hello/", "http://self/hello/", "/hello/"] {
        assert_eq!(outbound(&runner, url).await, "200\nhello\n", "{url}");
    }
    assert_eq!(outbound(&runner, "/nowhere").await, "404\n");
    let told = outbound(&runner, "/hostile/request").await;
    let line = "spin-full-url: http://127.0.0.1:3000/hostile/request";
    assert!(told.lines().any(|told| told == line), "{told}");
}

#[tokio::test]
async fn an_application_that_calls_itself_without_end_is_stopped() {
    let mut called = "/hostile/count".to_owned();
    // One level deeper than allowed: the address of each level is in the one before.
    for _ in 0..20 {
        called = format!("/hostile/outbound?url={called}");
    }
    let component = Component {
        limits: Limits {
            timeout: Duration::from_secs(60),
            ..Limits::default()
        },
        ..allowing(&["http://self"])
    };
    let mut many = settings();
    many.engine = crate::engine(64);
    let runner = run(vec![component], many).await;
    let (status, told) = answer(&runner, &called).await;
    assert_eq!(status, StatusCode::OK);
    assert!(told.ends_with("error: ErrorCode::LoopDetected\n"), "{told}");
}

#[tokio::test]
async fn calls_that_need_more_places_than_there_are_do_not_wait_for_ever() {
    let mut few = settings();
    few.engine = crate::engine(2);
    let runner = run(vec![allowing(&["http://self"])], few).await;
    let twice = "/hostile/outbound?url=/hostile/count";
    assert_eq!(text(ask(&runner, twice).await).await, "200\n1");
    let thrice = format!("/hostile/outbound?url={twice}");
    let told = text(ask(&runner, &thrice).await).await;
    assert_eq!(told, "200\n503\nbusy: try again later\n");
}
