//! What is asked, worked out while it is read.
//!
//! ```text
//! request  = clause { link continuation }        link = [","] ["and"] ["then"]
//! clause   = "add" list | "subtract" sum "from" product | "multiply" sum "by" product | …
//!          | ("sum" | "product" | "average" | "difference") "of" list | sum
//! sum      = product { ("+" | "-") product }
//! product  = power { ("*" | "/") power }
//! power    = unary [ "^" power ]
//! unary    = ("-" | "square root of" | "half of" | "double") unary | postfix
//! postfix  = primary { "squared" | "cubed" | "%" ["of" unary] }
//! primary  = number | "it" | "(" sum ")"
//! ```

use super::shown;
use super::token::Token;

/// Depth to which parentheses and signs may nest.
const DEPTH_MAX: usize = 64;

/// Works out a request: its value, and each operation as a line.
///
/// # Errors
/// A sentence that says what is missing, or cannot be calculated.
pub fn evaluate(tokens: &[Token]) -> Result<(f64, Vec<String>), String> {
    let mut reader = Reader {
        tokens,
        at: 0,
        depth: 0,
        last: None,
        steps: Vec::new(),
    };
    if tokens.is_empty() {
        return Err(NOTHING.to_owned());
    }
    let mut value = reader.clause()?;
    while reader.peek().is_some() {
        reader.last = Some(value);
        reader.link();
        value = reader.continuation(value)?;
    }
    if reader.steps.is_empty() {
        return Err(NOTHING.to_owned());
    }
    Ok((value, reader.steps))
}

const NOTHING: &str =
    "I see no calculation in that: ask for example `what is 17 percent of 2,400?`";

struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: usize,
    /// What `it` means.
    last: Option<f64>,
    steps: Vec<String>,
}

