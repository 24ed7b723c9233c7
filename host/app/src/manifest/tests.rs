use proptest::prelude::*;

use super::*;

const HEAD: &str = "spin_manifest_version = 2\n[application]\nname = \"suite\"\n";
const WEB: &str = "[[trigger.http]]\nroute = \"/...\"\ncomponent = \"web\"\n";

/// A manifest of one component with these lines in it.
fn web(lines: &str) -> String {
    format!("{HEAD}{WEB}[component.web]\nsource = \"web.wasm\"\n{lines}\n")
}

fn refusal(text: &str) -> String {
    parse(text).expect_err(text).to_string()
}

fn check_refused(text: &str, words: &[&str]) {
    let error = refusal(text);
    for word in words {
        assert!(error.contains(word), "no {word:?} in {error:?} for\n{text}");
    }
}

const SUITE: &str = r#"
spin_manifest_version = 2

[application]
name = "kgents"
version = "0.1.0"
description = "an agent mesh"
authors = ["kgents"]
targets = ["spin-up:3.6", { url = "https://example.com/env.toml" }]

[application.trigger.http]
base = "/"

[application.tool.anything]
at = { all = 1 }

[variables]
nucleus_url = { required = true, description = "where the nucleus is" }
gateway_token = { required = true, secret = true }
body_max = { default = "8388608" }

[[trigger.http]]
id = "front"
route = "/..."
component = "gateway"

[[trigger.http]]
route = "/v1/decide/..."
component = "decide"

[[trigger.http]]
route = { private = true }
component = { source = "inline.wasm" }

[[trigger.http]]
route = "/about"
static_response = { status_code = 200, body = "hello", headers = { content-type = "text/plain" } }
executor = { type = "http" }

[component.gateway]
source = "../target/components/gateway.wasm"
description = "the front door"
allowed_outbound_hosts = ["{{ nucleus_url }}", "http://decide.spin.internal"]
key_value_stores = ["default"]
environment = { RUST_BACKTRACE = "0" }
files = ["a.txt", { source = "www", destination = "/" }]
exclude_files = ["**/*.tmp"]
targets = ["spinkube:0.4"]
[component.gateway.variables]
token = "{{ gateway_token }}"
url = "{{ nucleus_url }}/v1/exchange"
[component.gateway.build]
command = ["cargo xtask components", "true"]
workdir = "."
watch = ["src/**/*.rs"]
[component.gateway.tool.kgents]
memory = "64MiB"
timeout = "1h"
reuse = 1000
[component.gateway.tool.other]
any = "thing"
[component.gateway.profile.debug]
source = "debug/gateway.wasm"
environment = { RUST_BACKTRACE = "1" }
build = { command = "cargo build" }

[component.decide]
source = "decide.wasm"
[component.decide.dependencies]
"kgents:router" = { path = "router.wasm" }
"kgents:policy/judge@0.1.0" = { component = "policy", export = "other:policy/judge" }
sum = { path = "sum.wasm", inherit_configuration = ["variables"] }

[component.policy]
source = "policy.wasm"
"#;

#[test]
fn a_whole_manifest_is_read() {
    let manifest = parse(SUITE).unwrap();
    assert_eq!(manifest.name(), "kgents");
    let ids: Vec<&str> = manifest.component_ids().collect();
    assert_eq!(
        ids,
        ["decide", "gateway", "http-trigger1-component", "policy"]
    );
    let triggers: Vec<&str> = manifest.triggers.iter().map(|t| t.id.as_str()).collect();
    assert_eq!(
        triggers,
        [
            "front",
            "decide-http-trigger",
            "http-trigger1",
            "http-trigger2"
        ]
    );
    let gateway = &manifest.components["gateway"];
    assert_eq!(
        gateway.source,
        Source("../target/components/gateway.wasm".to_owned())
    );
    assert_eq!(gateway.environment["RUST_BACKTRACE"], "0");
    assert_eq!(
        gateway.limits.as_ref().unwrap().limits("x").unwrap().reuse,
        Some(1000)
    );
    let decide = &manifest.components["decide"].dependencies;
    let policy = &decide[&"kgents:policy/judge@0.1.0".parse().unwrap()];
    assert_eq!(policy.source, Source("policy.wasm".to_owned()));
    assert_eq!(policy.export.as_deref(), Some("other:policy/judge"));
    let sum = &decide[&"sum".parse().unwrap()];
    assert_eq!(sum.inherit, Inherit::Some(vec!["variables".to_owned()]));
}

