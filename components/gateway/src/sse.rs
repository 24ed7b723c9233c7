//! Server-Sent Events, read incrementally. Source: WHATWG HTML §9.2.6.

use bytes::Bytes;

/// One dispatched event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// Whether its `event` field is `error`.
    pub is_error: bool,
    /// Its data lines, joined by line feeds; never empty.
    pub data: Bytes,
}

/// An event, or a line, is larger than allowed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLarge;

/// The decoder; any chunking of one stream gives the same events.
#[derive(Debug)]
pub(crate) struct Decoder {
    bytes_max: usize,
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    is_error: bool,
    /// The last byte ended a line and was a CR, so a LF belongs to it.
    after_cr: bool,
    /// No line has ended yet, so a byte order mark may stand at its beginning.
    at_start: bool,
}

impl Decoder {
    /// A decoder for events of at most so many bytes.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            line: Vec::new(),
            data: Vec::new(),
            has_data: false,
            is_error: false,
            after_cr: false,
            at_start: true,
        }
    }

    /// Takes a chunk, handing out each event that it completes.
    pub(crate) fn feed(
        &mut self,
        mut chunk: &[u8],
        mut each: impl FnMut(Event),
    ) -> Result<(), TooLarge> {
        while let Some(first) = chunk.first() {
            if std::mem::take(&mut self.after_cr) && *first == b'\n' {
                chunk = chunk.get(1..).unwrap_or_default();
                continue;
            }
            let end = chunk.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let (line, rest) = chunk.split_at(end.unwrap_or(chunk.len()));
            if self.line.len() + self.data.len() + line.len() > self.bytes_max {
                return Err(TooLarge);
            }
            self.line.extend_from_slice(line);
            let Some((ending, rest)) = rest.split_first() else {
                break;
            };
            self.after_cr = *ending == b'\r';
            if let Some(event) = self.end_line() {
                each(event);
            }
            chunk = rest;
        }
        Ok(())
    }

    /// Whether an event has begun that was not completed.
    pub(crate) fn is_inside_event(&self) -> bool {
        self.has_data || self.line.first().is_some_and(|first| *first != b':')
    }

    fn end_line(&mut self) -> Option<Event> {
        let mut line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.at_start) && line.starts_with(b"\xef\xbb\xbf") {
            line.drain(..3);
        }
        let event = if line.is_empty() {
            self.dispatch()
        } else {
            None
        };
        let colon = line.iter().position(|byte| *byte == b':');
        let (field, value) = line.split_at(colon.unwrap_or(line.len()));
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => {
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.has_data = true;
                self.data.extend_from_slice(value);
            }
            b"event" => self.is_error = value == b"error",
            // Comments have an empty field; id and retry are for reconnecting.
            _ => {}
        }
        line.clear();
        self.line = line;
        event
    }

    fn dispatch(&mut self) -> Option<Event> {
        let is_error = std::mem::take(&mut self.is_error);
        self.has_data = false;
        let data = Bytes::from(std::mem::take(&mut self.data));
        (!data.is_empty()).then_some(Event { is_error, data })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(chunks: &[&[u8]]) -> (Vec<(bool, String)>, bool) {
        let mut decoder = Decoder::new(64);
        let mut events = Vec::new();
        let mut fits = true;
        for chunk in chunks {
            let take = |event: Event| {
                events.push((
                    event.is_error,
                    String::from_utf8_lossy(&event.data).into_owned(),
                ));
            };
            if decoder.feed(chunk, take).is_err() {
                fits = false;
                break;
            }
        }
        (events, fits && !decoder.is_inside_event())
    }

    #[test]
    fn events_are_read_as_the_standard_says() {
        let cases: [(&str, &[&str], bool); 14] = [
            ("data: a\n\n", &["a"], true),
            (
                "data:a\r\n\r\ndata: b\r\rdata:  c\n\n",
                &["a", "b", " c"],
                true,
            ),
            ("data: a\ndata: b\n\n", &["a\nb"], true),
            ("data: a\ndata\ndata:\n\n", &["a\n\n"], true),
            (":hi\n\ndata: a\n:mid\n\n", &["a"], true),
            ("\u{feff}data: a\n\n", &["a"], true),
            ("data: a\n\n\u{feff}data: b\n\n", &["a"], true),
            ("id: 1\nretry: 5\nevent: x\ndata: a\n\n", &["a"], true),
            ("event: x\n\ndata\n\n", &[], true),
            ("datas: a\n\n", &[], true),
            ("data: a\n", &[], false),
            ("data: a\n\ndat", &["a"], false),
            ("data: a\n\n:", &["a"], true),
            ("", &[], true),
        ];
        for (text, expected, whole) in cases {
            let (events, ended) = decode(&[text.as_bytes()]);
            let data: Vec<&str> = events.iter().map(|(_, data)| data.as_str()).collect();
            assert_eq!((data.as_slice(), ended), (expected, whole), "{text:?}");
        }
    }

    #[test]
    fn an_error_event_is_marked_and_the_mark_does_not_last() {
        let (events, _) = decode(&[b"event: error\ndata: a\n\ndata: b\n\n"]);
        assert_eq!(events, [(true, "a".into()), (false, "b".into())]);
    }

    #[test]
    fn an_event_without_end_is_bounded() {
        assert_eq!(
            Decoder::new(8).feed(b"data: 123456789", |_| ()),
            Err(TooLarge)
        );
        let mut decoder = Decoder::new(11);
        for _ in 0..2 {
            assert_eq!(decoder.feed(b"data:123\n", |_| ()), Ok(()));
        }
        assert_eq!(decoder.feed(b"data:", |_| ()), Err(TooLarge));
    }

    proptest! {
        #[test]
        fn every_chunking_gives_the_same_events(
            pieces in prop::collection::vec(
                prop::sample::select(vec![
                    "data", ":", " ", "a", "\n", "\r", "\r\n", "\u{feff}", "event: error", "é", "\n\n",
                    "a long line of more than thirty bytes",
                ]),
                0..40,
            ),
            cuts in prop::collection::vec(0_usize..400, 0..20),
        ) {
            let text: String = pieces.concat();
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.sort_unstable();
            let mut chunks = Vec::new();
            let mut from = 0;
            for cut in cuts.into_iter().chain([bytes.len()]) {
                chunks.push(&bytes[from..cut]);
                from = cut;
            }
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            let whole = decode(&[bytes]);
            prop_assert_eq!(&decode(&chunks), &whole);
            prop_assert_eq!(&decode(&single), &whole);
        }
    }
}
