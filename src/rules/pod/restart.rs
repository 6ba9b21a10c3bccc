//! When containers restart (KEP-753, KEP-5307), and whether a resize restarts them (KEP-1287).

use std::collections::BTreeSet;

use crate::model::field::{FieldError, FieldErrors};
use crate::rules::at::At;
use crate::rules::checks::choices;

const POLICIES: [&str; 3] = ["Always", "Never", "OnFailure"];
const MOST_RULES: usize = 20;
const MOST_EXIT_CODES: usize = 255;
const RESIZABLE: [&str; 2] = ["cpu", "memory"];

/// A container's `restartPolicy` and `restartPolicyRules`.
pub fn restart_policy(container: &At, errs: &mut FieldErrors) {
    let (policy, rules) = (container.at("restartPolicy"), container.at("restartPolicyRules"));
    if policy.exists() {
        choices::one_of(&policy, &POLICIES, errs);
    } else if !rules.is_empty() {
        policy.required(errs, "must specify restartPolicy when restart rules are used");
    }
    if rules.len() > MOST_RULES {
        rules.too_many(errs, MOST_RULES);
    }
    for rule in rules.items() {
        choices::one_of(&rule.at("action"), &["Restart", "RestartAllContainers"], errs);
        let codes = rule.at("exitCodes");
        if codes.is_null() {
            codes.required(errs, "must be specified");
            continue;
        }
        choices::one_of(&codes.at("operator"), &["In", "NotIn"], errs);
        if codes.at("values").len() > MOST_EXIT_CODES {
            codes.at("values").too_many(errs, MOST_EXIT_CODES);
        }
    }
}

/// The same of an init container: without a policy it has no rules.
pub fn init_restart_policy(container: &At, errs: &mut FieldErrors) {
    let (policy, rules) = (container.at("restartPolicy"), container.at("restartPolicyRules"));
    if policy.exists() {
        restart_policy(container, errs);
    } else if !rules.is_empty() {
        policy.required(errs, "must specify restartPolicy when restart rules are used");
    }
}

/// A container's `resizePolicy`. Errors stand at the list, as in stock.
pub fn resize_policy(at: &At, pod_policy: &str, errs: &mut FieldErrors) {
    let mut seen = BTreeSet::new();
    for item in at.items() {
        let (resource, policy) = (item.at("resourceName").str(), item.at("restartPolicy").str());
        if !seen.insert(resource) {
            errs.push(FieldError::duplicate(item.path(), resource));
        }
        one_of(at, resource, &RESIZABLE, errs);
        one_of(at, policy, &["NotRequired", "RestartContainer"], errs);
        if pod_policy == "Never" && policy != "NotRequired" {
            at.invalid_as(errs, policy, "must be 'NotRequired' when pod `restartPolicy` is 'Never'");
        }
    }
}

fn one_of(at: &At, value: &str, known: &[&str], errs: &mut FieldErrors) {
    if value.is_empty() {
        at.required(errs, "");
    } else if !known.contains(&value) {
        errs.push(FieldError::not_supported(at.path(), value, known));
    }
}

/// An init container that ends is not restarted by a resize.
pub fn no_restarting_resize(container: &At, errs: &mut FieldErrors) {
    for item in container.at("resizePolicy").items() {
        let policy = item.at("restartPolicy");
        if policy.str() == "RestartContainer" {
            policy.invalid(errs, "must not be set to 'RestartContainer' for non-sidecar initContainers");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;
    use crate::schema::table;

    #[test]
    fn policies_of_containers() {
        let container = json!({"restartPolicyRules": [{"action": "Stop"}, {"action": "Restart", "exitCodes": {"operator": "Is"}}],
            "resizePolicy": [{"resourceName": "cpu", "restartPolicy": "RestartContainer"}, {"resourceName": "cpu"}]});
        let root = At::new(&container, table::message("k8s.io.api.core.v1.Container"));
        let mut errs = FieldErrors::new();
        restart_policy(&root, &mut errs);
        resize_policy(&root.at("resizePolicy"), "Never", &mut errs);
        assert_eq!(
            errs.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                "restartPolicy: Required value: must specify restartPolicy when restart rules are used",
                "restartPolicyRules[0].action: Unsupported value: \"Stop\": supported values: \"Restart\", \
                 \"RestartAllContainers\"",
                "restartPolicyRules[0].exitCodes: Required value: must be specified",
                "restartPolicyRules[1].exitCodes.operator: Unsupported value: \"Is\": supported values: \"In\", \"NotIn\"",
                "resizePolicy: Invalid value: \"RestartContainer\": must be 'NotRequired' when pod `restartPolicy` is 'Never'",
                "resizePolicy[1]: Duplicate value: \"cpu\"",
                "resizePolicy: Required value",
                "resizePolicy: Invalid value: \"\": must be 'NotRequired' when pod `restartPolicy` is 'Never'",
            ]
        );
    }
}
