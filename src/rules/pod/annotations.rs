//! Annotations of a pod that mean something: static pods, the cost of deletion, old profiles and tolerations.

use crate::model::field::{FieldError, FieldErrors};
use crate::model::value::{Map, Value};
use crate::rules::at::At;
use crate::rules::checks::web::local_descending_path;

use super::options::Options;
use super::tolerations::tolerations;
use super::visit::{Containers, container_values};

pub const MIRROR: &str = "kubernetes.io/config.mirror";
pub const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
pub const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
pub const APPARMOR_CONTAINER: &str = "container.apparmor.security.beta.kubernetes.io/";
const TOLERATIONS: &str = "scheduler.alpha.kubernetes.io/tolerations";
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
const LOCALHOST: &str = "localhost/";

/// What a pod's or a template's annotations say; `at` is the map of annotations.
pub fn pod_annotations(at: &At, spec: &At, options: &Options, errs: &mut FieldErrors) {
    if at.is_empty() {
        return;
    }
    let mirror = at.entry(MIRROR);
    if mirror.exists() && spec.at("nodeName").is_empty() {
        mirror.invalid(errs, "must set spec.nodeName if mirror pod annotation is set");
    }
    if !at.entry(TOLERATIONS).is_empty() {
        old_tolerations(at, options, errs);
    }
    if !options.bad_deletion_cost && !is_deletion_cost_right(at) {
        at.entry(DELETION_COST).invalid(errs, "must be a 32bit integer");
    }
    if at.entry(SECCOMP_POD).exists() {
        seccomp(at, SECCOMP_POD, errs);
    }
    for (key, _) in at.entries().filter(|(key, _)| key.starts_with(SECCOMP_CONTAINER)) {
        seccomp(at, key, errs);
    }
    for (key, profile) in at.entries() {
        let Some(container) = key.strip_prefix(APPARMOR_CONTAINER) else { continue };
        if container_values(spec.value()).all(|c| c["name"] != container) {
            profile.invalid_as(errs, container, "container not found");
        }
        let known = ["", "runtime/default", "unconfined"].contains(&profile.str());
        if !known && !profile.str().starts_with(LOCALHOST) {
            let name = crate::model::gotext::quote(profile.str());
            profile.invalid(errs, format!("invalid AppArmor profile name: {name}"));
        }
    }
}

/// A changed pod keeps its profiles of AppArmor and stays static, or not.
pub fn pod_annotations_update(at: &At, before: &At, errs: &mut FieldErrors) {
    for (key, was) in before.entries() {
        let now = at.entry(key);
        if now.exists() && now.str() == was.str() {
            continue;
        }
        if key.starts_with(APPARMOR_CONTAINER) {
            now.forbidden(errs, "may not remove or update AppArmor annotations");
        }
        if key == MIRROR {
            now.forbidden(errs, "may not remove or update mirror pod annotation");
        }
    }
    for (key, now) in at.entries().filter(|(key, _)| !before.entry(key).exists()) {
        if key.starts_with(APPARMOR_CONTAINER) {
            now.forbidden(errs, "may not add AppArmor annotations");
        }
        if key == MIRROR {
            now.forbidden(errs, "may not add mirror pod annotation");
        }
    }
}

/// A whole number of 32 bits, without plus and leading zeros; absent is right.
pub fn is_deletion_cost_right(annotations: &At) -> bool {
    let cost = annotations.entry(DELETION_COST);
    let text = cost.str();
    let canonical = text == "0" || text.starts_with(|c: char| c == '-' || matches!(c, '1'..='9'));
    cost.is_null() || (canonical && text.parse::<i32>().is_ok())
}

fn old_tolerations(at: &At, options: &Options, errs: &mut FieldErrors) {
    let text = at.entry(TOLERATIONS).str();
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Array(items)) => {
            let items = items.into_iter().map(with_json_names).collect();
            tolerations(
                &At::new(&items, None).placed(at.path().name(TOLERATIONS)),
                options.comparing_tolerations,
                errs,
            );
        }
        Ok(Value::Null) => {}
        Ok(_) | Err(_) => at.invalid_as(errs, TOLERATIONS, json_fault(text)),
    }
}

/// Go reads the names of fields in any case; a field that is left out is the empty text.
fn with_json_names(item: Value) -> Value {
    const NAMES: [&str; 5] = ["key", "operator", "value", "effect", "tolerationSeconds"];
    let Value::Object(given) = item else { return item };
    let mut fields: Map = NAMES[..4].iter().map(|name| (*name, "")).collect();
    for (name, value) in given {
        if let Some(known) = NAMES.iter().find(|known| known.eq_ignore_ascii_case(&name)) {
            fields.insert((*known).into(), value);
        }
    }
    fields.into()
}

/// Why Go's `encoding/json` does not take the text as a list of tolerations.
fn json_fault(text: &str) -> String {
    let found = match serde_json::from_str::<Value>(text) {
        Ok(Value::String(_)) => "string",
        Ok(Value::Number(_)) => "number",
        Ok(Value::Bool(_)) => "bool",
        Ok(_) => "object",
        Err(why) if why.is_eof() => return "unexpected end of JSON input".to_owned(),
        Err(why) => {
            let at = why.column().saturating_sub(1);
            let letter = text.lines().nth(why.line().saturating_sub(1)).and_then(|line| line.get(at..)?.chars().next());
            let letter = letter.unwrap_or(' ');
            let begins = text.trim_start().starts_with(letter) && text[..at.min(text.len())].trim().is_empty();
            let place = if begins { "looking for beginning of value" } else { "after top-level value" };
            return format!("invalid character '{letter}' {place}");
        }
    };
    format!("json: cannot unmarshal {found} into Go value of type []core.Toleration")
}

