//! The encoder: a text to its vector, with each kernel this machine has.

use std::hint::black_box;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use kgents_encoder::{DIMENSIONS, Encoder, Kernel, default_path};

use crate::Settings;
use crate::table::{Cell, Table};
use crate::timing::{Times, milliseconds};

const WORDS: &str = "how many tokens does the translation team have left in its budget for today \
    and which agent of the mesh should be asked about it when nobody else can answer the question";

/// Layers of the model, and width of its inner layer.
const LAYERS: usize = 6;
const INNER: usize = 4 * DIMENSIONS;

/// Opens the installed model.
///
/// # Errors
/// When there is none.
pub fn open() -> Result<Encoder> {
    let variable = |name| std::env::var_os(name);
    let path: PathBuf = default_path(
        variable("XDG_CACHE_HOME").as_deref(),
        variable("HOME").as_deref(),
    )
    .context("there is no home folder to find the model in")?;
    Encoder::open(&path).context("the model is not installed: kgents model install")
}

/// Measures texts of several lengths.
///
/// # Errors
/// When the model is broken. Without a model, the table says so.
pub fn run(settings: &Settings) -> Result<Vec<Table>> {
    let mut table = Table::new(
        "Encoder, one thread",
        &["", "tokens", "median ms", "p99 ms", "10⁹ multiply-adds/s"],
    );
    if let Err(error) = open() {
        table.note(format!("skipped: {error:#}"));
        return Ok(vec![table]);
    }
    let share = if settings.quick { 8 } else { 1 };
    for kernel in Kernel::available() {
        let encoder = open()?.with_kernel(kernel);
        for tokens in [8, 16, 32, 256] {
            let text = text_of(&encoder, tokens)?;
            let runs = (3200 / tokens / share).max(3);
            let times = Times::measure(runs, || black_box(encoder.encode(&text)));
            row(
                &mut table,
                &format!("{}: one text", kernel.name()),
                tokens,
                1,
                &times,
            );
        }
        let text = text_of(&encoder, 16)?;
        let batch = vec![text.as_str(); 32];
        let times = Times::measure((20 / share).max(3), || {
            black_box(encoder.encode_all(&batch))
        });
        row(
            &mut table,
            &format!("{}: 32 texts at once", kernel.name()),
            16,
            32,
            &times,
        );
    }
    table.note(
        "A question has 8 to 32 tokens. All kernels give the same bits. \
         Limit: multiply-adds a second, of the weights alone, is what the kernel makes of the processor.",
    );
    Ok(vec![table])
}

fn row(table: &mut Table, name: &str, tokens: usize, texts: u32, times: &Times) {
    // Four square matrices of attention, and into the inner layer and back.
    let a_token = LAYERS * (4 * DIMENSIONS * DIMENSIONS + 2 * DIMENSIONS * INNER);
    let one = times.median() / texts;
    table.row([
        Cell::text(name),
        Cell::Number(tokens as f64, 0),
        milliseconds(one, 2),
        milliseconds(times.quantile(0.99) / texts, 2),
        Cell::Number((a_token * tokens) as f64 / one.as_secs_f64() / 1e9, 0),
    ]);
}

/// A text of exactly so many tokens.
fn text_of(encoder: &Encoder, tokens: usize) -> Result<String> {
    let mut text = String::new();
    for word in WORDS.split(' ').cycle() {
        let longer = format!("{text} {word}");
        let (now, next) = (encoder.tokens(&text).len(), encoder.tokens(&longer).len());
        if now == tokens {
            return Ok(text);
        }
        if next > tokens {
            break;
        }
        text = longer;
    }
    bail!("no text of {tokens} tokens")
}
