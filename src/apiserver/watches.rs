//! Watches on the wire: events rendered once for all who see them in one form, bookmarks, an end in time.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;
use http::Response;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::exchange::{Exchange, respond};
use super::objects::{is_shared, offer, served, subject};
use super::options;
use super::respond::Body;
use super::seats::Held;
use crate::cache::event::{Kind, Slot};
use crate::cache::watcher::{Next, Seen};
use crate::codec::answer::subject::{Style, Subject};
use crate::codec::answer::watch::bookmark;
use crate::codec::answer::watch::{self, Event};
use crate::codec::negotiate::Media;
use crate::codec::negotiate::accept::{MetaVersion, Offer, Shown};
use crate::fairness::gate::Seat;
use crate::model::revision::Revision;
use crate::model::status::{Result, Status};
use crate::registry::custom::objects as custom;
use crate::registry::request::Address;
use crate::registry::watch::Watch;
use crate::schema::resource::Resource;
use std::sync::Arc;

/// How often a watch that asked for bookmarks hears of progress.
const BOOKMARKS: Duration = Duration::from_secs(60);
/// Events that are sent in one piece, and its bytes: a DATA frame that every client takes. A larger piece would be cut
/// again, and be copied into memory that is new to the process.
const BATCH: usize = 64;
const PIECE: usize = 16 << 10;

/// Where in a rendering's number the definition's state begins, after its form.
const STATE_SHIFT: u32 = 8;

/// What a watch's stream works on.
struct Stage {
    watch: Watch,
    resource: Arc<Resource>,
    subject: Subject,
    style: Style,
    /// Where renderings are shared, if they are.
    shares: bool,
    bookmarks: bool,
    /// The next table says what its columns are.
    columns: bool,
    deadline: Instant,
    next_bookmark: Instant,
    draining: CancellationToken,
    queue: VecDeque<Bytes>,
    over: bool,
    /// Its seat until the first state is sent, and that it counts among the watches.
    held: Held,
}

impl Exchange<'_> {
    pub async fn watch(&mut self, at: &Address, draining: CancellationToken) -> Result<Response<Body>> {
        let style = self.style(Offer { watch: true, ..offer(&at.resource) })?;
        let kind = Offer::default().watch(style.representation)?;
        let options = options::list(&self.query)?;
        let mut options = self.narrow(options, at)?;
        options.watch = true;
        let registry = self.server.registry.clone();
        let lifetime = self.lifetime(options.timeout_seconds);
        let mut collection = at.clone();
        collection.name = Default::default();
        let watch = match registry.watch(&collection, &options).await {
            Ok(watch) => watch,
            Err(status) if status.code == 410 => {
                let bytes = watch::error(&status, style.representation.media).map_err(Status::internal)?;
                return Ok(respond(200, kind, bytes));
            }
            Err(status) => return Err(status),
        };
        let now = registry.clock.instant();
        let subject = subject(&at.resource);
        let converts = at.resource.converts();
        let mut stage = Stage {
            watch,
            resource: at.resource.clone(),
            shares: is_shared(style) && !converts,
            subject,
            style,
            bookmarks: options.bookmarks,
            columns: true,
            deadline: now + lifetime,
            next_bookmark: now + BOOKMARKS,
            draining,
            queue: VecDeque::new(),
            over: false,
            held: std::mem::take(&mut self.held),
        };
        stage.settle();
        Ok(respond(200, kind, Body::Stream(Box::pin(stream(stage)))))
    }

    /// How long a watch lives: as it asks, or by chance between the least and twice the least.
    fn lifetime(&self, asked: Option<i64>) -> Duration {
        let least = self.server.limits.watch;
        match asked {
            Some(seconds) if seconds > 0 => Duration::from_secs(seconds as u64),
            _ => least + Duration::from_millis(self.server.registry.entropy.below((least.as_millis() as u64).max(1))),
        }
    }
}

fn stream(stage: Stage) -> impl Stream<Item = Bytes> {
    unfold(stage, |mut stage| async move {
        loop {
            if let Some(bytes) = stage.queue.pop_front() {
                return Some((stage.gather(bytes), stage));
            }
            if stage.over {
                return None;
            }
            stage.step().await;
        }
    })
}

