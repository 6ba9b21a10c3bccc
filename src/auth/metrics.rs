//! The numbers of authentication and authorization, under stock's names.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::authorizer::{Decision, Verdict};
use super::token::lookups::{Counts, Lookups};
use crate::base::clock::Clock;
use crate::model::gotext;

/// Upper bounds of the times of webhooks, in seconds.
const BUCKETS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 2.0, 5.0, 10.0, 30.0];
/// What a server is called where it says who it is.
const PROGRAM: &str = "kube-apiserver";
/// Bytes of a digest that name a server.
const IDENTITY: usize = 16;

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
    apiserver_id_hash: Arc<str>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Read {
    apiserver_id_hash: Arc<str>,
    hash: String,
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
    apiserver_id_hash: Arc<str>,
}

/// How many came to one result, and how long it took.
#[derive(Clone)]
struct Timed {
    count: Counter,
    times: Histogram,
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
    /// The hash of what this server is called.
    server: Arc<str>,
    attempts: Family<Outcome, Counter>,
    attempt_times: Family<Outcome, Histogram, fn() -> Histogram>,
    /// Those of every request, so that nothing is looked up.
    accepted: Timed,
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
    authentication_read: Family<Read, Gauge>,
    authorization_read: Family<Read, Gauge>,
    authorizations: Family<Outcome, Counter>,
    authorization_times: Family<Outcome, Histogram, fn() -> Histogram>,
    /// Those of most requests.
    allowed: Timed,
    lookups: Counts,
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
        let [attempts, authorizations] = [(); 2].map(|()| Family::<Outcome, Counter>::default());
        let [attempt_times, authorization_times] =
            [(); 2].map(|()| Family::new_with_constructor(doubling as fn() -> Histogram));
        let users: Family<User, Counter> = Family::default();
        let accepted = timed(&attempts, &attempt_times, "success");
        let allowed = timed(&authorizations, &authorization_times, "allowed");
        let others = users.get_or_create(&User { username: "other" }).clone();
        Self {
            server: Arc::default(),
            attempts,
            attempt_times,
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
            authentication_read: Family::default(),
            authorization_read: Family::default(),
            authorizations,
            authorization_times,
            allowed,
            lookups: Counts::default(),
            decisions: Family::default(),
            key_fetches: Family::default(),
        }
    }
}

impl Metrics {
    /// Those of the server on this host, by whose name its own numbers are told from others'.
    pub fn of_host(host: &str) -> Self {
        Self { server: hash(identity(host)).into(), ..Self::default() }
    }

    pub fn register(&self, registry: &mut Registry) {
        self.register_decisions(registry);
        self.register_webhooks(registry);
        self.register_files(registry);
        self.lookups.register(registry);
    }

    fn register_decisions(&self, registry: &mut Registry) {
        // The encoder appends `_total` to a counter's name.
        registry.register("authentication_attempts", "Attempts to say who one is, by result", self.attempts.clone());
        let help = "Times of authentication, by result";
        registry.register("authentication_duration_seconds", help, self.attempt_times.clone());
        registry.register("authenticated_user_requests", "Requests of known users, by name", self.users.clone());
        let help = "Decisions by which a request was allowed or refused, by authorizer";
        registry.register("apiserver_authorization_decisions", help, self.decisions.clone());
        registry.register("authorization_attempts", "Decisions of the whole chain", self.authorizations.clone());
        let help = "Times of authorization, by result";
        registry.register("authorization_duration_seconds", help, self.authorization_times.clone());
    }

    fn register_webhooks(&self, registry: &mut Registry) {
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
    }

    fn register_files(&self, registry: &mut Registry) {
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
        for (what, family) in
            [("authentication", &self.authentication_read), ("authorization", &self.authorization_read)]
        {
            let name = format!("apiserver_{what}_config_controller_last_config_info");
            registry.register(name, "The hash of the configuration that counts", family.clone());
        }
        let name = "apiserver_authentication_jwt_authenticator_jwks_fetch_last_timestamp_seconds";
        registry.register(name, "When an issuer's keys were fetched last, by outcome", self.key_fetches.clone());
    }

    /// A request's user is known.
    pub fn accepted(&self, username: &str, took: Duration) {
        self.accepted.add(took);
        match bounded(username) {
            "other" => self.others.inc(),
            username => self.users.get_or_create(&User { username }).inc(),
        };
    }

    pub fn refused(&self, attempt: Attempt, took: Duration) {
        let result = if attempt == Attempt::Error { "error" } else { "failure" };
        timed(&self.attempts, &self.attempt_times, result).add(took);
    }

    /// For who looks up tokens.
    pub fn lookups(&self, clock: &Clock) -> Lookups {
        self.lookups.by(clock)
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
        let reload = Reload { status: status(good), apiserver_id_hash: self.server.clone() };
        self.authentication_reloads.get_or_create(&reload).inc();
        self.authentication_reload_times.get_or_create(&reload).set(seconds(now));
    }

    pub fn authorization_reloaded(&self, good: bool, now: Timestamp) {
        let reload = Reload { status: status(good), apiserver_id_hash: self.server.clone() };
        self.authorization_reloads.get_or_create(&reload).inc();
        self.authorization_reload_times.get_or_create(&reload).set(seconds(now));
    }

    /// This configuration counts from now on.
    pub fn authentication_read(&self, content: &[u8]) {
        self.read(&self.authentication_read, content);
    }

    /// This configuration counts from now on.
    pub fn authorization_read(&self, content: &[u8]) {
        self.read(&self.authorization_read, content);
    }

