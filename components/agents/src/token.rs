//! Words: a message split into what the grammars read. Linear in its length.

/// One piece of a message. Words are lower case in ASCII; other scripts stay
/// as they are, so they are never mistaken for a known word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// Letters and digits that start with a letter, with inner `-_./@`.
    Word(String),
    /// Starts with a digit, or a sign before one; as written.
    Number(String),
    /// Between quotation marks, as written.
    Quoted(String),
    /// `'s` that is not short for *is* or *us*.
    Possessive,
    /// `,` `(` `)`.
    Comma,
    /// `.` `;` `:` `!` or a line's end.
    Stop,
    /// `?`.
    Question,
    /// Anything else that prints, for example `$`, `%` or a lone dash.
    Symbol(char),
}

impl Token {
    /// The word, if it is one.
    pub fn word(&self) -> Option<&str> {
        match self {
            Self::Word(word) => Some(word),
            _ => None,
        }
    }

    /// Is it one of `words`?
    // Asked in hundreds of places: one copy keeps the guest small.
    #[inline(never)]
    pub fn is_one_of(&self, words: &[&str]) -> bool {
        self.word().is_some_and(|word| words.contains(&word))
    }

    /// As a person would quote it.
    #[inline(never)]
    pub fn shown(&self) -> String {
        match self {
            Self::Word(text) | Self::Number(text) | Self::Quoted(text) => text.clone(),
            Self::Possessive => String::from("'s"),
            Self::Comma => String::from(","),
            Self::Stop => String::from("."),
            Self::Question => String::from("?"),
            Self::Symbol(symbol) => symbol.to_string(),
        }
    }
}

/// `what's` is *what is*, `translation's` is not *translation is*.
const BEFORE_IS: [&str; 9] = [
    "what", "who", "how", "where", "when", "it", "that", "there", "which",
];

/// Split `text`.
pub fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().map(plain).collect();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(&first) = chars.get(at) {
        let rest = chars.get(at..).unwrap_or_default();
        at += match first {
            '\n' => push(&mut found, Token::Stop, 1),
            _ if is_blank(first) => 1,
            '.' | ';' | ':' | '!' => push(&mut found, Token::Stop, 1),
            ',' | '(' | ')' => push(&mut found, Token::Comma, 1),
            '?' => push(&mut found, Token::Question, 1),
            '"' | '`' | '\'' => match quoted(rest) {
                Some(inner) => {
                    let length = inner.chars().count() + 2;
                    push(&mut found, Token::Quoted(inner), length)
                }
                None => 1,
            },
            '+' | '-' if rest.get(1).is_some_and(char::is_ascii_digit) => {
                let run = 1 + run_length(rest.get(1..).unwrap_or_default());
                push(
                    &mut found,
                    Token::Number(rest.iter().take(run).collect()),
                    run,
                )
            }
            _ if is_word(first) => {
                let run = run_length(rest);
                let text: String = rest.iter().take(run).collect();
                if first.is_ascii_digit() {
                    found.push(Token::Number(text));
                } else {
                    push_word(&mut found, &text.to_ascii_lowercase());
                }
                run
            }
            _ => push(&mut found, Token::Symbol(first), 1),
        };
    }
    found
}

fn push(found: &mut Vec<Token>, token: Token, length: usize) -> usize {
    found.push(token);
    length
}

/// One spelling for what keyboards and phones write differently.
fn plain(char: char) -> char {
    match char {
        '\u{2018}' | '\u{2019}' | '\u{00b4}' => '\'',
        '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{00ab}' | '\u{00bb}' => '"',
        '\u{2212}' | '\u{2010}' | '\u{2011}' => '-',
        '\u{00a0}' | '\u{202f}' => ' ',
        '\r' | '\u{2028}' | '\u{2029}' => '\n',
        other => other,
    }
}

/// Blank, or an ornament that carries no meaning here: `¿`, `@`, emoji.
fn is_blank(char: char) -> bool {
    char.is_ascii_whitespace()
        || matches!(char, '@' | '\u{00bf}' | '\u{00a1}' | '\u{fe0f}' | '\u{2600}'..='\u{27bf}' | '\u{1f000}'..='\u{1faff}')
}

/// Part of a word. Letters of other scripts count, their signs do not.
fn is_word(char: char) -> bool {
    char.is_ascii_alphanumeric()
        || char == '_'
        || (!char.is_ascii()
            && !matches!(char, '\u{0080}'..='\u{00bf}' | '\u{2000}'..='\u{206f}' | '\u{20a0}'..='\u{20cf}')
            && !is_blank(char))
}

