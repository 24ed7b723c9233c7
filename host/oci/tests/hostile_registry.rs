//! Registries that hang, lie, drop and forget, and artefacts that are no Spin
//! application. Each ends in an error that says what and where.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop where it stands"
)]

mod support;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use kgents_app::Digest;
use kgents_oci::{OciError, Settings, Times, pull, push};
use serde_json::{Value, json};
use support::{APPLICATION, DATA, Fake, Fault, WASM, as_pulled, hasty, logged_in, shop};

/// Every cause of `error`, on one line.
fn words(error: &OciError) -> String {
    let mut words = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        words.push_str(&format!(": {error}"));
        source = error.source();
    }
    words
}

#[track_caller]
fn check(error: &OciError, code: &str, parts: &[&str]) {
    let words = words(error);
    assert_eq!(error.code(), code, "{words}");
    for part in parts {
        assert!(words.contains(part), "{part:?} is not in {words:?}");
    }
}

#[tokio::test]
async fn a_registry_that_hangs_ends_in_an_error() {
    for (path, fault, what) in [
        ("/manifests/", Fault::Hang, "the manifest of"),
        ("/manifests/", Fault::HangInBody, "the manifest of"),
        ("/blobs/", Fault::Hang, "layer 4 (application/vnd.fermyon"),
        (
            "/blobs/",
            Fault::HangInBody,
            "layer 4 (application/vnd.fermyon",
        ),
    ] {
        let registry = Fake::with(move |method, asked, _| {
            let hangs = *method == "GET" && asked.contains(path);
            if hangs { fault.clone() } else { Fault::No }
        })
        .await;
        let reference = registry.reference("acme/shop:1");
        push(&shop(), &reference, &Settings::default())
            .await
            .unwrap();
        let error = pull(&reference, &hasty()).await.unwrap_err();
        check(
            &error,
            "silent",
            &["was silent", what, registry.host.as_str()],
        );
    }
}

#[tokio::test]
async fn a_registry_that_takes_no_upload_ends_in_an_error() {
    for (method, what) in [
        ("HEAD", "storing component `web`"),
        ("POST", "storing component `web`"),
        (
            "PUT",
            "storing component `web` (application/vnd.wasm.content.layer.v1+wasm, sha256:",
        ),
    ] {
        let registry = Fake::with(move |asked, _, _| {
            if *asked == method {
                Fault::Hang
            } else {
                Fault::No
            }
        })
        .await;
        let error = push(&shop(), &registry.reference("shop:1"), &hasty())
            .await
            .unwrap_err();
        check(&error, "silent", &[what]);
    }
}

#[tokio::test]
async fn a_registry_that_is_slow_without_end_is_given_up() {
    let registry = Fake::with(|_, _, _| Fault::Hang).await;
    let settings = Settings {
        times: Times {
            whole: Duration::from_millis(300),
            ..Times::default()
        },
        ..Settings::default()
    };
    let error = pull(&registry.reference("shop:1"), &settings)
        .await
        .unwrap_err();
    check(&error, "late", &["127.0.0.1", "shop:1"]);
}

#[tokio::test]
async fn an_answer_without_end_is_cut_short() {
    let registry = Fake::with(|method, path, _| {
        let reads = *method == "GET" && path.contains("/manifests/");
        if reads { Fault::Endless } else { Fault::No }
    })
    .await;
    let error = pull(&registry.reference("shop:1"), &Settings::default())
        .await
        .unwrap_err();
    check(&error, "too-large", &["the manifest of", "4194304 bytes"]);
    let registry = Fake::with(|method, path, _| {
        let reads = *method == "GET" && path.contains("/blobs/");
        if reads { Fault::Endless } else { Fault::No }
    })
    .await;
    let reference = registry.reference("shop:1");
    push(&shop(), &reference, &Settings::default())
        .await
        .unwrap();
    let error = pull(&reference, &Settings::default()).await.unwrap_err();
    check(&error, "invalid-artefact", &["layer 4", "more comes than"]);
}

#[tokio::test]
async fn nobody_there_is_told() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    drop(listener);
    let reference = format!("{host}/shop:1").parse().unwrap();
    let error = pull(&reference, &Settings::default()).await.unwrap_err();
    check(&error, "unreachable", &[&host, "the manifest of"]);
    assert!(std::error::Error::source(&error).is_some());
}

