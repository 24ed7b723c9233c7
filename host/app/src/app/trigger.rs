//! A trigger, as a lock keeps it.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{HttpTrigger, Route, StaticResponse, Target};
use crate::AppError;
use crate::names::quoted;
use crate::routes;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    component: Option<String>,
    static_response: Option<StaticConfig>,
    route: Value,
    executor: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StaticConfig {
    status_code: Option<u16>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<String>,
}

/// A trigger for an error, as its author knows it: by its id, or, where that was made up, by its
/// route and component.
pub(crate) fn trigger_place(id: &str, config: &Value) -> String {
    let component = config.get("component").and_then(Value::as_str);
    match config.get("route") {
        Some(Value::String(route)) => told(id, Some(route), component),
        Some(Value::Object(_)) => told(id, None, component),
        _ => format!("trigger {}", quoted(id)),
    }
}

/// `route` is `None` for a trigger that is private.
fn told(id: &str, route: Option<&str>, component: Option<&str>) -> String {
    if !is_made_up(id) {
        return format!("trigger {}", quoted(id));
    }
    let route = route.map_or_else(
        || "without a route".to_owned(),
        |route| format!("for {}", quoted(route)),
    );
    match component {
        Some(component) => format!("trigger {route} (component {})", quoted(component)),
        None => format!("trigger {route}"),
    }
}

