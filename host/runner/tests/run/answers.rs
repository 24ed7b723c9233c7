//! What good guests get: requests as Spin gives them, variables, files, and their
//! answers sent as they wrote them.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt as _, Full, StreamBody};
use kgents_app::{GuestFile, HttpTrigger, Route, StaticResponse, Target, Variable};
use kgents_runner::{Runner, RunnerSettings};
use tokio::sync::mpsc;

use crate::{
    CLIENT, answer, app, ask, engine, hello, hostile, run, runtime, settings, template, text,
};

#[tokio::test]
async fn hello_is_answered_with_its_length() {
    let runner = run(vec![hello()], settings()).await;
    let response = ask(&runner, "/hello/x").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "text/plain");
    assert_eq!(response.body().size_hint().exact(), Some(6));
    assert_eq!(text(response).await, "hello\n");
}

#[tokio::test]
async fn a_component_is_told_how_its_request_came() {
    let runner = run(vec![hostile()], settings()).await;
    let request = Request::post("/hostile/a/request?x=y")
        .header("host", "tested.example:80")
        .header("connection", "keep-alive")
        .header("spin-client-addr", "forged")
        .header("x-mine", "kept")
        .body(Full::new(Bytes::new()))
        .unwrap();
    let told = text(runner.answer(request, CLIENT.parse().unwrap()).await).await;
    for line in [
        "Method::Post Some(Scheme::Http) Some(\"tested.example:80\") Some(\"/hostile/a/request?x=y\")",
        "spin-full-url: http://tested.example:80/hostile/a/request?x=y",
        "spin-path-info: /a/request",
        "spin-matched-route: /hostile/...",
        "spin-raw-component-route: /hostile/...",
        "spin-component-route: /hostile",
        "spin-base-path: /",
        "spin-client-addr: 192.0.2.1:4711",
        "x-mine: kept",
    ] {
        assert!(told.lines().any(|told| told == line), "{line}\n{told}");
    }
    assert!(
        !told.contains("forged") && !told.contains("connection"),
        "{told}"
    );
}

