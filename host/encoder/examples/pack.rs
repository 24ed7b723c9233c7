//! Packs the published weights: `pack MODEL.SAFETENSORS VOCAB.TXT OUT`. Pinned or not: prints the
//! digest of what it wrote, and whether that is the pinned model.

use std::fs;

use kgents_encoder::{PACKED_SHA256, pack};
use sha2::{Digest, Sha256};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [weights, vocabulary, out] = arguments.as_slice() else {
        return Err("usage: pack MODEL.SAFETENSORS VOCAB.TXT OUT".into());
    };
    let packed = pack(&fs::read(weights)?, &fs::read_to_string(vocabulary)?)?;
    fs::write(out, &packed)?;
    let digest: String = Sha256::digest(&packed)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    println!(
        "{digest} {} bytes, pinned: {}",
        packed.len(),
        digest == PACKED_SHA256
    );
    Ok(())
}
