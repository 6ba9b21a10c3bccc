//! Bytes both ways between two streams, until both have ended, or one has and the other is silent.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Bytes that are under way in one direction.
const BUFFER: usize = 32 << 10;

/// How long silence may last.
#[derive(Clone, Copy, Debug)]
pub struct Silence {
    /// While both sides may speak (stock's kubelet: four hours).
    pub open: Duration,
    /// When one side has said all.
    pub half: Duration,
}

pub const SILENCE: Silence = Silence { open: Duration::from_secs(4 * 3600), half: Duration::from_secs(60) };

/// Passes on what both say, and that one of them has ended. Both are dropped at the end.
pub async fn join<A, B>(client: A, backend: B, silence: Silence) -> io::Result<()>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let (mut client_reads, mut client_writes) = tokio::io::split(client);
    let (mut backend_reads, mut backend_writes) = tokio::io::split(backend);
    let moved = AtomicU64::new(0);
    let there = copy(&mut client_reads, &mut backend_writes, &moved);
    let back = copy(&mut backend_reads, &mut client_writes, &moved);
    tokio::pin!(there, back);
    let (mut ended_there, mut ended_back) = (false, false);
    while !(ended_there && ended_back) {
        let half = ended_there || ended_back;
        tokio::select! {
            result = &mut there, if !ended_there => {
                result?;
                ended_there = true;
            }
            result = &mut back, if !ended_back => {
                result?;
                ended_back = true;
            }
            () = silent(&moved, if half { silence.half } else { silence.open }) => return Ok(()),
        }
    }
    Ok(())
}

/// Returns when nothing has moved for so long.
pub(super) async fn silent(moved: &AtomicU64, span: Duration) {
    loop {
        let before = moved.load(Ordering::Relaxed);
        tokio::time::sleep(span).await;
        if moved.load(Ordering::Relaxed) == before {
            return;
        }
    }
}

async fn copy<R, W>(from: &mut R, to: &mut W, moved: &AtomicU64) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        moved.fetch_add(1, Ordering::Relaxed);
        to.write_all(&buffer[..read]).await?;
        to.flush().await?;
        moved.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(stream: &mut (impl AsyncRead + Unpin)) -> String {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.expect("read");
        String::from_utf8(bytes).expect("text")
    }

    #[tokio::test(start_paused = true)]
    async fn one_side_may_have_said_all_before_the_other() {
        let (mut client, near) = tokio::io::duplex(64);
        let (mut backend, far) = tokio::io::duplex(64);
        let joined = tokio::spawn(join(near, far, SILENCE));
        client.write_all(b"question").await.expect("sent");
        client.shutdown().await.expect("ended");
        assert_eq!(all(&mut backend).await, "question");
        backend.write_all(b"answer").await.expect("sent");
        drop(backend);
        assert_eq!(all(&mut client).await, "answer");
        joined.await.expect("a task").expect("no error");
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_a_stream_and_more_so_when_one_side_has_ended() {
        for (half, expected) in [(false, SILENCE.open), (true, SILENCE.half)] {
            let (mut client, near) = tokio::io::duplex(64);
            let (_backend, far) = tokio::io::duplex(64);
            if half {
                client.shutdown().await.expect("ended");
            }
            let begun = tokio::time::Instant::now();
            join(near, far, SILENCE).await.expect("no error");
            assert_eq!(begun.elapsed().as_secs(), expected.as_secs(), "{half}");
        }
    }

    /// Nothing is kept open after a failure.
    #[tokio::test(start_paused = true)]
    async fn a_broken_client_takes_the_backend_along() {
        let (client, near) = tokio::io::duplex(64);
        let (mut backend, far) = tokio::io::duplex(64);
        let joined = tokio::spawn(join(near, far, SILENCE));
        drop(client);
        assert_eq!(all(&mut backend).await, "");
        backend.write_all(b"into the void").await.expect("taken");
        assert!(joined.await.expect("a task").is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_holds_the_other_back() {
        let (mut client, near) = tokio::io::duplex(64);
        let (_backend, far) = tokio::io::duplex(64);
        tokio::spawn(join(near, far, SILENCE));
        let flood = async {
            let mut sent = 0;
            while tokio::time::timeout(Duration::from_secs(1), client.write_all(&[0; 64])).await.is_ok() {
                sent += 64;
            }
            sent
        };
        assert!(flood.await <= BUFFER + 256);
    }
}
