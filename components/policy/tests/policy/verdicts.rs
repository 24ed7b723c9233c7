//! Who may what, under policies as people write them.

use super::*;
use kgents_policy::{DEFAULT_DENY, POLICY_ERROR, SCHEMA};

const RULES: &str = r#"
@id("budget-team")
permit(principal in Group::"finance", action in Action::"budget", resource);

@id("budget-ceiling")
forbid(principal, action == Action::"allocate", resource)
when { context.tokens > 100000 };

@id("eu-residency")
forbid(principal, action in [Action::"route", Action::"invoke"], resource is Agent)
when { resource has labels && resource.labels.contains("residency=eu") }
unless { principal has cluster && principal.cluster like "eu-*" };

@id("a-quarantine")
forbid(principal, action in Action::"use", resource in Group::"quarantine");

@id("gateways")
permit(principal is Gateway in Group::"everyone", action == Action::"exchange", resource is Mesh);

@id("agents-look-after-themselves")
permit(principal is Agent, action in Action::"manage", resource)
when { principal == resource };

@id("quiet-signals")
permit(principal in Group::"everyone", action == Action::"emit", resource)
unless { context has intensity_percent && context.intensity_percent > 50 };

@id("guard-chaos")
forbid(principal, action == Action::"emit", resource == Pheromone::"CHAOS");
"#;

fn everything() -> PolicySet {
    load(&[
        ("operator.cedar", OPERATOR),
        ("allow-translator.cedar", ALLOW_TRANSLATOR),
        ("rules.cedar", RULES),
    ])
}

/// Asserts the decision and the policy that made it.
fn check(set: &PolicySet, subject: &Subject, query: Query, allowed: bool, policy: &str) {
    let name = format!("{} {} {}", subject.id, query.action, query.resource_id);
    let verdicts = set.evaluate(subject, &[query]);
    assert_eq!(verdicts.len(), 1);
    let verdict = &verdicts[0];
    assert_eq!(
        (verdict.allowed, verdict.policy.as_str()),
        (allowed, policy),
        "{name}: {verdict:?}"
    );
    assert_eq!(
        verdict.errors.is_empty(),
        policy != POLICY_ERROR,
        "{name}: {verdict:?}"
    );
    let checked = verdict
        .checked
        .iter()
        .map(|index| set.ids()[*index as usize].as_str());
    let checked: Vec<&str> = checked.collect();
    if policy != POLICY_ERROR && policy != DEFAULT_DENY {
        assert!(
            checked.contains(&policy),
            "{name}: {policy} not in {checked:?}"
        );
    }
    assert!(checked.is_sorted(), "{name}: {checked:?}");
}

#[test]
fn the_empty_set_loads_and_denies_everyone() {
    for set in [load(&[]), load(&[("empty.cedar", "// nothing yet\n")])] {
        assert!(set.ids().is_empty());
        let ada = subject(Kind::User, "ada", &["everyone"]);
        check(
            &set,
            &ada,
            query("list", Kind::Agent, "translator"),
            false,
            DEFAULT_DENY,
        );
    }
}

#[test]
fn the_operator_may_do_everything_that_no_forbid_forbids() {
    let (set, ada) = (everything(), subject(Kind::User, "ada", &["everyone"]));
    for (action, kind, id) in [
        ("list", Kind::Agent, "unheard-of"),
        ("register", Kind::Agent, "translator"),
        ("remove", Kind::Agent, "translator"),
        ("ask", Kind::Mesh, "mesh.local"),
        ("observe", Kind::Mesh, "mesh.local"),
        ("teach", Kind::Mesh, "mesh.local"),
        ("balance", Kind::Account, "translation"),
        ("top-consumers", Kind::Account, "mesh"),
        ("sense", Kind::Pheromone, "CHAOS"),
    ] {
        check(&set, &ada, query(action, kind, id), true, "operator");
    }
    check(
        &set,
        &ada,
        query("emit", Kind::Pheromone, "CHAOS"),
        false,
        "guard-chaos",
    );
}

#[test]
fn an_allowed_agent_serves_everyone_identified_and_nobody_else() {
    let set = everything();
    let bob = subject(Kind::User, "bob", &["everyone"]);
    let agent = subject(Kind::Agent, "planner", &["everyone"]);
    let unknown = subject(Kind::User, "ada2", &[]);
    for action in ["list", "route", "invoke", "read-task", "cancel-task"] {
        let of = |id: &str| query(action, Kind::Agent, id);
        check(&set, &bob, of("translator"), true, "allow-translator");
        check(&set, &agent, of("translator"), true, "allow-translator");
        check(&set, &unknown, of("translator"), false, DEFAULT_DENY);
        check(&set, &bob, of("b-gent"), false, DEFAULT_DENY);
        check(&set, &bob, of("Translator"), false, DEFAULT_DENY);
    }
    check(
        &set,
        &bob,
        query("remove", Kind::Agent, "translator"),
        false,
        DEFAULT_DENY,
    );
}

