//! The same mesh wherever its front door runs: one table of requests through the
//! native listener, through the gateway component on our engine, and through the
//! same component under Spin, where there is one. What comes back has to be the
//! same to the byte.
//!
//! Two things differ between two calls to one mesh by their nature and are made
//! alike before comparing: names of audit events, and the numbers an agent gives
//! its tasks.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop where it stands"
)]

mod doors;
mod events;
mod seen;
mod table;

use doors::Doors;
use kgents_tests::Mesh;
use seen::Seen;
use table::{REQUESTS, Who};

#[test]
fn every_door_gives_the_same_answer_to_every_request() {
    let doors = Doors::open();
    let mut differences = Vec::new();
    for row in REQUESTS.lines().filter(|line| !line.trim().is_empty()) {
        let request = table::read(row);
        // A question is found by searching once, and remembered from then on.
        let _ = Seen::of(&doors.native(request.who), &request);
        let native = Seen::of(&doors.native(request.who), &request);
        for (name, door) in doors.others() {
            let other = Seen::of(&door.client(request.who), &request);
            if other != native {
                differences.push(format!(
                    "{} by {name}:\n  native {native}\n  {name} {other}",
                    request.name
                ));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// What the table expects of the native door, so that all doors cannot be wrong
/// together.
#[test]
fn the_table_says_what_the_native_door_answers() {
    let doors = Doors::open();
    for row in REQUESTS.lines().filter(|line| !line.trim().is_empty()) {
        let request = table::read(row);
        let seen = Seen::of(&doors.native(request.who), &request);
        assert_eq!(seen.status, request.status, "{}: {seen}", request.name);
    }
}

#[test]
fn a_body_above_the_limit_is_refused_alike_at_every_door() {
    let doors = Doors::open();
    for (who, bytes) in [(Who::Operator, 10 * 1024 * 1024), (Who::Nobody, 100 * 1024)] {
        let request = table::large(who, bytes);
        let native = Seen::of(&doors.native(who), &request);
        assert!(native.status == 413 || native.status == 401, "{native}");
        for (name, door) in doors.others() {
            assert_eq!(Seen::of(&door.client(who), &request), native, "{name}");
        }
    }
}

/// The one difference there is: bytes that the codec refuses never leave the
/// gateway, so a token that comes with them is not looked at.
#[test]
fn refused_bytes_with_a_bad_token_are_told_from_the_token_only_by_the_native_door() {
    let doors = Doors::open();
    let request = table::read("malformed | forged | POST / | 401 | {\"jsonrpc\":");
    assert_eq!(Seen::of(&doors.native(Who::Forger), &request).status, 401);
    let before = doors.mesh.trail().len();
    for (name, door) in doors.others() {
        let seen = Seen::of(&door.client(Who::Forger), &request);
        assert_eq!(seen.status, 200, "{name}: {seen}");
        assert!(seen.body().contains("JSON_PARSE"), "{name}: {seen}");
    }
    assert_eq!(doors.mesh.trail().len(), before, "no call left the gateway");
}

#[test]
fn a_gateway_whose_own_token_does_not_verify_says_so_to_its_operator_only() {
    let mesh = Mesh::start();
    let token = mesh.token(&[]);
    // A user's token is no gateway's.
    let app = doors::gateway(&kgents_tests::Runtime::Ours, mesh.url(), &token);
    let answer = app.client(Some(&token)).say("/agents/echo", "hello");
    let refusal = answer.refusal();
    assert_eq!(refusal.reason, "UNAVAILABLE", "{}", answer.text());
    assert!(!answer.text().contains(&token));
}

#[test]
fn a_gateway_without_a_nucleus_says_that_the_mesh_is_unavailable() {
    let mesh = Mesh::start();
    let (caller, gateway) = (mesh.token(&[]), mesh.token(&["--gateway", "edge"]));
    let url = mesh.url().to_owned();
    drop(mesh);
    let app = doors::gateway(&kgents_tests::Runtime::Ours, &url, &gateway);
    let answer = app.client(Some(&caller)).say("/agents/echo", "hello");
    assert_eq!(answer.refusal().reason, "UNAVAILABLE", "{}", answer.text());
    assert_eq!(answer.status, 503);
}
