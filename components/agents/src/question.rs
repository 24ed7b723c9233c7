//! Questions to b-gent: balances and top consumers. Reading changes nothing,
//! so unknown words are tolerated; which account is meant is still not guessed.

use crate::lexicon::{ALLOCATE, AUXILIARY, DETERMINER, FILLER, SETTLE, TEAM, USED, WH, is_known};
use crate::mood::{has_number, is_pair};
use crate::name::label;
use crate::number::{self, Reading};
use crate::operation::{CONSUMERS_DEFAULT, CONSUMERS_MAX, Operation, Unclear};
use crate::plan::unbudgeted;
use crate::token::Token;

/// Words that ask for figures wherever they stand.
const FIGURES: [&str; 30] = [
    "afford",
    "allocated",
    "allowance",
    "available",
    "balance",
    "balances",
    "broke",
    "budget",
    "budgets",
    "consumed",
    "consumption",
    "credit",
    "credits",
    "free",
    "funds",
    "left",
    "limit",
    "owe",
    "quota",
    "remain",
    "remaining",
    "remains",
    "reserved",
    "spend",
    "spending",
    "spent",
    "state",
    "status",
    "usage",
    "used",
];

/// Words that ask who comes first.
const MOST: [&str; 14] = [
    "biggest",
    "consumers",
    "greediest",
    "heaviest",
    "highest",
    "hungriest",
    "largest",
    "leaderboard",
    "leading",
    "most",
    "rank",
    "ranking",
    "spenders",
    "top",
];

/// Words that ask who comes last, which the ledger does not tell.
const LEAST: [&str; 5] = ["least", "lowest", "smallest", "fewest", "bottom"];

/// Words that ask who uses tokens when "who" stands before them.
const USES: [&str; 14] = [
    "burned",
    "burning",
    "burns",
    "consumed",
    "consumes",
    "consuming",
    "eating",
    "spending",
    "spends",
    "spent",
    "used",
    "uses",
    "using",
    "wasting",
];

/// Read `tokens` as a question about the budget.
///
/// # Errors
/// [`Unclear`] when it is none, or is about more than one account.
pub fn read(tokens: &[Token]) -> Result<Operation, Unclear> {
    let refusal = if is_pair(tokens, &["do"], &["not"]) && !has(tokens, &WH)
        || has(tokens, &["never"])
    {
        "this asks for something not to be done; say what to do or to tell"
    } else if holds_order(tokens) {
        "this asks for more than one thing, or about an order; say one thing at a time"
    } else if has(tokens, &LEAST) {
        "the mesh tells who used most, not who used least"
    } else if asks_rank(tokens) && has(tokens, &["left", "free", "remaining", "available"]) {
        "the mesh tells who used most, and what one account has left"
    } else if asks_rank(tokens) {
        return count(tokens).map(Operation::TopConsumers);
    } else if has_number(tokens) && !asks(tokens) {
        "is this a report or an order? Say `allocate` or `settle` with one amount and one account, or ask without a number"
    } else if asks_figures(tokens) {
        return account(tokens).map(Operation::Balance);
    } else if has(tokens, &["agent", "agents", "skill", "skills"]) {
        "b-gent knows about tokens; ask l-gent about agents"
    } else {
        "this was not understood; b-gent tells balances and top consumers, allocates and settles tokens"
    };
    Err(unbudgeted(refusal))
}

#[inline(never)]
fn has(tokens: &[Token], words: &[&str]) -> bool {
    tokens.iter().any(|token| token.is_one_of(words))
}

/// Has it the shape of a question?
fn asks(tokens: &[Token]) -> bool {
    let opens = |token: &Token| {
        token.is_one_of(&AUXILIARY) || token.is_one_of(&WH) || token.is_one_of(&["can", "could"])
    };
    tokens.contains(&Token::Question)
        || tokens
            .iter()
            .find(|token| !token.is_one_of(&FILLER))
            .is_some_and(opens)
}

/// Who comes first?
fn asks_rank(tokens: &[Token]) -> bool {
    let asks_who = has(tokens, &["who", "which"]) && has(tokens, &USES);
    (has(tokens, &MOST) || asks_who) && !is_pair(tokens, &["at"], &["most"])
}

/// How much?
fn asks_figures(tokens: &[Token]) -> bool {
    let counts = is_pair(tokens, &["how"], &["many", "much"]);
    has(tokens, &FIGURES)
        || counts && has(tokens, &["token", "tokens", "have", "has", "got"])
        || has(tokens, &["tokens"]) && asks(tokens)
}

/// Is there an order beside the question, or a question about an order?
fn holds_order(tokens: &[Token]) -> bool {
    let strong = |token: &Token| {
        (token.is_one_of(&ALLOCATE) || token.is_one_of(&SETTLE))
            && !token.is_one_of(&[
                "credit", "fund", "report", "log", "record", "book", "charge", "bill", "issue",
                "share",
            ])
    };
    let shows = |next: Option<&Token>| {
        next.is_some_and(|next| next.is_one_of(&["me", "us", "a", "an", "the"]))
    };
    let counts = is_pair(tokens, &["how"], &["many", "much"]);
    (0..).zip(tokens).any(|(at, token): (usize, _)| {
        let before = at.checked_sub(1).and_then(|at| tokens.get(at));
        let joined = before.is_some_and(|before| {
            before.is_one_of(&["and", "then", "please"])
                || matches!(before, Token::Comma | Token::Stop)
        });
        strong(token) && (joined || !counts && !shows(tokens.get(at + 1)))
    })
}

