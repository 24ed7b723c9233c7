//! Deprecation of an agent: an A2A extension by which a card says that another agent
//! takes over. Source: our decision; A2A 1.0.1 §4.4.3 leaves room for extensions.

use crate::call::Failure;
use crate::card::{DESCRIPTION_CHARS_MAX, NAME_CHARS_MAX};
use crate::fields::{Fields, LINES, ONE_LINE, refused};
use crate::json::clip;
use crate::slug::is_label;

/// URI of the extension, in `capabilities.extensions`.
pub const DEPRECATED_URI: &str = "https://kgents.dev/ext/deprecated/v1";
/// Extensions of one agent, at most.
const EXTENSIONS_MAX: usize = 128;

/// What a card says of its own end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deprecation {
    /// The agent that takes over, by its name in the mesh: an RFC 1123 label.
    pub successor: String,
    /// Why, for people.
    pub reason: Option<String>,
}

/// The deprecation among a card's extensions.
///
/// # Errors
/// `Refused`, naming the field: given twice, without a successor that is a name, or
/// with a member that is not known.
pub(crate) fn read(capabilities: &Fields<'_>) -> Result<Option<Deprecation>, Failure> {
    let mut found = None;
    let extensions = capabilities.array("extensions", EXTENSIONS_MAX)?;
    for (index, raw) in extensions.into_iter().enumerate() {
        let at = format!("capabilities.extensions[{index}]");
        let fields = Fields::read(&at, raw.get())?;
        fields.strict(&["uri", "params"])?;
        // A URI that is no text is another extension's matter.
        if fields.get("uri").and_then(crate::json::string).as_deref() != Some(DEPRECATED_URI) {
            continue;
        }
        if found.is_some() {
            return Err(refused(
                &format!("`{at}`"),
                "says again that the agent is deprecated",
            ));
        }
        found = Some(params(&at, &fields)?);
    }
    Ok(found)
}

fn params(at: &str, fields: &Fields<'_>) -> Result<Deprecation, Failure> {
    let at = format!("{at}.params");
    let hint = "give `params` with `successor`, the name of the agent that takes over";
    let Some(raw) = fields.get("params") else {
        return Err(refused(&format!("`{at}`"), "is missing").hint(hint));
    };
    let params = Fields::read(&at, raw.get())?;
    params.only(&["successor", "reason"])?;
    let successor = params
        .required("successor", NAME_CHARS_MAX, ONE_LINE)
        .map_err(|failure| failure.hint(hint))?;
    if !is_label(&successor) {
        let what = format!("is no name of an agent: `{}`", clip(&successor, 64));
        return Err(refused(&format!("`{at}.successor`"), &what)
            .hint("1 to 63 lower-case letters, digits and `-`, as `kgents agents list` shows it"));
    }
    let reason = params.text("reason", DESCRIPTION_CHARS_MAX, LINES)?;
    Ok(Deprecation {
        successor,
        reason: (!reason.is_empty()).then_some(reason),
    })
}
