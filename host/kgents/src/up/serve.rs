//! Sockets: accepts connections, HTTP/1.1 and HTTP/2 without TLS, until told
//! to stop; then lets what is under way finish.

use http::{HeaderValue, Method, Request, Response, header};
use http_body_util::{Either, Empty};
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// How long a caller may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// How long calls under way may take to finish when the mesh stops.
const GRACE: Duration = Duration::from_secs(10);
/// How long to wait when no more sockets can be opened.
const OUT_OF_SOCKETS: Duration = Duration::from_secs(1);
/// Connections of one listener at the same time, if the system allows as many;
/// others wait until one ends. Some 20 KiB each.
const CONNECTIONS_MAX: usize = 16_384;
/// Of the files that the process may open, the share that callers of one
/// listener may take: the others are for agents and the disk.
const FILES_SHARE: u64 = 3;
/// What an HTTP/2 connection begins with. Source: RFC 9113 §3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Between two looks at a connection that has begun to say what it speaks.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How often a silent HTTP/2 connection is asked whether it is alive.
const ALIVE_EVERY: Duration = Duration::from_secs(20);

/// Serves connections with `answer`, which is told the caller's address, until
/// `stop` turns true.
pub async fn serve<A, F, B>(listener: TcpListener, mut stop: watch::Receiver<bool>, answer: A)
where
    A: Fn(Request<Incoming>, SocketAddr) -> F + Clone + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let graceful = GracefulShutdown::new();
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT);
    server
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(ALIVE_EVERY)
        .keep_alive_timeout(HEAD_TIMEOUT)
        .max_concurrent_streams(1024);
    let server = Arc::new(server);
    let room = Arc::new(Semaphore::new(connections_max()));
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &room) => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let (socket, caller, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(OUT_OF_SOCKETS).await;
                continue;
            }
        };
        // Small answers must not wait for acknowledgements.
        let _ = socket.set_nodelay(true);
        let answer = answer.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let is_head = request.method() == Method::HEAD;
            let answering = answer(request, caller);
            async move { Ok::<_, Infallible>(sent(answering.await, is_head)) }
        });
        let (server, watcher) = (Arc::clone(&server), graceful.watcher());
        let mut stopping = stop.clone();
        tokio::spawn(async move {
            let _place = place;
            let said = tokio::select! {
                said = tokio::time::timeout(HEAD_TIMEOUT, speaks(&socket)) => said,
                _ = stopping.wait_for(|stop| *stop) => return,
            };
            if !matches!(said, Ok(Ok(true))) {
                return;
            }
            let connection = server.serve_connection(TokioIo::new(socket), service);
            if let Err(error) = watcher.watch(connection.into_owned()).await {
                tracing::debug!(error, "a connection ended badly");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("some calls did not finish in time and are cut off");
    }
}

/// What leaves of an answer: to HEAD its head alone, with the length that the
/// body would have. Over HTTP/2 the body would be sent otherwise.
fn sent<B: Body>(response: Response<B>, is_head: bool) -> Response<Either<B, Empty<B::Data>>> {
    if !is_head {
        return response.map(Either::Left);
    }
    let length = response.body().size_hint().exact();
    let mut response = response.map(|_| Either::Right(Empty::new()));
    if let Some(length) = length {
        let headers = response.headers_mut();
        headers
            .entry(header::CONTENT_LENGTH)
            .or_insert_with(|| HeaderValue::from(length));
    }
    response
}

/// The next connection, once there is room for it.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(room).acquire_owned().await;
    let place = place.map_err(std::io::Error::other)?;
    let (socket, caller) = listener.accept().await?;
    Ok((socket, caller, place))
}

fn connections_max() -> usize {
    #[cfg(unix)]
    {
        let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let share = files.map_or(u64::MAX, |files| files / FILES_SHARE).max(1);
        usize::try_from(share)
            .unwrap_or(usize::MAX)
            .min(CONNECTIONS_MAX)
    }
    #[cfg(not(unix))]
    CONNECTIONS_MAX
}

/// Waits until a connection has said which HTTP it speaks; false when it ends
/// before. What comes after has time limits of its own, and this has none.
async fn speaks(socket: &TcpStream) -> std::io::Result<bool> {
    let mut begun = [0; PREFACE.len()];
    loop {
        let count = socket.peek(&mut begun).await?;
        let said = begun.get(..count).unwrap_or_default();
        if said.is_empty() {
            return Ok(false);
        }
        if said.len() == PREFACE.len() || !PREFACE.starts_with(said) {
            return Ok(true);
        }
        // What was seen stays there, so there is nothing to be woken by.
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http_body_util::Full;

    #[test]
    fn an_answer_to_head_has_the_length_of_its_body_and_not_the_body() {
        let answer = || Response::new(Full::new(Bytes::from_static(b"card")));
        let head = sent(answer(), true);
        assert!(head.body().is_end_stream());
        assert_eq!(head.headers().get(header::CONTENT_LENGTH).unwrap(), "4");
        let get = sent(answer(), false);
        assert_eq!(get.body().size_hint().exact(), Some(4));
        assert!(get.headers().is_empty());
    }
}
