//! `kgents init`: writes a mesh folder.

use serde::Serialize;

use super::Context;
use crate::cli::InitArgs;
use crate::client::chain;
use crate::exit::{Exit, Failure};
use crate::templates;

#[derive(Serialize)]
struct Made {
    dir: String,
    operator: String,
    files: Vec<String>,
}

pub fn run(args: &InitArgs, context: &Context) -> Result<Exit, Failure> {
    let operator = context.environment.operator();
    let dir = context.environment.current_dir.join(&args.dir);
    let files = templates::write(&dir, &operator, args.force).map_err(|error| {
        let failure = Failure::new(Exit::Failed, "INIT", chain(&error));
        match error {
            templates::Error::Exists(_) => {
                failure.hint("choose another folder, or overwrite what is there with --force")
            }
            templates::Error::Io { .. } => failure,
        }
    })?;
    let made = Made {
        dir: args.dir.display().to_string(),
        operator,
        files: files
            .iter()
            .map(|file| file.display().to_string())
            .collect(),
    };
    context.output.show(&made, |style| {
        let mut text = String::new();
        for file in &made.files {
            text.push_str(&format!(
                "{} {}/{file}\n",
                style.green("wrote"),
                made.dir.trim_end_matches('/')
            ));
        }
        text.push_str(&format!(
            "\n{} may do everything there. Next:\n  kgents up {}\n",
            style.bold(&made.operator),
            made.dir
        ));
        text
    });
    Ok(Exit::Done)
}