#[tokio::test]
async fn what_is_not_there_is_told() {
    let registry = Fake::start().await;
    let error = pull(&registry.reference("shop:1"), &Settings::default())
        .await
        .unwrap_err();
    check(
        &error,
        "absent",
        &["does not have the manifest of", "shop:1"],
    );
}

#[tokio::test]
async fn lies_about_digests_are_found() {
    let registry = Fake::start().await;
    let reference = registry.reference("acme/shop:1");
    let pushed = push(&shop(), &reference, &Settings::default())
        .await
        .unwrap();
    let manifest = registry.manifest("1");
    // Each blob in turn is another of the same length.
    let parts = manifest["layers"].as_array().unwrap().iter();
    for part in parts.chain([&manifest["config"]]) {
        let name = part["digest"].as_str().unwrap().to_owned();
        let sound = registry.blob(part);
        let mut lie = sound.to_vec();
        lie[0] ^= 1;
        registry
            .shelf
            .lock()
            .unwrap()
            .blobs
            .insert(name.clone(), Bytes::from(lie));
        let error = pull(&reference, &Settings::default()).await.unwrap_err();
        let kind = part["mediaType"].as_str().unwrap();
        check(
            &error,
            "digest-mismatch",
            &[kind, name.as_str(), "changed or damaged"],
        );
        registry.shelf.lock().unwrap().blobs.insert(name, sound);
    }
    // The manifest is not the one that was asked for.
    let other = (support::MANIFEST.to_owned(), Bytes::from_static(b"{}"));
    registry
        .shelf
        .lock()
        .unwrap()
        .manifests
        .insert(pushed.to_string(), other);
    let pinned = registry.reference(&format!("acme/shop@{pushed}"));
    let error = pull(&pinned, &Settings::default()).await.unwrap_err();
    check(
        &error,
        "digest-mismatch",
        &["the manifest of", &pushed.to_string()],
    );
}

#[tokio::test]
async fn a_blob_of_another_length_is_found() {
    let registry = Fake::start().await;
    let reference = registry.reference("acme/shop:1");
    push(&shop(), &reference, &Settings::default())
        .await
        .unwrap();
    let part = registry.manifest("1")["layers"][0].clone();
    let name = part["digest"].as_str().unwrap().to_owned();
    for (bytes, why) in [
        ("\0asm", "4 bytes came"),
        ("\0asm web and more", "more comes than"),
    ] {
        let lie = Bytes::from_static(bytes.as_bytes());
        registry
            .shelf
            .lock()
            .unwrap()
            .blobs
            .insert(name.clone(), lie);
        let error = pull(&reference, &Settings::default()).await.unwrap_err();
        check(&error, "invalid-artefact", &["layer 1 (", why]);
    }
}

#[tokio::test]
async fn missing_layers_are_named() {
    let registry = Fake::start().await;
    let reference = registry.reference("acme/shop:1");
    push(&shop(), &reference, &Settings::default())
        .await
        .unwrap();
    let manifest = registry.manifest("1");
    // The manifest names it, the registry has lost it.
    registry.forget(&manifest["layers"][1]);
    let error = pull(&reference, &Settings::default()).await.unwrap_err();
    check(
        &error,
        "absent",
        &["layer 2 (application/vnd.wasm.content.layer.v1+wasm"],
    );
    // The manifest does not name it.
    for (index, why) in [
        (0, "component `web`: source: no layer of the artefact holds"),
        (
            2,
            "component `web`: file `img/logo.svg`: no layer of the artefact holds",
        ),
        (3, "no layer is a Spin application"),
    ] {
        let mut less = manifest.clone();
        less["layers"].as_array_mut().unwrap().remove(index);
        registry.put_manifest("less", &less);
        let error = pull(&registry.reference("acme/shop:less"), &Settings::default())
            .await
            .unwrap_err();
        check(&error, "invalid-artefact", &[why]);
    }
}

