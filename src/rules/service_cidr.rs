//! ServiceCIDR: networks from which Services get their addresses.

use super::at::At;
use super::checks::meta::{MetaRules, object_meta, object_meta_update};
use super::checks::names::NameRule;
use super::checks::network::{cidr, cidr_family};
use super::kind::{Cx, NONE, Part, Rules, STATUS, Status};
use crate::model::field::{FieldError, FieldErrors};
use crate::model::object;
use crate::model::value::Value;

pub const RULES: Rules = Rules {
    group: "networking.k8s.io",
    kind: "ServiceCIDR",
    status: Status::Separate,
    validate: |_, at, errs| {
        object_meta(&at.at("metadata"), META, errs);
        spec(&at.at("spec"), errs);
    },
    validate_update,
    parts: &[Part {
        prepare: keep_metadata,
        validate: |_, at, old, errs| object_meta_update(&at.at("metadata"), &old.at("metadata"), true, errs),
        ..STATUS
    }],
    ..NONE
};

const META: MetaRules = MetaRules { namespaced: false, name: NameRule::Subdomain, kube_finalizers: true };
const IMMUTABLE: &str = "field is immutable";

fn spec(at: &At, errs: &mut FieldErrors) {
    let cidrs = at.at("cidrs");
    match cidrs.len() {
        0 => return cidrs.required(errs, "at least one CIDR required"),
        1 | 2 => cidrs.items().for_each(|item| cidr(&item, errs)),
        _ => return errs.push(FieldError::invalid(cidrs.path(), at.bad(), "may only hold up to 2 values")),
    }
    let family = |index| cidr_family(cidrs.item(index).str());
    if cidrs.len() == 2 && family(0).is_some() && family(0) == family(1) {
        cidrs.invalid(errs, "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64");
    }
}

/// A network stays; a second one of the other family may come.
fn validate_update(_: &Cx, at: &At, old: &At, errs: &mut FieldErrors) {
    object_meta_update(&at.at("metadata"), &old.at("metadata"), true, errs);
    let (now, was) = (at.at("spec"), old.at("spec"));
    let (cidrs, before) = (now.at("cidrs"), was.at("cidrs"));
    let grows = before.len() == 1 && cidrs.len() == 2;
    if !grows && cidrs.len() != before.len() {
        return cidrs.invalid(errs, IMMUTABLE);
    }
    for (item, before) in cidrs.items().zip(before.strs()) {
        if item.str() != before {
            item.invalid(errs, IMMUTABLE);
        }
    }
    if grows {
        spec(&now, errs);
    }
}

/// A writer of the status changes no labels, annotations, finalizers and owners.
fn keep_metadata(_: &Cx, new: &mut Value, old: &Value) {
    for field in ["deletionTimestamp", "labels", "annotations", "finalizers", "ownerReferences"] {
        let before = object::metadata(old).and_then(|metadata| metadata.get(field));
        object::set_meta(new, field, before.cloned().unwrap_or(Value::Null));
    }
}

#[cfg(test)]
mod tests {
    use crate::model::value::json;
    use crate::rules::transcript::Kind;

    #[test]
    fn a_second_family_may_come() {
        let kind = Kind::new("networking.k8s.io/v1", "ServiceCIDR");
        let cidrs = |cidrs: &[&str]| json!({"spec": {"cidrs": cidrs}});
        let (v4, v6) = ("10.96.0.0/16", "2001:db8::/64");
        for (old, new, found) in [
            (vec![v4], vec![v4, v6], ""),
            (vec![v4], vec![v6], "spec.cidrs[0]: Invalid value: \"2001:db8::/64\": field is immutable"),
            (vec![v4, v6], vec![v4], "spec.cidrs: Invalid value: [\"10.96.0.0/16\"]: field is immutable"),
            (
                vec![v4],
                vec![v4, "10.97.0.0/16"],
                "spec.cidrs: Invalid value: [\"10.96.0.0/16\",\"10.97.0.0/16\"]: may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64",
            ),
        ] {
            let errors = kind.update("", cidrs(&old), cidrs(&new)).err().unwrap_or_default();
            assert_eq!(errors.join("; "), found);
        }
        assert_eq!(kind.refused(cidrs(&[])), ["spec.cidrs: Required value: at least one CIDR required"]);
    }

    #[test]
    fn the_status_brings_no_labels() {
        let kind = Kind::new("networking.k8s.io/v1", "ServiceCIDR");
        let old = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"cidrs": ["10.96.0.0/16"]}});
        let new = json!({"metadata": {"annotations": {"c": "d"}}, "status": {"conditions": []}});
        let kept = kind.update("status", old.clone(), new).expect("right");
        assert_eq!((&kept["metadata"]["labels"], &kept["metadata"]["annotations"]), (&json!({"a": "b"}), &json!(null)));
        assert_eq!((&kept["spec"], &kept["status"]), (&old["spec"], &json!({"conditions": []})));
    }
}
