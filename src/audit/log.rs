//! Writes events into the log, on a thread of its own: a disk that stands still holds up nobody for long.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use super::backend::{Deliver, Entry};
use super::file::Tail;
use super::metrics::Metrics;

const PLUGIN: &str = "log";
/// Events that wait to be written at most, and their bytes.
const WAITING: usize = 10_000;
const WAITING_BYTES: usize = 64 << 20;
/// How long a request waits for its event. It is written all the same.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes that are written at once, unless one event has more.
const PIECE: usize = 64 << 10;

/// The log. Cheap to clone.
#[derive(Clone)]
pub struct Log(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
    metrics: Metrics,
}

#[derive(Default)]
struct Queue {
    /// Those that the thread has not taken.
    lines: Vec<Line>,
    /// Those that are not written, and their bytes.
    waiting: usize,
    bytes: usize,
    /// The server ends.
    closed: bool,
}

struct Line {
    entry: Entry,
    written: oneshot::Sender<bool>,
}

impl Log {
    /// Starts the thread. It ends after [`Self::close`], when all is written, and says so.
    pub fn start(tail: Tail, metrics: &Metrics) -> std::io::Result<(Self, oneshot::Receiver<()>)> {
        let shared = Shared { queue: Mutex::default(), filled: Condvar::new(), metrics: metrics.clone() };
        let log = Self(Arc::new(shared));
        let writer = Writer { log: log.clone(), tail, piece: Vec::new() };
        let (ending, ended) = oneshot::channel();
        let run = move || {
            writer.run();
            // Nobody may wait for it.
            let _ = ending.send(());
        };
        std::thread::Builder::new().name("audit-log".to_owned()).spawn(run)?;
        Ok((log, ended))
    }

    /// What is there is written yet; what comes after this is lost.
    pub fn close(&self) {
        self.lock().closed = true;
        self.0.filled.notify_one();
    }

    /// What is not written by now is lost: the file does not take it.
    pub fn give_up(&self) {
        let lines = std::mem::take(&mut self.lock().lines);
        self.0.metrics.lost(PLUGIN, &"the log does not take them", lines.iter().map(|line| &line.entry.id));
    }

    fn push(&self, entry: Entry) -> Option<oneshot::Receiver<bool>> {
        let mut queue = self.lock();
        let length = entry.text.len() + 1;
        let why = if queue.closed {
            "audit backend shut down"
        } else if queue.waiting >= WAITING || queue.bytes + length > WAITING_BYTES {
            "the log is not written as fast as events come"
        } else {
            let (written, receiver) = oneshot::channel();
            queue.bytes += length;
            queue.waiting += 1;
            queue.lines.push(Line { entry, written });
            // The thread sleeps only when there is nothing to do.
            if queue.lines.len() == 1 {
                self.0.filled.notify_one();
            }
            return Some(receiver);
        };
        drop(queue);
        self.0.metrics.lost(PLUGIN, &why, [entry.id]);
        None
    }

