//! What can be wrong with a document.

/// JSON that cannot be read, or a value that cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is not JSON, or nested too deeply.
    #[error("the body is not JSON: {0}")]
    Syntax(String),
    /// It is JSON, and a member of it is missing, unknown or of another type.
    #[error("{}{message}", of_member(.path))]
    Member {
        /// Where, for example `decide.evidence.exact[0].via`; empty for the whole.
        path: String,
        /// What is wrong there.
        message: String,
    },
    /// The value has no JSON.
    #[error("the value cannot be written as JSON: {0}")]
    Unwritable(String),
}

fn of_member(path: &str) -> String {
    if path.is_empty() {
        "the body ".to_owned()
    } else {
        format!("`{path}` ")
    }
}