#[tokio::test]
async fn wrong_media_types_are_named() {
    let registry = Fake::start().await;
    let reference = registry.reference("acme/shop:1");
    push(&shop(), &reference, &Settings::default())
        .await
        .unwrap();
    let manifest = registry.manifest("1");
    for (index, kind, why) in [
        (0, DATA, "component `web`: source needs it as"),
        (
            0,
            "application/octet-stream",
            "component `web`: source needs it as",
        ),
        (2, WASM, "component `web`: file `img/logo.svg` needs it as"),
        (
            2,
            "text/plain",
            "component `web`: file `img/logo.svg` needs it as",
        ),
    ] {
        let mut wrong = manifest.clone();
        wrong["layers"][index]["mediaType"] = json!(kind);
        registry.put_manifest("wrong", &wrong);
        let error = pull(&registry.reference("acme/shop:wrong"), &Settings::default())
            .await
            .unwrap_err();
        let layer = format!("layer {} ({kind}, sha256:", index + 1);
        check(
            &error,
            "invalid-artefact",
            &[&layer, "media type is wrong", why],
        );
    }
    // A layer that nobody needs may be anything, and is not fetched.
    let mut more = manifest.clone();
    let odd = json!({"mediaType": "text/odd", "digest": Digest::of(b"odd").to_string(), "size": 3});
    more["layers"].as_array_mut().unwrap().push(odd);
    registry.put_manifest("more", &more);
    let pulled = pull(&registry.reference("acme/shop:more"), &Settings::default())
        .await
        .unwrap();
    assert_eq!(pulled.packed.lock, as_pulled(&shop()));
}

#[tokio::test]
async fn a_configuration_of_another_application_is_found() {
    let registry = Fake::start().await;
    push(
        &shop(),
        &registry.reference("acme/shop:1"),
        &Settings::default(),
    )
    .await
    .unwrap();
    let mut other = shop();
    other
        .lock
        .metadata
        .insert("name".to_owned(), json!("other"));
    push(
        &other,
        &registry.reference("acme/shop:2"),
        &Settings::default(),
    )
    .await
    .unwrap();
    let mut mixed = registry.manifest("1");
    mixed["config"] = registry.manifest("2")["config"].clone();
    registry.put_manifest("mixed", &mixed);
    let error = pull(&registry.reference("acme/shop:mixed"), &Settings::default())
        .await
        .unwrap_err();
    check(
        &error,
        "invalid-artefact",
        &["the image configuration", "it is for the application"],
    );
}

async fn pull_lock(lock: &Value) -> Result<(), OciError> {
    let registry = Fake::start().await;
    let lock = lock.to_string();
    registry.put("1", &[(WASM, b"\0asm"), (APPLICATION, lock.as_bytes())]);
    pull(&registry.reference("one:1"), &Settings::default())
        .await
        .map(|_| ())
}

#[tokio::test]
async fn an_application_that_cannot_be_used_says_why() {
    let component = json!({"id": "web",
        "source": {"content_type": "application/wasm", "digest": Digest::of(b"\0asm").to_string()}});
    let lock = |change: fn(&mut Value)| {
        let mut lock = json!({"spin_lock_version": 1, "metadata": {"name": "one"},
            "triggers": [], "components": [component]});
        change(&mut lock);
        lock
    };
    assert!(pull_lock(&lock(|_| {})).await.is_ok());
    type Change = fn(&mut Value);
    let cases: [(Change, &str); 5] = [
        (
            |lock| lock["must_understand"] = json!(["teleport"]),
            "teleport",
        ),
        (
            |lock| lock["spin_lock_version"] = json!(9),
            "spin_lock_version",
        ),
        (|lock| lock["components"] = json!(1), "expected a sequence"),
        (
            |lock| lock["components"][0]["source"]["digest"] = json!(null),
            "component `web`: source",
        ),
        (
            |lock| {
                lock["components"][0]["files"] = json!([{"inline": "c21hbGw", "path": "a",
                    "digest": Digest::of(b"other").to_string()}]);
            },
            "component `web`: file `a`",
        ),
    ];
    for (change, why) in cases {
        let error = pull_lock(&lock(change)).await.unwrap_err();
        check(&error, "invalid-application", &["one:1", why]);
    }
}

