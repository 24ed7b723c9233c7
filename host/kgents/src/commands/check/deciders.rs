//! The deciders that mesh.yaml says are elsewhere.

use super::Finding;
use super::files::Folder;
use crate::up::OverHttp;

/// Whether they answer; nothing where the mesh asks its own.
pub fn elsewhere(folder: &Folder) -> Option<Finding> {
    let url = folder.config.mesh.deciders.as_ref()?.get();
    let checked = OverHttp::new(url).and_then(|remote| remote.check());
    Some(found(url, checked))
}

fn found(url: &str, checked: Result<(), String>) -> Finding {
    let subject = "deciders";
    match checked {
        Ok(()) => Finding::ok(subject, format!("those at {url} answer")),
        Err(why) => Finding::fail(
            subject,
            format!("those at {url} cannot be asked: {why}"),
            "start the component `decide` there, or take `deciders` out of mesh.yaml",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::check::Level;

    #[test]
    fn deciders_that_do_not_answer_are_wrong_by_their_address() {
        let finding = found("http://d.example", Err("refused".to_owned()));
        assert_eq!(finding.level, Level::Fail);
        assert_eq!(
            finding.message,
            "those at http://d.example cannot be asked: refused"
        );
        assert_eq!(found("http://d.example", Ok(())).level, Level::Ok);
    }
}
