//! Text to token ids: BERT's uncased WordPiece.
//!
//! The steps and their order are those of the `BertNormalizer` and `BertPreTokenizer` that the
//! model was trained with: drop controls, space out CJK, decompose and drop accents, lower-case,
//! split at white space and punctuation, then take the longest known piece again and again.
//! Special tokens written in a text (`[SEP]`) are punctuation and a word here, never control.

use std::collections::HashMap;

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

use crate::error::Error;

/// Longest word, in characters, that is looked up; a longer one is one unknown token.
/// Source: the model's tokenizer.json, `max_input_chars_per_word`.
const WORD_CHARS_MAX: usize = 100;

/// Bytes of a text that are looked at. 256 tokens of prose take about 1.5 kB; this bounds the
/// work that a text of white space or combining marks can ask for.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// What marks a vocabulary entry as the continuation of a word.
const CONTINUATION: &str = "##";

/// A vocabulary that splits texts into token ids. Immutable, so shared by all threads.
#[derive(Debug)]
pub struct WordPiece {
    starts: HashMap<Box<str>, u32>,
    continuations: HashMap<Box<str>, u32>,
    piece_bytes_max: usize,
    unknown: u32,
    begin: u32,
    end: u32,
}

impl WordPiece {
    /// Reads a `vocab.txt`: one token a line, its line number (from 0) is its id.
    ///
    /// # Errors
    /// [`Error::Vocabulary`] when a token is given twice or `[UNK]`, `[CLS]` or `[SEP]` is absent.
    pub fn parse(vocabulary: &str) -> Result<WordPiece, Error> {
        let mut starts: HashMap<Box<str>, u32> = HashMap::new();
        let mut continuations: HashMap<Box<str>, u32> = HashMap::new();
        let mut piece_bytes_max = 0;
        for (id, token) in (0u32..).zip(vocabulary.lines()) {
            let (table, piece) = match token.strip_prefix(CONTINUATION) {
                Some(piece) if !piece.is_empty() => (&mut continuations, piece),
                _ => (&mut starts, token),
            };
            piece_bytes_max = piece_bytes_max.max(piece.len());
            if table.insert(piece.into(), id).is_some() {
                let problem = format!("has `{token}` twice, the second time as id {id}");
                return Err(Error::Vocabulary { problem });
            }
        }
        let special = |token: &str| {
            starts.get(token).copied().ok_or_else(|| Error::Vocabulary {
                problem: format!("has no `{token}`"),
            })
        };
        Ok(WordPiece {
            unknown: special("[UNK]")?,
            begin: special("[CLS]")?,
            end: special("[SEP]")?,
            starts,
            continuations,
            piece_bytes_max,
        })
    }

    /// Number of tokens; every id is below it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len() + self.continuations.len()
    }

    /// Whether there is no token. Never true of a parsed vocabulary.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Token ids of `text`, `[CLS]` first and `[SEP]` last, at most `tokens_max` of them (at
    /// least 2): what does not fit is cut off at the end. An empty text is just those two.
    #[must_use]
    pub fn tokens(&self, text: &str, tokens_max: usize) -> Vec<u32> {
        let pieces_end = tokens_max.max(2) - 1;
        let mut ids = vec![self.begin];
        let mut word = Word::default();
        for c in normalised(text) {
            if ids.len() >= pieces_end {
                break;
            }
            if c.is_whitespace() {
                self.finish(&mut word, &mut ids);
            } else if is_punctuation(c) {
                self.finish(&mut word, &mut ids);
                word.push(c);
                self.finish(&mut word, &mut ids);
            } else {
                word.push(c);
            }
        }
        self.finish(&mut word, &mut ids);
        ids.truncate(pieces_end);
        ids.push(self.end);
        ids
    }

    /// Splits the word collected so far into ids, and empties it.
    fn finish(&self, word: &mut Word, ids: &mut Vec<u32>) {
        if word.chars > WORD_CHARS_MAX {
            ids.push(self.unknown);
        } else {
            let before = ids.len();
            let mut rest = word.text.as_str();
            let mut table = &self.starts;
            while !rest.is_empty() {
                let Some((id, behind)) = self.longest(table, rest) else {
                    ids.truncate(before);
                    ids.push(self.unknown);
                    break;
                };
                ids.push(id);
                rest = behind;
                table = &self.continuations;
            }
        }
        word.text.clear();
        word.chars = 0;
    }

    /// The longest beginning of `rest` that `table` knows, and what is behind it.
    fn longest<'a>(&self, table: &HashMap<Box<str>, u32>, rest: &'a str) -> Option<(u32, &'a str)> {
        let mut end = rest.floor_char_boundary(self.piece_bytes_max);
        while end > 0 {
            let (piece, behind) = rest.split_at_checked(end)?;
            if let Some(id) = table.get(piece) {
                return Some((*id, behind));
            }
            end = rest.floor_char_boundary(end - 1);
        }
        None
    }
}