#[tokio::test]
async fn refusals_are_passed_on() {
    for (status, code) in [
        (401, "denied"),
        (403, "denied"),
        (429, "refused"),
        (500, "refused"),
    ] {
        let said = br#"{"errors":[{"code":"X","message":"not today"}]}"#;
        let registry = Fake::with(move |_, _, _| Fault::Say(status, vec![], said.to_vec())).await;
        let reference = registry.reference("shop:1");
        let error = pull(&reference, &Settings::default()).await.unwrap_err();
        let said = if status == 401 {
            "docker login"
        } else {
            "not today"
        };
        check(&error, code, &[said, "the manifest of"]);
        let error = push(&shop(), &reference, &Settings::default())
            .await
            .unwrap_err();
        check(&error, code, &["storing component `web`"]);
    }
}

#[tokio::test]
async fn answers_that_no_registry_gives_are_told() {
    let to = |location: &str| vec![("location", location.to_owned())];
    for (status, headers, why) in [
        (307, vec![], "does not say where to"),
        (307, to("::"), "what is no address"),
        (307, to("ftp://127.0.0.1/x"), "what is no address"),
        (307, to("/v2/again"), "from one address to the next"),
    ] {
        let registry = Fake::with(move |_, _, _| Fault::Say(status, headers.clone(), vec![])).await;
        let error = pull(&registry.reference("shop:1"), &Settings::default())
            .await
            .unwrap_err();
        check(&error, "protocol", &[why]);
    }
    for headers in [vec![], to("http://[")] {
        let registry = Fake::with(move |method, _, _| {
            if *method == "POST" {
                Fault::Say(202, headers.clone(), vec![])
            } else {
                Fault::No
            }
        })
        .await;
        let error = push(&shop(), &registry.reference("shop:1"), &Settings::default())
            .await
            .unwrap_err();
        check(&error, "protocol", &["storing component `web`"]);
    }
}

