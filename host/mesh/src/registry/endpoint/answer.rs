//! The JSON of an OpenAI-compatible embeddings endpoint: what it is asked and what
//! it answers. Pure. Source: OpenAI API reference, `POST /embeddings`.

use super::fit::{NUMBERS_MAX, fit};
use crate::registry::encode::EncodeError;
use kgents_encoder::Embedding;
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
struct Asked<'a> {
    model: &'a str,
    input: &'a [&'a str],
    /// Numbers, not base64: what every server can.
    encoding_format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<usize>,
}

/// What of an answer is read.
#[derive(Deserialize)]
struct Answered {
    data: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    /// Which of the texts it is of; some servers leave it out and keep the order.
    index: Option<usize>,
    embedding: Vec<f32>,
}

/// Vectors in this mesh's length, and the length in which they came.
#[derive(Debug, PartialEq)]
pub(super) struct Vectors {
    /// In the order of the texts.
    pub fitted: Vec<Embedding>,
    /// Numbers in each before it was fitted.
    pub dimensions: usize,
}

/// The body of a request.
pub(super) fn ask(model: &str, dimensions: Option<usize>, texts: &[&str]) -> Vec<u8> {
    let asked = Asked {
        model,
        input: texts,
        encoding_format: "float",
        dimensions,
    };
    // Text and numbers: this cannot fail.
    serde_json::to_vec(&asked).unwrap_or_default()
}

/// Reads the answer for so many texts, at least one.
///
/// # Errors
/// [`EncodeError::Answer`] with what is wrong.
pub(super) fn read(body: &[u8], texts: usize) -> Result<Vectors, EncodeError> {
    let wrong = EncodeError::Answer;
    let answered: Answered = serde_json::from_slice(body)
        .map_err(|_| wrong("something else than a list of embeddings"))?;
    if answered.data.len() != texts {
        return Err(wrong("another number of vectors than there were texts"));
    }
    let rows = in_order(answered.data)?;
    let dimensions = rows.first().map_or(0, Vec::len);
    if rows.iter().any(|row| row.len() != dimensions) {
        return Err(wrong("vectors of different lengths"));
    }
    if dimensions > NUMBERS_MAX {
        return Err(wrong("a vector of more than 16,384 numbers"));
    }
    let fitted: Option<Vec<Embedding>> = rows.iter().map(|row| fit(row)).collect();
    let fitted = fitted.ok_or(wrong(
        "a vector without direction: empty, all zero, or not finite",
    ))?;
    Ok(Vectors { fitted, dimensions })
}

/// The vectors in the order of the texts.
fn in_order(rows: Vec<Row>) -> Result<Vec<Vec<f32>>, EncodeError> {
    let mut places: Vec<Option<Vec<f32>>> = rows.iter().map(|_| None).collect();
    for (at, row) in rows.into_iter().enumerate() {
        let place = places.get_mut(row.index.unwrap_or(at));
        let free = place.filter(|place| place.is_none());
        let free = free.ok_or(EncodeError::Answer(
            "vectors whose indices are not those of the texts",
        ))?;
        *free = Some(row.embedding);
    }
    Ok(places.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_question_names_model_texts_and_format() {
        let told = |dimensions| {
            let body = ask("m\"1", dimensions, &["a", "b"]);
            serde_json::from_slice::<serde_json::Value>(&body).unwrap()
        };
        let plain =
            serde_json::json!({"model": "m\"1", "input": ["a", "b"], "encoding_format": "float"});
        assert_eq!(told(None), plain);
        let mut shortened = plain;
        shortened["dimensions"] = 384.into();
        assert_eq!(told(Some(384)), shortened);
    }

    #[test]
    fn vectors_come_in_the_order_of_their_indices() {
        let body = br#"{"object":"list","data":[{"index":1,"embedding":[0,2]},
            {"index":0,"object":"embedding","embedding":[1e0,0]}],"usage":{"total_tokens":2}}"#;
        let vectors = read(body, 2).unwrap();
        assert_eq!(vectors.dimensions, 2);
        assert_eq!(
            vectors.fitted,
            [fit(&[1.0, 0.0]), fit(&[0.0, 1.0])].map(Option::unwrap)
        );
        let without = br#"{"data":[{"embedding":[1,0]},{"embedding":[0,2]}]}"#;
        assert_eq!(read(without, 2).unwrap(), vectors);
    }

    #[test]
    fn what_is_wrong_with_an_answer_is_told() {
        let row = |numbers: &str| format!(r#"{{"data":[{{"index":0,"embedding":[{numbers}]}}]}}"#);
        let cases = [
            (String::new(), "something else"),
            ("null".to_owned(), "something else"),
            (
                r#"{"data":[{"index":0,"embedd"#.to_owned(),
                "something else",
            ),
            (r#"{"error":{"message":"no"}}"#.to_owned(), "something else"),
            (
                r#"{"data":[{"embedding":"AACAPw=="}]}"#.to_owned(),
                "something else",
            ),
            (row("NaN"), "something else"),
            (row("-Infinity"), "something else"),
            (row("null"), "something else"),
            (row("1e999"), "something else"),
            // Beyond 32 bits: refused while reading, or as not finite.
            (row("1e39"), "the encoder answered"),
            (row("0,0,-0.0"), "without direction"),
            (row(""), "without direction"),
            (r#"{"data":[]}"#.to_owned(), "another number"),
            (
                row("1").replace("[{", "[{\"embedding\":[1]},{"),
                "another number",
            ),
            (row("1").replace("\"index\":0", "\"index\":1"), "indices"),
            (row(&vec!["1"; NUMBERS_MAX + 1].join(",")), "more than"),
        ];
        for (body, word) in cases {
            let error = read(body.as_bytes(), 1).unwrap_err();
            assert_eq!(error.code(), "encoder-answer");
            assert!(error.to_string().contains(word), "{error}");
        }
        let twice = br#"{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]}"#;
        assert!(read(twice, 2).unwrap_err().to_string().contains("indices"));
        let uneven = br#"{"data":[{"embedding":[1]},{"embedding":[1,2]}]}"#;
        assert!(read(uneven, 2).unwrap_err().to_string().contains("lengths"));
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_reader_panic(
            body in "[\\[\\]{}\",:0-9eE.-]{0,40}|\\{\"data\":\\[(\\{\"embedding\":\\[[0-9e,-]{0,9}\\]\\},?){0,3}\\]\\}",
            texts in 1usize..4,
        ) {
            let _ = read(body.as_bytes(), texts);
        }
    }
}
