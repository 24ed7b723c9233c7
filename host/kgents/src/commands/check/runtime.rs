//! What runs: the mesh, its port, its readiness.

use std::net::TcpListener;

use serde_json::Value;

use super::Finding;
use crate::client::{Mesh, chain};
use crate::clock;
use crate::commands::Context;
use crate::config::Config;
use crate::config::run::{Found, Run};

/// The mesh of the data folder, and whether it answers.
pub async fn mesh(context: &Context, found: &Found, config: Option<&Config>) -> Vec<Finding> {
    let subject = "mesh";
    match found {
        Found::Running(run) => running(context, run).await,
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

async fn running(context: &Context, run: &Run) -> Vec<Finding> {
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
    let probed = match Mesh::find(&context.data_dir, &operator, clock::now_ms()) {
        Ok(mesh) => mesh.probe("/readyz").await,
        Err(error) => Err(error),
    };
    findings.push(match probed {
        Ok((status, body)) if status.is_success() => ready(&String::from_utf8_lossy(&body)),
        Ok((status, body)) => {
            let mend = "the mesh's log has the details";
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
    findings
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
    fn an_unready_mesh_is_quoted_briefly() {
        assert_eq!(why(b""), "");
        assert_eq!(
            why(br#"{"policies":"broken"}"#),
            r#": {"policies":"broken"}"#
        );
        assert_eq!(why(&[b'x'; 500]).len(), 202);
    }
}
