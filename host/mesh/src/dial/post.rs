//! Calls to what is no agent but part of the mesh, at an address that its operator
//! wrote: it is called wherever it is. `upstreams.allow` is about addresses that
//! strangers' cards name.

use super::pool::{Error, Keep, Outgoing, Pool};
use super::{Allow, Rule, connect};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::sync::Arc;
use std::time::Duration;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PostError {
    /// It cannot be asked, or nobody took the connection.
    #[error("{0}")]
    Unreachable(String),
    /// The connection ended before the answer did, or what came is no HTTP.
    #[error("the connection broke")]
    Broken,
    /// The answer is larger than what is read.
    #[error("the answer is too large")]
    TooLarge,
}

/// Posts, over connections that are kept. Redirects are answers like any other.
pub(crate) struct Poster {
    pool: Pool,
}

impl Poster {
    /// A poster that waits so long for a connection.
    ///
    /// # Errors
    /// When TLS cannot be set up at all.
    pub fn new(connect: Duration) -> std::io::Result<Self> {
        let everywhere = vec![
            Rule::Net(IpNet::V4(Ipv4Net::default())),
            Rule::Net(IpNet::V6(Ipv6Net::default())),
        ];
        let allow = Arc::new(Allow::new(everywhere));
        let connector = connect::connector(Arc::clone(&allow), connect)?;
        Ok(Self {
            pool: Pool::new(connector, allow, Keep::default()),
        })
    }

    /// Sends `body` and gives status and body of the answer, of which at most
    /// `bytes_max` are read. Waits as long as it takes.
    ///
    /// # Errors
    /// See [`PostError`].
    pub async fn post(
        &self,
        url: String,
        headers: HeaderMap,
        body: Bytes,
        bytes_max: usize,
    ) -> Result<(StatusCode, Bytes), PostError> {
        let outgoing = Outgoing {
            method: Method::POST,
            headers,
            body,
        };
        let mut reply = self
            .pool
            .ask(url, outgoing)
            .await
            .map_err(|error| match error {
                Error::Broken(_) => PostError::Broken,
                error => PostError::Unreachable(chain(&error)),
            })?;
        let mut body = BytesMut::new();
        while let Some(data) = reply.data().await {
            let data = data.map_err(|_| PostError::Broken)?;
            if body.len() + data.len() > bytes_max {
                return Err(PostError::TooLarge);
            }
            body.extend_from_slice(&data);
        }
        Ok((reply.status, body.freeze()))
    }
}

/// An error and what it comes from; the source says what went wrong.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