/// The word being collected. Beyond the longest word only its length matters.
#[derive(Default)]
struct Word {
    text: String,
    chars: usize,
}

impl Word {
    fn push(&mut self, c: char) {
        self.chars += 1;
        if self.chars <= WORD_CHARS_MAX {
            self.text.push(c);
        }
    }
}

/// The text as the vocabulary spells it: no controls, no accents, lower case, CJK spaced out.
fn normalised(text: &str) -> impl Iterator<Item = char> {
    text.split_at(text.floor_char_boundary(TEXT_BYTES_MAX))
        .0
        .chars()
        .filter(|c| !is_control(*c))
        .flat_map(spaced)
        .nfd()
        .filter(|c| c.is_ascii() || c.general_category() != GeneralCategory::NonspacingMark)
        .flat_map(char::to_lowercase)
}

/// A CJK ideograph between two spaces, so that each is a word; anything else as it is.
fn spaced(c: char) -> impl Iterator<Item = char> {
    let space = is_ideograph(c).then_some(' ');
    let c = if c.is_whitespace() { ' ' } else { c };
    space.into_iter().chain([c]).chain(space)
}

/// Whether the tokenizer drops the character: controls, formats and private ones. Unassigned ones
/// stay, as in the reference, so a later Unicode that assigns them changes less.
fn is_control(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' | ' '..='~' => false,
        '\0' | '\u{fffd}' => true,
        _ => matches!(
            c.general_category(),
            GeneralCategory::Control | GeneralCategory::Format | GeneralCategory::PrivateUse
        ),
    }
}

/// Whether the character is a word of its own: ASCII's symbols too, which Unicode does not all
/// call punctuation.
fn is_punctuation(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_punctuation();
    }
    c.general_category_group() == GeneralCategoryGroup::Punctuation
}

