//! A derived file beside a segment: leaf hashes or heads. It never holds up
//! an acknowledgement, and what could not be written is written later.

use crate::Failure;
use crate::disk::{Disk, DiskFile};
use crate::segment::{Part, file_name};

pub(crate) struct Sidecar {
    name: String,
    file: Box<dyn DiskFile>,
    /// Bytes that are on the disk for sure.
    durable: u64,
    /// Bytes that come next.
    pending: Vec<u8>,
    /// Whether something unsure lies beyond `durable`.
    unsure: bool,
}

impl Sidecar {
    pub(crate) fn create(disk: &dyn Disk, segment: u64, part: Part) -> Result<Self, Failure> {
        let name = file_name(segment, part);
        let file = disk.create(&name);
        let file = file.map_err(|error| Failure::new("create", &name, error))?;
        Ok(Self {
            name,
            file,
            durable: 0,
            pending: Vec::new(),
            unsure: false,
        })
    }

    /// The file that is there, of which the first `durable` bytes are good.
    pub(crate) fn open(
        disk: &dyn Disk,
        segment: u64,
        part: Part,
        durable: u64,
    ) -> Result<Self, Failure> {
        let name = file_name(segment, part);
        let file = disk.open(&name);
        let file = file.map_err(|error| Failure::new("open", &name, error))?;
        Ok(Self {
            name,
            file,
            durable,
            pending: Vec::new(),
            unsure: true,
        })
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    pub(crate) fn forget_pending(&mut self) {
        self.pending.clear();
    }

    /// Brings what is pending to the disk; on failure it stays pending.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        let fail = |operation| {
            let name = self.name.clone();
            move |error| Failure::new(operation, &name, error)
        };
        if self.unsure {
            self.file.truncate(self.durable).map_err(fail("truncate"))?;
        }
        if self.pending.is_empty() && !self.unsure {
            return Ok(());
        }
        self.unsure = true;
        self.file.append(&self.pending).map_err(fail("write"))?;
        self.file.sync().map_err(fail("sync"))?;
        self.unsure = false;
        self.durable = self.durable.saturating_add(self.pending.len() as u64);
        self.pending.clear();
        Ok(())
    }
}
