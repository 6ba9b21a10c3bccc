//! PodSecurity: how much a pod may ask of its host, as the labels of its namespace say.
//!
//! In reading order: `configuration` (defaults and exemptions), `policy` (the labels), `checks` (all checks, by level and version), `baseline` and `restricted` (what
//! each level forbids), `report` (how that is told); then this page (who is checked, what is refused, what is warned of).

mod baseline;
mod checks;
mod configuration;
mod policy;
mod report;
mod restricted;

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use async_trait::async_trait;
use compact_str::CompactString;

use self::checks::{Subject, evaluate};
use self::configuration::Configuration;
use self::policy::{Level, OPEN, Policy, Standard};
use self::report::plural;
use crate::admission::chain::{Attributes, Plugin};
use crate::admission::pod::{self, items, text};
use crate::admission::reads::{Reads, value};
use crate::model::field::{FieldError, Path, aggregate};
use crate::model::gotext::quote;
use crate::model::object;
use crate::model::status::{Result, Status};
use crate::model::value::Value;

/// Subresources of pods that change nothing that is checked.
const HARMLESS: [&str; 8] = ["exec", "attach", "binding", "eviction", "log", "portforward", "proxy", "status"];
/// (group, resource, where its template is)
const WORKLOADS: [(&str, &str, &str); 8] = [
    ("", "podtemplates", "/template"),
    ("", "replicationcontrollers", "/spec/template"),
    ("apps", "daemonsets", "/spec/template"),
    ("apps", "deployments", "/spec/template"),
    ("apps", "replicasets", "/spec/template"),
    ("apps", "statefulsets", "/spec/template"),
    ("batch", "jobs", "/spec/template"),
    ("batch", "cronjobs", "/spec/jobTemplate/spec/template"),
];
/// Annotations of a request's record.
const ENFORCED: &str = "pod-security.kubernetes.io/enforce-policy";
const VIOLATED: &str = "pod-security.kubernetes.io/audit-violations";
const EXEMPT: &str = "pod-security.kubernetes.io/exempt";
const UNREAD: &str = "pod-security.kubernetes.io/error";
/// How many pods, and for how long, are checked when the level of their namespace changes.
const MAX_PODS: usize = 3000;
const MAX_TIME: Duration = Duration::from_secs(1);

pub struct PodSecurity {
    reads: Reads,
    configuration: Configuration,
}

impl PodSecurity {
    pub fn new(reads: &Reads) -> std::result::Result<Self, String> {
        let configuration = Configuration::read(reads.configurations.get("PodSecurity"))?;
        Ok(Self { reads: reads.clone(), configuration })
    }

    /// Whether nothing is asked of this request.
    fn is_exempt(&self, a: &Attributes<'_>) -> bool {
        let why = self.configuration.exempts(a.namespace, &a.user.name);
        why.inspect(|why| a.annotations.add(EXEMPT, *why)).is_some()
    }

    fn is_exempt_class(&self, a: &Attributes<'_>, spec: &Value) -> bool {
        let exempt = self.configuration.exempts_class(spec["runtimeClassName"].as_str());
        if exempt {
            a.annotations.add(EXEMPT, "runtimeClass");
        }
        exempt
    }

    /// What the labels of the namespace say.
    async fn policy(&self, namespace: &str) -> Result<Policy> {
        let missing = || Status::internal(format!("failed to lookup namespace {}", quote(namespace)));
        let mut shelf = self.reads.shelf("", "namespaces")?;
        if shelf.get("", namespace).is_none() {
            self.reads.fresh().await?;
            shelf = self.reads.shelf("", "namespaces")?;
        }
        let labels = shelf.get("", namespace).ok_or_else(missing)?.labels();
        let label = |wanted: &str| labels.iter().find(|(key, _)| key == wanted).map(|(_, value)| value.as_ref());
        Ok(Policy::of_labels(&self.configuration, label))
    }

    async fn pod(&self, a: &mut Attributes<'_>, pod: &Value) -> Result<()> {
        if HARMLESS.contains(&a.subresource) || self.is_exempt(a) {
            return Ok(());
        }
        let policy = self.policy(a.namespace).await?;
        if policy.is_privileged() {
            a.annotations.add(ENFORCED, compact_str::format_compact!("{OPEN}"));
            return Ok(());
        }
        if a.old.is_some_and(|old| !has_new_image(&old["spec"], &pod["spec"])) {
            return Ok(());
        }
        if self.is_exempt_class(a, &pod["spec"]) {
            return Ok(());
        }
        let subject = Subject { metadata: &pod["metadata"], spec: &pod["spec"] };
        note(a, &policy, &subject, true);
        let violations = evaluate(policy.enforce, &subject);
        if !violations.is_empty() {
            let why = format!("violates PodSecurity \"{}\": {}", policy.enforce, report::details(&violations));
            return Err(Status::forbidden(&a.resource.name, a.name, why));
        }
        warn(a, policy.warn, &subject);
        Ok(())
    }

