//! The index never changes a verdict: for random policies and queries the answer
//! is the one that Cedar gives when it evaluates the whole set.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use super::*;
use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityUid, Request, RestrictedExpression,
    Schema,
};
use kgents_policy::{DEFAULT_DENY, POLICY_ERROR, SCHEMA};
use proptest::prelude::*;
use proptest::sample::select;

const GROUPS: [&str; 3] = ["everyone", "red", "blue"];
const AGENTS: [&str; 3] = ["a", "b", "c"];

fn principal_scope() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("principal".to_owned()),
        select(vec!["User", "Agent"]).prop_map(|kind| format!("principal is {kind}")),
        (select(vec!["User", "Agent"]), select(AGENTS.to_vec()))
            .prop_map(|(kind, id)| format!("principal == {kind}::\"{id}\"")),
        (select(vec!["User", "Agent"]), select(AGENTS.to_vec()))
            .prop_map(|(kind, id)| format!("principal in {kind}::\"{id}\"")),
        select(GROUPS.to_vec()).prop_map(|id| format!("principal in Group::\"{id}\"")),
        (select(vec!["User", "Agent"]), select(GROUPS.to_vec()))
            .prop_map(|(kind, id)| format!("principal is {kind} in Group::\"{id}\"")),
    ]
}

fn action_scope() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("action".to_owned()),
        select(vec!["list", "invoke", "remove"])
            .prop_map(|name| format!("action == Action::\"{name}\"")),
        select(vec!["use", "manage"]).prop_map(|name| format!("action in Action::\"{name}\"")),
        Just("action in [Action::\"manage\", Action::\"invoke\", Action::\"allocate\"]".to_owned()),
    ]
}

fn resource_scope() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("resource".to_owned()),
        Just("resource is Agent".to_owned()),
        select(AGENTS.to_vec()).prop_map(|id| format!("resource == Agent::\"{id}\"")),
        select(AGENTS.to_vec()).prop_map(|id| format!("resource in Agent::\"{id}\"")),
        select(GROUPS.to_vec()).prop_map(|id| format!("resource in Group::\"{id}\"")),
        select(GROUPS.to_vec()).prop_map(|id| format!("resource is Agent in Group::\"{id}\"")),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just(String::new()),
        2 => Just("when { resource is Agent && resource has labels && resource.labels.contains(\"x=1\") }".to_owned()),
        2 => Just("unless { principal has cluster && principal.cluster like \"eu-*\" }".to_owned()),
        1 => Just("when { principal == resource }".to_owned()),
        1 => Just("when { principal in Group::\"red\" || action in Action::\"use\" }".to_owned()),
        // Overflows for some of the queries.
        1 => Just("when { context has tokens && context.tokens * 2 > 10 }".to_owned()),
    ]
}

fn policy() -> impl Strategy<Value = String> {
    let effect = prop_oneof![3 => Just("permit"), 1 => Just("forbid")];
    (
        effect,
        principal_scope(),
        action_scope(),
        resource_scope(),
        condition(),
    )
        .prop_map(|(effect, principal, action, resource, condition)| {
            format!("{effect}({principal}, {action}, {resource}) {condition};")
        })
}

fn cluster() -> impl Strategy<Value = Vec<Attribute>> {
    prop_oneof![
        Just(vec![]),
        Just(vec![text("cluster", "eu-1")]),
        Just(vec![text("cluster", "us-1")])
    ]
}

fn some_groups() -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::subsequence(GROUPS.to_vec(), 0..=GROUPS.len())
}

fn any_subject() -> impl Strategy<Value = Subject> {
    (
        select(vec![Kind::User, Kind::Agent]),
        select(AGENTS.to_vec()),
        some_groups(),
        cluster(),
    )
        .prop_map(|(kind, id, groups, attributes)| Subject {
            attributes,
            ..subject(kind, id, &groups)
        })
}

fn any_query() -> impl Strategy<Value = Query> {
    let on_agent = (
        select(vec!["list", "route", "invoke", "remove"]),
        select(vec!["a", "b", "c", "d"]),
        some_groups(),
        any::<bool>(),
    )
        .prop_map(|(action, id, groups, labelled)| Query {
            resource_groups: groups.iter().map(ToString::to_string).collect(),
            resource_attributes: labelled
                .then(|| texts("labels", &["x=1"]))
                .into_iter()
                .collect(),
            ..query(action, Kind::Agent, id)
        });
    let on_account = select(vec![1, 6, i64::MAX]).prop_map(|tokens| Query {
        context: vec![number("tokens", tokens)],
        ..query("allocate", Kind::Account, "a")
    });
    prop_oneof![4 => on_agent, 1 => on_account]
}

fn uid(kind: &str, id: &str) -> EntityUid {
    format!("{kind}::\"{id}\"").parse().unwrap()
}

