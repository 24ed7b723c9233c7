//! Amounts: `2000`, `2,000`, `2k`, `1.5M`, `two thousand`, exactly or not at all.

use crate::token::Token;

/// What a number turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// A whole number, possibly 0.
    Whole(u64),
    /// Below zero.
    Negative,
    /// Not a whole number.
    Fraction,
    /// Above 2^64 - 1.
    TooLarge,
    /// No number, or one that reads two ways (`2.000`, `2,00`, `50%`, `1e3`).
    Malformed,
}

/// The number that starts at `tokens`, and how many tokens it takes.
#[inline(never)]
pub fn read(tokens: &[Token]) -> Option<(Reading, usize)> {
    match tokens.first()? {
        Token::Number(text) => {
            let (scale, taken) = scales(tokens.get(1..).unwrap_or_default());
            let reading = literal(text).and_then(|decimal| decimal.times(scale));
            Some((reading.map_or_else(|not| not, Reading::Whole), 1 + taken))
        }
        Token::Word(word) if word == "minus" || word == "negative" => {
            let rest = tokens.get(1..).unwrap_or_default();
            // "minus minus five" is no number, and a row of them costs nothing.
            let is_sign = rest.first()?.is_one_of(&["minus", "negative"]);
            let (_, taken) = if is_sign { None } else { read(rest) }?;
            Some((Reading::Negative, 1 + taken))
        }
        Token::Word(_) => words(tokens),
        _ => None,
    }
}

/// Digits, how many of them are decimals, and a power of ten to multiply by.
struct Decimal {
    /// Without the zeros at the end of the decimals.
    digits: u64,
    decimals: usize,
    factor: u64,
    /// "2.000" is two to some and two thousand to others.
    is_ambiguous: bool,
}

impl Decimal {
    fn times(self, scale: u64) -> Result<u64, Reading> {
        let mut factor = self.factor.saturating_mul(scale);
        if self.is_ambiguous && factor == 1 {
            return Err(Reading::Malformed);
        }
        for _ in 0..self.decimals {
            if !factor.is_multiple_of(10) {
                return Err(Reading::Fraction);
            }
            factor /= 10;
        }
        self.digits.checked_mul(factor).ok_or(Reading::TooLarge)
    }
}

/// The number as written.
fn literal(text: &str) -> Result<Decimal, Reading> {
    if text.starts_with('-') {
        return Err(Reading::Negative);
    }
    let text = text.trim_start_matches('+');
    let number = text.trim_end_matches(|char: char| !char.is_ascii_digit());
    let suffix = text.strip_prefix(number).unwrap_or_default();
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let is_digits = fraction.bytes().all(|byte| byte.is_ascii_digit());
    let (Some(factor), Some(whole), true) = (suffix_factor(suffix), ungrouped(whole), is_digits)
    else {
        return Err(Reading::Malformed);
    };
    let decimals = fraction.trim_end_matches('0');
    let digits = whole
        .bytes()
        .chain(decimals.bytes())
        .try_fold(0_u64, |sum, byte| {
            sum.checked_mul(10)?.checked_add(u64::from(byte - b'0'))
        });
    Ok(Decimal {
        digits: digits.ok_or(Reading::TooLarge)?,
        decimals: decimals.len(),
        factor,
        is_ambiguous: fraction.len() == 3 && whole.len() <= 3,
    })
}

/// `2,000` and `2_000` without their separators; `None` if they are not
/// between groups of three.
fn ungrouped(whole: &str) -> Option<String> {
    let separator = if whole.contains(',') { ',' } else { '_' };
    let groups: Vec<&str> = whole.split(separator).collect();
    let well_formed = (0..).zip(&groups).all(|(place, group)| {
        let length = match place {
            0 if groups.len() > 1 => (1..=3).contains(&group.len()),
            0 => !group.is_empty(),
            _ => group.len() == 3,
        };
        length && group.bytes().all(|byte| byte.is_ascii_digit())
    });
    well_formed.then(|| groups.concat())
}

