//! Server-sent events, bytes in, data out. Source: WHATWG HTML, "Server-sent
//! events", of which the mesh uses `data` only.

/// Longest event that is kept: four times what the mesh takes as a request.
const EVENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Reads a stream piece by piece, wherever the pieces are cut.
#[derive(Debug, Default)]
pub struct Events {
    line: Vec<u8>,
    data: String,
    has_data: bool,
    after_return: bool,
}

impl Events {
    /// Takes the next bytes and gives the data of each event they complete.
    ///
    /// # Errors
    /// A sentence, when an event is longer than 16 MiB.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<String>, String> {
        let mut found = Vec::new();
        for byte in bytes {
            let after_return = std::mem::take(&mut self.after_return);
            match byte {
                b'\n' if after_return => {}
                b'\n' | b'\r' => {
                    self.after_return = *byte == b'\r';
                    let line = std::mem::take(&mut self.line);
                    found.extend(self.end_line(&line));
                }
                _ => self.line.push(*byte),
            }
            if self.line.len() + self.data.len() > EVENT_BYTES_MAX {
                return Err(format!("an event is longer than {EVENT_BYTES_MAX} bytes"));
            }
        }
        Ok(found)
    }

    fn end_line(&mut self, line: &[u8]) -> Option<String> {
        if line.is_empty() {
            let data = std::mem::take(&mut self.data);
            return std::mem::take(&mut self.has_data).then_some(data);
        }
        let text = String::from_utf8_lossy(line);
        let value = text.strip_prefix("data:")?;
        if self.has_data {
            self.data.push('\n');
        }
        self.data.push_str(value.strip_prefix(' ').unwrap_or(value));
        self.has_data = true;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(pieces: &[&[u8]]) -> Vec<String> {
        let mut events = Events::default();
        pieces
            .iter()
            .flat_map(|piece| events.push(piece).unwrap())
            .collect()
    }

    #[test]
    fn events_end_at_an_empty_line_and_comments_are_no_events() {
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(all(&[text.as_bytes()]), expected, "{text:?}");
        };
        check("data: a\n\ndata: b\n\n", &["a", "b"]);
        check("data: a\r\ndata:b\r\n\r\n", &["a\nb"]);
        check(": keep-alive\n\n", &[]);
        check("event: x\nid: 1\ndata: a\n\n", &["a"]);
        check("data: never ended", &[]);
        check("data:\n\n", &[""]);
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let mut events = Events::default();
        assert!(events.push(&vec![b'x'; EVENT_BYTES_MAX + 1]).is_err());
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_the_stream_is_cut(
            text in "(data: |data|:|\r|\n|\r\n|é|[a-z ]){0,40}",
            cuts in proptest::collection::vec(0usize..80, 0..5),
        ) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(all(&pieces), all(&[bytes]));
        }
    }
}
