//! Sends events to a webhook: batches as `EventList`, each tried again until it arrives or is given up.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::backend::{Deliver, Entry};
use super::event::HEAD;
use super::metrics::Metrics;
use crate::auth::outward::client::Bounds;
use crate::auth::outward::endpoint::{Endpoint, TRIES, Waits};
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;

const PLUGIN: &str = "webhook";
/// What one try may take.
const BOUNDS: Bounds = Bounds { time: Duration::from_secs(30), body: 3 << 20 };
/// Before and after the events of a list.
const OPEN: &[u8] = b"{\"kind\":\"EventList\",\"apiVersion\":\"audit.k8s.io/v1\",\"metadata\":{},\"items\":[";
const CLOSE: &[u8] = b"]}\n";

/// A webhook. Cheap to clone.
#[derive(Clone)]
pub struct Webhook(Arc<Parts>);

struct Parts {
    endpoint: Endpoint,
    /// The wait after the first try.
    wait: Duration,
    metrics: Metrics,
    clock: Clock,
    entropy: Entropy,
    hurry: CancellationToken,
}

impl Webhook {
    /// `kubeconfig` says where it is. Nothing is sent yet.
    pub fn new(
        kubeconfig: &Path,
        wait: Duration,
        metrics: &Metrics,
        clock: &Clock,
        entropy: &Entropy,
    ) -> Result<Self, String> {
        Ok(Self(Arc::new(Parts {
            endpoint: Endpoint::from_kubeconfig(kubeconfig, BOUNDS)?,
            wait,
            metrics: metrics.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            hurry: CancellationToken::new(),
        })))
    }

    async fn send(&self, entries: Vec<Entry>) -> bool {
        let (body, mut waits) = (list(&entries), Waits::from(self.0.wait));
        for attempt in 1.. {
            let why = match self.attempt(body.clone()).await {
                Ok(()) => return true,
                Err(why) => why,
            };
            if attempt == TRIES || self.0.hurry.is_cancelled() {
                self.0.metrics.lost(PLUGIN, &why, entries.iter().map(|entry| &entry.id));
                return false;
            }
            tracing::warn!(why, "audit events are sent again");
            tokio::select! {
                () = self.0.clock.sleep(waits.next(&self.0.entropy)) => {}
                () = self.0.hurry.cancelled() => {}
            }
        }
        unreachable!("the last try returns")
    }

    async fn attempt(&self, body: Bytes) -> Result<(), String> {
        let endpoint = &self.0.endpoint;
        let answer = endpoint.send(endpoint.post(body).await?).await.map_err(|failure| failure.text)?;
        if answer.status.is_success() { Ok(()) } else { Err(format!("the webhook answers {}", answer.status)) }
    }
}

impl Deliver for Webhook {
    fn deliver(&self, entries: Vec<Entry>) -> BoxFuture<'static, bool> {
        let webhook = self.clone();
        Box::pin(async move { webhook.send(entries).await })
    }

    fn hurry(&self) {
        self.0.hurry.cancel();
    }
}

fn list(entries: &[Entry]) -> Bytes {
    let length: usize = entries.iter().map(|entry| entry.text.len()).sum();
    let mut body = Vec::with_capacity(OPEN.len() + length + CLOSE.len());
    body.extend_from_slice(OPEN);
    for (at, entry) in entries.iter().enumerate() {
        if at > 0 {
            body.push(b',');
        }
        // In a list an event does not say what it is.
        body.push(b'{');
        body.extend_from_slice(entry.text.strip_prefix(HEAD).unwrap_or(&entry.text));
    }
    body.extend_from_slice(CLOSE);
    body.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::backend::tests::{clock, event};
    use crate::audit::level::{Level, Stage};
    use crate::auth::webhook::testing::Hook;
    use crate::model::value::json;

    const WAIT: Duration = Duration::from_millis(1);

    fn webhook(hook: &Hook, metrics: &Metrics) -> Webhook {
        Webhook::new(hook.kubeconfig(), WAIT, metrics, &Clock::machine(), &Entropy::seeded(1)).expect("a webhook")
    }

    fn entries(count: usize) -> Vec<Entry> {
        let text = event(Level::Metadata).json(Stage::ResponseComplete, clock().now(), false);
        vec![Entry { id: "id".into(), text: text.into() }; count]
    }

    #[tokio::test]
    async fn events_come_in_a_list() {
        let hook = Hook::start(|_| (200, json!({}))).await;
        let metrics = Metrics::new(&clock());
        assert!(webhook(&hook, &metrics).deliver(entries(2)).await);
        let [asked] = &hook.asked()[..] else { panic!("one request: {:?}", hook.asked()) };
        let (head, body) = asked.split_at(asked.find('{').expect("a body"));
        assert_eq!(head, "POST /review?timeout=30s ");
        let list: crate::model::value::Value = body.parse().expect("JSON");
        assert_eq!((list["kind"].as_str(), list["apiVersion"].as_str()), (Some("EventList"), Some("audit.k8s.io/v1")));
        let items = list["items"].as_array().expect("items");
        assert_eq!(items.len(), 2);
        assert_eq!((items[1]["kind"].as_str(), items[1]["requestURI"].as_str()), (None, Some("/version")));
    }

    #[tokio::test]
    async fn what_is_refused_is_sent_again_and_then_lost() {
        let hook = Hook::start(|_| (503, json!({}))).await;
        let metrics = Metrics::new(&clock());
        assert!(!webhook(&hook, &metrics).deliver(entries(3)).await);
        assert_eq!((hook.asked().len(), metrics.errors(PLUGIN)), (TRIES as usize, 3));
        let webhook = webhook(&hook, &metrics);
        webhook.hurry();
        assert!(!webhook.deliver(entries(1)).await);
        assert_eq!(hook.asked().len(), TRIES as usize + 1, "at the end there is one try");
    }
}
