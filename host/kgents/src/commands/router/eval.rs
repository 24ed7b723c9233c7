//! `kgents router eval`.

use kgents_evaluation::evaluate;
use kgents_evaluation::figures::{Evaluation, From, threshold};

use super::{Bench, Progress, count, failed, share};
use crate::cli::EvalArgs;
use crate::commands::Context;
use crate::exit::{Exit, Failure};
use crate::output::{Style, safe, table};

/// Confusions that people are told of; programs get more.
const CONFUSIONS_SHOWN: usize = 10;

pub async fn run(args: &EvalArgs, context: &Context) -> Result<Exit, Failure> {
    let progress = Progress::default();
    let bench = Bench::open(&args.data, &args.routes, context, &progress).await?;
    let evaluation = threshold(&bench.trial, &bench.calibrate, &progress)
        .and_then(|threshold| evaluate(&bench.trial, &bench.data, threshold, &progress));
    progress.finish();
    let evaluation = evaluation.map_err(|error| failed(&error))?;
    context.output.show(&evaluation, |style| {
        text(&evaluation, context.output.columns, style)
    });
    Ok(Exit::Done)
}

fn text(evaluation: &Evaluation, columns: Option<usize>, style: &Style) -> String {
    let mut lines = vec![headline(evaluation, style), String::new()];
    let rows = rows(evaluation);
    lines.push(table(
        style,
        columns,
        &["", "", "WHAT IT SAYS"],
        &rows,
        |_, column, cell| match column {
            1 => style.bold(cell),
            2 => style.dim(cell),
            _ => cell.to_owned(),
        },
    ));
    let confused: Vec<Vec<String>> = evaluation
        .confusions
        .iter()
        .take(CONFUSIONS_SHOWN)
        .map(|confused| {
            let taken = confused.taken.as_deref().unwrap_or("nobody");
            vec![
                confused.count.to_string(),
                safe(&confused.right),
                safe(taken),
            ]
        })
        .collect();
    if !confused.is_empty() {
        lines.push(String::new());
        let head = ["LINES", "RIGHT", "TAKEN FOR IT"];
        let plain = |_: usize, _: usize, cell: &str| cell.to_owned();
        lines.push(table(style, columns, &head, &confused, plain));
    }
    lines.join("\n")
}

fn headline(evaluation: &Evaluation, style: &Style) -> String {
    let counts = &evaluation.counts;
    let encoder = evaluation.encoder.as_deref().unwrap_or("no language model");
    format!(
        "{} lines, {} of them with a route of {}; tier {}, {encoder}",
        count(counts.lines),
        count(counts.in_scope),
        count(counts.routes),
        style.bold(evaluation.tier),
    )
}

fn rows(evaluation: &Evaluation) -> Vec<Vec<String>> {
    let figure = |figure: Option<f64>| figure.map_or("-".to_owned(), |f| format!("{f:.4}"));
    let row = |name: &str, figure: String, says: String| vec![name.to_owned(), figure, says];
    let from = match evaluation.threshold.from {
        From::Calibrate => "fitted on --calibrate",
        From::CrossValidation => "by cross-validation",
        From::Default => "more likely than not: nothing to fit it on",
    };
    let at = evaluation.threshold.in_scope;
    let accepted = &evaluation.accepted;
    let part = |part: Option<f64>| part.map_or("-".to_owned(), share);
    let us = &evaluation.us;
    vec![
        row(
            "accuracy",
            figure(evaluation.accuracy),
            "right route first, of lines that have one, before any threshold".to_owned(),
        ),
        row(
            "macro F1",
            figure(evaluation.macro_f1),
            "the same with every route counting alike".to_owned(),
        ),
        row(
            "AUROC",
            figure(evaluation.oos_auroc),
            "a line with a route scores higher than one without".to_owned(),
        ),
        row(
            "F1",
            figure(evaluation.oos_f1),
            format!("of lines without a route, below {at:.3} ({from})"),
        ),
        row(
            "FPR95",
            figure(evaluation.fpr95),
            "of those accepted where 95 % of the others are".to_owned(),
        ),
        row(
            "ECE",
            figure(evaluation.ece),
            "how far confidences are from the truth, on average".to_owned(),
        ),
        row(
            "time",
            format!("{:.0} µs", evaluation.us_per_query),
            format!(
                "language model {:.0}, all else {:.0}; p99 {:.0}",
                us.encode, us.decide, us.p99
            ),
        ),
        row(
            "accepted",
            part(accepted.coverage),
            format!(
                "of lines with a route at {}, {} of all accepted right",
                accepted.accept,
                part(accepted.precision)
            ),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use kgents_evaluation::figures::{Accepted, Confused, Counts, Microseconds, Threshold};
    use std::collections::BTreeMap;

    fn evaluation() -> Evaluation {
        Evaluation {
            accuracy: Some(0.95),
            macro_f1: Some(0.94),
            oos_auroc: None,
            oos_f1: None,
            fpr95: None,
            ece: Some(0.02),
            us_per_query: 41.0,
            us: Microseconds::default(),
            tier: "static",
            encoder: None,
            threshold: Threshold {
                in_scope: 0.5,
                from: From::CrossValidation,
            },
            accepted: Accepted {
                accept: 0.8,
                coverage: Some(0.9),
                precision: Some(0.975),
            },
            counts: Counts {
                lines: 3_100,
                in_scope: 3_000,
                out_of_scope: 100,
                routes: 150,
                examples: 15_000,
            },
            methods: BTreeMap::new(),
            confusions: vec![Confused {
                right: "a b".to_owned(),
                taken: None,
                count: 2,
            }],
            model: None,
        }
    }

    #[test]
    fn programs_find_the_figures_under_their_names() {
        let json = serde_json::to_value(evaluation()).unwrap();
        for name in [
            "accuracy",
            "macro_f1",
            "oos_auroc",
            "oos_f1",
            "fpr95",
            "ece",
            "us_per_query",
        ] {
            assert!(json.get(name).is_some(), "{name}");
        }
        assert_eq!(json["threshold"]["from"], "cross-validation");
    }

    #[test]
    fn people_read_figures_with_what_they_say() {
        let text = text(&evaluation(), None, &Style::plain());
        for part in [
            "3,100 lines, 3,000 of them with a route of 150; tier static, no language model",
            "0.9500",
            "90.0 %",
            "97.5 %",
            "a b    nobody",
        ] {
            assert!(text.contains(part), "no {part} in\n{text}");
        }
    }
}
