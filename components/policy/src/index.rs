//! Which policies a query can concern at all, found without looking at the
//! others.
//!
//! Cedar evaluates every policy of a set, so the cost of a query grows with the
//! number of policies. Here policies are gathered at load into classes of equal
//! scope (`principal …, action …, resource …`), each a small Cedar set of its
//! own, filed under the action, the principal and the resource that the scope
//! names. A query looks up the entities that it is about; what it does not find
//! has a scope that is false, and a policy with a false scope neither matches
//! nor errs. The scopes that are found are still judged by Cedar.

use std::collections::HashMap;

use cedar_policy::{
    ActionConstraint, EntityTypeName, EntityUid, Policy, PolicySet, PrincipalConstraint,
    ResourceConstraint,
};

use crate::problem::Problem;
use crate::schema::Vocabulary;

/// Policies of equal scope.
#[derive(Debug)]
pub(crate) struct Class {
    /// The policies as a set that Cedar evaluates.
    pub set: PolicySet,
    /// Their places among all policies sorted by id, ascending.
    pub members: Vec<u32>,
    scope: Scope,
}

/// What a scope says of the three; equal scopes hold for the same queries.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Scope {
    principal: Side,
    /// Numbers of the actions it holds for, ascending.
    actions: Vec<usize>,
    resource: Side,
}

/// What a scope says of the principal or the resource.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Side {
    /// The entity that it must be or be in; [`ANYONE`] if none is named.
    entity: Name,
    /// It must be that entity, not only be in it.
    exact: bool,
    /// The type that it must have.
    kind: Option<EntityTypeName>,
}

/// An entity that some scope names, counted from 1.
type Name = u32;

/// Stands for the entity where a scope names none.
const ANYONE: Name = 0;

/// All policies, filed by scope.
#[derive(Debug)]
pub(crate) struct Index {
    classes: Vec<Class>,
    names: HashMap<EntityUid, Name>,
    /// For each action, by its number: places in `classes` of the scopes that
    /// name this principal and this resource.
    files: Vec<HashMap<(Name, Name), Vec<usize>>>,
}

/// The entities that a scope may name to hold for one principal or resource.
#[derive(Debug)]
pub(crate) struct Keys {
    itself: Name,
    kind: EntityTypeName,
    /// [`ANYONE`], itself and its groups, without those that no scope names.
    all: Vec<Name>,
}

impl Index {
    /// Files the policies, which are sorted by id and have no id twice.
    pub fn build(vocabulary: &Vocabulary, policies: &[Policy]) -> Result<Self, Problem> {
        let mut index = Self {
            classes: Vec::new(),
            names: HashMap::new(),
            files: Vec::new(),
        };
        let covered = covered(vocabulary);
        index
            .files
            .resize_with(vocabulary.actions().count(), HashMap::new);
        let mut places: HashMap<Scope, usize> = HashMap::new();
        for (number, policy) in (0..).zip(policies) {
            let scope = index.scope(policy, &covered);
            let place = *places.entry(scope).or_insert_with_key(|scope| {
                let class = Class {
                    set: PolicySet::new(),
                    members: Vec::new(),
                    scope: scope.clone(),
                };
                index.classes.push(class);
                index.classes.len() - 1
            });
            if let Some(class) = index.classes.get_mut(place) {
                class
                    .set
                    .add(policy.clone())
                    .map_err(|error| Problem::unplaced(&error.to_string()))?;
                class.members.push(number);
            }
        }
        for (place, class) in index.classes.iter().enumerate() {
            let key = (class.scope.principal.entity, class.scope.resource.entity);
            for action in &class.scope.actions {
                if let Some(file) = index.files.get_mut(*action) {
                    file.entry(key).or_default().push(place);
                }
            }
        }
        Ok(index)
    }

