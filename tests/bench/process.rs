//! What the system knows of a process: processor time and memory. Read from
//! `/proc`; on systems without one these figures are missing, not zero.

use std::fs;
use std::time::Duration;

/// Processor time of all threads of a process since it began, its own and the
/// kernel's on its behalf, to a hundredth of a second.
pub fn cpu(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in brackets and may hold anything.
    let fields = stat.rsplit_once(')')?.1;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    let ticks = u32::try_from(user.checked_add(system)?).ok()?;
    let a_second = u32::try_from(rustix::param::clock_ticks_per_second()).ok()?;
    Some(Duration::from_secs(1) * ticks / a_second)
}

/// Memory of a process, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// What is in RAM.
    pub resident: u64,
    /// The part of it that no file stands behind: what the process made.
    pub anonymous: u64,
    /// The most that was ever in RAM.
    pub peak: u64,
}

/// Memory of a process.
pub fn memory(pid: u32) -> Option<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kibibytes: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
        kibibytes.checked_mul(1024)
    };
    Some(Memory {
        resident: bytes("VmRSS:")?,
        anonymous: bytes("RssAnon:")?,
        peak: bytes("VmHWM:")?,
    })
}

/// The machine in one line.
pub fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let model = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{cores} cores, {}, {} {}",
        model.as_deref().unwrap_or(std::env::consts::ARCH),
        std::env::consts::OS,
        kernel.trim()
    )
}
