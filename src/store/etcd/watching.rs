//! One watch of all keys. It asks etcd for progress when somebody was told of a revision that it has not reached.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tonic::{Status, Streaming};

use super::failure::Failure;
use super::members::{Members, Repeat};
use super::wire::{
    self, WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse, watch_request::RequestUnion,
};
use super::{CALL, MARKER};
use crate::base::clock::Clock;
use crate::model::revision::Revision;
use crate::store::contract::{Changed, Commit, Expect, StoreError, WatchItem};
use crate::store::keys::{ROOT, Relocation, end_of};

/// Items of the watch that wait to be taken.
const AHEAD: usize = 64;
/// Requests on the stream that wait to be sent.
const REQUESTS: usize = 4;
/// A watch that hears nothing asks for progress again after so long: etcd does not answer one that has not caught up.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// A marker is a write, so the changes that are on their way get so long to come first.
const MARK_AFTER: Duration = Duration::from_millis(20);
/// The first versions of etcd whose answer to a request for progress never overtakes the changes before it; for
/// Kubernetes they are the first, too.
const TRUSTED: [(u64, u64, u64); 2] = [(3, 4, 31), (3, 5, 13)];

/// What a watch needs.
pub struct Watching {
    pub members: Members,
    pub keys: Relocation,
    /// The newest revision that somebody was told of.
    pub told: watch::Receiver<Revision>,
    pub clock: Clock,
}

/// Where a watch asks, and what it hears.
type Stream = (mpsc::Sender<WatchRequest>, Streaming<WatchResponse>);

/// A watch that runs.
struct Running {
    watching: Watching,
    requests: mpsc::Sender<WatchRequest>,
    answers: Streaming<WatchResponse>,
    items: mpsc::Sender<WatchItem>,
    /// Whether etcd's answers to requests for progress are true; without it a marker is written instead.
    trusted: bool,
    marking: Option<JoinHandle<()>>,
    /// Everything up to here was passed on, and everything up to there was read.
    seen: Revision,
    read: Revision,
    /// Changes of a revision that may not be complete: etcd sends large answers in parts.
    held: Vec<Changed>,
}

impl Watching {
    /// Opens the watch; it is open when this returns.
    pub async fn start(self, from: Revision) -> Result<mpsc::Receiver<WatchItem>, StoreError> {
        let trusted = self.members.status().await.is_ok_and(|status| is_trusted(&status.version));
        let root = self.keys.outside(ROOT);
        let create = WatchCreateRequest {
            range_end: end_of(&root),
            key: root,
            start_revision: from.next().0.cast_signed(),
            progress_notify: true,
            fragment: true,
        };
        let (requests, mut answers) = self.open(create).await?;
        let first = tokio::time::timeout(CALL, answers.message()).await;
        let first = first.map_err(|_| StoreError::Unavailable(format!("etcd opens no watch within {CALL:?}")))?;
        let (items, receiver) = mpsc::channel(AHEAD);
        let mut running = Running {
            watching: self,
            requests,
            answers,
            items,
            trusted,
            marking: None,
            seen: from,
            read: from,
            held: Vec::new(),
        };
        if let Err(last) = running.take(first).await {
            let _ = running.items.send(last).await;
            return Ok(receiver);
        }
        tokio::spawn(async move {
            if let Some(last) = running.run().await {
                let _ = running.items.send(last).await;
            }
        });
        Ok(receiver)
    }

    async fn open(&self, create: WatchCreateRequest) -> Result<Stream, StoreError> {
        let call = self.members.call(Repeat::Freely, CALL, |channel| {
            let (requests, mut queued) = mpsc::channel(REQUESTS);
            let create = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create.clone())) };
            requests.try_send(create).expect("an empty channel has room");
            let queued = futures_util::stream::poll_fn(move |cx| queued.poll_recv(cx));
            async move {
                let opened = wire::watch(channel).watch(wire::stream(queued)).await?;
                Ok(opened.map(|answers| (requests, answers)))
            }
        });
        Ok(call.await?)
    }
}

