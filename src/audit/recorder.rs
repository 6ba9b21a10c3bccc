//! The policy and the backends together: which requests are recorded, and where their events go.

use std::sync::Arc;

use jiff::Timestamp;

use super::backend::{Backend, Delivery, Telling};
use super::event::Event;
use super::level::{Level, Stage};
use super::metrics::Metrics;
use super::policy::Policy;
use super::record::Record;
use crate::auth::authorizer::Attributes;
use crate::base::clock::Clock;

/// Audit of one server; by default nothing is recorded. Cheap to clone.
#[derive(Clone, Default)]
pub struct Audit(Option<Arc<Parts>>);

struct Parts {
    policy: Policy,
    backends: Vec<Backend>,
    metrics: Metrics,
    clock: Clock,
}

impl Audit {
    pub fn new(policy: Policy, backends: Vec<Backend>, metrics: Metrics, clock: &Clock) -> Self {
        Self(Some(Arc::new(Parts { policy, backends, metrics, clock: clock.clone() })))
    }

    /// `None` where nothing is recorded at all.
    pub fn metrics(&self) -> Option<&Metrics> {
        self.0.as_ref().map(|parts| &parts.metrics)
    }

    /// The record of a request, if it is recorded. `request` has the user who really asks.
    pub fn begin(&self, request: &Attributes<'_>, id: &str, received: Timestamp) -> Option<Box<Record>> {
        let parts = self.0.as_ref()?;
        let decision = parts.policy.decide(request);
        parts.metrics.level(decision.level);
        if decision.level == Level::None {
            return None;
        }
        let event = Event::new(decision.level, request, id, received);
        Some(Box::new(Record::new(self.clone(), decision, event)))
    }

    pub(super) fn tell(&self, event: &Event, stage: Stage, at: Timestamp) -> Vec<Delivery> {
        let Some(parts) = &self.0 else { return Vec::new() };
        parts.metrics.event();
        let telling = Telling::new(event, stage, at);
        parts.backends.iter().filter_map(|backend| backend.take(&telling)).collect()
    }

