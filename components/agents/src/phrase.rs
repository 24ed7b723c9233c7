//! The answer: sentences for a person, and the same facts as a JSON object.

use crate::json::{Object, list, string};
use crate::operation::{Account, Consumer, Listing, Outcome, Reply};

/// Word `outcome`.
pub fn phrase(outcome: &Outcome) -> Reply {
    let (text, data) = match outcome {
        Outcome::Balance(account) => (balance(account), figures("balance", account)),
        Outcome::Allocated(account, moved) => (
            format!(
                "{} moved to {}. {}",
                tokens(*moved),
                account.name,
                balance(account)
            ),
            figures("allocate", account).number("tokens", *moved),
        ),
        Outcome::Settled(account, charged) => (
            format!(
                "{} charged to {}. {}",
                tokens(*charged),
                account.name,
                balance(account)
            ),
            figures("settle", account).number("tokens", *charged),
        ),
        Outcome::TopConsumers(consumers) => top_consumers(consumers),
        Outcome::Found(listings) => found(listings),
        Outcome::Agents(listings) => agents(listings),
        Outcome::Described(listing) => (
            described(listing),
            operation("describe").raw("agent", &listed(listing).finish()),
        ),
        Outcome::Echoed(text) => (text.clone(), operation("echo").text("text", text)),
        Outcome::NoAccount(account) => (
            format!(
                "There is no account `{account}`. Allocate tokens to it first, or ask for the top consumers to see which accounts there are."
            ),
            Object::new()
                .text("error", "no-account")
                .text("account", account),
        ),
        Outcome::Insufficient {
            account,
            asked,
            available,
        } => (
            insufficient(account, *asked, *available),
            Object::new()
                .text("error", "insufficient")
                .text("account", account)
                .number("asked", *asked)
                .number("available", *available),
        ),
        Outcome::NoAgent(agent) => (
            format!(
                "There is no agent `{agent}` here that you may see. Ask for the list of agents, or say what the agent should do."
            ),
            Object::new().text("error", "no-agent").text("agent", agent),
        ),
    };
    Reply {
        text,
        data: data.finish(),
    }
}

fn operation(name: &str) -> Object {
    Object::new().text("operation", name)
}

fn figures(name: &str, account: &Account) -> Object {
    operation(name)
        .text("account", &account.name)
        .number("allocated", account.allocated)
        .number("spent", account.spent)
        .number("reserved", account.reserved)
        .number("free", account.free)
        .text("window", &account.window)
}

/// "translation has 1,700 of 2,000 tokens left today (85%): 300 spent."
fn balance(account: &Account) -> String {
    let window = window(&account.window);
    if account.allocated == 0 {
        return format!("{} has no tokens allocated{window}.", account.name);
    }
    let reserved = match account.reserved {
        0 => String::new(),
        reserved => format!(", {} reserved for requests under way", grouped(reserved)),
    };
    format!(
        "{} has {} of {} left{window} ({}): {} spent{reserved}.",
        account.name,
        grouped(account.free),
        tokens(account.allocated),
        percent(account.free, account.allocated),
        grouped(account.spent),
    )
}

fn window(window: &str) -> String {
    match window {
        "day" => String::from(" today"),
        "hour" => String::from(" this hour"),
        "total" | "" => String::from(" in total"),
        other => format!(" in this window ({other})"),
    }
}

fn insufficient(account: &str, asked: u64, available: u64) -> String {
    let asked_for = format!("{} for {account}: ", tokens(asked));
    let advice = match available {
        0 => String::from(
            "none are free. Wait until the budget's window starts anew, or have it raised.",
        ),
        1 => String::from(
            "only 1 is free. Ask for 1, wait until the budget's window starts anew, or have it raised.",
        ),
        some => format!(
            "only {0} are free, {1} too few. Ask for at most {0}, wait until the budget's window starts anew, or have it raised.",
            grouped(some),
            grouped(asked.saturating_sub(some)),
        ),
    };
    ["There is not enough to move ", &asked_for, &advice].concat()
}