impl Stage {
    /// Puts what is ready already into one piece. What fills a piece by itself is not copied.
    fn gather(&mut self, first: Bytes) -> Bytes {
        let mut all = Vec::new();
        for _ in 1..BATCH {
            if self.queue.is_empty() && !self.over {
                let Some(next) = self.watch.watcher.try_next() else { break };
                self.take(next);
            }
            let Some(next) = self.queue.front() else { continue };
            let length = if all.is_empty() { first.len() } else { all.len() };
            if length + next.len() > PIECE {
                break;
            }
            if all.is_empty() {
                all.extend_from_slice(&first);
            }
            all.extend_from_slice(next);
            self.queue.pop_front();
        }
        if all.is_empty() { first } else { all.into() }
    }

    async fn step(&mut self) {
        let until = if self.bookmarks { self.deadline.min(self.next_bookmark) } else { self.deadline };
        let draining = self.draining.clone();
        tokio::select! {
            next = self.watch.watcher.next_or_deadline(until) => match next {
                Some(next) => self.take(next),
                None if until == self.deadline => self.over = true,
                None => {
                    self.next_bookmark += BOOKMARKS;
                    let progress = self.watch.watcher.progress();
                    self.mark(progress, false);
                }
            },
            () = draining.cancelled() => self.over = true,
        }
    }

    /// Who has the first state needs no seat.
    fn settle(&mut self) {
        if !self.watch.watcher.is_beginning() {
            self.held.seat = Seat::default();
        }
    }

    fn take(&mut self, next: Next) {
        if let Next::Synced(_) | Next::Ended(_) = next {
            self.settle();
        }
        match next {
            Next::Initial(object) => {
                let event = served(&self.resource, object).and_then(|item| {
                    self.subject.event(Event::Added, &item, self.style, self.columns).map_err(Status::internal)
                });
                self.push(event);
            }
            Next::Synced(revision) if self.watch.marks_initial => self.mark(revision, true),
            Next::Synced(_) => {}
            Next::Event(seen) => {
                let event = self.render(&seen);
                self.push(event);
            }
            Next::Ended(_) => {
                let status = Status::expired("The resourceVersion for the provided watch is too old.");
                self.push(watch::error(&status, self.style.representation.media).map_err(Status::internal));
                self.over = true;
            }
        }
    }

    fn push(&mut self, event: Result<Bytes>) {
        match event {
            Ok(bytes) => self.queue.push_back(bytes),
            Err(error) => {
                tracing::warn!(%error, "a watch ends");
                self.over = true;
            }
        }
        self.columns = false;
    }

    fn mark(&mut self, revision: Revision, initial: bool) {
        let event = bookmark(&self.subject, &revision.to_string(), initial)
            .and_then(|bytes| self.subject.event(Event::Bookmark, &bytes, self.style, self.columns));
        self.push(event.map_err(Status::internal));
    }

    fn render(&self, seen: &Seen) -> Result<Bytes> {
        let kind = match seen.kind {
            Kind::Added => Event::Added,
            Kind::Modified => Event::Modified,
            Kind::Deleted => Event::Deleted,
        };
        let object = seen.object();
        let make = || {
            let item = served(&self.resource, object.clone())?;
            self.subject.event(kind, &item, self.style, self.columns).map_err(Status::internal)
        };
        if !self.shares {
            return make();
        }
        seen.event.rendered(self.slot(kind), make)
    }

    /// The rendering of events in this form, as this kind of event. What a definition makes of custom resources is
    /// another in each of its states.
    fn slot(&self, kind: Event) -> Slot {
        let representation = self.style.representation;
        let media = match representation.media {
            Media::Json => 0,
            Media::Protobuf => 1,
            Media::Cbor => 2,
            Media::Yaml => 3,
        };
        let view = match representation.view {
            Shown::Metadata(MetaVersion::V1) => 1,
            Shown::Metadata(MetaVersion::V1beta1) => 2,
            _ => 0,
        };
        let form = media | view << 2 | u32::from(representation.pretty) << 4 | (kind as u32) << 5;
        let state = custom::definition(&self.resource).map_or(0, |definition| definition.mark);
        Slot(form | state << STATE_SHIFT)
    }
}
