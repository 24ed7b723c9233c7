//! A mistake on its way out of a document, which learns where it was made.

use std::fmt::Display;

use serde::de;

use crate::error::Error;
use crate::name::json_name;

/// What is wrong, and where, innermost step first.
#[derive(Debug)]
pub(crate) struct Fault {
    steps: Vec<Step>,
    message: String,
}

/// One step towards it.
#[derive(Debug)]
pub(crate) enum Step {
    Member(String),
    Item(usize),
}

impl Fault {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            steps: Vec::new(),
            message: message.into(),
        }
    }

    pub(crate) fn inside(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    pub(crate) fn told(self) -> Error {
        let mut path = String::new();
        for step in self.steps.iter().rev() {
            match step {
                Step::Member(name) if path.is_empty() => path.push_str(name),
                Step::Member(name) => {
                    path.push('.');
                    path.push_str(name);
                }
                Step::Item(index) => path.push_str(&format!("[{index}]")),
            }
        }
        Error::Member {
            path,
            message: self.message,
        }
    }
}

impl Display for Fault {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(format!("lacks the member `{}`", json_name(field)))
    }
}