    /// The keys of an entity that belongs to `groups`.
    pub fn keys(&self, uid: &EntityUid, groups: &[EntityUid]) -> Keys {
        let name = |uid| self.names.get(uid).copied();
        let mut all = vec![ANYONE];
        all.extend(name(uid));
        all.extend(groups.iter().filter_map(name));
        all.sort_unstable();
        all.dedup();
        Keys {
            itself: name(uid).unwrap_or(ANYONE),
            kind: uid.type_name().clone(),
            all,
        }
    }

    /// Every class whose scope holds for this query, in no order.
    pub fn matching<'a>(
        &'a self,
        action: usize,
        principal: &'a Keys,
        resource: &'a Keys,
    ) -> impl Iterator<Item = &'a Class> {
        let file = self.files.get(action);
        principal
            .all
            .iter()
            .flat_map(|who| resource.all.iter().map(|what| (*who, *what)))
            .filter_map(move |key| file.and_then(|file| file.get(&key)))
            .flatten()
            .filter_map(|place| self.classes.get(*place))
            .filter(|class| class.scope.principal.admits(principal))
            .filter(|class| class.scope.resource.admits(resource))
    }

    fn scope(&mut self, policy: &Policy, covered: &HashMap<EntityUid, Vec<usize>>) -> Scope {
        let (entity, exact, kind) = match policy.principal_constraint() {
            PrincipalConstraint::Any => (None, false, None),
            PrincipalConstraint::In(entity) => (Some(entity), false, None),
            PrincipalConstraint::Eq(entity) => (Some(entity), true, None),
            PrincipalConstraint::Is(kind) => (None, false, Some(kind)),
            PrincipalConstraint::IsIn(kind, entity) => (Some(entity), false, Some(kind)),
        };
        let principal = self.side(entity, exact, kind);
        let (entity, exact, kind) = match policy.resource_constraint() {
            ResourceConstraint::Any => (None, false, None),
            ResourceConstraint::In(entity) => (Some(entity), false, None),
            ResourceConstraint::Eq(entity) => (Some(entity), true, None),
            ResourceConstraint::Is(kind) => (None, false, Some(kind)),
            ResourceConstraint::IsIn(kind, entity) => (Some(entity), false, Some(kind)),
        };
        let resource = self.side(entity, exact, kind);
        let named = match policy.action_constraint() {
            ActionConstraint::Any => None,
            ActionConstraint::Eq(action) => Some(vec![action]),
            ActionConstraint::In(actions) => Some(actions),
        };
        let mut actions: Vec<usize> = match named {
            None => (0..self.files.len()).collect(),
            // `== group` holds for no action that can be asked for, yet is
            // filed under its members: more than needed is sound.
            Some(named) => named
                .iter()
                .filter_map(|uid| covered.get(uid))
                .flatten()
                .copied()
                .collect(),
        };
        actions.sort_unstable();
        actions.dedup();
        Scope {
            principal,
            actions,
            resource,
        }
    }

    fn side(
        &mut self,
        entity: Option<EntityUid>,
        exact: bool,
        kind: Option<EntityTypeName>,
    ) -> Side {
        let next = Name::try_from(self.names.len() + 1).unwrap_or(Name::MAX);
        let entity = entity.map_or(ANYONE, |uid| *self.names.entry(uid).or_insert(next));
        Side {
            entity,
            exact,
            kind,
        }
    }
}

impl Side {
    fn admits(&self, keys: &Keys) -> bool {
        let is_it = !self.exact || self.entity == keys.itself;
        is_it && self.kind.as_ref().is_none_or(|kind| *kind == keys.kind)
    }
}

/// For every action and group of actions: the numbers of the actions in it.
fn covered(vocabulary: &Vocabulary) -> HashMap<EntityUid, Vec<usize>> {
    let mut covered: HashMap<EntityUid, Vec<usize>> = HashMap::new();
    for action in vocabulary.actions() {
        let groups = action.entities.ancestors(&action.uid).into_iter().flatten();
        for uid in groups.chain([&action.uid]) {
            covered.entry(uid.clone()).or_default().push(action.number);
        }
    }
    covered
}