fn entity(uid: EntityUid, groups: &[String], attributes: &[Attribute]) -> Entity {
    let value = |value: &Value| match value {
        Value::Text(text) => RestrictedExpression::new_string(text.clone()),
        Value::Texts(texts) => RestrictedExpression::new_set(
            texts
                .iter()
                .map(|text| RestrictedExpression::new_string(text.clone())),
        ),
        other => panic!("{other:?}"),
    };
    let attributes: HashMap<_, _> = attributes
        .iter()
        .map(|attribute| (attribute.name.clone(), value(&attribute.value)))
        .collect();
    let parents: HashSet<_> = groups
        .iter()
        .map(|group| super::soundness::uid("Group", group))
        .collect();
    Entity::new(uid, attributes, parents).unwrap()
}

static ORACLE_SCHEMA: LazyLock<Schema> =
    LazyLock::new(|| Schema::from_cedarschema_str(SCHEMA).unwrap().0);

/// Without those that can never apply, which do not load.
fn applicable(policies: Vec<String>) -> Vec<String> {
    let named = policies.iter().enumerate();
    let text: String = named
        .map(|(number, text)| format!("@id(\"{number}\") {text}\n"))
        .collect();
    let Err(problems) = PolicySet::load(&[source("random.cedar", &text)]) else {
        return policies;
    };
    let refused: HashSet<String> = problems
        .into_iter()
        .filter_map(|problem| problem.policy)
        .collect();
    let named = policies.into_iter().enumerate();
    named
        .filter(|(number, _)| !refused.contains(&number.to_string()))
        .map(|(_, text)| text)
        .collect()
}

/// Allowed, deciding policy and ids of matching or erring policies, by Cedar
/// alone over the whole set.
fn oracle(policies: &[String], subject: &Subject, query: &Query) -> (bool, String, Vec<String>) {
    let schema = &*ORACLE_SCHEMA;
    let mut set = cedar_policy::PolicySet::new();
    for (number, text) in policies.iter().enumerate() {
        let id = cedar_policy::PolicyId::new(format!("p{number:03}"));
        set.add(cedar_policy::Policy::parse(Some(id), text).unwrap())
            .unwrap();
    }
    let principal = uid(
        if subject.kind == Kind::User {
            "User"
        } else {
            "Agent"
        },
        &subject.id,
    );
    let resource = uid(
        if query.resource_kind == Kind::Agent {
            "Agent"
        } else {
            "Account"
        },
        &query.resource_id,
    );
    let entities = if principal == resource {
        let groups = [&subject.groups[..], &query.resource_groups].concat();
        let attributes = [&subject.attributes[..], &query.resource_attributes].concat();
        vec![entity(principal.clone(), &groups, &attributes)]
    } else {
        vec![
            entity(principal.clone(), &subject.groups, &subject.attributes),
            entity(
                resource.clone(),
                &query.resource_groups,
                &query.resource_attributes,
            ),
        ]
    };
    let entities = Entities::from_entities(entities, Some(schema)).unwrap();
    let context = query.context.iter().map(|attribute| match attribute.value {
        Value::Number(number) => (
            attribute.name.clone(),
            RestrictedExpression::new_long(number),
        ),
        _ => panic!("{attribute:?}"),
    });
    let context = Context::from_pairs(context).unwrap();
    let action = uid("Action", &query.action);
    let request = Request::new(principal, action, resource, context, Some(schema)).unwrap();
    let response = Authorizer::new().is_authorized(&request, &set, &entities);
    let diagnostics = response.diagnostics();
    let mut reasons: Vec<String> = diagnostics.reason().map(ToString::to_string).collect();
    reasons.sort();
    let (mut allowed, mut policy) = (
        response.decision() == Decision::Allow,
        reasons
            .first()
            .cloned()
            .unwrap_or_else(|| DEFAULT_DENY.to_owned()),
    );
    if diagnostics.errors().next().is_some() {
        (allowed, policy) = (false, POLICY_ERROR.to_owned());
    }
    (allowed, policy, reasons)
}

proptest! {
    #[test]
    fn the_index_never_changes_a_verdict(
        policies in prop::collection::vec(policy(), 0..12),
        subject in any_subject(),
        queries in prop::collection::vec(any_query(), 1..6),
    ) {
        let policies = applicable(policies);
        let text: Vec<String> =
            policies.iter().enumerate().map(|(number, text)| format!("@id(\"p{number:03}\") {text}")).collect();
        let set = load(&[("random.cedar", &text.join("\n"))]);
        let verdicts = set.evaluate(&subject, &queries);
        prop_assert_eq!(verdicts.len(), queries.len());
        for (query, verdict) in queries.iter().zip(verdicts) {
            let (allowed, policy, reasons) = oracle(&policies, &subject, query);
            prop_assert_eq!((verdict.allowed, &verdict.policy), (allowed, &policy), "{:?}", query);
            prop_assert_eq!(verdict.errors.is_empty(), policy != POLICY_ERROR);
            let checked: Vec<&String> = verdict.checked.iter().map(|index| &set.ids()[*index as usize]).collect();
            prop_assert!(checked.is_sorted());
            for reason in reasons {
                prop_assert!(checked.contains(&&reason), "{} not in {:?}", reason, checked);
            }
        }
    }
}
