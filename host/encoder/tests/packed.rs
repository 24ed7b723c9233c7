//! Packing and loading on a small made-up model: one layer, few words, the real width.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the functions that tests share are not tests to the lint"
)]

use std::collections::BTreeMap;

use kgents_encoder::{DIMENSIONS, Encoder, Kernel, pack, pack_pinned};
use proptest::prelude::*;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use sha2::{Digest, Sha256};

const VOCABULARY: &str = "[UNK]\n[CLS]\n[SEP]\nthe\nmesh\n##es\nstands\nup\n.\n";
const WORDS: usize = 9;
const POSITIONS: usize = 12;
const INTERMEDIATE: usize = 32;

/// The made-up model's tensors: shape and values by name.
struct Tensors(BTreeMap<String, (Vec<usize>, Vec<u8>)>);

impl Tensors {
    fn made_up() -> Tensors {
        let mut tensors = Tensors(BTreeMap::new());
        let d = DIMENSIONS;
        tensors.put("embeddings.word_embeddings.weight", &[WORDS, d]);
        tensors.put("embeddings.position_embeddings.weight", &[POSITIONS, d]);
        tensors.put("embeddings.token_type_embeddings.weight", &[2, d]);
        tensors.put_pair("embeddings.LayerNorm", &[d]);
        for part in ["query", "key", "value"] {
            tensors.put_pair(&format!("encoder.layer.0.attention.self.{part}"), &[d, d]);
        }
        tensors.put_pair("encoder.layer.0.attention.output.dense", &[d, d]);
        tensors.put_pair("encoder.layer.0.attention.output.LayerNorm", &[d]);
        tensors.put_pair("encoder.layer.0.intermediate.dense", &[INTERMEDIATE, d]);
        tensors.put_pair("encoder.layer.0.output.dense", &[d, INTERMEDIATE]);
        tensors.put_pair("encoder.layer.0.output.LayerNorm", &[d]);
        tensors
    }

    fn put_pair(&mut self, name: &str, shape: &[usize]) {
        self.put(&format!("{name}.weight"), shape);
        self.put(&format!("{name}.bias"), &shape[..1]);
    }

