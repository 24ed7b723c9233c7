//! The artefact's layout, which is Spin's: a manifest, an image configuration that
//! nobody runs, and layers. Pure.

use std::collections::BTreeMap;

use kgents_app::{Digest, lock};
use serde::{Deserialize, Serialize};

use crate::error::quoted;
use crate::{OciError, Reference};

/// The manifest.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Asked for: the manifest, and what may stand in its place, so that it can be
/// told apart from nothing.
pub(crate) const MANIFESTS_TOLD: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.list.v2+json";
/// The image configuration.
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// A component.
pub(crate) const WASM: &str = "application/vnd.wasm.content.layer.v1+wasm";
/// The same, as other tools name it.
pub(crate) const WASM_PLAIN: &str = "application/wasm";
/// A file.
pub(crate) const DATA: &str = "application/vnd.wasm.content.layer.v1+data";
/// Files, tar in gzip.
pub(crate) const ARCHIVE: &str = "application/vnd.wasm.content.bundle.v1.tar+gzip";
/// The locked application.
pub(crate) const APPLICATION: &str = lock::MEDIA_TYPE;
/// The label of the configuration that names the application's digest, so that two
/// applications are two images to a container runtime.
const APPLICATION_LABEL: &str = "com.fermyon.spin.lockedAppDigest";

/// Layers that are read of one manifest. Spin writes at most 500.
const LAYERS_MAX: usize = 1000;
/// Largest component or archive of files, bytes. Components of the largest
/// languages have 50 MB.
pub(crate) const LAYER_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Largest image configuration, bytes.
const CONFIG_BYTES_MAX: u64 = 1024 * 1024;

/// A manifest that has been read and makes sense so far.
#[derive(Debug)]
pub(crate) struct Manifest {
    /// The image configuration.
    pub(crate) config: Part,
    /// The layers, in order.
    pub(crate) layers: Vec<Part>,
}

/// A blob that a manifest names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// What it is called in messages: `layer 2 (TYPE, DIGEST)`.
    pub(crate) what: String,
    /// What it says it holds.
    pub(crate) media_type: String,
    /// What it is named by.
    pub(crate) digest: Digest,
    /// Bytes.
    pub(crate) size: u64,
}

/// A blob as a manifest writes it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    pub(crate) media_type: String,
    pub(crate) digest: String,
    pub(crate) size: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    schema_version: u8,
    media_type: &'a str,
    config: Descriptor,
    layers: Vec<Descriptor>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read {
    schema_version: u64,
    media_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
}

#[derive(Serialize, Deserialize)]
struct Image {
    architecture: String,
    os: String,
    #[serde(default)]
    config: ImageConfig,
    #[serde(default)]
    rootfs: RootFs,
}

#[derive(Default, Serialize, Deserialize)]
struct ImageConfig {
    #[serde(rename = "Labels", default)]
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Default, Serialize, Deserialize)]
struct RootFs {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    diff_ids: Vec<String>,
}

/// The image configuration that names the application.
pub(crate) fn image(application: Digest) -> Result<Vec<u8>, OciError> {
    let label = (APPLICATION_LABEL.to_owned(), application.to_string());
    let image = Image {
        architecture: "wasm".to_owned(),
        os: "wasip1".to_owned(),
        config: ImageConfig {
            labels: Some(BTreeMap::from([label])),
        },
        rootfs: RootFs {
            kind: "layers".to_owned(),
            diff_ids: Vec::new(),
        },
    };
    json("the image configuration", &image)
}

/// Refuse an image configuration that names another application.
pub(crate) fn check_image(what: &str, bytes: &[u8], application: Digest) -> Result<(), OciError> {
    let image: Image = serde_json::from_slice(bytes)
        .map_err(|error| OciError::artefact(what, error.to_string()))?;
    let labels = image.config.labels.unwrap_or_default();
    match labels.get(APPLICATION_LABEL) {
        Some(named) if *named != application.to_string() => Err(OciError::artefact(
            what,
            format!(
                "it is for the application {}, and the manifest holds {application}",
                quoted(named, 80)
            ),
        )),
        _ => Ok(()),
    }
}

