//! Neither secrets nor what is said are found in logs, trail or metrics,
//! however talkative the mesh is told to be.

use std::fs;
use std::path::{Path, PathBuf};

use kgents_tests::http::message;
use kgents_tests::{Agent, Client, Mesh, Setup};
use serde_json::json;

const CONTENT: &str = "marzipan-salamander-content";
const ANSWER: &str = "pumpernickel-walrus-answer";
const UPSTREAM: &str = "quixotic-upstream-credential";
const HEADER: &str = "zephyr-upstream-header";

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
    talk_to_agents(&client, &agent);
    talk_to_the_mesh(&client, &mesh);
    let svid = credentials_that_came(&agent);
    assert_ne!(svid, token, "a token made for the agent, not the caller's");
    let metrics = mesh.metrics().into_bytes();
    mesh.terminate();
    mesh.ended();
    let log = mesh.log();
    assert!(log.contains("agent.invoke"), "not talkative: {log}");
    let (_, signature) = token.rsplit_once('.').unwrap();
    let (_, svid_signature) = svid.rsplit_once('.').unwrap();
    let mut places = vec![
        ("the log".to_owned(), log.into_bytes()),
        ("/metrics".to_owned(), metrics),
    ];
    places.extend(contents(&mesh.data().join("audit")));
    assert!(places.len() > 3, "the trail has files");
    let words = [CONTENT, ANSWER, UPSTREAM, HEADER, signature, svid_signature];
    hold_none_of(&words, &places);
    // The secrets themselves lie nowhere in the data folder.
    hold_none_of(&[UPSTREAM, HEADER, signature], &contents(&mesh.data()));
}

/// Good and bad calls to agents that are shown each kind of credential.
fn talk_to_agents(client: &Client, agent: &Agent) {
    let answer =
        json!({"message": {"messageId": "a", "role": "ROLE_AGENT", "parts": [{"text": ANSWER}]}});
    agent.answer_raw(&answer.to_string());
    let words = format!("raw {CONTENT}");
    for name in ["by-env", "by-file", "by-svid"] {
        let path = format!("/agents/{name}");
        assert_eq!(client.say(&path, &words).words(), ANSWER);
        let request = client.rpc_request(&path, "SendStreamingMessage", &message(&words));
        let mut stream = request.open();
        while stream.event().is_some() {}
        client.say(&path, &format!("garbage {CONTENT}"));
        client.say(&path, &format!("break {CONTENT}"));
    }
}

/// Everything else a caller can put content into, well formed or not.
fn talk_to_the_mesh(client: &Client, mesh: &Mesh) {
    client.post("/v1/route", &json!({ "text": CONTENT }));
    client.say("/", CONTENT);
    client.say("/agents/echo", CONTENT);
    client.say("/agents/b-gent", &format!("allocate {CONTENT} tokens"));
    let broken = format!("{{\"{CONTENT}\":");
    client.request("POST", "/").body(broken).send();
    let pheromone = json!({"type": "WARNING", "payload": CONTENT});
    client.post("/v1/pheromones", &pheromone);
    client.get(&format!("/v1/pheromones?type={CONTENT}"));
    let forged = format!("Bearer {CONTENT}");
    let stranger = mesh.stranger().with("authorization", &forged);
    stranger.get("/v1/agents");
    mesh.cli(&["ask", CONTENT]);
}

/// Makes sure that the agent was shown what was configured; the token that was
/// made for it.
fn credentials_that_came(agent: &Agent) -> String {
    let seen = agent.seen();
    let with = |name: &str, value: &str| seen.iter().any(|seen| seen.header(name) == value);
    assert!(with("authorization", &format!("Bearer {UPSTREAM}")));
    assert!(with("x-api-key", HEADER));
    let mut tokens = seen.iter().map(|seen| seen.header("authorization"));
    let svid = tokens.find_map(|text| text.strip_prefix("Bearer ey"));
    format!("ey{}", svid.unwrap())
}

#[track_caller]
fn hold_none_of(words: &[&str], places: &[(String, Vec<u8>)]) {
    for word in words {
        for (place, bytes) in places {
            let mut parts = bytes.windows(word.len());
            let around = parts.position(|part| part == word.as_bytes()).map(|at| {
                let (from, to) = (at.saturating_sub(300), (at + 100).min(bytes.len()));
                String::from_utf8_lossy(&bytes[from..to]).into_owned()
            });
            assert_eq!(around, None, "`{word}` is in {place}");
        }
    }
}

/// Every file below a folder, and what is in it.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let files = files(folder).into_iter();
    files
        .map(|path| (path.display().to_string(), fs::read(path).unwrap()))
        .collect()
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
