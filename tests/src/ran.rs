//! What came of a command of the command line.

use serde_json::Value;

/// How a command ended.
#[derive(Clone, Debug)]
pub struct Ran {
    /// Exit code.
    pub code: i32,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl Ran {
    /// stdout as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_str(&self.stdout) {
            Ok(value) => value,
            Err(error) => panic!("{error}: {self:?}"),
        }
    }

    /// One JSON value of each line of stdout.
    ///
    /// # Panics
    /// When a line is none.
    #[track_caller]
    pub fn lines(&self) -> Vec<Value> {
        let parse = |line| match serde_json::from_str(line) {
            Ok(value) => value,
            Err(error) => panic!("{error}: {line}"),
        };
        self.stdout.lines().map(parse).collect()
    }

    /// The same, after making sure how it ended.
    ///
    /// # Panics
    /// When it ended otherwise.
    #[track_caller]
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }
}
