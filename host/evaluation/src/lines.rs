//! Files of labelled questions and of described agents, one line of JSON each. What
//! is wrong is told with file, line, field and what to do.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use kgents_gateway::Skill;
use serde::Deserialize as _;
use serde_json::{Map, Value};

/// Bytes of a file, at most: some millions of questions.
pub const FILE_BYTES_MAX: u64 = 256 << 20;

/// What a labelled line looks like.
const LABELLED: &str = r#"{"query": "…", "route": "NAME"}, or null for a route that nobody has"#;
/// What a line about an agent looks like.
const DESCRIBED: &str = r#"{"name": "…", "description": "…"}"#;

/// A question and who is right for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labelled {
    /// The caller's words.
    pub query: String,
    /// The right route; `None` when nobody does this.
    pub route: Option<String>,
    /// Its line in the file, from 1.
    pub line: usize,
}

/// An agent as a line tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its name, of any letters.
    pub name: String,
    /// What it does.
    pub description: String,
    /// What else is said of it; empty where the description is all.
    pub skills: Vec<Skill>,
    /// Its line in the file, from 1.
    pub line: usize,
}

/// Why a file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// As it was named.
    pub file: PathBuf,
    /// From 1; `None` when it is about the whole file.
    pub line: Option<usize>,
    /// What is wrong, naming the field.
    pub problem: String,
    /// What to do about it.
    pub fix: String,
}

