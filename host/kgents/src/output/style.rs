//! Colours, sparingly: green and red for good and bad, dim for what is beside
//! the point. Source: ECMA-48, SGR.

/// Whether, and so how, text is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    on: bool,
}

impl Style {
    /// With colours, or without.
    pub const fn new(on: bool) -> Self {
        Self { on }
    }

    /// Without colours.
    #[cfg(test)]
    pub const fn plain() -> Self {
        Self { on: false }
    }

    /// Whether it paints at all.
    pub const fn is_coloured(&self) -> bool {
        self.on
    }

    /// What matters most.
    pub fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    /// What is beside the point.
    pub fn dim(&self, text: &str) -> String {
        self.paint("2", text)
    }

    /// Good.
    pub fn green(&self, text: &str) -> String {
        self.paint("32", text)
    }

    /// So so.
    pub fn yellow(&self, text: &str) -> String {
        self.paint("33", text)
    }

    /// Bad.
    pub fn red(&self, text: &str) -> String {
        self.paint("31", text)
    }

    /// A pointer to what helps.
    pub fn cyan(&self, text: &str) -> String {
        self.paint("36", text)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.on && !text.is_empty() {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Text of somebody else's without control characters, so that an agent cannot
/// steer the terminal. Line ends and tabs stay.
pub fn safe(text: &str) -> String {
    let directs = |c: char| {
        // Besides C0 and C1: marks that reverse the direction of text.
        c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .filter(|c| matches!(c, '\n' | '\t') || !directs(*c))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn colours_wrap_the_text_or_leave_it_alone() {
        assert_eq!(Style::new(true).red("no"), "\u{1b}[31mno\u{1b}[0m");
        assert_eq!(Style::new(true).dim(""), "");
        assert_eq!(Style::plain().red("no"), "no");
    }

    proptest! {
        #[test]
        fn nothing_that_steers_a_terminal_passes(text in "(\\PC|\\x1b|\\x07|\\x9b|\\n|\u{202e}){0,40}") {
            let safe = safe(&text);
            prop_assert!(safe.chars().all(|c| c == '\n' || c == '\t' || !c.is_control()));
            prop_assert_eq!(safe.find('\u{202e}'), None);
        }
    }
}