#[tokio::test]
async fn credentials_stay_with_the_registry_when_it_leads_elsewhere() {
    let storage = Fake::with(|_, _, headers| {
        assert!(!headers.contains_key("authorization"));
        Fault::No
    })
    .await;
    push(
        &shop(),
        &storage.reference("acme/shop:1"),
        &Settings::default(),
    )
    .await
    .unwrap();
    let host = storage.host.clone();
    let registry = Fake::with(move |method, path, headers| {
        if !headers.contains_key("authorization") {
            return Fault::Say(
                401,
                vec![("www-authenticate", "Basic realm=x".to_owned())],
                vec![],
            );
        }
        let blob = *method == "GET" && path.contains("/blobs/");
        let location = vec![("location", format!("http://{host}{path}"))];
        if blob {
            Fault::Say(307, location, vec![])
        } else {
            Fault::No
        }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let entry = json!({"auth": STANDARD.encode("ada:secret")});
    let settings = logged_in(folder.path(), &registry.host, entry);
    let reference = registry.reference("acme/shop:1");
    push(&shop(), &reference, &settings).await.unwrap();
    let pulled = pull(&reference, &settings).await.unwrap();
    assert_eq!(pulled.packed.blobs, shop().blobs);
    assert_eq!(storage.asked("GET /v2/acme/shop/blobs/"), 5);
}

/// A registry with a token service, for one who may do `scope`.
async fn with_tokens(authorization: &'static str) -> Fake {
    Fake::with(move |_, path, headers| {
        let shown = headers
            .get("authorization")
            .map(|value| value.to_str().unwrap());
        if path == "/token" {
            let known = shown.unwrap_or_default() == authorization;
            let body = br#"{"token":"sesame"}"#.to_vec();
            return Fault::Say(if known { 200 } else { 401 }, vec![], body);
        }
        if shown == Some("Bearer sesame") {
            return Fault::No;
        }
        let host = headers["host"].to_str().unwrap();
        let asked = format!(r#"Bearer realm="http://{host}/token",service="fake""#);
        Fault::Say(401, vec![("www-authenticate", asked)], vec![])
    })
    .await
}

#[tokio::test]
async fn a_token_service_is_asked_once_with_the_login() {
    let registry = with_tokens("Basic YWRhOnNlY3JldA==").await;
    let folder = tempfile::tempdir().unwrap();
    let entry = json!({"auth": STANDARD.encode("ada:secret")});
    let settings = logged_in(folder.path(), &registry.host, entry);
    let reference = registry.reference("acme/shop:1");
    push(&shop(), &reference, &settings).await.unwrap();
    assert_eq!(registry.asked("GET /token"), 1);
    pull(&reference, &settings).await.unwrap();
    assert_eq!(registry.asked("GET /token"), 2);
    let error = pull(&reference, &Settings::default()).await.unwrap_err();
    check(&error, "denied", &["without credentials", "docker login"]);
    let folder = tempfile::tempdir().unwrap();
    let entry = json!({"auth": STANDARD.encode("ada:wrong-one")});
    let settings = logged_in(folder.path(), &registry.host, entry);
    let error = pull(&reference, &settings).await.unwrap_err();
    check(
        &error,
        "denied",
        &["with the credentials of Docker's configuration"],
    );
    assert!(!words(&error).contains("wrong-one"));
}

#[tokio::test]
async fn whoever_may_read_without_a_login_gets_a_token_too() {
    let registry = with_tokens("").await;
    let reference = registry.reference("acme/shop:1");
    push(&shop(), &reference, &Settings::default())
        .await
        .unwrap();
    assert!(pull(&reference, &Settings::default()).await.is_ok());
}

#[tokio::test]
async fn an_identity_token_is_changed_at_the_service() {
    let registry = with_tokens("").await;
    let folder = tempfile::tempdir().unwrap();
    let entry = json!({"identitytoken": "refresh"});
    let settings = logged_in(folder.path(), &registry.host, entry);
    push(&shop(), &registry.reference("shop:1"), &settings)
        .await
        .unwrap();
    assert_eq!(registry.asked("POST /token"), 1);
}

#[tokio::test]
async fn a_token_that_is_none_is_told() {
    for (body, why) in [
        (&b"{}"[..], "gives no token"),
        (br#"{"token":"a\nb"}"#, "cannot be sent in a header"),
    ] {
        let registry = Fake::with(move |_, path, headers| {
            if path == "/token" {
                return Fault::Say(200, vec![], body.to_vec());
            }
            let host = headers["host"].to_str().unwrap();
            let asked = format!(r#"Bearer realm="http://{host}/token""#);
            Fault::Say(401, vec![("www-authenticate", asked)], vec![])
        })
        .await;
        let error = pull(&registry.reference("shop:1"), &Settings::default())
            .await
            .unwrap_err();
        check(&error, "protocol", &[why]);
    }
}

#[tokio::test]
async fn what_was_stored_must_be_what_was_sent() {
    let registry = Fake::with(|method, _, _| {
        let told = ("docker-content-digest", Digest::of(b"other").to_string());
        let place = ("location", "/x".to_owned());
        if *method == "PUT" {
            Fault::Say(201, vec![told, place], vec![])
        } else {
            Fault::No
        }
    })
    .await;
    let error = push(&shop(), &registry.reference("shop:1"), &Settings::default())
        .await
        .unwrap_err();
    check(&error, "digest-mismatch", &["storing component `web`"]);
}

#[tokio::test]
async fn what_cannot_be_pushed_is_not_begun() {
    let registry = Fake::start().await;
    let reference = registry.reference("shop:1");
    let mut packed = shop();
    packed.blobs.remove(&Digest::of(b"\0asm api"));
    let error = push(&packed, &reference, &Settings::default())
        .await
        .unwrap_err();
    check(
        &error,
        "invalid-application",
        &["component `api`: source", "no content with digest"],
    );
    let mut packed = shop();
    packed.lock.components[0].files[0].path = "/a/../../b".to_owned();
    let error = push(&packed, &reference, &Settings::default())
        .await
        .unwrap_err();
    check(
        &error,
        "invalid-application",
        &["component `web`: file `/a/../../b`"],
    );
    let pinned = registry.reference(&format!("shop@{}", Digest::of(b"x")));
    let error = push(&shop(), &pinned, &Settings::default())
        .await
        .unwrap_err();
    check(&error, "digest-mismatch", &["shop@sha256:"]);
    assert_eq!(registry.asked(""), 0);
}
