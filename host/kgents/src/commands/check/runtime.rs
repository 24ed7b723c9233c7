//! What runs: the mesh, its port, its readiness.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::Finding;
use super::files::Folder;
use crate::client::{Mesh, chain};
use crate::clock;
use crate::commands::Context;
use crate::config::Config;
use crate::config::run::{Found, Run};

/// How often a mesh is asked again that has not yet seen what was just saved,
const LOOKS: u32 = 20;
/// and how long after the last time.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What of the admin listener's `/policies` is read here.
#[derive(Deserialize)]
struct InForce {
    ids: BTreeSet<String>,
    problems: Vec<String>,
}

/// The mesh of the data folder, and whether it answers.
pub async fn mesh(context: &Context, found: &Found, folder: Option<&Folder>) -> Vec<Finding> {
    let config = folder.map(|folder| &folder.config);
    let subject = "mesh";
    match found {
        Found::Running(run) => running(context, run, folder).await,
        Found::Stopped => {
            let mut findings = vec![Finding::warn(
                subject,
                "none is running on this data folder",
                "kgents up",
            )];
            findings.extend(config.map(port));
            findings
        }
        Found::Stale(run) => {
            let message = format!("the last one (process {}) was killed", run.pid);
            let mut findings = vec![Finding::warn(subject, message, "kgents up")];
            findings.extend(config.map(port));
            findings
        }
        Found::Unreadable(why) => vec![Finding::fail(
            subject,
            format!("its run.json cannot be read: {why}"),
            format!(
                "stop the mesh, delete {}, start it again",
                context.data_dir.join("run.json").display()
            ),
        )],
    }
}

async fn running(context: &Context, run: &Run, folder: Option<&Folder>) -> Vec<Finding> {
    let subject = "mesh";
    let mut findings = Vec::new();
    let ours = env!("CARGO_PKG_VERSION");
    if run.version == ours {
        let message = format!("runs at {} (process {})", run.listen, run.pid);
        findings.push(Finding::ok(subject, message));
    } else {
        let message = format!("runs version {}, this command is {ours}", run.version);
        findings.push(Finding::warn(
            subject,
            message,
            "stop it and start it again with `kgents up`",
        ));
    }
    let operator = format!("/users/{}", context.environment.operator());
    let mesh = Mesh::find(&context.data_dir, &operator, clock::now_ms());
    let probed = match &mesh {
        Ok(mesh) => mesh.probe("/readyz").await,
        Err(error) => {
            let mend = format!("see what process {} does", run.pid);
            findings.push(Finding::fail("readiness", chain(error), mend));
            return findings;
        }
    };
    findings.push(match probed {
        Ok((status, body)) if status.is_success() => ready(&String::from_utf8_lossy(&body)),
        Ok((status, body)) => {
            let mend = "correct what is named there; the mesh's log has the details";
            Finding::fail(
                "readiness",
                format!("it answers {status}{}", why(&body)),
                mend,
            )
        }
        Err(error) => Finding::fail(
            "readiness",
            chain(&error),
            format!("see what process {} does", run.pid),
        ),
    });
    if let (Ok(mesh), Some(folder)) = (&mesh, folder)
        && is_same(run.mesh_dir.as_deref(), folder.config.mesh_dir.as_deref())
        && let Some(ids) = &folder.policies
    {
        findings.push(in_force(mesh, ids).await);
    }
    findings
}

/// Whether two ways to name a mesh folder, or to name none, mean the same.
fn is_same(one: Option<&Path>, other: Option<&Path>) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    one.map(real) == other.map(real)
}

