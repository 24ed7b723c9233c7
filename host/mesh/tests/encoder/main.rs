//! Embeddings endpoints, over real sockets: what they are asked, what becomes of what
//! they answer, and what questions and cards do without an answer.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop where it stands"
)]

mod fake;

use fake::{Does, Fake};
use kgents_gateway::Card;
use kgents_gateway::call::Payload;
use kgents_mesh::registry::{
    Embedder, Encode, EncodeError, Endpoint, EndpointSettings, Entry, Registry, Step,
};
use kgents_mesh::store::Store;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);
const HASTE: Duration = Duration::from_millis(40);

fn settings(fake: &Fake, timeout: Duration) -> EndpointSettings {
    EndpointSettings {
        url: fake.url(),
        model: "m".to_owned(),
        key_file: None,
        timeout,
        batch: 8,
        dimensions: None,
    }
}

fn endpoint(fake: &Fake) -> Endpoint {
    Endpoint::new(settings(fake, PATIENCE)).unwrap()
}

#[test]
fn texts_become_vectors_under_the_name_of_host_model_and_length() {
    let fake = Fake::start(Does::Vectors(256));
    let endpoint = endpoint(&fake);
    assert_eq!(endpoint.name(), None);
    let vectors = endpoint.encode(&["flights", "flight", "xyz"]).unwrap();
    assert!(vectors[0].cosine(&vectors[1]) > 0.9);
    assert!(vectors[0].cosine(&vectors[2]) < 0.1);
    let name = format!("openai:{}/m/256", fake.address);
    assert_eq!(endpoint.name(), Some(name.as_str()));
    let (head, asked) = fake.seen().remove(0);
    assert!(
        head.starts_with("POST /v1/embeddings HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(
        !head.to_ascii_lowercase().contains("authorization"),
        "{head}"
    );
    let input = ["flights", "flight", "xyz"];
    assert_eq!(
        asked,
        json!({"model": "m", "input": input, "encoding_format": "float"})
    );
}

#[test]
fn many_texts_travel_in_batches_and_come_back_in_order() {
    let fake = Fake::start(Does::Vectors(300));
    let texts: Vec<String> = (0..20u8)
        .map(|n| char::from(b'a' + n).to_string())
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let endpoint = endpoint(&fake);
    let together = endpoint.encode(&texts).unwrap();
    assert_eq!((together.len(), fake.seen().len()), (20, 3));
    for (text, vector) in texts.iter().zip(together) {
        assert_eq!(endpoint.encode(&[text]).unwrap(), [vector]);
    }
}

#[test]
fn a_length_that_is_configured_is_asked_for_and_held_to() {
    let fake = Fake::start(Does::Vectors(384));
    let endpoint = Endpoint::new(EndpointSettings {
        dimensions: Some(384),
        ..settings(&fake, PATIENCE)
    });
    let endpoint = endpoint.unwrap();
    let name = format!("openai:{}/m/384", fake.address);
    assert_eq!(endpoint.name(), Some(name.as_str()));
    endpoint.encode(&["a"]).unwrap();
    assert_eq!(fake.seen()[0].1["dimensions"], json!(384));
    fake.does(Does::Vectors(768));
    let error = endpoint.encode(&["a"]).unwrap_err();
    let (expected, got) = (384, 768);
    assert_eq!(error, EncodeError::Dimensions { expected, got });
}

#[test]
fn vectors_of_another_length_than_the_first_are_not_mixed_with_them() {
    let fake = Fake::start(Does::Vectors(1_536));
    let endpoint = endpoint(&fake);
    endpoint.encode(&["a"]).unwrap();
    fake.does(Does::Vectors(1_024));
    let error = endpoint.encode(&["a"]).unwrap_err();
    assert_eq!(error.code(), "encoder-dimensions");
    assert!(endpoint.name().unwrap().ends_with("/1536"));
}

#[cfg(unix)]
#[test]
fn a_key_is_read_for_each_request_and_never_told() {
    use std::os::unix::fs::PermissionsExt;
    let fake = Fake::start(Does::Vectors(4));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let open = || {
        Endpoint::new(EndpointSettings {
            key_file: Some(path.clone()),
            ..settings(&fake, PATIENCE)
        })
    };
    let told = open().err().unwrap();
    assert_eq!(told.code(), "encoder-key");
    assert!(
        told.to_string().starts_with("`encoder.key_file`: "),
        "{told}"
    );
    for key in ["sk-first", "sk-second"] {
        std::fs::write(&path, format!("{key}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        open().unwrap().encode(&["a"]).unwrap();
        let (head, _) = fake.seen().pop().unwrap();
        assert!(
            head.contains(&format!("authorization: Bearer {key}\r\n")),
            "{head}"
        );
    }
    let endpoint = open().unwrap();
    std::fs::remove_file(&path).unwrap();
    let error = endpoint.encode(&["a"]).unwrap_err();
    assert_eq!(error.code(), "encoder-key");
    assert!(!error.to_string().contains("sk-"), "{error}");
}

#[test]
fn whatever_goes_wrong_has_a_code_and_a_note_and_names_no_secret() {
    let cases = [
        (Does::Status(500), "encoder-status"),
        (Does::Status(503), "encoder-status"),
        (Does::Status(401), "encoder-status"),
        (Does::Status(429), "encoder-status"),
        // Where it leads to would answer the same; it is not gone to.
        (Does::Status(307), "encoder-status"),
        (Does::Status(400), "encoder-input"),
        (Does::Status(422), "encoder-input"),
        (Does::Short, "encoder-answer"),
        (
            Does::Says("{\"data\":[{\"embedding\":[NaN]}]}"),
            "encoder-answer",
        ),
        (
            Does::Says("{\"data\":[{\"embedding\":[1e99]}]}"),
            "encoder-answer",
        ),
        (
            Does::Says("{\"data\":[{\"embedding\":[0,0]}]}"),
            "encoder-answer",
        ),
        (
            Does::Says("{\"data\":[{\"embedding\":[]}]}"),
            "encoder-answer",
        ),
        (Does::Says("{\"data\":[{\"embedd"), "encoder-answer"),
        (Does::Says(""), "encoder-answer"),
        (Does::Huge, "encoder-answer-too-large"),
        (Does::Cut, "encoder-unreachable"),
    ];
    for (does, code) in cases {
        let fake = Fake::start(does);
        let error = endpoint(&fake).encode(&["a"]).unwrap_err();
        assert_eq!(error.code(), code, "{does:?}");
        assert!(!error.to_string().contains("sk-secret"), "{error}");
        let embedder = embedder(&fake, &tempfile::tempdir().unwrap());
        let asked = embedder.question("a");
        assert_eq!((asked.vector, asked.degraded), (None, Some(error.note())));
        assert_eq!(embedder.metrics().failures(code), 1);
        // One for each; a connection that breaks is tried once more.
        let tries = if code == "encoder-unreachable" { 4 } else { 2 };
        assert_eq!(fake.seen().len(), tries, "{does:?}");
    }
}

#[test]
fn an_answer_that_does_not_come_is_given_up() {
    let fake = Fake::start(Does::Silent);
    let endpoint = Endpoint::new(settings(&fake, HASTE)).unwrap();
    assert_eq!(
        endpoint.encode(&["a"]).unwrap_err(),
        EncodeError::TimedOut(HASTE)
    );
}

#[test]
fn after_three_failures_in_a_row_nothing_is_asked() {
    let fake = Fake::start(Does::Status(500));
    let endpoint = endpoint(&fake);
    let code = || endpoint.encode(&["a"]).err().map(|error| error.code());
    assert_eq!([code(), code()], [Some("encoder-status"); 2]);
    fake.does(Does::Vectors(4));
    assert_eq!(code(), None);
    fake.does(Does::Status(500));
    assert_eq!([code(), code(), code()], [Some("encoder-status"); 3]);
    fake.does(Does::Vectors(4));
    assert_eq!([code(), code()], [Some("encoder-resting"); 2]);
    assert_eq!(fake.seen().len(), 6);
}

#[test]
fn texts_that_are_refused_do_not_close_the_endpoint_to_others() {
    let fake = Fake::start(Does::Refuses("bad", 4));
    let endpoint = endpoint(&fake);
    for _ in 0..5 {
        assert_eq!(endpoint.encode(&["bad"]), Err(EncodeError::Input(400)));
    }
    assert!(endpoint.encode(&["good"]).is_ok());
}

#[test]
fn an_endpoint_that_starts_anew_is_asked_over_a_new_connection() {
    let fake = Fake::start(Does::Vectors(4));
    let (endpoint, address) = (endpoint(&fake), fake.address);
    endpoint.encode(&["a"]).unwrap();
    drop(fake);
    let gone = endpoint.encode(&["a"]).unwrap_err();
    assert_eq!(gone.code(), "encoder-unreachable");
    let fake = Fake::at(address, Does::Vectors(4));
    endpoint.encode(&["a"]).unwrap();
    drop(fake);
    let _fake = Fake::at(address, Does::Vectors(4));
    endpoint.encode(&["a"]).unwrap();
}

#[test]
fn an_address_that_is_none_is_refused() {
    for url in [
        "",
        "/v1",
        "ftp://e.example",
        "http://",
        "http://u@e.example",
        "http://e.example/?x",
    ] {
        let fake = Fake::start(Does::Silent);
        let wrong = EndpointSettings {
            url: url.to_owned(),
            ..settings(&fake, PATIENCE)
        };
        assert_eq!(
            Endpoint::new(wrong).err().unwrap().code(),
            "encoder-url",
            "{url}"
        );
    }
}

/// Of an endpoint whose name is known.
fn embedder(fake: &Fake, dir: &TempDir) -> Embedder {
    let store = Arc::new(Store::open(&dir.path().join("state.redb")).unwrap());
    let endpoint = Endpoint::new(EndpointSettings {
        dimensions: Some(4),
        ..settings(fake, PATIENCE)
    });
    let endpoint = endpoint.unwrap();
    Embedder::new(Some(Arc::new(endpoint)), store)
}

fn registry(fake: &Fake, timeout: Duration, dir: &TempDir) -> Registry {
    let store = Arc::new(Store::open(&dir.path().join("state.redb")).unwrap());
    let endpoint = Endpoint::new(settings(fake, timeout)).unwrap();
    let embedder = Embedder::new(Some(Arc::new(endpoint)), Arc::clone(&store));
    Registry::open(store, embedder, "local", Vec::new()).unwrap()
}

fn entry(name: &str, description: &str) -> Entry {
    let card = json!({
        "name": name, "description": description, "version": "1",
        "supportedInterfaces": [
            { "url": "http://127.0.0.1:9/", "protocolBinding": "JSONRPC", "protocolVersion": "1.0" }
        ],
        "skills": [
            { "id": "s", "name": description, "description": description, "tags": [],
              "examples": [description] }
        ],
    });
    Entry {
        name: name.into(),
        card: Card::parse(Payload::of(&card)).unwrap(),
        source: "api".into(),
    }
}

/// Those of these agents that have a vector, by name.
fn with_vectors(registry: &Registry, agents: usize) -> Vec<String> {
    let asked = registry.embedder().question("flights");
    let directory = registry.directory();
    let hits = directory.search("flights", asked.vector.as_ref(), agents);
    // Without vectors the cosine is 0.
    let has = hits
        .iter()
        .filter(|(_, hit)| hit.vector.is_some_and(|cosine| cosine > 0.0));
    let mut names: Vec<String> = has.map(|(agent, _)| agent.name.clone()).collect();
    names.sort();
    names
}

#[test]
fn a_card_has_its_vectors_when_it_is_registered_and_after_a_restart() {
    let fake = Fake::start(Does::Vectors(300));
    let dir = tempfile::tempdir().unwrap();
    {
        let registry = registry(&fake, PATIENCE, &dir);
        registry.put(vec![entry("a", "books flights")]).unwrap();
        assert_eq!((registry.waiting(), registry.step()), (0, Step::Done));
        assert_eq!(with_vectors(&registry, 1), ["a"]);
    }
    let before = fake.texts().len();
    let registry = registry(&fake, PATIENCE, &dir);
    assert_eq!(with_vectors(&registry, 1), ["a"]);
    // To learn its name, and the question.
    assert_eq!(fake.texts()[before..], ["name", "flights"]);
}

#[test]
fn a_card_that_comes_while_the_endpoint_fails_has_its_vectors_later() {
    let fake = Fake::start(Does::Status(500));
    let dir = tempfile::tempdir().unwrap();
    let registry = registry(&fake, PATIENCE, &dir);
    let (revision, _) = registry.put(vec![entry("a", "books flights")]).unwrap();
    assert_eq!(registry.waiting(), 1);
    let found = registry.directory();
    assert_eq!(found.search("flights", None, 1)[0].0.name, "a");
    // What never answered is not asked by questions.
    let before = fake.seen().len();
    let asked = registry.embedder().question("flights");
    assert!(asked.vector.is_none() && asked.degraded.is_some());
    assert_eq!(fake.seen().len(), before);
    fake.does(Does::Vectors(300));
    assert_eq!(registry.step(), Step::More);
    assert_eq!((registry.step(), registry.waiting()), (Step::Done, 0));
    assert_eq!(with_vectors(&registry, 1), ["a"]);
    let directory = registry.directory();
    assert_eq!(directory.revision, revision + 1);
    // Its card did not change.
    assert_eq!(directory.agent("a").unwrap().revision, revision);
}

#[test]
fn a_registration_waits_for_no_second_answer_where_the_first_does_not_come() {
    let fake = Fake::start(Does::Silent);
    let dir = tempfile::tempdir().unwrap();
    let registry = registry(&fake, HASTE, &dir);
    let many = (0..30).map(|n| entry(&format!("a{n}"), &format!("does thing {n}")));
    registry.put(many.collect()).unwrap();
    assert_eq!(registry.waiting(), 30);
    // One at the start, one for the cards, whether they came before it was too late or not.
    assert!(fake.seen().len() <= 2);
}

#[test]
fn one_that_is_replaced_or_removed_meanwhile_is_not_brought_back() {
    let fake = Fake::start(Does::Status(500));
    let dir = tempfile::tempdir().unwrap();
    let registry = registry(&fake, PATIENCE, &dir);
    let both = vec![entry("a", "books flights"), entry("b", "sings songs")];
    registry.put(both).unwrap();
    registry.remove("a").unwrap();
    assert_eq!(registry.waiting(), 1);
    fake.does(Does::Vectors(300));
    registry.put(vec![entry("b", "books flights")]).unwrap();
    assert_eq!((registry.waiting(), registry.step()), (0, Step::Done));
    assert_eq!(with_vectors(&registry, 2), ["b"]);
}

#[test]
fn a_text_that_is_refused_holds_no_other_up() {
    let fake = Fake::start(Does::Refuses("bad", 300));
    let dir = tempfile::tempdir().unwrap();
    let registry = registry(&fake, PATIENCE, &dir);
    let mut entries: Vec<Entry> = (0..12)
        .map(|n| entry(&format!("a{n}"), &format!("flights {n}")))
        .collect();
    entries.push(entry("a0-bad", "bad flights"));
    registry.put(entries).unwrap();
    assert!(registry.waiting() > 0);
    let mut steps = 0;
    while registry.step() != Step::Done {
        steps += 1;
        assert!(steps < 100, "{} still wait", registry.waiting());
    }
    assert_eq!(with_vectors(&registry, 13).len(), 12);
}

#[test]
fn batches_shrink_to_what_the_endpoint_takes() {
    let fake = Fake::start(Does::Takes(2, 300));
    let dir = tempfile::tempdir().unwrap();
    let registry = registry(&fake, PATIENCE, &dir);
    let many = (0..10).map(|n| entry(&format!("a{n}"), &format!("flights {n}")));
    registry.put(many.collect()).unwrap();
    let mut steps = 0;
    while registry.step() != Step::Done {
        steps += 1;
        assert!(steps < 200, "{} still wait", registry.waiting());
    }
    assert_eq!(with_vectors(&registry, 10).len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_is_made_in_the_background() {
    let fake = Fake::start(Does::Status(500));
    let dir = tempfile::tempdir().unwrap();
    let registry = tokio::task::block_in_place(|| Arc::new(registry(&fake, PATIENCE, &dir)));
    let putting = Arc::clone(&registry);
    tokio::task::spawn_blocking(move || putting.put(vec![entry("a", "books flights")]))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(registry.waiting(), 1);
    fake.does(Does::Vectors(300));
    let tending = Arc::clone(&registry);
    let tending = tokio::spawn(async move { tending.catch_up().await });
    let made = async {
        while registry.waiting() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, made).await.unwrap();
    tending.abort();
}