#[test]
fn an_agent_named_as_the_operator_is_not_the_operator() {
    let impostor = subject(Kind::Agent, "ada", &["everyone"]);
    check(
        &everything(),
        &impostor,
        query("list", Kind::Agent, "x"),
        false,
        DEFAULT_DENY,
    );
    let foreign = subject(Kind::User, "spiffe://evil.example/users/ada", &["everyone"]);
    check(
        &everything(),
        &foreign,
        query("list", Kind::Agent, "x"),
        false,
        DEFAULT_DENY,
    );
}

#[test]
fn a_forbid_wins_over_every_permit_and_the_first_by_id_is_named() {
    let set = everything();
    let mut ada = subject(Kind::User, "ada", &["everyone"]);
    let mut asked = query("invoke", Kind::Agent, "translator");
    check(&set, &ada, asked.clone(), true, "allow-translator");
    asked.resource_attributes = vec![texts("labels", &["residency=eu", "tier=gold"])];
    check(&set, &ada, asked.clone(), false, "eu-residency");
    asked.resource_groups = vec!["quarantine".to_owned()];
    check(&set, &ada, asked.clone(), false, "a-quarantine");
    asked.resource_groups.clear();
    ada.attributes = vec![text("cluster", "eu-1")];
    check(&set, &ada, asked.clone(), true, "allow-translator");
    ada.attributes = vec![text("cluster", "us-1")];
    check(&set, &ada, asked, false, "eu-residency");
}

#[test]
fn conditions_on_the_context_decide() {
    let set = everything();
    let carol = subject(Kind::User, "carol", &["everyone", "finance"]);
    for (tokens, allowed, policy) in [
        (1, true, "budget-team"),
        (100_000, true, "budget-team"),
        (100_001, false, "budget-ceiling"),
        (i64::MAX, false, "budget-ceiling"),
    ] {
        let mut asked = query("allocate", Kind::Account, "translation");
        asked.context = vec![number("tokens", tokens)];
        check(&set, &carol, asked, allowed, policy);
    }
    for (context, allowed) in [
        (vec![], true),
        (vec![("intensity_percent", 50)], true),
        (vec![("intensity_percent", 51)], false),
    ] {
        let mut asked = query("emit", Kind::Pheromone, "WARNING");
        asked.context = context
            .iter()
            .map(|(name, value)| number(name, *value))
            .collect();
        asked.context.push(text("target", "translator"));
        let policy = if allowed {
            "quiet-signals"
        } else {
            DEFAULT_DENY
        };
        check(&set, &carol, asked, allowed, policy);
    }
}

#[test]
fn gateways_carry_requests_and_do_nothing_else() {
    let set = everything();
    let gateway = subject(Kind::Gateway, "front", &["everyone"]);
    check(
        &set,
        &gateway,
        query("exchange", Kind::Mesh, "mesh.local"),
        true,
        "gateways",
    );
    let stranger = subject(Kind::Gateway, "front", &[]);
    check(
        &set,
        &stranger,
        query("exchange", Kind::Mesh, "mesh.local"),
        false,
        DEFAULT_DENY,
    );
    check(
        &set,
        &gateway,
        query("invoke", Kind::Agent, "translator"),
        false,
        POLICY_ERROR,
    );
    let ada = subject(Kind::User, "ada", &["everyone"]);
    check(
        &set,
        &ada,
        query("exchange", Kind::Mesh, "mesh.local"),
        false,
        POLICY_ERROR,
    );
}

#[test]
fn who_asks_about_itself_is_one_entity_with_what_both_sides_say() {
    let rules = r#"
        @id("self") permit(principal is Agent, action in Action::"manage", resource) when { principal == resource };
        @id("mine") permit(principal, action == Action::"list", resource in Group::"team")
          when { principal has cluster && resource has labels && resource.labels.contains("a=b") };
    "#;
    let set = load(&[("self.cedar", rules)]);
    let mut me = subject(Kind::Agent, "planner", &["team"]);
    check(
        &set,
        &me,
        query("register", Kind::Agent, "planner"),
        true,
        "self",
    );
    check(
        &set,
        &me,
        query("register", Kind::Agent, "other"),
        false,
        DEFAULT_DENY,
    );
    me.attributes = vec![text("cluster", "local")];
    let mut asked = query("list", Kind::Agent, "planner");
    asked.resource_attributes = vec![texts("labels", &["a=b"]), text("cluster", "local")];
    check(&set, &me, asked.clone(), true, "mine");
    asked.resource_attributes[1] = text("cluster", "elsewhere");
    check(&set, &me, asked, false, POLICY_ERROR);
}