fn top_consumers(consumers: &[Consumer]) -> (String, Object) {
    let total = consumers
        .iter()
        .fold(0_u64, |sum, consumer| sum.saturating_add(consumer.tokens));
    let data = operation("top-consumers")
        .raw(
            "consumers",
            &list(consumers.iter().map(|consumer| {
                Object::new()
                    .text("name", &consumer.name)
                    .number("tokens", consumer.tokens)
                    .finish()
            })),
        )
        .number("tokens", total);
    let text = match consumers {
        [] => String::from("Nobody has used any tokens in this window."),
        [only] => format!("{} used most: {}.", only.name, tokens(only.tokens)),
        _ => {
            let lines = numbered(consumers.iter().map(|consumer| {
                format!(
                    "{}: {} ({})",
                    consumer.name,
                    tokens(consumer.tokens),
                    percent(consumer.tokens, total)
                )
            }));
            format!(
                "The top {} consumers used {} together:{lines}",
                consumers.len(),
                tokens(total)
            )
        }
    };
    (text, data)
}

fn found(listings: &[Listing]) -> (String, Object) {
    let text = match listings {
        [] => String::from(
            "Nobody you may call does this. Ask for the list of agents, or say it in other words.",
        ),
        [only] => format!("{} can do this: {}", named(only), about(only)),
        [best, ..] => {
            let lines = numbered(
                listings
                    .iter()
                    .map(|listing| format!("{}: {}", named(listing), about(listing))),
            );
            format!(
                "{} agents could do this, {} best:{lines}",
                listings.len(),
                best.name
            )
        }
    };
    (
        text,
        operation("find").raw(
            "agents",
            &list(listings.iter().map(|listing| listed(listing).finish())),
        ),
    )
}

fn agents(listings: &[Listing]) -> (String, Object) {
    let text = match listings {
        [] => String::from("There are no agents here that you may see."),
        _ => {
            let lines = numbered(
                listings
                    .iter()
                    .map(|listing| format!("{}: {}", named(listing), about(listing))),
            );
            format!(
                "There {} here:{lines}",
                plural(listings.len() as u64, "is 1 agent", "agents")
            )
        }
    };
    let data = operation("list-agents")
        .number("count", listings.len() as u64)
        .raw(
            "agents",
            &list(listings.iter().map(|listing| listed(listing).finish())),
        );
    (text, data)
}

fn described(listing: &Listing) -> String {
    let health = match listing.health.as_str() {
        "healthy" => "It is healthy.",
        "degraded" => "It is degraded: slow, or failing now and then.",
        "failed" => "It has failed and does not answer.",
        _ => "Its health is not known.",
    };
    format!("{}: {} {health}", listing.name, about(listing))
}

/// Name, confidence and what ails it.
fn named(listing: &Listing) -> String {
    let mut notes = Vec::new();
    if let Some(share) = listing.confidence.and_then(tenthousandths) {
        notes.push(percent(share, 10_000));
    }
    if matches!(listing.health.as_str(), "degraded" | "failed") {
        notes.push(listing.health.clone());
    }
    match notes.as_slice() {
        [] => listing.name.clone(),
        _ => format!("{} ({})", listing.name, notes.join(", ")),
    }
}

/// What it says of itself, as one sentence, and its skills.
#[inline(never)]
fn about(listing: &Listing) -> String {
    let description = listing.description.trim();
    let sentence = match description.chars().next_back() {
        None => String::from("it says nothing of itself."),
        Some('.' | '!' | '?') => description.to_owned(),
        Some(_) => format!("{description}."),
    };
    match listing.skills.len() as u64 {
        0 => sentence,
        1 => format!("{sentence} Its skill: {}.", listing.skills.concat()),
        many => format!(
            "{sentence} Its {many} skills: {}.",
            listing.skills.join(", ")
        ),
    }
}