/// How many characters belong to the word or number at the start. A joint such
/// as `-` belongs to it when something follows it.
fn run_length(chars: &[char]) -> usize {
    let mut length = 0;
    while let Some(&char) = chars.get(length) {
        let joins = matches!(char, '-' | '_' | '.' | ',' | '/' | '\'' | '@' | '%')
            && chars.get(length + 1).is_some_and(|&next| is_word(next));
        // A comma joins only digits: "tokens,please" is two words.
        let comma = char == ','
            && !(length > 0
                && chars.get(length - 1).is_some_and(char::is_ascii_digit)
                && chars.get(length + 1).is_some_and(char::is_ascii_digit)
                && chars.first().is_some_and(char::is_ascii_digit));
        let percent = char == '%' && length > 0;
        if percent || (is_word(char) || joins) && !comma {
            length += 1;
        } else {
            break;
        }
    }
    length
}

/// Between two equal quotation marks on one line, not empty, not too long.
fn quoted(chars: &[char]) -> Option<String> {
    const QUOTED_CHARS_MAX: usize = 80;
    let mark = *chars.first()?;
    let inner: String = chars
        .iter()
        .skip(1)
        .take(QUOTED_CHARS_MAX + 1)
        .take_while(|&&char| char != mark && char != '\n')
        .collect();
    let length = inner.chars().count();
    (length > 0 && chars.get(length + 1) == Some(&mark)).then_some(inner)
}

/// A word, with what an apostrophe shortened written out.
fn push_word(found: &mut Vec<Token>, word: &str) {
    let mut say = |words: &[&str]| {
        found.extend(words.iter().map(|&word| Token::Word(word.to_owned())));
    };
    let Some((stem, short)) = word.rsplit_once('\'') else {
        return match word {
            "dont" => say(&["do", "not"]),
            "cant" | "cannot" => say(&["can", "not"]),
            "whats" => say(&["what", "is"]),
            "whos" => say(&["who", "is"]),
            "lets" => say(&["let", "us"]),
            _ => say(&[word]),
        };
    };
    match (stem, short) {
        ("let", "s") => say(&["let", "us"]),
        ("can", "t") => say(&["can", "not"]),
        ("won", "t") => say(&["will", "not"]),
        (_, "t") if stem.ends_with('n') => say(&[stem.trim_end_matches('n'), "not"]),
        (_, "s") if BEFORE_IS.contains(&stem) => say(&[stem, "is"]),
        (_, "s") => {
            say(&[stem]);
            found.push(Token::Possessive);
        }
        (_, "d") => say(&[stem, "would"]),
        (_, "ll") => say(&[stem, "will"]),
        (_, "m") => say(&[stem, "am"]),
        (_, "re") => say(&[stem, "are"]),
        (_, "ve") => say(&[stem, "have"]),
        _ => say(&[word]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: &str) {
        let got: Vec<String> = tokens(text).iter().map(Token::shown).collect();
        assert_eq!(got.join("|"), expected, "{text:?}");
    }

    #[test]
    fn words_numbers_and_stops_are_told_apart() {
        check("Give 2,000 tokens, please.", "give|2,000|tokens|,|please|.");
        check("1.5M? -5! +7 2k", "1.5M|?|-5|.|+7|2k");
        check("2000-3000 50% $5 1/2", "2000-3000|50%|$|5|1/2");
        check("tokens,please a-b_c x.", "tokens|,|please|a-b_c|x|.");
        check("50% of it", "50%|of|it");
    }

    #[test]
    fn what_an_apostrophe_shortens_is_written_out() {
        check(
            "what's translation's balance",
            "what|is|translation|'s|balance",
        );
        check(
            "Don’t, can't, won't, isn't",
            "do|not|,|can|not|,|will|not|,|is|not",
        );
        check("I'd let's we'll", "i|would|let|us|we|will");
        check("the teams' budget", "the|teams|budget");
    }

    #[test]
    fn quotation_marks_hold_a_name_together() {
        assert_eq!(
            tokens("of “Data Science”")[1],
            Token::Quoted("Data Science".into())
        );
        assert_eq!(tokens("'x' `y` \"z")[2], Token::Word("z".into()));
    }

    #[test]
    fn ornaments_are_blank_and_other_scripts_are_words() {
        check("hi 🙏 @b-gent ¿qué?", "hi|b-gent|qué|?");
        check("2000\u{200b}0", "2000|\u{200b}|0");
    }

    proptest! {
        #[test]
        fn any_text_is_split_without_losing_a_letter(text in "\\PC*") {
            let letters = |s: &str| s.chars().filter(char::is_ascii_digit).count();
            let shown: String = tokens(&text).iter().map(Token::shown).collect();
            prop_assert_eq!(letters(&shown), letters(&text));
        }
    }
}
