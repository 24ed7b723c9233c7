//! Points in time as people say them.

/// How long ago `then_ms` was at `now_ms` (both since the Unix epoch), in its
/// largest unit: `just now`, `3 s ago`, `5 min ago`, `2 h ago`, `4 days ago`.
pub fn ago(then_ms: u64, now_ms: u64) -> String {
    let seconds = now_ms.saturating_sub(then_ms) / 1000;
    match seconds {
        0 => "just now".to_owned(),
        1..60 => format!("{seconds} s ago"),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..86_400 => format!("{} h ago", seconds / 3600),
        86_400..172_800 => "1 day ago".to_owned(),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// Milliseconds since the Unix epoch of an RFC 3339 time like
/// `2025-12-11T14:30:52.123Z`; none for anything else, or before 1970.
pub fn parse_rfc3339(text: &str) -> Option<u64> {
    let time = humantime::parse_rfc3339(text).ok()?;
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    u64::try_from(since.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_told_in_their_largest_unit() {
        for (seconds, expected) in [
            (0, "just now"),
            (1, "1 s ago"),
            (59, "59 s ago"),
            (61, "1 min ago"),
            (7200, "2 h ago"),
            (90_000, "1 day ago"),
            (400_000, "4 days ago"),
        ] {
            assert_eq!(ago(1_000_000, 1_000_000 + seconds * 1000), expected);
        }
        assert_eq!(ago(5_000, 0), "just now");
    }

    #[test]
    fn an_audit_timestamp_is_understood() {
        assert_eq!(
            parse_rfc3339("2025-12-11T14:30:52.123Z"),
            Some(1_765_463_452_123)
        );
        assert_eq!(parse_rfc3339("yesterday"), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,40}") {
            let _ = parse_rfc3339(&text);
        }
    }
}
