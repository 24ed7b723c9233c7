//! The verdict on a query: what its policies say, put together.

use std::collections::HashMap;

use cedar_policy::{Authorizer, Context, Decision, Entities, Request, Response};

use crate::index::{Class, Index, Keys};
use crate::party::{Misfit, Party, expressions};
use crate::question::{DEFAULT_DENY, POLICY_ERROR, Query, Subject, Verdict};
use crate::schema::{Action, Vocabulary};

/// Judges the queries of one subject and keeps what they share.
pub(crate) struct Judge<'a> {
    vocabulary: &'a Vocabulary,
    index: &'a Index,
    authorizer: Authorizer,
    subject: Party,
    keys: Keys,
    /// By the number of the action: Cedar's store with the action and the
    /// subject in it, or why the subject does not fit the schema.
    stores: HashMap<usize, Result<Entities, Misfit>>,
}

impl<'a> Judge<'a> {
    /// For this subject.
    pub fn new(vocabulary: &'a Vocabulary, index: &'a Index, subject: &Subject) -> Self {
        let subject = Party::subject(vocabulary, subject);
        let keys = index.keys(&subject.uid, &subject.groups);
        Self {
            vocabulary,
            index,
            authorizer: Authorizer::new(),
            subject,
            keys,
            stores: HashMap::new(),
        }
    }

    /// The verdict on one query. What does not fit the schema is denied.
    pub fn judge(&mut self, query: &Query) -> Verdict {
        self.ask(query).unwrap_or_else(|misfit| Verdict {
            allowed: false,
            policy: POLICY_ERROR.to_owned(),
            checked: Vec::new(),
            errors: vec![misfit.to_string()],
        })
    }

    fn ask(&mut self, query: &Query) -> Result<Verdict, Misfit> {
        let vocabulary = self.vocabulary;
        let action = vocabulary.action(&query.action);
        let action = action.ok_or_else(|| Misfit::Action(query.action.clone()))?;
        let mut resource = Party::resource(vocabulary, query);
        let request = self.request(action, &resource, query)?;
        // An agent that asks about itself is one entity, not two.
        let reflexive = resource.uid == self.subject.uid;
        let store = if reflexive {
            resource = self.subject.merge(resource);
            &action.entities
        } else {
            let store = self.stores.entry(action.number);
            let with_subject = || enter(vocabulary, &action.entities, &self.subject);
            store
                .or_insert_with(with_subject)
                .as_ref()
                .map_err(Misfit::clone)?
        };
        let entities = enter(vocabulary, store, &resource)?;
        let keys = self.index.keys(&resource.uid, &resource.groups);
        let principal = if reflexive { &keys } else { &self.keys };
        let mut opinions = Opinions::default();
        for class in self.index.matching(action.number, principal, &keys) {
            let response = self
                .authorizer
                .is_authorized(&request, &class.set, &entities);
            opinions.hear(class, &response);
        }
        Ok(opinions.verdict())
    }

    fn request(&self, action: &Action, resource: &Party, query: &Query) -> Result<Request, Misfit> {
        let context = expressions(&"the context", &query.context)?;
        let context = Context::from_pairs(context).map_err(|error| Misfit::cedar(&error))?;
        let (principal, resource) = (self.subject.uid.clone(), resource.uid.clone());
        let schema = Some(&self.vocabulary.schema);
        Request::new(principal, action.uid.clone(), resource, context, schema)
            .map_err(|error| Misfit::cedar(&error))
    }
}

/// The store with the party in it, if the party fits the schema.
fn enter(vocabulary: &Vocabulary, store: &Entities, party: &Party) -> Result<Entities, Misfit> {
    let entity = party.entity()?;
    let added = store
        .clone()
        .add_entities([entity], Some(&vocabulary.schema));
    added.map_err(|error| Misfit::cedar(&error))
}

/// What the classes of policies say, as it comes in.
#[derive(Default)]
struct Opinions {
    /// The first forbid by id that matched.
    forbid: Option<String>,
    /// The first permit by id that matched.
    permit: Option<String>,
    checked: Vec<u32>,
    errors: Vec<String>,
}

impl Opinions {
    fn hear(&mut self, class: &Class, response: &Response) {
        self.checked.extend(&class.members);
        let diagnostics = response.diagnostics();
        self.errors
            .extend(diagnostics.errors().map(ToString::to_string));
        let Some(first) = diagnostics.reason().map(AsRef::<str>::as_ref).min() else {
            return;
        };
        // Cedar's reasons are the forbids that matched, if any, else the permits.
        let side = match response.decision() {
            Decision::Deny => &mut self.forbid,
            Decision::Allow => &mut self.permit,
        };
        if side.as_deref().is_none_or(|known| first < known) {
            *side = Some(first.to_owned());
        }
    }

    fn verdict(mut self) -> Verdict {
        self.checked.sort_unstable();
        self.errors.sort_unstable();
        // Cedar skips a policy that errs. Had it been a forbid, skipping it
        // would allow what its author forbade, so here an error denies.
        let (allowed, policy) = match (self.errors.is_empty(), self.forbid, self.permit) {
            (false, _, _) => (false, POLICY_ERROR.to_owned()),
            (true, Some(forbid), _) => (false, forbid),
            (true, None, Some(permit)) => (true, permit),
            (true, None, None) => (false, DEFAULT_DENY.to_owned()),
        };
        Verdict {
            allowed,
            policy,
            checked: self.checked,
            errors: self.errors,
        }
    }
}