/// A manifest in the form that registries store.
pub(crate) fn write(
    config: Descriptor,
    layers: Vec<Descriptor>,
    annotations: &BTreeMap<String, String>,
) -> Result<Vec<u8>, OciError> {
    let written = Written {
        schema_version: 2,
        media_type: MANIFEST,
        config,
        layers,
        annotations,
    };
    json("the manifest", &written)
}

fn json(what: &str, value: &impl Serialize) -> Result<Vec<u8>, OciError> {
    serde_json::to_vec(value).map_err(|error| OciError::artefact(what, error.to_string()))
}

impl Manifest {
    /// Read what a registry sent as the manifest of `reference`, `told` being its
    /// `Content-Type`.
    pub(crate) fn read(reference: &Reference, told: &str, bytes: &[u8]) -> Result<Self, OciError> {
        let what = format!("the manifest of `{reference}`");
        let wrong = |problem: String| OciError::artefact(what.clone(), problem);
        let read: Read = serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
        let media_type = read.media_type.as_deref().unwrap_or(told);
        if media_type.contains("image.index") || media_type.contains("manifest.list") {
            return Err(wrong(
                "it is an index of images for several machines; a Spin application is one for all"
                    .to_owned(),
            ));
        }
        if media_type != MANIFEST {
            let found = quoted(media_type, 100);
            return Err(wrong(format!(
                "its media type is `{found}`, not `{MANIFEST}`"
            )));
        }
        if read.schema_version != 2 {
            return Err(wrong(format!(
                "its schemaVersion is {}, not 2",
                read.schema_version
            )));
        }
        let config = read
            .config
            .ok_or_else(|| wrong("`config` is missing".to_owned()))?;
        let layers = read
            .layers
            .ok_or_else(|| wrong("`layers` is missing".to_owned()))?;
        if layers.len() > LAYERS_MAX {
            let count = layers.len();
            return Err(wrong(format!(
                "{count} layers; at most {LAYERS_MAX} are read"
            )));
        }
        let config = Part::of("the image configuration", config, CONFIG_BYTES_MAX)?;
        let layers = (1..).zip(layers).map(|(number, layer)| {
            let bytes_max = if layer.media_type == APPLICATION {
                lock::BYTES_MAX
            } else {
                LAYER_BYTES_MAX
            };
            Part::of(&format!("layer {number}"), layer, bytes_max)
        });
        Ok(Self {
            config,
            layers: layers.collect::<Result<_, _>>()?,
        })
    }

    /// The layer that holds the application, or the configuration in its place, as
    /// the first versions of Spin had it.
    pub(crate) fn application(&self, reference: &Reference) -> Result<&Part, OciError> {
        let mut found = self
            .layers
            .iter()
            .filter(|layer| layer.media_type == APPLICATION);
        match (found.next(), found.next()) {
            (Some(layer), None) => Ok(layer),
            (Some(_), Some(second)) => Err(OciError::artefact(
                second.what.as_str(),
                "it is a second application; an artefact holds one",
            )),
            (None, _) if self.config.media_type == APPLICATION => Ok(&self.config),
            (None, _) => Err(OciError::artefact(
                format!("`{reference}`"),
                self.what_else(),
            )),
        }
    }

    /// What this is, if it is no Spin application.
    fn what_else(&self) -> String {
        let lone = match self.layers.as_slice() {
            [layer] => layer.media_type == WASM_PLAIN || layer.media_type == WASM,
            _ => false,
        };
        if lone {
            return "it holds one component and no application; write a spin.toml around it and push that".to_owned();
        }
        format!("no layer is a Spin application (`{APPLICATION}`); is it a container image?")
    }
}

