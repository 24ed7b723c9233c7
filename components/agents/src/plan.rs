//! Who reads what: the data part before the text, each agent its own grammar.

use crate::exact;
use crate::lexicon::FILLER;
use crate::library;
use crate::operation::{Message, Operation, Unclear};
use crate::order;
use crate::question;
use crate::token::{Token, tokens};

/// Longest text in bytes that is read as a sentence; a longer one is prose.
/// Also bounds the time of the worst text to a few milliseconds.
pub const TEXT_BYTES_MAX: usize = 1_024;

/// What b-gent understands.
pub const BUDGET_EXAMPLES: [&str; 4] = [
    "how many tokens does the translation team have left?",
    "allocate 2000 tokens to translation",
    "translation used 300 tokens, settle it",
    "top 5 consumers",
];

/// What l-gent understands.
pub const LIBRARY_EXAMPLES: [&str; 3] = [
    "who can translate legal documents?",
    "list all agents",
    "describe b-gent",
];

/// What does `message` ask for? The data part wins over the text, and a data
/// part that is wrong is never mended by the text.
///
/// # Errors
/// [`Unclear`] when nothing or more than one thing is asked, when an amount or
/// account is missing or ambiguous, and when no such agent is here.
pub fn plan(message: &Message) -> Result<Operation, Unclear> {
    let agent = message.agent.trim().to_ascii_lowercase();
    match (agent.as_str(), &message.data) {
        ("echo", Some(data)) if message.text.is_empty() => Ok(Operation::Echo(data.clone())),
        ("echo", _) => Ok(Operation::Echo(message.text.clone())),
        ("b-gent" | "l-gent", Some(data)) => exact::operation(&agent, data),
        ("b-gent", None) => budget(&message.text),
        ("l-gent", None) => library::operation(&message.text),
        _ => Err(unclear(
            ["`", &agent, "` is not one of the mesh's own agents; ask b-gent about tokens or l-gent about agents"].concat(),
            &[],
        )),
    }
}

/// What b-gent is asked: an order if it holds one, else a question.
fn budget(text: &str) -> Result<Operation, Unclear> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(unbudgeted(
            "this is too long for one question or order; say it in a sentence",
        ));
    }
    let tokens = tokens(text);
    let addressed = without_address(&tokens, "b-gent");
    if addressed.is_empty() {
        return Err(unbudgeted(
            "the message is empty; ask for a balance, or say what to allocate or settle",
        ));
    }
    order::read(addressed).unwrap_or_else(|| question::read(addressed))
}

/// The message without "hey b-gent," in front.
pub(crate) fn without_address<'a>(tokens: &'a [Token], agent: &str) -> &'a [Token] {
    let bare = agent.replace('-', "");
    let greeting = tokens
        .iter()
        .take_while(|token| token.is_one_of(&FILLER) || matches!(token, Token::Comma))
        .count();
    let named = tokens
        .get(greeting)
        .is_some_and(|token| token.is_one_of(&[agent, &bare]));
    let skipped = if named { greeting + 1 } else { 0 };
    let rest = tokens.get(skipped..).unwrap_or_default();
    let marks = rest
        .iter()
        .take_while(|token| matches!(token, Token::Comma | Token::Stop))
        .count();
    rest.get(marks..).unwrap_or_default()
}

/// Unclear to b-gent.
#[inline(never)]
pub(crate) fn unbudgeted(message: &str) -> Unclear {
    unclear(message.to_owned(), &BUDGET_EXAMPLES)
}

#[inline(never)]
pub(crate) fn unclear(message: String, examples: &[&str]) -> Unclear {
    Unclear {
        message,
        examples: examples.iter().map(|&example| example.to_owned()).collect(),
    }
}