    /// The lines that wait, all at once; empty: it is over.
    fn take(&self) -> Vec<Line> {
        let mut queue = self.lock();
        while queue.lines.is_empty() && !queue.closed {
            queue = self.0.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::take(&mut queue.lines)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deliver for Log {
    fn deliver(&self, entries: Vec<Entry>) -> BoxFuture<'static, bool> {
        let written: Vec<_> = entries.into_iter().map(|entry| self.push(entry)).collect();
        Box::pin(async move {
            let mut all = true;
            for written in written {
                all &= match written {
                    Some(written) => tokio::time::timeout(PATIENCE, written).await.is_ok_and(|said| said == Ok(true)),
                    None => false,
                };
            }
            all
        })
    }
}

/// The thread's.
struct Writer {
    log: Log,
    tail: Tail,
    piece: Vec<u8>,
}

impl Writer {
    fn run(mut self) {
        loop {
            let mut lines = self.log.take();
            if lines.is_empty() {
                return;
            }
            while !lines.is_empty() {
                let rest = self.write(&mut lines);
                lines = rest;
            }
        }
    }

    /// Writes as many lines as go into one piece; gives the others.
    fn write(&mut self, lines: &mut Vec<Line>) -> Vec<Line> {
        let first = lines[0].entry.text.len() + 1;
        let prepared = self.tail.prepare(first);
        let room = *prepared.as_ref().unwrap_or(&0);
        self.piece.clear();
        let mut count = 0;
        for line in lines.iter() {
            let length = self.piece.len() + line.entry.text.len() + 1;
            if count > 0 && (length > PIECE || length as u64 > room) {
                break;
            }
            self.piece.extend_from_slice(&line.entry.text);
            self.piece.push(b'\n');
            count += 1;
        }
        let rest = lines.split_off(count);
        let (written, result) = match prepared {
            Ok(_) => self.tail.append(&self.piece),
            Err(error) => (0, Err(error)),
        };
        let mut queue = self.log.lock();
        (queue.bytes, queue.waiting) = (queue.bytes - self.piece.len(), queue.waiting - count);
        drop(queue);
        self.tell(lines, written, result);
        if self.piece.capacity() > 4 * PIECE {
            self.piece = Vec::new();
        }
        rest
    }

    /// Says of each line whether it is in the log.
    fn tell(&self, lines: &mut Vec<Line>, written: usize, result: std::io::Result<()>) {
        let (mut end, mut lost) = (0, Vec::new());
        for line in lines.drain(..) {
            end += line.entry.text.len() + 1;
            let is_written = end <= written;
            // Nobody may wait for it any more.
            let _ = line.written.send(is_written);
            if !is_written {
                lost.push(line.entry.id);
            }
        }
        if let Err(error) = result {
            self.log.0.metrics.lost(PLUGIN, &error, lost);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::backend::tests::clock;
    use crate::audit::file::Options;

    fn options(path: &str) -> Options {
        Options { path: path.into(), longest: 1000, days: 0, backups: 0, compress: false }
    }

    fn entry(text: &str) -> Entry {
        Entry { id: "id".into(), text: text.to_owned().into() }
    }

    #[tokio::test]
    async fn lines_are_there_when_it_says_so() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.log");
        let metrics = Metrics::new(&clock());
        let tail = Tail::create(options(path.to_str().expect("text")), &clock()).expect("a file");
        let (log, ended) = Log::start(tail, &metrics).expect("a thread");
        assert!(log.deliver(vec![entry("a"), entry("b")]).await);
        assert_eq!(std::fs::read_to_string(&path).expect("a log"), "a\nb\n");
        let unwaited = log.deliver(vec![entry("c")]);
        log.close();
        ended.await.expect("it ends");
        assert!(unwaited.await);
        assert_eq!(std::fs::read_to_string(&path).expect("a log"), "a\nb\nc\n");
        assert!(!log.deliver(vec![entry("late")]).await);
        assert_eq!(metrics.errors(PLUGIN), 1);
    }

    #[tokio::test]
    async fn a_full_disk_is_an_error_and_no_wait() {
        let metrics = Metrics::new(&clock());
        let tail = Tail::create(Options { longest: 0, ..options("/dev/full") }, &clock()).expect("a device");
        let (log, ended) = Log::start(tail, &metrics).expect("a thread");
        assert!(!log.deliver(vec![entry("a"), entry("b")]).await);
        log.close();
        ended.await.expect("it ends");
        assert_eq!(metrics.errors(PLUGIN), 2);
    }

    #[tokio::test]
    async fn a_line_too_long_for_any_file_leaves_the_others_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.log");
        let metrics = Metrics::new(&clock());
        let tail = Tail::create(options(path.to_str().expect("text")), &clock()).expect("a file");
        let (log, ended) = Log::start(tail, &metrics).expect("a thread");
        let long = "x".repeat(1000);
        assert!(!log.deliver(vec![entry("a"), entry(&long), entry("b")]).await);
        log.close();
        ended.await.expect("it ends");
        assert_eq!(std::fs::read_to_string(&path).expect("a log"), "a\nb\n");
        assert_eq!(metrics.errors(PLUGIN), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_log_that_nobody_reads_holds_up_requests_for_a_while_only_and_stays_bounded() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo");
        assert!(made.success());
        // Somebody has it open, and does not read.
        let reader = std::fs::OpenOptions::new().read(true).write(true).open(&path).expect("a pipe");
        let metrics = Metrics::new(&clock());
        let tail = Tail::create(options(path.to_str().expect("text")), &clock()).expect("a pipe");
        let (log, ended) = Log::start(tail, &metrics).expect("a thread");
        let line = "x".repeat(900);
        let mut waits: Vec<_> = (0..2 * WAITING).map(|_| log.deliver(vec![entry(&line)])).collect();
        assert!(!waits.remove(WAITING - 1).await);
        assert!(metrics.errors(PLUGIN) > 0, "what has no room is counted");
        assert!(log.lock().bytes <= WAITING_BYTES && log.lock().waiting <= WAITING);
        let before = metrics.errors(PLUGIN);
        log.close();
        log.give_up();
        assert!(metrics.errors(PLUGIN) > before, "what is left at the end is counted, too");
        drop((reader, ended));
    }
}
