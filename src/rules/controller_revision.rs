//! ControllerRevision: a state that a controller can go back to.

use super::at::At;
use super::checks::meta::{MetaRules, object_meta, object_meta_update};
use super::checks::names::NameRule;
use super::checks::numbers::non_negative;
use super::kind::{Cx, NONE, Rules};
use crate::model::field::FieldErrors;
use crate::model::value::Value;

pub const RULES: Rules = Rules {
    group: "apps",
    kind: "ControllerRevision",
    validate,
    validate_update: |_, at, old, errs| {
        object_meta_update(&at.at("metadata"), &old.at("metadata"), true, errs);
        revision(at, errs);
        at.at("data").immutable(errs, &old.at("data"));
    },
    ..NONE
};

const META: MetaRules = MetaRules { namespaced: true, name: NameRule::Subdomain, kube_finalizers: true };

fn validate(_: &Cx, at: &At, errs: &mut FieldErrors) {
    revision(at, errs);
    match at.at("data").value() {
        value if value.holds_object() => {}
        Value::Null => at.at("data").required(errs, "data is mandatory"),
        _ => at.at("data").required(errs, "data must be a valid JSON object"),
    }
}

fn revision(at: &At, errs: &mut FieldErrors) {
    object_meta(&at.at("metadata"), META, errs);
    non_negative(&at.at("revision"), errs);
}

#[cfg(test)]
mod tests {
    use crate::model::value::json;
    use crate::rules::transcript::Kind;

    #[test]
    fn its_data_is_an_object_and_stays() {
        let kind = Kind::new("apps/v1", "ControllerRevision");
        assert_eq!(
            kind.refused(json!({"revision": -1})),
            [
                "revision: Invalid value: -1: must be greater than or equal to 0",
                "data: Required value: data is mandatory",
            ]
        );
        assert_eq!(kind.refused(json!({"data": 5})), ["data: Required value: data must be a valid JSON object"]);
        let found = kind.update("", json!({"data": {"a": 1}}), json!({"data": {"a": 2}, "revision": 3})).unwrap_err();
        assert_eq!(found, ["data: Invalid value: {\"a\":2}: field is immutable"]);
    }
}
