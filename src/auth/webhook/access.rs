//! May they: a SubjectAccessReview about what nobody before has an opinion on.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use compact_str::CompactString;

use super::answers::Answers;
use super::conditions::Conditions;
use super::review::Reviewer;
use crate::auth::authorizer::{Attributes, Decision, Reason, Remote, Resource, Rules, Target, Verdict};
use crate::auth::identity::User;
use crate::auth::metrics::Metrics;
use crate::auth::selected::Requirement;
use crate::auth::token::remembered::digest_of_bytes;
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::model::value::{Map, Text, Value, json};

/// A question in which what the user chose is longer than this is not remembered.
const LONGEST_REMEMBERED: usize = 10_000;

/// How a webhook is asked, and what its answers are worth.
pub struct Settings {
    /// Under which it is counted.
    pub name: String,
    pub metrics: Metrics,
    /// `v1` or `v1beta1`, of the reviews.
    pub version: String,
    /// The most that one try may take.
    pub timeout: Duration,
    /// How long answers count that allow, and those that do not; zero: they are not remembered.
    pub authorized_ttl: Duration,
    pub unauthorized_ttl: Duration,
    /// What it means when there is no answer: `Deny` or `NoOpinion`.
    pub on_failure: Decision,
    pub conditions: Conditions,
}

/// Asks a webhook, and remembers its answers for a while.
pub struct AccessWebhook {
    reviewer: Reviewer,
    settings: Settings,
    clock: Clock,
    answers: Answers<Verdict>,
}

impl AccessWebhook {
    pub fn new(kubeconfig: &Path, settings: Settings, clock: &Clock, entropy: &Entropy) -> Result<Self, String> {
        let version = settings.version.as_str();
        if !matches!(version, "v1" | "v1beta1") {
            return Err(format!(
                "unsupported webhook authorizer version {version:?}, supported versions are \"v1\", \"v1beta1\""
            ));
        }
        let kind = ("authorization.k8s.io", version, "SubjectAccessReview");
        let reviewer = Reviewer::new(kubeconfig, kind, settings.timeout, clock, entropy)?;
        Ok(Self { reviewer, settings, clock: clock.clone(), answers: Answers::new(clock) })
    }

    fn failed(&self, why: String) -> Verdict {
        Verdict { decision: self.settings.on_failure, error: Some(why.into()), ..Verdict::no_opinion("") }
    }

    async fn ask(&self, spec: &Value) -> Result<Verdict, String> {
        let mut spec = spec.clone();
        if self.settings.version == "v1beta1"
            && let Some(map) = spec.as_object_mut()
            && let Some(groups) = map.remove("groups")
        {
            map.insert("group".into(), groups);
        }
        let review = json!({
            "kind": "SubjectAccessReview", "apiVersion": self.reviewer.version(), "metadata": {}, "spec": spec,
            "status": {"allowed": false}
        });
        let begun = self.clock.instant();
        let answer = self.reviewer.ask(&review, "").await;
        let result = match &answer {
            Ok(_) => "success",
            Err(unanswered) if unanswered.timed_out => "timeout",
            Err(_) => "error",
        };
        let open = answer.is_err() && self.settings.on_failure == Decision::NoOpinion;
        let Settings { name, metrics, .. } = &self.settings;
        metrics.evaluated(name, result, self.clock.instant() - begun, open);
        let status = answer.map_err(|unanswered| unanswered.why)?;
        let (allowed, denied) = (status["allowed"] == true, status["denied"] == true);
        let both = "webhook subject access review returned both allow and deny response";
        let decision = match (allowed, denied) {
            (_, true) => Decision::Deny,
            (true, false) => Decision::Allow,
            (false, false) => Decision::NoOpinion,
        };
        let reason = Reason::Text(status["reason"].as_str().unwrap_or("").to_owned().into());
        Ok(Verdict { decision, reason, error: (allowed && denied).then(|| both.into()) })
    }
}