fn suffix_factor(suffix: &str) -> Option<u64> {
    let lower = suffix.to_ascii_lowercase();
    Some(match lower.as_str() {
        "" | "token" | "tokens" => 1,
        "k" => 1_000,
        "m" | "mn" | "mio" => 1_000_000,
        "b" | "bn" => 1_000_000_000,
        "t" | "tn" => 1_000_000_000_000,
        _ => return None,
    })
}

fn scale(word: &str) -> Option<u64> {
    Some(match word {
        "thousand" | "k" => 1_000,
        "million" | "m" => 1_000_000,
        "billion" | "bn" => 1_000_000_000,
        "trillion" => 1_000_000_000_000,
        _ => return None,
    })
}

/// `hundred`, `thousand`, `hundred thousand` after digits.
fn scales(tokens: &[Token]) -> (u64, usize) {
    let mut factor = 1;
    let mut taken = 0;
    if tokens
        .first()
        .is_some_and(|token| token.is_one_of(&["hundred"]))
    {
        factor = 100;
        taken = 1;
    }
    if let Some(scale) = tokens.get(taken).and_then(Token::word).and_then(scale) {
        factor *= scale;
        taken += 1;
    }
    (factor, taken)
}

const UNITS: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 8] = [
    "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
];

/// The value of a word below a hundred: `seven`, `twenty`, `twenty-five`.
fn below_hundred(word: &str) -> Option<u64> {
    if let Some(unit) = (0..).zip(UNITS).find(|(_, unit)| *unit == word) {
        return Some(unit.0);
    }
    let (tens, unit) = match word.split_once('-') {
        Some((tens, unit)) => (
            tens,
            (1..=9)
                .zip(UNITS.iter().skip(1))
                .find(|(_, name)| **name == unit)?
                .0,
        ),
        None => (word, 0),
    };
    let tens = (2..).zip(TENS).find(|(_, name)| *name == tens)?.0;
    Some(tens * 10 + unit)
}

/// A number in words. Stops where the words stop making one number, so that
/// "two three" is two numbers and not five or twenty-three.
fn words(tokens: &[Token]) -> Option<(Reading, usize)> {
    let word = |at: usize| tokens.get(at).and_then(Token::word);
    let is_scale = |at: usize| {
        word(at)
            .is_some_and(|word| word == "hundred" || scale(word).is_some_and(|_| word.len() > 2))
    };
    let mut total = 0_u64;
    // Scales only fall from a trillion, so no sum comes near 2^64.
    let mut current = 0_u64;
    let mut scale_max = u64::MAX;
    let mut at = 0;
    if word(0).is_some_and(|word| word == "a" || word == "an") && is_scale(1) {
        current = 1;
        at = 1;
    }
    while let Some(next) = word(at) {
        let joined = next == "and"
            && at > 0
            && is_scale(at - 1)
            && word(at + 1).is_some_and(|word| below_hundred(word).is_some());
        if joined {
            at += 1;
            continue;
        }
        if let Some(value) = below_hundred(next) {
            let after_hundred = current.is_multiple_of(100)
                && (current > 0 || at == 0 || is_scale(at - 1) || joined_before(tokens, at));
            let after_tens =
                current.is_multiple_of(10) && current % 100 >= 20 && (1..=9).contains(&value);
            if !(after_hundred || after_tens) {
                break;
            }
            current += value;
        } else if next == "hundred" && (1..100).contains(&current) {
            current *= 100;
        } else if let Some(scale) =
            scale(next).filter(|&scale| next.len() > 2 && scale < scale_max && current > 0)
        {
            total += current * scale;
            current = 0;
            scale_max = scale;
        } else {
            break;
        }
        at += 1;
    }
    (at > 0).then_some((Reading::Whole(total + current), at))
}

fn joined_before(tokens: &[Token], at: usize) -> bool {
    at > 0
        && tokens
            .get(at - 1)
            .is_some_and(|token| token.is_one_of(&["and"]))
}

#[cfg(test)]
mod tests {
    use super::Reading::{Fraction, Malformed, Negative, TooLarge, Whole};
    use super::*;
    use crate::token::tokens;
    use proptest::prelude::*;

