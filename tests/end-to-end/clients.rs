//! Clients that others wrote: the official Python SDK of A2A.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use kgents_tests::{Mesh, Setup, root, target};
use serde_json::Value;

/// Everyone may use the agent that the script serves.
const EVERYONE: &str = "@id(\"counter\") permit (principal in Group::\"everyone\", \
    action in [Action::\"use\"], resource == Agent::\"python-counter\");";

/// A Python with what `requirements.txt` pins, made once and kept; or why not.
fn python() -> Result<PathBuf, String> {
    let requirements = root().join("tests/clients/requirements.txt");
    let text = fs::read(&requirements).unwrap();
    // FNV-1a: a name for the folder, nothing more.
    let digest = text.iter().fold(0xcbf2_9ce4_8422_2325_u64, |digest, byte| {
        (digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let folder = target()
        .join("python-clients")
        .join(format!("{digest:016x}"));
    let python = folder.join("bin/python");
    let ready = folder.join("ready");
    if ready.is_file() {
        return Ok(python);
    }
    // What an interrupted run left is of no use.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    let mut install = Command::new(&python);
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-r",
    ]);
    run(install.arg(&requirements))?;
    fs::write(ready, "").unwrap();
    Ok(python)
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let text = String::from_utf8_lossy(&output.stderr);
            Err(text.trim().lines().last().unwrap_or_default().to_owned())
        }
    }
}

/// Runs a script of `tests/clients` on a mesh; what it wrote, line by line.
fn script(python: &Path, name: &str, mesh: &Mesh) -> Vec<Value> {
    let output = Command::new(python)
        .arg(root().join("tests/clients").join(name))
        .env("KGENTS_MESH", mesh.url())
        .env("KGENTS_TOKEN", mesh.token(&[]))
        .env("KGENTS_OTHER_TOKEN", mesh.token(&["--user", "eve"]))
        // Nothing of this machine between the client and the mesh.
        .env("NO_PROXY", "*")
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}\n{err}");
    out.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn the_official_python_client_sends_streams_gets_and_cancels_through_the_mesh() {
    let python = match python() {
        Ok(python) => python,
        Err(why) => {
            println!("skipped: a2a-sdk: {why}");
            return;
        }
    };
    let mesh = Mesh::with(Setup {
        files: vec![("policies/counter.cedar".into(), EVERYONE.into())],
        ..Setup::default()
    });
    let done = script(&python, "a2a_python.py", &mesh);
    let steps: Vec<&str> = done
        .iter()
        .map(|step| step["step"].as_str().unwrap())
        .collect();
    let each = [
        "card",
        "send",
        "stream",
        "get",
        "not-the-owner",
        "cancel",
        "unknown-task",
        "no-identity",
    ];
    let expected: Vec<String> = ["JSONRPC", "HTTP+JSON"]
        .iter()
        .flat_map(|binding| each.map(|step| format!("{binding} {step}")))
        .collect();
    assert_eq!(steps, expected);
    let report = mesh.verified();
    assert_eq!(report["unknown"], 0, "{report}");
}
