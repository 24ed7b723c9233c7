//! Texts like those of cards, and questions like those of people, from a seed.

use kgents_encoder::{DIMENSIONS, Embedding};
use kgents_search::{AgentDoc, SkillDoc};

const VERBS: [&str; 24] = [
    "translate",
    "summarise",
    "book",
    "approve",
    "compare",
    "forecast",
    "review",
    "draft",
    "reconcile",
    "schedule",
    "find",
    "explain",
    "route",
    "classify",
    "extract",
    "monitor",
    "restart",
    "rotate",
    "plan",
    "audit",
    "answer",
    "check",
    "update",
    "cancel",
];
const THINGS: [&str; 40] = [
    "invoice",
    "contract",
    "flight",
    "report",
    "ticket",
    "pod",
    "certificate",
    "order",
    "claim",
    "shipment",
    "candidate",
    "budget",
    "policy",
    "customer",
    "meeting",
    "translation",
    "database",
    "pipeline",
    "alert",
    "warehouse",
    "lease",
    "prescription",
    "course",
    "campaign",
    "receipt",
    "password",
    "dashboard",
    "release",
    "incident",
    "supplier",
    "payroll",
    "survey",
    "patent",
    "vehicle",
    "meter",
    "permit",
    "manuscript",
    "query",
    "backup",
    "quote",
];
const DOMAINS: [&str; 24] = [
    "finance",
    "legal",
    "travel",
    "support",
    "security",
    "logistics",
    "marketing",
    "research",
    "health",
    "education",
    "energy",
    "retail",
    "procurement",
    "engineering",
    "sales",
    "insurance",
    "manufacturing",
    "media",
    "housing",
    "public",
    "people",
    "data",
    "language",
    "operations",
];
const POLITE: [&str; 6] = [
    "can you",
    "please",
    "I need somebody to",
    "who can",
    "how do I",
    "could the team",
];
/// Rarer words, of which few texts have the same.
const RARE: usize = 20_000;
const SYLLABLES: [&str; 20] = [
    "ba", "cor", "den", "fi", "gra", "hel", "in", "jo", "kal", "lum", "mer", "nor", "ot", "pra",
    "qui", "ros", "sta", "tel", "ur", "vex",
];

/// A source of cards and questions.
pub struct Cards(u64);

impl Cards {
    /// The same cards and questions for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Agents with so many skills together, one to five each.
    pub fn agents(&mut self, skills: usize) -> Vec<AgentDoc> {
        let mut agents = Vec::new();
        let mut so_far = 0;
        while so_far < skills {
            let name = format!("{}-{}", self.one(&DOMAINS), agents.len());
            let mut agent = self.agent(&name);
            agent.skills.truncate(skills - so_far);
            so_far += agent.skills.len();
            agents.push(agent);
        }
        agents
    }

    /// One agent, with another card each time.
    pub fn agent(&mut self, name: &str) -> AgentDoc {
        let (domain, thing) = (self.one(&DOMAINS), self.one(&THINGS));
        let (one, other, last) = (self.rare(), self.rare(), self.rare());
        let about = format!(
            "The {domain} agent for {thing} work at {one}: it knows the {other} rules and the \
             {last} systems of the company"
        );
        let skills = (0..1 + self.below(5)).map(|_| self.skill(&about));
        AgentDoc {
            agent: name.into(),
            skills: skills.collect(),
        }
    }

    fn skill(&mut self, about: &str) -> SkillDoc {
        let (verb, thing) = (self.one(&VERBS), self.one(&THINGS));
        let (also, part, kind) = (self.one(&VERBS), self.one(&THINGS), self.rare());
        let (first, second) = (self.question(), self.question());
        let name = format!("{verb} {thing}");
        let text = format!(
            "{about}. {name}. {verb} and {also} a {kind} {thing} with the {part} that belongs to \
             it, and say what is missing. {thing} {part} {kind}. {first}. {second}"
        );
        SkillDoc {
            name,
            text,
            vectors: vec![self.vector().quantised()],
        }
    }

    /// Ten words or so, a third of them in every second text.
    pub fn question(&mut self) -> String {
        let (polite, verb, thing) = (self.one(&POLITE), self.one(&VERBS), self.one(&THINGS));
        let (kind, domain) = (self.rare(), self.one(&DOMAINS));
        match self.below(4) {
            0 => format!("{polite} {verb} the {kind} {thing} for {domain} by Friday"),
            1 => format!("{verb} {thing}"),
            2 => format!(
                "the {thing} of {kind} is late, {polite} {verb} it and tell the {domain} desk"
            ),
            _ => format!("{polite} {verb} a {thing}"),
        }
    }

    /// A direction, each as likely as another.
    pub fn vector(&mut self) -> Embedding {
        loop {
            // The sum of four is near enough to a normal distribution.
            let values: [f32; DIMENSIONS] =
                std::array::from_fn(|_| (0..4).map(|_| self.below(2001) as f32 - 1000.0).sum());
            if let Ok(vector) = Embedding::normalised(&values) {
                return vector;
            }
        }
    }

    /// A made-up word; the n-th is n times rarer than the first.
    fn rare(&mut self) -> String {
        let share = self.below(1 << 20) as f64 / f64::from(1 << 20);
        let mut rank = (RARE as f64).powf(share) as usize;
        let mut word = String::new();
        while rank > 0 {
            word.push_str(SYLLABLES.get(rank % SYLLABLES.len()).unwrap_or(&""));
            rank /= SYLLABLES.len();
        }
        word
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of.get(self.below(of.len())).copied().unwrap_or_default()
    }

    /// A number below `end`, which has to be above 0 (SplitMix64).
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % end.max(1) as u64) as usize
    }
}
