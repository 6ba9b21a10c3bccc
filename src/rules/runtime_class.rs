//! RuntimeClass: how a node runs a pod's containers.

use super::at::At;
use super::checks::labels::{label_name, labels};
use super::checks::meta::{MetaRules, object_meta, object_meta_update};
use super::checks::names::NameRule;
use super::checks::resources::{container_resource_name, is_huge_page, resource_quantity};
use super::kind::{Cx, NONE, Rules};
use super::node;
use crate::model::field::FieldErrors;
use crate::model::quantity::Quantity;
use crate::model::syntax::{dns1123_label, label_value};

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
/// Labels of nodes that have a successor: (label, what is said of it).
const OLD_LABELS: [(&str, &str); 8] = [
    ("beta.kubernetes.io/arch", "deprecated since v1.14; use \"kubernetes.io/arch\" instead"),
    ("beta.kubernetes.io/os", "deprecated since v1.14; use \"kubernetes.io/os\" instead"),
    (
        "failure-domain.beta.kubernetes.io/region",
        "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead",
    ),
    ("failure-domain.beta.kubernetes.io/zone", "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead"),
    ("beta.kubernetes.io/instance-type", "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead"),
    ("app.kubernetes.io/created-by", "deprecated since v1.9"),
    ("scheduler.alpha.kubernetes.io/preferAvoidPods", "deprecated since v1.22; use Taints and Tolerations instead"),
    ("node-role.kubernetes.io/master", "use \"node-role.kubernetes.io/control-plane\" instead"),
];

fn class(at: &At, errs: &mut FieldErrors) {
    object_meta(&at.at("metadata"), META, errs);
    let handler = at.at("handler");
    if handler.is_empty() {
        handler.required(errs, "");
    } else {
        handler.check(errs, dns1123_label);
    }
    if at.has("overhead") {
        overhead(&at.at("overhead"), errs);
    }
    let scheduling = at.at("scheduling");
    labels(&scheduling.at("nodeSelector"), errs);
    tolerations(&scheduling.at("tolerations"), errs);
}

/// Judged as limits of a container, and so are the places of its errors.
fn overhead(at: &At, errs: &mut FieldErrors) {
    let fixed = at.at("podFixed");
    let limits = fixed.placed(at.path().name("limits"));
    let (mut basic, mut huge) = (false, false);
    for (name, amount) in limits.entries() {
        container_resource_name(&amount, name, errs);
        resource_quantity(&amount, name, errs);
        basic |= ["cpu", "memory"].contains(&name);
        if is_huge_page(name) {
            huge = true;
            let quantity = amount.quantity();
            if !is_multiple(&quantity, name.strip_prefix("hugepages-").unwrap_or("")) {
                let detail = format!("{quantity} is not positive integer multiple of {name}");
                amount.invalid_as(errs, &quantity.to_string(), detail);
            }
        }
    }
    if huge && !basic {
        at.forbidden(errs, "HugePages require cpu or memory");
    }
}

fn is_multiple(quantity: &Quantity, size: &str) -> bool {
    let size = Quantity::parse(size).unwrap_or(Quantity::ZERO);
    let whole = size.sign() > 0 && size.milli_value() % 1000 == 0 && size.value() != 0;
    whole && quantity.value() % size.value() == 0
}

fn tolerations(at: &At, errs: &mut FieldErrors) {
    for toleration in at.items() {
        self::toleration(&toleration, errs);
    }
    for (index, toleration) in at.items().enumerate() {
        let same = |other: &At| {
            ["key", "operator", "value", "effect"].iter().all(|f| other.at(f).str() == toleration.at(f).str())
        };
        if at.items().take(index).any(|other| same(&other)) {
            toleration.duplicate(errs);
        }
    }
}

fn toleration(at: &At, errs: &mut FieldErrors) {
    let (key, operator, value, effect) = (at.at("key"), at.at("operator"), at.at("value"), at.at("effect"));
    if !key.is_empty() {
        label_name(&key, errs);
    } else if operator.str() != "Exists" {
        let detail = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
        operator.invalid(errs, detail);
    }
    if at.has("tolerationSeconds") && effect.str() != "NoExecute" {
        effect.invalid(errs, "effect must be 'NoExecute' when `tolerationSeconds` is set");
    }
    match operator.str() {
        "" | "Equal" => {
            let wrong = label_value(value.str());
            if !wrong.is_empty() {
                operator.invalid_as(errs, value.str(), wrong.join(";"));
            }
        }
        "Exists" if !value.is_empty() => {
            operator.invalid_as(errs, value.str(), "value must be empty when `operator` is 'Exists'");
        }
        "Exists" => {}
        "Lt" | "Gt" => operator.not_supported(errs, &["Equal", "Exists", "Lt", "Gt"]),
        _ => operator.not_supported(errs, &["Equal", "Exists"]),
    }
    if !effect.is_empty() {
        node::effect(effect.path(), effect.str(), true, errs);
    }
}

fn warn(_: &Cx, at: &At, _: Option<&At>, warnings: &mut Vec<String>) {
    for (label, _) in at.at("scheduling").at("nodeSelector").entries() {
        if let Some((_, text)) = OLD_LABELS.iter().find(|(old, _)| *old == label) {
            warnings.push(format!("scheduling.nodeSelector: {text}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::transcript::Kind;
    use serde_json::json;

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
