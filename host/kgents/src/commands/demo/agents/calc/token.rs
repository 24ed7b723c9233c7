//! Words and signs of a calculation.

use super::numeral;

/// Characters of a request that are read; more is no calculation.
const CHARACTERS_MAX: usize = 2_000;

/// One word or sign that means something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Token {
    /// A number, 0 or more.
    Number(f64),
    /// `+`, `plus`.
    Plus,
    /// `-`, `minus`, `less`.
    Minus,
    /// `*`, `×`, `times`.
    Times,
    /// `/`, `÷`, `over`.
    Divided,
    /// `^`, `to the power of`.
    Power,
    /// `%`, `percent`.
    Percent,
    /// `squared`.
    Squared,
    /// `cubed`.
    Cubed,
    /// `square root of`.
    Root,
    /// `half of`.
    Half,
    /// `double`.
    Double,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `,`
    Comma,
    /// `and`
    And,
    /// `then`
    Then,
    /// `of`
    Of,
    /// `by`
    By,
    /// `from`
    From,
    /// `it`: what came out last.
    It,
    /// `add`
    Add,
    /// `subtract`
    Subtract,
    /// `multiply`
    Multiply,
    /// `divide`
    Divide,
    /// `square it`
    Square,
    /// `sum of`
    Sum,
    /// `product of`
    Product,
    /// `average of`
    Average,
    /// `difference between`
    Difference,
}

/// Words that say nothing about what is calculated.
const FILLERS: &[&str] = &[
    "what",
    "what's",
    "whats",
    "is",
    "are",
    "how",
    "much",
    "many",
    "please",
    "can",
    "could",
    "you",
    "me",
    "the",
    "a",
    "an",
    "calculate",
    "compute",
    "evaluate",
    "work",
    "out",
    "find",
    "tell",
    "give",
    "result",
    "value",
    "number",
    "numbers",
    "equals",
    "to",
    "with",
];

/// Reads a request as words and signs.
///
/// # Errors
/// A sentence that names the first word that belongs to no calculation.
pub fn tokens(text: &str) -> Result<Vec<Token>, String> {
    if text.chars().count() > CHARACTERS_MAX {
        return Err(format!("that is longer than {CHARACTERS_MAX} characters"));
    }
    let pieces = pieces(&text.to_lowercase());
    let words: Vec<&str> = pieces.iter().map(String::as_str).collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(rest) = words.get(at..).filter(|rest| !rest.is_empty()) {
        let (token, taken) = next(rest)?;
        tokens.extend(token);
        at += taken;
    }
    Ok(tokens)
}

/// The token at the beginning, if it means something, and how many words it is.
fn next(words: &[&str]) -> Result<(Option<Token>, usize), String> {
    let word = words.first().copied().unwrap_or_default();
    let ends_in_digit = word.ends_with(|c: char| c.is_ascii_digit());
    if ends_in_digit && word.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return digits(words).map(|(value, taken)| (Some(Token::Number(value)), taken));
    }
    if let Some((value, taken)) = numeral::read(words) {
        return Ok((Some(Token::Number(value)), taken));
    }
    let phrases: [(&[&str], Token); 7] = [
        (&["to", "the", "power", "of"], Token::Power),
        (&["square", "root", "of"], Token::Root),
        (&["square", "root"], Token::Root),
        (&["multiplied", "by"], Token::Times),
        (&["divided", "by"], Token::Divided),
        (&["per", "cent"], Token::Percent),
        (&["half", "of"], Token::Half),
    ];
    for (phrase, token) in phrases {
        if words.starts_with(phrase) {
            return Ok((Some(token), phrase.len()));
        }
    }
    if let Some(token) = single(word) {
        return Ok((Some(token), 1));
    }
    if FILLERS.contains(&word) || matches!(word, "?" | "!" | "." | "=" | ":" | ";") {
        return Ok((None, 1));
    }
    Err(format!(
        "`{}` belongs to no calculation that I know",
        word.chars().take(32).collect::<String>()
    ))
}

fn digits(words: &[&str]) -> Result<(f64, usize), String> {
    let word = words.first().copied().unwrap_or_default();
    let value: f64 = word
        .parse()
        .map_err(|_| format!("`{word}` is no number that I can read"))?;
    match words.get(1).and_then(|next| numeral::scale(next)) {
        Some(scale) => Ok((value * scale, 2)),
        None => Ok((value, 1)),
    }
}

