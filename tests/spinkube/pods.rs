//! Each SpinApp as a pod of the executor `kgents`: the image from a registry, the
//! arguments of spin-operator, the variables of the manifest. The same with Spin,
//! where there is one: what kgents pushes, Spin loads.

use std::path::Path;
use std::process::Command;

use kgents_tests::app::{App, Runtime};
use kgents_tests::{binary, root, until};
use serde_json::Value;

use crate::docker::Registry;
use crate::{apps, texts};

/// Push the suite; its reference in `registry`.
fn push(registry: &Registry) -> String {
    let image = format!("{}/suite:{}", registry.host, env!("CARGO_PKG_VERSION"));
    let folder = tempfile::tempdir().unwrap();
    let pushed = Command::new(binary())
        .args(["app", "push", &image, "--output", "json", "--from"])
        .arg(root())
        .arg("--data")
        .arg(folder.path())
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&pushed.stderr);
    assert!(pushed.status.success(), "{words}");
    let told: Value = serde_json::from_slice(&pushed.stdout).unwrap();
    assert_eq!(told["reference"], image);
    image
}

/// Start the pod of `app` and ask what its checks ask.
fn check(runtime: &Runtime, image: &str, app: &Value) {
    let variables: Vec<(&str, &str)> = app["spec"]["variables"]
        .as_array()
        .unwrap()
        .iter()
        // Where a Secret would be, any value does: no check needs it.
        .map(|one| {
            (
                one["name"].as_str().unwrap(),
                one["value"].as_str().unwrap_or("secret"),
            )
        })
        .collect();
    let mut args = match runtime {
        // Not there: SpinKube names it whether or not it is.
        Runtime::Ours => vec!["--runtime-config-file", "/runtime-config.toml"],
        Runtime::Spin(_) => vec!["--insecure"],
    };
    for id in texts(&app["spec"]["components"]) {
        args.extend(["--component-id", id]);
    }
    let pod = App::with(runtime, Path::new(image), &variables, &args);
    let client = pod.client(None);
    for check in ["liveness", "readiness"] {
        let path = &app["spec"]["checks"][check]["httpGet"]["path"];
        let path = path.as_str().unwrap();
        until(&format!("{} to answer {check}", runtime.name()), || {
            let answer = client.get(path);
            (answer.status == 200).then_some(())
        });
    }
}

#[test]
fn a_pod_of_each_spinapp_answers_its_checks() {
    let Some(registry) = Registry::start(false) else {
        return;
    };
    let image = push(&registry);
    for app in apps().into_values() {
        check(&Runtime::Ours, &image, &app);
    }
}

#[test]
fn spin_loads_what_was_pushed() {
    let Some(spin) = Runtime::spin() else {
        println!("skipped: spin: no `spin` on the path (cargo xtask test --spin PATH)");
        return;
    };
    let Some(registry) = Registry::start(false) else {
        return;
    };
    let image = push(&registry);
    for app in apps().into_values() {
        check(&spin, &image, &app);
    }
}
