//! `calc`: arithmetic asked for in words.
//!
//! Reading order: `token` (words and signs), `numeral` (numbers in words),
//! `grammar` (what is asked, worked out step by step).

mod grammar;
mod numeral;
mod token;

use serde_json::{Value, json};

use super::{Trade, Work};

/// Works out calculations.
pub struct Calc;

impl Trade for Calc {
    fn name(&self) -> &'static str {
        "calc"
    }

    fn description(&self) -> &'static str {
        "Works out arithmetic asked for in words or signs, step by step."
    }

    fn skills(&self) -> Value {
        json!([{
            "id": "arithmetic",
            "name": "Arithmetic",
            "description": "Calculates: adds, subtracts, multiplies and divides numbers, percentages, powers, roots and averages",
            "tags": ["calculator", "math", "numbers", "percentage"],
            "examples": [
                "What is 17 percent of 2,400?",
                "Multiply twelve by seven and then subtract 4",
                "How much is (3 + 4) * 12 / 2?",
                "What is the square root of 144 plus 2 cubed?",
                "Calculate the average of 3, 5 and 10",
            ],
        }])
    }

    fn work(&self, text: &str) -> Result<Work, String> {
        let tokens = token::tokens(text)?;
        let (value, steps) = grammar::evaluate(&tokens)?;
        let answer = shown(value);
        Ok(Work {
            data: json!({ "result": value, "steps": steps }),
            answer,
            steps,
        })
    }
}

/// A number as people write it: thousands set apart, at most twelve digits that
/// count, so that a tenth and a fifth make 0.3.
fn shown(value: f64) -> String {
    let rounded: f64 = format!("{value:.11e}").parse().unwrap_or(value);
    if rounded != 0.0 && !(1e-9..1e15).contains(&rounded.abs()) {
        return format!("{rounded:e}");
    }
    let plain = rounded.abs().to_string();
    let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
    let mut text = String::new();
    if rounded < 0.0 {
        text.push('-');
    }
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if !fraction.is_empty() {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn calculations_in_words_and_signs_are_worked_out() {
        for (text, answer) in [
            ("What is 17 percent of 2,400?", "408"),
            ("what's 12 times 7", "84"),
            ("Please multiply twelve by seven and then subtract 4.", "80"),
            ("How much is (3 + 4) * 12 / 2?", "42"),
            ("2 + 3 × 4", "14"),
            ("2 ^ 3 ^ 2", "512"),
            ("-2 squared", "-4"),
            ("the square root of 144 plus 2 cubed", "20"),
            ("average of 3, 5 and 10", "6"),
            ("sum of 1, 2, and 3, then divide by 4", "1.5"),
            ("subtract 4 from 10 and double it", "12"),
            ("difference between 10 and 25", "-15"),
            ("half of one thousand two hundred and fifty", "625"),
            ("product of 2.5 and 4", "10"),
            ("add twenty-five and seventeen", "42"),
            ("0.1 + 0.2", "0.3"),
            ("1 million divided by 7", "142,857.142857"),
            ("5 minus 7", "-2"),
            ("10 / 4 =", "2.5"),
            ("compute 20% of 50 + 1", "11"),
            ("2 to the power of 10", "1,024"),
            ("7 x 6", "42"),
        ] {
            let work = Calc.work(text);
            assert_eq!(
                work.map(|work| work.answer).as_deref(),
                Ok(answer),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_calculation_is_refused_with_the_word_that_made_it_so() {
        for (text, part) in [
            ("", "no calculation"),
            ("what is the meaning of life", "`meaning`"),
            ("how many tokens are left", "`tokens`"),
            ("1 / 0", "by zero"),
            ("5 divided by (3 - 3)", "by zero"),
            ("square root of -1", "negative"),
            ("(1 + 2", "`)`"),
            ("1 +", "ends"),
            ("1 2", "`2`"),
            ("9 ^ 9 ^ 9", "too large"),
            ("7", "no calculation"),
        ] {
            let refusal = Calc.work(text).unwrap_err();
            assert!(refusal.contains(part), "{text}: {refusal}");
        }
    }

    #[test]
    fn every_operation_is_a_step() {
        let work = Calc.work("multiply 12 by 7, then subtract 4").unwrap();
        assert_eq!(work.steps, ["12 × 7 = 84", "84 − 4 = 80"]);
    }

    #[test]
    fn numbers_are_written_as_people_do() {
        for (value, text) in [
            (1_234_567.5, "1,234,567.5"),
            (-1000.0, "-1,000"),
            (0.0, "0"),
            (-0.0, "0"),
            (999.0, "999"),
            (1e21, "1e21"),
            (1.0 / 3.0, "0.333333333333"),
        ] {
            assert_eq!(shown(value), text);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,60}|([0-9]{1,3}|[-+*/^()%,]| |and|then|add|of|half|squared|sum|by|million|minus|twenty){0,14}") {
            if let Ok(work) = Calc.work(&text) {
                prop_assert!(!work.steps.is_empty() && !work.answer.is_empty());
            }
        }

        #[test]
        fn sums_are_those_of_the_machine(left in -100_000i32..100_000, right in 0i32..100_000) {
            let work = Calc.work(&format!("{left} + {right}")).unwrap();
            prop_assert_eq!(work.data["result"].as_f64(), Some(f64::from(left + right)));
        }
    }
}