#[test]
fn the_meshs_own_agents_are_judged_twice_and_both_must_allow() {
    let rules = r#"
        @id("talk") permit(principal in Group::"everyone", action in Action::"use", resource == Agent::"b-gent");
        @id("read") permit(principal in Group::"everyone", action == Action::"balance", resource is Account);
    "#;
    let set = load(&[("own.cedar", rules)]);
    let bob = subject(Kind::User, "bob", &["everyone"]);
    let mut allocate = query("allocate", Kind::Account, "translation");
    allocate.context = vec![number("tokens", 2_000)];
    let asked = [
        query("invoke", Kind::Agent, "b-gent"),
        query("balance", Kind::Account, "translation"),
        allocate,
    ];
    let policies = set
        .evaluate(&bob, &asked)
        .into_iter()
        .map(|verdict| verdict.policy);
    assert_eq!(policies.collect::<Vec<_>>(), ["talk", "read", DEFAULT_DENY]);
}

#[test]
fn a_policy_that_errs_denies_even_where_another_permits() {
    let overflow = r#"
        @id("overflow") EFFECT(principal, action == Action::"allocate", resource)
        when { context.tokens * 4 > 10 };
    "#;
    let ada = subject(Kind::User, "ada", &[]);
    for effect in ["forbid", "permit"] {
        let text = overflow.replace("EFFECT", effect);
        let set = load(&[("operator.cedar", OPERATOR), ("overflow.cedar", &text)]);
        let mut asked = query("allocate", Kind::Account, "translation");
        asked.context = vec![number("tokens", i64::MAX)];
        let verdict = &set.evaluate(&ada, std::slice::from_ref(&asked))[0];
        assert_eq!(verdict.checked, [0, 1]);
        assert!(verdict.errors[0].contains("`overflow`"), "{verdict:?}");
        check(&set, &ada, asked.clone(), false, POLICY_ERROR);
        asked.context = vec![number("tokens", 2)];
        check(&set, &ada, asked, true, "operator");
    }
}

#[test]
fn a_query_that_does_not_fit_the_schema_is_denied_and_says_why() {
    let set = everything();
    let ada = subject(Kind::User, "ada", &["everyone"]);
    let invoke = || query("invoke", Kind::Agent, "translator");
    let allocate = |context: Vec<Attribute>| Query {
        context,
        ..query("allocate", Kind::Account, "a")
    };
    let described = |attributes: Vec<Attribute>| Query {
        resource_attributes: attributes,
        ..invoke()
    };
    for (asked, says) in [
        (query("fly", Kind::Agent, "translator"), "`fly`"),
        (query("", Kind::Agent, "translator"), "``"),
        (query("use", Kind::Agent, "translator"), "`use`"),
        (query("invoke", Kind::Mesh, "translator"), "Mesh"),
        (query("balance", Kind::Agent, "translator"), "Agent"),
        (allocate(vec![]), "not valid"),
        (allocate(vec![text("tokens", "many")]), "not valid"),
        (
            allocate(vec![number("tokens", 1), number("tokens", 2)]),
            "`tokens` of the context",
        ),
        (
            allocate(vec![number("tokens", 1), number("extra", 2)]),
            "extra",
        ),
        (described(vec![text("labels", "a=b")]), "labels"),
        (described(vec![text("colour", "red")]), "colour"),
        (
            described(vec![text("name", "a"), text("name", "a")]),
            "`name` of Agent::\"translator\"",
        ),
        (
            Query {
                resource_groups: vec!["g".to_owned()],
                ..query("balance", Kind::Account, "a")
            },
            "Group",
        ),
    ] {
        let verdict = &set.evaluate(&ada, std::slice::from_ref(&asked))[0];
        assert!(
            verdict.errors.iter().any(|error| error.contains(says)),
            "{says}: {verdict:?}"
        );
        assert!(verdict.checked.is_empty(), "{says}: {verdict:?}");
        check(&set, &ada, asked, false, POLICY_ERROR);
    }
}

