//! Method, path and body to an answer.

use kgents_decide_wire::{BODY_BYTES_MAX, PATH, from_json, to_json};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::answer::{Answer, Refusal};
use crate::deciders::{self, Deciders};
use crate::schemas;

/// What came of reading a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// All of it.
    Whole(&'a [u8]),
    /// It goes on after [`BODY_BYTES_MAX`] bytes.
    TooLarge,
    /// It broke off.
    Broken,
}

/// A decider that is asked here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decider {
    Router,
    Policy,
    Pheromone,
    Health,
}

/// Where a path leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    List,
    Decider(Decider),
    Schema(Decider),
}

/// One line of the list.
#[derive(Serialize)]
struct Listed {
    name: &'static str,
    functions: &'static [&'static str],
    url: String,
    schema: String,
}

#[derive(Serialize)]
struct List {
    deciders: Vec<Listed>,
}

/// Whether the answer depends on the body; else it need not be read.
#[must_use]
pub fn has_body(method: &str, target: &str) -> bool {
    method == "POST" && matches!(place(target), Ok(Place::Decider(_)))
}

/// Answers one request. `target` is the path with its query, as received.
#[must_use]
pub fn handle(method: &str, target: &str, body: Body<'_>, deciders: &impl Deciders) -> Answer {
    match answer(method, target, body, deciders) {
        Ok(json) => Answer::ok(json),
        Err(refusal) => refusal.answer(),
    }
}

fn answer(
    method: &str,
    target: &str,
    body: Body<'_>,
    deciders: &impl Deciders,
) -> Result<Vec<u8>, Refusal> {
    let place = place(target)?;
    let allowed = match place {
        Place::Decider(_) => "POST",
        Place::List | Place::Schema(_) => "GET",
    };
    // HEAD is GET without its body, which the server leaves out.
    if method != allowed && (method, allowed) != ("HEAD", "GET") {
        return Err(Refusal::Method { allowed });
    }
    match place {
        Place::List => list(),
        Place::Schema(decider) => Ok(decider.schema().as_bytes().to_vec()),
        Place::Decider(decider) => match body {
            Body::Whole(body) if body.len() <= BODY_BYTES_MAX => decider.ask(body, deciders),
            Body::Whole(_) | Body::TooLarge => Err(Refusal::TooLarge),
            Body::Broken => Err(Refusal::Broken),
        },
    }
}

fn place(target: &str) -> Result<Place, Refusal> {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let below = path.strip_prefix(PATH).ok_or(Refusal::Path)?;
    let below = below.strip_suffix('/').unwrap_or(below);
    let place = match below.strip_prefix('/') {
        None if below.is_empty() => Place::List,
        None => return Err(Refusal::Path),
        Some(name) => match name.strip_suffix("/schema") {
            Some(name) => Place::Schema(Decider::named(name)?),
            None => Place::Decider(Decider::named(name)?),
        },
    };
    match query {
        None | Some("") => Ok(place),
        Some(_) => Err(Refusal::Query),
    }
}

fn list() -> Result<Vec<u8>, Refusal> {
    let listed = |decider: &Decider| Listed {
        name: decider.name(),
        functions: decider.functions(),
        url: kgents_decide_wire::path(decider.name()),
        schema: format!("{}/schema", kgents_decide_wire::path(decider.name())),
    };
    let deciders = Decider::ALL.iter().map(listed).collect();
    to_json(&List { deciders }).map_err(Refusal::Unwritable)
}

impl Decider {
    const ALL: [Self; 4] = [Self::Router, Self::Policy, Self::Pheromone, Self::Health];

    fn named(name: &str) -> Result<Self, Refusal> {
        let mut all = Self::ALL.into_iter();
        all.find(|decider| decider.name() == name)
            .ok_or(Refusal::Path)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Router => "router",
            Self::Policy => "policy",
            Self::Pheromone => "pheromone",
            Self::Health => "health",
        }
    }

    const fn functions(self) -> &'static [&'static str] {
        match self {
            Self::Router => &["decide"],
            Self::Policy => &["evaluate", "load", "schema"],
            Self::Pheromone => &["accept", "intensity", "sense"],
            Self::Health => &["judge"],
        }
    }

    const fn schema(self) -> &'static str {
        match self {
            Self::Router => schemas::ROUTER,
            Self::Policy => schemas::POLICY,
            Self::Pheromone => schemas::PHEROMONE,
            Self::Health => schemas::HEALTH,
        }
    }

    fn ask(self, body: &[u8], four: &impl Deciders) -> Result<Vec<u8>, Refusal> {
        match self {
            Self::Router => self.asked(body, |ask| deciders::router(four, &ask)),
            Self::Policy => self.asked(body, |ask| deciders::policy(four, &ask)),
            Self::Pheromone => self.asked(body, |ask| deciders::pheromone(four, &ask)),
            Self::Health => self.asked(body, |ask| deciders::health(four, &ask)),
        }
    }

    fn asked<Ask: DeserializeOwned, Said: Serialize>(
        self,
        body: &[u8],
        say: impl FnOnce(Ask) -> Said,
    ) -> Result<Vec<u8>, Refusal> {
        let ask = from_json(body).map_err(|wrong| Refusal::Body {
            wrong,
            decider: self.name(),
        })?;
        to_json(&say(ask)).map_err(Refusal::Unwritable)
    }
}
