//! What is pushed has Spin's layout, and what has Spin's layout is pulled.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop where it stands"
)]

mod support;

use std::io::Write;
use std::str::FromStr;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use kgents_app::Digest;
use kgents_oci::{Settings, pull, push};
use serde_json::{Value, json};
use support::{APPLICATION, ARCHIVE, CONFIG, DATA, Fake, MANIFEST, WASM, as_pulled, shop};

fn digest(bytes: &[u8]) -> String {
    Digest::of(bytes).to_string()
}

#[tokio::test]
async fn what_is_pushed_has_the_layout_of_spin() {
    let registry = Fake::start().await;
    let packed = shop();
    let pushed = push(
        &packed,
        &registry.reference("acme/shop:1"),
        &Settings::default(),
    )
    .await
    .unwrap();
    let manifest = registry.manifest("1");
    assert_eq!(pushed.to_string(), digest(manifest.to_string().as_bytes()));
    assert_eq!(manifest["schemaVersion"], 2);
    assert_eq!(manifest["mediaType"], MANIFEST);
    let layers = manifest["layers"].as_array().unwrap();
    let kinds: Vec<&Value> = layers.iter().map(|layer| &layer["mediaType"]).collect();
    assert_eq!(kinds, [WASM, WASM, DATA, APPLICATION]);
    for part in layers.iter().chain([&manifest["config"]]) {
        let bytes = registry.blob(part);
        assert_eq!(part["digest"], digest(&bytes));
        assert_eq!(part["size"], bytes.len());
    }
    let config: Value = serde_json::from_slice(&registry.blob(&manifest["config"])).unwrap();
    assert_eq!(manifest["config"]["mediaType"], CONFIG);
    assert_eq!(
        config,
        json!({"architecture": "wasm", "os": "wasip1",
            "config": {"Labels": {"com.fermyon.spin.lockedAppDigest": layers[3]["digest"]}},
            "rootfs": {"type": "layers", "diff_ids": []}})
    );
    assert_eq!(
        manifest["annotations"],
        json!({"org.opencontainers.image.title": "shop", "org.opencontainers.image.version": "1.2.0",
            "org.opencontainers.image.description": "sells", "org.opencontainers.image.authors": "Ada, Bo"})
    );
    let lock: Value = serde_json::from_slice(&registry.blob(&layers[3])).unwrap();
    assert_eq!(lock["metadata"].get("origin"), None);
    assert_eq!(
        lock["components"][0]["files"],
        json!([
            {"inline": "c21hbGw", "digest": digest(b"small"), "path": "note.txt"},
            {"digest": digest(&[b'x'; 5000]), "path": "img/logo.svg"},
        ])
    );
    assert_eq!(
        lock["components"][1]["source"],
        json!({"content_type": "application/wasm", "digest": digest(b"\0asm api")})
    );
}

#[tokio::test]
async fn what_was_pushed_comes_back_and_is_sent_only_once() {
    let registry = Fake::start().await;
    let (packed, reference) = (shop(), registry.reference("acme/shop:1"));
    let first = push(&packed, &reference, &Settings::default())
        .await
        .unwrap();
    let sent = registry.asked("PUT /v2/acme/shop/blobs/");
    assert_eq!(sent, 5);
    let second = push(&packed, &reference, &Settings::default())
        .await
        .unwrap();
    assert_eq!(first, second);
    assert_eq!(registry.asked("PUT /v2/acme/shop/blobs/"), sent);
    let pinned = registry.reference(&format!("acme/shop@{first}"));
    for reference in [reference, pinned] {
        // On another thread, as a server does it.
        let pulling = tokio::spawn(async move { pull(&reference, &Settings::default()).await });
        let pulled = pulling.await.unwrap().unwrap();
        assert_eq!(pulled.digest, first);
        assert_eq!(pulled.packed.lock, as_pulled(&packed));
        assert_eq!(pulled.packed.blobs, packed.blobs);
    }
}

#[tokio::test]
async fn an_application_of_very_many_files_is_one_archive() {
    let registry = Fake::start().await;
    let mut packed = shop();
    let file = packed.lock.components[0].files[1].clone();
    for number in 0..600u32 {
        let bytes = Bytes::from(number.to_le_bytes().repeat(50));
        let mut file = file.clone();
        file.path = format!("many/{number}");
        file.content.digest = Some(digest(&bytes));
        packed.lock.components[0].files.push(file);
        packed.blobs.insert(Digest::of(&bytes), bytes);
    }
    let reference = registry.reference("acme/shop:1");
    push(&packed, &reference, &Settings::default())
        .await
        .unwrap();
    let manifest = registry.manifest("1");
    let layers = manifest["layers"].as_array().unwrap();
    let kinds: Vec<&Value> = layers.iter().map(|layer| &layer["mediaType"]).collect();
    assert_eq!(kinds, [WASM, WASM, ARCHIVE, APPLICATION]);
    let pulled = pull(&reference, &Settings::default()).await.unwrap().packed;
    assert_eq!(pulled.lock, as_pulled(&packed));
    assert_eq!(pulled.blobs, packed.blobs);
}

/// A lock with one component that has one file.
fn lock(file: Value) -> String {
    json!({"spin_lock_version": 0, "metadata": {"name": "one"}, "triggers": [],
        "components": [{"id": "web", "files": [file],
            "source": {"content_type": "application/wasm", "digest": digest(b"\0asm")}}]})
    .to_string()
}

