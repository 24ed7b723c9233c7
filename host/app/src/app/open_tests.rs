use serde_json::json;

use super::*;
use crate::fixtures::{decider, front, with_imports};
use crate::lock::LockedDependency;

/// An application of one component `web`, for the test to spoil.
fn packed() -> Packed {
    let wasm = front(&["wasi:io/poll@0.2.0"]);
    let lock = json!({
        "spin_lock_version": 1,
        "must_understand": ["component_host_requirements"],
        "metadata": {"name": "suite", "version": "0.1.0", "trigger": {"type": "http"}},
        "variables": {"url": {"default": "http://localhost"}, "token": {"secret": true}},
        "triggers": [
            {"id": "front", "trigger_type": "http",
             "trigger_config": {"component": "web", "route": "/..."}},
            {"id": "about", "trigger_type": "http",
             "trigger_config": {"static_response": {"body": "hello"}, "route": "/about"}},
        ],
        "components": [{
            "id": "web",
            "metadata": {
                "allowed_outbound_hosts": ["{{ url }}", "http://web.spin.internal"],
                "key_value_stores": ["default"],
                "kgents": {"memory": "8MiB", "reuse": 10},
            },
            "source": {"content_type": "application/wasm", "digest": Digest::of(&wasm)},
            "env": {"A": "b"},
            "config": {"where": "{{ url }}/x"},
            "files": [
                {"path": "www/small.txt", "inline": "aGk", "digest": Digest::of(b"hi")},
                {"path": "/www/large.txt", "digest": Digest::of(b"large")},
            ],
            "host_requirements": {"local_service_chaining": "required"},
        }],
    });
    let lock = LockedApp::from_json(lock.to_string().as_bytes()).unwrap();
    let blobs = [wasm, Bytes::from_static(b"large")].map(|blob| (Digest::of(&blob), blob));
    Packed {
        lock,
        blobs: BTreeMap::from(blobs),
    }
}

fn web(packed: &mut Packed) -> &mut LockedComponent {
    packed.lock.components.first_mut().unwrap()
}

fn refusal(spoil: impl FnOnce(&mut Packed)) -> AppError {
    let mut packed = packed();
    spoil(&mut packed);
    App::open(&packed, &[]).unwrap_err()
}

fn check_refused(spoil: impl FnOnce(&mut Packed), words: &[&str]) {
    let error = refusal(spoil).to_string();
    for word in words {
        assert!(error.contains(word), "no {word:?} in {error:?}");
    }
}

fn metadata_of(packed: &mut Packed, key: &str, value: Value) {
    web(packed).metadata.insert(key.to_owned(), value);
}

#[test]
fn an_application_that_is_whole_is_opened() {
    let app = App::open(&packed(), &[]).unwrap();
    assert_eq!(
        (app.name.as_str(), app.version.as_str()),
        ("suite", "0.1.0")
    );
    assert_eq!(app.triggers.len(), 2);
    let [web] = app.components.as_slice() else {
        panic!("not one component")
    };
    assert_eq!(web.digest, Digest::of(&web.wasm));
    assert_eq!(
        web.limits,
        Limits {
            memory_bytes: 8 << 20,
            reuse: Some(10),
            ..Limits::default()
        }
    );
    assert_eq!(web.environment["A"], "b");
    assert_eq!(web.variables["where"].to_string(), "{{ url }}/x");
    let files: Vec<(&str, &[u8])> = web
        .files
        .iter()
        .map(|file| (file.path.as_str(), file.bytes.as_ref()))
        .collect();
    assert_eq!(
        files,
        [("/www/large.txt", &b"large"[..]), ("/www/small.txt", b"hi")]
    );
    assert!(app.variables["token"].default.is_none() && app.variables["token"].secret);
}

