//! Values with variables in them: `https://{{ host }}/`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Problem;
use crate::names::variable_name;

/// A text with `{{ name }}` where the value of a variable of the application goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable(String),
}

impl Template {
    /// Whether there is no variable in it.
    pub fn is_literal(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Text(_)))
    }

    /// The variables in it, in order, each as often as it stands there.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Variable(name) => Some(name.as_str()),
        })
    }

    /// Reads a template in which only variables of an application are.
    pub(crate) fn over(text: &str, is_known: impl Fn(&str) -> bool) -> Result<Template, Problem> {
        let template: Template = text.parse()?;
        let unknown = template
            .variables()
            .find(|name| !is_known(name))
            .map(str::to_owned);
        match unknown {
            None => Ok(template),
            Some(name) => Err(Problem::new(format!(
                "there is no variable `{name}`; add it to `[variables]`"
            ))),
        }
    }

    /// The text with the value of each variable in its place. What a value holds is never read
    /// as a template again.
    ///
    /// Fails with the error of `value` for the first variable it has none for.
    pub fn render<'v, E>(
        &self,
        mut value: impl FnMut(&str) -> Result<&'v str, E>,
    ) -> Result<String, E> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(words) => text.push_str(words),
                Part::Variable(name) => text.push_str(value(name)?),
            }
        }
        Ok(text)
    }
}

impl FromStr for Template {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Template, Problem> {
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let Some((words, after)) = rest.split_once("{{") else {
                parts.push(Part::Text(rest.to_owned()));
                break;
            };
            if !words.is_empty() {
                parts.push(Part::Text(words.to_owned()));
            }
            let Some((name, after)) = after.split_once("}}") else {
                return Err(Problem::new("`{{` has no `}}` after it"));
            };
            let name = name.trim();
            variable_name(name)?;
            parts.push(Part::Variable(name.to_owned()));
            rest = after;
        }
        Ok(Template { parts })
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            Part::Text(words) => f.write_str(words),
            Part::Variable(name) => write!(f, "{{{{ {name} }}}}"),
        })
    }
}

impl From<Template> for String {
    fn from(template: Template) -> String {
        template.to_string()
    }
}

impl TryFrom<String> for Template {
    type Error = Problem;

    fn try_from(text: String) -> Result<Template, Problem> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rendered(template: &str) -> Result<String, String> {
        let template: Template = template
            .parse()
            .map_err(|problem: Problem| problem.to_string())?;
        template.render(|name| match name {
            "host" => Ok("example.com"),
            "odd" => Ok("{{ host }}"),
            other => Err(format!("no {other}")),
        })
    }

    #[test]
    fn variables_are_put_in_and_their_values_are_not_read_again() {
        for (template, text) in [
            ("", ""),
            ("plain }} text", "plain }} text"),
            ("{{host}}", "example.com"),
            (
                "https://{{ host }}:{{  host}}/",
                "https://example.com:example.com/",
            ),
            ("{{ odd }}", "{{ host }}"),
        ] {
            assert_eq!(rendered(template), Ok(text.to_owned()), "{template}");
        }
        assert_eq!(rendered("{{ nobody }}"), Err("no nobody".to_owned()));
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for text in [
            "{{",
            "{{ host",
            "{{ }}",
            "{{ Host }}",
            "{{ a b }}",
            "{{ {{ host }}",
        ] {
            assert!(text.parse::<Template>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_what_was_read_reads_the_same_again(text in "\\PC{0,40}|([{} a_z]{0,20})") {
            if let Ok(template) = text.parse::<Template>() {
                prop_assert_eq!(template.to_string().parse::<Template>(), Ok(template));
            }
        }

        #[test]
        fn a_text_without_braces_stands_for_itself(text in "[^{]*") {
            prop_assert_eq!(rendered(&text), Ok(text));
        }
    }
}
