//! W3C trace context: continues a caller's trace or starts one.
//! Source: W3C Trace Context, Level 1, section 3.2.

/// Where one interaction stands in its trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// 32 lower-case hexadecimal digits, not all zero.
    pub trace_id: String,
    /// Our span: 16 lower-case hexadecimal digits, not all zero.
    pub span_id: String,
    /// The caller's span, when there is one.
    pub parent_id: Option<String>,
    /// The caller's wish that this be recorded; true for a new trace.
    pub sampled: bool,
}

impl TraceContext {
    /// Continues `traceparent` when it is well formed, else starts a trace.
    /// `random` is 24 random bytes.
    pub fn new(traceparent: Option<&str>, random: [u8; 24]) -> Self {
        let (trace_random, span_random) = random.split_at(16);
        let span_id = hex_nonzero(span_random);
        match traceparent.and_then(parse) {
            Some((trace_id, parent, sampled)) => Self {
                trace_id: trace_id.to_owned(),
                span_id,
                parent_id: Some(parent.to_owned()),
                sampled,
            },
            None => Self {
                trace_id: hex_nonzero(trace_random),
                span_id,
                parent_id: None,
                sampled: true,
            },
        }
    }

    /// The header for whom we call.
    pub fn traceparent(&self) -> String {
        format!(
            "00-{}-{}-{:02x}",
            self.trace_id,
            self.span_id,
            u8::from(self.sampled)
        )
    }
}

fn hex_nonzero(bytes: &[u8]) -> String {
    let text = kgents_audit::to_hex(bytes);
    if text.bytes().all(|b| b == b'0') {
        format!("{:0>width$}", 1, width = text.len())
    } else {
        text
    }
}

/// Trace id, parent id, sampled. Higher versions are read like version 00, as
/// the specification asks; `ff` is not a version.
fn parse(header: &str) -> Option<(&str, &str, bool)> {
    let mut parts = header.trim().split('-');
    let version = parts.next().filter(|v| is_hex(v, 2) && *v != "ff")?;
    let trace_id = parts
        .next()
        .filter(|id| is_hex(id, 32) && id.bytes().any(|b| b != b'0'))?;
    let parent = parts
        .next()
        .filter(|id| is_hex(id, 16) && id.bytes().any(|b| b != b'0'))?;
    let flags = parts.next().filter(|flags| is_hex(flags, 2))?;
    if version == "00" && parts.next().is_some() {
        return None;
    }
    let flags = u8::from_str_radix(flags, 16).ok()?;
    Some((trace_id, parent, flags & 1 == 1))
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_well_formed_trace_is_continued_under_a_new_span() {
        let trace = TraceContext::new(Some(HEADER), [7; 24]);
        assert_eq!(trace.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(trace.parent_id.as_deref(), Some("00f067aa0ba902b7"));
        assert_eq!(
            trace.traceparent(),
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0707070707070707-01"
        );
    }

    #[test]
    fn a_broken_header_starts_a_new_trace() {
        for header in [
            "",
            "00-0-0-0",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
        ] {
            let trace = TraceContext::new(Some(header), [0; 24]);
            assert_eq!(trace.parent_id, None, "{header}");
            assert_eq!(trace.trace_id, format!("{:0>32}", 1));
        }
    }

    proptest! {
        #[test]
        fn any_header_gives_a_header_that_is_well_formed(header in ".{0,80}", seed: u8) {
            let trace = TraceContext::new(Some(&header), [seed; 24]);
            prop_assert!(parse(&trace.traceparent()).is_some());
        }
    }
}