    /// What makes pods is only warned of: its pods are refused when they are made.
    async fn workload(&self, a: &mut Attributes<'_>, template: &Value) -> Result<()> {
        if self.is_exempt(a) || self.is_exempt_class(a, &template["spec"]) {
            return Ok(());
        }
        // A namespace that is not there is another plugin's to refuse.
        if let Ok(policy) = self.policy(a.namespace).await {
            let subject = Subject { metadata: &template["metadata"], spec: &template["spec"] };
            note(a, &policy, &subject, false);
            warn(a, policy.warn, &subject);
        }
        Ok(())
    }

    async fn namespace(&self, a: &mut Attributes<'_>, namespace: &Value) -> Result<()> {
        let (new, old) = (self.of_namespace(namespace), a.old.map(|old| self.of_namespace(old)));
        if !new.errors.is_empty() && old.as_ref().is_none_or(|old| old.errors != new.errors) {
            return Err(Status::invalid(&a.resource.kind, a.name, &refused(&new)));
        }
        let (enforce, name) = (new.enforce, object::name(namespace));
        let exempt = self.configuration.exempts_namespace(name);
        let Some(old) = old.map(|old| old.enforce) else {
            if exempt {
                self.warn_exempt(a, namespace, &new);
            }
            return Ok(());
        };
        let eased = enforce.version == old.version && enforce.level <= old.level;
        if enforce.level == Level::Privileged || eased {
            return Ok(());
        }
        if exempt {
            self.warn_exempt(a, namespace, &new);
            return Ok(());
        }
        for warning in self.existing(name, enforce).await? {
            push(a, warning);
        }
        Ok(())
    }

    fn of_namespace(&self, namespace: &Value) -> Policy {
        Policy::of_labels(&self.configuration, |key| object::label(namespace, key))
    }

    /// That what the labels of an exempt namespace ask for will not be.
    fn warn_exempt(&self, a: &mut Attributes<'_>, namespace: &Value, policy: &Policy) {
        let Configuration { enforce, audit, warn, .. } = self.configuration;
        if policy.is_privileged() || (policy.enforce, policy.audit, policy.warn) == (enforce, audit, warn) {
            return;
        }
        let said = |mode: &str| {
            let label = |suffix: &str| format!("pod-security.kubernetes.io/{mode}{suffix}");
            ["", "-version"].iter().any(|suffix| object::label(namespace, &label(suffix)).is_some())
        };
        let modes = [("enforce", policy.enforce), ("audit", policy.audit), ("warn", policy.warn)];
        let ignored = modes.iter().filter(|(mode, standard)| standard.level != Level::Privileged && said(mode));
        let ignored: Vec<_> = ignored.map(|(mode, standard)| format!("{mode}={standard}")).collect();
        let (name, ignored) = (quote(object::name(namespace)), ignored.join(", "));
        push(a, format!("namespace {name} is exempt from Pod Security, and the policy ({ignored}) will be ignored"));
    }

    /// What to warn of when the pods of a namespace are to keep another standard from now on.
    async fn existing(&self, namespace: &str, enforce: Standard) -> Result<Vec<String>> {
        let deadline = self.reads.clock.instant() + MAX_TIME;
        let shelf = self.reads.shelf("", "pods")?;
        // One pod of each controller first: they are alike.
        let (mut pods, mut alike, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
        for pod in shelf.iter(Some(namespace)) {
            let is_new = pod.controller().is_none_or(|owner| seen.insert(owner.uid.into_owned()));
            if is_new { pods.push(pod) } else { alike.push(pod) }
        }
        pods.append(&mut alike);
        let (total, mut checked) = (pods.len(), 0);
        let mut found: BTreeMap<String, (&str, usize)> = BTreeMap::new();
        for pod in pods.into_iter().take(MAX_PODS) {
            tokio::task::consume_budget().await;
            let object = value(&shelf, pod)?;
            let violations = evaluate(enforce, &Subject { metadata: &object["metadata"], spec: &object["spec"] });
            if !violations.is_empty() {
                let first = found.entry(report::reasons(&violations)).or_insert((pod.name(), 0));
                *first = (first.0.min(pod.name()), first.1 + 1);
            }
            checked += 1;
            if self.reads.clock.instant() > deadline {
                break;
            }
        }
        let mut warnings = Vec::new();
        if checked < total {
            warnings.push(format!(
                "new PodSecurity enforce level only checked against the first {checked} of {total} existing pods"
            ));
        }
        if !found.is_empty() {
            warnings.push(format!(
                "existing pods in namespace {} violate the new PodSecurity enforce level \"{enforce}\"",
                quote(namespace)
            ));
        }
        let mut lines: Vec<_> = found.into_iter().map(|(reasons, (name, count))| told(name, count, &reasons)).collect();
        lines.sort_unstable();
        warnings.append(&mut lines);
        Ok(warnings)
    }
}

#[async_trait]
impl Plugin for PodSecurity {
    fn name(&self) -> &'static str {
        "PodSecurity"
    }

