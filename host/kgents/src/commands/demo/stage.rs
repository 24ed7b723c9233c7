//! The demo's steps: shown as they happen to a person, gathered for a program.

use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;

use crate::client::Head;
use crate::commands::audit::{Entry, Latest};
use crate::commands::route::Route;
use crate::exit::Failure;
use crate::output::{Format, Output, Style, safe};

/// How far what belongs to a step stands from the edge.
const INDENT: &str = "    ";

/// One thing that was shown, and whether it went as promised.
#[derive(Debug, Default, Serialize)]
pub struct Step {
    /// What it shows.
    title: &'static str,
    /// What was asked and by whom, as one would type it.
    asked: Vec<String>,
    /// Where the question goes and why, if one was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Route>,
    /// What the answer's headers told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head: Option<Head>,
    /// The answer in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// What was refused, where that was the promise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Failure>,
    /// Anything else that was found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<serde_json::Value>,
    /// What the audit trail recorded meanwhile.
    events: Vec<Entry>,
    /// Milliseconds from its beginning to its end.
    took_ms: f64,
    /// Whether it went as promised.
    pub ok: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    #[serde(skip)]
    began: Option<Instant>,
}

/// Where steps are shown.
pub struct Stage {
    output: Output,
    trail: Option<(PathBuf, Latest)>,
    steps: Vec<Step>,
}

/// A promise that was not kept, in words.
pub type Kept = Result<(), String>;

/// Whether what was promised holds; else `otherwise` says what came instead.
///
/// # Errors
/// What came instead.
pub fn promised(holds: bool, otherwise: impl FnOnce() -> String) -> Kept {
    if holds { Ok(()) } else { Err(otherwise()) }
}

impl Stage {
    /// An empty one.
    pub fn new(output: Output) -> Self {
        Self {
            output,
            trail: None,
            steps: Vec::new(),
        }
    }

    /// From now on each step gets what the trail in `dir` records meanwhile.
    pub fn watch_trail(&mut self, dir: PathBuf) {
        let mut latest = Latest::new(0);
        latest.follow();
        self.trail = Some((dir, latest));
    }

    /// The steps so far.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Names of all events that the trail has recorded so far.
    pub fn events(&self) -> Vec<&str> {
        let entries = self.steps.iter().flat_map(|step| &step.events);
        entries.map(Entry::event).collect()
    }

    /// Colours of what is shown.
    pub const fn style(&self) -> &Style {
        &self.output.style
    }

    /// Columns of the terminal, if there is one.
    pub const fn columns(&self) -> Option<usize> {
        self.output.columns
    }

    /// Begins a step.
    pub fn begin(&self, title: &'static str) -> Step {
        let number = self.steps.len() + 1;
        let style = self.style();
        self.show(&format!(
            "\n{} {}\n",
            style.dim(&format!("{number:>2}")),
            style.bold(title)
        ));
        Step {
            title,
            began: Some(Instant::now()),
            ..Step::default()
        }
    }

    /// Tells what is asked, as one would type it.
    pub fn ask(&self, step: &mut Step, asked: String) {
        self.tell(&self.style().cyan(&safe(&asked)));
        step.asked.push(asked);
    }

    /// Shows lines that belong to the step.
    pub fn tell(&self, text: &str) {
        let lines: Vec<String> = text
            .lines()
            .map(|line| format!("{INDENT}{line}\n"))
            .collect();
        self.show(&lines.concat());
    }

    /// Shows a piece of a line as it comes; the first of a line stands where a
    /// line of [`Self::tell`] would.
    pub fn tell_part(&self, piece: &str, begins_line: bool) {
        let indent = if begins_line { INDENT } else { "" };
        let piece = match piece.strip_suffix('\n') {
            Some(line) => format!("{}\n", line.replace('\n', &format!("\n{INDENT}"))),
            None => piece.replace('\n', &format!("\n{INDENT}")),
        };
        self.show(&format!("{indent}{piece}"));
    }

    /// Ends a step: tells the last thing that was recorded, and whether it went
    /// as promised.
    pub fn end(&mut self, mut step: Step, mut kept: Kept) {
        if let Some((dir, latest)) = &mut self.trail {
            match latest.read(dir) {
                Ok(()) => step.events = latest.take(),
                Err(error) => kept = kept.and(Err(format!("the trail cannot be read: {error}"))),
            }
        }
        step.took_ms = step
            .began
            .map_or(0.0, |began| milliseconds(began.elapsed()));
        step.ok = kept.is_ok();
        let style = *self.style();
        if let Some(entry) = step.events.last() {
            self.tell(&style.dim(&format!("recorded: {}", safe(&entry.verdict()))));
        }
        let took = style.dim(&format!("{:.1} ms", step.took_ms));
        match kept {
            Ok(()) => self.tell(&format!("{} {took}", style.green("as promised,"))),
            Err(problem) => {
                let problem = safe(&problem);
                self.tell(&format!("{} {problem}", style.red("not as promised:")));
                step.problem = Some(problem);
            }
        }
        self.steps.push(step);
    }

    /// Shows text to a person; a program gets everything at the end.
    pub fn show(&self, text: &str) {
        if self.output.format == Format::Text {
            self.output.write_part(text);
        }
    }
}

/// A duration in milliseconds, to a tenth.
pub fn milliseconds(duration: std::time::Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage() -> Stage {
        Stage::new(Output {
            format: Format::Json,
            style: Style::plain(),
            error_style: Style::plain(),
            columns: None,
        })
    }

    #[test]
    fn a_step_that_was_not_kept_says_why() {
        let mut stage = stage();
        let mut step = stage.begin("one");
        stage.ask(&mut step, "$ kgents agents list".to_owned());
        stage.end(step, promised(false, || "nobody came".to_owned()));
        let step = stage.begin("two");
        stage.end(step, promised(true, || "unused".to_owned()));
        let value = serde_json::to_value(stage.steps()).unwrap();
        assert_eq!(value[0]["ok"], false);
        assert_eq!(value[0]["problem"], "nobody came");
        assert_eq!(value[0]["asked"][0], "$ kgents agents list");
        assert_eq!(value[1]["ok"], true);
        assert!(value[1].get("problem").is_none());
    }

    #[test]
    fn milliseconds_are_told_to_a_tenth() {
        let told = milliseconds(std::time::Duration::from_micros(1_249));
        assert!((told - 1.2).abs() < 1e-9);
    }
}
