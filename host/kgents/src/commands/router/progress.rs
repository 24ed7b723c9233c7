//! How far something is that takes longer than a second, on stderr: a bar on a
//! terminal, else a line.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use kgents_evaluation::{Step, Told};

/// What is done sooner is not worth a bar.
const PATIENCE: Duration = Duration::from_secs(1);
/// How a bar looks. The template is fixed, and one that is wrong leaves indicatif's.
const TEMPLATE: &str = "{msg} {bar:30} {percent:>3} %  {eta} left";

/// Shows the step that is under way.
#[derive(Default)]
pub struct Progress(Mutex<Option<Shown>>);

struct Shown {
    step: Step,
    began: Instant,
    bar: Option<ProgressBar>,
}

impl Told for Progress {
    fn at(&self, step: Step, done: usize, of: usize) {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = match &mut *shown {
            Some(shown) if shown.step == step => shown,
            other => {
                clear(other);
                other.insert(Shown {
                    step,
                    began: Instant::now(),
                    bar: None,
                })
            }
        };
        if shown.bar.is_none() && shown.began.elapsed() >= PATIENCE {
            shown.bar = Some(bar(step, of));
        }
        if let Some(bar) = &shown.bar {
            bar.set_length(of as u64);
            bar.set_position(done as u64);
        }
    }
}

impl Progress {
    /// Takes away what is shown: the result comes.
    pub fn finish(&self) {
        clear(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn clear(shown: &mut Option<Shown>) {
    if let Some(bar) = shown.take().and_then(|shown| shown.bar) {
        bar.finish_and_clear();
    }
}

fn bar(step: Step, of: usize) -> ProgressBar {
    let mut bar = ProgressBar::new(of as u64).with_message(step.words());
    if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
        bar = bar.with_style(style);
    }
    if bar.is_hidden() {
        eprintln!("{} …", step.words());
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_within_a_moment_shows_nothing() {
        let progress = Progress::default();
        for done in 0..100 {
            progress.at(Step::Routing, done, 100);
        }
        let is_bare = |shown: &Option<Shown>| shown.as_ref().is_none_or(|s| s.bar.is_none());
        assert!(is_bare(&progress.0.lock().unwrap()));
        progress.finish();
        assert!(progress.0.lock().unwrap().is_none());
    }
}
