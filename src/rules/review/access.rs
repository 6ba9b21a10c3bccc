//! SubjectAccessReview, LocalSubjectAccessReview and SelfSubjectAccessReview: may somebody do something.

use crate::model::field::{Bad, FieldErrors};
use crate::rules::at::At;
use crate::rules::checks::labels::{SelectorLeniency, field_requirement, label_requirement};
use crate::rules::kind::{NONE, Rules};

pub const SUBJECT: Rules = Rules {
    group: GROUP,
    kind: "SubjectAccessReview",
    validate: |_, at, errs| {
        spec(&at.at("spec"), true, errs);
        no_metadata(at, &[], "must be empty", errs);
    },
    ..NONE
};

pub const LOCAL_SUBJECT: Rules =
    Rules { group: GROUP, kind: "LocalSubjectAccessReview", validate: |_, at, errs| local(at, errs), ..NONE };

pub const SELF_SUBJECT: Rules = Rules {
    group: GROUP,
    kind: "SelfSubjectAccessReview",
    validate: |_, at, errs| {
        spec(&at.at("spec"), false, errs);
        no_metadata(at, &[], "must be empty", errs);
    },
    ..NONE
};

const GROUP: &str = "authorization.k8s.io";

fn local(at: &At, errs: &mut FieldErrors) {
    let spec = at.at("spec");
    self::spec(&spec, true, errs);
    no_metadata(at, &["namespace"], "must be empty except for namespace", errs);
    let (resource, url) = (spec.at("resourceAttributes"), spec.at("nonResourceAttributes"));
    let namespace = resource.at("namespace");
    if resource.exists() && namespace.str() != at.at("metadata").at("namespace").str() {
        namespace.invalid(errs, "must match metadata.namespace");
    }
    if url.exists() {
        url.invalid(errs, "disallowed on this kind of request");
    }
}

fn spec(at: &At, names_subject: bool, errs: &mut FieldErrors) {
    let (resource, url) = (at.at("resourceAttributes"), at.at("nonResourceAttributes"));
    match (resource.exists(), url.exists()) {
        (true, true) => url.invalid(errs, "cannot be specified in combination with resourceAttributes"),
        (false, false) => {
            let detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            resource.invalid_as(errs, Bad::plain("null"), detail);
        }
        _ => {}
    }
    if names_subject && at.at("user").is_empty() && at.at("groups").is_empty() {
        at.at("user").invalid(errs, "at least one of user or group must be specified");
    }
    // Operators that are not known yet may come from newer clients.
    let leniency = SelectorLeniency { unknown_operators: true, ..SelectorLeniency::default() };
    let requirement = |at: &At, errs: &mut FieldErrors| field_requirement(at, leniency, errs);
    selector(&resource.at("fieldSelector"), requirement, errs);
    let requirement = |at: &At, errs: &mut FieldErrors| label_requirement(at, leniency, errs);
    selector(&resource.at("labelSelector"), requirement, errs);
}

fn selector(at: &At, requirement: impl Fn(&At, &mut FieldErrors), errs: &mut FieldErrors) {
    if at.is_null() {
        return;
    }
    let (raw, requirements) = (at.at("rawSelector"), at.at("requirements"));
    if !raw.is_empty() && !requirements.is_empty() {
        raw.invalid(errs, "may not specified at the same time as requirements");
    }
    if raw.is_empty() && requirements.is_empty() {
        let detail = format!("when {} is specified, requirements or rawSelector is required", at.path());
        requirements.required(errs, detail);
    }
    for item in requirements.items() {
        requirement(&item, errs);
    }
}

fn no_metadata(at: &At, except: &[&str], detail: &'static str, errs: &mut FieldErrors) {
    let metadata = at.at("metadata");
    let set = |(name, value): (&str, At)| !value.is_empty() && name != "managedFields" && !except.contains(&name);
    if metadata.entries().any(set) {
        metadata.invalid(errs, detail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::{Value, json};
    use crate::rules::kind::Cx;
    use crate::schema::table;

    fn refused(rules: &Rules, object: &Value) -> Vec<String> {
        let message = table::message(&format!("k8s.io.api.authorization.v1.{}", rules.kind));
        let mut errs = FieldErrors::new();
        (rules.validate)(&Cx::for_tests(), &At::new(object, message), &mut errs);
        errs.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_review_asks_about_a_resource_or_a_url() {
        assert_eq!(
            refused(&SUBJECT, &json!({"metadata": {"name": "x", "labels": {}, "managedFields": [{}]}})),
            [
                "spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes \
                 must be specified",
                "spec.user: Invalid value: \"\": at least one of user or group must be specified",
                "metadata: Invalid value: {\"name\":\"x\",\"managedFields\":[{}]}: must be empty",
            ]
        );
        let both = json!({"spec": {"resourceAttributes": {}, "nonResourceAttributes": {"path": "/x"}}});
        assert_eq!(
            refused(&SELF_SUBJECT, &both),
            ["spec.nonResourceAttributes: Invalid value: {\"Path\":\"/x\",\"Verb\":\"\"}: cannot be specified in \
              combination with resourceAttributes"]
        );
    }

    #[test]
    fn a_local_review_asks_about_its_namespace() {
        let review = json!({"metadata": {"namespace": "a"},
            "spec": {"user": "u", "resourceAttributes": {"namespace": "b"}}});
        assert_eq!(
            refused(&LOCAL_SUBJECT, &review),
            ["spec.resourceAttributes.namespace: Invalid value: \"b\": must match metadata.namespace"]
        );
    }

    #[test]
    fn selectors_are_written_one_way() {
        let review = json!({"spec": {"resourceAttributes": {"fieldSelector": {},
            "labelSelector": {"rawSelector": "a", "requirements": [
                {"key": "a", "operator": "Later"}, {"key": "a", "operator": "In"}]}}}});
        assert_eq!(
            refused(&SELF_SUBJECT, &review),
            [
                "spec.resourceAttributes.fieldSelector.requirements: Required value: when \
                 spec.resourceAttributes.fieldSelector is specified, requirements or rawSelector is required",
                "spec.resourceAttributes.labelSelector.rawSelector: Invalid value: \"a\": may not specified at the same \
                 time as requirements",
                "spec.resourceAttributes.labelSelector.requirements[1].values: Required value: must be specified when \
                 `operator` is 'In' or 'NotIn'",
            ]
        );
    }
}
