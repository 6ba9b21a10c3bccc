//! PriorityClass: which pods go first.

use super::at::At;
use super::checks::meta::{MetaRules, object_meta, object_meta_update};
use super::checks::names::NameRule;
use super::fill::default;
use super::kind::{Cx, Generation, NONE, Rules};
use crate::model::field::FieldErrors;
use crate::model::value::Value;

pub const RULES: Rules = Rules {
    group: "scheduling.k8s.io",
    kind: "PriorityClass",
    generation: Generation::Fields(&[]),
    validate,
    validate_update,
    ..NONE
};

const META: MetaRules = MetaRules { namespaced: false, name: NameRule::Subdomain, kube_finalizers: true };
const HIGHEST_OF_USERS: i64 = 1_000_000_000;
/// Names that begin so are Kubernetes' own: (name, value).
const PREFIX: &str = "system-";
const SYSTEM: [(&str, i64); 2] = [("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000)];
const POLICIES: [&str; 2] = ["PreemptLowerPriority", "Never"];

/// The defaults of v1.
pub fn fill(object: &mut Value) {
    if let Some(fields) = object.as_object_mut() {
        default(fields, "preemptionPolicy", "PreemptLowerPriority");
    }
}

fn validate(_: &Cx, at: &At, errs: &mut FieldErrors) {
    let metadata = at.at("metadata");
    object_meta(&metadata, META, errs);
    let (name, value) = (metadata.at("name"), at.at("value"));
    if name.str().starts_with(PREFIX) {
        if let Some(why) = no_system_class(name.str(), value.i64(), at.at("globalDefault").bool()) {
            let detail =
                format!("priority class names with '{PREFIX}' prefix are reserved for system use only. error: {why}");
            name.forbidden(errs, detail);
        }
    } else if value.i64() > HIGHEST_OF_USERS {
        value.forbidden(errs, format!("maximum allowed value of a user defined priority is {HIGHEST_OF_USERS}"));
    }
    let policy = at.at("preemptionPolicy");
    match policy.str() {
        _ if policy.is_null() => {}
        "" => policy.required(errs, ""),
        known if POLICIES.contains(&known) => {}
        _ => policy.not_supported(errs, &POLICIES),
    }
}

fn no_system_class(name: &str, value: i64, default: bool) -> Option<String> {
    match SYSTEM.iter().find(|(known, _)| *known == name) {
        None => Some(format!("{name} is not a known system priority class")),
        Some((_, known)) if *known != value => Some(format!("value of {name} PriorityClass must be {known}")),
        Some(_) if default => Some(format!("globalDefault of {name} PriorityClass must be false")),
        Some(_) => None,
    }
}

fn validate_update(_: &Cx, at: &At, old: &At, errs: &mut FieldErrors) {
    object_meta_update(&at.at("metadata"), &old.at("metadata"), true, errs);
    if at.at("value").i64() != old.at("value").i64() {
        at.at("value").forbidden(errs, "may not be changed in an update.");
    }
    at.at("preemptionPolicy").immutable(errs, &old.at("preemptionPolicy"));
}

#[cfg(test)]
mod tests {
    use crate::model::value::json;
    use crate::rules::transcript::Kind;

    #[test]
    fn high_values_are_the_systems() {
        let kind = Kind::new("scheduling.k8s.io/v1", "PriorityClass");
        let class = |name: &str, value: i64| json!({"metadata": {"name": name}, "value": value});
        let kept = kind.create(class("a", 1_000_000_000)).expect("right");
        assert!(kept["preemptionPolicy"] == "PreemptLowerPriority" && kept["metadata"]["generation"] == 1);
        assert!(kind.create(class("system-node-critical", 2_000_001_000)).is_ok());
        let reserved = "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: ";
        for (name, value, found) in [
            (
                "a",
                1_000_000_001,
                "value: Forbidden: maximum allowed value of a user defined priority is 1000000000".to_owned(),
            ),
            ("system-a", 1, format!("{reserved}system-a is not a known system priority class")),
            (
                "system-cluster-critical",
                1,
                format!("{reserved}value of system-cluster-critical PriorityClass must be 2000000000"),
            ),
        ] {
            assert_eq!(kind.refused(class(name, value)), [found]);
        }
        let (old, mut new) = (class("a", 1), class("a", 2));
        new["preemptionPolicy"] = "Never".into();
        assert_eq!(
            kind.update("", old, new).unwrap_err(),
            [
                "value: Forbidden: may not be changed in an update.",
                "preemptionPolicy: Invalid value: \"Never\": field is immutable",
            ]
        );
    }
}
