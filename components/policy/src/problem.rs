//! Why a set of policies is refused, in words for who wrote them.

use miette::Diagnostic;

/// One policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// File name, for messages and for the ids of unnamed policies.
    pub name: String,
    /// Cedar policy text.
    pub text: String,
}

impl Source {
    /// The name without folders and without its last extension.
    pub(crate) fn stem(&self) -> &str {
        let file = self.name.rsplit(['/', '\\']).next().unwrap_or(&self.name);
        match file.rsplit_once('.') {
            Some((stem, _)) if !stem.is_empty() => stem,
            _ => file,
        }
    }

    /// 1-based number of the line that holds the byte at `offset`.
    pub(crate) fn line_at(&self, offset: usize) -> u32 {
        let newlines = self.text.bytes().take(offset).filter(|byte| *byte == b'\n');
        u32::try_from(newlines.count() + 1).unwrap_or(u32::MAX)
    }
}

/// One reason why a set of policies is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Name of the file.
    pub source: String,
    /// Id of the policy, if it is known.
    pub policy: Option<String>,
    /// 1-based line in the file, if it is known.
    pub line: Option<u32>,
    /// What is wrong.
    pub message: String,
    /// How to mend it, if that is known.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem of our own finding.
    pub(crate) fn new(source: &Source, line: Option<u32>, message: String, hint: &str) -> Self {
        Self {
            source: source.name.clone(),
            policy: None,
            line,
            message,
            hint: Some(hint.to_owned()),
        }
    }

    /// A fault of ours that no file is to blame for. Tests rule it out; it is a
    /// problem like any other so that loading never panics.
    pub(crate) fn unplaced(message: &str) -> Self {
        Self {
            source: String::new(),
            policy: None,
            line: None,
            message: message.to_owned(),
            hint: Some("this is a fault of kgents: report it".to_owned()),
        }
    }

    /// What Cedar found in `source`, of which `policy` is to blame.
    pub(crate) fn from_cedar(
        source: &Source,
        policy: Option<&str>,
        found: &dyn Diagnostic,
    ) -> Self {
        let first = found.labels().and_then(|mut labels| labels.next());
        let mut message = found.to_string();
        // Of the labels only those of syntax errors say more than the message:
        // what was expected there.
        if let Some(label) = first.as_ref().and_then(|label| label.label()) {
            message = format!("{message}: {label}");
        }
        Self {
            source: source.name.clone(),
            policy: policy.map(str::to_owned),
            line: first.map(|label| source.line_at(label.offset())),
            message,
            hint: found.help().map(|help| help.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(name: &str, text: &str) -> Source {
        Source {
            name: name.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn the_stem_is_the_file_name_without_folders_and_extension() {
        for (name, stem) in [
            ("operator.cedar", "operator"),
            ("team/a.b.cedar", "a.b"),
            ("team\\x.cedar", "x"),
            ("plain", "plain"),
            (".cedar", ".cedar"),
            ("", ""),
        ] {
            assert_eq!(source(name, "").stem(), stem, "{name}");
        }
    }

    #[test]
    fn lines_are_counted_from_one_and_offsets_past_the_end_are_the_last_line() {
        let source = source("x", "a\nbb\n\nc");
        for (offset, line) in [(0, 1), (1, 1), (2, 2), (5, 3), (6, 4), (100, 4)] {
            assert_eq!(source.line_at(offset), line, "offset {offset}");
        }
    }
}
