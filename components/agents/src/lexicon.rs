//! The closed word lists of the grammars. A word in none of them is a name or
//! something we do not understand.

use crate::asking::ASKING;

/// Move tokens to an account.
pub const ALLOCATE: [&str; 27] = [
    "add",
    "alloc",
    "allocate",
    "allot",
    "assign",
    "award",
    "boost",
    "credit",
    "earmark",
    "extend",
    "fund",
    "give",
    "grant",
    "hand",
    "increase",
    "issue",
    "move",
    "provide",
    "put",
    "raise",
    "refill",
    "replenish",
    "send",
    "supply",
    "top-up",
    "topup",
    "transfer",
];

/// Report tokens as used.
pub const SETTLE: [&str; 10] = [
    "bill", "book", "charge", "debit", "deduct", "log", "record", "register", "report", "settle",
];

/// Tokens are gone.
pub const USED: [&str; 8] = [
    "used", "spent", "consumed", "burned", "burnt", "uses", "spends", "consumes",
];

/// Verbs that also ask for something to be shown: "give me the balance".
pub const SHOW_TOO: [&str; 6] = ["give", "hand", "provide", "send", "report", "log"];

/// The unit.
pub const TOKENS: [&str; 2] = ["token", "tokens"];

/// The use of tokens as a noun.
pub const USAGE: [&str; 5] = ["usage", "use", "spending", "consumption", "expenses"];

/// Names a group that owns an account, before or after its name.
pub const TEAM: [&str; 13] = [
    "account",
    "department",
    "dept",
    "division",
    "group",
    "org",
    "organisation",
    "organization",
    "project",
    "service",
    "squad",
    "team",
    "unit",
];

/// What an account holds, after its name.
pub const BUDGET: [&str; 6] = ["allowance", "balance", "budget", "quota", "share", "wallet"];

/// The free pool that allocations come from.
pub const POOL: [&str; 6] = ["budget", "cluster", "mesh", "pool", "reserve", "total"];

/// Politeness and adverbs that change nothing.
pub const FILLER: [&str; 36] = [
    "afternoon",
    "asap",
    "away",
    "cheers",
    "day",
    "dear",
    "evening",
    "good",
    "hello",
    "hey",
    "hi",
    "immediately",
    "just",
    "kindly",
    "morning",
    "much",
    "now",
    "ok",
    "okay",
    "please",
    "pls",
    "plz",
    "quickly",
    "right",
    "simply",
    "so",
    "straight",
    "sure",
    "ta",
    "thank",
    "thanks",
    "there",
    "thx",
    "today",
    "well",
    "you",
];

/// Before a noun.
pub const DETERMINER: [&str; 6] = ["the", "a", "an", "our", "these", "those"];

/// Stands for something already said.
pub const PRONOUN: [&str; 8] = [
    "it", "that", "them", "this", "these", "those", "they", "she",
];

/// On top of what is there.
pub const MORE: [&str; 6] = [
    "additional",
    "another",
    "exactly",
    "extra",
    "further",
    "more",
];

/// Opens a question about facts.
pub const WH: [&str; 9] = [
    "what", "who", "which", "how", "where", "when", "why", "whose", "whom",
];

/// Opens a question for yes or no.
pub const AUXILIARY: [&str; 17] = [
    "am", "are", "did", "do", "does", "had", "has", "have", "is", "might", "must", "shall",
    "should", "was", "were", "will", "would",
];

/// Links nouns.
pub const PREPOSITION: [&str; 17] = [
    "about", "against", "among", "at", "between", "by", "for", "from", "in", "into", "of", "on",
    "to", "toward", "towards", "with", "within",
];

/// Function words that are in no other list and never name anything.
pub const FUNCTION: [&str; 84] = [
    "above",
    "after",
    "all",
    "almost",
    "although",
    "and",
    "any",
    "anybody",
    "anyone",
    "around",
    "as",
    "assume",
    "back",
    "be",
    "because",
    "been",
    "before",
    "below",
    "both",
    "but",
    "can",
    "cannot",
    "circa",
    "could",
    "each",
    "either",
    "else",
    "every",
    "everyone",
    "everything",
    "except",
    "half",
    "he",
    "her",
    "his",
    "i",
    "if",
    "imagine",
    "instead",
    "its",
    "later",
    "may",
    "maybe",
    "me",
    "most",
    "my",
    "nearly",
    "neither",
    "never",
    "no",
    "no-one",
    "nobody",
    "none",
    "noone",
    "nor",
    "not",
    "once",
    "only",
    "or",
    "otherwise",
    "over",
    "per",
    "perhaps",
    "pretend",
    "say",
    "some",
    "somebody",
    "someone",
    "suppose",
    "than",
    "their",
    "then",
    "though",
    "tomorrow",
    "under",
    "unless",
    "until",
    "up",
    "us",
    "we",
    "when",
    "while",
    "without",
    "your",
];

/// Is it in any list, and so not a name?
pub fn is_known(word: &str) -> bool {
    let lists: [&[&str]; 17] = [
        &ALLOCATE,
        &SETTLE,
        &USED,
        &TOKENS,
        &USAGE,
        &TEAM,
        &BUDGET,
        &POOL,
        &FILLER,
        &DETERMINER,
        &PRONOUN,
        &MORE,
        &WH,
        &AUXILIARY,
        &PREPOSITION,
        &FUNCTION,
        &ASKING,
    ];
    lists.iter().any(|list| list.contains(&word))
}

/// May it be part of an account's name inside an order? Stricter lists would
/// forbid teams called "support" or "research"; these forbid what would turn
/// an order around.
pub fn may_name(word: &str) -> bool {
    let lists: [&[&str]; 15] = [
        &ALLOCATE,
        &SETTLE,
        &USED,
        &TOKENS,
        &USAGE,
        &TEAM,
        &BUDGET,
        &FILLER,
        &DETERMINER,
        &PRONOUN,
        &MORE,
        &WH,
        &AUXILIARY,
        &PREPOSITION,
        &FUNCTION,
    ];
    !lists.iter().any(|list| list.contains(&word))
}
