//! What does not even load, and is named.

use http::StatusCode;
use kgents_app::{App, Component};
use kgents_runner::{Engine, EngineSettings, RunError, Runner, RunnerSettings};

use crate::{answer, app, component, guest, hello, run, runtime, settings, template};

async fn refused(app: App, settings: RunnerSettings) -> RunError {
    Runner::new(app, settings).await.map(|_| ()).unwrap_err()
}

fn written(text: &str) -> Component {
    component("written", wat::parse_str(text).unwrap().into())
}

#[tokio::test]
async fn a_component_that_imports_what_is_not_offered_is_refused_by_its_name() {
    for (import, hint) in [
        ("fermyon:spin/sqlite@2.0.0", "SQLite"),
        ("wasi:http/client@0.3.0", "WASI 0.2"),
        ("kgents:router/router@0.1.0", "dependencies"),
    ] {
        let text = format!("(component (import \"{import}\" (instance)))");
        let error = refused(app(vec![written(&text)]), settings()).await;
        assert_eq!(error.code(), "run-import");
        let told = error.to_string();
        assert!(
            told.contains("`written`") && told.contains(import),
            "{told}"
        );
        assert!(told.contains(hint), "{told}");
    }
}

#[tokio::test]
async fn a_component_that_answers_no_requests_is_refused() {
    let error = refused(app(vec![written("(component)")]), settings()).await;
    assert_eq!(error.code(), "run-export");
    assert!(error.to_string().contains("no HTTP handler"), "{error}");
    let text = "(component (instance $i) (export \"wasi:http/handler@0.3.0\" (instance $i)))";
    let error = refused(app(vec![written(text)]), settings()).await;
    assert!(
        error.to_string().contains("wasi:http/handler@0.3.0"),
        "{error}"
    );
    let text = "(component (instance $i) (export \"fermyon:spin/inbound-http\" (instance $i)))";
    let error = refused(app(vec![written(text)]), settings()).await;
    assert!(error.to_string().contains("inbound-http"), "{error}");
}

#[tokio::test]
async fn an_interface_of_the_right_name_and_the_wrong_type_is_refused() {
    let text = "(component (instance $i) \
                (export \"wasi:http/incoming-handler@0.2.0\" (instance $i)))";
    let error = refused(app(vec![written(text)]), settings()).await;
    assert_eq!(error.code(), "run-wasm", "{error}");
    let text = "(component (import \"wasi:random/random@0.2.0\" (instance \
                (export \"get-random-bytes\" (func (result string))))) (instance $i) \
                (export \"wasi:http/incoming-handler@0.2.0\" (instance $i)))";
    let error = refused(app(vec![written(text)]), settings()).await;
    assert_eq!(error.code(), "run-wasm", "{error}");
}

#[tokio::test]
async fn bytes_that_are_no_component_are_refused() {
    for bytes in [&b""[..], b"not wasm", b"\0asm\x01\0\0\0"] {
        let broken = component("broken", bytes.to_vec().into());
        let error = refused(app(vec![broken]), settings()).await;
        assert_eq!(error.code(), "run-wasm");
        assert!(error.to_string().contains("`broken`"), "{error}");
    }
}

#[tokio::test]
async fn what_the_manifest_asks_for_must_be_there() {
    let mut asking = hello();
    asking.key_value_stores.push("cache".to_owned());
    let error = refused(app(vec![asking]), settings()).await;
    assert_eq!(error.code(), "run-store-label");
    let mut dangling = app(vec![hello()]);
    dangling.components.clear();
    let error = refused(dangling, settings()).await;
    assert_eq!(error.code(), "run-target");
    let mut twice = app(vec![hello()]);
    twice.triggers.push(twice.triggers[0].clone());
    refused(twice, settings()).await;
    let mut unset = hello();
    unset.allowed_outbound_hosts.push(template("{{ nowhere }}"));
    refused(app(vec![unset]), settings()).await;
    let mut relative = hello();
    relative.key_value_stores.push("cache".to_owned());
    let nowhere = RunnerSettings {
        runtime: runtime("[key_value_store.cache]\ntype = \"spin\"\npath = \"cache.redb\"\n"),
        ..settings()
    };
    let error = refused(app(vec![relative]), nowhere).await;
    assert!(error.to_string().contains("absolute"), "{error}");
}

#[tokio::test]
async fn compiled_code_that_was_tampered_with_is_compiled_anew() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let settings = || {
        let engine = EngineSettings {
            instances_max: 2,
            cache: Some(cache.clone()),
        };
        RunnerSettings::new(Engine::new(&engine).unwrap())
    };
    let files = || -> Vec<_> {
        let entries = std::fs::read_dir(&cache).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    run(vec![hello()], settings()).await;
    let [file] = files().try_into().unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    let whole = bytes.clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(&file, bytes).unwrap();
    let runner = run(vec![component("hello", guest("hello"))], settings()).await;
    assert_eq!(answer(&runner, "/hello/").await.0, StatusCode::OK);
    assert_eq!(files(), std::slice::from_ref(&file));
    assert_eq!(std::fs::read(&file).unwrap().len(), whole.len());
    let again = run(vec![hello()], settings()).await;
    assert_eq!(answer(&again, "/hello/").await.0, StatusCode::OK);
}