    fn check(text: &str, expected: Reading) {
        let tokens = tokens(text);
        assert_eq!(read(&tokens), Some((expected, tokens.len())), "{text:?}");
    }

    #[test]
    fn digits_with_separators_and_suffixes_are_read() {
        for (text, value) in [
            ("2000", 2_000),
            ("2,000", 2_000),
            ("2_000", 2_000),
            ("1,234,567", 1_234_567),
            ("2k", 2_000),
            ("2K", 2_000),
            ("1.5M", 1_500_000),
            ("1.125m", 1_125_000),
            ("2.000k", 2_000),
            ("3bn", 3_000_000_000),
            ("2 thousand", 2_000),
            ("2 k", 2_000),
            ("1.5 million", 1_500_000),
            ("5 hundred", 500),
            ("2 hundred thousand", 200_000),
            ("2000.00", 2_000),
            ("2.0", 2),
            ("+7", 7),
            ("0", 0),
            ("007", 7),
            ("2000tokens", 2_000),
            ("18446744073709551615", u64::MAX),
            ("2000.000", 2_000),
        ] {
            check(text, Whole(value));
        }
    }

    #[test]
    fn numbers_in_words_are_read() {
        for (text, value) in [
            ("zero", 0),
            ("seven", 7),
            ("two thousand", 2_000),
            ("a thousand", 1_000),
            ("a hundred", 100),
            ("twenty-five", 25),
            ("twenty five", 25),
            ("two hundred and five", 205),
            ("fifteen hundred", 1_500),
            ("two thousand and five", 2_005),
            ("one million two hundred thousand", 1_200_000),
            (
                "three hundred forty-two thousand six hundred and one",
                342_601,
            ),
            ("one trillion", 1_000_000_000_000),
        ] {
            check(text, Whole(value));
        }
    }

    #[test]
    fn what_is_not_one_whole_number_says_so() {
        for (text, reading) in [
            ("-5", Negative),
            ("−5", Negative),
            ("minus five", Negative),
            ("negative 5", Negative),
            ("-2k", Negative),
            ("2.5", Fraction),
            ("0.5", Fraction),
            ("1.2345k", Fraction),
            ("2,000.50", Fraction),
            ("18446744073709551616", TooLarge),
            ("99999999999999t", TooLarge),
            (&"9".repeat(60), TooLarge),
            ("2.000", Malformed),
            ("2,00", Malformed),
            ("2,0000", Malformed),
            ("20,00,000", Malformed),
            ("1e3", Malformed),
            ("0x10", Malformed),
            ("50%", Malformed),
            ("1/2", Malformed),
            ("2000-3000", Malformed),
            ("2kk", Malformed),
            ("1.2.3", Malformed),
            ("2_0", Malformed),
            ("1,000_000", Malformed),
        ] {
            check(text, reading);
        }
    }

    #[test]
    fn two_numbers_are_not_one() {
        for (text, first) in [
            ("two three", (Whole(2), 1)),
            ("twenty thirty", (Whole(20), 1)),
            ("2 000", (Whole(2), 1)),
            ("two thousand 500", (Whole(2_000), 2)),
            ("ten five", (Whole(10), 1)),
            ("two thousand three thousand", (Whole(2_003), 3)),
            ("one and two", (Whole(1), 1)),
            ("zero seven", (Whole(0), 1)),
        ] {
            assert_eq!(read(&tokens(text)), Some(first), "{text:?}");
        }
        for text in ["a", "and", "hundred", "thousand", "m", "a team", "tokens"] {
            assert_eq!(read(&tokens(text)), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_whole_number_reads_back(value: u64) {
            check(&value.to_string(), Whole(value));
            check(&crate::phrase::grouped(value), Whole(value));
        }

        #[test]
        fn any_text_reads_without_running_past_its_end(text in "[-+0-9.,_kmb% ]{0,20}|(one|two|hundred|thousand|and|a|minus| |twenty){0,12}|\\PC*") {
            let tokens = tokens(&text);
            if let Some((_, taken)) = read(&tokens) {
                prop_assert!(taken >= 1 && taken <= tokens.len());
            }
        }
    }
}
