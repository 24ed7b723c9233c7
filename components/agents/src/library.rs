//! Questions to l-gent: who can do this, who is there, who is that? Anything
//! that is neither of the last two is a search in the asker's words.

use crate::lexicon::{DETERMINER, FILLER, PRONOUN};
use crate::name::label;
use crate::operation::{Operation, Unclear};
use crate::plan::{LIBRARY_EXAMPLES, TEXT_BYTES_MAX, unclear, without_address};
use crate::token::{Token, tokens};

/// What a directory is of.
const AGENTS: [&str; 11] = [
    "agent",
    "agents",
    "anybody",
    "anyone",
    "catalog",
    "catalogue",
    "directory",
    "everybody",
    "everyone",
    "everything",
    "registry",
];

/// Words that say nothing about which agents are meant.
const ANY: [&str; 51] = [
    "a",
    "about",
    "all",
    "am",
    "an",
    "any",
    "are",
    "at",
    "available",
    "call",
    "can",
    "could",
    "currently",
    "do",
    "does",
    "enumerate",
    "exist",
    "full",
    "get",
    "give",
    "have",
    "here",
    "how",
    "i",
    "in",
    "is",
    "known",
    "list",
    "many",
    "me",
    "mesh",
    "of",
    "our",
    "registered",
    "running",
    "see",
    "show",
    "some",
    "talk",
    "tell",
    "the",
    "there",
    "to",
    "us",
    "use",
    "we",
    "what",
    "which",
    "who",
    "with",
    "you",
];

/// Words that may stand before the object in "tell me about X".
const LEADS: [&[&str]; 20] = [
    &["describe"],
    &["explain"],
    &["introduce"],
    &["tell", "me", "about"],
    &["tell", "us", "about"],
    &["tell", "me", "more", "about"],
    &["tell", "me", "everything", "about"],
    &["more", "about"],
    &["what", "do", "you", "know", "about"],
    &["info", "on"],
    &["information", "on"],
    &["information", "about"],
    &["details", "of"],
    &["details", "on"],
    &["details", "about"],
    &["show", "me", "the", "details", "of"],
    &["show", "details", "of"],
    &["what", "is"],
    &["who", "is"],
    &["what", "are", "the", "skills", "of"],
];

/// What `text` asks of l-gent.
///
/// # Errors
/// [`Unclear`] when it is empty.
pub fn operation(text: &str) -> Result<Operation, Unclear> {
    let question = text.trim();
    let find = || Ok(Operation::Find(question.to_owned()));
    if question.len() > TEXT_BYTES_MAX {
        return find();
    }
    let all = tokens(question);
    let words: Vec<Token> = without_address(&all, "l-gent")
        .iter()
        .filter(|token| {
            matches!(
                token,
                Token::Word(_) | Token::Number(_) | Token::Quoted(_) | Token::Possessive
            )
        })
        .cloned()
        .collect();
    if words.is_empty() {
        let message =
            "the message is empty; say what an agent should do, or ask for the list of agents";
        return Err(unclear(message.to_owned(), &LIBRARY_EXAMPLES));
    }
    let words = without_politeness(&words);
    if words.iter().any(|token| token.is_one_of(&["not", "never"])) {
        return find();
    }
    if is_about_me(words) {
        return Ok(Operation::Describe(String::from("l-gent")));
    }
    if asks_for_all(words) {
        return Ok(Operation::ListAgents);
    }
    match described(words) {
        Some(agent) => Ok(Operation::Describe(agent)),
        None => find(),
    }
}

/// Without "could you please" in front and "please" behind.
fn without_politeness(words: &[Token]) -> &[Token] {
    let mut rest = words;
    while let Some((first, after)) = rest.split_first() {
        let is_polite = first.is_one_of(&FILLER) && !first.is_one_of(&["there"]);
        let opens = first.is_one_of(&["can", "could", "would", "will"])
            && after.first().is_some_and(|next| next.is_one_of(&["you"]));
        if !(is_polite || opens) || after.is_empty() {
            break;
        }
        rest = after;
    }
    while let Some((last, before)) = rest.split_last() {
        if !last.is_one_of(&["please", "pls", "plz", "thanks", "now"]) || before.is_empty() {
            break;
        }
        rest = before;
    }
    rest
}