#[inline(never)]
fn listed(listing: &Listing) -> Object {
    let object = Object::new()
        .text("name", &listing.name)
        .text("description", &listing.description)
        .raw(
            "skills",
            &list(listing.skills.iter().map(|skill| string(skill))),
        )
        .text("health", &listing.health);
    match listing.confidence.and_then(tenthousandths) {
        Some(share) => object.raw("confidence", &decimal(share)),
        None => object,
    }
}

/// A probability in ten-thousandths; `None` for what is not a number.
fn tenthousandths(confidence: f32) -> Option<u64> {
    (!confidence.is_nan()).then(|| (f64::from(confidence.clamp(0.0, 1.0)) * 10_000.0 + 0.5) as u64)
}

/// Ten-thousandths as a JSON number: `0.9312`.
fn decimal(share: u64) -> String {
    format!("{}.{:04}", share / 10_000, share % 10_000)
}

fn numbered(lines: impl Iterator<Item = String>) -> String {
    (1_u32..)
        .zip(lines)
        .map(|(place, line)| format!("\n{place}. {line}"))
        .collect()
}

#[inline(never)]
fn tokens(count: u64) -> String {
    match count {
        1 => String::from("1 token"),
        _ => [&grouped(count), " tokens"].concat(),
    }
}

/// `one` for 1, otherwise "are N `many`".
fn plural(count: u64, one: &str, many: &str) -> String {
    match count {
        1 => one.to_owned(),
        _ => format!("are {} {many}", grouped(count)),
    }
}

/// `part` of `whole` with one decimal at most: `85%`, `12.5%`. What is not all
/// is never shown as 100%, what is not nothing never as 0%.
fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return String::from("0%");
    }
    match (part as f64 / whole as f64 * 1_000.0 + 0.5) as u64 {
        0 if part > 0 => String::from("less than 0.1%"),
        1_000 if part < whole => String::from("more than 99.9%"),
        tenths if tenths.is_multiple_of(10) => format!("{}%", tenths / 10),
        tenths => format!("{}.{}%", tenths / 10, tenths % 10),
    }
}

