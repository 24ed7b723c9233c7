//! `kgents schema` and `kgents completions`: what editors and shells read.

use super::Context;
use crate::cli::{CompletionsArgs, SchemaArgs, SchemaName};
use crate::config::MeshFile;
use crate::config::examples::RoutingExamples;
use crate::config::read::schema_of;
use crate::config::resources::{AgentCard, Budget};
use crate::exit::{Exit, Failure};

/// Prints a schema: JSON whatever the output format, unless YAML is asked for.
pub fn schema(args: &SchemaArgs, context: &Context) -> Result<Exit, Failure> {
    let schema = published(args.which);
    context.output.show(&schema, |_| {
        serde_json::to_string_pretty(&schema).unwrap_or_default()
    });
    Ok(Exit::Done)
}

/// Prints completions.
pub fn completions(args: &CompletionsArgs, context: &Context) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(
        args.shell,
        &mut crate::command_line(),
        "kgents",
        &mut script,
    );
    context.output.write(&String::from_utf8_lossy(&script));
    Ok(Exit::Done)
}

fn published(which: SchemaName) -> serde_json::Value {
    match which {
        SchemaName::Mesh => schema_of::<MeshFile>(),
        SchemaName::AgentCard => schema_of::<AgentCard>(),
        SchemaName::Budget => schema_of::<Budget>(),
        SchemaName::RoutingExamples => schema_of::<RoutingExamples>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_published_schemas_are_those_of_the_types() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schemas");
        for (which, name) in [
            (SchemaName::Mesh, "mesh"),
            (SchemaName::AgentCard, "agent-card"),
            (SchemaName::Budget, "budget"),
            (SchemaName::RoutingExamples, "routing-examples"),
        ] {
            // As values: the order of keys depends on what else is built along.
            let file =
                std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap_or_default();
            let file: serde_json::Value = serde_json::from_str(&file).unwrap_or_default();
            assert!(
                file == published(which),
                "docs/schemas/{name}.json is out of date: kgents schema {name} > docs/schemas/{name}.json"
            );
        }
    }
}