#[tokio::test]
async fn an_archive_as_spin_writes_it_is_pulled() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("img")).unwrap();
    std::fs::write(folder.path().join("img/logo.svg"), [b'y'; 300]).unwrap();
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    builder.append_dir_all(".", folder.path()).unwrap();
    let archive = builder.into_inner().unwrap().finish().unwrap();
    let lock = lock(json!({"digest": digest(&[b'y'; 300]), "path": "img/logo.svg"}));
    let registry = Fake::start().await;
    let layers: [(&str, &[u8]); 3] = [
        (WASM, b"\0asm"),
        (ARCHIVE, &archive),
        (APPLICATION, lock.as_bytes()),
    ];
    registry.put("1", &layers);
    let pulled = pull(&registry.reference("one:1"), &Settings::default())
        .await
        .unwrap()
        .packed;
    assert_eq!(pulled.blobs[&Digest::of(&[b'y'; 300])], &[b'y'; 300][..]);
}

#[tokio::test]
async fn an_archive_that_lacks_a_file_or_leads_out_is_told() {
    let registry = Fake::start().await;
    let wanted = lock(json!({"digest": digest(b"wanted"), "path": "img/logo.svg"}));
    let mut empty = GzEncoder::new(Vec::new(), Compression::default());
    empty.write_all(&[0; 1024]).unwrap();
    let empty = empty.finish().unwrap();
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..9].copy_from_slice(b"../../etc");
    header.set_size(0);
    header.set_cksum();
    let mut hostile = GzEncoder::new(Vec::new(), Compression::default());
    hostile.write_all(header.as_bytes()).unwrap();
    hostile.write_all(&[0; 1024]).unwrap();
    let hostile = hostile.finish().unwrap();
    for (archive, why) in [
        (
            empty,
            "component `web`: file `img/logo.svg`: no layer of the artefact holds",
        ),
        (
            hostile,
            "layer 2 (application/vnd.wasm.content.bundle.v1.tar+gzip",
        ),
    ] {
        let layers: [(&str, &[u8]); 3] = [
            (WASM, b"\0asm"),
            (ARCHIVE, &archive),
            (APPLICATION, wanted.as_bytes()),
        ];
        registry.put("1", &layers);
        let error = pull(&registry.reference("one:1"), &Settings::default())
            .await
            .unwrap_err();
        assert_eq!(error.code(), "invalid-artefact");
        assert!(error.to_string().starts_with(why), "{error}");
    }
}

#[tokio::test]
async fn blobs_are_pulled_once_and_proven_each_time() {
    let registry = Fake::start().await;
    let reference = registry.reference("acme/shop:1");
    let packed = shop();
    push(&packed, &reference, &Settings::default())
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        cache: Some(folder.path().join("blobs")),
        ..Settings::default()
    };
    let blobs = "GET /v2/acme/shop/blobs/";
    pull(&reference, &settings).await.unwrap();
    let once = registry.asked(blobs);
    assert_eq!(once, 5);
    pull(&reference, &settings).await.unwrap();
    assert_eq!(registry.asked(blobs), once);
    let kept = folder
        .path()
        .join("blobs/sha256")
        .join(Digest::of(b"\0asm web").hex());
    std::fs::write(&kept, b"\0asm bad").unwrap();
    let pulled = pull(&reference, &settings).await.unwrap().packed;
    assert_eq!(registry.asked(blobs), once + 1);
    assert_eq!(pulled.blobs, packed.blobs);
    assert_eq!(std::fs::read(&kept).unwrap(), b"\0asm web");
}

/// A component that has these parts, as WebAssembly text.
fn component(parts: &str) -> Vec<u8> {
    wat::parse_str(format!("(component {parts})")).unwrap()
}

#[tokio::test]
async fn dependencies_that_were_pushed_beside_a_component_are_composed_into_it() {
    let exports = |name: &str| {
        format!(
            r#"(core module $m (func (export "ask")))
               (core instance $i (instantiate $m))
               (func $ask (canon lift (core func $i "ask")))
               (instance $out (export "ask" (func $ask)))
               (export "{name}" (instance $out))"#
        )
    };
    let import = r#"(import "acme:prices/ask@0.1.0" (instance (export "ask" (func))))"#;
    let web = component(&format!(
        "{import}{}",
        exports("wasi:http/incoming-handler@0.2.0")
    ));
    let prices = component(&exports("acme:prices/ask@0.1.0"));
    let wasm = |bytes: &[u8]| json!({"content_type": "application/wasm", "digest": digest(bytes)});
    let lock = json!({"spin_lock_version": 0, "metadata": {"name": "one"}, "triggers": [],
        "components": [{"id": "web", "source": wasm(&web),
            "dependencies": {"acme:prices": {"source": wasm(&prices), "export": null}}}]})
    .to_string();
    let registry = Fake::start().await;
    let layers: [(&str, &[u8]); 3] = [
        (WASM, &web),
        (WASM, &prices),
        (APPLICATION, lock.as_bytes()),
    ];
    registry.put("1", &layers);
    let pulled = pull(&registry.reference("one:1"), &Settings::default())
        .await
        .unwrap()
        .packed;
    let found = &pulled.lock.components[0];
    assert!(found.dependencies.is_empty());
    let composed = Digest::from_str(found.source.content.digest.as_deref().unwrap()).unwrap();
    assert_eq!(pulled.blobs.keys().collect::<Vec<_>>(), [&composed]);
    let interfaces = kgents_app::interfaces(&pulled.blobs[&composed]).unwrap();
    assert!(interfaces.imports.is_empty(), "{:?}", interfaces.imports);
    // What does not fit is told.
    let lock = lock.replace("acme:prices", "acme:costs");
    registry.put(
        "2",
        &[
            (WASM, &web),
            (WASM, &prices),
            (APPLICATION, lock.as_bytes()),
        ],
    );
    let error = pull(&registry.reference("one:2"), &Settings::default())
        .await
        .unwrap_err();
    assert_eq!(error.code(), "invalid-application");
}
