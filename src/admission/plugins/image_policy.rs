//! ImagePolicyWebhook: a webhook says which images pods may run.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::admission::chain::{Attributes, Plugin};
use crate::admission::pod::{CONTAINERS, EPHEMERAL_CONTAINERS, INIT_CONTAINERS, items, text};
use crate::admission::reads::Reads;
use crate::auth::webhook::review::{Reviewer, TIMEOUT};
use crate::base::clock::Clock;
use crate::model::duration::Duration as GoDuration;
use crate::model::status::{Result, Status};
use crate::model::value::{Map, Value, json};

const REVIEW: (&str, &str, &str) = ("imagepolicy.k8s.io", "v1alpha1", "ImageReview");
/// Annotations of pods that the webhook is told.
const TOLD: &str = ".image-policy.k8s.io/";
/// Before the webhook's own annotations in the request's record.
const NOTED: &str = "imagepolicywebhook.image-policy.k8s.io/";
const FAILED_OPEN: &str = "imagepolicywebhook.image-policy.k8s.io/failed-open";
/// Answers remembered at most.
const ANSWERS: usize = 1024;

pub struct ImagePolicyWebhook {
    reviewer: Reviewer,
    /// How long answers count: those that allow, and those that deny.
    allowed: Duration,
    denied: Duration,
    /// Whether pods are let in when the webhook gives no answer.
    opens: bool,
    clock: Clock,
    answers: Mutex<Answers>,
}

/// Answers by what was asked, and when they end; the first asked first.
#[derive(Default)]
struct Answers {
    by_question: HashMap<String, (Value, Instant)>,
    order: VecDeque<String>,
}

impl ImagePolicyWebhook {
    pub fn new(reads: &Reads) -> std::result::Result<Self, String> {
        let configuration = reads.configurations.get("ImagePolicyWebhook").ok_or("no config specified")?;
        let policy = &configuration["imagePolicy"];
        let (second, milli) = (1_000_000_000, 1_000_000);
        let range = (second, 1800 * second);
        let allowed = span(&policy["allowTTL"], second, range, 300 * second)?;
        let denied = span(&policy["denyTTL"], second, range, 30 * second)?;
        let wait = span(&policy["retryBackoff"], milli, (1, 300 * second), 500 * milli)?;
        let kubeconfig = Path::new(text(policy, "kubeConfigFile"));
        let reviewer = Reviewer::new(kubeconfig, REVIEW, TIMEOUT, &reads.clock, &reads.entropy)?.waiting(wait);
        let opens = policy["defaultAllow"].as_bool().unwrap_or(false);
        Ok(Self { reviewer, allowed, denied, opens, clock: reads.clock.clone(), answers: Mutex::default() })
    }

    /// The `status` of the review; `None` where the webhook gives none and pods are let in then.
    async fn review(&self, a: &Attributes<'_>, spec: Value) -> Result<Option<Value>> {
        let question = spec.to_string();
        if let Some(known) = self.known(&question) {
            return Ok(Some(known));
        }
        let version = self.reviewer.version();
        let review = json!({"kind": REVIEW.2, "apiVersion": version, "metadata": {}, "spec": spec,
            "status": {"allowed": false}});
        match self.reviewer.ask(&review, "").await {
            Ok(status) => {
                self.remember(question, &status);
                Ok(Some(status))
            }
            Err(_) if self.opens => {
                a.annotations.add(FAILED_OPEN, "true");
                Ok(None)
            }
            Err(unanswered) => Err(a.forbid(unanswered.why)),
        }
    }

    fn known(&self, question: &str) -> Option<Value> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let (answer, end) = answers.by_question.get(question)?;
        (*end > self.clock.instant()).then(|| answer.clone())
    }

    fn remember(&self, question: String, answer: &Value) {
        let time = if answer["allowed"] == true { self.allowed } else { self.denied };
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = (answer.clone(), self.clock.instant() + time);
        if answers.by_question.insert(question.clone(), answer).is_none() {
            answers.order.push_back(question);
        }
        while answers.order.len() > ANSWERS {
            if let Some(oldest) = answers.order.pop_front() {
                answers.by_question.remove(&oldest);
            }
        }
    }
}