#[tokio::test]
async fn the_runner_itself_answers_where_spin_does() {
    let mut app = app(vec![hello()]);
    app.triggers.push(HttpTrigger {
        id: "fixed".to_owned(),
        route: Route::Path("/fixed".to_owned()),
        target: Target::Static(StaticResponse {
            status: 418,
            headers: vec![("x-a".to_owned(), "1".to_owned())],
            body: Bytes::from_static(b"teapot"),
        }),
    });
    let runner = Runner::new(app, settings()).await.unwrap();
    let fixed = ask(&runner, "/fixed").await;
    assert_eq!(fixed.status().as_u16(), 418);
    assert_eq!(fixed.headers()["x-a"], "1");
    assert_eq!(text(fixed).await, "teapot");
    let (status, body) = answer(&runner, "/.well-known/spin/health").await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "OK"));
    let info = ask(&runner, "/.well-known/spin/info").await;
    assert_eq!(info.headers()["content-type"], "application/json");
    let info = text(info).await;
    assert_eq!(
        info,
        "{\n  \"name\": \"tested\",\n  \"version\": \"1.2.3\"\n}"
    );
    for path in ["/nowhere", "/", "/.well-known/spin/other"] {
        let (status, body) = answer(&runner, path).await;
        assert_eq!(
            (status, body.as_str()),
            (StatusCode::NOT_FOUND, ""),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_request_that_names_no_host_or_a_neighbours_is_refused() {
    let runner = run(vec![hello()], settings()).await;
    for host in [None, Some("hello.spin.internal"), Some("a b")] {
        let mut request = Request::get("/hello/");
        if let Some(host) = host {
            request = request.header("host", host);
        }
        let request = request.body(Full::<Bytes>::default()).unwrap();
        let response = runner.answer(request, CLIENT.parse().unwrap()).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{host:?}");
    }
}

#[tokio::test]
async fn variables_and_the_environment_are_the_components_own() {
    let mut component = hostile();
    component
        .environment
        .insert("SEEN".to_owned(), "yes".to_owned());
    let variable = "http://{{ host }}/{{ secret }}";
    component
        .variables
        .insert("url".to_owned(), template(variable));
    let mut app = app(vec![component]);
    for (name, default) in [("host", Some("a")), ("secret", None), ("unused", Some("u"))] {
        let variable = Variable {
            default: default.map(str::to_owned),
            secret: default.is_none(),
        };
        app.variables.insert(name.to_owned(), variable);
    }
    let unset = Runner::new(app.clone(), settings())
        .await
        .map(|_| ())
        .unwrap_err();
    assert!(
        unset.to_string().contains("SPIN_VARIABLE_SECRET"),
        "{unset}"
    );
    let with_environment = RunnerSettings {
        environment: Arc::new(|name| (name == "SPIN_VARIABLE_SECRET").then(|| "s".to_owned())),
        runtime: runtime("[[variables_provider]]\ntype = \"static\"\nvalues = { host = \"b\" }\n"),
        ..settings()
    };
    let runner = Runner::new(app, with_environment).await.unwrap();
    let get = async |name: &str| {
        answer(&runner, &format!("/hostile/variable?name={name}"))
            .await
            .1
    };
    assert_eq!(get("url").await, "value: http://b/s\n");
    // The application's own variables are none of the component's.
    assert!(get("unused").await.starts_with("Error::Undefined"));
    assert!(get("No!").await.starts_with("Error::InvalidName"));
    let (_, environment) = answer(&runner, "/hostile/env").await;
    assert_eq!(environment, "SEEN=yes\n");
}

#[tokio::test]
async fn static_files_are_there_and_read_only() {
    let mut component = hostile();
    component.files.push(GuestFile {
        path: "/pages/index.txt".to_owned(),
        bytes: Bytes::from_static(b"index"),
    });
    let runner = run(vec![component], settings()).await;
    let file = async |path: &str| {
        answer(&runner, &format!("/hostile/file?path={path}"))
            .await
            .1
    };
    let told = file("/pages/index.txt").await;
    assert!(told.starts_with("read: Ok(\"index\")\n"), "{told}");
    assert!(
        !told.contains("write: Ok") && !told.contains("new: Ok"),
        "{told}"
    );
    for path in [
        "/etc/passwd",
        "/pages/../../../etc/passwd",
        "/../etc/hostname",
    ] {
        let told = file(path).await;
        assert!(told.starts_with("read: Err"), "{path}: {told}");
    }
    assert!(
        file("/pages/index.txt")
            .await
            .starts_with("read: Ok(\"index\")\n")
    );
}

#[tokio::test]
async fn bodies_pass_in_both_directions_piece_by_piece() {
    let runner = run(vec![hostile()], settings()).await;
    let (sender, mut receiver) = mpsc::unbounded_channel::<&'static str>();
    let pieces = futures_util::stream::poll_fn(move |cx| receiver.poll_recv(cx));
    let frames = futures_util::StreamExt::map(pieces, |piece| {
        Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(piece.as_bytes())))
    });
    let request = Request::post("/hostile/echo")
        .header("host", "a")
        .body(StreamBody::new(frames))
        .unwrap();
    let response = runner.answer(request, CLIENT.parse().unwrap()).await;
    let mut body = response.into_body();
    for piece in ["one", "two", "three"] {
        // Each is sent only when the one before has come back.
        sender.send(piece).unwrap();
        let frame = body.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), piece);
    }
    drop(sender);
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn a_stream_comes_as_it_is_written_and_ends_whole() {
    let runner = run(vec![hostile()], settings()).await;
    let response = ask(&runner, "/hostile/stream?n=20").await;
    assert_eq!(response.body().size_hint().exact(), None);
    let told = text(response).await;
    assert_eq!(told.lines().count(), 20);
    assert!(told.ends_with("piece 19\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_each_get_their_own_answer() {
    let mut few = settings();
    few.engine = engine(4);
    let runner = run(vec![hostile(), hello()], few).await;
    let asked: Vec<_> = (0..100)
        .map(|_| {
            let runner = runner.clone();
            tokio::spawn(async move { answer(&runner, "/hostile/count").await })
        })
        .collect();
    for asked in asked {
        // A fresh instance each: every one has served one.
        assert_eq!(asked.await.unwrap(), (StatusCode::OK, "1".to_owned()));
    }
}
