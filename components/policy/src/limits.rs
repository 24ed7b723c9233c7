//! Bounds on policy text, checked before Cedar's parser sees it: so that
//! hostile text costs a problem and not the stack.

use crate::problem::{Problem, Source};

/// Most bytes in one file, 1 MiB: about 5,000 policies of the usual length.
pub const FILE_BYTES_MAX: usize = 1 << 20;

/// Most policies in one set. They load in 2 s and 64 MiB as a guest (measured).
pub const POLICIES_MAX: usize = 10_000;

/// Deepest nesting of brackets in one policy. Cedar walks expressions by
/// recursion, and where it cannot ask how much stack is left, as in a guest, it
/// overflows. A level takes about 10 KiB (measured, optimised build), so 20 of
/// them and [`LINKS_MAX`] links fit a stack of 512 KiB together.
pub const DEPTH_MAX: u32 = 20;

/// Most operators that may form a chain (`a && b && c`, `x.y.z`, `if … else if`)
/// in one policy: a chain is deep for Cedar as brackets are, about 2.7 KiB a
/// link. The elements of a set do not count.
pub const LINKS_MAX: u32 = 100;

/// What a scan of one file found.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    /// Number of `;` outside strings and comments: the number of policies, if
    /// the text parses.
    pub statements: usize,
    /// Bounds that the text breaks, at most one for each policy.
    pub problems: Vec<Problem>,
}

/// Scans a text by Cedar's lexical rules for strings and comments.
pub(crate) fn outline(source: &Source) -> Outline {
    let mut outline = Outline::default();
    let bytes_len = source.text.len();
    if bytes_len > FILE_BYTES_MAX {
        let message = format!("the file has {bytes_len} bytes, more than {FILE_BYTES_MAX}");
        outline
            .problems
            .push(Problem::new(source, None, message, "split the file"));
        return outline;
    }
    let mut statement = Statement::default();
    let mut bytes = source.text.bytes().enumerate().peekable();
    while let Some((offset, byte)) = bytes.next() {
        match byte {
            b'"' => {
                let mut escaped = false;
                let inside = |(_, byte): &(usize, u8)| {
                    let ends = *byte == b'"' && !escaped;
                    escaped = *byte == b'\\' && !escaped;
                    !ends
                };
                bytes.by_ref().take_while(inside).for_each(drop);
            }
            b'/' if bytes.peek().is_some_and(|(_, next)| *next == b'/') => {
                let inside = |(_, byte): &(usize, u8)| *byte != b'\n' && *byte != b'\r';
                bytes.by_ref().take_while(inside).for_each(drop);
            }
            b';' => {
                outline.statements += 1;
                statement = Statement::default();
            }
            _ => {
                statement.read(byte);
                if let Some((message, hint)) = statement.breach() {
                    let line = Some(source.line_at(offset));
                    outline
                        .problems
                        .push(Problem::new(source, line, message, hint));
                }
            }
        }
    }
    outline
}

/// What has been read of one policy.
#[derive(Debug, Default)]
struct Statement {
    depth: u32,
    links: u32,
    previous: u8,
    reported: bool,
}

impl Statement {
    fn read(&mut self, byte: u8) {
        match byte {
            b'(' | b'{' => self.depth += 1,
            // An index chains as well as nests: `a["b"]["c"]`.
            b'[' => {
                self.depth += 1;
                self.links += 1;
            }
            b')' | b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            b'&' | b'|' if self.previous == byte => self.links += 1,
            b'+' | b'-' | b'*' | b'.' | b'!' => self.links += 1,
            // `if … then … else if …`; that words such as `verify` count too
            // costs nobody anything.
            b'f' if self.previous == b'i' => self.links += 1,
            _ => {}
        }
        self.previous = byte;
    }

    fn breach(&mut self) -> Option<(String, &'static str)> {
        if self.reported {
            return None;
        }
        let breach = if self.depth > DEPTH_MAX {
            let message = format!("brackets nest deeper than {DEPTH_MAX}");
            (message, "flatten the condition or split the policy")
        } else if self.links > LINKS_MAX {
            let message = format!("the policy chains more than {LINKS_MAX} operators");
            let hint = "compare against a set, `[\"a\", \"b\"].contains(x)`, or split the policy";
            (message, hint)
        } else {
            return None;
        };
        self.reported = true;
        Some(breach)
    }
}
