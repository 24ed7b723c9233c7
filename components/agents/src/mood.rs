//! The mood of a message: is it an order to move tokens, or a question?

use crate::lexicon::{ALLOCATE, AUXILIARY, BUDGET, FILLER, SETTLE, SHOW_TOO, USED, WH};
use crate::number;
use crate::token::Token;

/// Words before the verb of an order that has no number.
const OPENERS: [&str; 13] = [
    "can", "could", "would", "will", "i", "we", "want", "like", "need", "to", "you", "let", "us",
];

/// Is a verb of moving tokens used as one? A question about facts is no order,
/// and without a number only a verb where orders start makes one. Whether the
/// order is whole is decided later; this only says who reads it.
pub(crate) fn is_order(tokens: &[Token]) -> bool {
    let head = tokens.iter().find(|token| !token.is_one_of(&FILLER));
    if head.is_some_and(|head| opens_question(head, tokens)) || asks_to_show(tokens) {
        return false;
    }
    if has_number(tokens) {
        return has_verb(tokens)
            || tokens.iter().any(|token| token.is_one_of(&USED))
            || asks_to_have(tokens);
    }
    let first = tokens
        .iter()
        .find(|token| !token.is_one_of(&OPENERS) && !token.is_one_of(&FILLER));
    first.is_some_and(is_verb) || has_verb(tokens) && is_pair(tokens, &["do"], &["not"])
}

/// Does `tokens` hold one of `first` right before one of `second`?
#[inline(never)]
pub(crate) fn is_pair(tokens: &[Token], first: &[&str], second: &[&str]) -> bool {
    tokens
        .iter()
        .zip(tokens.iter().skip(1))
        .any(|(a, b)| a.is_one_of(first) && b.is_one_of(second))
}

/// Is there a number anywhere?
pub(crate) fn has_number(tokens: &[Token]) -> bool {
    (0..tokens.len()).any(|at| tokens.get(at..).and_then(number::read).is_some())
}

fn is_verb(token: &Token) -> bool {
    token.is_one_of(&ALLOCATE) || token.is_one_of(&SETTLE)
}

fn has_verb(tokens: &[Token]) -> bool {
    tokens.iter().any(is_verb)
        || is_pair(tokens, &["top"], &["up"])
        || is_pair(tokens, &["set"], &["aside"])
}

/// "what …", "does …", but not "would you …" or "do not …".
fn opens_question(head: &Token, tokens: &[Token]) -> bool {
    let is_polite = is_pair(tokens, &["would", "will"], &["you"]);
    let is_negated = is_pair(tokens, &["do"], &["not"]);
    head.is_one_of(&WH) || head.is_one_of(&AUXILIARY) && !is_polite && !is_negated
}

/// "give me the balance", "report the top 7": to be told, not to be moved.
fn asks_to_show(tokens: &[Token]) -> bool {
    let shows = tokens.iter().any(|token| token.is_one_of(&SHOW_TOO));
    let ranks = tokens
        .iter()
        .any(|token| token.is_one_of(&["top", "biggest", "largest", "consumers", "spenders"]));
    let tells = tokens.iter().any(|token| {
        token.is_one_of(&BUDGET) || token.is_one_of(&["most", "left", "status", "overview"])
    });
    shows && (ranks && !is_pair(tokens, &["top"], &["up"]) || tells && !has_number(tokens))
}

/// "can I have 2000 tokens for translation?"
fn asks_to_have(tokens: &[Token]) -> bool {
    let opens = tokens
        .iter()
        .find(|token| !token.is_one_of(&FILLER))
        .is_some_and(|head| head.is_one_of(&["can", "could", "may"]));
    opens && is_pair(tokens, &["i", "we"], &["have", "get"])
}
