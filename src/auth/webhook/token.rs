//! Who is it: a TokenReview for tokens that nobody here accepts.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use compact_str::CompactString;
use tokio::sync::OnceCell;

use super::answers::Answers;
use super::review::{Reviewer, TIMEOUT, hide};
use crate::auth::authenticator::RemoteTokens;
use crate::auth::identity::{Extra, Identity, User};
use crate::auth::metrics::Metrics;
use crate::auth::token::lookups::Lookups;
use crate::auth::token::remembered::{Digest, digest_of_bytes};
use crate::auth::token::verify::{Accepted, intersect};
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::model::value::{Value, json};

/// Asks a webhook, and remembers its answers for a while; one question at a time about one token.
pub struct TokenWebhook {
    reviewer: Reviewer,
    /// How long an answer counts; errors are not remembered.
    ttl: Duration,
    answers: Answers<Option<Accepted>>,
    asking: Mutex<HashMap<Digest, Question>>,
    lookups: Lookups,
}

/// What is being asked, and how many wait for the answer.
#[derive(Default)]
struct Question {
    outcome: Arc<OnceCell<Outcome>>,
    waiting: usize,
}

/// One who waits. When nobody does any more, nothing is left of the question.
struct Waiting<'a> {
    webhook: &'a TokenWebhook,
    digest: Digest,
    outcome: Arc<OnceCell<Outcome>>,
}

type Outcome = Result<Option<Accepted>, String>;

impl TokenWebhook {
    /// `version`: `v1` or `v1beta1`, of the reviews; `ttl`: how long an answer counts.
    pub fn new(
        kubeconfig: &Path,
        version: &str,
        ttl: Duration,
        (clock, entropy, metrics): (&Clock, &Entropy, &Metrics),
    ) -> Result<Self, String> {
        if !matches!(version, "v1" | "v1beta1") {
            return Err(format!(
                "unsupported authentication webhook version {version:?}, supported versions are \"v1\", \"v1beta1\""
            ));
        }
        let kind = ("authentication.k8s.io", version, "TokenReview");
        let reviewer = Reviewer::new(kubeconfig, kind, TIMEOUT, clock, entropy)?;
        let (answers, lookups) = (Answers::new(clock), metrics.lookups(clock));
        Ok(Self { reviewer, ttl, answers, asking: Mutex::default(), lookups })
    }

    async fn ask(&self, token: &str, wanted: &[CompactString], own: &Arc<[CompactString]>) -> Outcome {
        let mut spec = json!({ "token": token });
        if !wanted.is_empty() {
            spec["audiences"] = wanted.iter().map(CompactString::as_str).collect();
        }
        let review = json!({
            "kind": "TokenReview", "apiVersion": self.reviewer.version(), "metadata": {}, "spec": spec,
            "status": {"user": {}}
        });
        let status = self.reviewer.ask(&review, token).await.map_err(|unanswered| unanswered.why)?;
        let audiences: Arc<[CompactString]> = match texts(&status["audiences"]) {
            _ if wanted.is_empty() => Arc::default(),
            told if told.is_empty() => intersect(wanted, own),
            told => intersect(wanted, &told),
        };
        if audiences.is_empty() && !wanted.is_empty() {
            return Ok(None);
        }
        if status["authenticated"] != true {
            let why = status["error"].as_str().unwrap_or("");
            return if why.is_empty() { Ok(None) } else { Err(hide(why.to_owned(), token)) };
        }
        let user: User = identity(&status["user"]).authenticated().into();
        Ok(Some(Accepted { user, audiences, notes: None }))
    }

    async fn fetch(&self, token: &str, wanted: &[CompactString], own: &Arc<[CompactString]>) -> Outcome {
        let fetching = self.lookups.fetch();
        let outcome = self.ask(token, wanted, own).await;
        fetching.done(outcome.is_ok());
        outcome
    }

