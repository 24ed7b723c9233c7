//! What the documentation says of failures is what the codecs answer.

#![expect(
    clippy::unwrap_used,
    reason = "the functions that tests share are not tests to the lint"
)]

use std::collections::BTreeMap;

use kgents_gateway::call::FailureKind;

const API: &str = include_str!("../../../docs/api.md");

/// Rows of the error table by reason: HTTP status, JSON-RPC code, its HTTP status.
fn documented() -> BTreeMap<&'static str, (u16, i64, u16)> {
    let rows = API.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let reason = cells.next()?.strip_suffix('`')?;
        let status = cells.next()?.parse().ok()?;
        let (code, rpc_status) = cells.next()?.split_once(", ")?;
        let numbers = (status, code.parse().unwrap(), rpc_status.parse().unwrap());
        Some((reason, numbers))
    });
    rows.collect()
}

#[test]
fn the_error_table_of_the_documentation_is_that_of_the_codecs() {
    let answered: BTreeMap<_, _> = FailureKind::ALL
        .into_iter()
        .map(FailureKind::words)
        .map(|words| {
            (
                words.reason,
                (words.status, words.rpc_code, words.rpc_status),
            )
        })
        .collect();
    assert_eq!(documented(), answered);
}