#[test]
fn content_that_is_missing_or_changed_is_refused() {
    let error = refusal(|packed| packed.blobs.clear());
    assert_eq!(error.code(), "content-missing");
    assert!(
        error.to_string().starts_with("component.web.source"),
        "{error}"
    );
    let error = refusal(|packed| {
        for blob in packed.blobs.values_mut() {
            *blob = Bytes::from_static(b"other");
        }
    });
    assert_eq!(error.code(), "digest-mismatch");
    let error = refusal(|packed| web(packed).files[0].content.inline = Some(b"ho".to_vec()));
    assert_eq!(error.code(), "digest-mismatch");
    assert!(error.to_string().contains("/www/small.txt"), "{error}");
    check_refused(
        |packed| web(packed).files[0].content = ContentRef::default(),
        &["neither"],
    );
    check_refused(
        |packed| web(packed).source.content.digest = Some("sha256:1".to_owned()),
        &["`sha256:1`"],
    );
}

#[test]
fn webassembly_that_cannot_answer_is_refused_by_name() {
    let with = |wasm: Bytes| {
        move |packed: &mut Packed| {
            let digest = Digest::of(&wasm);
            web(packed).source.content.digest = Some(digest.to_string());
            packed.blobs.insert(digest, wasm);
        }
    };
    let module = Bytes::from(wat::parse_str("(module)").unwrap());
    check_refused(with(module), &["component.web.source", "core module"]);
    check_refused(
        with(decider(&["wasi:http/handler@0.3.0"])),
        &["wasi:http/handler@0.3.0"],
    );
    check_refused(
        with(decider(&["kgents:router/route@0.1.0"])),
        &["does not answer HTTP"],
    );
    check_refused(
        |packed| web(packed).source.content_type = "application/x".to_owned(),
        &["`application/x`"],
    );
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    check_refused(
        |packed| packed.lock.triggers[0].trigger_type = "redis".to_owned(),
        &["trigger `front`", "`redis`"],
    );
    check_refused(
        |packed| metadata_of(packed, "databases", json!(["default"])),
        &["component.web.sqlite_databases"],
    );
    check_refused(
        |packed| metadata_of(packed, "ai_models", json!(["x"])),
        &["component.web.ai_models"],
    );
    check_refused(
        |packed| {
            packed.lock.triggers[0]
                .trigger_dependencies
                .insert("middleware".to_owned(), Vec::new());
        },
        &["middleware"],
    );
    check_refused(
        |packed| {
            web(packed)
                .trigger_dependencies
                .insert("middleware".to_owned(), Vec::new());
        },
        &["component.web", "middleware"],
    );
    check_refused(
        |packed| packed.lock.must_understand.push("the_future".to_owned()),
        &["must_understand", "`the_future`"],
    );
    check_refused(
        |packed| {
            web(packed)
                .host_requirements
                .insert("gpu".to_owned(), "required".into());
        },
        &["`web`", "`gpu`"],
    );
}

#[test]
fn what_does_not_fit_together_is_refused_at_its_place() {
    check_refused(|packed| packed.lock.triggers.clear(), &["triggers"]);
    check_refused(|packed| packed.lock.metadata.clear(), &["metadata.name"]);
    check_refused(|packed| packed.lock.components.clear(), &["`web`"]);
    check_refused(
        |packed| packed.lock.triggers[1].trigger_config["route"] = json!("/*"),
        &["same paths", "`front`"],
    );
    check_refused(
        |packed| packed.lock.triggers[1].id = "front".to_owned(),
        &["`front`"],
    );
    check_refused(
        |packed| {
            let variable = crate::lock::LockedVariable::default();
            packed.lock.variables.insert("A-B".to_owned(), variable);
        },
        &["`A-B`"],
    );
    check_refused(
        |packed| {
            web(packed)
                .config
                .insert("a".to_owned(), "{{ none }}".to_owned());
        },
        &["component.web.variables.a", "`none`"],
    );
    check_refused(
        |packed| {
            web(packed).env.insert("A=B".to_owned(), String::new());
        },
        &["component.web.environment", "`A=B`"],
    );
    check_refused(
        |packed| web(packed).files[0].path = "../x".to_owned(),
        &["`../x`"],
    );
    check_refused(
        |packed| web(packed).files[0].path = "www//large.txt".to_owned(),
        &["two files", "/www/large.txt"],
    );
    check_refused(
        |packed| web(packed).files[0].path = "www".to_owned(),
        &["needs a folder"],
    );
    check_refused(
        |packed| metadata_of(packed, "allowed_outbound_hosts", json!(["x"])),
        &["component.web.allowed_outbound_hosts"],
    );
    check_refused(
        |packed| metadata_of(packed, "allowed_outbound_hosts", json!("x")),
        &["component.web.allowed_outbound_hosts"],
    );
    check_refused(
        |packed| metadata_of(packed, "key_value_stores", json!(["a b"])),
        &["component.web.key_value_stores"],
    );
    check_refused(
        |packed| metadata_of(packed, "kgents", json!({"cpu": 1})),
        &["component.web.tool.kgents", "`cpu`"],
    );
}