    fn wait(&self, digest: Digest) -> Waiting<'_> {
        let mut asking = self.asking();
        let question = asking.entry(digest).or_default();
        question.waiting += 1;
        Waiting { webhook: self, digest, outcome: question.outcome.clone() }
    }

    fn asking(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Question>> {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl RemoteTokens for TokenWebhook {
    async fn authenticate(&self, token: &str, wanted: &[CompactString], own: &Arc<[CompactString]>) -> Outcome {
        let (looking, digest) = (self.lookups.begin(), digest_of_bytes(&question(token, wanted)));
        if let Some(answer) = self.answers.get(&digest) {
            looking.hit();
            return Ok(answer);
        }
        let (_missed, waiting) = (looking.missed(), self.wait(digest));
        waiting.outcome.get_or_init(|| self.fetch(token, wanted, own)).await.clone()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut asking = self.webhook.asking();
        let Some(question) = asking.get_mut(&self.digest).filter(|now| Arc::ptr_eq(&now.outcome, &self.outcome)) else {
            return;
        };
        question.waiting -= 1;
        if let Some(outcome) = self.outcome.get() {
            if let Ok(answer) = outcome {
                self.webhook.answers.put(self.digest, answer.clone(), self.webhook.ttl);
            }
        } else if question.waiting > 0 {
            return;
        }
        asking.remove(&self.digest);
    }
}

/// Unambiguous: every text comes with its length.
fn question(token: &str, wanted: &[CompactString]) -> Vec<u8> {
    let mut question = Vec::with_capacity(token.len() + 64);
    for text in std::iter::once(token).chain(wanted.iter().map(CompactString::as_str)) {
        question.extend_from_slice(&text.len().to_le_bytes());
        question.extend_from_slice(text.as_bytes());
    }
    question
}

fn identity(user: &Value) -> Identity {
    let text = |name: &str| user[name].as_str().unwrap_or("").into();
    let extra = user["extra"].as_object().into_iter().flatten();
    let extra: Extra = extra.map(|(key, values)| (key.clone(), texts(values))).collect();
    Identity { name: text("username"), uid: text("uid"), groups: texts(&user["groups"]), extra }
}

fn texts(value: &Value) -> Vec<CompactString> {
    value.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(Into::into)).collect()
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::auth::token::lookups::tests::told;
    use crate::auth::webhook::testing::Hook;

    fn webhook(hook: &Hook, version: &str, ttl: u64) -> TokenWebhook {
        let clock = Clock::machine();
        let grounds = (&clock, &Entropy::seeded(1), &Metrics::default());
        TokenWebhook::new(hook.kubeconfig(), version, Duration::from_secs(ttl), grounds).expect("a webhook")
    }

    fn audiences(of: &[&str]) -> Arc<[CompactString]> {
        of.iter().map(|audience| (*audience).into()).collect()
    }

    async fn ask(webhook: &TokenWebhook, token: &str, wanted: &[&str]) -> String {
        match webhook.authenticate(token, &audiences(wanted), &audiences(&["api"])).await {
            Ok(Some(found)) => {
                let extra: Vec<_> = found.user.extra.iter().map(|(key, values)| format!("{key}={values:?}")).collect();
                let (user, audiences) = (&found.user, found.audiences.join(","));
                format!("{} {} {} {} for {audiences}", user.name, user.uid, user.groups.join(","), extra.join(","))
            }
            Ok(None) => "nobody".into(),
            Err(why) => why,
        }
    }

    fn authenticated(audiences: Value) -> Value {
        json!({"status": {"authenticated": true, "audiences": audiences,
            "user": {"username": "jane", "uid": "7", "groups": ["dev"], "extra": {"k": ["v"]}}}})
    }

    #[tokio::test]
    async fn the_webhook_says_who_it_is() {
        let hook = Hook::start(|_| (200, authenticated(json!(["api"])))).await;
        let webhook = webhook(&hook, "v1", 60);
        let jane = "jane 7 dev,system:authenticated k=[\"v\"] for api";
        assert_eq!(ask(&webhook, "t", &["api"]).await, jane);
        assert_eq!(ask(&webhook, "t", &["api"]).await, jane, "remembered");
        assert_eq!(
            hook.asked(),
            [
                "POST /review?timeout=30s {\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"TokenReview\",\"metadata\":{},\
              \"spec\":{\"audiences\":[\"api\"],\"token\":\"t\"},\"status\":{\"user\":{}}}"
            ]
        );
        assert_eq!(ask(&webhook, "t", &["other"]).await, "nobody", "for other audiences it is another question");
        assert_eq!(hook.asked().len(), 2);
    }

    #[tokio::test]
    async fn a_webhook_that_knows_no_audiences_answers_for_this_server() {
        let hook = Hook::start(|_| (200, authenticated(json!([])))).await;
        let webhook = webhook(&hook, "v1beta1", 0);
        assert!(ask(&webhook, "t", &["x", "api"]).await.ends_with("for api"));
        assert_eq!(ask(&webhook, "t", &["x"]).await, "nobody");
        assert!(hook.asked()[0].contains("authentication.k8s.io/v1beta1"));
        assert_eq!(hook.asked().len(), 2, "without a time nothing is remembered");
    }

    #[tokio::test]
    async fn who_is_not_known_is_remembered_and_errors_are_not() {
        let hook = Hook::start(|body| match body["spec"]["token"] == "bad" {
            true => (200, json!({"status": {"authenticated": false, "error": "expired"}})),
            false => (200, json!({"status": {"authenticated": false}})),
        })
        .await;
        let webhook = webhook(&hook, "v1", 60);
        for _ in 0..2 {
            assert_eq!(ask(&webhook, "unknown", &["api"]).await, "nobody");
            assert_eq!(ask(&webhook, "bad", &["api"]).await, "expired");
        }
        assert_eq!(hook.asked().len(), 3);
    }

    #[tokio::test]
    async fn many_who_come_with_one_token_ask_once() {
        let hook = Hook::start(|_| (200, authenticated(json!(["api"])))).await;
        let webhook = webhook(&hook, "v1", 60);
        let all = futures_util::future::join_all((0..20).map(|_| ask(&webhook, "t", &["api"]))).await;
        assert!(all.iter().all(|answer| answer.starts_with("jane")));
        assert_eq!(hook.asked().len(), 1);
    }

    #[tokio::test]
    async fn of_those_who_go_away_nothing_is_kept() {
        let hook = Hook::start(|_| (200, authenticated(json!(["api"])))).await;
        let webhook = webhook(&hook, "v1", 60);
        for n in 0..100 {
            let token = n.to_string();
            let mut first = Box::pin(ask(&webhook, &token, &["api"]));
            let mut second = Box::pin(ask(&webhook, &token, &["api"]));
            assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
            assert_eq!(webhook.asking().len(), 1, "one question of both");
            drop(first);
            assert_eq!(webhook.asking().len(), 1, "somebody still waits");
            drop(second);
            assert_eq!(webhook.asking().len(), 0);
        }
        assert!(ask(&webhook, "t", &["api"]).await.starts_with("jane"), "and it goes on");
        assert!(ask(&webhook, "t", &["api"]).await.starts_with("jane"));
        let mut told = told(&webhook.lookups);
        told.sort();
        let requests = ["request_total{status=\"hit\"} 1", "request_total{status=\"miss\"} 201"];
        assert_eq!(told[1..], ["fetch_total{status=\"ok\"} 1", requests[0], requests[1]]);
    }

    #[tokio::test]
    async fn a_webhook_that_repeats_a_token_does_not_have_it_told() {
        let hook = Hook::start(|body| {
            let why = format!("no {}!", body["spec"]["token"].as_str().unwrap_or(""));
            match body["spec"]["token"] == "status-secret" {
                true => (400, json!({"kind": "Status", "message": why})),
                false => (200, json!({"status": {"authenticated": false, "error": why}})),
            }
        })
        .await;
        let webhook = webhook(&hook, "v1", 60);
        assert_eq!(ask(&webhook, "status-secret", &["api"]).await, "no [hidden]!");
        assert_eq!(ask(&webhook, "other-secret", &["api"]).await, "no [hidden]!");
    }

    #[tokio::test]
    async fn other_versions_are_refused() {
        let hook = Hook::start(|_| (200, json!({}))).await;
        let grounds = (&Clock::machine(), &Entropy::seeded(1), &Metrics::default());
        let refused = TokenWebhook::new(hook.kubeconfig(), "v2", TIMEOUT, grounds);
        assert_eq!(
            refused.err().as_deref(),
            Some("unsupported authentication webhook version \"v2\", supported versions are \"v1\", \"v1beta1\"")
        );
    }
}
