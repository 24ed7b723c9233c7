//! The mesh's vocabulary for policies: the Cedar schema, parsed once a load.

use std::collections::HashMap;

use cedar_policy::{Entities, EntityId, EntityTypeName, EntityUid, Schema};

use crate::problem::Problem;
use crate::question::Kind;

/// The Cedar schema that policies are validated against, as text.
pub const SCHEMA: &str = include_str!("schema.cedarschema");

/// One action that can be asked for.
#[derive(Debug)]
pub(crate) struct Action {
    /// Its place among all actions, from 0.
    pub number: usize,
    /// Its Cedar name.
    pub uid: EntityUid,
    /// A store that holds only this action and knows its groups.
    pub entities: Entities,
}

/// The schema and what is looked up in it for every query.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    /// The schema itself.
    pub schema: Schema,
    actions: HashMap<String, Action>,
    types: Types,
}

/// Parsed names of the entity types.
#[derive(Debug)]
struct Types {
    group: EntityTypeName,
    user: EntityTypeName,
    agent: EntityTypeName,
    gateway: EntityTypeName,
    account: EntityTypeName,
    pheromone: EntityTypeName,
    mesh: EntityTypeName,
}

impl Vocabulary {
    /// Reads [`SCHEMA`]. Fails only if that file is broken, which a test rules
    /// out; it is a problem like any other so that loading never panics.
    pub fn read() -> Result<Self, Problem> {
        let broken = |message: String| Problem::unplaced(&format!("schema: {message}"));
        let (schema, _warnings) =
            Schema::from_cedarschema_str(SCHEMA).map_err(|error| broken(error.to_string()))?;
        let actions = actions(&schema).map_err(broken)?;
        let types = types().map_err(broken)?;
        Ok(Self {
            schema,
            actions,
            types,
        })
    }

    /// The action of this name, unless the schema has none; a group of actions
    /// cannot be asked for.
    pub fn action(&self, name: &str) -> Option<&Action> {
        self.actions.get(name)
    }

    /// Every action that can be asked for, in no order.
    pub fn actions(&self) -> impl Iterator<Item = &Action> {
        self.actions.values()
    }

    /// Names of the actions and of the groups of actions, sorted.
    pub fn names(&self) -> Vec<&str> {
        let uids = self.schema.actions().chain(self.schema.action_groups());
        let mut names: Vec<&str> = uids.map(|uid| uid.id().unescaped()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Cedar's name for the entity `id` of type `kind`.
    pub fn uid(&self, kind: Kind, id: &str) -> EntityUid {
        let types = &self.types;
        let name = match kind {
            Kind::User => &types.user,
            Kind::Agent => &types.agent,
            Kind::Gateway => &types.gateway,
            Kind::Account => &types.account,
            Kind::Pheromone => &types.pheromone,
            Kind::Mesh => &types.mesh,
        };
        EntityUid::from_type_name_and_id(name.clone(), EntityId::new(id))
    }

    /// Cedar's name for the group `id`.
    pub fn group(&self, id: &str) -> EntityUid {
        EntityUid::from_type_name_and_id(self.types.group.clone(), EntityId::new(id))
    }
}

fn actions(schema: &Schema) -> Result<HashMap<String, Action>, String> {
    let all = schema
        .action_entities()
        .map_err(|error| error.to_string())?;
    let groups: Vec<&EntityUid> = schema.action_groups().collect();
    let mut uids: Vec<&EntityUid> = schema
        .actions()
        .filter(|uid| !groups.contains(uid))
        .collect();
    uids.sort();
    let mut actions = HashMap::with_capacity(uids.len());
    for (number, uid) in uids.into_iter().enumerate() {
        let entities = Entities::from_entities(all.get(uid).cloned(), None)
            .map_err(|error| error.to_string())?;
        let action = Action {
            number,
            uid: uid.clone(),
            entities,
        };
        actions.insert(uid.id().unescaped().to_owned(), action);
    }
    Ok(actions)
}

fn types() -> Result<Types, String> {
    let name = |name: &str| {
        name.parse::<EntityTypeName>()
            .map_err(|error| error.to_string())
    };
    Ok(Types {
        group: name("Group")?,
        user: name("User")?,
        agent: name("Agent")?,
        gateway: name("Gateway")?,
        account: name("Account")?,
        pheromone: name("Pheromone")?,
        mesh: name("Mesh")?,
    })
}
