//! Which trigger a path is for, exactly as Spin decides it.
//!
//! The matching is done by the crate, in the version, that Spin uses. Not every text is safe to
//! give to it as a route, so what a route may be is checked here first.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::app::{HttpTrigger, Route};
use crate::names::quoted;
use crate::{AppError, Problem};

/// Requests below this path are answered by the runner itself.
const WELL_KNOWN_PREFIX: &str = "/.well-known/spin/";

/// A route over this is a mistake.
const ROUTE_BYTES_MAX: usize = 1024;

/// Which trigger a path is for.
#[derive(Debug, Clone)]
pub struct Router {
    found: Arc<routefinder::Router<Destination>>,
}

#[derive(Debug)]
struct Destination {
    trigger: usize,
    route: String,
}

/// The trigger that a path is for, and what the component is told about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteMatch<'a> {
    /// Its place in the list the router was made of.
    pub trigger: usize,
    /// The route as it was written: `/v1/...`. Header `spin-raw-component-route`, and, without a
    /// slash at its end, `spin-matched-route`.
    pub raw_route: &'a str,
    /// The route without `/...` at its end: `/v1`. Header `spin-component-route`.
    pub component_route: &'a str,
    /// What `/...` stood for, with the `/` before it; empty for another kind of route. Header
    /// `spin-path-info`.
    pub path_info: String,
    /// What each `:name` stood for, in order. Headers `spin-path-match-<name>`.
    pub named: Vec<(String, String)>,
}

impl Router {
    /// A router for the routes of the triggers, without those that are private.
    ///
    /// Fails for a route that is none, that two triggers have, or that lies where the runner
    /// itself answers.
    pub fn new(triggers: &[HttpTrigger]) -> Result<Router, AppError> {
        let mut found = routefinder::Router::new();
        let mut taken: BTreeMap<String, &HttpTrigger> = BTreeMap::new();
        for (index, trigger) in triggers.iter().enumerate() {
            let Route::Path(route) = &trigger.route else {
                continue;
            };
            let place = format!("{}: route", trigger.place());
            check(route).map_err(|problem| problem.at(&place))?;
            if let Some(other) = taken.insert(shape(route), trigger) {
                return Err(AppError::invalid(
                    place,
                    format!(
                        "{} is for the same paths as the route of the {}",
                        quoted(route),
                        other.place()
                    ),
                ));
            }
            let destination = Destination {
                trigger: index,
                route: route.clone(),
            };
            found
                .add(pattern(route), destination)
                .map_err(|error| AppError::invalid(place, error))?;
        }
        Ok(Router {
            found: Arc::new(found),
        })
    }

    /// The trigger that `path` is for: an exact part of a route goes before `:name`, and that
    /// before `/...`.
    pub fn matches(&self, path: &str) -> Option<RouteMatch<'_>> {
        let best = self.found.best_match(path)?;
        let captures = best.captures();
        let Destination { trigger, route } = best.handler();
        let path_info = captures.wildcard().map(|rest| {
            // A slash at the end of the path belongs to it; the router has taken it off.
            let begin = if rest.is_empty() { "" } else { "/" };
            let end = if path.ends_with('/') { "/" } else { "" };
            format!("{begin}{rest}{end}")
        });
        let named = captures
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Some(RouteMatch {
            trigger: *trigger,
            raw_route: route,
            component_route: route.strip_suffix("/...").unwrap_or(route),
            path_info: path_info.unwrap_or_default(),
            named,
        })
    }
}

/// A route as the matching crate wants it.
fn pattern(route: &str) -> String {
    let route = route.strip_suffix('/').unwrap_or(route);
    match route.strip_suffix("/...") {
        Some(prefix) => format!("/{}/*", prefix.trim_start_matches('/')),
        None => format!("/{}", route.trim_start_matches('/')),
    }
}

/// Routes of one shape are for the same paths: which name a part has makes no difference.
fn shape(route: &str) -> String {
    pattern(route)
        .split('/')
        .filter(|part| !part.is_empty())
        .map(|part| if part.starts_with(':') { ":" } else { part })
        .collect::<Vec<_>>()
        .join("/")
}

