//! Policies that are refused, and what is said about them.

use super::*;
use kgents_policy::{DEPTH_MAX, FILE_BYTES_MAX, ID_BYTES_MAX, LINKS_MAX, POLICIES_MAX};
use proptest::prelude::*;

/// Asserts that the file has exactly one problem: its line, a part of its
/// message or hint, and the policy it names.
fn check(text: &str, line: Option<u32>, says: &str, policy: Option<&str>) {
    let problems = refused(&[("rules.cedar", text)]);
    assert_eq!(problems.len(), 1, "{says}: {problems:#?}");
    let problem = &problems[0];
    assert_eq!(problem.source, "rules.cedar");
    assert_eq!(problem.line, line, "{says}: {problem:?}");
    assert_eq!(problem.policy.as_deref(), policy, "{says}: {problem:?}");
    let told = format!(
        "{} {}",
        problem.message,
        problem.hint.as_deref().unwrap_or_default()
    );
    assert!(told.contains(says), "{says}: {problem:?}");
}

#[test]
fn broken_syntax_is_told_with_its_line() {
    for (text, line, says) in [
        ("permit(principal, action, resource)", 1, "`;`"),
        ("\n\npermit(principal, action resource);", 3, "resource"),
        ("permit(principal, action, resource, context);", 1, "order"),
        (
            "allow(principal, action, resource);",
            1,
            "`permit` or `forbid`",
        ),
        (
            "permit(principal, action, resource)\nwhen { principal = resource };",
            2,
            "==",
        ),
        (
            "permit(principal = User::\"a\", action, resource);",
            1,
            "==",
        ),
        ("// fine\n\"", 2, "invalid token"),
        ("}", 1, "unexpected token"),
    ] {
        check(text, Some(line), says, None);
    }
}

#[test]
fn what_the_schema_does_not_know_is_told_with_a_hint() {
    for (text, line, says) in [
        (
            "@id(\"x\")\npermit(principal, action == Action::\"invok\", resource);",
            2,
            "invoke",
        ),
        (
            "@id(\"x\") permit(principal == Person::\"ada\", action, resource);",
            1,
            "Person",
        ),
        (
            "@id(\"x\") permit(principal, action, resource is Agnet);",
            1,
            "Agent",
        ),
        (
            "@id(\"x\") permit(principal, action == Action::\"invoke\", resource)\n\nwhen { resource.colour == \"red\" };",
            3,
            "colour",
        ),
        (
            "@id(\"x\") permit(principal, action == Action::\"allocate\", resource)\nwhen { context.tokns > 1 };",
            2,
            "tokns",
        ),
    ] {
        check(text, Some(line), says, Some("x"));
    }
}

#[test]
fn an_optional_attribute_must_be_asked_for_first() {
    let read =
        "@id(\"x\") forbid(principal, action == Action::\"invoke\", resource)\nwhen { CONDITION };";
    let unguarded = read.replace("CONDITION", "resource.labels.contains(\"a=b\")");
    let problems = refused(&[("rules.cedar", &unguarded)]);
    assert!(
        problems.iter().all(|problem| problem.line == Some(2)),
        "{problems:?}"
    );
    assert!(
        problems[0].hint.as_deref().unwrap().contains("has labels"),
        "{problems:?}"
    );
    load(&[(
        "rules.cedar",
        &read.replace(
            "CONDITION",
            "resource has labels && resource.labels.contains(\"a=b\")",
        ),
    )]);
}

#[test]
fn types_must_agree() {
    for condition in [
        "context.tokens == \"many\"",
        "context.tokens + \"1\" > 2",
        "context.tokens",
        "[1, \"a\"].contains(context.tokens)",
        "[].contains(context.tokens)",
    ] {
        let text = format!(
            "@id(\"x\") permit(principal, action == Action::\"allocate\", resource)\nwhen {{ {condition} }};"
        );
        let problems = refused(&[("rules.cedar", &text)]);
        for problem in &problems {
            assert_eq!(
                (problem.line, problem.policy.as_deref()),
                (Some(2), Some("x")),
                "{condition}: {problem:?}"
            );
        }
    }
}