/// Whether the policies of the folder are those that the mesh decides by.
async fn in_force(mesh: &Mesh, ids: &[String]) -> Finding {
    let wanted: BTreeSet<String> = ids.iter().cloned().collect();
    let mut looks = 0;
    loop {
        let page = match mesh.admin("/policies").await {
            Ok(page) => page,
            Err(error) => return unknown(&chain(&error)),
        };
        let known: InForce = match serde_json::from_str(&page) {
            Ok(known) => known,
            Err(error) => return unknown(&format!("/policies: {error}")),
        };
        looks += 1;
        if known.ids == wanted || looks >= LOOKS {
            return compared(&wanted, &known);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn unknown(why: &str) -> Finding {
    let message = format!("which are in force cannot be told: {why}");
    let mend = "see whether the address under `admin` in mesh.yaml answers";
    Finding::warn("policies", message, mend)
}

fn compared(wanted: &BTreeSet<String>, known: &InForce) -> Finding {
    if known.ids == *wanted {
        return Finding::ok("policies", "those of the folder are in force");
    }
    let named = |some: Vec<&str>, what: &str| {
        (!some.is_empty()).then(|| format!("{what}: {}", some.join(", ")))
    };
    let missing = wanted.difference(&known.ids).map(String::as_str).collect();
    let gone = known.ids.difference(wanted).map(String::as_str).collect();
    let mut lines: Vec<String> = [
        named(missing, "in the folder, but not in force"),
        named(gone, "in force, but not in the folder"),
    ]
    .into_iter()
    .flatten()
    .collect();
    lines.extend(known.problems.iter().cloned());
    let mend = "look at the mesh's log, or stop it and start it again with `kgents up`";
    Finding::fail("policies", lines.join("\n"), mend)
}

/// A mesh that takes requests, perhaps with something to say about itself.
fn ready(body: &str) -> Finding {
    match body.trim() {
        "" | "ready" => Finding::ok("readiness", "it takes requests"),
        remark => Finding::warn(
            "readiness",
            remark,
            "correct what is named there; what was in force before stays until then",
        ),
    }
}

/// What an unready mesh says of itself.
fn why(body: &[u8]) -> String {
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => format!(": {value}"),
        Err(_) => {
            let text: String = String::from_utf8_lossy(body).chars().take(200).collect();
            if text.trim().is_empty() {
                String::new()
            } else {
                format!(": {}", text.trim())
            }
        }
    }
}

/// Whether the port that the mesh would take is free.
fn port(config: &Config) -> Finding {
    let address = config.mesh.listen;
    match TcpListener::bind(address.get()) {
        Ok(_) => Finding::ok("port", format!("{address} is free")),
        Err(error) => Finding::warn(
            "port",
            format!("{address} cannot be listened on: {error}"),
            "stop what uses it, or choose another with `kgents up --listen 127.0.0.1:0`",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ready_mesh_whose_policies_are_broken_is_not_all_well() {
        assert_eq!(ready("ready\n").level, super::super::Level::Ok);
        let finding = ready("ready, but the newest policies are not in force:\na.cedar:1\n");
        assert_eq!(finding.level, super::super::Level::Warn);
        assert!(finding.message.ends_with("a.cedar:1"));
    }

    #[test]
    fn policies_that_are_not_those_of_the_folder_fail_by_name() {
        let ids = |ids: &[&str]| ids.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
        let known = |known: &[&str]| InForce {
            ids: ids(known),
            problems: vec!["why".into()],
        };
        let finding = compared(&ids(&["a", "b"]), &known(&["b", "a"]));
        assert_eq!(finding.level, super::super::Level::Ok);
        let finding = compared(&ids(&["a", "b"]), &known(&["b", "c"]));
        assert_eq!(finding.level, super::super::Level::Fail);
        assert_eq!(
            finding.message,
            "in the folder, but not in force: a\nin force, but not in the folder: c\nwhy"
        );
        assert!(finding.mend.unwrap().contains("kgents up"));
    }

    #[test]
    fn an_unready_mesh_is_quoted_briefly() {
        assert_eq!(why(b""), "");
        assert_eq!(
            why(br#"{"policies":"broken"}"#),
            r#": {"policies":"broken"}"#
        );
        assert_eq!(why(&[b'x'; 500]).len(), 202);
    }
}
