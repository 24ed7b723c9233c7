//! What belongs to one guest while it runs, and what its component may do.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use kgents_app::{AllowedHosts, Limits};
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::bound::Bound;
use crate::outbound::Outbound;
use crate::speech::{Channel, Speaker, Speech};
use crate::store::Store;

/// Resources (bodies, streams, headers, stores) that a guest may hold at once.
/// Each costs the host memory that is not the guest's. One request takes some ten
/// of them, and each request that it sends another six.
const RESOURCES_MAX: usize = 2000;

/// What the headers in one place may hold, in bytes.
const FIELDS_BYTES_MAX: usize = 64 * 1024;

/// What one component may do; the same for all its requests.
pub(crate) struct Permits {
    /// Who it is, for the log, and what it may write there.
    pub(crate) speaker: Speaker,
    /// Its environment.
    pub(crate) environment: Vec<(String, String)>,
    /// Folder with its static files, if it has any.
    pub(crate) files: Option<PathBuf>,
    /// Where it may call.
    pub(crate) hosts: AllowedHosts,
    /// Its variables, resolved.
    pub(crate) variables: BTreeMap<String, String>,
    /// The stores it may open, by label.
    pub(crate) stores: BTreeMap<String, Store>,
    /// What it may use.
    pub(crate) limits: Limits,
}

/// What wasmtime keeps for one guest.
pub(crate) struct Guest {
    pub(crate) permits: Arc<Permits>,
    pub(crate) bound: Bound,
    pub(crate) outbound: Outbound,
    pub(crate) table: ResourceTable,
    /// Key-value stores it has open.
    pub(crate) stores_open: usize,
    wasi: WasiCtx,
    http: WasiHttpCtx,
}

impl Guest {
    /// # Errors
    /// When the folder of static files cannot be opened.
    pub(crate) fn new(permits: &Arc<Permits>, outbound: Outbound) -> wasmtime::Result<Self> {
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES_MAX);
        let mut wasi = WasiCtxBuilder::new();
        wasi.envs(&permits.environment)
            .stdout(Speech::new(&permits.speaker, Channel::Stdout))
            .stderr(Speech::new(&permits.speaker, Channel::Stderr))
            // Sockets are linked, since every standard library imports them, and
            // nothing about them is allowed.
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false);
        if let Some(folder) = &permits.files {
            wasi.preopened_dir(folder, "/", FsPerms::ReadOnly)?;
        }
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(FIELDS_BYTES_MAX);
        Ok(Self {
            bound: Bound::new(permits.limits.memory_bytes),
            permits: Arc::clone(permits),
            outbound,
            table,
            stores_open: 0,
            wasi: wasi.build(),
            http,
        })
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.outbound,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}
