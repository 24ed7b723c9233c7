//! What the constants for lessons of few lines are fitted to.

use anyhow::Result;
use kgents_learn::{Judge, Lesson, Model, Sentences, Table, Vectors};

use crate::judge::BruteForce;
use crate::{Labelled, labelled, lesson};

/// Routes, and lines of each.
const SIZES: [(usize, usize); 6] = [(3, 3), (5, 5), (10, 3), (20, 10), (50, 5), (50, 20)];

/// Draws of each size.
const DRAWS: [usize; 4] = [1, 2, 3, 4];

/// Of lines that belong to routes left out, one in so many is asked.
const OTHERS: usize = 7;

/// Prints what small models made of lines that they had not seen, one line of JSON each;
/// `table/few.py` fits the constants to them.
pub fn print(train: &[Labelled], data: &[Labelled], encoder: Option<&dyn Sentences>) -> Result<()> {
    let all = lesson(train);
    for (routes, lines) in SIZES {
        for draw in DRAWS {
            let small = part(&all, routes, lines, draw);
            let places = labelled(data, &small);
            let asked = places.iter().zip(data).enumerate();
            let asked: Vec<(&str, Option<u32>, bool)> = asked
                .filter(|(at, ((_, right), line))| {
                    right.is_some() || line.route.is_none() || at % OTHERS == 0
                })
                .map(|(_, ((text, right), line))| (text.as_str(), *right, line.route.is_none()))
                .collect();
            let model = Model::train(small, Table::shipped()?, encoder, &BruteForce, &())?;
            for encoder in std::iter::once(None).chain(encoder.map(Some)) {
                print_judged(&model, &asked, encoder, (routes, lines))?;
            }
        }
    }
    Ok(())
}

/// `asked`: text, its route, and whether it is one that nobody takes.
fn print_judged(
    model: &Model,
    asked: &[(&str, Option<u32>, bool)],
    encoder: Option<&dyn Sentences>,
    (routes, lines): (usize, usize),
) -> Result<()> {
    let sentence = |text: &str| encoder.and_then(|encoder| encoder.encode(text));
    let questions = asked
        .iter()
        .map(|(text, ..)| model.vectors(text, sentence(text)));
    let questions: Vec<Vectors> = questions.collect();
    let answers = BruteForce.judge(model.tables(), &questions);
    let answers = answers.map_err(anyhow::Error::msg)?;
    for (answer, (_, right, is_far)) in answers.iter().zip(asked) {
        let Some(answer) = answer else { continue };
        let features = answer.features;
        let of_scope = match encoder {
            Some(_) => vec![features.energy, features.sentence_mean, features.words_mean],
            None => vec![
                features.words_mean,
                features.words_best,
                features.plain_mean,
                features.plain_best,
            ],
        };
        let line = serde_json::json!({
            "tier": if encoder.is_some() { "sentences" } else { "words" },
            "routes": routes,
            "lines": lines,
            "kind": if right.is_some() { "own" } else if *is_far { "far" } else { "near" },
            "is_right": *right == Some(answer.route),
            "features": of_scope,
            "share": features.share,
            "in_scope": answer.in_scope,
            "confidence": answer.confidence,
        });
        println!("{line}");
    }
    Ok(())
}

/// So many routes, with the first so many lines of each, drawn in a fixed way.
fn part(all: &Lesson, routes: usize, lines: usize, draw: usize) -> Lesson {
    let mut order: Vec<usize> = (0..all.routes.len()).collect();
    order.sort_by_key(|at| (at * 7_919 + draw * 104_729) * draw % 10_007);
    let mut small = Lesson::default();
    for (at, to) in order.into_iter().take(routes).zip(0..) {
        small.routes.extend(all.routes.get(at).cloned());
        let own = all.lines.iter().filter(|line| line.route as usize == at);
        small.lines.extend(own.take(lines).cloned().map(|mut line| {
            line.route = to;
            line
        }));
    }
    small
}
