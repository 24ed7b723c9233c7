//! Which files make up the log, in which order, and how much of each counts.

use std::collections::{BTreeMap, BTreeSet};

use crate::disk::{Disk, read_all};
use crate::scan::later_marker;
use crate::segment::{Header, HeaderFault, Part, file_name, parse_name};
use crate::{Damage, Error, Failure};

/// One segment of the log.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) number: u64,
    pub(crate) header: Header,
    /// Where its first group stands.
    pub(crate) start: u64,
    /// Where it ends; `None` in the last, which ends where its file does.
    pub(crate) end: Option<u64>,
}

/// The log's segments in order.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    pub(crate) links: Vec<Link>,
    /// Files of segments that never came to hold anything acknowledged.
    pub(crate) debris: Vec<String>,
    /// The number that the next segment may have.
    pub(crate) next_number: u64,
}

/// Reads the headers of the log on `disk` and changes nothing.
///
/// The last segment with a header that can be read is the end of the log; the
/// others are those it leads back to. What is left over is debris: a segment
/// whose making was interrupted, or one given up after a failed write.
pub(crate) fn load(disk: &dyn Disk) -> Result<Chain, Error> {
    let names = disk.list();
    let names = names.map_err(|error| Failure::new("list", &disk.place(), error))?;
    let files: BTreeSet<(u64, Part)> = names.iter().filter_map(|name| parse_name(name)).collect();
    let last = files.last().map(|(number, _)| *number);
    let mut chain = Chain {
        next_number: last.map_or(0, |number| number.saturating_add(1)),
        ..Chain::default()
    };
    let numbers = files.iter().filter(|(_, part)| *part == Part::Log);
    for (number, _) in numbers.rev() {
        let Some(link) = end_of_log(disk, *number)? else {
            continue;
        };
        lead_back(disk, link, &mut chain)?;
        break;
    }
    let counted: BTreeMap<u64, &Link> =
        chain.links.iter().map(|link| (link.number, link)).collect();
    for (number, part) in &files {
        if !counted.contains_key(number) {
            chain.debris.push(left_over(disk, *number, *part)?);
        }
    }
    Ok(chain)
}

/// The segment if its header can be read. `None` if it was never finished.
fn end_of_log(disk: &dyn Disk, number: u64) -> Result<Option<Link>, Error> {
    let name = file_name(number, Part::Log);
    let fail = |operation| {
        let name = name.clone();
        move |error| Failure::new(operation, &name, error)
    };
    let file = match disk.open(&name) {
        // Another process may just have given it up.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(fail("open"))?,
    };
    match Header::read(&*file, number) {
        Ok((header, start)) => Ok(Some(Link {
            number,
            header,
            start,
            end: None,
        })),
        Err(HeaderFault::Disk(error)) => Err(fail("read")(error).into()),
        // The header is durable before the first group is written, so a torn
        // header has no marker behind it.
        Err(HeaderFault::Bad(why)) => {
            match later_marker(&*file, number, 0).map_err(fail("read"))? {
                None => Ok(None),
                Some(_) => Err(damage(name, 0, 0, why)),
            }
        }
    }
}

/// Follows the headers back to the first segment.
fn lead_back(disk: &dyn Disk, last: Link, chain: &mut Chain) -> Result<(), Error> {
    let mut links = vec![last];
    while let Some(link) = links.last() {
        let name = file_name(link.number, Part::Log);
        let Some(follows) = link.header.follows else {
            if link.header.first != 0 {
                let why = "it is not the first segment, but names none before it".to_owned();
                return Err(damage(name, 0, 0, why));
            }
            break;
        };
        if follows.segment >= link.number {
            let why = "its header names a later segment as the one before".to_owned();
            return Err(damage(name, link.header.first, 0, why));
        }
        let before = before(disk, follows.segment, follows.bytes, link.header.first)?;
        links.push(before);
    }
    links.reverse();
    chain.links = links;
    Ok(())
}

fn before(disk: &dyn Disk, number: u64, bytes: u64, next_first: u64) -> Result<Link, Error> {
    let name = file_name(number, Part::Log);
    let file = match disk.open(&name) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let why = format!("the segment before record {next_first} is missing");
            return Err(damage(name, next_first, 0, why));
        }
        opened => opened.map_err(|error| Failure::new("open", &name, error))?,
    };
    let (header, start) = match Header::read(&*file, number) {
        Ok(read) => read,
        Err(HeaderFault::Disk(error)) => return Err(Failure::new("read", &name, error).into()),
        Err(HeaderFault::Bad(why)) => return Err(damage(name, next_first, 0, why)),
    };
    if header.first > next_first || start > bytes {
        let why = "the segment after it says that it ends before it begins".to_owned();
        return Err(damage(name, header.first, 0, why));
    }
    Ok(Link {
        number,
        header,
        start,
        end: Some(bytes),
    })
}

/// A file of a segment outside the chain. It may go, unless it is a head: heads
/// are only signed over segments that count.
fn left_over(disk: &dyn Disk, number: u64, part: Part) -> Result<String, Error> {
    let name = file_name(number, part);
    if part != Part::Heads {
        return Ok(name);
    }
    let bytes = match disk.open(&name).and_then(|file| read_all(&*file, 0)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(name),
        read => read.map_err(|error| Failure::new("read", &name, error))?,
    };
    if bytes.is_empty() {
        return Ok(name);
    }
    let log = file_name(number, Part::Log);
    let why = format!("heads were signed over it (`{name}`), but it is missing or empty");
    Err(damage(log, 0, 0, why))
}

fn damage(file: String, index: u64, offset: u64, why: String) -> Error {
    Damage {
        index,
        event: None,
        file,
        offset,
        why,
    }
    .into()
}
