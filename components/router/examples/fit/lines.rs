//! Lines of features.

use kgents_router::question::{Candidate, Found};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The mesh of all agents, as [`Line::one_in`] tells it.
pub const WHOLE: u64 = 1;

/// One query in one mesh, with what search found for it.
#[derive(Debug, Clone)]
pub struct Line {
    /// The caller's words.
    pub query: String,
    /// The agent that is right; `None` when none is.
    pub route: Option<String>,
    /// The mesh: one in this many of the other agents is there.
    pub one_in: u64,
    /// How much the line counts among those of its mesh; see [`weighed`].
    pub weight: f64,
    /// What search found.
    pub found: Found,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    query: String,
    route: Option<String>,
    encoder: Option<String>,
    one_in: u64,
    candidates: Vec<RawCandidate>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCandidate {
    agent: String,
    lexical: f32,
    coverage: f32,
    vector: Option<f32>,
}

impl Line {
    /// Whether this line is of the half that fits.
    pub fn fits(&self) -> bool {
        hash(&[&self.query]).is_multiple_of(2)
    }
}

/// Reads a file, one line of JSON each.
pub fn read(path: &Path) -> Result<Vec<Line>, String> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|e| format!("{name}: {e}"))?;
    let mut lines = Vec::new();
    for (number, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let raw: Raw =
            serde_json::from_str(line).map_err(|e| format!("{name}:{}: {e}", number + 1))?;
        let candidates = raw.candidates.into_iter().map(|c| Candidate {
            agent: c.agent,
            cluster: String::new(),
            skill: String::new(),
            lexical: c.lexical,
            coverage: c.coverage,
            vector: c.vector,
            is_taught: false,
        });
        let found = Found {
            candidates: candidates.collect(),
            encoder: raw.encoder,
        };
        lines.push(Line {
            query: raw.query,
            route: raw.route,
            one_in: raw.one_in,
            weight: 1.0,
            found,
        });
    }
    Ok(lines)
}

/// The lines with weights. In smaller meshes right agents are missing, but the share
/// of questions with an answer is to stay what it is in the mesh of all agents, as
/// nothing says that it is another one: questions without an answer count less there.
pub fn weighed(mut lines: Vec<Line>) -> Vec<Line> {
    let mut counted: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
    for line in &lines {
        let (answered, all) = counted.entry(line.one_in).or_default();
        *answered += if line.route.is_some() { 1.0 } else { 0.0 };
        *all += 1.0;
    }
    let odds = |one_in: u64| {
        let (answered, all) = counted.get(&one_in).copied().unwrap_or_default();
        answered / (all - answered).max(1.0)
    };
    let whole = odds(WHOLE).max(f64::EPSILON);
    for line in lines.iter_mut().filter(|line| line.route.is_none()) {
        line.weight = odds(line.one_in) / whole;
    }
    lines
}

/// The meshes that occur, the whole one first.
pub fn meshes(lines: &[Line]) -> BTreeSet<u64> {
    lines.iter().map(|line| line.one_in).collect()
}

/// How many agents occur.
pub fn agents(lines: &[Line]) -> usize {
    let found = lines
        .iter()
        .flat_map(|line| &line.found.candidates)
        .map(|c| c.agent.as_str());
    let right = lines.iter().filter_map(|line| line.route.as_deref());
    found.chain(right).collect::<BTreeSet<_>>().len()
}

/// FNV-1a, 64 bits, over the parts with a separator, and mixed at the end (the
/// finalizer of MurmurHash3), for the bits of FNV alone follow the last letters.
fn hash(parts: &[&str]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0]));
    let mut hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        hash = (hash ^ (hash >> 33)).wrapping_mul(factor);
    }
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(query: &str, one_in: u64, route: Option<&str>) -> Line {
        Line {
            query: query.to_owned(),
            route: route.map(str::to_owned),
            one_in,
            weight: 1.0,
            found: Found {
                candidates: Vec::new(),
                encoder: None,
            },
        }
    }

    #[test]
    fn about_half_of_the_lines_fit() {
        let fits = (0..1_000)
            .filter(|n| line(&format!("query {n}"), WHOLE, None).fits())
            .count();
        assert!((430..570).contains(&fits), "{fits}");
    }

    #[test]
    fn the_share_of_questions_with_an_answer_is_that_of_the_whole_mesh() {
        let of = |one_in, right: usize, wrong: usize| {
            let routes = [Some("a")]
                .repeat(right)
                .into_iter()
                .chain([None].repeat(wrong));
            routes.map(move |route| line("q", one_in, route))
        };
        // In the whole mesh half have an answer, in the smaller one a fifth.
        let lines = weighed(of(WHOLE, 10, 10).chain(of(8, 4, 16)).collect());
        let total = |one_in, answered| {
            let of = |l: &&Line| l.one_in == one_in && l.route.is_some() == answered;
            lines.iter().filter(of).map(|l| l.weight).sum::<f64>()
        };
        assert_eq!((total(WHOLE, true), total(WHOLE, false)), (10.0, 10.0));
        assert_eq!((total(8, true), total(8, false)), (4.0, 4.0));
        assert_eq!(meshes(&lines), BTreeSet::from([WHOLE, 8]));
    }

    #[test]
    fn a_broken_line_is_named() {
        let dir = std::env::temp_dir().join(format!("kgents-fit-{}", std::process::id()));
        let good = r#"{"query":"q","route":null,"encoder":null,"one_in":1,"candidates":[]}"#;
        std::fs::write(&dir, format!("{good}\n{{\"query\":1}}\n")).unwrap();
        let error = read(&dir).unwrap_err();
        std::fs::remove_file(&dir).unwrap();
        assert!(error.contains(":2: "), "{error}");
    }
}
