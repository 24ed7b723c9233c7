//! What is learnt from: routes, and lines that belong to them.

use sha2::{Digest, Sha256};

use crate::Error;

/// Routes that a model is trained for. Training costs routes × lines; with more, one
/// core would be busy for many minutes after each start.
pub const ROUTES_MAX: usize = 4_096;

/// Lines that a model is trained for; see [`ROUTES_MAX`].
pub const LINES_MAX: usize = 65_536;

/// One skill of one agent. Agent, cluster and skill are its key: a route of the same
/// key in a later lesson is the same route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Name of the agent.
    pub agent: String,
    /// Its cluster.
    pub cluster: String,
    /// Id of the skill.
    pub skill: String,
    /// Name of the skill, for reasons; not part of the key.
    pub skill_name: String,
    /// Whether it has lines of its own kind, examples, and not just a description. A
    /// route that is not taught is told apart, but never chosen by what was learnt.
    pub is_taught: bool,
}

/// A text that belongs to a route.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Place of the route in [`Lesson::routes`].
    pub route: u32,
    /// What a caller might say. Any text; one without a known word teaches nothing.
    pub text: String,
    /// How much the line counts, above 0.0 and at most 1.0. Bounds what one author's
    /// lines can do together.
    pub weight: f32,
}

/// All that a model is learnt from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lesson {
    /// At most [`ROUTES_MAX`].
    pub routes: Vec<Route>,
    /// In any order, at most [`LINES_MAX`]: examples, and descriptions for routes with
    /// few of them. Within a route the order of the lines decides which of them is held
    /// out together with which.
    pub lines: Vec<Line>,
}

impl Lesson {
    /// The lesson with its lines in the order of their routes, or what keeps it from
    /// being learnt.
    pub(crate) fn ordered(mut self) -> Result<Lesson, Error> {
        too_large("routes", self.routes.len(), ROUTES_MAX)?;
        too_large("lines", self.lines.len(), LINES_MAX)?;
        let routes = self.routes.len();
        for (at, line) in self.lines.iter().enumerate() {
            let route = line.route;
            if route as usize >= routes {
                let line = at;
                return Err(Error::UnknownRoute {
                    line,
                    route,
                    routes,
                });
            }
            if !(line.weight > 0.0 && line.weight <= 1.0) {
                let weight = line.weight.to_string();
                return Err(Error::Weight { line: at, weight });
            }
        }
        self.lines.sort_by_key(|line| line.route);
        Ok(self)
    }

    /// SHA-256 over everything in it, each field led by its length.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let mut field = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        for route in &self.routes {
            for text in [
                &route.agent,
                &route.cluster,
                &route.skill,
                &route.skill_name,
            ] {
                field(text.as_bytes());
            }
            field(&[u8::from(route.is_taught)]);
        }
        for line in &self.lines {
            field(&line.route.to_le_bytes());
            field(line.text.as_bytes());
            field(&line.weight.to_le_bytes());
        }
        hash.finalize().into()
    }
}

fn too_large(what: &'static str, found: usize, max: usize) -> Result<(), Error> {
    if found > max {
        return Err(Error::TooLarge { what, found, max });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lesson(routes: usize, lines: &[(u32, &str, f32)]) -> Lesson {
        let route = |at: usize| Route {
            agent: format!("agent-{at}"),
            cluster: "here".into(),
            skill: "s".into(),
            skill_name: "S".into(),
            is_taught: true,
        };
        let line = |(route, text, weight): &(u32, &str, f32)| Line {
            route: *route,
            text: (*text).into(),
            weight: *weight,
        };
        Lesson {
            routes: (0..routes).map(route).collect(),
            lines: lines.iter().map(line).collect(),
        }
    }

    #[test]
    fn lines_come_in_the_order_of_their_routes_and_keep_their_own() {
        let ordered = lesson(
            2,
            &[(1, "a", 1.0), (0, "b", 1.0), (1, "c", 0.5), (0, "d", 1.0)],
        );
        let ordered = ordered.ordered().unwrap();
        let texts: Vec<&str> = ordered
            .lines
            .iter()
            .map(|line| line.text.as_str())
            .collect();
        assert_eq!(texts, ["b", "d", "a", "c"]);
    }

    #[test]
    fn what_cannot_be_learnt_is_refused_by_name() {
        for (given, wanted, code) in [
            (
                lesson(1, &[(0, "a", 1.0), (1, "b", 1.0)]),
                "line 1 belongs to route 1, the lesson has 1 routes",
                "learn-unknown-route",
            ),
            (
                lesson(1, &[(0, "a", f32::NAN)]),
                "line 0 has weight NaN, it has to be above 0 and at most 1",
                "learn-weight",
            ),
            (
                lesson(1, &[(0, "a", 0.0)]),
                "line 0 has weight 0, it has to be above 0 and at most 1",
                "learn-weight",
            ),
            (
                lesson(ROUTES_MAX + 1, &[]),
                "4097 routes are more than the 4096 that a model is trained for; search routes without a model",
                "learn-too-large",
            ),
            (
                lesson(1, &vec![(0, "a", 1.0); LINES_MAX + 1]),
                "65537 lines are more than the 65536 that a model is trained for; search routes without a model",
                "learn-too-large",
            ),
        ] {
            let error = given.ordered().unwrap_err();
            assert_eq!((error.to_string().as_str(), error.code()), (wanted, code));
        }
    }

    #[test]
    fn a_digest_tells_every_field_apart() {
        let one = lesson(2, &[(0, "ab", 1.0), (1, "c", 1.0)]);
        let mut others = [
            lesson(2, &[(0, "a", 1.0), (1, "bc", 1.0)]),
            lesson(2, &[(0, "ab", 0.5), (1, "c", 1.0)]),
            lesson(2, &[(1, "ab", 1.0), (1, "c", 1.0)]),
            lesson(3, &[(0, "ab", 1.0), (1, "c", 1.0)]),
            one.clone(),
        ];
        others[4].routes[0].is_taught = false;
        assert!(others.iter().all(|other| other.digest() != one.digest()));
        assert_eq!(one.digest(), one.clone().digest());
    }
}