/// Whether a text is a route.
pub(crate) fn check(route: &str) -> Result<(), Problem> {
    let problem = |words: &str| Err(Problem::new(format!("{} {words}", quoted(route))));
    if !route.starts_with('/') {
        return problem("is not a route; it begins with `/`");
    }
    if route.len() > ROUTE_BYTES_MAX {
        return problem("is not a route; it is over 1,024 bytes");
    }
    // What is not ASCII is percent-encoded in a path and would never be equal to it.
    if !route.chars().all(|c| c.is_ascii_graphic()) || route.contains(['?', '#']) {
        return problem("is not a route; write a path in ASCII, percent-encoded, without a query");
    }
    if pattern(route).starts_with(WELL_KNOWN_PREFIX) {
        return problem("is not a route; the runner answers below `/.well-known/spin/`");
    }
    let fixed = route
        .strip_suffix("/...")
        .or_else(|| route.strip_suffix("/*"))
        .unwrap_or(route);
    if fixed.contains('*') || fixed.split('/').any(|part| part == "...") {
        return problem("is not a route; what stands for any rest is written `/...` at the end");
    }
    for part in fixed.split('/') {
        let Some(name) = part.strip_prefix(':') else {
            if part.contains(':') && part.contains('.') {
                return problem("is not a route; `:name` is a part of its own, between slashes");
            }
            continue;
        };
        let is_name = !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        if !is_name {
            return problem("is not a route; `:name` is letters, digits, `_` and `-`");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Target;
    use proptest::prelude::*;

    fn triggers(routes: &[&str]) -> Vec<HttpTrigger> {
        let trigger = |(index, route): (usize, &&str)| HttpTrigger {
            id: format!("t{index}"),
            route: match *route {
                "private" => Route::Private,
                route => Route::Path(route.to_owned()),
            },
            target: Target::Component("c".to_owned()),
        };
        routes.iter().enumerate().map(trigger).collect()
    }

    fn router(routes: &[&str]) -> Router {
        Router::new(&triggers(routes)).unwrap()
    }

    #[test]
    fn the_more_exact_route_wins_whatever_the_order() {
        let check = |routes: &[&str], path: &str, expected: Option<&str>| {
            let router = router(routes);
            let found = router.matches(path).map(|found| found.raw_route);
            assert_eq!(found, expected, "{path}");
        };
        for routes in [
            [
                "/...",
                "/v1/decide/...",
                "/v1/:name",
                "/v1/health",
                "private",
            ],
            [
                "private",
                "/v1/health",
                "/v1/:name",
                "/v1/decide/...",
                "/...",
            ],
        ] {
            check(&routes, "/", Some("/..."));
            check(&routes, "/v1/decide", Some("/v1/decide/..."));
            check(&routes, "/v1/decide/router", Some("/v1/decide/..."));
            check(&routes, "/v1/health", Some("/v1/health"));
            check(&routes, "/v1/health/", Some("/v1/health"));
            check(&routes, "/v1/other", Some("/v1/:name"));
            check(&routes, "/v1/other/more", Some("/..."));
        }
        check(&["/a"], "/b", None);
        check(&["private"], "/", None);
        check(&["/"], "/", Some("/"));
        check(&["/"], "/a", None);
        check(&["/a.b"], "/a.b", Some("/a.b"));
    }

    #[test]
    fn what_a_wildcard_stood_for_keeps_its_slashes() {
        for (route, path, info) in [
            ("/...", "/1/2/3", "/1/2/3"),
            ("/1/...", "/1/2/3", "/2/3"),
            ("/test/...", "/test", ""),
            ("/test/...", "/test/", "/"),
            ("/test/...", "/test/hello/", "/hello/"),
            ("/test", "/test/", ""),
        ] {
            let router = router(&[route]);
            assert_eq!(
                router.matches(path).unwrap().path_info,
                info,
                "{route} {path}"
            );
        }
    }

    #[test]
    fn what_a_name_stood_for_is_told() {
        let router = router(&["/users/:id/files/..."]);
        let found = router.matches("/users/42/files/a/b").unwrap();
        assert_eq!(found.named, [("id".to_owned(), "42".to_owned())]);
        assert_eq!(found.path_info, "/a/b");
        assert_eq!(found.component_route, "/users/:id/files");
    }

    #[test]
    fn two_routes_for_the_same_paths_are_refused() {
        for routes in [
            ["/a", "/a"],
            ["/a", "/a/"],
            ["/:x", "/:y"],
            ["/a/...", "/a/*"],
        ] {
            let error = Router::new(&triggers(&routes)).unwrap_err().to_string();
            assert!(error.contains("`t1`") && error.contains("`t0`"), "{error}");
        }
    }

    #[test]
    fn what_is_no_route_is_refused() {
        for route in [
            "",
            "a",
            "/*/a",
            "/.../a",
            "/a*",
            "/é",
            "/a b",
            "/a?b",
            "/:",
            "/:a.b",
            "/x.:a",
            "/.well-known/spin/health",
            "/.well-known/spin/...",
            "/a.*",
        ] {
            assert!(check(route).is_err(), "{route}");
        }
        for route in [
            "/",
            "/...",
            "/.well-known/spindle",
            "/a/:b_c/d-e.f/...",
            "/%C3%A9",
            "//a",
        ] {
            assert!(check(route).is_ok(), "{route}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_route_or_refused_and_any_path_is_matched_or_not(
            routes in proptest::collection::vec("\\PC{0,12}|(/[a-c:*.é]{0,4}){0,4}(/\\.\\.\\.)?", 0..6),
            paths in proptest::collection::vec("\\PC{0,12}|(/[a-cé.]{0,4}){0,5}", 0..6),
        ) {
            let routes: Vec<&str> = routes.iter().map(String::as_str).collect();
            let triggers = triggers(&routes);
            for trigger in &triggers {
                if let Ok(router) = Router::new(std::slice::from_ref(trigger)) {
                    for path in &paths {
                        let _ = router.matches(path);
                    }
                }
            }
            if let Ok(router) = Router::new(&triggers) {
                for path in &paths {
                    if let Some(found) = router.matches(path) {
                        prop_assert!(found.trigger < triggers.len());
                    }
                }
            }
        }

        #[test]
        fn a_route_without_names_is_for_its_own_path(route in "(/[a-z0-9]{1,8}){1,5}") {
            let all = router(&["/...", &route]);
            prop_assert_eq!(all.matches(&route).map(|found| found.trigger), Some(1));
        }
    }
}