impl std::fmt::Display for FileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}`", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, " line {line}")?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for FileError {}

impl FileError {
    /// A mistake in one line of a file.
    pub fn at(file: &Path, line: usize, problem: String, fix: impl Into<String>) -> Self {
        Self {
            line: Some(line),
            ..Self::whole(file, problem, fix)
        }
    }

    /// A mistake that concerns a whole file.
    pub fn whole(file: &Path, problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: None,
            problem: problem.into(),
            fix: fix.into(),
        }
    }
}

/// Reads labelled questions. Blank lines are passed over.
///
/// # Errors
/// A file that cannot be read or has no lines, and the first line that is not as it
/// must be.
pub fn labelled(file: &Path) -> Result<Vec<Labelled>, FileError> {
    read(file, LABELLED, |line, members| {
        let fields = Fields::new(members, &["query", "route"])?;
        let route = match fields.0.get("route") {
            None => {
                return Err("`route` is missing".to_owned());
            }
            Some(Value::Null) => None,
            Some(Value::String(route)) if !route.trim().is_empty() => Some(route.clone()),
            Some(Value::String(_)) => return Err("`route` is empty".to_owned()),
            Some(other) => {
                return Err(format!(
                    "`route` is {}, and must be a text or null",
                    kind(other)
                ));
            }
        };
        Ok(Labelled {
            query: fields.text("query")?,
            route,
            line,
        })
    })
}

/// Reads described agents. Blank lines are passed over.
///
/// # Errors
/// A file that cannot be read or has no lines, the first line that is not as it must
/// be, and a name given twice.
pub fn described(file: &Path) -> Result<Vec<Described>, FileError> {
    let agents = read(file, DESCRIBED, |line, members| {
        let fields = Fields::new(members, &["name", "description", "skills"])?;
        let name = fields.text("name")?;
        if name.trim().is_empty() {
            return Err("`name` is empty".to_owned());
        }
        let skills = match fields.0.get("skills") {
            None => Vec::new(),
            Some(skills) => {
                Vec::<Skill>::deserialize(skills).map_err(|error| format!("`skills`: {error}"))?
            }
        };
        Ok(Described {
            name,
            description: fields.text("description")?,
            skills,
            line,
        })
    })?;
    let mut lines = std::collections::HashMap::new();
    for agent in &agents {
        if let Some(first) = lines.insert(agent.name.as_str(), agent.line) {
            let problem = format!("`name`: `{}` stands in line {first} as well", agent.name);
            let fix = "give every agent a name of its own";
            return Err(FileError::at(file, agent.line, problem, fix));
        }
    }
    Ok(agents)
}

struct Fields(Map<String, Value>);

impl Fields {
    fn new(members: Map<String, Value>, known: &[&str]) -> Result<Self, String> {
        match members.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(format!(
                "`{}` is no field of such a line",
                key.escape_debug()
            )),
            None => Ok(Self(members)),
        }
    }

    fn text(&self, field: &str) -> Result<String, String> {
        match self.0.get(field) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(other) => Err(format!("`{field}` is {}, and must be a text", kind(other))),
            None => Err(format!("`{field}` is missing")),
        }
    }
}

/// Reads every line with `take`; `form` is what a line should look like.
fn read<T>(
    file: &Path,
    form: &str,
    take: impl Fn(usize, Map<String, Value>) -> Result<T, String>,
) -> Result<Vec<T>, FileError> {
    let text = text_of(file)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let fix = || format!("each line must be {form}");
    let mut read = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        if text.trim().is_empty() {
            continue;
        }
        let at = |problem| FileError::at(file, line, problem, fix());
        let value = serde_json::from_str(text).map_err(|error| {
            // The error's own line is that within this one.
            let said = error.to_string();
            let said = said.split(" at line ").next().unwrap_or_default();
            at(format!("column {} is not JSON: {said}", error.column()))
        })?;
        let Value::Object(members) = value else {
            return Err(at(format!("is {}, and must be an object", kind(&value))));
        };
        read.push(take(line, members).map_err(at)?);
    }
    if read.is_empty() {
        return Err(FileError::whole(file, "has no lines", fix()));
    }
    Ok(read)
}

fn text_of(file: &Path) -> Result<String, FileError> {
    let whole = |problem: String, fix: &str| FileError::whole(file, problem, fix);
    let unreadable = |error: std::io::Error| {
        whole(
            format!("cannot be read: {error}"),
            "name a file of lines of JSON that you may read",
        )
    };
    // A pipe would be waited for, and a device read, without end.
    if !file.metadata().map_err(unreadable)?.is_file() {
        let fix = "name a file; write what comes from a pipe or `-` to one first";
        return Err(whole("is not a regular file".to_owned(), fix));
    }
    let mut bytes = Vec::new();
    File::open(file)
        .map_err(unreadable)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let problem = format!("is above {FILE_BYTES_MAX} bytes, the most that is read");
        return Err(whole(problem, "draw a sample of its lines"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let before = error.as_bytes().iter().take(good);
        let line = before.filter(|byte| **byte == b'\n').count() + 1;
        FileError::at(
            file,
            line,
            "is not UTF-8".to_owned(),
            "convert the file: iconv -f ISO-8859-1 -t UTF-8",
        )
    })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d.jsonl");
        std::fs::write(&path, content).unwrap();
        (dir, path)
    }

    fn refused<T: std::fmt::Debug>(
        content: &[u8],
        read: fn(&Path) -> Result<Vec<T>, FileError>,
    ) -> (Option<usize>, String) {
        let (_dir, path) = file(content);
        let error = read(&path).unwrap_err();
        assert!(!error.fix.is_empty());
        assert!(error.to_string().contains("d.jsonl"), "{error}");
        (error.line, error.problem)
    }

    #[test]
    fn lines_are_read_with_their_numbers() {
        let text = "\u{feff}{\"query\": \"book it\", \"route\": \"book flight\"}\r\n\n\
                    {\"route\": null, \"query\": \"\"}";
        let (_dir, path) = file(text.as_bytes());
        let lines = labelled(&path).unwrap();
        let line = |query: &str, route: Option<&str>, line| Labelled {
            query: query.to_owned(),
            route: route.map(str::to_owned),
            line,
        };
        assert_eq!(
            lines,
            [line("book it", Some("book flight"), 1), line("", None, 3)]
        );
    }

    #[test]
    fn what_is_wrong_with_a_line_is_told_with_its_field() {
        let good = "{\"query\": \"a\", \"route\": \"b\"}\n";
        for (bad, problem) in [
            ("{\"query\": ", "is not JSON"),
            ("[1]", "is a list, and must be an object"),
            ("{\"route\": \"b\"}", "`query` is missing"),
            ("{\"query\": 5, \"route\": \"b\"}", "`query` is a number"),
            ("{\"query\": \"a\"}", "`route` is missing"),
            ("{\"query\": \"a\", \"route\": 7}", "`route` is a number"),
            ("{\"query\": \"a\", \"route\": \" \"}", "`route` is empty"),
            (
                "{\"query\": \"a\", \"route\": null, \"label\": 1}",
                "`label` is no field",
            ),
        ] {
            let (line, told) = refused(format!("{good}{bad}\n").as_bytes(), labelled);
            assert_eq!(line, Some(2), "{bad}");
            assert!(told.contains(problem), "{bad}: {told}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_told_with_their_line() {
        let (line, told) = refused(b"{}\n\n{\"query\": \"\xff\"}", labelled);
        assert_eq!((line, told.as_str()), (Some(3), "is not UTF-8"));
    }

    #[test]
    fn an_empty_file_a_folder_and_what_is_not_there_are_named() {
        for empty in ["", "\n \n"] {
            assert_eq!(refused(empty.as_bytes(), labelled).1, "has no lines");
        }
        let dir = tempfile::tempdir().unwrap();
        let error = labelled(dir.path()).unwrap_err();
        assert_eq!(error.problem, "is not a regular file");
        let error = labelled(&dir.path().join("gone")).unwrap_err();
        assert!(error.problem.starts_with("cannot be read"), "{error}");
    }

    #[test]
    fn a_pipe_is_refused_and_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let error = labelled(&pipe).unwrap_err();
        assert_eq!(error.problem, "is not a regular file");
    }

    #[test]
    fn agents_are_described_with_or_without_skills() {
        let skill = "{\"id\": \"s\", \"name\": \"S\", \"description\": \"d\", \"tags\": []}";
        let text = format!(
            "{{\"name\": \"a b\", \"description\": \"does\"}}\n\
             {{\"name\": \"c\", \"description\": \"\", \"skills\": [{skill}]}}"
        );
        let (_dir, path) = file(text.as_bytes());
        let agents = described(&path).unwrap();
        let told = |n: usize| (agents[n].name.as_str(), agents[n].skills.len());
        assert_eq!([told(0), told(1)], [("a b", 0), ("c", 1)]);
        let twice = "{\"name\": \"a\", \"description\": \"x\"}\n".repeat(2);
        let (line, told) = refused(twice.as_bytes(), described);
        assert_eq!(line, Some(2));
        assert!(told.contains("line 1"), "{told}");
        let (_, told) = refused(b"{\"name\": \"a\"}", described);
        assert_eq!(told, "`description` is missing");
    }
}