#[async_trait]
impl Remote for AccessWebhook {
    async fn authorize(&self, attributes: &Attributes<'_>) -> Verdict {
        let spec = spec(attributes);
        match self.settings.conditions.hold(&spec) {
            Ok(true) => {}
            Ok(false) => {
                self.settings.metrics.unmatched(&self.settings.name, false);
                return Verdict::no_opinion("");
            }
            Err(why) => {
                self.settings.metrics.unmatched(&self.settings.name, true);
                return self.failed(why);
            }
        }
        let digest = digest_of_bytes(spec.to_string().as_bytes());
        if let Some(verdict) = self.answers.get(&digest) {
            return verdict;
        }
        let verdict = match self.ask(&spec).await {
            Ok(verdict) => verdict,
            Err(why) => return self.failed(why),
        };
        let allows = verdict.is_allowed() || verdict.error.is_some();
        let ttl = if allows { self.settings.authorized_ttl } else { self.settings.unauthorized_ttl };
        if chosen(attributes) < LONGEST_REMEMBERED {
            self.answers.put(digest, verdict.clone(), ttl);
        }
        verdict
    }

    fn rules(&self, _: &User, _: &str) -> Rules {
        let error = "webhook authorizer does not support user rule resolution".to_owned();
        Rules { incomplete: true, error, ..Rules::default() }
    }
}

/// The question, sparse: what is empty is left out.
fn spec(attributes: &Attributes<'_>) -> Value {
    let mut spec = Map::new();
    match &attributes.target {
        Target::Path(path) => put(&mut spec, "nonResourceAttributes", &[("path", path), ("verb", attributes.verb)]),
        Target::Resource(resource) => {
            put(
                &mut spec,
                "resourceAttributes",
                &[
                    ("namespace", resource.namespace),
                    ("verb", attributes.verb),
                    ("group", resource.group),
                    ("version", resource.version),
                    ("resource", resource.resource),
                    ("subresource", resource.subresource),
                    ("name", resource.name),
                ],
            );
            let selectors = [("fieldSelector", resource.fields), ("labelSelector", resource.labels)];
            if let Some(part) = spec.get_mut("resourceAttributes").and_then(Value::as_object_mut) {
                for (name, requirements) in selectors.into_iter().filter(|(_, some)| !some.is_empty()) {
                    let requirements: Value = requirements.iter().map(Requirement::to_value).collect();
                    part.insert(name.into(), json!({ "requirements": requirements }));
                }
            }
        }
    }
    let user = attributes.user;
    let texts = |texts: &[CompactString]| texts.iter().map(CompactString::as_str).collect::<Value>();
    for (name, text) in [("user", &user.name), ("uid", &user.uid)] {
        if !text.is_empty() {
            spec.insert(name.into(), text.as_str().into());
        }
    }
    if !user.groups.is_empty() {
        spec.insert("groups".into(), texts(&user.groups));
    }
    if !user.extra.is_empty() {
        let extra: Map = user.extra.iter().map(|(key, values)| (key.clone(), texts(values))).collect();
        spec.insert("extra".into(), Value::Object(extra));
    }
    Value::Object(spec)
}

fn put(spec: &mut Map, part: &str, texts: &[(&str, &str)]) {
    let texts = texts.iter().filter(|(_, text)| !text.is_empty());
    let texts: Map = texts.map(|(name, text)| (Text::from(*name), Value::from(*text))).collect();
    spec.insert(part.into(), Value::Object(texts));
}

