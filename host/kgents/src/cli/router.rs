//! The arguments of what an operator does with routing.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `kgents router …`
#[derive(Debug, Subcommand)]
pub enum RouterCommand {
    /// Measure how well labelled questions are routed
    ///
    /// A line of the file is {"query": "…", "route": "NAME"}, with null for a
    /// route that nobody has. The routes are the agents of the running mesh (of
    /// KGENTS_DATA, or of the user's data folder), or those of --train or --cards;
    /// then no mesh has to run.
    ///
    /// Tells how often the right route comes first (accuracy, before any
    /// threshold), how well questions that nobody here answers are told from
    /// others (oos_auroc, oos_f1 at a threshold that was not chosen on these
    /// lines, fpr95), and whether confidences mean what they say (ece).
    #[command(
        after_help = "Examples:\n  kgents router eval --data questions.jsonl\n  kgents router eval --train train.jsonl --calibrate validation.jsonl --data test.jsonl --output json\n  kgents router eval --cards agents.jsonl --data questions.jsonl --tier search"
    )]
    Eval(EvalArgs),
    /// Find the threshold that reaches a precision, and what it costs
    ///
    /// Of the thresholds at which at least the wanted share of what is accepted
    /// is right, the one that accepts the most; with what to write in mesh.yaml.
    /// Exits with 1 when none reaches it.
    #[command(
        after_help = "Examples:\n  kgents router fit --data questions.jsonl\n  kgents router fit --target-precision 0.99 --train train.jsonl --data validation.jsonl"
    )]
    Fit(FitArgs),
    /// Find skills that nobody will reach, and what to add to which card
    ///
    /// Names cards without examples, agents that can hardly be told apart, skills
    /// whose own examples go to a neighbour, and examples that fit another card
    /// better; each with what to do.
    #[command(
        after_help = "Examples:\n  kgents router lint\n  kgents router lint --cards agents.jsonl --strict"
    )]
    Lint(LintArgs),
    /// Say whether a decision was right, and whose the question was
    ///
    /// ID is the id of what `kgents route` answered, or the `kgents-event` header
    /// of any answer. What is said is learnt from at once, for every caller; it is
    /// kept, with the question's words and who said it, until it is taken back.
    /// Without an ID everything that was said is listed.
    ///
    /// The mesh remembers the questions of the latest 4,096 decisions, each for
    /// whoever asked; for others give --text and --agent.
    #[command(
        after_help = "Examples:\n  kgents router feedback ID --right\n  kgents router feedback ID --wrong --should-be planner\n  kgents router feedback\n  kgents router feedback ID --undo"
    )]
    Feedback(FeedbackArgs),
}

/// Between whom is chosen.
#[derive(Clone, Debug, Args)]
pub struct RoutesArgs {
    /// Learn from these labelled questions; the labels are the routes
    #[arg(long, value_name = "FILE", conflicts_with = "cards")]
    pub train: Option<PathBuf>,
    /// Choose among these agents: lines of {"name": "…", "description": "…"},
    /// with "skills" as on a card if there are any
    #[arg(long, value_name = "FILE")]
    pub cards: Option<PathBuf>,
    /// Fit calibration and thresholds on these labelled questions [default: by
    /// cross-validation on what there is]
    #[arg(long, value_name = "FILE")]
    pub calibrate: Option<PathBuf>,
    /// What may be used to decide
    #[arg(long, value_enum, default_value_t, value_name = "TIER")]
    pub tier: Tier,
}

/// `kgents router eval`
#[derive(Debug, Args)]
pub struct EvalArgs {
    /// Labelled questions
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    /// Between whom is chosen.
    #[command(flatten)]
    pub routes: RoutesArgs,
}

/// `kgents router fit`
#[derive(Debug, Args)]
pub struct FitArgs {
    /// Labelled questions that the mesh has not learnt from
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    /// Share of what is accepted that shall be right, above 0 and below 1
    #[arg(long, default_value_t = 0.95, value_name = "SHARE", value_parser = precision)]
    pub target_precision: f64,
    /// Between whom is chosen.
    #[command(flatten)]
    pub routes: RoutesArgs,
}