    fn read(&self, family: &Family<Read, Gauge>, content: &[u8]) {
        family.clear();
        let read = Read { apiserver_id_hash: self.server.clone(), hash: hash(content) };
        family.get_or_create(&read).set(1);
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
    pub fn authorized(&self, verdict: &Verdict, took: Duration) {
        let result = match (&verdict.error, verdict.decision) {
            (_, Decision::Allow) => return self.allowed.add(took),
            (Some(_), _) => "error",
            (None, Decision::Deny) => "denied",
            (None, Decision::NoOpinion) => "no-opinion",
        };
        timed(&self.authorizations, &self.authorization_times, result).add(took);
    }

    /// The keys of an issuer were fetched, or could not be.
    pub fn keys_fetched(&self, issuer: &str, good: bool, now: Timestamp) {
        let server = self.server.clone();
        let labels = Fetched { result: status(good), jwt_issuer_hash: hash(issuer), apiserver_id_hash: server };
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

impl Timed {
    fn add(&self, took: Duration) {
        self.count.inc();
        self.times.observe(took.as_secs_f64());
    }
}

fn timed(
    counts: &Family<Outcome, Counter>,
    times: &Family<Outcome, Histogram, fn() -> Histogram>,
    result: &'static str,
) -> Timed {
    let outcome = Outcome { result };
    let count = counts.get_or_create(&outcome).clone();
    Timed { count, times: times.get_or_create(&outcome).clone() }
}

/// From a millisecond, doubled fourteen times.
fn doubling() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 15))
}

/// As stock names a server: `apiserver-` and a digest of host and program in base 32, in small letters.
fn identity(host: &str) -> String {
    let mut named = Vec::new();
    for text in [host, PROGRAM] {
        let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
        named.extend_from_slice(&length.to_be_bytes());
        named.extend_from_slice(text.as_bytes());
    }
    let digest = digest(&SHA256, &named);
    let (mut out, mut held, mut bits) = ("apiserver-".to_owned(), 0_u32, 0);
    for byte in &digest.as_ref()[..IDENTITY] {
        (held, bits) = (held << 8 | u32::from(*byte), bits + 8);
        while bits >= 5 {
            bits -= 5;
            out.push(base32(held >> bits));
        }
    }
    if bits > 0 {
        out.push(base32(held << (5 - bits)));
    }
    out
}

/// The letter of the last five bits.
fn base32(bits: u32) -> char {
    char::from(b"abcdefghijklmnopqrstuvwxyz234567"[bits as usize & 31])
}

/// As stock shows what it does not want to show: `sha256:` and the hash in hexadecimal.
fn hash(content: impl AsRef<[u8]>) -> String {
    format!("sha256:{}", gotext::hex(digest(&SHA256, content.as_ref()).as_ref()))
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
        let (metrics, mut registry) = (Metrics::of_host("host"), Registry::default());
        metrics.register(&mut registry);
        let took = Duration::from_millis(3);
        for name in ["jane@example.com", "joe@example.com", "eve", "admin"] {
            metrics.accepted(name, took);
        }
        metrics.refused(Attempt::Error, took);
        metrics.evaluated("hook", "success", Duration::from_millis(3), false);
        metrics.authorization_reloaded(true, Timestamp::UNIX_EPOCH);
        metrics.authorization_read(b"before");
        metrics.authorization_read(b"now");
        let decisions = metrics.decisions("RBAC", "rbac");
        [Decision::Allow, Decision::NoOpinion, Decision::Allow].into_iter().for_each(|one| decisions.count(one));
        metrics.authorized(&Verdict::no_opinion(""), took);
        metrics.authorized(&Verdict::allow("because"), took);
        metrics.keys_fetched("https://issuer", true, Timestamp::from_second(7).expect("a time"));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("a text");
        for line in [
            "authentication_attempts_total{result=\"success\"} 4",
            "authentication_attempts_total{result=\"error\"} 1",
            "authenticated_user_requests_total{username=\"email_id\"} 2",
            "authenticated_user_requests_total{username=\"other\"} 1",
            "apiserver_authorization_webhook_evaluations_total{name=\"hook\",result=\"success\"} 1",
            "apiserver_authorization_config_controller_automatic_reloads_total{status=\"success\",apiserver_id_hash=\"sha256:",
            "apiserver_authorization_config_controller_automatic_reload_last_timestamp_seconds{status=\"success\",",
            "apiserver_authorization_config_controller_last_config_info{apiserver_id_hash=\"sha256:",
            "authentication_duration_seconds_bucket{le=\"0.004\",result=\"success\"} 4",
            "authentication_duration_seconds_bucket{le=\"0.002\",result=\"error\"} 0",
            "authentication_duration_seconds_bucket{le=\"16.384\",result=\"error\"} 1",
            "authorization_duration_seconds_count{result=\"allowed\"} 1",
            "authorization_duration_seconds_bucket{le=\"0.004\",result=\"no-opinion\"} 1",
            "authorization_attempts_total{result=\"allowed\"} 1",
            "apiserver_authorization_decisions_total{type=\"RBAC\",name=\"rbac\",decision=\"allowed\"} 2",
            "authorization_attempts_total{result=\"no-opinion\"} 1",
            "jwks_fetch_last_timestamp_seconds{result=\"success\",jwt_issuer_hash=\"sha256:",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert!(!text.contains("jane"));
        assert_eq!(text.matches("last_config_info{").count(), 1, "the one before does not count any more");
    }

    #[test]
    fn a_server_is_named_as_stock_names_it() {
        let name = identity("host");
        assert_eq!(name, "apiserver-dd6egxogzxmivwqge6rcnj6rwi");
    }
}
