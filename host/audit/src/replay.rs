//! Reading the log from a position on: to bring derived state up at start, or
//! to look at it from another process.

use std::sync::Arc;

use crate::chain::{self, Link};
use crate::disk::Disk;
use crate::examine::Exhibit;
use crate::log::Position;
use crate::record::name_in;
use crate::scan::{Found, Scan};
use crate::segment::{Part, file_name};
use crate::tail::is_torn;
use crate::{Damage, Error, Failure, Record};

/// Where the records of one segment lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) number: u64,
    pub(crate) first: u64,
    pub(crate) start: u64,
    /// `u64::MAX`: wherever whole records end.
    pub(crate) end: u64,
}

impl Span {
    pub(crate) fn of(link: &Link) -> Self {
        Self {
            number: link.number,
            first: link.header.first,
            start: link.start,
            end: link.end.unwrap_or(u64::MAX),
        }
    }
}

/// Reads the log on `disk` from `from` on, up to its last whole record, without
/// writing anything. Another process may be writing it.
///
/// # Errors
/// [`Error::Corrupt`] or [`Error::DiskFailed`].
pub fn replay(disk: Arc<dyn Disk>, from: Position) -> Result<Replay, Error> {
    let chain = chain::load(&*disk)?;
    Ok(Replay::new(
        disk,
        chain.links.iter().map(Span::of).collect(),
        from,
    ))
}

/// Records in order, each with its position. Ends after the first error.
pub struct Replay {
    disk: Arc<dyn Disk>,
    /// Spans still to come, the next last.
    spans: Vec<Span>,
    scan: Option<(Span, Scan)>,
    from: u64,
}

impl Replay {
    pub(crate) fn new(disk: Arc<dyn Disk>, mut spans: Vec<Span>, from: Position) -> Self {
        let from = from.index();
        let skipped = spans
            .iter()
            .skip(1)
            .take_while(|span| span.first <= from)
            .count();
        spans.drain(..skipped);
        spans.reverse();
        Self {
            disk,
            spans,
            scan: None,
            from,
        }
    }

    /// The next record, `None` at the end.
    fn read(&mut self) -> Result<Option<(Position, Record)>, Error> {
        loop {
            let Some((span, scan)) = &mut self.scan else {
                let Some(span) = self.spans.pop() else {
                    return Ok(None);
                };
                let name = file_name(span.number, Part::Log);
                let file = self.disk.open(&name);
                let file = file.map_err(|error| Failure::new("open", &name, error))?;
                let end = (span.end != u64::MAX).then_some(span.end);
                let scan = Scan::new(file, span.number, span.first, span.start, end);
                self.scan = Some((span, scan));
                continue;
            };
            let segment = span.number;
            let fail = |error| Failure::new("read", &file_name(segment, Part::Log), error);
            let bad = match scan.next().map_err(fail)? {
                Found::End => {
                    self.close()?;
                    continue;
                }
                Found::Record { index, .. } if index < self.from => continue,
                Found::Record {
                    index,
                    offset,
                    payload,
                } => {
                    let record = Record::decode(payload).map_err(|why| {
                        let exhibit = Exhibit {
                            index,
                            segment,
                            offset,
                            payload,
                        };
                        exhibit.damage(format!("it cannot be read: {why}"))
                    })?;
                    return Ok(Some((Position::at(index), record)));
                }
                Found::Bad(bad) => bad,
            };
            if span.end == u64::MAX && is_torn(scan, segment, &bad, 0).map_err(fail)? {
                self.scan = None;
                continue;
            }
            return Err(Damage {
                index: bad.index,
                event: name_in(&bad.bytes),
                file: file_name(segment, Part::Log),
                offset: bad.offset,
                why: bad.why,
            }
            .into());
        }
    }

    /// Leaves a segment, if it held as many records as it should have.
    fn close(&mut self) -> Result<(), Damage> {
        let Some((span, scan)) = self.scan.take() else {
            return Ok(());
        };
        let short = span.end != u64::MAX && scan.offset() < span.end;
        let next = self.spans.last().map(|next| next.first);
        if !short && next.is_none_or(|next| next == scan.index()) {
            return Ok(());
        }
        Err(Damage {
            index: scan.index(),
            event: None,
            file: file_name(span.number, Part::Log),
            offset: scan.offset(),
            why: "it ends too early or too late: the segment after it says otherwise".to_owned(),
        })
    }
}

impl Iterator for Replay {
    type Item = Result<(Position, Record), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.read();
        if next.is_err() {
            self.scan = None;
            self.spans.clear();
        }
        next.transpose()
    }
}
