//! `kgents router fit`.

use kgents_evaluation::fit;
use kgents_evaluation::fit::{Figures, Fit};

use super::{Bench, Progress, count, failed, share};
use crate::cli::FitArgs;
use crate::commands::Context;
use crate::exit::{Exit, Failure};
use crate::output::Style;

pub async fn run(args: &FitArgs, context: &Context) -> Result<Exit, Failure> {
    let progress = Progress::default();
    let bench = Bench::open(&args.data, &args.routes, context, &progress).await?;
    let fitted = fit(&bench.trial, &bench.data, args.target_precision, &progress);
    progress.finish();
    let fitted = fitted.map_err(|error| failed(&error))?;
    context.output.show(&fitted, |style| text(&fitted, style));
    let reached = fitted.accept.is_some();
    Ok(if reached { Exit::Done } else { Exit::Failed })
}

fn text(fit: &Fit, style: &Style) -> String {
    let target = share(fit.target_precision);
    let mut lines = Vec::new();
    match &fit.mesh_yaml {
        Some(yaml) => {
            lines.push(format!("write in mesh.yaml, for {target} right:"));
            let indented = yaml.lines().map(|line| format!("  {}", style.bold(line)));
            lines.extend(indented);
        }
        None => {
            lines.push(style.red(&format!("no threshold reaches {target}")));
            lines.push(format!(
                "{} more examples on the cards (kgents router lint tells which), or a lower target",
                style.cyan("hint:")
            ));
        }
    }
    lines.push(String::new());
    lines.push(at(&fit.reached));
    if (fit.default.accept - fit.reached.accept).abs() > 1e-9 {
        lines.push(style.dim(&at(&fit.default)));
    }
    let warnings = fit.warnings.iter();
    lines.extend(warnings.map(|warning| format!("{} {warning}", style.yellow("careful:"))));
    lines.join("\n")
}

fn at(figures: &Figures) -> String {
    let part = |part: Option<f64>, (low, high): (f64, f64)| {
        let part = part.map_or("-".to_owned(), share);
        format!("{part} ({} to {})", share(low), share(high))
    };
    format!(
        "at {}: {} of {} accepted lines right, {}; {} of lines with a route get an agent",
        figures.accept,
        count(figures.right),
        count(figures.accepted),
        part(figures.precision, figures.precision_interval),
        part(figures.coverage, figures.coverage_interval),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(accept: f64) -> Figures {
        Figures {
            accept,
            accepted: 1_000,
            right: 960,
            accepted_in_scope: 990,
            in_scope: 1_100,
            precision: Some(0.96),
            precision_interval: (0.946, 0.970),
            coverage: Some(0.9),
            coverage_interval: (0.881, 0.916),
        }
    }

    #[test]
    fn what_to_write_is_told_with_what_it_costs() {
        let mut fit = Fit {
            target_precision: 0.95,
            accept: Some(0.734),
            reached: figures(0.734),
            default: figures(0.8),
            mesh_yaml: Some("thresholds:\n  accept: 0.734\n".to_owned()),
            warnings: vec!["few lines".to_owned()],
        };
        assert_eq!(
            text(&fit, &Style::plain()),
            "write in mesh.yaml, for 95.0 % right:\n  thresholds:\n    accept: 0.734\n\n\
             at 0.734: 960 of 1,000 accepted lines right, 96.0 % (94.6 % to 97.0 %); \
             90.0 % (88.1 % to 91.6 %) of lines with a route get an agent\n\
             at 0.8: 960 of 1,000 accepted lines right, 96.0 % (94.6 % to 97.0 %); \
             90.0 % (88.1 % to 91.6 %) of lines with a route get an agent\n\
             careful: few lines"
        );
        (fit.accept, fit.mesh_yaml) = (None, None);
        let text = text(&fit, &Style::plain());
        assert!(
            text.starts_with("no threshold reaches 95.0 %\nhint:"),
            "{text}"
        );
    }

    #[test]
    fn what_is_told_to_write_is_a_mesh_file() {
        let yaml = "thresholds:\n  accept: 0.734\n";
        let read: crate::config::MeshFile = crate::config::read::parse(yaml).unwrap();
        assert!((read.thresholds.accept - 0.734).abs() < 1e-6);
    }
}
