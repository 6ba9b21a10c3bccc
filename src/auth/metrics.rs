//! The numbers of authentication and authorization, under stock's names.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::authorizer::{Decision, Verdict};
use crate::model::gotext;

/// Upper bounds of the times of webhooks, in seconds.
const BUCKETS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 2.0, 5.0, 10.0, 30.0];

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Outcome {
    result: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct User {
    username: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Evaluation {
    name: String,
    result: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Condition {
    name: String,
    r#type: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Reload {
    status: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Decided {
    r#type: String,
    name: String,
    decision: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Fetched {
    result: &'static str,
    jwt_issuer_hash: String,
}

/// What one authorizer decides. Counted without looking anything up.
#[derive(Clone)]
pub struct Decisions {
    allowed: Counter,
    denied: Counter,
}

/// Counts and times. Cheap to clone; all clones count together.
#[derive(Clone)]
pub struct Metrics {
    attempts: Family<Outcome, Counter>,
    /// Those of every request, so that nothing is looked up.
    accepted: Counter,
    users: Family<User, Counter>,
    others: Counter,
    evaluations: Family<Evaluation, Counter>,
    times: Family<Evaluation, Histogram, fn() -> Histogram>,
    failed_open: Family<Evaluation, Counter>,
    excluded: Family<Condition, Counter>,
    condition_errors: Family<Condition, Counter>,
    authentication_reloads: Family<Reload, Counter>,
    authorization_reloads: Family<Reload, Counter>,
    authentication_reload_times: Family<Reload, Gauge<f64, AtomicU64>>,
    authorization_reload_times: Family<Reload, Gauge<f64, AtomicU64>>,
    authorizations: Family<Outcome, Counter>,
    decisions: Family<Decided, Counter>,
    key_fetches: Family<Fetched, Gauge<f64, AtomicU64>>,
}

/// What became of an attempt to say who one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// Nothing proved anybody.
    Failure,
    /// A proof was wrong.
    Error,
}

impl Default for Metrics {
    fn default() -> Self {
        let attempts: Family<Outcome, Counter> = Family::default();
        let users: Family<User, Counter> = Family::default();
        let accepted = attempts.get_or_create(&Outcome { result: "success" }).clone();
        let others = users.get_or_create(&User { username: "other" }).clone();
        Self {
            attempts,
            accepted,
            users,
            others,
            evaluations: Family::default(),
            times: Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram),
            failed_open: Family::default(),
            excluded: Family::default(),
            condition_errors: Family::default(),
            authentication_reloads: Family::default(),
            authorization_reloads: Family::default(),
            authentication_reload_times: Family::default(),
            authorization_reload_times: Family::default(),
            authorizations: Family::default(),
            decisions: Family::default(),
            key_fetches: Family::default(),
        }
    }
}

impl Metrics {
    pub fn register(&self, registry: &mut Registry) {
        // The encoder appends `_total` to a counter's name.
        registry.register("authentication_attempts", "Attempts to say who one is, by result", self.attempts.clone());
        registry.register("authenticated_user_requests", "Requests of known users, by name", self.users.clone());
        let mut put = |name: &str, help: &str, family: &Family<Evaluation, Counter>| {
            registry.register(format!("apiserver_authorization_webhook_{name}"), help, family.clone());
        };
        put("evaluations", "Questions to authorization webhooks, by webhook and result", &self.evaluations);
        put("evaluations_fail_open", "Those that failed and were passed on", &self.failed_open);
        let name = "apiserver_authorization_webhook_duration_seconds";
        registry.register(name, "Times of questions to authorization webhooks", self.times.clone());
        let mut put = |name: &str, help: &str, family: &Family<Condition, Counter>| {
            registry.register(
                format!("apiserver_authorization_match_condition_evaluation_{name}"),
                help,
                family.clone(),
            );
        };
        put("exclusions", "Questions that match conditions left out", &self.excluded);
        put("errors", "Match conditions that could not be evaluated", &self.condition_errors);
        for (what, family) in
            [("authentication", &self.authentication_reloads), ("authorization", &self.authorization_reloads)]
        {
            let name = format!("apiserver_{what}_config_controller_automatic_reloads");
            registry.register(name, "Configurations that were read again, by outcome", family.clone());
        }
        for (what, family) in
            [("authentication", &self.authentication_reload_times), ("authorization", &self.authorization_reload_times)]
        {
            let name = format!("apiserver_{what}_config_controller_automatic_reload_last_timestamp_seconds");
            registry.register(name, "When a configuration was read again last, by outcome", family.clone());
        }
        let help = "Decisions by which a request was allowed or refused, by authorizer";
        registry.register("apiserver_authorization_decisions", help, self.decisions.clone());
        registry.register("authorization_attempts", "Decisions of the whole chain", self.authorizations.clone());
        let name = "apiserver_authentication_jwt_authenticator_jwks_fetch_last_timestamp_seconds";
        registry.register(name, "When an issuer's keys were fetched last, by outcome", self.key_fetches.clone());
    }

    pub fn accepted(&self, username: &str) {
        self.accepted.inc();
        match bounded(username) {
            "other" => self.others.inc(),
            username => self.users.get_or_create(&User { username }).inc(),
        };
    }

    pub fn refused(&self, attempt: Attempt) {
        let result = if attempt == Attempt::Error { "error" } else { "failure" };
        self.attempts.get_or_create(&Outcome { result }).inc();
    }

    /// A webhook of this name was asked; `open`: it failed, and the next one is asked.
    pub fn evaluated(&self, name: &str, result: &'static str, took: Duration, open: bool) {
        let labels = Evaluation { name: name.to_owned(), result };
        self.evaluations.get_or_create(&labels).inc();
        self.times.get_or_create(&labels).observe(took.as_secs_f64());
        if open {
            self.failed_open.get_or_create(&labels).inc();
        }
    }

    /// Its conditions left a question out, or could not be evaluated.
    pub fn unmatched(&self, name: &str, failed: bool) {
        let family = if failed { &self.condition_errors } else { &self.excluded };
        family.get_or_create(&Condition { name: name.to_owned(), r#type: "Webhook" }).inc();
    }

    pub fn authentication_reloaded(&self, good: bool, now: Timestamp) {
        let reload = Reload { status: status(good) };
        self.authentication_reloads.get_or_create(&reload).inc();
        self.authentication_reload_times.get_or_create(&reload).set(seconds(now));
    }

    pub fn authorization_reloaded(&self, good: bool, now: Timestamp) {
        let reload = Reload { status: status(good) };
        self.authorization_reloads.get_or_create(&reload).inc();
        self.authorization_reload_times.get_or_create(&reload).set(seconds(now));
    }

    /// The counters of an authorizer of this type and name.
    pub fn decisions(&self, kind: &str, name: &str) -> Decisions {
        let of = |decision| {
            let labels = Decided { r#type: kind.to_owned(), name: name.to_owned(), decision };
            self.decisions.get_or_create(&labels).clone()
        };
        Decisions { allowed: of("allowed"), denied: of("denied") }
    }

    /// What the chain said of a request.
    pub fn authorized(&self, verdict: &Verdict) {
        let result = match (&verdict.error, verdict.decision) {
            (_, Decision::Allow) => "allowed",
            (Some(_), _) => "error",
            (None, Decision::Deny) => "denied",
            (None, Decision::NoOpinion) => "no-opinion",
        };
        self.authorizations.get_or_create(&Outcome { result }).inc();
    }

    /// The keys of an issuer were fetched, or could not be.
    pub fn keys_fetched(&self, issuer: &str, good: bool, now: Timestamp) {
        let labels = Fetched { result: status(good), jwt_issuer_hash: hash(issuer) };
        self.key_fetches.get_or_create(&labels).set(seconds(now));
    }
}

impl Decisions {
    pub fn count(&self, decision: Decision) {
        match decision {
            Decision::Allow => self.allowed.inc(),
            Decision::Deny => self.denied.inc(),
            Decision::NoOpinion => return,
        };
    }
}

/// As stock shows what it does not want to show: `sha256:` and the hash in hexadecimal.
fn hash(text: &str) -> String {
    format!("sha256:{}", gotext::hex(digest(&SHA256, text.as_bytes()).as_ref()))
}

fn seconds(time: Timestamp) -> f64 {
    time.as_millisecond() as f64 / 1000.0
}

fn status(good: bool) -> &'static str {
    if good { "success" } else { "failure" }
}

/// Few names: a label that users choose must not grow.
fn bounded(username: &str) -> &'static str {
    const KNOWN: [&str; 5] = ["admin", "client", "kube_proxy", "kubelet", "system:serviceaccount:kube-system:default"];
    if let Some(known) = KNOWN.iter().find(|known| **known == username) {
        return known;
    }
    if username.contains('@') { "email_id" } else { "other" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_users_choose_is_no_label() {
        let (metrics, mut registry) = (Metrics::default(), Registry::default());
        metrics.register(&mut registry);
        for name in ["jane@example.com", "joe@example.com", "eve", "admin"] {
            metrics.accepted(name);
        }
        metrics.refused(Attempt::Error);
        metrics.evaluated("hook", "success", Duration::from_millis(3), false);
        metrics.authorization_reloaded(true, Timestamp::UNIX_EPOCH);
        let decisions = metrics.decisions("RBAC", "rbac");
        [Decision::Allow, Decision::NoOpinion, Decision::Allow].into_iter().for_each(|one| decisions.count(one));
        metrics.authorized(&Verdict::no_opinion(""));
        metrics.keys_fetched("https://issuer", true, Timestamp::from_second(7).expect("a time"));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("a text");
        for line in [
            "authentication_attempts_total{result=\"success\"} 4",
            "authentication_attempts_total{result=\"error\"} 1",
            "authenticated_user_requests_total{username=\"email_id\"} 2",
            "authenticated_user_requests_total{username=\"other\"} 1",
            "apiserver_authorization_webhook_evaluations_total{name=\"hook\",result=\"success\"} 1",
            "apiserver_authorization_config_controller_automatic_reloads_total{status=\"success\"} 1",
            "apiserver_authorization_config_controller_automatic_reload_last_timestamp_seconds{status=\"success\"} 0",
            "apiserver_authorization_decisions_total{type=\"RBAC\",name=\"rbac\",decision=\"allowed\"} 2",
            "authorization_attempts_total{result=\"no-opinion\"} 1",
            "jwks_fetch_last_timestamp_seconds{result=\"success\",jwt_issuer_hash=\"sha256:",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert!(!text.contains("jane"));
    }
}
