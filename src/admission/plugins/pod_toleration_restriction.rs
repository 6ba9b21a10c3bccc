//! PodTolerationRestriction: the pods of a namespace tolerate what it says by default, and nothing that it does not allow.

use async_trait::async_trait;

use crate::admission::chain::{Attributes, Plugin};
use crate::admission::configuration::check_kind;
use crate::admission::pod::{is_best_effort, items, text};
use crate::admission::reads::Reads;
use crate::codec::json::decode::decode;
use crate::model::field::FieldErrors;
use crate::model::names::GroupResource;
use crate::model::object;
use crate::model::status::{Result, Status};
use crate::model::value::{Value, json};
use crate::rules::at::At;
use crate::rules::pod::tolerations::tolerations;
use crate::schema::table::API_CORE_V1_PODSPEC;

const VERSIONS: [&str; 1] = ["podtolerationrestriction.admission.k8s.io/v1alpha1"];
const DEFAULTS: &str = "scheduler.alpha.kubernetes.io/defaultTolerations";
const ALLOWED: &str = "scheduler.alpha.kubernetes.io/tolerationsWhitelist";

pub struct PodTolerationRestriction {
    reads: Reads,
    /// Of namespaces that say nothing of their own.
    defaults: Vec<Value>,
    allowed: Vec<Value>,
}

impl PodTolerationRestriction {
    pub fn new(reads: &Reads) -> std::result::Result<Self, String> {
        let none = Value::Null;
        let configuration = reads.configurations.get("PodTolerationRestriction").unwrap_or(&none);
        if !configuration.is_null() {
            check_kind(configuration, &VERSIONS, "Configuration")?;
        }
        let mut errors = FieldErrors::new();
        for list in ["default", "whitelist"] {
            let holder = json!({"podtolerationrestriction": {list: configuration[list].clone()}});
            let at = At::new(&holder, None);
            tolerations(&at.at("podtolerationrestriction").at(list), false, &mut errors);
        }
        if !errors.is_empty() {
            let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
            return Err(format!("invalid config: [{}]", errors.join(", ")));
        }
        let list = |list: &str| items(configuration, list).cloned().collect();
        Ok(Self { reads: reads.clone(), defaults: list("default"), allowed: list("whitelist") })
    }

    async fn namespace(&self, name: &str) -> Result<Value> {
        let found = self.reads.get_sure("", "namespaces", "", name).await?;
        found.ok_or_else(|| Status::not_found(&GroupResource::new("", "namespaces"), name))
    }

    fn check(&self, namespace: &Value, pod: &Value) -> Result<()> {
        let own = annotated(namespace, ALLOWED)?;
        let (allowed, scope) = match &own {
            Some(own) => (own, "namespace"),
            None => (&self.allowed, "cluster"),
        };
        let is_allowed = |toleration: &Value| allowed.iter().any(|allowed| covers(allowed, toleration));
        if allowed.is_empty() || items(&pod["spec"], "tolerations").all(is_allowed) {
            return Ok(());
        }
        Err(Status::unknown(format!(
            "pod tolerations (possibly merged with namespace default tolerations) conflict with its {scope} whitelist"
        )))
    }
}

#[async_trait]
impl Plugin for PodTolerationRestriction {
    fn name(&self) -> &'static str {
        "PodTolerationRestriction"
    }

    fn handles(&self, a: &Attributes<'_>) -> bool {
        a.is("", "pods") && (a.creates() || a.updates())
    }

    async fn admit(&self, a: &mut Attributes<'_>, pod: Option<&mut Value>) -> Result<()> {
        let Some(pod) = pod else { return Ok(()) };
        let namespace = self.namespace(a.namespace).await?;
        let mut more = Vec::new();
        if a.creates() {
            more = annotated(&namespace, DEFAULTS)?.unwrap_or_else(|| self.defaults.clone());
        }
        if !is_best_effort(&pod["spec"]) {
            let key = "node.kubernetes.io/memory-pressure";
            more.push(json!({"key": key, "operator": "Exists", "effect": "NoSchedule"}));
        }
        if !more.is_empty() {
            let all: Vec<Value> = items(&pod["spec"], "tolerations").cloned().chain(more).collect();
            pod["spec"]["tolerations"] = Value::Array(merged(all));
        }
        self.check(&namespace, pod)
    }

    async fn validate(&self, a: &mut Attributes<'_>, pod: Option<&Value>) -> Result<()> {
        let Some(pod) = pod.filter(|pod| items(&pod["spec"], "tolerations").next().is_some()) else { return Ok(()) };
        let namespace = self.namespace(a.namespace).await?;
        self.check(&namespace, pod)
    }
}

