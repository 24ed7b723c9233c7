//! Heartbeats: a stream that has nothing to say for a while says that it still
//! is there, so that nothing on the way takes it for dead, and so that a caller
//! who has gone is noticed.

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::{BoxStream, StreamExt};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// Puts `beat` wherever `pieces` are silent for so long.
pub(super) fn beating(
    pieces: BoxStream<'static, Bytes>,
    beat: Bytes,
    after: Duration,
) -> BoxStream<'static, Bytes> {
    let silence = Box::pin(tokio::time::sleep(after));
    Beating {
        pieces,
        beat,
        after,
        silence,
    }
    .boxed()
}

struct Beating {
    pieces: BoxStream<'static, Bytes>,
    beat: Bytes,
    after: Duration,
    silence: Pin<Box<Sleep>>,
}

impl Stream for Beating {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let next = match self.pieces.poll_next_unpin(context) {
            Poll::Ready(piece) => piece,
            Poll::Pending => match self.silence.as_mut().poll(context) {
                Poll::Ready(()) => Some(self.beat.clone()),
                Poll::Pending => return Poll::Pending,
            },
        };
        let until = Instant::now() + self.after;
        self.silence.as_mut().reset(until);
        Poll::Ready(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    fn open(after: Duration) -> (mpsc::UnboundedSender<Bytes>, BoxStream<'static, Bytes>) {
        let (sender, receiver) = mpsc::unbounded_channel::<Bytes>();
        let pieces = futures_util::stream::unfold(receiver, |mut receiver| async move {
            let piece = receiver.recv().await?;
            Some((piece, receiver))
        });
        let beat = Bytes::from_static(b"beat");
        (sender, beating(pieces.boxed(), beat, after))
    }

    #[tokio::test]
    async fn silence_is_told_again_and_again_until_something_is_said() {
        let (sender, mut stream) = open(Duration::from_millis(1));
        for _ in 0..3 {
            assert_eq!(stream.next().await.unwrap(), "beat");
        }
        sender.send(Bytes::from_static(b"word")).unwrap();
        assert_eq!(stream.next().await.unwrap(), "word");
        assert_eq!(stream.next().await.unwrap(), "beat");
        drop(sender);
        assert_eq!(stream.next().await, None);
    }

    #[tokio::test]
    async fn what_was_said_comes_before_a_heartbeat_that_is_due() {
        let (sender, mut stream) = open(Duration::ZERO);
        for word in ["a", "b"] {
            sender.send(Bytes::from_static(word.as_bytes())).unwrap();
        }
        assert_eq!(stream.next().await.unwrap(), "a");
        assert_eq!(stream.next().await.unwrap(), "b");
        assert_eq!(stream.next().await.unwrap(), "beat");
    }

    #[tokio::test]
    async fn a_stream_that_speaks_in_time_gets_no_heartbeat() {
        let (sender, mut stream) = open(Duration::from_secs(3600));
        sender.send(Bytes::from_static(b"word")).unwrap();
        drop(sender);
        assert_eq!(stream.next().await.unwrap(), "word");
        assert_eq!(stream.next().await, None);
    }
}
