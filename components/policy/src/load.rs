//! From policy files to validated policies, or to everything that is wrong
//! with them.

use std::collections::{BTreeMap, HashMap, HashSet};

use cedar_policy::{
    Policy, PolicyId, PolicySet, ValidationError, ValidationMode, ValidationWarning, Validator,
};
use miette::Diagnostic;

use crate::limits::{POLICIES_MAX, outline};
use crate::problem::{Problem, Source};
use crate::question::{DEFAULT_DENY, POLICY_ERROR};
use crate::schema::Vocabulary;

/// Longest policy id in bytes: it is written into every audit event.
pub const ID_BYTES_MAX: usize = 128;

/// A policy and where it is written.
struct Placed<'a> {
    source: &'a Source,
    /// Its first byte in the text.
    offset: usize,
    policy: Policy,
}

impl Placed<'_> {
    fn line(&self) -> u32 {
        self.source.line_at(self.offset)
    }
}

/// Parses and strictly validates the files. The policies come sorted by id.
/// All problems of all files are reported together, in the order of the files.
pub(crate) fn load(
    vocabulary: &Vocabulary,
    sources: &[Source],
) -> Result<Vec<Policy>, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut policies = BTreeMap::new();
    let mut statements = 0;
    for source in sources {
        let outline = outline(source);
        let before = statements;
        statements += outline.statements;
        let read = if !outline.problems.is_empty() {
            Err(outline.problems)
        } else if statements > POLICIES_MAX {
            // Told once, of the file that crossed the bound.
            let crossed = before <= POLICIES_MAX;
            Err(crossed.then(|| too_many(source)).into_iter().collect())
        } else {
            read(source)
        };
        match read {
            Ok(placed) => admit(placed, &mut policies, &mut problems),
            Err(found) => problems.extend(found),
        }
    }
    problems.extend(validate(vocabulary, &policies));
    if problems.is_empty() {
        return Ok(policies.into_values().map(|placed| placed.policy).collect());
    }
    let order: HashMap<&str, usize> = sources
        .iter()
        .enumerate()
        .rev()
        .map(|(place, source)| (source.name.as_str(), place))
        .collect();
    problems.sort_by_cached_key(|problem| {
        (
            order.get(problem.source.as_str()).copied(),
            problem.line,
            problem.message.clone(),
        )
    });
    problems.dedup();
    Err(problems)
}

fn too_many(source: &Source) -> Problem {
    let message = format!("with this file there are more than {POLICIES_MAX} policies");
    let hint = "name groups instead of single principals: one policy then serves many";
    Problem::new(source, None, message, hint)
}

/// Parses one file and names its policies.
fn read(source: &Source) -> Result<Vec<Placed<'_>>, Vec<Problem>> {
    let parsed: PolicySet = source
        .text
        .parse()
        .map_err(|errors: cedar_policy::ParseErrors| {
            let problem = |error| Problem::from_cedar(source, None, error);
            errors
                .iter()
                .map(|error| problem(error))
                .collect::<Vec<_>>()
        })?;
    let mut placed = Vec::with_capacity(parsed.num_of_policies());
    let mut problems = Vec::new();
    for template in parsed.templates() {
        let line = template
            .as_ref()
            .loc()
            .map(|loc| source.line_at(loc.start()));
        let message = "a template cannot be used: nothing fills in its slots".to_owned();
        let hint = "write `==` or `in` and an entity instead of `?principal` and `?resource`";
        problems.push(Problem::new(source, line, message, hint));
    }
    for policy in parsed.policies() {
        let offset = policy.as_ref().loc().map_or(0, |loc| loc.start());
        match name(source, policy) {
            Ok(id) => placed.push(Placed {
                source,
                offset,
                policy: policy.new_id(PolicyId::new(id)),
            }),
            Err((message, hint)) => {
                let line = Some(source.line_at(offset));
                problems.push(Problem::new(source, line, message, hint));
            }
        }
    }
    if problems.is_empty() {
        Ok(placed)
    } else {
        Err(problems)
    }
}

