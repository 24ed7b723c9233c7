//! `kgents router lint`.

use std::sync::Arc;

use kgents_evaluation::lint::{Finding, Kind, Lint};
use kgents_evaluation::{Everybody, Plan, Tier, Trial, lint};

use super::{Progress, agents, count, encoder, failed, router, share};
use crate::cli::LintArgs;
use crate::commands::Context;
use crate::exit::{Exit, Failure};
use crate::output::{Style, safe};

pub async fn run(args: &LintArgs, context: &Context) -> Result<Exit, Failure> {
    let progress = Progress::default();
    let cards = args.cards.as_ref();
    let cards = cards.map(|file| context.environment.current_dir.join(file));
    let plan = Plan {
        agents: agents(None, cards.as_deref(), context).await?,
        tier: Tier::Full,
        encoder: encoder(Tier::Full, context),
        router: router()?,
        policy: Arc::new(Everybody::default()),
        calibrate: &[],
    };
    let trial = Trial::open(plan, &progress).map_err(|error| failed(&error))?;
    let found = lint(&trial, &progress);
    progress.finish();
    context.output.show(&found, |style| text(&found, style));
    let is_failed = args.strict && !found.findings.is_empty();
    Ok(if is_failed { Exit::Failed } else { Exit::Done })
}

fn text(lint: &Lint, style: &Style) -> String {
    let mut lines: Vec<String> = lint
        .findings
        .iter()
        .map(|finding| told(finding, style))
        .collect();
    if let Some(why) = &lint.unlearnt {
        lines.push(style.yellow(&format!("examples were not compared: {}", safe(why))));
    }
    let mut last = format!(
        "{} agents with {} skills: ",
        count(lint.agents),
        count(lint.skills)
    );
    last.push_str(&match lint.findings.len() {
        0 => style.green("nothing to mend"),
        1 => style.yellow("1 thing to mend"),
        many => style.yellow(&format!("{} things to mend", count(many))),
    });
    if let Some(accuracy) = lint.accuracy {
        let accuracy = share(accuracy);
        last.push_str(&format!(
            "; {accuracy} of what the cards say finds its agent when held out"
        ));
    }
    lines.push(last);
    lines.join("\n")
}

fn told(finding: &Finding, style: &Style) -> String {
    let skill = finding.skill.as_deref();
    let skill = skill.map_or_else(String::new, |skill| format!(" ({skill})"));
    let kind = match finding.kind {
        Kind::NoSkills | Kind::OutOfReach => style.red(name(finding.kind)),
        Kind::Alike | Kind::Contradiction | Kind::FewExamples => style.yellow(name(finding.kind)),
    };
    format!(
        "{kind}  {}{}: {}\n  {} {}",
        style.bold(&safe(&finding.agent)),
        safe(&skill),
        safe(&finding.what),
        style.cyan("fix:"),
        safe(&finding.fix)
    )
}

const fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::NoSkills => "no skills",
        Kind::OutOfReach => "out of reach",
        Kind::Alike => "alike",
        Kind::Contradiction => "contradiction",
        Kind::FewExamples => "few examples",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_told_with_its_fix() {
        let mut lint = Lint {
            agents: 2,
            skills: 3,
            encoder: None,
            accuracy: Some(0.912),
            unlearnt: None,
            findings: vec![Finding {
                kind: Kind::OutOfReach,
                agent: "atlas".to_owned(),
                skill: Some("plan".to_owned()),
                other: Some("b".to_owned()),
                what: "3 of its 4 examples go to `b`".to_owned(),
                fix: "add examples".to_owned(),
            }],
        };
        assert_eq!(
            text(&lint, &Style::plain()),
            "out of reach  atlas (plan): 3 of its 4 examples go to `b`\n  fix: add examples\n\
             2 agents with 3 skills: 1 thing to mend; \
             91.2 % of what the cards say finds its agent when held out"
        );
        lint.findings.clear();
        lint.accuracy = None;
        assert_eq!(
            text(&lint, &Style::plain()),
            "2 agents with 3 skills: nothing to mend"
        );
    }
}
