//! Measurements: what the mesh costs, each beside a peer or a limit that was
//! measured in the same run, so that the ratio holds on any machine.
//!
//! `cargo xtask bench [SUBJECT] [--quick] [--clinc150 DIR] [--output text|json]`
//! builds and runs this. It asserts nothing about time: it tells.
//!
//! Reading order: this file (subjects), [`table`] (what is told), [`timing`];
//! the rooms alone: [`deciders`], [`codecs`], [`encoder`], [`search`],
//! [`routing`], [`audit`]; the mesh as a process: [`mesh`], [`agent`], [`load`],
//! [`process`], and what is measured with them: [`hop`], [`start`], [`memory`],
//! [`spin`].

mod agent;
mod audit;
mod codecs;
mod deciders;
mod encoder;
mod hop;
mod load;
mod memory;
mod mesh;
mod process;
mod routing;
mod search;
mod spin;
mod start;
mod table;
mod timing;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use table::Table;

const USAGE: &str = "usage: bench [SUBJECT] [--quick] [--clinc150 DIR] [--output text|json]";

/// One measurement.
struct Subject {
    name: &'static str,
    run: fn(&Settings) -> Result<Vec<Table>>,
}

/// In the order they run: what matters most comes first.
const SUBJECTS: [Subject; 10] = [
    Subject {
        name: "hop",
        run: hop::run,
    },
    Subject {
        name: "start",
        run: start::run,
    },
    Subject {
        name: "memory",
        run: memory::run,
    },
    Subject {
        name: "deciders",
        run: deciders::run,
    },
    Subject {
        name: "codecs",
        run: codecs::run,
    },
    Subject {
        name: "encoder",
        run: encoder::run,
    },
    Subject {
        name: "search",
        run: search::run,
    },
    Subject {
        name: "routing",
        run: routing::run,
    },
    Subject {
        name: "audit",
        run: audit::run,
    },
    Subject {
        name: "spin",
        run: spin::run,
    },
];

/// What every measurement is told.
pub struct Settings {
    /// Whether a rough figure will do: all subjects together in under a minute.
    pub quick: bool,
    /// An empty folder on the disk that the build is on; taken away at the end.
    pub work: PathBuf,
    /// Where the lines of CLINC150 are, if they are.
    pub clinc150: Option<PathBuf>,
}

/// What was asked for on the command line.
struct Arguments {
    subject: Option<String>,
    quick: bool,
    json: bool,
    clinc150: Option<PathBuf>,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let ended = if words.first().is_some_and(|word| word == agent::COMMAND) {
        agent::serve()
    } else {
        parse(&words).and_then(|arguments| measure(&arguments))
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn parse(words: &[String]) -> Result<Arguments> {
    let mut arguments = Arguments {
        subject: None,
        quick: false,
        json: false,
        clinc150: None,
    };
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "--quick" => arguments.quick = true,
            "--clinc150" => match words.next() {
                Some(folder) => arguments.clinc150 = Some(folder.into()),
                None => bail!("--clinc150 needs a folder\n{USAGE}"),
            },
            "--output" => match words.next() {
                Some("text") => arguments.json = false,
                Some("json") => arguments.json = true,
                _ => bail!("--output is `text` or `json`\n{USAGE}"),
            },
            name if SUBJECTS.iter().any(|subject| subject.name == name) => {
                arguments.subject = Some(name.to_owned());
            }
            other => {
                let names: Vec<_> = SUBJECTS.iter().map(|subject| subject.name).collect();
                bail!(
                    "`{other}` is not measured; subjects are: {}\n{USAGE}",
                    names.join(", ")
                )
            }
        }
    }
    Ok(arguments)
}

fn measure(arguments: &Arguments) -> Result<()> {
    let target = target()?;
    // Not the system's temporary folder: that may lie in memory, where a sync
    // costs nothing.
    let work = tempfile::Builder::new()
        .prefix("bench-")
        .tempdir_in(&target)
        .with_context(|| format!("cannot make a folder in `{}`", target.display()))?;
    let machine = process::machine();
    if !arguments.json {
        println!("{machine}");
    }
    let mut subjects = Vec::new();
    for subject in &SUBJECTS {
        if arguments
            .subject
            .as_ref()
            .is_some_and(|name| name != subject.name)
        {
            continue;
        }
        eprintln!("measuring: {}", subject.name);
        let settings = Settings {
            quick: arguments.quick,
            work: work.path().join(subject.name),
            clinc150: arguments.clinc150.clone(),
        };
        std::fs::create_dir(&settings.work)?;
        let tables = (subject.run)(&settings).with_context(|| subject.name.to_owned())?;
        if !arguments.json {
            tables.iter().for_each(|table| println!("\n{table}"));
        }
        let tables: Vec<_> = tables.iter().map(Table::json).collect();
        subjects.push(serde_json::json!({ "subject": subject.name, "tables": tables }));
    }
    if arguments.json {
        let document = serde_json::json!({
            "machine": machine,
            "quick": arguments.quick,
            "subjects": subjects,
        });
        println!("{document:#}");
    }
    Ok(())
}

/// The build's folder: this program lies in `TARGET/PROFILE/examples`.
fn target() -> Result<PathBuf> {
    let program = std::env::current_exe().context("this program does not know where it lies")?;
    program
        .ancestors()
        .nth(3)
        .map(Path::to_owned)
        .context("this program lies outside the build's folder")
}
