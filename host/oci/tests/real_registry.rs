//! Against a real registry, Debian's `docker-registry`, started for each test.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop where it stands"
)]

mod support;

use std::fs;

use kgents_app::Digest;
use kgents_oci::{Reference, Settings, pull, push};
use serde_json::json;
use support::docker::Registry;
use support::{as_pulled, logged_in, shop};

fn named(registry: &Registry, rest: &str) -> Reference {
    format!("{}/{rest}", registry.host).parse().unwrap()
}

#[tokio::test]
async fn a_real_registry_takes_an_application_and_gives_it_back() {
    let Some(registry) = Registry::start(false) else {
        return;
    };
    let (packed, reference) = (shop(), named(&registry, "acme/shop:1"));
    let pushed = push(&packed, &reference, &Settings::default())
        .await
        .unwrap();
    assert_eq!(
        push(&packed, &reference, &Settings::default())
            .await
            .unwrap(),
        pushed
    );
    let pinned = named(&registry, &format!("acme/shop@{pushed}"));
    for reference in [reference, pinned] {
        let pulled = pull(&reference, &Settings::default()).await.unwrap();
        assert_eq!(pulled.digest, pushed);
        assert_eq!(pulled.packed.lock, as_pulled(&packed));
        assert_eq!(pulled.packed.blobs, packed.blobs);
    }
}

#[tokio::test]
async fn a_real_registry_takes_a_component_of_many_chunks() {
    let Some(registry) = Registry::start(false) else {
        return;
    };
    let mut packed = shop();
    // Nothing that compresses or repeats.
    let mut state = 1u32;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(9 << 20)
    .collect();
    let digest = Digest::of(&bytes);
    packed.lock.components[1].source.content.digest = Some(digest.to_string());
    packed.blobs.remove(&Digest::of(b"\0asm api"));
    packed.blobs.insert(digest, bytes.into());
    let reference = named(&registry, "acme/large:1");
    push(&packed, &reference, &Settings::default())
        .await
        .unwrap();
    let pulled = pull(&reference, &Settings::default()).await.unwrap();
    assert_eq!(pulled.packed.blobs, packed.blobs);
}

#[tokio::test]
async fn a_real_registry_whose_disk_changed_a_blob_is_found_out() {
    let Some(registry) = Registry::start(false) else {
        return;
    };
    let reference = named(&registry, "acme/shop:1");
    push(&shop(), &reference, &Settings::default())
        .await
        .unwrap();
    fs::write(registry.kept(&Digest::of(b"\0asm web").hex()), b"\0asm bad").unwrap();
    let error = pull(&reference, &Settings::default()).await.unwrap_err();
    assert_eq!(error.code(), "digest-mismatch");
    assert!(error.to_string().starts_with("layer 1 ("), "{error}");
}

#[tokio::test]
async fn a_real_registry_wants_a_login_and_gets_it() {
    let Some(registry) = Registry::start(true) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let reference = named(&registry, "acme/shop:1");
    let as_ada = |password: &str| {
        let entry = json!({"username": "ada", "password": password});
        logged_in(folder.path(), &registry.host, entry)
    };
    for settings in [Settings::default(), as_ada("wrong")] {
        let error = push(&shop(), &reference, &settings).await.unwrap_err();
        assert_eq!(error.code(), "denied", "{error}");
    }
    push(&shop(), &reference, &as_ada("secret")).await.unwrap();
    assert!(pull(&reference, &as_ada("secret")).await.is_ok());
    let error = pull(&reference, &as_ada("wrong")).await.unwrap_err();
    assert_eq!(error.code(), "denied", "{error}");
}

#[tokio::test]
async fn a_real_registry_says_what_it_does_not_have() {
    let Some(registry) = Registry::start(false) else {
        return;
    };
    let error = pull(&named(&registry, "acme/shop:1"), &Settings::default())
        .await
        .unwrap_err();
    assert_eq!(error.code(), "absent");
}