/// Whether an id has the form that Spin gives to a trigger without one.
fn is_made_up(id: &str) -> bool {
    id.ends_with("-http-trigger")
        || id
            .strip_prefix("http-trigger")
            .is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

impl HttpTrigger {
    /// The trigger for an error; see [`trigger_place`].
    pub(crate) fn place(&self) -> String {
        let route = match &self.route {
            Route::Path(path) => Some(path.as_str()),
            Route::Private => None,
        };
        let component = match &self.target {
            Target::Component(id) => Some(id.as_str()),
            Target::Static(_) => None,
        };
        told(&self.id, route, component)
    }
}

/// The HTTP trigger `id` with what is configured for it.
///
/// Fails for what is unknown or makes no sense. Whether there is such a component, and whether
/// its route is free, is for whoever knows the others.
pub(crate) fn trigger_of(id: &str, config: &Value) -> Result<HttpTrigger, AppError> {
    let place = trigger_place(id, config);
    let config = Config::deserialize(config)
        .map_err(|error| AppError::invalid(&place, error.to_string()))?;
    check_executor(config.executor.as_ref(), &place)?;
    let target = match (config.component, config.static_response) {
        (Some(component), None) => Target::Component(component),
        (None, Some(response)) => Target::Static(static_response(response, &place)?),
        (None, None) | (Some(_), Some(_)) => {
            return Err(AppError::invalid(
                place,
                "write either `component` or `static_response`",
            ));
        }
    };
    let route = match &config.route {
        Value::String(path) => {
            routes::check(path).map_err(|problem| problem.at(format!("{place}: route")))?;
            Route::Path(path.clone())
        }
        Value::Object(fields)
            if fields.len() == 1 && fields.get("private") == Some(&Value::Bool(true)) =>
        {
            Route::Private
        }
        _ => {
            return Err(AppError::invalid(
                format!("{place}: route"),
                "is no route; write a path such as `\"/v1/...\"`, or `{ private = true }`",
            ));
        }
    };
    Ok(HttpTrigger {
        id: id.to_owned(),
        route,
        target,
    })
}

fn check_executor(executor: Option<&Map<String, Value>>, place: &str) -> Result<(), AppError> {
    let Some(executor) = executor else {
        return Ok(());
    };
    let place = format!("{place}: executor");
    match executor.get("type").and_then(Value::as_str) {
        Some("http" | "spin") => match executor.keys().find(|key| *key != "type") {
            None => Ok(()),
            Some(key) => Err(AppError::invalid(
                place,
                format!("unknown key {}", quoted(key)),
            )),
        },
        Some(kind) => Err(AppError::unsupported(
            place,
            format!("the executor {}", quoted(kind)),
            "components that export `wasi:http/incoming-handler@0.2` are run: leave `executor` out",
        )),
        None => Err(AppError::invalid(
            place,
            "has no `type`; leave `executor` out",
        )),
    }
}

fn static_response(config: StaticConfig, place: &str) -> Result<StaticResponse, AppError> {
    let place = format!("{place}: static_response");
    let status = config.status_code.unwrap_or(200);
    if !(200..=599).contains(&status) {
        return Err(AppError::invalid(
            format!("{place}.status_code"),
            format!("{status} cannot be answered; write 200 to 599"),
        ));
    }
    for (name, value) in &config.headers {
        let is_valid = HeaderName::try_from(name).is_ok() && HeaderValue::try_from(value).is_ok();
        // How the body is sent is for the server to say.
        let is_framing = ["content-length", "transfer-encoding", "connection"]
            .iter()
            .any(|framing| name.eq_ignore_ascii_case(framing));
        if !is_valid || is_framing {
            return Err(AppError::invalid(
                format!("{place}.headers"),
                format!("{} cannot be a header of an answer here", quoted(name)),
            ));
        }
    }
    Ok(StaticResponse {
        status,
        headers: config.headers.into_iter().collect(),
        body: config.body.unwrap_or_default().into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn triggers_name_a_component_or_an_answer() {
        let trigger = trigger_of("t", &json!({"component": "web", "route": "/v1/..."})).unwrap();
        assert_eq!(trigger.route, Route::Path("/v1/...".to_owned()));
        assert!(matches!(&trigger.target, Target::Component(id) if id == "web"));
        let config = json!({
            "route": "/", "executor": {"type": "http"},
            "static_response": {"status_code": 404, "headers": {"x": "y"}, "body": "gone"},
        });
        let Target::Static(response) = trigger_of("t", &config).unwrap().target else {
            panic!("not static")
        };
        let expected = StaticResponse {
            status: 404,
            headers: vec![("x".to_owned(), "y".to_owned())],
            body: "gone".into(),
        };
        assert_eq!(response, expected);
        let private = json!({"component": "web", "route": {"private": true}});
        assert_eq!(trigger_of("t", &private).unwrap().route, Route::Private);
    }

    #[test]
    fn a_trigger_whose_id_was_made_up_is_told_by_its_route_and_component() {
        for (id, config, place) in [
            ("front", json!({"route": "/a"}), "trigger `front`"),
            ("http-trigger1", json!({"route": "/a"}), "trigger for `/a`"),
            (
                "web-http-trigger",
                json!({"route": "/a", "component": "web"}),
                "trigger for `/a` (component `web`)",
            ),
            (
                "http-trigger2",
                json!({"route": {"private": true}, "component": "web"}),
                "trigger without a route (component `web`)",
            ),
            ("http-trigger3", json!([]), "trigger `http-trigger3`"),
        ] {
            assert_eq!(trigger_place(id, &config), place);
        }
        let private = json!({"route": {"private": true}, "component": "web"});
        let trigger = trigger_of("http-trigger2", &private).unwrap();
        assert_eq!(trigger.place(), trigger_place("http-trigger2", &private));
    }

    #[test]
    fn a_trigger_that_makes_no_sense_is_refused_by_name() {
        for (config, word) in [
            (json!({"component": "web"}), "route"),
            (json!({"route": "/"}), "either"),
            (
                json!({"route": "/", "component": "a", "static_response": {}}),
                "either",
            ),
            (
                json!({"route": {"private": false}, "component": "a"}),
                "private = true",
            ),
            (json!({"route": 1, "component": "a"}), "is no route"),
            (
                json!({"route": "/", "component": "a", "base": "/"}),
                "`base`",
            ),
            (
                json!({"route": "/", "component": "a", "executor": {"type": "wagi"}}),
                "`wagi`",
            ),
            (
                json!({"route": "/", "component": "a", "executor": {}}),
                "executor",
            ),
            (
                json!({"route": "/", "component": "a", "executor": {"type": "http", "x": 1}}),
                "`x`",
            ),
            (
                json!({"route": "/", "static_response": {"status_code": 101}}),
                "101",
            ),
            (
                json!({"route": "/", "static_response": {"headers": {"a b": ""}}}),
                "`a b`",
            ),
            (
                json!({"route": "/", "static_response": {"headers": {"a": "\n"}}}),
                "`a`",
            ),
            (
                json!({"route": "/", "static_response": {"headers": {"Content-Length": "1"}}}),
                "`Content-Length`",
            ),
            (
                json!({"route": "/", "static_response": {"file": "x"}}),
                "`file`",
            ),
            (json!([]), "trigger `t`"),
        ] {
            let error = trigger_of("t", &config).unwrap_err().to_string();
            assert!(
                error.starts_with("trigger `t`") && error.contains(word),
                "{config}: {error}"
            );
        }
    }
}