impl Reader<'_> {
    fn peek(&self) -> Option<Token> {
        self.tokens.get(self.at).copied()
    }

    /// Takes the next token if it is this one.
    fn take(&mut self, token: Token) -> bool {
        let is_next = self.peek() == Some(token);
        self.at += usize::from(is_next);
        is_next
    }

    fn need(&mut self, token: Token, written: &str) -> Result<(), String> {
        if self.take(token) {
            return Ok(());
        }
        Err(match self.peek() {
            Some(found) => format!("I expected `{written}` before {}", name(found)),
            None => format!("`{written}` is missing at the end"),
        })
    }

    /// What stands between two things to do.
    fn link(&mut self) {
        let _ = self.take(Token::Comma);
        let _ = self.take(Token::And);
        let _ = self.take(Token::Then);
    }

    fn clause(&mut self) -> Result<f64, String> {
        let Some(token) = self.peek() else {
            return Err("the calculation ends too early".to_owned());
        };
        self.at += 1;
        match token {
            Token::Add | Token::Sum => self.fold(|reader, a, b| reader.plus(a, b)),
            Token::Product => self.fold(|reader, a, b| reader.times(a, b)),
            Token::Average => self.average(),
            Token::Difference => {
                let (left, right) = self.pair(Token::And, "and")?;
                self.minus(left, right)
            }
            Token::Subtract => {
                let (right, left) = self.pair(Token::From, "from")?;
                self.minus(left, right)
            }
            Token::Multiply => {
                let (left, right) = self.pair(Token::By, "by")?;
                self.times(left, right)
            }
            Token::Divide => {
                let (left, right) = self.pair(Token::By, "by")?;
                self.divided(left, right)
            }
            Token::Square => {
                let value = self.sum()?;
                self.power(value, 2.0)
            }
            _ => {
                self.at -= 1;
                self.sum()
            }
        }
    }

    /// What is done with a value that is there already.
    fn continuation(&mut self, value: f64) -> Result<f64, String> {
        let Some(token) = self.peek() else {
            return Err("the calculation ends too early".to_owned());
        };
        self.at += 1;
        match token {
            Token::Add | Token::Plus => {
                let more = self.product()?;
                self.plus(value, more)
            }
            Token::Subtract | Token::Minus => {
                let less = self.product()?;
                self.minus(value, less)
            }
            Token::Multiply | Token::Times | Token::Divide | Token::Divided => {
                let _ = self.take(Token::It);
                let _ = self.take(Token::By);
                let by = self.power_of()?;
                match token {
                    Token::Multiply | Token::Times => self.times(value, by),
                    _ => self.divided(value, by),
                }
            }
            Token::Double | Token::Half | Token::Root | Token::Square => {
                let _ = self.take(Token::It);
                self.unary_of(token, value)
            }
            other => Err(format!("I do not know what to do with {}", name(other))),
        }
    }

    /// A list joined by commas and `and`.
    fn list(&mut self) -> Result<Vec<f64>, String> {
        let _ = self.take(Token::Of);
        let mut values = vec![self.sum()?];
        loop {
            let before = self.at;
            let comma = self.take(Token::Comma);
            let and = self.take(Token::And);
            // `…, then double it` is no more of the list.
            let goes_on = (comma || and) && self.begins_value();
            if !goes_on {
                self.at = before;
                return Ok(values);
            }
            values.push(self.sum()?);
        }
    }

    fn begins_value(&self) -> bool {
        matches!(
            self.peek(),
            Some(Token::Number(_) | Token::Open | Token::Minus | Token::It)
        )
    }

    fn fold(
        &mut self,
        join: impl Fn(&mut Self, f64, f64) -> Result<f64, String>,
    ) -> Result<f64, String> {
        let values = self.list()?;
        let (first, rest) = values.split_first().ok_or(NOTHING)?;
        if rest.is_empty() {
            return Err("it takes two numbers or more".to_owned());
        }
        rest.iter()
            .try_fold(*first, |value, more| join(self, value, *more))
    }

    fn average(&mut self) -> Result<f64, String> {
        let values = self.list()?;
        let mut sum = 0.0;
        for (place, value) in values.iter().enumerate() {
            sum = if place == 0 {
                *value
            } else {
                self.plus(sum, *value)?
            };
        }
        self.divided(sum, values.len() as f64)
    }

    fn pair(&mut self, between: Token, written: &str) -> Result<(f64, f64), String> {
        let _ = self.take(Token::Of);
        let first = self.sum()?;
        self.need(between, written)?;
        // `multiply 12 by 7 plus 3` is 87 to those who say it.
        Ok((first, self.product()?))
    }

    fn sum(&mut self) -> Result<f64, String> {
        let mut value = self.product()?;
        loop {
            if self.take(Token::Plus) {
                let more = self.product()?;
                value = self.plus(value, more)?;
            } else if self.take(Token::Minus) {
                let less = self.product()?;
                value = self.minus(value, less)?;
            } else {
                return Ok(value);
            }
        }
    }

    fn product(&mut self) -> Result<f64, String> {
        let mut value = self.power_of()?;
        loop {
            if self.take(Token::Times) {
                let by = self.power_of()?;
                value = self.times(value, by)?;
            } else if self.take(Token::Divided) {
                let by = self.power_of()?;
                value = self.divided(value, by)?;
            } else {
                return Ok(value);
            }
        }
    }

    fn power_of(&mut self) -> Result<f64, String> {
        let base = self.unary()?;
        if !self.take(Token::Power) {
            return Ok(base);
        }
        let exponent = self.nested(Self::power_of)?;
        self.power(base, exponent)
    }

    fn unary(&mut self) -> Result<f64, String> {
        if self.take(Token::Minus) {
            return Ok(-self.nested(Self::unary)?);
        }
        for token in [Token::Root, Token::Half, Token::Double] {
            if self.take(token) {
                let value = self.nested(Self::unary)?;
                return self.unary_of(token, value);
            }
        }
        self.postfix()
    }

    fn unary_of(&mut self, token: Token, value: f64) -> Result<f64, String> {
        match token {
            Token::Root if value < 0.0 => {
                Err("a negative number has no square root here".to_owned())
            }
            Token::Root => self.step(format!("√{}", shown(value)), value.sqrt()),
            Token::Half => self.divided(value, 2.0),
            Token::Double => self.times(value, 2.0),
            _ => self.power(value, 2.0),
        }
    }

    fn postfix(&mut self) -> Result<f64, String> {
        let mut value = self.primary()?;
        loop {
            if self.take(Token::Squared) {
                value = self.power(value, 2.0)?;
            } else if self.take(Token::Cubed) {
                value = self.power(value, 3.0)?;
            } else if self.take(Token::Percent) {
                let share = value;
                if !self.take(Token::Of) {
                    value = self.step(format!("{} %", shown(share)), share / 100.0)?;
                    continue;
                }
                let whole = self.nested(Self::unary)?;
                let words = format!("{} % of {}", shown(share), shown(whole));
                value = self.step(words, share * whole / 100.0)?;
            } else {
                return Ok(value);
            }
        }
    }

    fn primary(&mut self) -> Result<f64, String> {
        let Some(token) = self.peek() else {
            return Err("the calculation ends where a number should be".to_owned());
        };
        self.at += 1;
        match (token, self.last) {
            (Token::Number(value), _) => Ok(value),
            (Token::It, Some(last)) => Ok(last),
            (Token::Open, _) => {
                let value = self.nested(Self::sum)?;
                self.need(Token::Close, ")")?;
                Ok(value)
            }
            (other, _) => Err(format!("I expected a number, not {}", name(other))),
        }
    }

    fn nested(&mut self, read: impl Fn(&mut Self) -> Result<f64, String>) -> Result<f64, String> {
        if self.depth >= DEPTH_MAX {
            return Err(format!("that nests deeper than {DEPTH_MAX}"));
        }
        self.depth += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn plus(&mut self, left: f64, right: f64) -> Result<f64, String> {
        self.step(format!("{} + {}", shown(left), shown(right)), left + right)
    }

    fn minus(&mut self, left: f64, right: f64) -> Result<f64, String> {
        self.step(format!("{} − {}", shown(left), shown(right)), left - right)
    }

    fn times(&mut self, left: f64, right: f64) -> Result<f64, String> {
        self.step(format!("{} × {}", shown(left), shown(right)), left * right)
    }

    fn divided(&mut self, left: f64, right: f64) -> Result<f64, String> {
        if right == 0.0 {
            return Err("nothing can be divided by zero".to_owned());
        }
        self.step(format!("{} ÷ {}", shown(left), shown(right)), left / right)
    }

    fn power(&mut self, base: f64, exponent: f64) -> Result<f64, String> {
        let words = format!("{} ^ {}", shown(base), shown(exponent));
        self.step(words, base.powf(exponent))
    }

    fn step(&mut self, words: String, value: f64) -> Result<f64, String> {
        if value.is_nan() {
            return Err(format!("{words} is no real number"));
        }
        if value.is_infinite() {
            return Err(format!("{words} is too large for me"));
        }
        self.steps.push(format!("{words} = {}", shown(value)));
        Ok(value)
    }
}

/// A token in words, for refusals.
fn name(token: Token) -> String {
    match token {
        Token::Number(value) => format!("`{}`", shown(value)),
        Token::Open => "`(`".to_owned(),
        Token::Close => "`)`".to_owned(),
        Token::Comma => "`,`".to_owned(),
        other => format!("`{}`", format!("{other:?}").to_lowercase()),
    }
}