#[test]
fn a_profile_overrides_only_when_it_is_asked_for() {
    let manifest = parse_with_profile(SUITE, Some("debug")).unwrap();
    let gateway = &manifest.components["gateway"];
    assert_eq!(gateway.source, Source("debug/gateway.wasm".to_owned()));
    assert_eq!(gateway.environment["RUST_BACKTRACE"], "1");
    let error = parse_with_profile(SUITE, Some("deugb"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("`deugb`"), "{error}");
}

#[test]
fn other_versions_are_refused_with_a_hint() {
    check_refused(
        "spin_version = \"1\"\nname = \"x\"",
        &["spin_version", "spin doctor"],
    );
    check_refused("spin_manifest_version = \"1\"", &["`1`", "spin doctor"]);
    check_refused("spin_manifest_version = 3", &["version 3"]);
    check_refused(
        "spin_manifest_version = \"2\"",
        &["is a text", "write `spin_manifest_version = 2`"],
    );
    check_refused("spin_manifest_version = [2]", &["write `2`"]);
    check_refused("name = \"x\"", &["spin_manifest_version = 2"]);
    check_refused("name = ", &["spin.toml", "line 1"]);
}

#[test]
fn unknown_keys_are_errors_that_name_the_key_and_its_line() {
    check_refused(&format!("extra = 1\n{}", web("")), &["`extra`"]);
    check_refused(&web("sourc = 1"), &["`sourc`", "line 9"]);
    check_refused(
        &web("[component.web.build]\ncommand = \"x\"\ncmd = 1"),
        &["`cmd`"],
    );
    check_refused(&web("[component.web.tool.kgents]\ncpu = 1"), &["`cpu`"]);
    check_refused(
        &web("dependencies = { \"a:b\" = { path = \"x\", sha = \"y\" } }"),
        &["`sha`"],
    );
    check_refused(
        &web("files = [{ source = \"a\", destination = \"/\", x = 1 }]"),
        &["`x`"],
    );
    check_refused(&web("[component.web.profile.a]\nfiles = []"), &["`files`"]);
    check_refused(&web("[variables]\na = { default = \"\", x = 1 }"), &["`x`"]);
    check_refused(&format!("{HEAD}{WEB}method = \"GET\"\n"), &["`method`"]);
    check_refused(
        &format!("{HEAD}[application.trigger.http]\nx = 1\n{WEB}[component.web]\nsource = \"a\""),
        &["application.trigger.http", "`x`"],
    );
}

#[test]
fn what_is_not_supported_is_refused_by_name_with_a_hint() {
    let redis = format!(
        "{}[[trigger.redis]]\nchannel = \"x\"\ncomponent = \"web\"",
        web("")
    );
    check_refused(&redis, &["trigger.redis", "not supported"]);
    check_refused(
        &format!("{HEAD}[application.trigger.redis]\naddress = \"x\"\n{WEB}"),
        &["application.trigger.redis"],
    );
    check_refused(
        &format!("{HEAD}[application.trigger.http]\nbase = \"/x\"\n{WEB}"),
        &["base", "each `route`"],
    );
    check_refused(
        &web("sqlite_databases = [\"default\"]"),
        &["component.web.sqlite_databases"],
    );
    check_refused(
        &web("ai_models = [\"llama2-chat\"]"),
        &["component.web.ai_models"],
    );
    check_refused(
        &web("allowed_http_hosts = [\"a\"]"),
        &["allowed_outbound_hosts"],
    );
    for source in [
        "{ url = \"https://e.com/a.wasm\", digest = \"sha256:00\" }",
        "{ registry = \"ttl.sh\", package = \"a:b\", version = \"1.0.0\" }",
    ] {
        let text = format!("{HEAD}{WEB}[component.web]\nsource = {source}\n");
        check_refused(&text, &["component.web.source", "get it first"]);
    }
    for dependency in [
        "\">=0.1\"",
        "{ version = \">=0.1\" }",
        "{ url = \"https://e.com/a.wasm\", digest = \"sha256:00\" }",
    ] {
        let text = web(&format!("dependencies = {{ \"a:b\" = {dependency} }}"));
        check_refused(&text, &["component.web.dependencies", "get it first"]);
    }
    let wagi = format!("{HEAD}{WEB}executor = {{ type = \"wagi\", argv = \"x\" }}\n");
    check_refused(&wagi, &["executor", "`wagi`"]);
    check_refused(
        &format!("{HEAD}{WEB}[trigger.http.dependencies]\nmiddleware = []\n"),
        &[
            "trigger for `/...` (component `web`): dependencies",
            "middleware",
        ],
    );
    check_refused(&format!("{HEAD}{WEB}components = {{}}\n"), &["components"]);
}

#[test]
fn what_does_not_fit_together_is_refused_at_its_place() {
    check_refused(
        &format!("{HEAD}{WEB}"),
        &["trigger for `/...` (component `web`)", "[component.NAME]"],
    );
    check_refused(
        &format!("{}trigger = {{}}\n{}", &HEAD[..26], &HEAD[26..]),
        &["trigger.http", "0 triggers"],
    );
    check_refused(
        &web("").replace("name = \"suite\"", "name = \" \""),
        &["application.name"],
    );
    check_refused(
        &web("[component.Not_good]\nsource = \"a\""),
        &["`Not_good`"],
    );
    check_refused(
        &web("").replace("\"web.wasm\"", "\"\""),
        &["component.web.source"],
    );
    check_refused(
        &web("[component.other]\ndescription = \"x\""),
        &["component.other.source", "is not there"],
    );
    check_refused(
        &web("").replace("\"/...\"", "\"x\""),
        &["route", "begins with `/`"],
    );
    check_refused(
        &web("variables = { a = \"{{ b }}\" }"),
        &["component.web.variables.a", "`b`"],
    );
    check_refused(
        &web("variables = { A = \"x\" }"),
        &["component.web.variables", "`A`"],
    );
    check_refused(
        &web("variables = { a = \"{{\" }"),
        &["component.web.variables.a", "`}}`"],
    );
    check_refused(
        &web("allowed_outbound_hosts = [\"e.com\"]"),
        &["`e.com`", "scheme"],
    );
    check_refused(&web("allowed_outbound_hosts = [\"{{ b }}\"]"), &["`b`"]);
    check_refused(
        &web("key_value_stores = [\"a b\"]"),
        &["component.web.key_value_stores"],
    );
    check_refused(
        &web("[component.web.tool.kgents]\nmemory = \"1\""),
        &["tool.kgents.memory"],
    );
    for variable in [
        "{}",
        "{ required = true, default = \"x\" }",
        "{ required = false }",
    ] {
        check_refused(
            &web(&format!("[variables]\na = {variable}")),
            &["variables.a", "either"],
        );
    }
    check_refused(&web("[variables]\nA = { default = \"\" }"), &["`A`"]);
    let twice = "[[trigger.http]]\nid = \"a\"\nroute = \"/a\"\ncomponent = \"web\"\n".repeat(2);
    check_refused(&format!("{}{twice}", web("")), &["`a`", "stands for one"]);
}

#[test]
fn dependencies_have_one_source_and_are_one_level_deep() {
    let with = |lines: &str, more: &str| format!("{}{more}", web(lines));
    let one = "dependencies = { \"a:b\" = { component = \"dep\" } }";
    let dep = "[component.dep]\nsource = \"dep.wasm\"\n";
    assert!(parse(&with(one, dep)).is_ok());
    check_refused(&with(one, ""), &["`dep`", "[component.NAME]"]);
    check_refused(
        &with("dependencies = { \"a:b\" = { component = \"web\" } }", ""),
        &["the component itself"],
    );
    check_refused(
        &with(
            one,
            &format!("{dep}dependencies = {{ \"c:d\" = {{ component = \"web\" }} }}"),
        ),
        &["depend on each other"],
    );
    check_refused(
        &with(
            one,
            &format!("{dep}dependencies = {{ \"c:d\" = {{ path = \"x\" }} }}"),
        ),
        &["its own dependencies"],
    );
    check_refused(
        &with(
            one,
            &format!("{dep}allowed_outbound_hosts = [\"http://self\"]\nfiles = [\"x\"]"),
        ),
        &["its own files, allowed_outbound_hosts"],
    );
    for (dependencies, word) in [
        (
            "{ \"a:b\" = { path = \"x\" }, \"a:b/c\" = { path = \"y\" } }",
            "one source",
        ),
        (
            "{ \"a:b\" = { path = \"x\", component = \"web\" } }",
            "exactly one",
        ),
        ("{ \"a:b/c\" = { export = \"x\" } }", "exactly one"),
        ("{ \"a:b\" = { path = \"\" } }", "is empty"),
        ("{ \"a:b\" = { path = \"x\", export = \"y\" } }", "name one"),
        ("{ \"a b\" = { path = \"x\" } }", "`a b`"),
        (
            "{ \"a:b@one\" = { path = \"x\" } }",
            "`one` is not a version",
        ),
        (
            "{ \"a:b\" = { path = \"x\", inherit_configuration = [\"all\"] } }",
            "`all`",
        ),
        (
            "{ \"a:b\" = { path = \"x\", inherit_configuration = 1 } }",
            "a list of what",
        ),
    ] {
        check_refused(&web(&format!("dependencies = {dependencies}")), &[word]);
    }
}

#[test]
fn inheritance_is_said_once() {
    let inherit = |component: &str, own: &str| {
        let dependency = format!("\"a:b\" = {{ path = \"x\"{own} }}");
        let text = web(&format!("{component}\ndependencies = {{ {dependency} }}"));
        parse(&text).map(|m| {
            m.components["web"]
                .dependencies
                .values()
                .next()
                .unwrap()
                .inherit
                .clone()
        })
    };
    let whole = "dependencies_inherit_configuration = true";
    assert_eq!(inherit(whole, "").unwrap(), Inherit::All);
    assert_eq!(
        inherit("", ", inherit_configuration = true").unwrap(),
        Inherit::All
    );
    assert_eq!(
        inherit("", ", inherit_configuration = false").unwrap(),
        Inherit::default()
    );
    assert_eq!(inherit("", "").unwrap(), Inherit::default());
    let error = inherit(whole, ", inherit_configuration = true")
        .unwrap_err()
        .to_string();
    assert!(error.contains("write one of them"), "{error}");
}

#[test]
fn names_from_a_manifest_cannot_break_a_line_of_the_log() {
    for text in [
        web("[variables.\"a\\nb\"]\ndefault = \"\""),
        format!("{}[[trigger.\"a\\nb\"]]\n", web("")),
        format!("{HEAD}[application.trigger.\"a\\nb\"]\n{WEB}"),
        format!("{HEAD}[[trigger.http]]\nroute = \"/\"\ncomponent = \"a\\nb\"\n"),
        web("dependencies = { \"a\\nb\" = { path = \"x\" } }"),
        web("\"a\\nb\" = 1"),
        web(&format!("{} = 1", "k".repeat(100_000))),
    ] {
        let error = refusal(&text);
        assert!(!error.contains('\n') && error.len() < 10_000, "{error:?}");
    }
}

#[test]
fn what_a_line_holds_is_not_in_the_error_about_it() {
    let error = refusal("spin_manifest_version = 2\ntoken = \"hush\" hush");
    assert!(
        error.contains("line 2") && !error.contains("hush"),
        "{error}"
    );
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,80}", line in "[a-z.\\[\\]{}=\"', 0-9\n]{0,60}") {
        let _ = parse(&text);
        let _ = parse(&web(&text));
        let _ = parse(&web(&line));
        let _ = parse(&format!("{HEAD}{line}"));
    }

    #[test]
    fn a_manifest_with_a_piece_gone_is_read_or_refused(from in 0usize..2600, length in 0usize..40) {
        let kept: String = SUITE
            .chars()
            .enumerate()
            .filter(|(index, _)| !(from..from + length).contains(index))
            .map(|(_, c)| c)
            .collect();
        let _ = parse(&kept);
    }
}
