//! Counts what `cargo test -- --show-output` prints: results of all binaries,
//! tests that skipped themselves, and what failed. Pure.
//!
//! A test that cannot run here (an outside program is absent) prints
//! `skipped: NAME: reason` and returns; the test runner calls that passed, the
//! tally does not.

use std::collections::BTreeSet;

/// What has been read so far.
#[derive(Debug, Default)]
pub struct Tally {
    passed: usize,
    failed: usize,
    ignored: usize,
    /// Binaries that ended in `FAILED`.
    failed_binaries: usize,
    /// Name of the first failed test.
    first_failed: Option<String>,
    /// `NAME: reason` of each skip, sorted.
    skipped: BTreeSet<String>,
    /// Tests that passed and said they skipped, in the current binary.
    skippers: BTreeSet<String>,
    /// The same, of the binaries before.
    skipped_tests: usize,
    /// Within the output of successful tests.
    in_successes: bool,
    /// The test whose output is being read.
    current: String,
}

impl Tally {
    /// Read one line of the test runner. True when a person should see it: the
    /// output of successful tests is not for them.
    pub fn read(&mut self, line: &str) -> bool {
        if let Some(result) = line.strip_prefix("test result: ") {
            self.end_binary(result);
            return true;
        }
        match line {
            "successes:" => self.in_successes = true,
            "failures:" => self.in_successes = false,
            _ => {}
        }
        if self.in_successes {
            self.read_success(line);
            return false;
        }
        let Some(test) = line.strip_prefix("test ") else {
            return !line.trim().is_empty() && !line.starts_with("running ");
        };
        let name = test.strip_suffix(" ... FAILED");
        if let Some(name) = name
            && self.first_failed.is_none()
        {
            // `#[should_panic]` tests carry a note after their name.
            let name = name.split(" - ").next().unwrap_or(name);
            self.first_failed = Some(name.to_owned());
        }
        name.is_some()
    }

    fn read_success(&mut self, line: &str) {
        if let Some(skip) = line.strip_prefix("skipped: ") {
            self.skipped.insert(skip.to_owned());
            self.skippers.insert(self.current.clone());
        } else if let Some(name) = line
            .strip_prefix("---- ")
            .and_then(|rest| rest.strip_suffix(" stdout ----"))
        {
            name.clone_into(&mut self.current);
        }
    }

    fn end_binary(&mut self, result: &str) {
        self.passed += count(result, "passed");
        self.failed += count(result, "failed");
        self.ignored += count(result, "ignored");
        self.failed_binaries += usize::from(result.starts_with("FAILED"));
        self.skipped_tests += self.skippers.len();
        self.skippers.clear();
        self.in_successes = false;
    }

    /// Count a failure that no test stands for: a step before the tests, or a
    /// binary that died.
    pub fn fail_otherwise(&mut self) {
        self.failed = self.failed.max(1);
    }

    /// True when anything failed.
    pub fn has_failed(&self) -> bool {
        self.failed > 0
    }

    /// `NAME: reason` of each skip, sorted.
    pub fn skipped(&self) -> impl Iterator<Item = &str> {
        self.skipped.iter().map(String::as_str)
    }

    /// The first failed test and its binary, from what cargo said of each failed
    /// binary (`-p kgents-engine --lib`). The test is `None` when it cannot be
    /// told which of the binaries it belongs to.
    pub fn first_failure<'a>(
        &'a self,
        binaries: &'a [String],
    ) -> Option<(&'a str, Option<&'a str>)> {
        let matched = binaries.len() == self.failed_binaries;
        let test = self.first_failed.as_deref().filter(|_| matched);
        binaries.first().map(|binary| (binary.as_str(), test))
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let passed = self.passed.saturating_sub(self.skipped_tests);
        let skipped = self.skipped_tests + self.ignored;
        write!(
            f,
            "{passed} passed, {} failed, {skipped} skipped",
            self.failed
        )
    }
}

/// The number before `what` in `ok. 3 passed; 0 failed; …`.
fn count(result: &str, what: &str) -> usize {
    result
        .split([';', '.'])
        .find_map(|part| part.trim().strip_suffix(what)?.trim().parse().ok())
        .unwrap_or(0)
}

/// What cargo says about a failed binary: the arguments that run it again.
pub fn failed_binary(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("to rerun pass `")?;
    rest.split('`').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIXED: &str = "
running 4 tests
test a_fox_jumps ... ok
test the_cluster_answers ... ok
test a_dog_sleeps - should panic ... FAILED
test slow ... ignored

successes:

---- the_cluster_answers stdout ----
skipped: kind: not installed
skipped: kubectl: not installed


successes:
    a_fox_jumps
    the_cluster_answers

failures:

---- a_dog_sleeps stdout ----
skipped: nothing: this is a failure's output

failures:
    a_dog_sleeps

test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s

running 1 test
test b ... ok

successes:

successes:
    b

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    fn read(text: &str) -> (Tally, Vec<&str>) {
        let mut tally = Tally::default();
        let seen = text.lines().filter(|line| tally.read(line)).collect();
        (tally, seen)
    }

    #[test]
    fn results_of_all_binaries_are_summed_and_a_skip_is_not_a_pass() {
        let (tally, _) = read(MIXED);
        assert_eq!(tally.to_string(), "2 passed, 1 failed, 2 skipped");
        let skipped: Vec<_> = tally.skipped().collect();
        assert_eq!(skipped, ["kind: not installed", "kubectl: not installed"]);
        assert!(tally.has_failed());
    }

    #[test]
    fn a_person_sees_failures_and_results_only() {
        let (_, seen) = read(MIXED);
        assert!(seen.contains(&"---- a_dog_sleeps stdout ----"));
        assert!(seen.contains(&"test a_dog_sleeps - should panic ... FAILED"));
        assert!(!seen.iter().any(|line| line.contains("a_fox_jumps")));
        assert_eq!(
            seen.iter()
                .filter(|line| line.starts_with("test result"))
                .count(),
            2
        );
    }

    #[test]
    fn the_first_failure_names_binary_and_test_when_they_surely_belong_together() {
        let (tally, _) = read(MIXED);
        let one = ["-p a --lib".to_owned()];
        assert_eq!(
            tally.first_failure(&one),
            Some(("-p a --lib", Some("a_dog_sleeps")))
        );
        // A second binary died without a result: which was first is unknown.
        let two = ["-p b --lib".to_owned(), "-p a --lib".to_owned()];
        assert_eq!(tally.first_failure(&two), Some(("-p b --lib", None)));
        assert_eq!(tally.first_failure(&[]), None);
    }

    #[test]
    fn a_binary_that_died_is_a_failure() {
        let (mut tally, _) = read("running 1 test\n");
        assert!(!tally.has_failed());
        tally.fail_otherwise();
        assert_eq!(tally.to_string(), "0 passed, 1 failed, 0 skipped");
    }

    #[test]
    fn cargo_tells_how_to_rerun_a_binary() {
        let line = "error: test failed, to rerun pass `-p kgents-engine --test hostile`";
        assert_eq!(failed_binary(line), Some("-p kgents-engine --test hostile"));
        assert_eq!(failed_binary("error: 1 target failed:"), None);
    }
}