    fn handles(&self, a: &Attributes<'_>) -> bool {
        (a.creates() || a.updates())
            && (a.is_any("", "pods") || a.is("", "namespaces") || WORKLOADS.iter().any(|(g, r, _)| a.is(g, r)))
    }

    async fn validate(&self, a: &mut Attributes<'_>, object: Option<&Value>) -> Result<()> {
        let Some(object) = object else { return Ok(()) };
        if a.is_any("", "pods") {
            return self.pod(a, object).await;
        }
        if a.is("", "namespaces") {
            return self.namespace(a, object).await;
        }
        let path = WORKLOADS.iter().find(|(group, resource, _)| a.is(group, resource)).map(|(_, _, path)| *path);
        match path.and_then(|path| object.pointer(path)).filter(|template| template.is_object()) {
            Some(template) => self.workload(a, template).await,
            None => Ok(()),
        }
    }
}

/// What the labels of the namespace have wrong.
fn refused(policy: &Policy) -> Vec<FieldError> {
    let metadata = Path::Root.name("metadata");
    let labels = metadata.name("labels");
    let error = |(label, value, why): &(&str, String, &'static str)| {
        FieldError::invalid(&labels.key(label), value.as_str(), *why)
    };
    policy.errors.iter().map(error).collect()
}

/// For the request's record: what holds here, and what would be violated.
fn note(a: &Attributes<'_>, policy: &Policy, subject: &Subject<'_>, enforces: bool) {
    if !a.annotations.are_kept() {
        return;
    }
    if !policy.errors.is_empty() {
        let errors = aggregate(refused(policy).iter().map(|error| error.to_string().into()));
        a.annotations.add(UNREAD, format!("Failed to parse policy: {errors}"));
    }
    if enforces {
        a.annotations.add(ENFORCED, compact_str::format_compact!("{}", policy.enforce));
    }
    let violations = evaluate(policy.audit, subject);
    if !violations.is_empty() {
        let why = format!("would violate PodSecurity \"{}\": {}", policy.audit, report::details(&violations));
        a.annotations.add(VIOLATED, why);
    }
}

fn warn(a: &mut Attributes<'_>, standard: Standard, subject: &Subject<'_>) {
    let violations = evaluate(standard, subject);
    if !violations.is_empty() {
        push(a, format!("would violate PodSecurity \"{standard}\": {}", report::details(&violations)));
    }
}

fn push(a: &mut Attributes<'_>, warning: String) {
    let warning = CompactString::from(warning);
    if !a.warnings.contains(&warning) {
        a.warnings.push(warning);
    }
}

fn told(name: &str, count: usize, reasons: &str) -> String {
    match count - 1 {
        0 => format!("{name}: {reasons}"),
        others => format!("{name} (and {others} other {}): {reasons}", plural(others, "pod", "pods")),
    }
}

/// Whether an update makes the pod run something else: all else that is checked cannot change.
fn has_new_image(old: &Value, new: &Value) -> bool {
    let images = |spec: &Value, list: &str| -> Vec<String> {
        items(spec, list).map(|container| text(container, "image").to_owned()).collect()
    };
    if [pod::CONTAINERS, pod::INIT_CONTAINERS].iter().any(|list| images(old, list) != images(new, list)) {
        return true;
    }
    let known = |container: &Value| {
        let mut olds = items(old, pod::EPHEMERAL_CONTAINERS);
        let same = |field: &str, other: &Value| text(other, field) == text(container, field);
        olds.find(|other| same("name", other)).is_some_and(|other| same("image", other))
    };
    items(new, pod::EPHEMERAL_CONTAINERS).any(|container| !known(container))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    #[test]
    fn only_new_images_are_significant() {
        let spec = |image: &str, debugger: &str| {
            json!({"containers": [{"name": "c", "image": image}],
                "ephemeralContainers": [{"name": debugger, "image": "d"}], "tolerations": []})
        };
        let old = spec("i", "a");
        let mut tolerant = old.clone();
        tolerant["tolerations"] = json!([{"key": "k"}]);
        assert!(!has_new_image(&old, &tolerant));
        assert!(has_new_image(&old, &spec("j", "a")));
        assert!(has_new_image(&old, &spec("i", "b")));
        assert!(!has_new_image(&old, &json!({"containers": [{"name": "c", "image": "i"}]})));
    }

    #[test]
    fn pods_that_fail_alike_are_told_together() {
        assert_eq!(told("a", 1, "privileged"), "a: privileged");
        assert_eq!(told("a", 2, "privileged"), "a (and 1 other pod): privileged");
        assert_eq!(told("a", 3, "privileged"), "a (and 2 other pods): privileged");
    }
}
