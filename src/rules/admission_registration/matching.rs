//! Which requests a webhook or a policy is for.

use crate::model::field::FieldErrors;
use crate::model::syntax::{dns1035_label, dns1123_subdomain, path_segment};
use crate::rules::at::At;
use crate::rules::checks::choices;
use crate::rules::checks::labels::{SelectorLeniency, label_selector};

pub const FAILURE: [&str; 2] = ["Fail", "Ignore"];
pub const MATCH: [&str; 2] = ["Equivalent", "Exact"];
pub const REINVOCATION: [&str; 2] = ["IfNeeded", "Never"];
const OPERATIONS: [&str; 5] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
/// Of what can be changed.
const MUTATING: [&str; 4] = ["*", "CONNECT", "CREATE", "UPDATE"];

/// A rule with operations.
pub fn rule(at: &At, errs: &mut FieldErrors) {
    let operations = at.at("operations");
    if operations.is_empty() {
        operations.required(errs, "");
    }
    alone(&operations, "operations", errs);
    for operation in operations.items() {
        choices::one_of(&operation, &OPERATIONS, errs);
    }
    for (field, what) in [("apiGroups", "API groups"), ("apiVersions", "API versions")] {
        let list = at.at(field);
        if list.is_empty() {
            list.required(errs, "");
        }
        alone(&list, what, errs);
        for item in list.items().filter(|item| field == "apiVersions" && item.is_empty()) {
            item.required(errs, "");
        }
    }
    resources(&at.at("resources"), errs);
    choices::optional(&at.at("scope"), &["*", "Cluster", "Namespaced"], errs);
}

/// `*` stands for all: nothing stands beside it.
fn alone(list: &At, what: &str, errs: &mut FieldErrors) {
    if list.len() > 1 && list.strs().any(|item| item == "*") {
        list.invalid(errs, format!("if '*' is present, must not specify other {what}"));
    }
}

fn resources(at: &At, errs: &mut FieldErrors) {
    if at.is_empty() {
        at.required(errs, "");
    }
    let (mut all_parts, mut of_all): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    let mut has_whole = false;
    for item in at.items() {
        let text = item.str();
        let Some((resource, part)) = text.split_once('/') else {
            if text.is_empty() {
                item.required(errs, "");
            } else {
                has_whole = text != "*";
            }
            continue;
        };
        if all_parts.contains(&resource) {
            item.invalid(errs, format!("if '{resource}/*' is present, must not specify {text}"));
        }
        if of_all.contains(&part) {
            item.invalid(errs, format!("if '*/{part}' is present, must not specify {text}"));
        }
        if part == "*" {
            all_parts.push(resource);
        }
        if resource == "*" {
            of_all.push(part);
        }
    }
    if at.len() > 1 && at.strs().any(|item| item == "*/*") {
        at.invalid(errs, "if '*/*' is present, must not specify other resources");
    }
    if has_whole && at.strs().any(|item| item == "*") {
        at.invalid(errs, "if '*' is present, must not specify other resources without subresources");
    }
}

/// `matchConstraints` or `matchResources`.
pub fn match_resources(at: &At, errs: &mut FieldErrors) {
    choices::required(&at.at("matchPolicy"), &MATCH, errs);
    for field in ["namespaceSelector", "objectSelector"] {
        let selector = at.at(field);
        if selector.is_null() {
            selector.required(errs, "");
        } else {
            label_selector(&selector, SelectorLeniency::default(), errs);
        }
    }
    for field in ["resourceRules", "excludeResourceRules"] {
        for named in at.at(field).items() {
            let names = named.at("resourceNames");
            for (index, name) in names.items().enumerate() {
                name.check(errs, path_segment);
                if names.strs().take(index).any(|before| before == name.str()) {
                    name.duplicate(errs);
                }
            }
            rule(&named, errs);
        }
    }
}

/// A mutating policy is never for deletions.
pub fn mutating_operations(at: &At, errs: &mut FieldErrors) {
    let rules = at.at("resourceRules");
    let place = rules.path().name("operations");
    for named in rules.items() {
        let operations = named.at("operations");
        for operation in operations.items().filter(|operation| !MUTATING.contains(&operation.str())) {
            operation.placed(place).not_supported(errs, &MUTATING);
        }
    }
}

pub fn param_kind(at: &At, errs: &mut FieldErrors) {
    let version = at.at("apiVersion");
    let text = version.str();
    let (group, name) = match text {
        "/" => ("", ""),
        text => text.split_once('/').unwrap_or(("", text)),
    };
    if text.is_empty() {
        version.required(errs, "");
    } else if name.contains('/') {
        version.invalid(errs, format!("unexpected GroupVersion string: {text}"));
    } else {
        let texts = dns1123_subdomain(group);
        if !group.is_empty() && !texts.is_empty() {
            version.invalid_as(errs, group, texts.join(","));
        }
        let texts = dns1035_label(name);
        if name.is_empty() {
            version.invalid(errs, "version must be specified");
        } else if !texts.is_empty() {
            version.invalid_as(errs, name, texts.join(","));
        }
    }
    let kind = at.at("kind");
    let texts = dns1035_label(&kind.str().to_lowercase());
    if kind.is_empty() {
        kind.required(errs, "");
    } else if !texts.is_empty() {
        kind.invalid(errs, format!("may have mixed case, but should otherwise match: {}", texts.join(",")));
    }
}

pub fn param_ref(at: &At, errs: &mut FieldErrors) {
    if at.is_null() {
        return;
    }
    let (name, selector) = (at.at("name"), at.at("selector"));
    let why = "name and selector are mutually exclusive";
    if !name.is_empty() {
        name.check(errs, path_segment);
        if selector.exists() {
            name.forbidden(errs, why);
        }
    }
    if selector.exists() {
        label_selector(&selector, SelectorLeniency::default(), errs);
        if !name.is_empty() {
            selector.forbidden(errs, why);
        }
    }
    if name.is_empty() && selector.is_null() {
        at.required(errs, "one of name or selector must be specified");
    }
    choices::required(&at.at("parameterNotFoundAction"), &["Deny", "Allow"], errs);
}