/// Digits in groups of three: `1,234,567`.
#[inline(never)]
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(outcome: Outcome, text: &str, data: &str) {
        let reply = phrase(&outcome);
        assert_eq!(reply.text, text);
        assert_eq!(reply.data, data);
        assert!(
            serde_json::from_str::<serde_json::Value>(&reply.data)
                .unwrap()
                .is_object()
        );
    }

    fn account(allocated: u64, spent: u64, reserved: u64) -> Account {
        Account {
            name: "translation".into(),
            allocated,
            spent,
            reserved,
            free: allocated - spent - reserved,
            window: "day".into(),
        }
    }

    fn translator() -> Listing {
        Listing {
            name: "translator".into(),
            description: "Translates legal documents".into(),
            skills: vec!["translate".into(), "summarise".into()],
            health: "healthy".into(),
            confidence: Some(0.9312),
        }
    }

    #[test]
    fn a_balance_says_what_is_left_and_what_became_of_the_rest() {
        check(
            Outcome::Balance(account(2_000, 300, 0)),
            "translation has 1,700 of 2,000 tokens left today (85%): 300 spent.",
            r#"{"operation":"balance","account":"translation","allocated":2000,"spent":300,"reserved":0,"free":1700,"window":"day"}"#,
        );
        check(
            Outcome::Balance(Account {
                window: "total".into(),
                ..account(1, 0, 1)
            }),
            "translation has 0 of 1 token left in total (0%): 0 spent, 1 reserved for requests under way.",
            r#"{"operation":"balance","account":"translation","allocated":1,"spent":0,"reserved":1,"free":0,"window":"total"}"#,
        );
        check(
            Outcome::Balance(Account {
                window: "hour".into(),
                ..account(0, 0, 0)
            }),
            "translation has no tokens allocated this hour.",
            r#"{"operation":"balance","account":"translation","allocated":0,"spent":0,"reserved":0,"free":0,"window":"hour"}"#,
        );
    }

    #[test]
    fn what_was_moved_is_told_with_what_is_there_now() {
        check(
            Outcome::Allocated(account(2_000, 0, 0), 2_000),
            "2,000 tokens moved to translation. translation has 2,000 of 2,000 tokens left today (100%): 0 spent.",
            r#"{"operation":"allocate","account":"translation","allocated":2000,"spent":0,"reserved":0,"free":2000,"window":"day","tokens":2000}"#,
        );
        check(
            Outcome::Settled(account(2_000, 1, 0), 1),
            "1 token charged to translation. translation has 1,999 of 2,000 tokens left today (more than 99.9%): 1 spent.",
            r#"{"operation":"settle","account":"translation","allocated":2000,"spent":1,"reserved":0,"free":1999,"window":"day","tokens":1}"#,
        );
    }

    #[test]
    fn too_little_says_how_much_there_is_and_what_to_do() {
        let outcome = |available| Outcome::Insufficient {
            account: "legal".into(),
            asked: 5_000,
            available,
        };
        check(
            outcome(1_200),
            "There is not enough to move 5,000 tokens for legal: only 1,200 are free, 3,800 too few. Ask for at most 1,200, wait until the budget's window starts anew, or have it raised.",
            r#"{"error":"insufficient","account":"legal","asked":5000,"available":1200}"#,
        );
        assert!(phrase(&outcome(0)).text.contains("none are free"));
        assert!(phrase(&outcome(1)).text.contains("only 1 is free"));
    }

    #[test]
    fn consumers_are_ranked_with_their_share() {
        let consumer = |name: &str, tokens| Consumer {
            name: name.into(),
            tokens,
        };
        check(
            Outcome::TopConsumers(vec![
                consumer("a", 2_000),
                consumer("b", 1_000),
                consumer("c", 1),
            ]),
            "The top 3 consumers used 3,001 tokens together:\n1. a: 2,000 tokens (66.6%)\n2. b: 1,000 tokens (33.3%)\n3. c: 1 token (less than 0.1%)",
            r#"{"operation":"top-consumers","consumers":[{"name":"a","tokens":2000},{"name":"b","tokens":1000},{"name":"c","tokens":1}],"tokens":3001}"#,
        );
        assert_eq!(
            phrase(&Outcome::TopConsumers(vec![consumer("a", 1)])).text,
            "a used most: 1 token."
        );
        assert_eq!(
            phrase(&Outcome::TopConsumers(vec![])).text,
            "Nobody has used any tokens in this window."
        );
    }

    #[test]
    fn agents_are_told_with_skills_health_and_confidence() {
        let ailing = Listing {
            name: "scribe".into(),
            description: "Writes.".into(),
            skills: vec!["write".into()],
            health: "degraded".into(),
            confidence: None,
        };
        check(
            Outcome::Found(vec![translator(), ailing.clone()]),
            "2 agents could do this, translator best:\n1. translator (93.1%): Translates legal documents. Its 2 skills: translate, summarise.\n2. scribe (degraded): Writes. Its skill: write.",
            r#"{"operation":"find","agents":[{"name":"translator","description":"Translates legal documents","skills":["translate","summarise"],"health":"healthy","confidence":0.9312},{"name":"scribe","description":"Writes.","skills":["write"],"health":"degraded"}]}"#,
        );
        check(
            Outcome::Agents(vec![Listing::default()]),
            "There is 1 agent here:\n1. : it says nothing of itself.",
            r#"{"operation":"list-agents","count":1,"agents":[{"name":"","description":"","skills":[],"health":""}]}"#,
        );
        assert!(
            phrase(&Outcome::Agents(vec![translator(), ailing.clone()]))
                .text
                .starts_with("There are 2 agents here:")
        );
        check(
            Outcome::Described(ailing),
            "scribe: Writes. Its skill: write. It is degraded: slow, or failing now and then.",
            r#"{"operation":"describe","agent":{"name":"scribe","description":"Writes.","skills":["write"],"health":"degraded"}}"#,
        );
        assert_eq!(
            phrase(&Outcome::Found(vec![translator()]))
                .text
                .split(':')
                .next(),
            Some("translator (93.1%) can do this")
        );
        assert!(
            phrase(&Outcome::Found(vec![]))
                .text
                .starts_with("Nobody you may call")
        );
        assert!(
            phrase(&Outcome::Agents(vec![]))
                .text
                .starts_with("There are no agents")
        );
    }

    #[test]
    fn what_is_missing_is_named_with_what_to_do() {
        check(
            Outcome::NoAccount("x".into()),
            "There is no account `x`. Allocate tokens to it first, or ask for the top consumers to see which accounts there are.",
            r#"{"error":"no-account","account":"x"}"#,
        );
        check(
            Outcome::NoAgent("x".into()),
            "There is no agent `x` here that you may see. Ask for the list of agents, or say what the agent should do.",
            r#"{"error":"no-agent","agent":"x"}"#,
        );
        check(
            Outcome::Echoed("a\"b\n".into()),
            "a\"b\n",
            r#"{"operation":"echo","text":"a\"b\n"}"#,
        );
    }

    #[test]
    fn a_confidence_that_is_none_is_left_out_and_the_rest_clamped() {
        let data = |confidence| {
            phrase(&Outcome::Described(Listing {
                confidence: Some(confidence),
                ..translator()
            }))
            .data
        };
        assert!(!data(f32::NAN).contains("confidence"));
        assert!(data(f32::INFINITY).contains(r#""confidence":1.0000"#));
        assert!(data(-3.0).contains(r#""confidence":0.0000"#));
    }

    proptest! {
        #[test]
        fn whatever_is_told_the_data_is_one_json_object(
            name: String, text: String, skills in proptest::collection::vec(any::<String>(), 0..4),
            a: u64, b: u64, confidence in proptest::option::of(proptest::num::f32::ANY),
        ) {
            let account = Account { name: name.clone(), allocated: a, spent: b, reserved: b, free: a, window: text.clone() };
            let listing = Listing { name: name.clone(), description: text.clone(), skills: skills.clone(), health: text.clone(), confidence };
            for outcome in [
                Outcome::Balance(account.clone()), Outcome::Allocated(account.clone(), b), Outcome::Settled(account, a),
                Outcome::TopConsumers(vec![Consumer { name: name.clone(), tokens: a }, Consumer { name: text.clone(), tokens: b }]),
                Outcome::Found(vec![listing.clone(), listing.clone()]), Outcome::Agents(vec![listing.clone()]), Outcome::Described(listing.clone()),
                Outcome::Echoed(text.clone()), Outcome::NoAccount(name.clone()),
                Outcome::Insufficient { account: name.clone(), asked: a, available: b }, Outcome::NoAgent(text.clone()),
            ] {
                let reply = phrase(&outcome);
                let data: serde_json::Value = serde_json::from_str(&reply.data).unwrap();
                prop_assert!(data.get("operation").is_some() != data.get("error").is_some());
                if let Outcome::Described(_) = outcome {
                    prop_assert_eq!(&data["agent"]["name"], &serde_json::json!(name));
                    prop_assert_eq!(&data["agent"]["skills"], &serde_json::json!(skills));
                }
            }
        }

        #[test]
        fn groups_are_of_three_and_lose_no_digit(value: u64) {
            let text = grouped(value);
            prop_assert_eq!(text.replace(',', ""), value.to_string());
            prop_assert!(text.split(',').skip(1).all(|group| group.len() == 3));
        }
    }
}
