//! `kgents check`: what is wrong with this installation, and how to mend it.
//! Each finding is one line: ok, warn or fail, what was looked at, what was
//! found, and the command that mends it.

mod deciders;
mod encoder;
mod files;
mod runtime;

use serde::Serialize;

use super::Context;
use crate::cli::CheckArgs;
use crate::config::run::{self, Found};
use crate::exit::{Exit, Failure};
use crate::output::{Style, safe};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, but not as well as it could.
    Warn,
    /// It does not work.
    Fail,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What was looked at.
    pub subject: &'static str,
    /// What was found.
    pub message: String,
    /// What mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

#[derive(Serialize)]
struct Report {
    ok: bool,
    findings: Vec<Finding>,
}

impl Finding {
    fn ok(subject: &'static str, message: impl Into<String>) -> Self {
        Self {
            level: Level::Ok,
            subject,
            message: message.into(),
            mend: None,
        }
    }

    fn warn(subject: &'static str, message: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            level: Level::Warn,
            subject,
            message: message.into(),
            mend: Some(mend.into()),
        }
    }

    fn fail(subject: &'static str, message: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            level: Level::Fail,
            subject,
            message: message.into(),
            mend: Some(mend.into()),
        }
    }
}

pub async fn run(args: CheckArgs, context: &Context) -> Result<Exit, Failure> {
    let found = run::find(&context.data_dir);
    let mesh_dir = args.mesh_dir.or_else(|| match &found {
        Found::Running(run) => run.mesh_dir.clone(),
        _ => None,
    });
    let mut findings = files::data_dir(&context.data_dir);
    findings.extend(files::keys(&context.data_dir));
    let (folder, mesh) = files::mesh_folder(context, mesh_dir);
    findings.extend(folder);
    // An endpoint stands in for the model.
    let encoder = mesh.as_ref().and_then(encoder::endpoint);
    findings.push(encoder.unwrap_or_else(|| files::model(context)));
    findings.extend(mesh.as_ref().and_then(deciders::elsewhere));
    findings.extend(runtime::mesh(context, &found, mesh.as_ref()).await);
    if matches!(found, Found::Stopped | Found::Stale(_)) {
        findings.extend(files::state(&context.data_dir));
    }
    findings.push(files::audit(&context.data_dir));
    let report = Report {
        ok: findings.iter().all(|one| one.level != Level::Fail),
        findings,
    };
    context
        .output
        .show(&report, |style| text(&report.findings, style));
    Ok(if report.ok { Exit::Done } else { Exit::Failed })
}

fn text(findings: &[Finding], style: &Style) -> String {
    let wide = findings
        .iter()
        .map(|one| one.subject.len())
        .max()
        .unwrap_or(0);
    let mut lines = Vec::new();
    for one in findings {
        let level = match one.level {
            Level::Ok => style.green("ok  "),
            Level::Warn => style.yellow("warn"),
            Level::Fail => style.red("fail"),
        };
        let indent = format!("\n      {:wide$}  ", "");
        let message = safe(&one.message).replace('\n', &indent);
        lines.push(format!("{level}  {:wide$}  {message}", one.subject));
        if let Some(mend) = &one.mend {
            lines.push(format!(
                "      {:wide$}  {} {}",
                "",
                style.cyan("mend:"),
                safe(mend)
            ));
        }
    }
    let count = |level: Level| findings.iter().filter(|one| one.level == level).count();
    lines.push(match (count(Level::Fail), count(Level::Warn)) {
        (0, 0) => style.green("everything is as it should be"),
        (0, warnings) => format!("it works; {warnings} could be better"),
        (failures, _) => style.red(&format!("{failures} wrong")),
    });
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_line_up_and_name_what_mends_them() {
        let findings = [
            Finding::ok("data", "fine"),
            Finding::fail("mesh.yaml", "two\nlines", "do this"),
        ];
        assert_eq!(
            text(&findings, &Style::plain()),
            "ok    data       fine\nfail  mesh.yaml  two\n                 lines\n                 mend: do this\n1 wrong"
        );
        assert_eq!(
            serde_json::to_value(&findings[1]).unwrap(),
            serde_json::json!({"level": "fail", "subject": "mesh.yaml", "message": "two\nlines", "mend": "do this"})
        );
    }
}
