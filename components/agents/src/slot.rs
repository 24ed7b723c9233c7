//! The slots of an order: its words, one after the other, put where they
//! belong or left over.

use crate::lexicon::{
    ALLOCATE, BUDGET, DETERMINER, FILLER, MORE, POOL, PRONOUN, SETTLE, TEAM, TOKENS, USAGE, USED,
    is_known, may_name,
};
use crate::number;
use crate::order::{Named, Order, Verb};
use crate::token::Token;

/// Words of an account's name; also what keeps reading linear.
const NAME_WORDS_MAX: usize = 5;

/// Put every word of `tokens` into its slot.
pub(crate) fn fill(tokens: &[Token]) -> Order {
    let mut reader = Reader {
        tokens,
        at: 0,
        order: Order::default(),
    };
    while reader.at < tokens.len() {
        reader.step();
    }
    reader.order
}

struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    order: Order,
}

impl Reader<'_> {
    fn peek(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead)
    }

    // One copy keeps the guest small, see `Token::is_one_of`.
    #[inline(never)]
    fn peek_is(&self, ahead: usize, words: &[&str]) -> bool {
        self.peek(ahead).is_some_and(|token| token.is_one_of(words))
    }

    fn before_is(&self, words: &[&str]) -> bool {
        self.at
            .checked_sub(1)
            .and_then(|at| self.tokens.get(at))
            .is_some_and(|token| token.is_one_of(words))
    }

    /// Read one slot; whatever fits none is left over.
    fn step(&mut self) {
        let taken = self
            .mark()
            .or_else(|| self.amount())
            .or_else(|| self.request())
            .or_else(|| self.verb())
            .or_else(|| self.pool())
            .or_else(|| self.account())
            .or_else(|| self.small_word());
        if taken.is_none() {
            self.order.leftovers.extend(self.peek(0).map(Token::shown));
        }
        self.at += taken.unwrap_or(1);
    }

    fn mark(&mut self) -> Option<usize> {
        match self.peek(0)? {
            Token::Comma | Token::Stop => Some(1),
            Token::Question => {
                self.order.is_question = true;
                Some(1)
            }
            _ => None,
        }
    }

    /// `[an] [extra] 2000 [more] [tokens]`
    fn amount(&mut self) -> Option<usize> {
        let mut taken = 0;
        // "a thousand" is a number, "the 300" and "a total of 300" lead to one.
        if number::read(self.tokens.get(self.at..)?).is_none() {
            taken += usize::from(self.peek_is(0, &DETERMINER));
            taken += usize::from(self.peek_is(taken, &MORE));
            taken += if self.peek_is(taken, &["total"]) && self.peek_is(taken + 1, &["of"]) {
                2
            } else {
                0
            };
        }
        let (reading, length) = number::read(self.tokens.get(self.at + taken..)?)?;
        taken += length;
        taken += usize::from(self.peek_is(taken, &MORE));
        taken += usize::from(self.peek_is(taken, &TOKENS));
        self.order.amounts.push(reading);
        Some(taken)
    }

    /// "could you", "I would like to", "can I have", "go ahead and".
    fn request(&mut self) -> Option<usize> {
        if self.peek_is(0, &["can", "could", "would", "will"]) && self.peek_is(1, &["you"]) {
            self.order.is_requested = true;
            return Some(2);
        }
        if self.peek_is(0, &["can", "could", "may"])
            && self.peek_is(1, &["i", "we"])
            && self.peek_is(2, &["have", "get"])
        {
            self.order.is_requested = true;
            self.order.verb = self.order.verb.or(Some(Verb::Allocate));
            return Some(3);
        }
        if self.peek_is(0, &["let"]) && self.peek_is(1, &["us"]) {
            return Some(2);
        }
        if self.peek_is(0, &["go"]) && self.peek_is(1, &["ahead"]) && self.peek_is(2, &["and"]) {
            return Some(3);
        }
        if !self.peek_is(0, &["i", "we"]) {
            return None;
        }
        let mut taken = 1 + usize::from(self.peek_is(1, &["would"]));
        taken += if self.peek_is(taken, &["want", "need", "like", "wish"]) {
            1
        } else {
            return None;
        };
        taken += usize::from(self.peek_is(taken, &["you"]));
        self.peek_is(taken, &["to"]).then_some(taken + 1)
    }

    fn verb(&mut self) -> Option<usize> {
        let (verb, taken) = if self.peek_is(0, &ALLOCATE) {
            (
                Verb::Allocate,
                1 + usize::from(self.peek_is(0, &["hand"]) && self.peek_is(1, &["over"])),
            )
        } else if self.peek_is(0, &["top"]) && self.peek_is(1, &["up"])
            || self.peek_is(0, &["set"]) && self.peek_is(1, &["aside"])
        {
            (Verb::Allocate, 2)
        } else if self.peek_is(0, &SETTLE) {
            (Verb::Settle, 1)
        } else {
            return None;
        };
        match self.order.verb {
            None => self.order.verb = Some(verb),
            // "charge 300 tokens to translation and settle it"
            Some(first) if first == verb && self.peek_is(taken, &PRONOUN) => {}
            Some(_) => return None,
        }
        Some(taken)
    }

    /// An account after a preposition, after the verb, or before "used".
    fn account(&mut self) -> Option<usize> {
        if self.peek_is(
            0,
            &[
                "to", "for", "into", "in", "on", "against", "from", "by", "of", "towards",
            ],
        ) {
            let preposition = self.peek(0)?.shown();
            let taken = 1 + self.budget_of(1);
            let (named, length) = self.named(taken)?;
            self.order.names.push(Named {
                preposition: Some(preposition),
                ..named
            });
            return Some(taken + length);
        }
        let is_object =
            self.before_is(&ALLOCATE) || self.before_is(&SETTLE) || self.before_is(&["up", "that"]);
        let taken = if is_object { self.budget_of(0) } else { 0 };
        let (named, length) = self.named(taken)?;
        let is_user = self.peek_is(taken + length, &USED)
            || self.peek_is(taken + length, &["has", "have"])
                && self.peek_is(taken + length + 1, &USED);
        let is_receiver = is_object
            && self
                .tokens
                .get(self.at + taken + length..)
                .is_some_and(|rest| {
                    number::read(rest).is_some()
                        || rest.first().is_some_and(|next| {
                            next.is_one_of(&["with", "by", "for"])
                                || next.is_one_of(&DETERMINER)
                                || next.is_one_of(&MORE)
                        })
                });
        // Without a preposition an adverb or adjective could pass for a name:
        // "give remaining 2000 tokens", "send quickly 2000 tokens".
        let is_name = named
            .words
            .split(' ')
            .all(|word| !is_known(word) && !word.ends_with("ly"));
        if !(is_user || is_receiver) || !is_name {
            return None;
        }
        self.order.names.push(named);
        Some(taken + length)
    }

    /// `the budget of` in front of a name.
    fn budget_of(&self, from: usize) -> usize {
        let determiner = usize::from(self.peek_is(from, &DETERMINER));
        let is_one = self.peek_is(from + determiner, &BUDGET)
            && self.peek_is(from + determiner + 1, &["of", "for"]);
        if is_one { determiner + 2 } else { 0 }
    }

    /// `[the] [team] data science [team] ['s] [budget]`, and its length.
    fn named(&self, from: usize) -> Option<(Named, usize)> {
        let mut at = from + usize::from(self.peek_is(from, &DETERMINER));
        if let Some(Token::Quoted(text)) = self.peek(at) {
            let named = Named {
                words: text.clone(),
                is_closed: true,
                preposition: None,
            };
            return Some((named, at + 1 - from + self.name_tail(at + 1)));
        }
        at += usize::from(self.peek_is(at, &TEAM));
        at += usize::from(self.peek_is(at, &["called", "named"]));
        if let Some(Token::Quoted(text)) = self.peek(at) {
            let named = Named {
                words: text.clone(),
                is_closed: true,
                preposition: None,
            };
            return Some((named, at + 1 - from));
        }
        let mut words: Vec<&str> = Vec::new();
        while words.len() < NAME_WORDS_MAX
            && let Some(word) = self
                .peek(at)
                .and_then(Token::word)
                .filter(|word| self.is_name_part(at, word))
        {
            words.push(word);
            at += 1;
        }
        if words.is_empty() {
            return self.letter(from);
        }
        let tail = self.name_tail(at);
        let named = Named {
            words: words.join(" "),
            is_closed: words.len() == 1 || tail > 0,
            preposition: None,
        };
        Some((named, at - from + tail))
    }

    fn is_name_part(&self, at: usize, word: &str) -> bool {
        may_name(word)
            && self
                .tokens
                .get(self.at + at..)
                .is_some_and(|rest| number::read(rest).is_none())
    }

    /// An account called `a`, which is a determiner everywhere else.
    fn letter(&self, from: usize) -> Option<(Named, usize)> {
        let is_last = !matches!(self.peek(from + 1), Some(Token::Word(word)) if word != "and" && word != "please");
        (self.peek_is(from, &["a"]) && is_last).then(|| {
            (
                Named {
                    words: String::from("a"),
                    is_closed: true,
                    preposition: None,
                },
                1,
            )
        })
    }

    /// `team 's budget` after a name.
    fn name_tail(&self, from: usize) -> usize {
        let mut at = from + usize::from(self.peek_is(from, &TEAM));
        at += usize::from(self.peek(at) == Some(&Token::Possessive));
        at += usize::from(self.peek_is(at, &TEAM));
        at += usize::from(self.peek_is(at, &BUDGET) || self.peek_is(at, &TOKENS));
        at - from
    }

    /// What links the slots. Each is allowed only where it changes nothing.
    fn small_word(&mut self) -> Option<usize> {
        let word = self.peek(0)?.word()?;
        let is_linked = match word {
            _ if FILLER.contains(&word) || TOKENS.contains(&word) => true,
            "of" if self.peek_is(1, &USAGE) => true,
            "with" | "by" | "for" | "of" | "worth" => self.leads_to_amount(),
            _ if USED.contains(&word) => {
                self.order.is_used = true;
                true
            }
            "has" | "have" => self.peek_is(1, &USED),
            _ if USAGE.contains(&word) => {
                self.order.is_used = true;
                true
            }
            "and" | "then" => self.tail_follows(),
            _ if PRONOUN.contains(&word) => {
                self.before_is(&SETTLE)
                    || self.before_is(&ALLOCATE)
                    || self.peek_is(1, &USED)
                    || self.peek_is(1, &["has", "have"])
                    || self.before_is(&TOKENS)
            }
            _ if DETERMINER.contains(&word) => self.peek_is(1, &TOKENS) || self.peek_is(1, &USAGE),
            _ => false,
        };
        is_linked.then_some(1)
    }

    /// "with 2000", "by another 2000", "for the 300"
    fn leads_to_amount(&self) -> bool {
        let is_small = |token: &Token| token.is_one_of(&DETERMINER) || token.is_one_of(&MORE);
        (1..=3).any(|ahead| {
            let rest = self.tokens.get(self.at + ahead..).unwrap_or_default();
            let lead = self.tokens.iter().skip(self.at + 1).take(ahead - 1);
            number::read(rest).is_some() && lead.into_iter().all(is_small)
        })
    }

    /// "from the free pool": where allocations come from anyway.
    fn pool(&self) -> Option<usize> {
        if !self.peek_is(0, &["from"]) || self.order.verb == Some(Verb::Settle) {
            return None;
        }
        let determiner = usize::from(self.peek_is(1, &DETERMINER));
        let adjectives: &[&str] = &["free", "general", "common", "shared", "mesh"];
        let adjective = usize::from(self.peek_is(1 + determiner, adjectives));
        let at = 1 + determiner + adjective;
        if self.peek_is(at, &POOL) {
            return Some(at + 1);
        }
        self.peek_is(1 + determiner, &["mesh"]).then_some(at)
    }

    /// "… and [please] settle it"
    fn tail_follows(&self) -> bool {
        let fillers = self
            .tokens
            .iter()
            .skip(self.at + 1)
            .take_while(|token| token.is_one_of(&FILLER) || token.is_one_of(&["then"]))
            .count();
        self.peek_is(1 + fillers, &SETTLE) && self.peek_is(2 + fillers, &PRONOUN)
    }
}
