//! What a node says of a pod's containers: ended ones do not come back, users and resources are real.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::field::{FieldError, FieldErrors};
use crate::model::value::Value;
use crate::rules::at::At;
use crate::rules::checks::choices;
use crate::rules::checks::numbers::user_id;

const STATUSES: [(&str, &str); 3] = [
    ("containerStatuses", "containers"),
    ("initContainerStatuses", "initContainers"),
    ("ephemeralContainerStatuses", "ephemeralContainers"),
];
const HEALTH_MESSAGE_BYTES: usize = 1024;

/// An ended container may start again only where a restart policy says so.
pub fn state_transitions(status: &At, before: &At, spec: &At, errs: &mut FieldErrors) {
    let all_could_restart = all_could_restart(spec.value());
    for (list, containers) in STATUSES {
        if containers != "ephemeralContainers" && all_could_restart {
            continue;
        }
        let now: BTreeMap<_, _> = status.at(list).items().map(|s| (s.at("name").str(), s.value())).collect();
        let by_name = by_name(spec.at(containers).value());
        for (index, was) in before.at(list).items().enumerate() {
            let Some(code) = exit_code(was.value()) else { continue };
            let name = was.at("name").str();
            let runs_again = now.get(name).is_some_and(|now| now["state"].get("terminated").is_none());
            let may = containers != "ephemeralContainers"
                && by_name.get(name).is_some_and(|container| restarts(container, spec.value(), code));
            if runs_again && !may {
                let place = status.path().name(list);
                let place = place.index(index);
                let detail = "may not be transitioned to non-terminated state";
                errs.push(FieldError::forbidden(&place.name("state"), detail));
            }
        }
    }
}

fn by_name(list: &Value) -> BTreeMap<&str, &Value> {
    let items = list.as_array().into_iter().flatten();
    items.rev().map(|item| (item["name"].as_str().unwrap_or(""), item)).collect()
}

/// Of a container that has ended.
fn exit_code(status: &Value) -> Option<i64> {
    status["state"].get("terminated").map(|ended| ended["exitCode"].as_i64().unwrap_or(0))
}

/// Whether a container that ended with this code starts again (KEP-5307).
fn restarts(container: &Value, spec: &Value, code: i64) -> bool {
    if let Some(policy) = container.get("restartPolicy").and_then(Value::as_str) {
        let rules = container["restartPolicyRules"].as_array().into_iter().flatten();
        let fits = rules.filter_map(|rule| rule.get("exitCodes")).any(|codes| {
            let listed =
                codes["values"].as_array().is_some_and(|values| values.iter().any(|v| v.as_i64() == Some(code)));
            match codes["operator"].as_str() {
                Some("In") => listed,
                Some("NotIn") => !listed,
                _ => false,
            }
        });
        return fits || of_policy(policy, code);
    }
    of_policy(spec["restartPolicy"].as_str().unwrap_or(""), code)
}

fn of_policy(policy: &str, code: i64) -> bool {
    match policy {
        "Always" => true,
        "OnFailure" => code != 0,
        "Never" => false,
        _ => true,
    }
}

/// Whether one container's end may restart them all.
fn all_could_restart(spec: &Value) -> bool {
    let lists = ["initContainers", "containers"].iter().filter_map(|list| spec[*list].as_array());
    let mut rules = lists.flatten().filter_map(|c| c["restartPolicyRules"].as_array()).flatten();
    rules.any(|rule| rule["action"] == "RestartAllContainers")
}

/// Users and allocated resources of containers.
pub fn container_statuses(status: &At, spec: &At, errs: &mut FieldErrors) {
    let os = spec.at("os");
    let windows = os.at("name").str() == "windows";
    for (list, _) in STATUSES {
        for item in status.at(list).items() {
            user(&item.at("user").at("linux"), windows, errs);
        }
    }
    for (list, containers) in STATUSES {
        let containers = by_name(spec.at(containers).value());
        for item in status.at(list).items() {
            let resources = item.at("allocatedResourcesStatus");
            if list != "ephemeralContainerStatuses" {
                allocated(&resources, containers.get(item.at("name").str()).copied(), errs);
            } else if !resources.is_empty() {
                resources.forbidden(errs, "must not be specified in container status");
            }
        }
    }
}

fn user(at: &At, windows: bool, errs: &mut FieldErrors) {
    if at.is_null() {
        return;
    }
    if windows {
        return at.forbidden(errs, "cannot be set for a windows pod");
    }
    for field in ["uid", "gid"] {
        at.at(field).invalid_each(errs, user_id(at.at(field).i64()));
    }
    for group in at.at("supplementalGroups").items() {
        group.invalid_each(errs, user_id(group.i64()));
    }
}