impl Part {
    fn of(name: &str, written: Descriptor, bytes_max: u64) -> Result<Self, OciError> {
        let media_type = quoted(&written.media_type, 100);
        let shown = quoted(&written.digest, 80);
        let what = format!("{name} ({media_type}, {shown})");
        let digest = written
            .digest
            .parse()
            .map_err(|_| OciError::artefact(what.as_str(), "its digest is no SHA-256"))?;
        if written.size > bytes_max {
            return Err(OciError::TooLarge { what, bytes_max });
        }
        Ok(Self {
            what,
            media_type: written.media_type,
            digest,
            size: written.size,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const DIGEST: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn reference() -> Reference {
        "ghcr.io/acme/shop:1".parse().unwrap()
    }

    fn layer(media_type: &str) -> Value {
        json!({"mediaType": media_type, "digest": DIGEST, "size": 3})
    }

    fn manifest(change: impl FnOnce(&mut Value)) -> Result<Manifest, String> {
        let mut value = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": layer(CONFIG),
            "layers": [layer(WASM), layer(APPLICATION)],
        });
        change(&mut value);
        let read = Manifest::read(&reference(), "", value.to_string().as_bytes());
        read.map_err(|error| error.to_string())
    }

    #[test]
    fn a_manifest_is_read_with_a_name_for_each_layer() {
        let read = manifest(|_| {}).unwrap();
        let application = read.application(&reference()).unwrap();
        assert_eq!(
            application.what,
            format!("layer 2 ({APPLICATION}, {DIGEST})")
        );
        assert_eq!(application.size, 3);
        // A media type may be left to the header.
        let bare = json!({"schemaVersion": 2, "config": layer(CONFIG), "layers": []});
        assert!(Manifest::read(&reference(), MANIFEST, bare.to_string().as_bytes()).is_ok());
    }

    #[test]
    fn a_manifest_that_is_none_says_why() {
        type Change = fn(&mut Value);
        let cases: [(&str, Change); 8] = [
            ("schemaVersion is 1", |m| m["schemaVersion"] = json!(1)),
            ("index of images", |m| {
                m["mediaType"] = json!("application/vnd.oci.image.index.v1+json")
            }),
            ("media type is `text/html`", |m| {
                m["mediaType"] = json!("text/html")
            }),
            ("`config` is missing", |m| m["config"] = json!(null)),
            ("`layers` is missing", |m| m["layers"] = json!(null)),
            ("digest is no SHA-256", |m| {
                m["layers"][0]["digest"] = json!("md5:1")
            }),
            ("layer 1", |m| m["layers"][0]["size"] = json!(u64::MAX)),
            ("at most 1000", |m| {
                m["layers"] = json!(vec![layer(DATA); LAYERS_MAX + 1])
            }),
        ];
        for (why, change) in cases {
            let error = manifest(change).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn what_is_no_application_is_told_apart() {
        let application = |change: fn(&mut Value)| {
            let read = manifest(change).unwrap();
            let found = read.application(&reference()).map(|part| part.what.clone());
            found.map_err(|error| error.to_string())
        };
        let error = application(|m| m["layers"] = json!([layer("x/tar")])).unwrap_err();
        assert!(error.contains("is it a container image?"), "{error}");
        let error = application(|m| m["layers"] = json!([layer(WASM_PLAIN)])).unwrap_err();
        assert!(error.contains("write a spin.toml around it"), "{error}");
        let error = application(|m| m["layers"] = json!([layer(APPLICATION), layer(APPLICATION)]));
        assert!(error.unwrap_err().contains("layer 2"));
        let old = application(|m| {
            m["config"] = layer(APPLICATION);
            m["layers"] = json!([layer(WASM)]);
        });
        assert!(old.unwrap().starts_with("the image configuration"));
    }

    #[test]
    fn the_configuration_names_its_application() {
        let (one, two) = (Digest::of(b"one"), Digest::of(b"two"));
        let bytes = image(one).unwrap();
        assert!(check_image("c", &bytes, one).is_ok());
        let error = check_image("c", &bytes, two).unwrap_err().to_string();
        assert!(error.contains("it is for the application"), "{error}");
        assert!(check_image("c", br#"{"architecture":"wasm","os":"x"}"#, two).is_ok());
        assert!(check_image("c", b"{}", two).is_err());
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(
            value,
            json!({
                "architecture": "wasm",
                "os": "wasip1",
                "config": {"Labels": {"com.fermyon.spin.lockedAppDigest": one.to_string()}},
                "rootfs": {"type": "layers", "diff_ids": []},
            })
        );
    }

    proptest! {
        #[test]
        fn no_manifest_does_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Manifest::read(&reference(), MANIFEST, &bytes);
            let _ = check_image("c", &bytes, Digest::of(b""));
        }
    }
}