impl Running {
    /// Passes on what etcd says until the watch ends: with the last item, or `None` if nobody listens or the store is gone.
    async fn run(&mut self) -> Option<WatchItem> {
        let clock = self.watching.clock.clone();
        let mut ask_at = None;
        loop {
            let behind = *self.watching.told.borrow_and_update() > self.seen;
            ask_at = match ask_at {
                _ if !behind => None,
                None if self.trusted => Some(clock.instant()),
                None => Some(clock.instant() + MARK_AFTER),
                asking => asking,
            };
            let time_to_ask = async {
                match ask_at {
                    Some(at) => clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                answer = self.answers.message() => {
                    if let Err(last) = self.take(answer).await {
                        return Some(last);
                    }
                }
                () = self.items.closed() => return None,
                told = self.watching.told.changed() => told.ok()?,
                () = time_to_ask => {
                    self.ask();
                    ask_at = Some(clock.instant() + ASK_AGAIN);
                }
            }
        }
    }

    /// Passes on one answer; the error is the watch's last item.
    async fn take(&mut self, answer: Result<Option<WatchResponse>, Status>) -> Result<(), WatchItem> {
        let broken = |why: String| Err(WatchItem::Broken(why));
        let answer = match answer {
            Ok(Some(answer)) => answer,
            Ok(None) => return broken("etcd ended the watch".to_owned()),
            Err(status) => return broken(StoreError::from(Failure::new(&status)).to_string()),
        };
        if answer.compact_revision > 0 {
            return Err(WatchItem::Compacted(Revision(answer.compact_revision.cast_unsigned())));
        }
        if answer.canceled {
            return broken(format!("etcd ended the watch: {}", answer.cancel_reason));
        }
        if answer.created {
            return Ok(());
        }
        if answer.events.is_empty() {
            self.reach(wire::revision(answer.header.as_ref())).await;
            return Ok(());
        }
        for event in answer.events {
            let revision = event.kv.as_ref().map_or(0, |found| found.mod_revision);
            self.read = self.read.max(Revision(revision.cast_unsigned()));
            match wire::change(event, &self.watching.keys) {
                Ok(Some(change)) if change.key != MARKER => self.held.push(change),
                Ok(_) => {}
                Err(error) => return broken(error.to_string()),
            }
        }
        if answer.fragment {
            self.pass_on(Revision(self.read.0 - 1)).await
        } else {
            self.pass_on(self.read).await
        }
        Ok(())
    }

    /// Passes on the changes up to `revision`, which are complete. That nobody may listen any more is seen elsewhere.
    async fn pass_on(&mut self, revision: Revision) {
        let rest = self.held.split_off(self.held.partition_point(|change| change.revision <= revision));
        let changes = std::mem::replace(&mut self.held, rest);
        if let Some(last) = changes.last() {
            self.seen = last.revision;
            let _ = self.items.send(WatchItem::Changes(changes)).await;
        }
        self.reach(revision).await;
    }

    async fn reach(&mut self, revision: Revision) {
        if revision > self.seen {
            self.seen = revision;
            let _ = self.items.send(WatchItem::Progress(revision)).await;
        }
    }

    /// Has etcd say how far the watch is: an answer follows when it has caught up.
    fn ask(&mut self) {
        if self.trusted {
            let ask = RequestUnion::ProgressRequest(WatchProgressRequest {});
            // With no room, enough are on their way; with no reader, the stream is about to end.
            let _ = self.requests.try_send(WatchRequest { request_union: Some(ask) });
        } else if self.marking.as_ref().is_none_or(JoinHandle::is_finished) {
            let members = self.watching.members.clone();
            let commit = Commit::put(MARKER, Expect::Any, "");
            let mark = wire::transaction(self.watching.keys.outside(MARKER), &commit, wire::NO_LEASE);
            self.marking = Some(tokio::spawn(async move {
                if let Err(failure) = members.transact(mark).await {
                    tracing::warn!(error = %StoreError::from(failure), "etcd takes no marker");
                }
            }));
        }
    }
}

fn is_trusted(version: &str) -> bool {
    let mut numbers = version.split(['.', '-', '+']).map_while(|part| part.parse::<u64>().ok());
    let (Some(major), Some(minor), Some(patch)) = (numbers.next(), numbers.next(), numbers.next()) else {
        return false;
    };
    match TRUSTED.iter().find(|first| (first.0, first.1) == (major, minor)) {
        Some(first) => patch >= first.2,
        None => (major, minor) > (TRUSTED[1].0, TRUSTED[1].1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_etcds_are_not_asked_for_progress() {
        let trusted = ["3.4.31", "3.4.40", "3.5.13", "3.6.0", "3.6.0-rc.1", "3.10.2", "4.0.0"];
        let not = ["3.4.23", "3.4.30", "3.5.0", "3.5.12", "3.3.99", "2.3.8", "", "3.6", "unknown"];
        assert!(trusted.iter().all(|version| is_trusted(version)));
        assert!(not.iter().all(|version| !is_trusted(version)));
    }
}
