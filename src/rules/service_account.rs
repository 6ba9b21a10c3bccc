//! ServiceAccount.

use super::at::At;
use super::checks::meta::{MetaRules, object_meta, object_meta_update};
use super::checks::names::NameRule;
use super::kind::{Cx, NONE, Rules};
use crate::model::value::{Value, json};

pub const RULES: Rules = Rules {
    group: "",
    kind: "ServiceAccount",
    returns_deleted: true,
    prepare_create: |_, new| only_names(new),
    prepare_update: |_, new, _| only_names(new),
    validate: |_, at, errs| object_meta(&at.at("metadata"), META, errs),
    validate_update: |_, at, old, errs| {
        object_meta_update(&at.at("metadata"), &old.at("metadata"), true, errs);
        object_meta(&at.at("metadata"), META, errs);
    },
    warn,
    ..NONE
};

const META: MetaRules = MetaRules { namespaced: true, name: NameRule::Subdomain, kube_finalizers: true };
const MOUNTABLE: &str = "kubernetes.io/enforce-mountable-secrets";

/// Secrets are referred to by their names alone.
fn only_names(object: &mut Value) {
    let secrets = object.get_mut("secrets").and_then(Value::as_array_mut);
    for secret in secrets.into_iter().flatten() {
        *secret = match secret.get("name") {
            Some(name) => json!({"name": name}),
            None => json!({}),
        };
    }
}

fn warn(_: &Cx, at: &At, old: Option<&At>, warnings: &mut Vec<String>) {
    let has = |at: &At| at.at("metadata").at("annotations").entry(MOUNTABLE).exists();
    if has(at) && !old.is_some_and(has) {
        warnings.push(format!(
            "metadata.annotations[{MOUNTABLE}]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets"
        ));
    }
}

#[cfg(test)]
mod tests {
    use crate::model::value::json;
    use crate::rules::transcript::Kind;

    #[test]
    fn secrets_are_named_only() {
        let kind = Kind::new("v1", "ServiceAccount");
        let kept = kind.create(json!({"secrets": [{"name": "a", "namespace": "b"}, {"kind": "c"}]})).expect("right");
        assert_eq!(kept["secrets"], json!([{"name": "a"}, {}]));
        let annotated = json!({"metadata": {"annotations": {"kubernetes.io/enforce-mountable-secrets": "true"}}});
        assert_eq!(kind.warnings(annotated).len(), 1);
    }
}
