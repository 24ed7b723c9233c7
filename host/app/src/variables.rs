//! The values of an application's variables.

use std::collections::BTreeMap;
use std::fmt;

use crate::app::Variable;
use crate::runtime::VariablesProvider;
use crate::template::Template;
use crate::{AppError, Problem};

/// Environment variables begin with this where no provider says otherwise.
const ENVIRONMENT_PREFIX: &str = "SPIN_VARIABLE";

/// A value over this is a mistake: a file was put where its name belongs.
const VALUE_BYTES_MAX: usize = 1 << 20;

/// The value of each variable of an application, found once at start.
///
/// [`fmt::Debug`] shows names only.
#[derive(Clone, Default)]
pub struct Variables {
    values: BTreeMap<String, String>,
}

impl Variables {
    /// Finds a value for each variable: from the providers in their order, then from
    /// `SPIN_VARIABLE_<NAME>` of the environment, then its default. `environment` gives the value
    /// of an environment variable; the caller is who reads it.
    ///
    /// Fails for variables that have no value, with all their names, and for a value over 1 MiB.
    pub fn find(
        declared: &BTreeMap<String, Variable>,
        providers: &[VariablesProvider],
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Variables, AppError> {
        let last = VariablesProvider::Env { prefix: None };
        let provided = |name: &str| {
            providers
                .iter()
                .chain([&last])
                .find_map(|provider| match provider {
                    VariablesProvider::Static { values } => values.get(name).cloned(),
                    VariablesProvider::Env { prefix } => {
                        environment(&environment_name(prefix.as_deref(), name))
                    }
                })
        };
        let mut values = BTreeMap::new();
        let mut missing = Vec::new();
        for (name, variable) in declared {
            match provided(name).or_else(|| variable.default.clone()) {
                Some(value) if value.len() > VALUE_BYTES_MAX => {
                    return Err(AppError::TooLarge {
                        at: format!("value of variables.{name}"),
                        bytes: u64::try_from(value.len()).unwrap_or(u64::MAX),
                        bytes_max: u64::try_from(VALUE_BYTES_MAX).unwrap_or(u64::MAX),
                    });
                }
                Some(value) => {
                    values.insert(name.clone(), value);
                }
                None => missing.push(name.as_str()),
            }
        }
        if missing.is_empty() {
            return Ok(Variables { values });
        }
        let names: Vec<String> = missing
            .iter()
            .map(|name| environment_name(None, name))
            .collect();
        Err(AppError::invalid(
            "variables",
            format!(
                "no value for {}; set {} in the environment, or give it in the runtime \
                 configuration",
                missing.join(", "),
                names.join(", ")
            ),
        ))
    }

    /// The value of a variable of the application.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// The text of a template.
    ///
    /// Fails when a variable in it is not one of the application.
    pub fn render(&self, template: &Template) -> Result<String, Problem> {
        template.render(|name| {
            self.get(name).ok_or_else(|| {
                Problem::new(format!("`{name}` is not a variable of the application"))
            })
        })
    }
}

/// The environment variable that a variable is read from.
pub(crate) fn environment_name(prefix: Option<&str>, name: &str) -> String {
    format!(
        "{}_{}",
        prefix.unwrap_or(ENVIRONMENT_PREFIX),
        name.to_ascii_uppercase()
    )
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared() -> BTreeMap<String, Variable> {
        let variable = |default: Option<&str>| Variable {
            default: default.map(str::to_owned),
            secret: default.is_none(),
        };
        BTreeMap::from([
            ("nucleus_url".to_owned(), variable(None)),
            ("token".to_owned(), variable(None)),
            ("body_max".to_owned(), variable(Some("8"))),
        ])
    }

    fn given(pairs: &[(&str, &str)]) -> VariablesProvider {
        VariablesProvider::Static {
            values: pairs
                .iter()
                .map(|(k, v)| (k.to_string(), v.to_string()))
                .collect(),
        }
    }

    #[test]
    fn the_first_provider_wins_then_the_environment_then_the_default() {
        let providers = [
            given(&[("token", "first")]),
            VariablesProvider::Env {
                prefix: Some("MINE".to_owned()),
            },
            given(&[("token", "second")]),
        ];
        let environment = |name: &str| match name {
            "MINE_TOKEN" => Some("mine".to_owned()),
            "MINE_NUCLEUS_URL" => Some("http://mine".to_owned()),
            "SPIN_VARIABLE_NUCLEUS_URL" => Some("http://spin".to_owned()),
            _ => None,
        };
        let variables = Variables::find(&declared(), &providers, environment).unwrap();
        assert_eq!(variables.get("token"), Some("first"));
        assert_eq!(variables.get("nucleus_url"), Some("http://mine"));
        assert_eq!(variables.get("body_max"), Some("8"));
        assert_eq!(variables.get("other"), None);
        let variables = Variables::find(&declared(), &providers[..1], environment).unwrap();
        assert_eq!(variables.get("nucleus_url"), Some("http://spin"));
    }

    #[test]
    fn all_missing_variables_are_named_with_how_to_set_them() {
        let error = Variables::find(&declared(), &[], |_| None)
            .unwrap_err()
            .to_string();
        assert!(error.contains("nucleus_url, token"), "{error}");
        assert!(
            error.contains("SPIN_VARIABLE_NUCLEUS_URL, SPIN_VARIABLE_TOKEN"),
            "{error}"
        );
    }

    #[test]
    fn a_value_is_never_shown() {
        let provider = given(&[("token", "hush"), ("nucleus_url", "http://n")]);
        let variables = Variables::find(&declared(), &[provider], |_| None).unwrap();
        assert_eq!(
            format!("{variables:?}"),
            r#"{"body_max", "nucleus_url", "token"}"#
        );
        let variable = Variable {
            default: Some("hush".to_owned()),
            secret: true,
        };
        assert!(!format!("{variable:?}").contains("hush"));
    }

    #[test]
    fn a_template_over_an_unknown_variable_is_an_error_that_names_it() {
        let template: Template = "{{ nobody }}".parse().unwrap();
        let error = Variables::default().render(&template).unwrap_err();
        assert!(error.to_string().contains("`nobody`"));
    }
}
