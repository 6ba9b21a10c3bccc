//! The record of one request under way: events at its stages, the last one whatever becomes of it.

use compact_str::format_compact;
use jiff::{SignedDuration, Timestamp};

use super::backend::Delivery;
use super::event::{Answer, Event};
use super::level::{Level, Stage};
use super::policy::Decision;
use super::recorder::Audit;
use crate::model::duration::Duration as GoDuration;

/// A request that takes longer is slow.
const SLOW: SignedDuration = SignedDuration::from_millis(500);
/// Watches are never called slow.
const WATCH: &str = "watch";

/// Kept while a request is answered. Dropped before its end, it says that the connection was closed.
pub struct Record {
    audit: Audit,
    decision: Decision,
    pub event: Event,
    /// The request watches or streams.
    lasts: bool,
    /// The answer's head was recorded.
    started: bool,
    ended: bool,
}

impl Record {
    pub fn new(audit: Audit, decision: Decision, event: Event) -> Self {
        Self { audit, decision, event, lasts: false, started: false, ended: false }
    }

    pub fn level(&self) -> Level {
        self.decision.level
    }

    pub fn omits_managed_fields(&self) -> bool {
        self.decision.omit_managed_fields
    }

    /// The request has come. False: it must be refused, for it cannot be recorded.
    pub async fn received(&mut self, lasts: bool) -> bool {
        self.lasts = lasts;
        let deliveries = self.tell(Stage::RequestReceived, self.event.received);
        // Order is kept anyway: whoever waits for the last event waits for all.
        for delivery in deliveries.into_iter().filter(|delivery| delivery.strict) {
            if !delivery.arrived.await {
                self.audit.refused();
                self.ended = true;
                return false;
            }
        }
        true
    }

    /// The answer's head is there.
    pub async fn answered(&mut self, answer: Answer) {
        self.event.answer = Some(answer);
        if self.lasts && !self.ended {
            wait(self.start()).await;
        }
    }

    /// The answer is sent.
    pub async fn complete(mut self: Box<Self>) {
        if !self.ended {
            wait(self.end(Stage::ResponseComplete)).await;
        }
    }

    /// Nobody knows who asks, and the answer says so: that is all that is recorded of it.
    pub async fn unauthenticated(mut self: Box<Self>, answer: Answer) {
        self.event.answer = Some(answer);
        self.ended = true;
        wait(self.start()).await;
    }

    /// The handler broke.
    pub async fn panicked(mut self: Box<Self>, why: &str) {
        self.event.answer = Some(Answer::failure(&format!("APIServer panic'd: {why}")));
        wait(self.end(Stage::Panic)).await;
    }

    fn start(&mut self) -> Vec<Delivery> {
        self.started = true;
        self.tell(Stage::ResponseStarted, self.audit.now())
    }

    fn end(&mut self, stage: Stage) -> Vec<Delivery> {
        self.ended = true;
        let now = self.audit.now();
        if stage == Stage::ResponseComplete {
            self.tell_if_slow(now);
        }
        self.tell(stage, now)
    }

    /// Of a slow request it is recorded where the time went.
    fn tell_if_slow(&self, now: Timestamp) {
        let total = now.duration_since(self.event.received);
        if total <= SLOW || self.event.verb == WATCH {
            return;
        }
        let annotate = |layer: &str, nanos: i128| {
            let took = GoDuration(i64::try_from(nanos).unwrap_or(i64::MAX));
            self.event.annotations.add(format_compact!("apiserver.latency.k8s.io/{layer}"), format_compact!("{took}"));
        };
        self.event.annotations.visit_layers(|layer, took| {
            annotate(layer, i128::try_from(took.as_nanos()).unwrap_or(i128::MAX));
        });
        annotate("total", total.as_nanos());
    }

    fn tell(&self, stage: Stage, at: Timestamp) -> Vec<Delivery> {
        if self.decision.omit.contains(stage) { Vec::new() } else { self.audit.tell(&self.event, stage, at) }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        if self.event.answer.is_none() {
            self.event.answer = Some(Answer::success("Connection closed early"));
            if self.lasts && !self.started {
                drop(self.start());
            }
        }
        drop(self.end(Stage::ResponseComplete));
    }
}

async fn wait(deliveries: Vec<Delivery>) {
    for delivery in deliveries {
        delivery.arrived.await;
    }
}
