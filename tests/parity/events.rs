//! Streams: each event leaves every door as it comes, in the same pieces.

use kgents_tests::http::message;

use crate::doors::Doors;
use crate::seen::alike;
use crate::table::Who;

/// Events after the first of the agent's stream.
const MORE_EVENTS: usize = 3;

#[test]
fn every_door_passes_events_one_by_one_as_they_come() {
    let doors = Doors::open();
    let params = message("stream");
    let rows = [
        ("/agents/parrot", "SendStreamingMessage"),
        ("/agents/parrot/message:stream", ""),
    ];
    for (path, method) in rows {
        let ask = |client: kgents_tests::Client| match method {
            "" => client
                .request("POST", path)
                .header("a2a-version", "1.0")
                .a2a_json(&params),
            method => client.rpc_request(path, method, &params),
        };
        let through = |client| {
            let mut stream = ask(client).open();
            assert_eq!(stream.header("content-type"), Some("text/event-stream"));
            let mut events = vec![stream.try_event().unwrap().unwrap()];
            // The agent says nothing more until this was seen, so a door that
            // gathered events would wait here for ever.
            for _ in 0..MORE_EVENTS {
                doors.agent.release();
                events.push(stream.try_event().unwrap().unwrap());
            }
            assert_eq!(stream.try_event().unwrap(), None);
            events.iter().map(|event| alike(event)).collect::<Vec<_>>()
        };
        let native = through(doors.native(Who::User));
        assert_eq!(native.len(), MORE_EVENTS + 1);
        for (name, door) in doors.others() {
            assert_eq!(through(door.client(Who::User)), native, "{path} by {name}");
        }
    }
}

#[test]
fn a_caller_that_leaves_a_stream_is_missed_behind_every_door() {
    let doors = Doors::open();
    let params = message("linger");
    let leave = |client: kgents_tests::Client| {
        let request = client.rpc_request("/agents/parrot", "SendStreamingMessage", &params);
        let mut stream = request.open();
        stream.try_event().unwrap().unwrap();
    };
    leave(doors.native(Who::User));
    kgents_tests::until("the agent to miss its caller", || {
        (doors.agent.abandoned() == 1).then_some(())
    });
    // Behind a gateway it is a heartbeat that finds nobody there, at the latest.
    for (seen, (_, door)) in doors.others().enumerate() {
        leave(door.client(Who::User));
        kgents_tests::until("the agent to miss its caller", || {
            (doors.agent.abandoned() == seen + 2).then_some(())
        });
    }
}

#[test]
fn a_task_belongs_to_its_caller_behind_every_door() {
    let doors = Doors::open();
    let begin = doors.native(Who::User).say("/agents/parrot", "begin");
    let id = begin.json()["result"]["task"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let get = serde_json::json!({ "id": id });
    for (name, door) in doors.others() {
        let mine = door
            .client(Who::User)
            .rpc("/agents/parrot", "GetTask", &get);
        assert_eq!(mine.json()["result"]["id"], id.as_str(), "{name}");
        let theirs = door
            .client(Who::Operator)
            .rpc("/agents/parrot", "GetTask", &get);
        assert_eq!(theirs.refusal().reason, "TASK_NOT_FOUND", "{name}");
    }
}

/// A stream in which nothing happens is kept alive by comments, the same at
/// every door, and a call that takes as long is still answered.
#[test]
fn silence_is_filled_with_the_same_heartbeat_at_every_door() {
    let doors = Doors::open();
    let clients: Vec<_> = std::iter::once(doors.native(Who::User))
        .chain(doors.others().map(|(_, door)| door.client(Who::User)))
        .collect();
    let mut calls = Vec::new();
    for client in clients.clone() {
        let held = message("hold");
        calls.push(std::thread::spawn(move || {
            client.rpc("/agents/parrot", "SendMessage", &held)
        }));
    }
    let params = message("linger");
    let open = |client: &kgents_tests::Client| {
        let request = client.rpc_request("/agents/parrot", "SendStreamingMessage", &params);
        let mut stream = request.open();
        stream.try_event().unwrap().unwrap();
        stream
    };
    let mut streams: Vec<_> = clients.iter().map(open).collect();
    let beats: Vec<String> = streams
        .iter_mut()
        .map(|stream| stream.comment().unwrap().unwrap())
        .collect();
    assert!(
        beats.iter().all(|beat| *beat == beats[0]),
        "different heartbeats: {beats:?}"
    );
    for _ in &calls {
        doors.agent.release();
    }
    for call in calls {
        let answer = call.join().unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}