#[test]
fn a_policy_that_can_never_apply_is_refused() {
    for (text, says) in [
        (
            "@id(\"x\") permit(principal, action == Action::\"invoke\", resource == Mesh::\"m\");",
            "applicable action",
        ),
        (
            "@id(\"x\") permit(principal is Gateway, action == Action::\"invoke\", resource);",
            "applicable action",
        ),
        (
            "@id(\"x\") forbid(principal, action == Action::\"use\", resource);",
            "applicable action",
        ),
        (
            "@id(\"x\") forbid(principal, action, resource) when { false };",
            "impossible",
        ),
        (
            "@id(\"x\") forbid(principal, action == Action::\"observe\", resource) when { resource is Agent };",
            "impossible",
        ),
    ] {
        check(text, Some(1), says, Some("x"));
    }
}

#[test]
fn text_that_deceives_the_eye_is_refused_and_names_in_any_language_pass() {
    let with = |value: &str| {
        format!(
            "@id(\"x\") forbid(principal, action == Action::\"invoke\", resource)\nwhen {{ resource has name && resource.name == \"{value}\" }};"
        )
    };
    check(&with("a\u{202e}b"), Some(2), "BIDI", Some("x"));
    load(&[("rules.cedar", &with("отдел-Berlin"))]);
}

#[test]
fn templates_are_refused() {
    let text = "\npermit(principal == ?principal, action, resource);";
    check(text, Some(2), "?principal", None);
}

#[test]
fn ids_must_be_unique_short_visible_and_not_ours() {
    let with = |id: &str| format!("\n@id(\"{id}\") permit(principal, action, resource);");
    check(&with(""), Some(2), "empty", None);
    check(
        "@id permit(principal, action, resource);",
        Some(1),
        "empty",
        None,
    );
    check(
        &with(&"x".repeat(ID_BYTES_MAX + 1)),
        Some(2),
        "shorter",
        None,
    );
    check(&with("a\\u{7}b"), Some(2), "control", None);
    check(&with("default-deny"), Some(2), "reserved", None);
    check(&with("policy-error"), Some(2), "reserved", None);
    load(&[("rules.cedar", &with(&"x".repeat(ID_BYTES_MAX)))]);

    let twice = format!("{OPERATOR}{OPERATOR}");
    check(
        &twice,
        Some(3),
        "taken by the policy at rules.cedar:1",
        Some("operator"),
    );
    let problems = refused(&[("a.cedar", OPERATOR), ("b.cedar", OPERATOR)]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].source, "b.cedar");
    assert!(problems[0].message.contains("a.cedar:1"), "{problems:?}");
    let unnamed = "permit(principal, action, resource);";
    let problems = refused(&[("a/x.cedar", unnamed), ("b/x.cedar", unnamed)]);
    assert_eq!(problems[0].policy.as_deref(), Some("x#1"), "{problems:?}");
}

#[test]
fn the_problems_of_all_files_are_told_together_in_the_order_of_the_files() {
    let problems = refused(&[
        ("z.cedar", "permit(principal, action, resource)"),
        ("good.cedar", OPERATOR),
        (
            "types.cedar",
            "permit(principal, action == Action::\"fly\", resource);\npermit(principal, action == Action::\"swim\", resource);",
        ),
        ("dup.cedar", OPERATOR),
        (
            "empty-id.cedar",
            "@id(\"\") permit(principal, action, resource);",
        ),
    ]);
    let told: Vec<_> = problems
        .iter()
        .map(|problem| (problem.source.as_str(), problem.line.unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            ("z.cedar", 1),
            ("types.cedar", 1),
            ("types.cedar", 2),
            ("dup.cedar", 1),
            ("empty-id.cedar", 1)
        ],
        "{problems:#?}"
    );
    assert_eq!(problems[1].policy.as_deref(), Some("types#1"));
}

#[test]
fn a_file_that_is_too_large_is_refused_unread() {
    let large = format!("{OPERATOR}//{}", "x".repeat(FILE_BYTES_MAX));
    check(&large, None, "split the file", None);
    let fits = format!(
        "{OPERATOR}//{}",
        "x".repeat(FILE_BYTES_MAX - OPERATOR.len() - 2)
    );
    load(&[("rules.cedar", &fits)]);
}

#[test]
fn too_many_policies_are_refused_once_and_the_rest_is_still_checked() {
    // Statements are counted before anything is parsed, so these need not parse.
    let full = ";".repeat(POLICIES_MAX);
    let problems = refused(&[
        ("a.cedar", full.as_str()),
        ("b.cedar", OPERATOR),
        ("c.cedar", OPERATOR),
    ]);
    let too_many: Vec<&str> = problems
        .iter()
        .filter(|problem| problem.message.contains("more than 10000 policies"))
        .map(|problem| problem.source.as_str())
        .collect();
    assert_eq!(too_many, ["b.cedar"]);
    assert!(problems.iter().any(|problem| problem.source == "a.cedar"));
}