/// The policy's `@id`, else `<file stem>#<number from 1>`.
fn name(source: &Source, policy: &Policy) -> Result<String, (String, &'static str)> {
    let id = match policy.annotation("id") {
        Some(id) => id.to_owned(),
        None => format!("{}#{}", source.stem(), number(policy)),
    };
    if id.is_empty() {
        let message = "the `@id` is empty".to_owned();
        return Err((
            message,
            "give it a name, `@id(\"allow-translator\")`, or take it away",
        ));
    }
    if id.len() > ID_BYTES_MAX {
        let message = format!("the id `{id}` has more than {ID_BYTES_MAX} bytes");
        return Err((message, "give the policy a shorter `@id`"));
    }
    if id.chars().any(char::is_control) {
        let message = format!("the id {id:?} has a control character");
        return Err((
            message,
            "give the policy an `@id` of letters, digits and dashes",
        ));
    }
    if id == DEFAULT_DENY || id == POLICY_ERROR {
        let message = format!("the id `{id}` is reserved");
        return Err((message, "give the policy another `@id`"));
    }
    Ok(id)
}

/// Cedar calls the policies of a text `policy0`, `policy1`, … in their order.
fn number(policy: &Policy) -> usize {
    let id: &str = policy.id().as_ref();
    let place = id
        .strip_prefix("policy")
        .and_then(|place| place.parse::<usize>().ok());
    place.map_or(1, |place| place + 1)
}

/// Takes the policies of one file in, except those whose id is taken.
fn admit<'a>(
    placed: Vec<Placed<'a>>,
    policies: &mut BTreeMap<String, Placed<'a>>,
    problems: &mut Vec<Problem>,
) {
    for placed in placed {
        let id = placed.policy.id().to_string();
        let Some(first) = policies.get(&id) else {
            policies.insert(id, placed);
            continue;
        };
        let (file, line) = (&first.source.name, first.line());
        let message = format!("the id `{id}` is taken by the policy at {file}:{line}");
        let hint = "ids name policies in audit events: give each its own `@id`";
        let mut problem = Problem::new(placed.source, Some(placed.line()), message, hint);
        problem.policy = Some(id);
        problems.push(problem);
    }
}

/// What the strict validator finds. A warning refuses too when it says that the
/// policy cannot mean what it seems to: it never applies, or its text deceives.
/// Strings of mixed scripts pass: they are names in somebody's language.
fn validate(vocabulary: &Vocabulary, policies: &BTreeMap<String, Placed<'_>>) -> Vec<Problem> {
    let mut set = PolicySet::new();
    let mut problems = Vec::new();
    for placed in policies.values() {
        if let Err(error) = set.add(placed.policy.clone()) {
            problems.push(Problem::from_cedar(placed.source, None, &error));
        }
    }
    let mut blame = |id: &PolicyId, found: &dyn Diagnostic, hint: Option<String>| {
        let id: &str = id.as_ref();
        if let Some(placed) = policies.get(id) {
            let mut problem = Problem::from_cedar(placed.source, Some(id), found);
            problem.line.get_or_insert_with(|| placed.line());
            problem.hint = hint.or(problem.hint);
            problems.push(problem);
        }
    };
    let validator = Validator::new(vocabulary.schema.clone());
    let found = validator.validate(&set, ValidationMode::Strict);
    // What follows from something worse is no news: one finding a policy, from
    // the errors down to the vaguest warning.
    let mut blamed = HashSet::new();
    for error in found.validation_errors() {
        blamed.insert(error.policy_id());
        // Cedar's own suggestion compares unlike with unlike.
        let unknown = matches!(error, ValidationError::UnrecognizedActionId(_));
        let hint = unknown.then(|| format!("the actions are {}", vocabulary.names().join(", ")));
        blame(error.policy_id(), error, hint);
    }
    for warning in found.validation_warnings() {
        if let ValidationWarning::InvalidActionApplication(_) = warning {
            let hint = "the schema says which principals and resources an action takes";
            if blamed.insert(warning.policy_id()) {
                blame(warning.policy_id(), warning, Some(hint.to_owned()));
            }
        }
    }
    for warning in found.validation_warnings() {
        let hint = match warning {
            ValidationWarning::MixedScriptString(_) => continue,
            ValidationWarning::ImpossiblePolicy(_) => "mend the condition or delete the policy",
            _ => "write it so that it reads as what it is",
        };
        if blamed.insert(warning.policy_id()) {
            blame(warning.policy_id(), warning, Some(hint.to_owned()));
        }
    }
    problems
}