fn single(word: &str) -> Option<Token> {
    Some(match word {
        "+" | "plus" => Token::Plus,
        "-" | "−" | "–" | "minus" | "less" => Token::Minus,
        "*" | "×" | "·" | "x" | "times" => Token::Times,
        "/" | "÷" | "over" => Token::Divided,
        "^" | "**" => Token::Power,
        "%" | "percent" => Token::Percent,
        "squared" => Token::Squared,
        "cubed" => Token::Cubed,
        "sqrt" | "√" => Token::Root,
        "half" | "halve" => Token::Half,
        "double" | "twice" => Token::Double,
        "(" => Token::Open,
        ")" => Token::Close,
        "," => Token::Comma,
        "and" => Token::And,
        "then" => Token::Then,
        "of" | "between" => Token::Of,
        "by" => Token::By,
        "from" => Token::From,
        "it" | "that" => Token::It,
        "add" => Token::Add,
        "subtract" => Token::Subtract,
        "multiply" => Token::Multiply,
        "divide" => Token::Divide,
        "square" => Token::Square,
        "sum" | "total" => Token::Sum,
        "product" => Token::Product,
        "average" | "mean" => Token::Average,
        "difference" => Token::Difference,
        _ => return None,
    })
}

/// Cuts a text into numbers, words and signs. A comma between three digits and
/// three more belongs to the number; a hyphen between letters cuts words.
fn pieces(text: &str) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    let at = |place: usize| letters.get(place).copied().unwrap_or(' ');
    let digit = |place: usize| at(place).is_ascii_digit();
    let mut pieces: Vec<String> = Vec::new();
    let mut place = 0;
    while place < letters.len() {
        let (letter, begin) = (at(place), place);
        if letter.is_ascii_digit() || (letter == '.' && digit(place + 1)) {
            let mut number = String::new();
            loop {
                let separates = at(place) == ','
                    && (1..4).all(|more| digit(place + more))
                    && !digit(place + 4)
                    && place > begin;
                let point = at(place) == '.' && digit(place + 1);
                if digit(place) || point {
                    number.push(at(place));
                } else if !separates {
                    break;
                }
                place += 1;
            }
            pieces.push(number);
        } else if letter.is_alphabetic() {
            while at(place).is_alphanumeric()
                || (at(place) == '\'' && at(place + 1).is_alphabetic())
            {
                place += 1;
            }
            pieces.extend(letters.get(begin..place).map(|word| word.iter().collect()));
        } else if letter == '*' && at(place + 1) == '*' {
            pieces.push("**".to_owned());
            place += 2;
        } else if letter == '-'
            && place > 0
            && at(place - 1).is_alphabetic()
            && at(place + 1).is_alphabetic()
        {
            place += 1;
        } else {
            if !letter.is_whitespace() {
                pieces.push(letter.to_string());
            }
            place += 1;
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_where_numbers_words_and_signs_meet() {
        let check = |text: &str, expected: &[&str]| assert_eq!(pieces(text), expected, "{text}");
        check("what's 2,400*3?", &["what's", "2400", "*", "3", "?"]);
        check("3, 5 and 10", &["3", ",", "5", "and", "10"]);
        check("1,2", &["1", ",", "2"]);
        check("1,234,567.5", &["1234567.5"]);
        check(
            "twenty-five - 2**3",
            &["twenty", "five", "-", "2", "**", "3"],
        );
        check(".5%", &[".5", "%"]);
        check("7x6", &["7", "x6"]);
        check("", &[]);
    }

    #[test]
    fn phrases_and_numbers_become_tokens_and_fillers_nothing() {
        assert_eq!(
            tokens("What is 3 million to the power of two hundred and one?"),
            Ok(vec![Token::Number(3e6), Token::Power, Token::Number(201.0)])
        );
        assert_eq!(
            tokens("the weather"),
            Err("`weather` belongs to no calculation that I know".to_owned())
        );
        assert!(tokens(&"1".repeat(CHARACTERS_MAX + 1)).is_err());
    }
}