fn allocated(at: &At, container: Option<&Value>, errs: &mut FieldErrors) {
    for item in at.items() {
        let name = item.at("name");
        if let Some(container) = container
            && let Some(why) = unknown_resource(name.str(), &container["resources"])
        {
            name.invalid(errs, why);
        }
        let mut seen = BTreeSet::new();
        for resource in item.at("resources").items() {
            choices::one_of(&resource.at("health"), &["Healthy", "Unhealthy", "Unknown"], errs);
            let message = resource.at("message");
            if message.exists() && message.is_empty() {
                message.required(errs, "must be non-empty if specified");
            } else if message.len() > HEALTH_MESSAGE_BYTES {
                message.too_long(errs, HEALTH_MESSAGE_BYTES);
            }
            if !seen.insert(resource.at("resourceID").str()) {
                resource.at("resourceID").duplicate(errs);
            }
        }
    }
}

/// Why a container has no such resource: it asks for none, and claims none.
fn unknown_resource(name: &str, resources: &Value) -> Option<&'static str> {
    let Some(claim) = name.strip_prefix("claim:") else {
        let known = resources["requests"].get(name).is_some();
        return (!known).then_some("must match one of the container's resource requests");
    };
    let mut claims = resources["claims"].as_array().into_iter().flatten();
    let known = claims.any(|c| {
        let of_claim = c["name"].as_str().unwrap_or("");
        match c["request"].as_str().filter(|request| !request.is_empty()) {
            Some(request) => claim.strip_prefix(of_claim).and_then(|rest| rest.strip_prefix('/')) == Some(request),
            None => claim == of_claim,
        }
    });
    (!known).then_some(
        "must match one of the container's resource claims in a format 'claim:<claimName>/<request>' or \
         'claim:<claimName>' if request is empty",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;
    use crate::rules::transcript::assert_begin;
    use crate::schema::table;

    #[test]
    fn ended_containers_start_again_by_their_policies() {
        let ended = |name: &str, code: i64| json!({"name": name, "state": {"terminated": {"exitCode": code}}});
        let spec = json!({"restartPolicy": "OnFailure", "containers": [{"name": "a"}, {"name": "b"}, {"name": "c",
            "restartPolicy": "Never", "restartPolicyRules": [{"action": "Restart",
                "exitCodes": {"operator": "In", "values": [7]}}]}]});
        let before = json!({"spec": spec, "status": {"containerStatuses":
            [ended("a", 0), ended("b", 1), ended("c", 7), ended("gone", 1)]}});
        let now = json!({"status": {"containerStatuses":
            [{"name": "a", "state": {"running": {}}}, {"name": "b", "state": {}}, {"name": "c"}]}});
        let message = table::message("k8s.io.api.core.v1.Pod");
        let (before, now, mut errs) = (At::new(&before, message), At::new(&now, message), FieldErrors::new());
        state_transitions(&now.at("status"), &before.at("status"), &before.at("spec"), &mut errs);
        assert_eq!(
            errs.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"]
        );
    }

    #[test]
    fn allocated_resources_are_of_the_container() {
        let pod = json!({
            "spec": {"containers": [{"name": "a", "resources": {"claims": [{"name": "c", "request": "r"}]}}]},
            "status": {"containerStatuses": [{"name": "a", "allocatedResourcesStatus": [
                {"name": "claim:c/r", "resources": [{"resourceID": "1", "health": "Fine"}, {"resourceID": "1", "health": "Healthy"}]},
                {"name": "claim:c"}, {"name": "example.com/gpu"}],
                "user": {"linux": {"uid": -1, "gid": 0}}}]}});
        let (root, mut errs) = (At::new(&pod, table::message("k8s.io.api.core.v1.Pod")), FieldErrors::new());
        container_statuses(&root.at("status"), &root.at("spec"), &mut errs);
        let found: Vec<_> = errs.iter().map(|e| e.to_string().replace("status.containerStatuses[0].", "")).collect();
        assert_begin(
            &found,
            &[
                "user.linux.uid: Invalid value: -1: must be between 0 and 2147483647, inclusive",
                "allocatedResourcesStatus[0].resources[0].health: Unsupported value: \"Fine\": supported va",
                "allocatedResourcesStatus[0].resources[1].resourceID: Duplicate value: \"1\"",
                "allocatedResourcesStatus[1].name: Invalid value: \"claim:c\": must match one of the contai",
                "allocatedResourcesStatus[2].name: Invalid value: \"example.com/gpu\": must match one of th",
            ],
        );
    }
}