    pub(super) fn refused(&self) {
        if let Some(parts) = &self.0 {
            parts.metrics.rejected();
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.0.as_ref().map_or(Timestamp::UNIX_EPOCH, |parts| parts.clock.now())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::BoxFuture;

    use super::*;
    use crate::audit::backend::tests::{Kept, clock};
    use crate::audit::backend::{Deliver, Entry, Format, Mode};
    use crate::audit::event::Answer;
    use crate::audit::load::parse;
    use crate::audit::spent::Layer;
    use crate::auth::identity::User;
    use crate::model::value::Value;

    const POLICY: &str = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- {level: None, nonResourceURLs: \
        [/healthz]}\n- {level: Metadata, nonResourceURLs: [/version], omitStages: [RequestReceived]}\n- {level: Metadata}\n";

    fn audit(mode: impl FnOnce(Arc<Kept>) -> Mode) -> (Audit, Arc<Kept>) {
        let (kept, clock) = (Arc::new(Kept::default()), clock());
        let metrics = Metrics::new(&clock);
        let backend =
            Backend { mode: mode(kept.clone()), format: Format::Json, longest: None, metrics: metrics.clone() };
        (Audit::new(parse(POLICY.as_bytes()).expect("a policy"), vec![backend], metrics, &clock), kept)
    }

    fn begin(audit: &Audit, path: &str) -> Option<Box<Record>> {
        let user = User::new("jane", &[]);
        audit.begin(&Attributes::path(&user, "get", path), "id", clock().now())
    }

    /// `stage code message` of every event.
    fn told(kept: &Kept) -> Vec<String> {
        let told = |text: &String| {
            let event: Value = text.parse().expect("JSON");
            let answer = &event["responseStatus"];
            let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
            let code = answer["code"].as_i64().map_or("-".into(), |code| code.to_string());
            format!("{} {code} {}", text(&event["stage"]), text(&answer["message"]))
        };
        kept.texts().concat().iter().map(told).collect()
    }

    #[tokio::test]
    async fn a_request_is_told_of_as_its_rule_says() {
        let (audit, kept) = audit(|kept| Mode::Blocking(kept));
        assert!(begin(&audit, "/healthz").is_none());
        for path in ["/version", "/api"] {
            let mut record = begin(&audit, path).expect("recorded");
            assert!(record.received(false).await);
            record.answered(Answer::new(200)).await;
            record.complete().await;
        }
        assert_eq!(told(&kept), ["ResponseComplete 200 -", "RequestReceived - -", "ResponseComplete 200 -"]);
    }

    #[tokio::test]
    async fn what_lasts_is_told_of_when_it_begins() {
        let (audit, kept) = audit(|kept| Mode::Blocking(kept));
        let mut record = begin(&audit, "/version").expect("recorded");
        record.received(true).await;
        record.answered(Answer::new(200)).await;
        record.complete().await;
        assert_eq!(told(&kept), ["ResponseStarted 200 -", "ResponseComplete 200 -"]);
    }

    #[tokio::test]
    async fn every_end_is_told_of() {
        let (audit, kept) = audit(|kept| Mode::Blocking(kept));
        let mut record = begin(&audit, "/version").expect("recorded");
        record.received(false).await;
        drop(record);
        let mut record = begin(&audit, "/version").expect("recorded");
        record.received(true).await;
        drop(record);
        begin(&audit, "/version").expect("recorded").panicked("boom").await;
        begin(&audit, "/version").expect("recorded").unauthenticated(Answer::new(401)).await;
        let early = "200 Connection closed early";
        let expected = [
            format!("ResponseComplete {early}"),
            format!("ResponseStarted {early}"),
            format!("ResponseComplete {early}"),
            "Panic 500 APIServer panic'd: boom".to_owned(),
            "ResponseStarted 401 -".to_owned(),
        ];
        assert_eq!(told(&kept), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn of_what_is_slow_it_is_told_where_the_time_went() {
        let (audit, kept) = audit(|kept| Mode::Blocking(kept));
        let user = User::new("jane", &[]);
        for (millis, shown) in [(500, false), (1750, true)] {
            let came = clock().now() - jiff::SignedDuration::from_millis(millis);
            let mut record = audit.begin(&Attributes::path(&user, "get", "/version"), "id", came).expect("recorded");
            record.event.annotations.took(Layer::Queue, std::time::Duration::from_millis(1200));
            record.answered(Answer::new(200)).await;
            record.complete().await;
            let texts = kept.texts().concat();
            let event: Value = texts.last().expect("an event").parse().expect("JSON");
            let annotation =
                |layer: &str| event["annotations"][format!("apiserver.latency.k8s.io/{layer}").as_str()].as_str();
            let expected = if shown { [Some("1.75s"), Some("1.2s"), None] } else { [None; 3] };
            assert_eq!([annotation("total"), annotation("apf-queue-wait"), annotation("authentication")], expected);
        }
        let came = clock().now() - jiff::SignedDuration::from_secs(60);
        let mut watch = audit.begin(&Attributes::path(&user, "watch", "/version"), "id", came).expect("recorded");
        watch.answered(Answer::new(200)).await;
        watch.complete().await;
        assert!(
            !kept.texts().concat().last().expect("an event").contains("latency"),
            "watches are as long as they are"
        );
    }

    /// Nothing arrives.
    struct Lost;

    impl Deliver for Lost {
        fn deliver(&self, _: Vec<Entry>) -> BoxFuture<'static, bool> {
            Box::pin(async { false })
        }
    }

    #[tokio::test]
    async fn only_the_strict_mode_refuses_what_it_cannot_record() {
        let (strict, _) = audit(|_| Mode::BlockingStrict(Arc::new(Lost)));
        assert!(!begin(&strict, "/api").expect("recorded").received(false).await);
        assert!(begin(&strict, "/version").expect("recorded").received(false).await, "its first stage is left out");
        let (lenient, _) = audit(|_| Mode::Blocking(Arc::new(Lost)));
        assert!(begin(&lenient, "/api").expect("recorded").received(false).await);
    }
}