#[async_trait]
impl Plugin for ImagePolicyWebhook {
    fn name(&self) -> &'static str {
        "ImagePolicyWebhook"
    }

    fn handles(&self, a: &Attributes<'_>) -> bool {
        (a.creates() || a.updates()) && a.is_any("", "pods") && matches!(a.subresource, "" | "ephemeralcontainers")
    }

    async fn validate(&self, a: &mut Attributes<'_>, pod: Option<&Value>) -> Result<()> {
        let Some(pod) = pod else { return Ok(()) };
        let spec = question(pod, a.namespace, a.subresource);
        let Some(status) = self.review(a, spec).await? else { return Ok(()) };
        for (key, value) in status["auditAnnotations"].as_object().into_iter().flatten() {
            a.annotations.add(format!("{NOTED}{key}"), value.as_str().unwrap_or(""));
        }
        if status["allowed"] == true {
            return Ok(());
        }
        Err(denial(a, text(&status, "reason")))
    }
}

fn denial(a: &Attributes<'_>, reason: &str) -> Status {
    match reason {
        "" => a.forbid("one or more images rejected by webhook backend"),
        reason => a.forbid(format!("image policy webhook backend denied one or more images: {reason}")),
    }
}

/// The `spec` of the review.
fn question(pod: &Value, namespace: &str, subresource: &str) -> Value {
    let lists: &[&str] = if subresource.is_empty() { &[CONTAINERS, INIT_CONTAINERS] } else { &[EPHEMERAL_CONTAINERS] };
    let containers = lists.iter().flat_map(|list| items(&pod["spec"], list));
    let containers: Value = containers.map(|container| json!({"image": text(container, "image")})).collect();
    let annotations = pod["metadata"]["annotations"].as_object().into_iter().flatten();
    let told: Map = annotations.filter(|(key, _)| key.contains(TOLD)).map(|(k, v)| (k.as_str(), v.clone())).collect();
    let mut spec = json!({"namespace": namespace});
    if containers.as_array().is_some_and(|containers| !containers.is_empty()) {
        spec["containers"] = containers;
    }
    if !told.is_empty() {
        spec["annotations"] = Value::Object(told);
    }
    spec
}

/// A configured time in units of `scale` nanoseconds: -1 is none, 0 the usual one.
fn span(value: &Value, scale: i64, (least, most): (i64, i64), usual: i64) -> std::result::Result<Duration, String> {
    let nanos = match value.as_i64().unwrap_or(0) {
        -1 => 0,
        0 => usual,
        number => {
            let nanos = number.saturating_mul(scale);
            if nanos < least || nanos > most {
                let [least, most, nanos] = [least, most, nanos].map(GoDuration);
                return Err(format!("valid value is between {least} and {most}, got {nanos}"));
            }
            nanos
        }
    };
    Ok(Duration::from_nanos(nanos.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_asked_about_by_its_images() {
        let pod = json!({
            "metadata": {"annotations": {"my.image-policy.k8s.io/break-glass": "1", "other": "2"}},
            "spec": {"containers": [{"image": "a"}], "initContainers": [{"image": "b"}],
                "ephemeralContainers": [{"image": "c"}]},
        });
        let annotations = json!({"my.image-policy.k8s.io/break-glass": "1"});
        let expected =
            json!({"containers": [{"image": "a"}, {"image": "b"}], "namespace": "n", "annotations": annotations});
        assert_eq!(question(&pod, "n", ""), expected);
        assert_eq!(question(&pod, "n", "ephemeralcontainers")["containers"], json!([{"image": "c"}]));
    }

    #[test]
    fn times_are_within_bounds() {
        let span = |value: i64| span(&json!(value), 1_000_000_000, (1_000_000_000, 1_800_000_000_000), 30_000_000_000);
        assert_eq!([span(-1), span(0), span(7)].map(|span| span.map(|span| span.as_secs())), [Ok(0), Ok(30), Ok(7)]);
        assert_eq!(span(3600), Err("valid value is between 1s and 30m0s, got 1h0m0s".into()));
    }
}