/// `kgents router lint`
#[derive(Debug, Args)]
pub struct LintArgs {
    /// Look at these agents instead of the running mesh's: lines of {"name": "…",
    /// "description": "…"}, with "skills" as on a card if there are any
    #[arg(long, value_name = "FILE")]
    pub cards: Option<PathBuf>,
    /// Exit with 1 when something is found
    #[arg(long)]
    pub strict: bool,
}

/// `kgents router feedback`
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("said").args(["right", "wrong", "undo"]).requires("id")))]
pub struct FeedbackArgs {
    /// The decision, or with --undo the feedback itself
    #[arg(requires = "said", value_parser = event)]
    pub id: Option<String>,
    /// The agent was the right one
    #[arg(long)]
    pub right: bool,
    /// It was not
    #[arg(long)]
    pub wrong: bool,
    /// Take back what was said
    #[arg(long)]
    pub undo: bool,
    /// Whose question it is
    #[arg(long, value_name = "AGENT", requires = "wrong", conflicts_with_all = ["right", "undo"])]
    pub should_be: Option<String>,
    /// Which skill of that agent it is about: its id
    #[arg(long, value_name = "ID", requires = "id", conflicts_with = "undo")]
    pub skill: Option<String>,
    /// The question, where the mesh does not remember it any more
    #[arg(long, requires = "id", conflicts_with = "undo")]
    pub text: Option<String>,
    /// Who was chosen, where the mesh does not remember it any more
    #[arg(long, requires = "id", conflicts_with = "undo")]
    pub agent: Option<String>,
}

/// What may be used to decide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Tier {
    /// The installed language model, the static encoder and the search.
    #[default]
    Full,
    /// The static encoder and the search by words: microseconds, no download.
    Static,
    /// The search alone, as where nothing can be learnt from examples.
    Search,
}

fn precision(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if share > 0.0 && share < 1.0 => Ok(share),
        _ => Err("must be a number above 0 and below 1, as 0.95".to_owned()),
    }
}

fn event(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !text.is_empty() && text.chars().all(fits) {
        return Ok(text.to_owned());
    }
    Err("is the id of no decision: `kgents route TEXT --output json` tells it".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser as _;

    fn parse(line: &str) -> Result<RouterCommand, String> {
        let words = std::iter::once("kgents").chain(line.split(' '));
        match Cli::try_parse_from(words) {
            Ok(Cli {
                command: Command::Router(command),
                ..
            }) => Ok(command),
            Ok(_) => Err("another command".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn the_full_tier_and_nineteen_of_twenty_are_the_defaults() {
        let Ok(RouterCommand::Fit(args)) = parse("router fit --data d.jsonl") else {
            panic!("not a fit");
        };
        assert_eq!(
            (args.target_precision, args.routes.tier),
            (0.95, Tier::Full)
        );
    }

    #[test]
    fn a_precision_is_a_share_that_can_be_missed() {
        for share in ["0", "1", "95", "-1", "NaN", "much"] {
            let error = parse(&format!("router fit --data d --target-precision={share}"));
            assert!(
                error.unwrap_err().contains("above 0 and below 1"),
                "{share}"
            );
        }
    }

    #[test]
    fn routes_are_learnt_or_described_and_not_both() {
        let error = parse("router eval --data d --train t --cards c").unwrap_err();
        assert!(error.contains("--cards"), "{error}");
        assert!(
            parse("router eval --train t")
                .unwrap_err()
                .contains("--data")
        );
        assert!(
            parse("router eval --data d --tier best")
                .unwrap_err()
                .contains("static")
        );
    }

    #[test]
    fn feedback_says_one_thing_of_one_decision() {
        let Ok(RouterCommand::Feedback(args)) = parse("router feedback e-1 --wrong --should-be b")
        else {
            panic!("not feedback");
        };
        assert_eq!(args.id.as_deref(), Some("e-1"));
        assert!(args.wrong && !args.right && !args.undo);
        for wrong in [
            "router feedback e-1",
            "router feedback --right",
            "router feedback e-1 --right --wrong",
            "router feedback e-1 --right --should-be b",
            "router feedback e-1 --undo --text x",
            "router feedback --text x",
            "router feedback a/b --right",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert!(parse("router feedback").is_ok(), "lists");
    }
}
