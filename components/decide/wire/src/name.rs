//! Names: as WIT's generators write them in Rust, and as JSON has them.

/// The name in JSON of a field (`now_ms`) or case (`TimedOut`) in Rust: `nowMs`,
/// `timedOut`.
#[must_use]
pub fn json_name(rust: &str) -> String {
    let mut name = String::with_capacity(rust.len());
    let mut upper = false;
    // A field whose name is a keyword of Rust ends in an underscore there.
    for char in rust.trim_end_matches('_').chars() {
        match char {
            '_' => upper = !name.is_empty(),
            _ if name.is_empty() => name.extend(char.to_lowercase()),
            _ if upper => {
                name.extend(char.to_uppercase());
                upper = false;
            }
            _ => name.push(char),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_camel_case_wherever_they_come_from() {
        for (rust, json) in [
            ("now_ms", "nowMs"),
            ("half_life_minutes", "halfLifeMinutes"),
            ("TimedOut", "timedOut"),
            ("Ok", "ok"),
            ("kind", "kind"),
            ("type_", "type"),
            ("", ""),
        ] {
            assert_eq!(json_name(rust), json);
        }
    }
}
