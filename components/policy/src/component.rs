//! The component's door: bindings in, bindings out.

mod bindings {
    wit_bindgen::generate!({ path: "../../wit/policy", world: "policy" });
}

use bindings::exports::kgents::policy::authorization as wit;

struct Component;

impl wit::Guest for Component {
    type PolicySet = crate::PolicySet;

    fn schema() -> String {
        crate::SCHEMA.to_owned()
    }
}

impl wit::GuestPolicySet for crate::PolicySet {
    fn load(sources: Vec<wit::Source>) -> Result<wit::PolicySet, Vec<wit::Problem>> {
        let sources: Vec<crate::Source> = all(sources);
        Self::load(&sources).map(wit::PolicySet::new).map_err(all)
    }

    fn ids(&self) -> Vec<String> {
        self.ids().to_vec()
    }

    fn evaluate(&self, subject: wit::Subject, queries: Vec<wit::Query>) -> Vec<wit::Verdict> {
        let queries: Vec<crate::Query> = all(queries);
        all(self.evaluate(&subject.into(), &queries))
    }
}

fn all<A, B>(values: Vec<A>) -> Vec<B>
where
    A: Into<B>,
{
    values.into_iter().map(Into::into).collect()
}

impl From<wit::Source> for crate::Source {
    fn from(source: wit::Source) -> Self {
        Self {
            name: source.name,
            text: source.text,
        }
    }
}

impl From<crate::Problem> for wit::Problem {
    fn from(problem: crate::Problem) -> Self {
        Self {
            source: problem.source,
            policy: problem.policy,
            line: problem.line,
            message: problem.message,
            hint: problem.hint,
        }
    }
}

impl From<wit::Kind> for crate::Kind {
    fn from(kind: wit::Kind) -> Self {
        match kind {
            wit::Kind::User => Self::User,
            wit::Kind::Agent => Self::Agent,
            wit::Kind::Gateway => Self::Gateway,
            wit::Kind::Account => Self::Account,
            wit::Kind::Pheromone => Self::Pheromone,
            wit::Kind::Mesh => Self::Mesh,
        }
    }
}

impl From<wit::Value> for crate::Value {
    fn from(value: wit::Value) -> Self {
        match value {
            wit::Value::Text(text) => Self::Text(text),
            wit::Value::Number(number) => Self::Number(number),
            wit::Value::Truth(truth) => Self::Truth(truth),
            wit::Value::Texts(texts) => Self::Texts(texts),
        }
    }
}

impl From<wit::Attribute> for crate::Attribute {
    fn from(attribute: wit::Attribute) -> Self {
        Self {
            name: attribute.name,
            value: attribute.value.into(),
        }
    }
}

impl From<wit::Subject> for crate::Subject {
    fn from(subject: wit::Subject) -> Self {
        Self {
            kind: subject.kind.into(),
            id: subject.id,
            groups: subject.groups,
            attributes: all(subject.attributes),
        }
    }
}

impl From<wit::Query> for crate::Query {
    fn from(query: wit::Query) -> Self {
        Self {
            action: query.action,
            resource_kind: query.resource_kind.into(),
            resource_id: query.resource_id,
            resource_groups: query.resource_groups,
            resource_attributes: all(query.resource_attributes),
            context: all(query.context),
        }
    }
}

impl From<crate::Verdict> for wit::Verdict {
    fn from(verdict: crate::Verdict) -> Self {
        Self {
            allowed: verdict.allowed,
            policy: verdict.policy,
            checked: verdict.checked,
            errors: verdict.errors,
        }
    }
}

bindings::export!(Component with_types_in bindings);