#[test]
fn components_are_chosen_with_their_triggers() {
    let mut packed = packed();
    let mut other = web(&mut packed).clone();
    other.id = "other".to_owned();
    packed.lock.components.push(other);
    packed.lock.triggers.push(crate::lock::LockedTrigger {
        id: "second".to_owned(),
        trigger_type: "http".to_owned(),
        trigger_config: json!({"component": "other", "route": "/other"}),
        trigger_dependencies: BTreeMap::new(),
    });
    assert_eq!(App::open(&packed, &[]).unwrap().components.len(), 2);
    let app = App::open(&packed, &["web".to_owned()]).unwrap();
    assert_eq!(app.components.len(), 1);
    assert_eq!(
        app.triggers.len(),
        1,
        "an answer without a component is left out, as in Spin"
    );
    let error = App::open(&packed, &["other".to_owned()])
        .unwrap_err()
        .to_string();
    assert!(error.contains("`web` is not among the chosen"), "{error}");
    let error = App::open(&packed, &["nobody".to_owned()])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`nobody`") && error.contains("`web`"),
        "{error}"
    );
    metadata_of(
        &mut packed,
        "allowed_outbound_hosts",
        json!(["http://*.spin.internal"]),
    );
    let error = App::open(&packed, &["web".to_owned()])
        .unwrap_err()
        .to_string();
    assert!(error.contains("only some are chosen"), "{error}");
}

#[test]
fn an_artefact_that_was_not_composed_is_composed() {
    let mut packed = packed();
    let wasm = front(&["kgents:router/route@0.1.0"]);
    let router = decider(&["kgents:router/route@0.1.0"]);
    let locked = web(&mut packed);
    locked.source.content.digest = Some(Digest::of(&wasm).to_string());
    locked.dependencies.insert(
        "kgents:router".parse().unwrap(),
        LockedDependency {
            source: LockedSource {
                content_type: "application/wasm".to_owned(),
                content: ContentRef {
                    digest: Some(Digest::of(&router).to_string()),
                    ..ContentRef::default()
                },
            },
            export: None,
            inherit: Default::default(),
        },
    );
    packed
        .blobs
        .extend([(Digest::of(&wasm), wasm), (Digest::of(&router), router)]);
    let app = App::open(&packed, &[]).unwrap();
    assert!(
        interfaces(&app.components[0].wasm)
            .unwrap()
            .imports
            .is_empty()
    );
    let deeper = with_imports(&["kgents:policy/judge@0.1.0"], "kgents:router/route@0.1.0");
    let dependency = web(&mut packed).dependencies.values_mut().next().unwrap();
    dependency.source.content.digest = Some(Digest::of(&deeper).to_string());
    packed.blobs.insert(Digest::of(&deeper), deeper);
    let error = App::open(&packed, &[]).unwrap_err().to_string();
    assert!(error.contains("one level deep"), "{error}");
}