/// Conditions of `links` chained operators, and of `depth` brackets including
/// those around the condition.
fn chains(links: usize) -> Vec<String> {
    vec![
        vec!["context.tokens"; links / 2 + 1].join(" + ") + " > 0",
        vec!["true"; links + 1].join(" && "),
        "if true then true else ".repeat(links) + "true",
        format!("context{}", ".a".repeat(links)),
        format!("context{}", "[\"a\"]".repeat(links)),
    ]
}

fn nests(depth: usize) -> Vec<String> {
    let nest =
        |open: &str, close: &str| format!("{}true{}", open.repeat(depth), close.repeat(depth));
    vec![
        nest("(", ")"),
        nest("[", "]"),
        nest("{a: ", "}"),
        nest("(true || (", "))"),
    ]
}

fn with_condition(condition: &str) -> String {
    format!("permit(principal, action == Action::\"allocate\", resource)\nwhen {{ {condition} }};")
}

#[test]
fn conditions_too_deep_for_the_stack_are_refused_before_parsing() {
    let (depth, links) = (DEPTH_MAX as usize, LINKS_MAX as usize);
    for deep in [depth, 1_000, 50_000] {
        for condition in nests(deep) {
            check(
                &with_condition(&condition),
                Some(2),
                "brackets nest deeper",
                None,
            );
        }
    }
    for long in [2 * links, 20_000] {
        for condition in chains(long) {
            check(
                &with_condition(&condition),
                Some(2),
                "chains more than",
                None,
            );
        }
    }
}

#[test]
fn strings_comments_and_long_sets_are_not_deep() {
    let set = vec!["\"a.b.c(((\\\"[[[\""; 2_000].join(", ");
    let text = format!(
        "// {}\npermit(principal, action == Action::\"invoke\", resource)\nwhen {{ resource has name && [{set}].contains(resource.name) }};",
        "((((....".repeat(200)
    );
    load(&[("rules.cedar", &text)]);
}

#[test]
fn the_deepest_conditions_that_are_admitted_are_really_validated() {
    // The condition stands in braces of its own, and one more level would be
    // refused; the attribute does not exist, which only the validator can tell.
    let (depth, links) = (DEPTH_MAX as usize - 1, LINKS_MAX as usize);
    let checks = move || {
        let open = "(true && ".repeat(depth);
        let tail = vec!["true"; links - depth - 1].join(" && ");
        let condition = format!("{open}context.missing{} && {tail}", ")".repeat(depth));
        let problems = refused(&[("rules.cedar", &with_condition(&condition))]);
        assert!(
            problems
                .iter()
                .any(|problem| problem.message.contains("missing")),
            "{problems:?}"
        );
    };
    // Frames of an unoptimised build are many times as large.
    let thread = std::thread::Builder::new()
        .stack_size(16 << 20)
        .spawn(checks);
    thread.unwrap().join().unwrap();
}

fn fragment() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "permit",
        "forbid",
        "(",
        ")",
        "{",
        "}",
        "[",
        "]",
        ",",
        ";",
        "principal",
        "action",
        "resource",
        "context",
        "when",
        "unless",
        "==",
        "in",
        "is",
        "has",
        "like",
        "&&",
        "||",
        "!",
        "-",
        "+",
        "*",
        "<",
        ".",
        ".tokens",
        ".contains",
        "if",
        "then",
        "else",
        "User::\"ada\"",
        "Action::\"invoke\"",
        "Agent",
        "\"",
        "\\",
        "//",
        "\n",
        "@id(\"a\")",
        "@id",
        "?principal",
        "1",
        "9223372036854775808",
        "true",
        "é",
        "\u{0}",
        "permit(principal, action, resource);",
    ]);
    prop::collection::vec(word, 0..60).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2 * ProptestConfig::default().cases))]

    #[test]
    fn any_text_loads_or_is_refused_with_lines_inside_it(text in prop_oneof![any::<String>(), fragment()], name in any::<String>()) {
        let source = source(&name, &text);
        if let Err(problems) = PolicySet::load(std::slice::from_ref(&source)) {
            prop_assert!(!problems.is_empty());
            let lines = u32::try_from(text.matches('\n').count()).unwrap() + 1;
            for problem in problems {
                prop_assert_eq!(&problem.source, &name);
                prop_assert!(!problem.message.is_empty());
                prop_assert!(problem.line.is_none_or(|line| (1..=lines).contains(&line)), "{:?}", problem);
            }
        }
    }
}
