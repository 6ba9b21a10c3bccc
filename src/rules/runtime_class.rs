//! RuntimeClass: how a node runs a pod's containers.

use super::at::At;
use super::checks::labels::labels;
use super::checks::meta::{MetaRules, object_meta, object_meta_update};
use super::checks::names::NameRule;
use super::kind::{Cx, NONE, Rules};
use super::pod;
use super::pod::options::Options;
use super::pod::warnings::old_node_label;
use crate::model::field::FieldErrors;
use crate::model::syntax::dns1123_label;

pub const RULES: Rules = Rules {
    group: "node.k8s.io",
    kind: "RuntimeClass",
    create_on_update: true,
    unconditional_update: false,
    validate: |_, at, errs| class(at, errs),
    validate_update: |_, at, old, errs| {
        class(at, errs);
        object_meta_update(&at.at("metadata"), &old.at("metadata"), false, errs);
        at.at("handler").immutable(errs, &old.at("handler"));
    },
    warn,
    ..NONE
};

const META: MetaRules = MetaRules { namespaced: false, name: NameRule::Subdomain, kube_finalizers: false };

fn class(at: &At, errs: &mut FieldErrors) {
    object_meta(&at.at("metadata"), META, errs);
    let handler = at.at("handler");
    if handler.is_empty() {
        handler.required(errs, "");
    } else {
        handler.check(errs, dns1123_label);
    }
    let overhead = at.at("overhead");
    pod::resources::overhead(&overhead.at("podFixed").placed(*overhead.path()), &Options::default(), errs);
    let scheduling = at.at("scheduling");
    labels(&scheduling.at("nodeSelector"), errs);
    tolerations(&scheduling.at("tolerations"), errs);
}

fn tolerations(at: &At, errs: &mut FieldErrors) {
    pod::tolerations::tolerations(at, false, errs);
    for (index, toleration) in at.items().enumerate() {
        let same = |other: &At| {
            ["key", "operator", "value", "effect"].iter().all(|f| other.at(f).str() == toleration.at(f).str())
        };
        if at.items().take(index).any(|other| same(&other)) {
            toleration.duplicate(errs);
        }
    }
}

fn warn(_: &Cx, at: &At, _: Option<&At>, warnings: &mut Vec<String>) {
    for (label, _) in at.at("scheduling").at("nodeSelector").entries() {
        if let Some(text) = old_node_label(label) {
            warnings.push(format!("scheduling.nodeSelector: {text}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::model::value::json;
    use crate::rules::transcript::Kind;

    #[test]
    fn handler_overhead_and_scheduling_are_judged() {
        let kind = Kind::new("node.k8s.io/v1", "RuntimeClass");
        let class = json!({"overhead": {"podFixed": {"hugepages-2Mi": "3Mi", "pods": "1"}}, "scheduling": {"tolerations": [
            {"operator": "Equal"}, {"key": "a", "operator": "Gt", "value": "1"}, {"operator": "Exists"}, {"operator": "Exists"}]}});
        assert_eq!(
            kind.refused(class),
            [
                "handler: Required value",
                "overhead.limits[hugepages-2Mi]: Invalid value: \"3Mi\": 3Mi is not positive integer multiple of hugepages-2Mi",
                "overhead.limits[pods]: Invalid value: \"pods\": must be a standard resource for containers",
                "overhead: Forbidden: HugePages require cpu or memory",
                "scheduling.tolerations[0].operator: Invalid value: \"Equal\": operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
                "scheduling.tolerations[1].operator: Unsupported value: \"Gt\": supported values: \"Equal\", \"Exists\", \"Lt\", \"Gt\"",
                "scheduling.tolerations[3]: Duplicate value: {\"Key\":\"\",\"Operator\":\"Exists\",\"Value\":\"\",\"Effect\":\"\",\"TolerationSeconds\":null}",
            ]
        );
        let found = kind.update("", json!({"handler": "a"}), json!({"handler": "b"})).unwrap_err();
        assert_eq!(found, ["handler: Invalid value: \"b\": field is immutable"]);
        let warned = kind.warnings(json!({"scheduling": {"nodeSelector": {"beta.kubernetes.io/os": "x"}}}));
        assert_eq!(warned, ["scheduling.nodeSelector: deprecated since v1.14; use \"kubernetes.io/os\" instead"]);
    }
}
