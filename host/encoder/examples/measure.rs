//! Prints what encoding and scanning cost on this machine, for each kernel it has.
//!
//! `measure [MODEL]`; without an argument the model in the user's cache folder. Figures are the
//! median of many runs, in wall time of one thread.

use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use kgents_encoder::{Encoder, Kernel, Quantized, default_path, scores_with};

const WORDS: &str = "how many tokens does the translation team have left in its budget for today \
    and which agent of the mesh should be asked about it when nobody else can answer the question";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cached = || {
        let variable = |name| std::env::var_os(name);
        default_path(
            variable("XDG_CACHE_HOME").as_deref(),
            variable("HOME").as_deref(),
        )
    };
    let path = std::env::args_os()
        .nth(1)
        .map(PathBuf::from)
        .or_else(cached);
    let path = path.ok_or("no model: name one, or set HOME")?;
    println!("{:>10} {:>24} {:>12}", "kernel", "what", "median");
    for kernel in Kernel::available() {
        let print = |what: &str, took: Duration| {
            println!(
                "{:>10} {what:>24} {:>9.3} ms",
                kernel.name(),
                took.as_secs_f64() * 1e3
            );
        };
        print("load", median(5, || drop(black_box(Encoder::open(&path)))));
        let encoder = Encoder::open(&path)?.with_kernel(kernel);
        encode(&encoder, print)?;
        scan(&encoder, print);
    }
    Ok(())
}

fn encode(encoder: &Encoder, print: impl Fn(&str, Duration)) -> Result<(), String> {
    for tokens in [8, 16, 32, 256] {
        let text = text_of(encoder, tokens)?;
        let runs = 3200 / tokens;
        print(
            &format!("encode T={tokens}"),
            median(runs, || drop(black_box(encoder.encode(&text)))),
        );
    }
    let text = text_of(encoder, 16)?;
    let batch = vec![text.as_str(); 32];
    let took = median(20, || drop(black_box(encoder.encode_all(&batch))));
    print("encode T=16, 1 of 32", took / 32);
    Ok(())
}

/// A text of exactly so many tokens.
fn text_of(encoder: &Encoder, tokens: usize) -> Result<String, String> {
    let mut text = String::new();
    for word in WORDS.split(' ').cycle() {
        let longer = format!("{text} {word}");
        let (now, next) = (encoder.tokens(&text).len(), encoder.tokens(&longer).len());
        if now == tokens {
            return Ok(text);
        }
        if next > tokens {
            return Err(format!("no text of {tokens} tokens"));
        }
        text = longer;
    }
    Err("no words".to_owned())
}

fn scan(encoder: &Encoder, print: impl Fn(&str, Duration)) {
    let query = encoder.encode("who can translate this letter?");
    let texts: Vec<String> = (0..100)
        .map(|n| format!("agent {n} does task {}", n * 7))
        .collect();
    let some: Vec<Quantized> = texts
        .iter()
        .map(|text| encoder.encode(text).quantised())
        .collect();
    for count in [1_000, 10_000, 100_000] {
        let rows: Vec<Quantized> = some.iter().cycle().take(count).cloned().collect();
        let mut out = Vec::new();
        let took = median(50, || {
            scores_with(encoder.kernel(), &query, &rows, &mut out)
        });
        black_box(&out);
        print(&format!("scan {count} rows"), took);
    }
}

fn median(runs: usize, mut work: impl FnMut()) -> Duration {
    work();
    let mut took: Vec<Duration> = (0..runs.max(1))
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .collect();
    took.sort_unstable();
    took.get(took.len() / 2).copied().unwrap_or_default()
}
