//! Exit codes, and the one shape in which a command reports that it failed.

use serde::Serialize;

/// How a command ended; scripts rely on the numbers. Source: README, "Exit codes".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: anything that no other code names: a failed verify, check or build.
    Failed,
    /// 2: the command line itself is wrong.
    Usage,
    /// 3: the fallback answered, or nobody was found.
    NobodyFound,
    /// 4: policy or identity says no.
    Denied,
    /// 5: the mesh or the agent cannot be reached, or did not answer in time.
    Unavailable,
}

impl Exit {
    /// The number the process ends with.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NobodyFound => 3,
            Self::Denied => 4,
            Self::Unavailable => 5,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command failed, in words for a person and a code for a program. An
/// error, so that it passes through `anyhow` and keeps its exit code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Stable, upper snake case: the server's reason or the command's own.
    pub code: String,
    /// One sentence without a stop.
    pub message: String,
    /// What to do about it, when we know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The process's exit code.
    #[serde(serialize_with = "as_number", rename = "exit")]
    pub exit: Exit,
}

impl Failure {
    /// A failure that ends the process with `exit`.
    pub fn new(exit: Exit, code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            hint: None,
            exit,
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

fn as_number<S: serde::Serializer>(exit: &Exit, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u8(exit.code())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_that_scripts_rely_on() {
        let all = [
            Exit::Done,
            Exit::Failed,
            Exit::Usage,
            Exit::NobodyFound,
            Exit::Denied,
            Exit::Unavailable,
        ];
        assert_eq!(all.map(Exit::code), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_failure_is_an_object_with_code_message_hint_and_exit() {
        let failure = Failure::new(Exit::Denied, "DENIED", "no").hint("ask the operator");
        assert_eq!(
            serde_json::to_value(&failure).unwrap(),
            serde_json::json!({"code": "DENIED", "message": "no", "hint": "ask the operator", "exit": 4})
        );
    }
}
