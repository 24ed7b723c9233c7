//! Neither secrets nor what is said are found in logs, trail or metrics,
//! however talkative the mesh is told to be.

use std::fs;
use std::path::{Path, PathBuf};

use kgents_tests::http::message;
use kgents_tests::{Agent, Mesh, Setup};
use serde_json::json;

const CONTENT: &str = "marzipan-salamander-content";
const ANSWER: &str = "pumpernickel-walrus-answer";
const UPSTREAM: &str = "quixotic-upstream-credential";
const HEADER: &str = "zephyr-upstream-header";
const PARAMETER: &str = "obsidian-query-parameter";

fn talkative(agent: &Agent, secret: &Path) -> Setup {
    let card = |name: &str, credentials: String| {
        let text = format!(
            "apiVersion: a2a.kgents.io/v1\nkind: AgentCard\nmetadata: {{name: {name}}}\nspec:\n  description: Keeps secrets.\n  \
             interfaces: [{{url: 'http://{}/rpc', binding: JSONRPC, version: '1.0'}}]\n  \
             skills: [{{id: keep, name: Keep, description: Keeps secrets, tags: [secret]}}]\n  credentials: {credentials}\n",
            agent.address()
        );
        (format!("agents/{name}.yaml"), text)
    };
    Setup {
        args: vec!["-vv".into(), "--log".into(), "json".into()],
        env: vec![("UPSTREAM_SECRET".into(), UPSTREAM.into())],
        files: vec![
            card("by-env", "{bearerEnv: UPSTREAM_SECRET}".into()),
            card(
                "by-file",
                format!(
                    "{{header: {{name: x-api-key, file: '{}'}}}}",
                    secret.display()
                ),
            ),
            card("by-svid", "svid".into()),
        ],
        ..Setup::default()
    }
}

#[test]
fn no_secret_and_no_content_is_found_in_logs_trail_or_metrics() {
    let agent = Agent::start();
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, format!("{HEADER}\n")).unwrap();
    let mut mesh = Mesh::with(talkative(&agent, &secret));
    let token = mesh.token(&[]);
    let client = mesh.client();
    agent.answer_raw(
        &json!({"message": {"messageId": "a", "role": "ROLE_AGENT", "parts": [{"text": ANSWER}]}})
            .to_string(),
    );
    let words = format!("raw {CONTENT}");
    for name in ["by-env", "by-file", "by-svid"] {
        let path = format!("/agents/{name}");
        assert_eq!(client.say(&path, &words).words(), ANSWER);
        let mut stream = client
            .rpc_request(&path, "SendStreamingMessage", &message(&words))
            .open();
        while stream.event().is_some() {}
        client.say(&path, &format!("garbage {CONTENT}"));
        client.say(&path, &format!("break {CONTENT}"));
    }
    let seen = agent.seen();
    let with = |name: &str, value: &str| seen.iter().any(|seen| seen.header(name) == value);
    assert!(with("authorization", &format!("Bearer {UPSTREAM}")));
    assert!(with("x-api-key", HEADER));
    let svid = seen
        .iter()
        .map(|seen| seen.header("authorization"))
        .find(|text| text.contains("Bearer ey"));
    let svid = svid.unwrap().trim_start_matches("Bearer ").to_owned();
    assert_ne!(svid, token, "a token made for the agent, not the caller's");
    // Everything a caller can put content into, well formed or not.
    client.post("/v1/route", &json!({ "text": CONTENT }));
    client.say("/", CONTENT);
    client.say("/agents/echo", CONTENT);
    client.say("/agents/b-gent", &format!("allocate {CONTENT} tokens"));
    client
        .request("POST", "/")
        .body(format!("{{\"{CONTENT}\":"))
        .send();
    client.post(
        "/v1/pheromones",
        &json!({"type": "WARNING", "payload": CONTENT}),
    );
    client.get(&format!("/v1/pheromones?type={PARAMETER}"));
    mesh.stranger()
        .with("authorization", &format!("Bearer {CONTENT}"))
        .get("/v1/agents");
    mesh.cli(&["ask", CONTENT]);
    let metrics = mesh.metrics();
    mesh.terminate();
    mesh.ended();
    let log = mesh.log();
    assert!(log.contains("agent.invoke"), "not talkative: {log}");
    let (_, signature) = token.rsplit_once('.').unwrap();
    let (_, svid_signature) = svid.rsplit_once('.').unwrap();
    let mut places = vec![
        ("the log".to_owned(), log.into_bytes()),
        ("/metrics".to_owned(), metrics.into_bytes()),
    ];
    for path in files(&mesh.data().join("audit")) {
        places.push((path.display().to_string(), fs::read(path).unwrap()));
    }
    assert!(places.len() > 3, "the trail has files");
    for word in [CONTENT, ANSWER, UPSTREAM, HEADER, signature, svid_signature] {
        for (place, bytes) in &places {
            let found = bytes
                .windows(word.len())
                .position(|part| part == word.as_bytes());
            let around = found.map(|at| {
                let (from, to) = (at.saturating_sub(300), (at + 100).min(bytes.len()));
                String::from_utf8_lossy(&bytes[from..to]).into_owned()
            });
            assert_eq!(around, None, "`{word}` is in {place}");
        }
    }
    // The secrets themselves lie nowhere in the data folder.
    for path in files(&mesh.data()) {
        let bytes = fs::read(&path).unwrap();
        for word in [UPSTREAM, HEADER, signature] {
            let found = bytes
                .windows(word.len())
                .any(|part| part == word.as_bytes());
            assert!(!found, "`{word}` is in {}", path.display());
        }
    }
}

#[test]
fn keys_are_readable_by_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let mesh = Mesh::start();
    mesh.client().say("/agents/echo", "hello");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&mesh.data()), 0o700);
    let keys = files(&mesh.data().join("identity"));
    assert!(!keys.is_empty());
    for key in keys {
        assert_eq!(mode(&key), 0o600, "{}", key.display());
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}
