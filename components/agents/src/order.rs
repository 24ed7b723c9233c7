//! Orders that move tokens: allocate and settle.
//!
//! An order is read slot by slot (verb, amount, account, politeness) and is
//! only carried out when no word is left over: "do not", "up to", "unless",
//! "and 3000 to research" have no slot, so they can never be overlooked.

use crate::mood;
use crate::name::label;
use crate::number::Reading;
use crate::operation::{Amount, Operation, Unclear};
use crate::plan::unbudgeted;
use crate::slot;
use crate::token::Token;

/// Words of a refusal's reason: enough to find the place.
const LEFTOVERS_SHOWN_MAX: usize = 5;

/// What an order does with the tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Allocate,
    Settle,
}

/// An account as the order names it.
pub(crate) struct Named {
    pub(crate) words: String,
    /// A single word, or ended by "team" or quotation marks: nothing in it can
    /// be something else.
    pub(crate) is_closed: bool,
    pub(crate) preposition: Option<String>,
}

/// What was read so far.
#[derive(Default)]
pub(crate) struct Order {
    pub(crate) verb: Option<Verb>,
    pub(crate) amounts: Vec<Reading>,
    pub(crate) names: Vec<Named>,
    pub(crate) leftovers: Vec<String>,
    /// "used", "spent": only a settlement says so.
    pub(crate) is_used: bool,
    /// "can you …": a question mark then is politeness.
    pub(crate) is_requested: bool,
    pub(crate) is_question: bool,
}

/// Read `tokens` as an order; `None` if there is no order in them.
///
/// # Errors
/// [`Unclear`] when it is an order but not a complete, single and
/// unconditional one.
pub fn read(tokens: &[Token]) -> Option<Result<Operation, Unclear>> {
    mood::is_order(tokens).then(|| slot::fill(tokens).operation())
}

impl Order {
    /// The operation, if the order is whole.
    fn operation(self) -> Result<Operation, Unclear> {
        let tokens = self.tokens()?;
        let Some(verb) = self.verb else {
            return Err(unbudgeted(
                "nothing says what to do with the tokens; say `allocate` or `settle`, for example `translation used 300 tokens, settle it`",
            ));
        };
        let is_nameless = self.names.is_empty()
            && self.leftovers.iter().all(|word| {
                matches!(
                    word.as_str(),
                    "me" | "us" | "my" | "to" | "for" | "team" | "the" | "account"
                )
            });
        if is_nameless {
            return Err(unbudgeted(
                "which account? Name it, for example `to translation`",
            ));
        }
        self.check_source(verb)?;
        if !self.leftovers.is_empty() {
            let shown: Vec<&str> = self
                .leftovers
                .iter()
                .take(LEFTOVERS_SHOWN_MAX)
                .map(String::as_str)
                .collect();
            let words = shown.join("`, `");
            return Err(unbudgeted(
                &[
                    "nothing was done, because this part was not understood: `",
                    &words,
                    "`; give one order without conditions",
                ]
                .concat(),
            ));
        }
        if self.is_used && verb == Verb::Allocate {
            return Err(unbudgeted(
                "tokens that were used are settled, tokens that will be used are allocated; say which",
            ));
        }
        if self.is_question && !self.is_requested {
            return Err(unbudgeted(
                "this is a question about moving tokens; to move them, say it without the question mark",
            ));
        }
        let amount = Amount {
            account: self.account()?,
            tokens,
        };
        Ok(match verb {
            Verb::Allocate => Operation::Allocate(amount),
            Verb::Settle => Operation::Settle(amount),
        })
    }

    /// The one amount.
    fn tokens(&self) -> Result<u64, Unclear> {
        let message = match self.amounts.as_slice() {
            [] => "how many tokens? Say a number, for example 2000",
            [Reading::Whole(0)] => "0 tokens move nothing; say at least 1",
            [Reading::Whole(tokens)] => return Ok(*tokens),
            [Reading::Negative] => {
                "an amount below zero is not possible; say how many tokens to allocate or to settle"
            }
            [Reading::Fraction] => "tokens come whole; say a number without a fraction",
            [Reading::TooLarge] => {
                "that is more than 18,446,744,073,709,551,615 tokens; say a smaller number"
            }
            [Reading::Malformed] => {
                "the amount can be read in more than one way or in none; write it as 2000, 2,000 or 2k"
            }
            _ => "there is more than one number; ask for one amount for one account at a time",
        };
        Err(unbudgeted(message))
    }

    /// Allocations come from the free pool, not from another account.
    fn check_source(&self, verb: Verb) -> Result<(), Unclear> {
        let allowed: &[&str] = match verb {
            Verb::Allocate => &["to", "for", "into", "in", "on", "towards"],
            Verb::Settle => &["to", "for", "on", "against", "from", "by", "of"],
        };
        let stray = self.names.iter().find(|named| {
            named
                .preposition
                .as_ref()
                .is_some_and(|preposition| !allowed.contains(&preposition.as_str()))
        });
        match stray {
            Some(named) if named.preposition.as_deref() == Some("from") => Err(unbudgeted(
                &[
                    "tokens are allocated from the mesh's free pool and cannot be taken from `",
                    &named.words,
                    "`",
                ]
                .concat(),
            )),
            Some(named) => Err(unbudgeted(
                &[
                    "is `",
                    &named.words,
                    "` the account? Say `to ",
                    &named.words,
                    "`",
                ]
                .concat(),
            )),
            None => Ok(()),
        }
    }

    /// The one account.
    fn account(&self) -> Result<String, Unclear> {
        let Some((first, others)) = self.names.split_first() else {
            return Err(unbudgeted(
                "which account? Name it, for example `to translation`",
            ));
        };
        if let Some(other) = others.iter().find(|other| other.words != first.words) {
            return Err(unbudgeted(
                &[
                    "both `",
                    &first.words,
                    "` and `",
                    &other.words,
                    "` could be the account; ask for one at a time",
                ]
                .concat(),
            ));
        }
        match label(&first.words) {
            Some(account) if first.is_closed => Ok(account),
            Some(account) => Err(unbudgeted(&["is `", &account, "` the account? Write its name as one word, or say `the ", &first.words, " team`"].concat(),
            )),
            None => Err(unbudgeted(&["`", &first.words, "` is not an account's name; a name has a-z, 0-9 and inner `-`, at most 63 characters"].concat(),
            )),
        }
    }
}