#[test]
fn a_subject_that_does_not_fit_the_schema_is_denied() {
    let set = everything();
    let invoke = || query("invoke", Kind::Agent, "translator");
    for kind in [Kind::Account, Kind::Pheromone, Kind::Mesh] {
        check(
            &set,
            &subject(kind, "ada", &[]),
            invoke(),
            false,
            POLICY_ERROR,
        );
    }
    for attribute in [number("cluster", 1), text("shoe_size", "43")] {
        let mut ada = subject(Kind::User, "ada", &[]);
        ada.attributes = vec![attribute];
        check(&set, &ada, invoke(), false, POLICY_ERROR);
    }
}

#[test]
fn a_misfit_in_a_batch_leaves_the_other_verdicts_alone() {
    let set = everything();
    let bob = subject(Kind::User, "bob", &["everyone"]);
    let asked = [
        query("invoke", Kind::Agent, "translator"),
        query("fly", Kind::Agent, "translator"),
        query("list", Kind::Agent, "translator"),
    ];
    let allowed: Vec<bool> = set
        .evaluate(&bob, &asked)
        .iter()
        .map(|verdict| verdict.allowed)
        .collect();
    assert_eq!(allowed, [true, false, true]);
    assert!(set.evaluate(&bob, &[]).is_empty());
}

#[test]
fn checked_names_only_policies_whose_scope_fits() {
    let set = everything();
    let bob = subject(Kind::User, "bob", &["everyone"]);
    let verdicts = set.evaluate(
        &bob,
        &[
            query("list", Kind::Agent, "translator"),
            query("observe", Kind::Mesh, "m"),
        ],
    );
    let ids = |checked: &[u32]| {
        checked
            .iter()
            .map(|index| set.ids()[*index as usize].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&verdicts[0].checked), ["allow-translator"]);
    assert!(verdicts[1].checked.is_empty());
}

#[test]
fn ids_are_sorted_and_unnamed_policies_count_from_one_in_their_file() {
    let text = "permit(principal, action == Action::\"ask\", resource);\n@id(\"named\") permit(principal, action == Action::\"ask\", resource);\npermit(principal, action == Action::\"observe\", resource);";
    let set = load(&[("z/mine.cedar", text), ("operator.cedar", OPERATOR)]);
    assert_eq!(set.ids(), ["mine#1", "mine#3", "named", "operator"]);
    let bob = subject(Kind::User, "bob", &[]);
    check(
        &set,
        &bob,
        query("observe", Kind::Mesh, "m"),
        true,
        "mine#3",
    );
}

#[test]
fn who_may_ask_and_use_agents_may_not_therefore_teach() {
    let text = "@id(\"work\") permit(principal, action in [Action::\"ask\", Action::\"use\", Action::\"manage\"], resource);\n@id(\"teachers\") permit(principal == User::\"tia\", action == Action::\"teach\", resource);";
    let set = load(&[("mine.cedar", text)]);
    let teach = || query("teach", Kind::Mesh, "mesh.local");
    let (bob, tia) = (
        subject(Kind::User, "bob", &["everyone"]),
        subject(Kind::User, "tia", &["everyone"]),
    );
    check(
        &set,
        &bob,
        query("ask", Kind::Mesh, "mesh.local"),
        true,
        "work",
    );
    check(&set, &bob, teach(), false, DEFAULT_DENY);
    check(&set, &tia, teach(), true, "teachers");
}

#[test]
fn groups_of_actions_mean_their_members() {
    for (group, kind, members) in [
        (
            "use",
            Kind::Agent,
            &["list", "route", "invoke", "read-task", "cancel-task"][..],
        ),
        ("manage", Kind::Agent, &["register", "remove"]),
        (
            "budget",
            Kind::Account,
            &["balance", "allocate", "settle", "top-consumers"],
        ),
        ("signal", Kind::Pheromone, &["emit", "sense"]),
    ] {
        let text =
            format!("@id(\"g\") permit(principal, action in Action::\"{group}\", resource);");
        let set = load(&[("g.cedar", &text)]);
        for action in members {
            let mut asked = query(action, kind, "x");
            if ["allocate", "settle"].contains(action) {
                asked.context = vec![number("tokens", 1)];
            }
            check(&set, &subject(Kind::User, "bob", &[]), asked, true, "g");
        }
        let other = query("ask", Kind::Mesh, "m");
        check(
            &set,
            &subject(Kind::User, "bob", &[]),
            other,
            false,
            DEFAULT_DENY,
        );
    }
}

#[test]
fn the_schema_is_told_as_text() {
    assert!(SCHEMA.contains("action \"read-task\""));
    let (schema, warnings) = cedar_policy::Schema::from_cedarschema_str(SCHEMA).unwrap();
    assert!(schema.principals().count() > 0);
    assert_eq!(warnings.count(), 0);
}
