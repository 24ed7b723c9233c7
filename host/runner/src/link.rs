//! What guests can call: WASI 0.2, wasi:http, and Spin's key-value stores and
//! variables. The one linker of an application.

use wasmtime::StoreContextMut;
use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime_wasi_http::p2::HttpResult;
use wasmtime_wasi_http::p2::bindings::http::outgoing_handler::Host as _;
use wasmtime_wasi_http::p2::bindings::http::types::{self, Scheme};
use wasmtime_wasi_http::p2::types::{HostFutureIncomingResponse, HostOutgoingRequest};
use wasmtime_wasi_http::{RequestOptions, WasiHttp, WasiHttpView as _};

use crate::outbound::SELF_HOST;
use crate::state::Guest;

/// Spin's interfaces, generated from `wit/`.
pub(crate) mod spin {
    #![allow(missing_docs, reason = "documented where they are defined, in wit/")]

    wasmtime::component::bindgen!({
        path: "wit",
        world: "runner",
        imports: { default: async | trappable },
        with: {
            "fermyon:spin/key-value.store": crate::store::Open,
        },
        require_store_data_send: true,
    });
}

/// The interface that requests are sent by. The version stands for all of 0.2.
const SENDING: &str = "wasi:http/outgoing-handler@0.2.12";

/// A linker with all that guests are offered; see `check` for the list.
///
/// # Errors
/// Never in truth: when one name is defined twice.
pub(crate) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    let l = &mut linker;
    wasmtime_wasi::p2::add_to_linker_async(l)?;
    let options = types::LinkOptions::default();
    types::add_to_linker::<_, WasiHttp>(l, &options, Guest::http)?;
    l.instance(SENDING)?.func_wrap(
        "handle",
        |mut store: StoreContextMut<'_, Guest>, (request, options)| match send(
            store.data_mut(),
            request,
            options,
        ) {
            Ok(response) => Ok((Ok(response),)),
            // What is no answer for the guest is a trap.
            Err(error) => Ok((Err(error.downcast()?),)),
        },
    )?;
    spin::fermyon::spin::key_value::add_to_linker::<_, HasSelf<Guest>>(l, |guest| guest)?;
    spin::fermyon::spin::variables::add_to_linker::<_, HasSelf<Guest>>(l, |guest| guest)?;
    Ok(linker)
}

/// Send a request of a guest. As WASI has it, and besides: a request without a
/// host is for the guest's own application.
fn send(
    guest: &mut Guest,
    request: Resource<HostOutgoingRequest>,
    options: Option<Resource<RequestOptions>>,
) -> HttpResult<Resource<HostFutureIncomingResponse>> {
    let mut http = guest.http();
    let sent = http.table.get_mut(&request)?;
    if sent.authority.as_deref().is_none_or(str::is_empty) {
        sent.authority = Some(SELF_HOST.to_owned());
        sent.scheme = Some(Scheme::Http);
    }
    http.handle(request, options)
}