/// How many consumers: the one number that is said, or the default.
fn count(tokens: &[Token]) -> Result<u32, Unclear> {
    let mut counts = Vec::new();
    let mut at = 0;
    while let Some(rest) = tokens.get(at..).filter(|rest| !rest.is_empty()) {
        // "which one uses most" counts nothing.
        let is_pronoun = rest.first().is_some_and(|token| token.is_one_of(&["one"]))
            && !at
                .checked_sub(1)
                .and_then(|at| tokens.get(at))
                .is_some_and(|token| token.is_one_of(&["top"]));
        match number::read(rest).filter(|_| !is_pronoun) {
            Some((reading, taken)) => {
                counts.push(reading);
                at += taken;
            }
            None => at += 1,
        }
    }
    match counts.as_slice() {
        [] => Some(CONSUMERS_DEFAULT),
        [Reading::Whole(count)] => u32::try_from(*count)
            .ok()
            .filter(|count| (1..=CONSUMERS_MAX).contains(count)),
        _ => None,
    }
    .ok_or_else(|| unbudgeted("how many consumers? Say one number from 1 to 100"))
}

/// A run of words that no list knows.
struct Run {
    words: Vec<String>,
    /// Marked as the account by a preposition, "team" or "'s".
    is_marked: bool,
    /// Joined by "and" to the run before it.
    is_joined: bool,
}

/// The account a question is about; `None` is the whole mesh.
fn account(tokens: &[Token]) -> Result<Option<String>, Unclear> {
    let runs = runs(tokens);
    let names = |marked: bool| {
        let mut names: Vec<String> = runs
            .iter()
            .filter(|run| run.is_marked || !marked)
            .map(|run| run.words.join(" "))
            .collect();
        names.dedup();
        names
    };
    let all = names(false);
    let marked = names(true);
    let is_list = all.len() > 1 && runs.iter().any(|run| run.is_joined);
    let name = match (marked.as_slice(), all.as_slice()) {
        (_, []) if is_nameless_team(tokens) => {
            return Err(unbudgeted(
                "which team? Name its account, for example `translation`",
            ));
        }
        (_, []) => return Ok(None),
        ([name], _) if !is_list => name,
        ([], [name]) if !name.contains(' ') => name,
        ([], [_]) => {
            return Err(unbudgeted(
                &[
                    "is `",
                    &all.join(" "),
                    "` an account? Say `of ",
                    &all.join(" "),
                    "`",
                ]
                .concat(),
            ));
        }
        _ => {
            let found = all.join("`, `");
            return Err(unbudgeted(
                &["which account: `", &found, "`? Ask about one at a time"].concat(),
            ));
        }
    };
    label(name).map(Some).ok_or_else(|| {
        unbudgeted(
            &[
                "`",
                name,
                "` is not an account's name; a name has a-z, 0-9 and inner `-`",
            ]
            .concat(),
        )
    })
}

/// "my team": a team, but which?
fn is_nameless_team(tokens: &[Token]) -> bool {
    tokens
        .iter()
        .any(|token| token.is_one_of(&TEAM) && !token.is_one_of(&["account"]))
}

fn runs(tokens: &[Token]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let length = match token {
            Token::Quoted(_) => 1,
            _ => tokens
                .iter()
                .skip(at)
                .take_while(|token| is_unknown(token))
                .count(),
        };
        if length > 0 {
            let words = tokens
                .iter()
                .skip(at)
                .take(length)
                .map(Token::shown)
                .collect();
            let (is_led, is_joined) = lead(tokens, at);
            let next = tokens.get(at + length);
            let is_closed = next
                .is_some_and(|next| next.is_one_of(&TEAM) || *next == Token::Possessive)
                || matches!(token, Token::Quoted(_));
            runs.push(Run {
                words,
                is_marked: is_led || is_closed,
                is_joined,
            });
        }
        at += length.max(1);
    }
    runs
}

/// Does what stands before the run mark it as an account; does it join it to
/// another one?
fn lead(tokens: &[Token], at: usize) -> (bool, bool) {
    let before = tokens.get(..at).unwrap_or_default();
    let skipped = before
        .iter()
        .rev()
        .take_while(|token| token.is_one_of(&DETERMINER))
        .count();
    let lead = before.iter().rev().nth(skipped);
    let leads = |words: &[&str]| lead.is_some_and(|lead| lead.is_one_of(words));
    let is_joint = leads(&["and", "or", "versus", "vs"])
        || matches!(lead, Some(Token::Symbol('&') | Token::Comma));
    (
        leads(&[
            "of", "for", "by", "from", "to", "in", "on", "at", "about", "called", "named",
        ]) || leads(&TEAM),
        is_joint,
    )
}

fn is_unknown(token: &Token) -> bool {
    token.word().is_some_and(|word| {
        !is_known(word)
            && !USED.contains(&word)
            && number::read(std::slice::from_ref(token)).is_none()
    })
}