/// "who are you", "what can you do", "help"
fn is_about_me(words: &[Token]) -> bool {
    let said: Vec<&str> = words.iter().filter_map(Token::word).collect();
    matches!(
        said.as_slice(),
        ["help"]
            | ["who", "are", "you"]
            | ["what", "are", "you"]
            | ["what", "can" | "do", "you", "do"]
    )
}

/// Nothing in it says which agents.
fn asks_for_all(words: &[Token]) -> bool {
    let is_plain = |token: &Token| {
        token.is_one_of(&ANY)
            || token.is_one_of(&AGENTS)
            || token.is_one_of(&FILLER)
            || token.is_one_of(&[
                "do", "know", "describe", "names", "name", "whole", "entire", "complete", "every",
                "healthy", "online", "alive",
            ])
    };
    let names_agents = words
        .iter()
        .any(|token| token.is_one_of(&AGENTS) && !token.is_one_of(&["agent"]));
    let every_agent = words.windows(2).any(|pair| matches!(pair, [a, b] if a.is_one_of(&["every", "agent"]) && b.is_one_of(&["agent", "list", "directory"])));
    let said: Vec<&str> = words.iter().filter_map(Token::word).collect();
    let is_idiom = matches!(
        said.as_slice(),
        ["list"]
            | ["list", "all"]
            | ["who", "is", "there" | "here" | "available" | "around"]
            | ["who", "do", "you", "know" | "have"]
            | ["show", "all"]
    );
    is_idiom || (names_agents || every_agent) && words.iter().all(is_plain)
}

/// The agent a question is about, when it is about one.
fn described(words: &[Token]) -> Option<String> {
    let led = LEADS
        .iter()
        .filter_map(|lead| Some((lead, after(words, lead)?)))
        .max_by_key(|(lead, _)| lead.len());
    if let Some((lead, object)) = led {
        let is_open = lead.first().is_some_and(|first| *first == "describe");
        return object_name(object, is_open);
    }
    match words {
        [what, do_, object @ .., verb]
            if what.is_one_of(&["what"])
                && do_.is_one_of(&["does", "can"])
                && verb.is_one_of(&["do"]) =>
        {
            object_name(object, false)
        }
        [is, object @ .., state]
            if is.is_one_of(&["is"])
                && state.is_one_of(&[
                    "healthy",
                    "up",
                    "alive",
                    "down",
                    "available",
                    "running",
                    "ok",
                ]) =>
        {
            object_name(object, false)
        }
        [show, object @ ..] if show.is_one_of(&["show"]) => {
            let object = match object {
                [me, rest @ ..] if me.is_one_of(&["me"]) => rest,
                _ => object,
            };
            let says_agent = object.iter().any(|token| token.is_one_of(&["agent"]));
            says_agent.then(|| object_name(object, false)).flatten()
        }
        [object @ .., details] if details.is_one_of(&["details", "info", "information"]) => {
            object_name(object, false)
        }
        _ => None,
    }
}

fn after<'a>(words: &'a [Token], lead: &[&str]) -> Option<&'a [Token]> {
    let matches = words.len() > lead.len()
        && words
            .iter()
            .zip(lead)
            .all(|(token, word)| token.is_one_of(&[word]));
    matches.then(|| words.get(lead.len()..)).flatten()
}

/// A name: one word, several with "agent" beside them, or quoted. With
/// `is_open`, as after "describe", several words without "agent" too.
fn object_name(object: &[Token], is_open: bool) -> Option<String> {
    let says_agent = object.iter().any(|token| token.is_one_of(&["agent"]));
    let words: Vec<String> = object
        .iter()
        .filter(|token| {
            !token.is_one_of(&DETERMINER) && !token.is_one_of(&["agent", "called", "named", "me"])
        })
        .map(Token::shown)
        .collect();
    let is_stopped = object.iter().any(|token| {
        *token == Token::Possessive
            || token.is_one_of(&[
                "that", "which", "who", "for", "of", "to", "and", "or", "in", "with",
            ])
    });
    let is_name = words.len() == 1 || (says_agent || is_open) && words.len() <= 4;
    if is_stopped || !is_name {
        return None;
    }
    label(&words.join(" ")).filter(|name| {
        ![&ANY[..], &AGENTS, &PRONOUN]
            .iter()
            .any(|list| list.contains(&name.as_str()))
    })
}