/// The tolerations in an annotation; `None` where there is none, and none where it is empty.
fn annotated(namespace: &Value, key: &str) -> Result<Option<Vec<Value>>> {
    let Some(text) = object::annotation(namespace, key) else { return Ok(None) };
    if text.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let spec = format!("{{\"tolerations\":{text}}}");
    let decoded = decode(spec.as_bytes(), &API_CORE_V1_PODSPEC).map_err(Status::unknown)?;
    Ok(Some(items(&decoded.value, "tolerations").cloned().collect()))
}

/// Without those that others cover. Of equal ones the first stays.
fn merged(all: Vec<Value>) -> Vec<Value> {
    let mut kept: Vec<Value> = Vec::new();
    for (at, toleration) in all.iter().enumerate() {
        let covered = |other: &Value| covers(other, toleration);
        let later = |other: &Value| !same(other, toleration) && covers(other, toleration);
        if !kept.iter().any(covered) && !all[at + 1..].iter().any(later) {
            kept.push(toleration.clone());
        }
    }
    kept
}

fn same(one: &Value, other: &Value) -> bool {
    ["key", "operator", "value", "effect"].iter().all(|field| text(one, field) == text(other, field))
        && one["tolerationSeconds"] == other["tolerationSeconds"]
}

/// Whether `wide` tolerates all that `narrow` does.
fn covers(wide: &Value, narrow: &Value) -> bool {
    if same(wide, narrow) {
        return true;
    }
    let operator = text(wide, "operator");
    if text(narrow, "key") != text(wide, "key") && (!text(wide, "key").is_empty() || operator != "Exists") {
        return false;
    }
    let effect = text(wide, "effect");
    if text(narrow, "effect") != effect && !effect.is_empty() {
        return false;
    }
    if effect == "NoExecute"
        && let Some(most) = wide["tolerationSeconds"].as_i64()
        && narrow["tolerationSeconds"].as_i64().is_none_or(|seconds| seconds > most)
    {
        return false;
    }
    match operator {
        "" | "Equal" => text(narrow, "operator") == "Equal" && text(narrow, "value") == text(wide, "value"),
        other => other == "Exists",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `key operator value effect seconds`, `-` for none.
    fn toleration(text: &str) -> Value {
        let words: Vec<&str> = text.split(' ').collect();
        let mut toleration = json!({});
        for (field, word) in ["key", "operator", "value", "effect", "tolerationSeconds"].into_iter().zip(words) {
            match (word, field) {
                ("-", _) => {}
                (number, "tolerationSeconds") => toleration[field] = number.parse::<i64>().expect("a number").into(),
                (word, _) => toleration[field] = word.into(),
            }
        }
        toleration
    }

    #[test]
    fn a_wider_one_covers_a_narrower_one() {
        for (wide, narrow, expected) in [
            ("a Exists - -", "a Equal v NoSchedule", true),
            ("- Exists - -", "b Equal v NoExecute 5", true),
            ("a Exists - NoSchedule", "a Exists - NoExecute", false),
            ("a Equal v -", "a Equal v NoSchedule", true),
            ("a Equal v -", "a - v NoSchedule", false),
            ("a - v NoSchedule", "a - v NoSchedule", true),
            ("a Exists - NoExecute 10", "a Exists - NoExecute 5", true),
            ("a Exists - NoExecute 10", "a Exists - NoExecute 15", false),
            ("a Exists - NoExecute 10", "a Exists - NoExecute", false),
        ] {
            assert_eq!(covers(&toleration(wide), &toleration(narrow)), expected, "{wide} {narrow}");
        }
    }

    #[test]
    fn what_others_cover_goes() {
        let merge = |all: &[&str]| merged(all.iter().map(|text| toleration(text)).collect());
        let wide = "a Exists - -";
        assert_eq!(merge(&["a Equal v -", wide, wide]), [toleration(wide)]);
        assert_eq!(merge(&["b Exists - -", wide]).len(), 2);
    }

    #[test]
    fn an_annotation_is_a_list_or_wrong() {
        let namespace = |text: &str| json!({"metadata": {"annotations": {ALLOWED: text}}});
        assert_eq!(annotated(&namespace(""), ALLOWED).expect("empty"), Some(Vec::new()));
        assert_eq!(annotated(&json!({}), ALLOWED).expect("none"), None);
        let list = annotated(&namespace("[{\"key\":\"a\",\"operator\":\"Exists\"}]"), ALLOWED).expect("a list");
        assert_eq!(list, Some(vec![toleration("a Exists - -")]));
        assert_eq!(annotated(&namespace("{}"), ALLOWED).expect_err("no list").code, 500);
    }
}