/// Bytes of what the user chose.
fn chosen(attributes: &Attributes<'_>) -> usize {
    let own = match &attributes.target {
        Target::Path(path) => path.len(),
        Target::Resource(Resource { group, version, resource, subresource, namespace, name, .. }) => {
            [group, version, resource, subresource, namespace, name].iter().map(|text| text.len()).sum()
        }
    };
    own + attributes.verb.len()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::auth::authorizer::{AlwaysAllow, AlwaysDeny, Chain, Link};
    use crate::auth::selected::Operator;
    use crate::auth::webhook::testing::Hook;

    fn settings(on_failure: Decision) -> Settings {
        Settings {
            name: "hook".into(),
            metrics: Metrics::default(),
            version: "v1".into(),
            timeout: Duration::from_secs(3),
            authorized_ttl: Duration::from_secs(300),
            unauthorized_ttl: Duration::from_secs(30),
            on_failure,
            conditions: Conditions::default(),
        }
    }

    fn webhook(hook: &Hook, settings: Settings) -> Arc<AccessWebhook> {
        let webhook = AccessWebhook::new(hook.kubeconfig(), settings, &Clock::machine(), &Entropy::seeded(1));
        Arc::new(webhook.expect("a webhook"))
    }

    fn pods(name: &str) -> Resource<'_> {
        Resource { version: "v1", resource: "pods", namespace: "n", name, ..Resource::default() }
    }

    fn said(verdict: &Verdict) -> String {
        let error = verdict.error.as_deref().map(|error| format!(" ({error})")).unwrap_or_default();
        format!("{:?} {}{error}", verdict.decision, verdict.reason)
    }

    #[tokio::test]
    async fn the_webhook_allows_denies_or_has_no_opinion() {
        let hook = Hook::start(|body| match body["spec"]["resourceAttributes"]["name"].as_str() {
            Some("a") => (200, json!({"status": {"allowed": true, "reason": "mine"}})),
            Some("d") => (200, json!({"status": {"allowed": false, "denied": true, "reason": "never"}})),
            Some("b") => (200, json!({"status": {"allowed": true, "denied": true}})),
            _ => (200, json!({"status": {"allowed": false, "reason": "who knows"}})),
        })
        .await;
        let chain = Chain::of(vec![
            Link::Elsewhere(webhook(&hook, settings(Decision::NoOpinion))),
            Link::Here(Arc::new(AlwaysDeny)),
        ]);
        let user = User::new("jane", &["dev"]);
        let ask = async |name: &str| said(&chain.authorize(&Attributes::resource(&user, "get", pods(name))).await);
        assert_eq!(ask("a").await, "Allow mine");
        assert_eq!(ask("d").await, "Deny never");
        assert_eq!(ask("b").await, "Deny  (webhook subject access review returned both allow and deny response)");
        assert_eq!(ask("x").await, "NoOpinion who knows\nEverything is forbidden.");
        assert_eq!(
            hook.asked()[0],
            "POST /review?timeout=3s {\"apiVersion\":\"authorization.k8s.io/v1\",\"kind\":\"SubjectAccessReview\",\
             \"metadata\":{},\"spec\":{\"groups\":[\"dev\"],\"resourceAttributes\":{\"name\":\"a\",\"namespace\":\"n\",\
             \"resource\":\"pods\",\"verb\":\"get\",\"version\":\"v1\"},\"user\":\"jane\"},\"status\":{\"allowed\":false}}"
        );
        let before = hook.asked().len();
        for name in ["a", "d", "x"] {
            ask(name).await;
        }
        assert_eq!(hook.asked().len(), before, "remembered");
        let rules = chain.rules(&user, "n");
        assert!(rules.incomplete && rules.error == "webhook authorizer does not support user rule resolution");
    }

    #[tokio::test]
    async fn selectors_are_told() {
        let hook = Hook::start(|_| (200, json!({"status": {"allowed": true}}))).await;
        let requirement = |key: &str, operator, values: &[&str]| Requirement {
            key: key.into(),
            operator,
            values: values.iter().map(|value| CompactString::from(*value)).collect(),
        };
        let fields = [requirement("spec.nodeName", Operator::In, &["n"])];
        let labels = [requirement("a", Operator::NotIn, &["b", "c"]), requirement("d", Operator::Exists, &[])];
        let (user, pods) = (User::new("jane", &[]), Resource { resource: "pods", ..Resource::default() });
        let chain = Chain::of(vec![Link::Elsewhere(webhook(&hook, settings(Decision::NoOpinion)))]);
        for (fields, labels) in [(&fields[..], &labels[..]), (&[], &labels[..]), (&fields[..], &[])] {
            chain.authorize(&Attributes::resource(&user, "list", Resource { fields, labels, ..pods })).await;
        }
        let asked = hook.asked();
        let (of_fields, of_labels) = (
            r#""fieldSelector":{"requirements":[{"key":"spec.nodeName","operator":"In","values":["n"]}]}"#,
            r#""labelSelector":{"requirements":[{"key":"a","operator":"NotIn","values":["b","c"]},{"key":"d","operator":"Exists"}]}"#,
        );
        let told: Vec<_> = asked.iter().map(|asked| (asked.contains(of_fields), asked.contains(of_labels))).collect();
        assert_eq!(told, [(true, true), (false, true), (true, false)], "and each is another question: {asked:?}");
    }

    #[tokio::test]
    async fn nobody_is_asked_when_somebody_before_has_an_opinion() {
        let hook = Hook::start(|_| (200, json!({"status": {"allowed": false, "denied": true}}))).await;
        let links =
            vec![Link::Here(Arc::new(AlwaysAllow)), Link::Elsewhere(webhook(&hook, settings(Decision::NoOpinion)))];
        let user = User::new("jane", &[]);
        assert_eq!(said(&Chain::of(links).authorize(&Attributes::path(&user, "get", "/x")).await), "Allow ");
        let root = User::new("root", &["system:masters"]);
        let chain = Chain::of(vec![Link::Elsewhere(webhook(&hook, settings(Decision::Deny)))]);
        assert_eq!(said(&chain.authorize(&Attributes::path(&root, "get", "/x")).await), "Allow ");
        assert!(hook.asked().is_empty());
    }

    #[tokio::test]
    async fn a_failure_means_what_the_policy_says_and_is_not_remembered() {
        let hook = Hook::start(|_| (400, json!({"no": "status"}))).await;
        let user = User::new("jane", &[]);
        let attributes = Attributes::path(&user, "get", "/x");
        let why = "the server rejected our request for an unknown reason";
        for (policy, decision) in [(Decision::NoOpinion, "NoOpinion"), (Decision::Deny, "Deny")] {
            let webhook = webhook(&hook, settings(policy));
            assert_eq!(said(&webhook.authorize(&attributes).await), format!("{decision}  ({why})"));
            assert_eq!(said(&webhook.authorize(&attributes).await), format!("{decision}  ({why})"));
        }
        assert_eq!(hook.asked().len(), 4);
        let allowed = Chain::of(vec![
            Link::Elsewhere(webhook(&hook, settings(Decision::NoOpinion))),
            Link::Here(Arc::new(AlwaysAllow)),
        ]);
        assert_eq!(said(&allowed.authorize(&attributes).await), "Allow ");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_cannot_wait_is_answered_too() {
        let hook = Hook::start(|_| (200, json!({"status": {"allowed": true}}))).await;
        let chain = Chain::of(vec![Link::Elsewhere(webhook(&hook, settings(Decision::Deny)))]);
        let user = User::new("jane", &[]);
        assert!(chain.authorize_blocking(&Attributes::path(&user, "get", "/x")).is_allowed());
    }

    #[tokio::test]
    async fn old_reviews_name_groups_otherwise() {
        let hook = Hook::start(|_| (200, json!({"status": {"allowed": true}}))).await;
        let webhook = webhook(&hook, Settings { version: "v1beta1".into(), ..settings(Decision::Deny) });
        let user = User::new("jane", &["dev"]);
        assert!(webhook.authorize(&Attributes::path(&user, "get", "/x")).await.is_allowed());
        assert!(hook.asked()[0].contains("\"group\":[\"dev\"]"), "{:?}", hook.asked());
    }
}