    /// Values from -1 to 1 that follow from the tensor's name.
    fn put(&mut self, name: &str, shape: &[usize]) {
        let mut state = name.bytes().fold(0x9e37_79b9_7f4a_7c15u64, |state, byte| {
            (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            ((state >> 40) as f32) / (1u64 << 23) as f32 - 1.0
        };
        let count = shape.iter().product();
        let bytes = (0..count).flat_map(|_| next().to_le_bytes()).collect();
        self.0.insert(name.to_owned(), (shape.to_vec(), bytes));
    }

    fn file(&self) -> Vec<u8> {
        let views = self.0.iter().map(|(name, (shape, bytes))| {
            (
                name,
                TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap(),
            )
        });
        safetensors::serialize(views, None).unwrap()
    }
}

fn packed() -> Vec<u8> {
    pack(&Tensors::made_up().file(), VOCABULARY).unwrap()
}

/// `content` with the trailer that belongs to it.
fn sealed(content: &[u8]) -> Vec<u8> {
    let mut file = content.to_vec();
    file.extend(Sha256::digest(content));
    file
}

#[track_caller]
fn check_refused(file: &[u8], code: &str, text: &str) {
    let error = Encoder::from_bytes(file).unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(text), "{error}");
}

#[test]
fn packing_twice_gives_the_same_bytes() {
    assert_eq!(packed(), packed());
}

#[test]
fn a_packed_model_encodes_to_unit_vectors_alike_on_every_kernel() {
    let mut encoder = Encoder::from_bytes(&packed()).unwrap();
    let texts = [
        "the mesh stands up.",
        "meshes",
        "",
        "the the the the the the the the the the",
    ];
    let wanted: Vec<_> = {
        encoder = encoder.with_kernel(Kernel::PORTABLE);
        texts.iter().map(|text| encoder.encode(text)).collect()
    };
    for kernel in Kernel::available() {
        encoder = encoder.with_kernel(kernel);
        assert_eq!(encoder.kernel(), kernel);
        assert_eq!(encoder.encode_all(&texts), wanted, "{}", kernel.name());
    }
    for vector in &wanted {
        let length: f32 = vector.values().iter().map(|value| value * value).sum();
        assert!((length - 1.0).abs() < 1e-5, "{length}");
    }
    assert!(wanted[0].cosine(&wanted[1]) < 0.999);
    assert!(encoder.encode_all(&[]).is_empty());
}

#[test]
fn a_long_text_is_cut_at_the_models_last_position() {
    let encoder = Encoder::from_bytes(&packed()).unwrap();
    let long = "the mesh ".repeat(50);
    assert_eq!(encoder.tokens(&long).len(), POSITIONS);
    assert_eq!(
        encoder.encode(&long),
        encoder.encode(&"the mesh ".repeat(5))
    );
}

#[test]
fn files_of_another_kind_or_version_are_refused() {
    check_refused(b"", "model-unknown-format", "does not begin");
    check_refused(
        b"GGUF and more of it",
        "model-unknown-format",
        "does not begin",
    );
    check_refused(b"kgmodel\n", "model-truncated", "header");
    let mut file = packed();
    file[8] = 9;
    check_refused(&file, "model-version", "version 9");
}

#[test]
fn a_changed_or_shortened_file_is_corrupt() {
    let file = packed();
    let end = file.len();
    for at in [12, 40, 100, end / 2, end - 40, end - 1] {
        let mut changed = file.clone();
        changed[at] ^= 1;
        check_refused(&changed, "model-corrupt", "sha256");
    }
    for length in [end - 1, end - 32, end / 2, 100] {
        check_refused(&file[..length], "model-corrupt", "sha256");
    }
    let longer = [file.as_slice(), b"more"].concat();
    check_refused(&longer, "model-corrupt", "sha256");
}

#[test]
fn a_header_that_lies_is_refused_even_when_its_digest_fits() {
    let file = packed();
    let content = &file[..file.len() - 32];
    let with = |at: usize, number: u32| {
        let mut changed = content.to_vec();
        changed[at..at + 4].copy_from_slice(&number.to_le_bytes());
        sealed(&changed)
    };
    for (at, number, code, text) in [
        (12, 768, "model-dimension", "hidden is 768"),
        (16, 0, "model-dimension", "layers is 0"),
        (16, u32::MAX, "model-dimension", "layers is 4294967295"),
        (16, 2, "model-truncated", "ends within"),
        (20, 24, "model-dimension", "intermediate is 24"),
        (20, 4096, "model-dimension", "intermediate is 4096"),
        (20, 16, "model-dimension", "length is"),
        (24, 1, "model-dimension", "positions is 1"),
        (28, u32::MAX, "model-dimension", "words is"),
        (
            28,
            8,
            "model-vocabulary",
            "has 9 tokens, the weights are for 8",
        ),
        (32, u32::MAX, "model-dimension", "vocabulary bytes is"),
        (32, 1 << 26, "model-truncated", "vocabulary"),
        (32, 5, "model-vocabulary", "has no `[CLS]`"),
    ] {
        check_refused(&with(at, number), code, text);
    }
    let mut changed = content.to_vec();
    changed[36] = 0xff;
    check_refused(&sealed(&changed), "model-vocabulary", "is not UTF-8");
    check_refused(
        &sealed(&[content, b"more"].concat()),
        "model-dimension",
        "length is 4",
    );
}

#[test]
fn weights_that_are_no_such_model_are_refused_by_tensor() {
    let check = |change: fn(&mut Tensors), code: &str, text: &str| {
        let mut tensors = Tensors::made_up();
        change(&mut tensors);
        let error = pack(&tensors.file(), VOCABULARY).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(text), "{error}");
    };
    check(
        |tensors| drop(tensors.0.remove("encoder.layer.0.output.dense.bias")),
        "model-tensor",
        "tensor `encoder.layer.0.output.dense.bias` is absent",
    );
    check(
        |tensors| tensors.put("encoder.layer.0.attention.self.key.weight", &[384, 8]),
        "model-tensor",
        "has shape [384, 8], it has to be [384, 384]",
    );
    check(
        |tensors| {
            let (_, bytes) = tensors.0.get_mut("embeddings.LayerNorm.bias").unwrap();
            bytes[..4].copy_from_slice(&f32::NAN.to_le_bytes());
        },
        "model-tensor",
        "holds a value that is not finite",
    );
    check(
        |tensors| tensors.put("embeddings.word_embeddings.weight", &[10, 384]),
        "model-vocabulary",
        "has 9 tokens, the weights are for 10",
    );
    check(
        |tensors| tensors.put_pair("encoder.layer.0.intermediate.dense", &[24, 384]),
        "model-dimension",
        "intermediate is 24",
    );
    let bytes = [0u8; 8];
    let wrong = TensorView::new(Dtype::I64, vec![1], &bytes).unwrap();
    let file = safetensors::serialize([("other", wrong)], None).unwrap();
    assert_eq!(pack(&file, VOCABULARY).unwrap_err().code(), "model-tensor");
    assert_eq!(
        pack(b"no tensors", VOCABULARY).unwrap_err().code(),
        "model-weights"
    );
}

#[test]
fn a_tensor_of_zeros_packs_and_encodes() {
    let mut tensors = Tensors::made_up();
    for (_, bytes) in tensors.0.values_mut() {
        bytes.fill(0);
    }
    let encoder = Encoder::from_bytes(&pack(&tensors.file(), VOCABULARY).unwrap()).unwrap();
    assert_eq!(encoder.encode("the mesh").values(), &[0.0; DIMENSIONS]);
}

#[test]
fn only_the_pinned_model_passes_where_it_is_promised() {
    let file = Tensors::made_up().file();
    let error = pack_pinned(&file, VOCABULARY).unwrap_err();
    assert_eq!(error.code(), "model-not-pinned");
    assert!(
        error
            .to_string()
            .starts_with("model.safetensors has sha256"),
        "{error}"
    );

    let path = std::env::temp_dir().join(format!("kgents-made-up-{}", std::process::id()));
    std::fs::write(&path, packed()).unwrap();
    let error = Encoder::open(&path).unwrap_err();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(error.code(), "model-not-pinned");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 5))]

    #[test]
    fn any_content_under_a_right_digest_is_read_or_refused(
        cut in 0usize..4000,
        changes in prop::collection::vec((0usize..200, any::<u8>()), 0..6),
    ) {
        let file = packed();
        let mut content = file[..file.len() - 32 - cut.min(file.len() - 64)].to_vec();
        for (at, byte) in changes {
            content[8 + at] = byte;
        }
        if let Ok(encoder) = Encoder::from_bytes(&sealed(&content)) {
            prop_assert_eq!(encoder.encode("the mesh").values().len(), DIMENSIONS);
        }
    }

    #[test]
    fn any_bytes_are_refused_as_a_model_and_as_weights(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        magic in any::<bool>(),
    ) {
        let file = if magic { [b"kgmodel\n\x01\0\0\0".as_slice(), &bytes].concat() } else { bytes };
        prop_assert!(Encoder::from_bytes(&file).is_err());
        prop_assert!(pack(&file, VOCABULARY).is_err());
    }
}