fn seccomp(at: &At, key: &str, errs: &mut FieldErrors) {
    let profile = at.entry(key);
    let place = at.path().name(key);
    let profile = profile.placed(place);
    match profile.str() {
        "runtime/default" | "docker/default" | "unconfined" => {}
        text => match text.strip_prefix(LOCALHOST) {
            Some(path) => local_descending_path(&At::new(&path.into(), None).placed(place), errs),
            None => profile.invalid(errs, "must be a valid seccomp profile"),
        },
    }
}

/// Where a container or the pod has a profile in an annotation and in a field, both say the same.
pub fn profiles_match(annotations: &At, spec: &At, errs: &mut FieldErrors) {
    if annotations.is_empty() {
        return;
    }
    let context = spec.at("securityContext");
    let profile = context.at("seccompProfile");
    match_seccomp(annotations.entry(SECCOMP_POD).value(), &profile, errs);
    let lists = Containers::of(spec);
    for container in lists.iter() {
        let key = format!("{SECCOMP_CONTAINER}{}", container.at("name").str());
        let context = container.at("securityContext");
        match_seccomp(annotations.entry(&key).value(), &context.at("seccompProfile"), errs);
    }
    if spec.at("os").at("name").str() == "windows" {
        return;
    }
    let of_pod = context.at("appArmorProfile");
    for container in lists.iter() {
        let key = format!("{APPARMOR_CONTAINER}{}", container.at("name").str());
        let context = container.at("securityContext");
        let own = context.at("appArmorProfile");
        let profile = if own.exists() { own } else { of_pod };
        match_profile(annotations.entry(&key).value(), &profile, &own, "apparmor", errs);
    }
}

fn match_seccomp(annotation: &Value, profile: &At, errs: &mut FieldErrors) {
    let same = annotation == "docker/default" && profile.at("type").str() == "RuntimeDefault";
    if !same {
        match_profile(annotation, profile, profile, "seccomp", errs);
    }
}

fn match_profile(annotation: &Value, profile: &At, place: &At, kind: &str, errs: &mut FieldErrors) {
    let Some(annotation) = annotation.as_str() else { return };
    let of_type = match profile.at("type").str() {
        "Unconfined" => annotation == "unconfined",
        "RuntimeDefault" => annotation == "runtime/default",
        "Localhost" => match annotation.strip_prefix(LOCALHOST) {
            Some(path) => {
                let local = profile.at("localhostProfile");
                if local.is_null() || local.str() != path {
                    let detail = format!("{kind} profile in annotation and field must match");
                    errs.push(FieldError::forbidden(&place.path().name("localhostProfile"), detail));
                }
                true
            }
            None => false,
        },
        _ => true,
    };
    if !of_type {
        let detail = format!("{kind} type in annotation and field must match");
        errs.push(FieldError::forbidden(&place.path().name("type"), detail));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;
    use crate::schema::table;

    #[test]
    fn annotations_with_a_meaning() {
        let pod = json!({"metadata": {"annotations": {
            MIRROR: "x", DELETION_COST: "+1", SECCOMP_POD: "localhost/../a",
            "container.apparmor.security.beta.kubernetes.io/b": "localhost/a",
            TOLERATIONS: "[{\"Key\": \"\"}]"}},
            "spec": {"containers": [{"name": "a"}]}});
        let (root, mut errs) = (At::new(&pod, table::message("k8s.io.api.core.v1.Pod")), FieldErrors::new());
        pod_annotations(&root.at("metadata").at("annotations"), &root.at("spec"), &Options::default(), &mut errs);
        let found: Vec<_> = errs.iter().map(|e| e.to_string().replace("metadata.annotations", "")).collect();
        assert_eq!(
            found,
            [
                "[kubernetes.io/config.mirror]: Invalid value: \"x\": must set spec.nodeName if mirror pod annotation is set",
                ".scheduler.alpha.kubernetes.io/tolerations[0].operator: Invalid value: \"\": operator must be Exists when \
                 `key` is empty, which means \"match all values and all keys\"",
                "[controller.kubernetes.io/pod-deletion-cost]: Invalid value: \"+1\": must be a 32bit integer",
                ".seccomp.security.alpha.kubernetes.io/pod: Invalid value: \"../a\": must not contain '..'",
                "[container.apparmor.security.beta.kubernetes.io/b]: Invalid value: \"b\": container not found",
            ]
        );
    }

    #[test]
    fn profiles_in_annotations_and_fields_match() {
        let pod = json!({"metadata": {"annotations": {
            SECCOMP_POD: "docker/default",
            "container.seccomp.security.alpha.kubernetes.io/a": "localhost/x",
            "container.apparmor.security.beta.kubernetes.io/a": "unconfined"}},
            "spec": {"securityContext": {"seccompProfile": {"type": "RuntimeDefault"},
                                         "appArmorProfile": {"type": "RuntimeDefault"}},
            "containers": [{"name": "a", "securityContext": {
                "seccompProfile": {"type": "Localhost", "localhostProfile": "y"}}}]}});
        let (root, mut errs) = (At::new(&pod, table::message("k8s.io.api.core.v1.Pod")), FieldErrors::new());
        profiles_match(&root.at("metadata").at("annotations"), &root.at("spec"), &mut errs);
        let found: Vec<_> = errs.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "spec.containers[0].securityContext.seccompProfile.localhostProfile: Forbidden: seccomp profile in annotation \
                 and field must match",
                "spec.containers[0].securityContext.appArmorProfile.type: Forbidden: apparmor type in annotation and field \
                 must match",
            ]
        );
    }
}
