//! `kgents token`: prints a JWT-SVID. Works while no mesh runs.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use kgents_mesh::identity::Grant;
use serde::Serialize;

use super::Context;
use crate::cli::TokenArgs;
use crate::client::{authority, chain};
use crate::clock;
use crate::config::run::{self, Found};
use crate::config::{self, MeshFile, folder};
use crate::exit::{Exit, Failure};

#[derive(Serialize)]
struct Token {
    token: String,
    subject: String,
    audience: String,
    expires_at: String,
}

pub fn run(args: &TokenArgs, context: &Context) -> Result<Exit, Failure> {
    let now_ms = clock::now_ms();
    let trust_domain = trust_domain(context)?;
    let path = match (&args.user, &args.agent, &args.gateway) {
        (_, Some(agent), _) => format!("/agents/{agent}"),
        (_, _, Some(gateway)) => format!("/gateways/{gateway}"),
        (Some(user), _, _) => format!("/users/{user}"),
        (None, None, None) => format!("/users/{}", context.environment.operator()),
    };
    let audience = args
        .audience
        .clone()
        .unwrap_or_else(|| trust_domain.clone());
    let subject = format!("spiffe://{trust_domain}{path}");
    let grant = Grant {
        path,
        audience: audience.clone(),
        ttl: args.ttl,
    };
    let authority = authority(&context.data_dir, &trust_domain)?;
    if authority.is_new() {
        context.output.note(&new_key(&context.data_dir));
    }
    let token = authority.issue(&grant, now_ms).map_err(|error| {
        use kgents_mesh::identity::Error;
        let exit = match error {
            Error::Ttl | Error::Subject(_) => Exit::Usage,
            Error::Key { .. } | Error::NotAKey { .. } | Error::Sign(_) => Exit::Failed,
        };
        Failure::new(exit, "TOKEN", chain(&error)).hint("see `kgents token --help`")
    })?;
    let expires = UNIX_EPOCH + Duration::from_millis(now_ms) + args.ttl;
    let expires_at = humantime::format_rfc3339_seconds(expires).to_string();
    let token = Token {
        token,
        subject,
        audience,
        expires_at,
    };
    context.output.show(&token, |_| token.token.clone());
    Ok(Exit::Done)
}

/// What is told when there was no key: mostly it is the wrong data folder.
fn new_key(data_dir: &Path) -> String {
    format!(
        "`{}` had no key, so a new one was made; only a mesh on this data folder accepts the token",
        data_dir.display()
    )
}

/// The trust domain of the mesh that runs or ran here, else of the mesh folder
/// one stands in, else the default.
fn trust_domain(context: &Context) -> Result<String, Failure> {
    if let Found::Running(run) | Found::Stale(run) = run::find(&context.data_dir) {
        return Ok(run.trust_domain);
    }
    let dir = config::mesh_dir(&context.environment.current_dir, None)
        .map_err(|problems| super::failure_of(&problems))?;
    let mesh = match dir {
        Some(dir) => folder::read_mesh(&dir)
            .map_err(|mistakes| super::failure_of(&config::Problems::Mistakes(mistakes)))?,
        None => MeshFile::default(),
    };
    Ok(mesh.trust_domain.get().to_owned())
}
