//! Lines of features, and smaller meshes made from them.

use kgents_router::question::{Candidate, Found};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::Path;

/// In a thinned mesh the right agent is missing for one query in this many, so
/// that the near miss is learnt while most questions still have an answer.
const GONE: u64 = 8;

/// One query with what search found for it.
#[derive(Debug, Clone)]
pub struct Line {
    /// The caller's words.
    pub query: String,
    /// The agent that is right; `None` when none is.
    pub route: Option<String>,
    /// What search found.
    pub found: Found,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    query: String,
    route: Option<String>,
    encoder: Option<String>,
    candidates: Vec<RawCandidate>,
}

#[derive(Deserialize)]
struct RawCandidate {
    agent: String,
    #[serde(default)]
    skill: String,
    lexical: f32,
    coverage: f32,
    vector: Option<f32>,
}

impl Line {
    /// Whether this line is of the half that fits.
    pub fn fits(&self) -> bool {
        hash(&[&self.query]).is_multiple_of(2)
    }

    /// The same query in a mesh where each other agent exists with a chance of one
    /// in `parts`, by hash. For one query in [`GONE`] the right agent is missing
    /// too; then nobody is right.
    pub fn thinned(&self, parts: u64, salt: &str) -> Self {
        let is_gone = hash(&[salt, &self.query]).is_multiple_of(GONE);
        let route = self.route.clone().filter(|_| !is_gone);
        let exists = |agent: &str| match self.route.as_deref() {
            Some(right) if right == agent => !is_gone,
            _ => hash(&[salt, &self.query, agent]).is_multiple_of(parts),
        };
        let candidates = self.found.candidates.iter().filter(|c| exists(&c.agent));
        Self {
            query: self.query.clone(),
            route,
            found: Found {
                candidates: candidates.cloned().collect(),
                encoder: self.found.encoder.clone(),
            },
        }
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
            skill: c.skill,
            lexical: c.lexical,
            coverage: c.coverage,
            vector: c.vector,
        });
        let found = Found {
            candidates: candidates.collect(),
            encoder: raw.encoder,
        };
        lines.push(Line {
            query: raw.query,
            route: raw.route,
            found,
        });
    }
    Ok(lines)
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

    fn line(query: &str) -> Line {
        let candidates = ["a", "b", "c", "d", "e", "f", "g", "h"].map(|agent| Candidate {
            agent: agent.to_owned(),
            cluster: String::new(),
            skill: String::new(),
            lexical: 1.0,
            coverage: 0.5,
            vector: None,
        });
        let found = Found {
            candidates: candidates.to_vec(),
            encoder: None,
        };
        Line {
            query: query.to_owned(),
            route: Some("a".to_owned()),
            found,
        }
    }

    #[test]
    fn about_half_of_the_lines_fit() {
        let fits = (0..1_000)
            .filter(|n| line(&format!("query {n}")).fits())
            .count();
        assert!((430..570).contains(&fits), "{fits}");
    }

    #[test]
    fn a_thinned_mesh_has_its_right_agent_or_no_right_agent() {
        let mut gone = 0;
        for n in 0..800 {
            let thinned = line(&format!("query {n}")).thinned(4, "salt");
            let is_there = thinned.found.candidates.iter().any(|c| c.agent == "a");
            assert_eq!(thinned.route.is_some(), is_there);
            gone += u32::from(!is_there);
        }
        assert!((60..140).contains(&gone), "about one in eight: {gone}");
    }

    #[test]
    fn a_broken_line_is_named() {
        let dir = std::env::temp_dir().join(format!("kgents-fit-{}", std::process::id()));
        let good = r#"{"query":"q","route":null,"encoder":null,"candidates":[]}"#;
        std::fs::write(&dir, format!("{good}\n{{\"query\":1}}\n")).unwrap();
        let error = read(&dir).unwrap_err();
        std::fs::remove_file(&dir).unwrap();
        assert!(error.contains(":2: "), "{error}");
    }
}
