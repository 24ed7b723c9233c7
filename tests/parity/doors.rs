//! The doors of one mesh, all open at once.

use std::path::PathBuf;

use kgents_tests::http::Client;
use kgents_tests::{Agent, App, Mesh, Runtime, root};

use crate::table::Who;

/// What callers name as the mesh's address, at every door: cards hold it.
const HOST: &str = "mesh.example";

/// One mesh, its agent, and every door to it that this machine can open.
pub struct Doors {
    pub mesh: Mesh,
    pub agent: Agent,
    apps: Vec<(&'static str, App)>,
    tokens: Tokens,
}

/// What each caller shows.
#[derive(Clone)]
struct Tokens {
    operator: String,
    user: String,
}

/// A door that is not the native one.
pub struct Door<'a> {
    app: &'a App,
    tokens: &'a Tokens,
}

impl Doors {
    /// A mesh with the agent `parrot`, and the doors to it.
    pub fn open() -> Self {
        let agent = Agent::start();
        let mesh = Mesh::start();
        mesh.add(&agent);
        let gateway = mesh.token(&["--gateway", "edge"]);
        let mut runtimes = vec![Runtime::Ours];
        match Runtime::spin() {
            Some(spin) => runtimes.push(spin),
            None => println!("skipped: spin: no `spin` on the path (cargo xtask test --spin PATH)"),
        }
        let apps = runtimes
            .iter()
            .map(|runtime| (runtime.name(), self::gateway(runtime, mesh.url(), &gateway)))
            .collect();
        let tokens = Tokens {
            operator: mesh.token(&[]),
            user: mesh.token(&["--user", "ada"]),
        };
        Self {
            mesh,
            agent,
            apps,
            tokens,
        }
    }

    /// A caller at the native listener.
    pub fn native(&self, who: Who) -> Client {
        client(self.mesh.url(), &self.tokens, who)
    }

    /// The other doors, by what runs them.
    pub fn others(&self) -> impl Iterator<Item = (&'static str, Door<'_>)> {
        self.apps.iter().map(|(name, app)| {
            let tokens = &self.tokens;
            (*name, Door { app, tokens })
        })
    }
}

impl Door<'_> {
    /// A caller at this door.
    pub fn client(&self, who: Who) -> Client {
        client(self.app.url(), self.tokens, who)
    }
}

fn client(url: &str, tokens: &Tokens, who: Who) -> Client {
    let token = match who {
        Who::Operator => Some(tokens.operator.as_str()),
        Who::User => Some(tokens.user.as_str()),
        Who::Forger => Some("e30.e30.c2lnbmF0dXJl"),
        Who::Nobody => None,
    };
    Client::new(url, token).with("host", HOST)
}

/// The suite's gateway, before the nucleus at `nucleus`.
pub fn gateway(runtime: &Runtime, nucleus: &str, token: &str) -> App {
    App::with(
        runtime,
        &manifest(),
        &[("nucleus_url", nucleus), ("gateway_token", token)],
        &["--component-id", "gateway"],
    )
}

/// The manifest of the suite.
pub fn manifest() -> PathBuf {
    root().join("spin.toml")
}
