//! How results reach a person or a program: text, JSON or YAML on stdout,
//! errors and progress on stderr.

mod answer;
mod moment;
mod style;
mod table;

use std::io::Write as _;

use serde::Serialize;

use crate::exit::{Exit, Failure};

pub use answer::{Said, attribution, percent, said};
pub use moment::{ago, parse_rfc3339};
pub use style::{Style, safe};
pub use table::table;

/// How a result is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON value, or one a line where results stream.
    Json,
    /// For people who like YAML.
    Yaml,
}

/// When colours are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Colour {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Where a command writes its result.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// How it is written.
    pub format: Format,
    /// Colours of stdout.
    pub style: Style,
    /// Colours of stderr.
    pub error_style: Style,
    /// Columns of the terminal; none when stdout is not one.
    pub columns: Option<usize>,
}

impl Output {
    /// Writes a result: `text` for people, else `value` itself.
    pub fn show<T: Serialize>(&self, value: &T, text: impl FnOnce(&Style) -> String) {
        match self.format {
            Format::Text => self.write(&text(&self.style)),
            Format::Json => self.write(&pretty(value)),
            Format::Yaml => self.write(&yaml(value)),
        }
    }

    /// Writes one of a stream of results: a line of JSON, or a YAML document.
    pub fn show_next<T: Serialize>(&self, value: &T, text: impl FnOnce(&Style) -> String) {
        match self.format {
            Format::Text => self.write(&text(&self.style)),
            Format::Json => self.write(&serde_json::to_string(value).unwrap_or_default()),
            Format::Yaml => self.write(&format!("---\n{}", yaml(value))),
        }
    }

    /// Writes lines to stdout. A reader that went away (`| head`) is no error.
    pub fn write(&self, text: &str) {
        self.write_part(text);
        if !text.ends_with('\n') && !text.is_empty() {
            self.write_part("\n");
        }
    }

    /// Writes part of a line to stdout at once.
    pub fn write_part(&self, text: &str) {
        let mut stdout = std::io::stdout().lock();
        let _ = stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush());
    }

    /// Tells something on stderr that is no result.
    pub fn note(&self, text: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{}", self.error_style.dim(text));
    }

    /// Reports a failure: words on stderr, and for programs an object on stdout.
    pub fn fail(&self, failure: &Failure) -> Exit {
        let _ = std::io::stderr()
            .lock()
            .write_all(self.failure_text(failure).as_bytes());
        let object = serde_json::json!({ "error": failure });
        match self.format {
            Format::Text => {}
            Format::Json => self.write(&pretty(&object)),
            Format::Yaml => self.write(&yaml(&object)),
        }
        failure.exit
    }

    fn failure_text(&self, failure: &Failure) -> String {
        let style = &self.error_style;
        let mut text = format!("{} {}\n", style.red("error:"), safe(&failure.message));
        if let Some(hint) = &failure.hint {
            text.push_str(&format!("{} {}\n", style.cyan("hint:"), safe(hint)));
        }
        text
    }
}

fn pretty<T: Serialize>(value: &T) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

fn yaml<T: Serialize>(value: &T) -> String {
    serde_saphyr::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_two_lines_and_cannot_move_the_cursor() {
        let output = Output {
            format: Format::Text,
            style: Style::plain(),
            error_style: Style::plain(),
            columns: None,
        };
        let failure = Failure::new(Exit::Failed, "X", "no \u{1b}[2Jway").hint("try that");
        assert_eq!(
            output.failure_text(&failure),
            "error: no [2Jway\nhint: try that\n"
        );
    }

    #[test]
    fn the_same_value_reads_back_from_json_and_yaml() {
        let value = serde_json::json!({"a": [1, "2", null, true], "b": {"c": "x: y\n"}});
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&pretty(&value)).unwrap(),
            value
        );
        let node = crate::config::document::Node::parse(&yaml(&value)).unwrap();
        let back: serde_json::Value = serde_json::from_str(&node.to_json()).unwrap();
        assert_eq!(back, value);
    }
}