/// Whether the character lies in a block of CJK ideographs. Source: the `tokenizers` library,
/// whose table begins Extension E at 2B920 where BERT's own begins it at 2B820.
fn is_ideograph(c: char) -> bool {
    matches!(c,
        '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{2a6df}' | '\u{2a700}'..='\u{2b73f}' | '\u{2b740}'..='\u{2b81f}'
        | '\u{2b920}'..='\u{2ceaf}' | '\u{2f800}'..='\u{2fa1f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const VOCABULARY: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\ncafe\nun\n##aff\n##able\nun##\n,\n!\n\
        [\n]\nsep\n中\n文\ni\nss\n$\n##s\na";

    /// `text` as the tokens' words, `[CLS]` and `[SEP]` left out.
    #[track_caller]
    fn check(text: &str, wanted: &str) {
        let tokenizer = WordPiece::parse(VOCABULARY).unwrap();
        let tokens: Vec<&str> = VOCABULARY.lines().collect();
        let ids = tokenizer.tokens(text, 64);
        let words: Vec<&str> = ids.iter().map(|id| tokens[*id as usize]).collect();
        assert_eq!(words.first(), Some(&"[CLS]"));
        assert_eq!(words.last(), Some(&"[SEP]"));
        assert_eq!(words[1..words.len() - 1].join(" "), wanted, "{text:?}");
    }

    #[test]
    fn words_split_into_the_longest_known_pieces() {
        check("unaffable", "un ##aff ##able");
        check("the cafes", "the cafe ##s");
    }

    #[test]
    fn a_word_with_one_unknown_piece_is_unknown_as_a_whole() {
        check("the unaffablex un", "the [UNK] un");
    }

    #[test]
    fn case_and_accents_do_not_matter() {
        check("THE Café CAFE\u{301} İ", "the cafe cafe i");
    }

    #[test]
    fn punctuation_and_ascii_symbols_are_words_of_their_own() {
        check("the,cafe!!$a", "the , cafe ! ! $ a");
    }

    #[test]
    fn every_ideograph_is_a_word() {
        check("the中文", "the 中 文");
    }

    #[test]
    fn controls_vanish_and_white_space_of_any_kind_separates() {
        check("t\u{0}h\u{200b}e\u{fffd}", "the");
        check(
            "the\u{a0}cafe\u{2028}the\t\r\nun\u{3000}a",
            "the cafe the un a",
        );
        check(" \t ", "");
        check("", "");
    }

    #[test]
    fn special_tokens_in_a_text_are_plain_words() {
        check("[SEP]", "[ sep ]");
    }

    #[test]
    fn a_word_of_more_than_100_characters_is_unknown() {
        let known = "un".to_owned() + &"able".repeat(24);
        check(&known, &("un".to_owned() + &" ##able".repeat(24)));
        check(&(known + "able"), "[UNK]");
    }

    #[test]
    fn a_text_is_cut_to_the_tokens_allowed() {
        let tokenizer = WordPiece::parse(VOCABULARY).unwrap();
        let ids = tokenizer.tokens(&"unaffable ".repeat(9), 6);
        assert_eq!(ids, [2, 6, 7, 8, 6, 3]);
        assert_eq!(tokenizer.tokens("the", 0), [2, 3]);
    }

    #[test]
    fn a_vocabulary_without_its_special_tokens_is_refused() {
        for (text, wanted) in [
            ("[CLS]\n[SEP]\na", "the vocabulary has no `[UNK]`"),
            ("[UNK]\n[SEP]", "the vocabulary has no `[CLS]`"),
            ("[UNK]\n[CLS]", "the vocabulary has no `[SEP]`"),
            (
                "[UNK]\n[CLS]\n[SEP]\na\na",
                "the vocabulary has `a` twice, the second time as id 4",
            ),
            ("", "the vocabulary has no `[UNK]`"),
        ] {
            let error = WordPiece::parse(text).unwrap_err();
            assert_eq!(error.to_string(), wanted);
            assert_eq!(error.code(), "model-vocabulary");
        }
    }

    proptest! {
        #[test]
        fn any_text_gives_known_ids_between_its_marks(text in any::<String>(), most in 2usize..40) {
            let tokenizer = WordPiece::parse(VOCABULARY).unwrap();
            let ids = tokenizer.tokens(&text, most);
            prop_assert!((2..=most).contains(&ids.len()));
            prop_assert_eq!((ids[0], ids[ids.len() - 1]), (2, 3));
            prop_assert!(ids.iter().all(|id| (*id as usize) < tokenizer.len()));
        }

        #[test]
        fn any_vocabulary_is_read_or_refused(text in "(\\PC{0,6}\n|\\[UNK\\]\n|\\[CLS\\]\n|\\[SEP\\]\n){0,12}") {
            if let Ok(tokenizer) = WordPiece::parse(&text) {
                let ids = tokenizer.tokens(&text, 50);
                prop_assert!(ids.iter().all(|id| (*id as usize) < text.lines().count()));
            }
        }
    }
}
