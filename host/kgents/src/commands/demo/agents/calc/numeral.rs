//! Numbers in words: `one thousand two hundred and fifty`.

/// What a word adds to a number.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    /// A number below a hundred.
    Small(f64),
    /// `hundred`.
    Hundred,
    /// `thousand`, `million`, `billion`.
    Scale(f64),
}

/// Reads the number in words at the beginning of `words`, and tells how many
/// words it takes. `and` counts as part of it only between two parts. None when
/// the first word is no number.
pub fn read(words: &[&str]) -> Option<(f64, usize)> {
    let (mut total, mut group, mut taken) = (0.0, 0.0, 0);
    let mut last = None;
    let mut at = 0;
    while let Some(word) = words.get(at) {
        // `two hundred and fifty`, but not `two and fifty`, which are two numbers.
        let joins = *word == "and" && matches!(last, Some(Part::Hundred | Part::Scale(_)));
        if joins {
            at += 1;
            continue;
        }
        let Some(part) = part(word).filter(|part| follows(last, *part)) else {
            break;
        };
        match part {
            Part::Small(value) => group += value,
            Part::Hundred => group *= 100.0,
            Part::Scale(scale) => {
                total += group * scale;
                group = 0.0;
            }
        }
        last = Some(part);
        at += 1;
        taken = at;
    }
    (taken > 0).then_some((total + group, taken))
}

/// The factor that a word makes of digits before it, as in `3 million`.
pub fn scale(word: &str) -> Option<f64> {
    match part(word) {
        Some(Part::Scale(scale)) => Some(scale),
        Some(Part::Hundred) => Some(100.0),
        _ => None,
    }
}

fn follows(last: Option<Part>, part: Part) -> bool {
    match (last, part) {
        (None, Part::Small(_)) => true,
        (None, _) => false,
        // `twenty five`, but not `twenty twelve` or `five six`.
        (Some(Part::Small(before)), Part::Small(value)) => {
            before >= 20.0 && before % 10.0 == 0.0 && (1.0..10.0).contains(&value)
        }
        (Some(Part::Small(before)), Part::Hundred) => before < 20.0,
        (Some(Part::Small(_) | Part::Hundred), Part::Scale(_)) => true,
        (Some(Part::Hundred | Part::Scale(_)), Part::Small(_)) => true,
        (Some(Part::Hundred | Part::Scale(_)), Part::Hundred) => false,
        (Some(Part::Scale(_)), Part::Scale(_)) => false,
    }
}

fn part(word: &str) -> Option<Part> {
    let value = match word {
        "hundred" => return Some(Part::Hundred),
        "thousand" => return Some(Part::Scale(1e3)),
        "million" => return Some(Part::Scale(1e6)),
        "billion" => return Some(Part::Scale(1e9)),
        "zero" => 0.0,
        "one" => 1.0,
        "two" => 2.0,
        "three" => 3.0,
        "four" => 4.0,
        "five" => 5.0,
        "six" => 6.0,
        "seven" => 7.0,
        "eight" => 8.0,
        "nine" => 9.0,
        "ten" => 10.0,
        "eleven" => 11.0,
        "twelve" => 12.0,
        "thirteen" => 13.0,
        "fourteen" => 14.0,
        "fifteen" => 15.0,
        "sixteen" => 16.0,
        "seventeen" => 17.0,
        "eighteen" => 18.0,
        "nineteen" => 19.0,
        "twenty" => 20.0,
        "thirty" => 30.0,
        "forty" => 40.0,
        "fifty" => 50.0,
        "sixty" => 60.0,
        "seventy" => 70.0,
        "eighty" => 80.0,
        "ninety" => 90.0,
        _ => return None,
    };
    Some(Part::Small(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_words_are_read_as_far_as_they_go() {
        for (text, expected) in [
            ("seven", Some((7.0, 1))),
            ("twenty five and", Some((25.0, 2))),
            ("two hundred and fifty plus", Some((250.0, 4))),
            ("one thousand two hundred and six", Some((1206.0, 6))),
            ("three million four thousand", Some((3_004_000.0, 4))),
            ("two and three", Some((2.0, 1))),
            ("one hundred and then", Some((100.0, 2))),
            ("five six", Some((5.0, 1))),
            ("hundred", None),
            ("and five", None),
            ("", None),
        ] {
            let words: Vec<&str> = text.split_whitespace().collect();
            assert_eq!(read(&words), expected, "{text}");
        }
    }
}
