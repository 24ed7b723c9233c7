//! kill -9 under load, many times: what was acknowledged is never lost.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use kgents_tests::{Agent, Client, Mesh, until};
use serde_json::{Value, json};

const ROUNDS: usize = 12;
const CALLERS: usize = 4;
/// Answers of one round before the power goes.
const ANSWERS: usize = 40;

/// What callers were told, which a crash must not undo.
#[derive(Default)]
struct Acknowledged {
    /// Events of all answers.
    events: BTreeSet<String>,
    /// Tasks that were begun.
    tasks: Vec<String>,
    /// Tokens allocated.
    allocated: u64,
    /// Tokens that somebody tried to allocate without being told the outcome.
    in_doubt: u64,
}

#[test]
fn nothing_that_was_acknowledged_is_lost_when_the_mesh_is_killed_under_load() {
    let agent = Agent::start();
    let mut mesh = Mesh::start();
    mesh.add(&agent);
    let mut known = Acknowledged::default();
    for round in 0..ROUNDS {
        one_life(&mut mesh, &mut known);
        if round % 2 == 0 {
            // Offline, before anything is repaired.
            mesh.verified();
        }
        mesh.up();
        holds(&mesh, &known, round);
    }
    mesh.restart();
    holds(&mesh, &known, ROUNDS);
    assert!(
        known.events.len() > ROUNDS * ANSWERS,
        "{}",
        known.events.len()
    );
}

/// Loads the mesh until enough was answered, and kills it in the midst.
fn one_life(mesh: &mut Mesh, known: &mut Acknowledged) {
    let answered = AtomicUsize::new(0);
    let client = mesh.client();
    let callers: Vec<Acknowledged> = thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let (client, answered) = (client.clone(), &answered);
                scope.spawn(move || load(&client, caller, answered))
            })
            .collect();
        until("answers", || {
            (answered.load(Ordering::SeqCst) >= ANSWERS).then_some(())
        });
        mesh.kill();
        callers
            .into_iter()
            .map(|caller| caller.join().unwrap())
            .collect()
    });
    for caller in callers {
        known.events.extend(caller.events);
        known.tasks.extend(caller.tasks);
        known.allocated += caller.allocated;
        known.in_doubt += caller.in_doubt;
    }
}

/// Calls until the mesh is gone.
fn load(client: &Client, caller: usize, answered: &AtomicUsize) -> Acknowledged {
    let mut known = Acknowledged::default();
    for turn in caller.. {
        let (path, text) = match turn % 4 {
            0 => ("/agents/parrot", "begin"),
            1 => ("/agents/b-gent", "allocate 7 tokens to translation"),
            2 => ("/agents/parrot", "use 3"),
            _ => ("/agents/nobody", "hello"),
        };
        let request = client.rpc_request(path, "SendMessage", &kgents_tests::http::message(text));
        let Ok(answer) = request.try_send() else {
            known.in_doubt += if turn % 4 == 1 { 7 } else { 0 };
            break;
        };
        answered.fetch_add(1, Ordering::SeqCst);
        let event = answer.header("kgents-event").unwrap();
        known.events.insert(event.to_owned());
        match turn % 4 {
            0 => known.tasks.push(
                answer.json()["result"]["task"]["id"]
                    .as_str()
                    .unwrap()
                    .to_owned(),
            ),
            1 => known.allocated += 7,
            _ => {}
        }
    }
    known
}

/// Looks for everything that was acknowledged.
fn holds(mesh: &Mesh, known: &Acknowledged, round: usize) {
    mesh.verified();
    let in_trail: BTreeSet<String> = mesh
        .trail()
        .iter()
        .filter_map(|event| event["metadata"]["name"].as_str().map(str::to_owned))
        .collect();
    let lost: Vec<&String> = known.events.difference(&in_trail).collect();
    assert_eq!(lost, [""; 0], "lost in round {round}");
    let client = mesh.client();
    let agents = client.get("/v1/agents").text();
    assert!(agents.contains("\"parrot\""), "round {round}: {agents}");
    let newest = known.tasks.last().into_iter().chain(known.tasks.first());
    for task in newest {
        let got = client
            .rpc("/agents/parrot", "GetTask", &json!({ "id": task }))
            .json();
        assert_eq!(got["result"]["id"], json!(task), "round {round}: {got}");
    }
    let (mesh_account, translation) = (account(&client, "mesh"), account(&client, "translation"));
    for figures in [&mesh_account, &translation] {
        let number = |name: &str| figures[name].as_u64().unwrap();
        let sum = number("spent") + number("reserved") + number("free");
        assert_eq!(sum, number("allocated"), "round {round}: {figures}");
    }
    let allocated = translation["allocated"].as_u64().unwrap();
    let bounds = known.allocated..=known.allocated + known.in_doubt;
    assert!(
        bounds.contains(&allocated),
        "round {round}: {allocated} not in {bounds:?}"
    );
    let total = allocated + mesh_account["allocated"].as_u64().unwrap();
    assert_eq!(total, 1_000_000, "round {round}: {mesh_account}");
}

fn account(client: &Client, name: &str) -> Value {
    let answer = client
        .say("/agents/b-gent", &format!("balance of {name}"))
        .json();
    answer
        .pointer("/result/message/parts/1/data")
        .cloned()
        .unwrap_or(answer)
}
