//! The policy's file: `audit.k8s.io/v1` `Policy`, in YAML or JSON.

use std::path::Path as File;

use super::level::{Level, Stage, Stages};
use super::policy::{Decision, Policy, Resources, Rule};
use crate::codec::json::decode::decode;
use crate::codec::json::parse::parse as parsed;
use crate::codec::yaml::read;
use crate::model::field::{FieldError, FieldErrors, Path, aggregate};
use crate::model::gotext::quote;
use crate::model::syntax;
use crate::model::value::Value;
use crate::schema::table::APISERVER_PKG_APIS_AUDIT_V1_POLICY;

const API_VERSION: &str = "audit.k8s.io/v1";
/// What stock calls the set of types that it reads policies with.
const SCHEME: &str = "pkg/audit/scheme.go:30";

/// Reads a policy. The error is stock's text.
pub fn load(path: &File) -> Result<Policy, String> {
    let shown = path.to_string_lossy();
    let text = std::fs::read(path)
        .map_err(|error| format!("loading audit policy file: failed to read file path {}: {error}", quote(&shown)))?;
    parse(&text).map_err(|why| format!("loading audit policy file: {why}: from file {shown}"))
}

/// What strict reading has against the text is only warned of, as in stock.
pub fn parse(text: &[u8]) -> Result<Policy, String> {
    let undecoded = |why: String| format!("failed decoding: {why}");
    let (json, repeated) = read::to_json(text).map_err(undecoded)?;
    let decoded = decode(&json, &APISERVER_PKG_APIS_AUDIT_V1_POLICY).map_err(undecoded)?;
    let whole = parsed(&json).unwrap_or_default();
    check_kind(whole["apiVersion"].as_str().unwrap_or(""), whole["kind"].as_str().unwrap_or(""))?;
    let notes: Vec<_> = repeated.into_iter().chain(decoded.notes).collect();
    if !notes.is_empty() {
        let notes = notes.join(", ");
        tracing::warn!(notes, "Audit policy contains errors, falling back to lenient decoding");
    }
    let errors = validate(&decoded.value);
    if !errors.is_empty() {
        return Err(aggregate(errors.iter().map(|error| error.to_string().into())));
    }
    let policy = policy(&decoded.value);
    if policy.rules.is_empty() { Err("loaded illegal policy with 0 rules".into()) } else { Ok(policy) }
}

/// What does not say what it is would be read, but is of no version that is served.
fn check_kind(api_version: &str, kind: &str) -> Result<(), String> {
    if kind.is_empty() || api_version.is_empty() {
        return Err("unknown group version field audit.k8s.io/__internal, Kind=Policy in policy".into());
    }
    if (api_version, kind) != (API_VERSION, "Policy") {
        let (kind, version) = (quote(kind), quote(api_version));
        return Err(format!(
            "failed decoding: no kind {kind} is registered for version {version} in scheme \"{SCHEME}\""
        ));
    }
    Ok(())
}

fn policy(value: &Value) -> Policy {
    let omit = stages(&value["omitStages"]);
    let omit_managed_fields = value["omitManagedFields"].as_bool().unwrap_or(false);
    let decision = Decision { level: Level::None, omit, omit_managed_fields };
    let rule = |rule: &Value| Rule {
        decision: Decision {
            level: Level::parse(text(&rule["level"])).unwrap_or_default(),
            omit: omit.and(stages(&rule["omitStages"])),
            omit_managed_fields: rule["omitManagedFields"].as_bool().unwrap_or(omit_managed_fields),
        },
        users: texts(&rule["users"]),
        groups: texts(&rule["userGroups"]),
        verbs: texts(&rule["verbs"]),
        resources: items(&rule["resources"]).iter().map(resources).collect(),
        namespaces: texts(&rule["namespaces"]),
        paths: texts(&rule["nonResourceURLs"]),
    };
    Policy { rules: items(&value["rules"]).iter().map(rule).collect(), decision }
}

fn resources(value: &Value) -> Resources {
    Resources {
        group: text(&value["group"]).to_owned(),
        resources: texts(&value["resources"]),
        names: texts(&value["resourceNames"]),
    }
}

fn stages(value: &Value) -> Stages {
    items(value).iter().filter_map(|stage| Stage::parse(text(stage))).collect()
}

fn validate(policy: &Value) -> FieldErrors {
    let mut errors = Vec::new();
    check_stages(&policy["omitStages"], &Path::Root.name("omitStages"), &mut errors);
    let rules = Path::Root.name("rules");
    for (at, rule) in items(&policy["rules"]).iter().enumerate() {
        check_rule(rule, &rules.index(at), &mut errors);
    }
    errors
}

fn check_rule(rule: &Value, path: &Path<'_>, errors: &mut FieldErrors) {
    let (level, field) = (text(&rule["level"]), path.name("level"));
    if level.is_empty() {
        errors.push(FieldError::required(&field, ""));
    } else if Level::parse(level).is_none() {
        errors.push(FieldError::not_supported(&field, level, &Level::ALL.map(Level::word)));
    }
    let (paths, field) = (&rule["nonResourceURLs"], path.name("nonResourceURLs"));
    check_paths(paths, &field, errors);
    check_resources(&rule["resources"], &path.name("resources"), errors);
    check_stages(&rule["omitStages"], &path.name("omitStages"), errors);
    let about_resources = !items(&rule["resources"]).is_empty() || !items(&rule["namespaces"]).is_empty();
    if !items(paths).is_empty() && about_resources {
        let why = "rules cannot apply to both regular resources and non-resource URLs";
        errors.push(FieldError::invalid(&field, paths, why));
    }
}

fn check_paths(paths: &Value, field: &Path<'_>, errors: &mut FieldErrors) {
    for (at, pattern) in items(paths).iter().map(text).enumerate() {
        let field = field.index(at);
        if pattern == "*" {
            continue;
        }
        if !pattern.starts_with('/') {
            errors.push(FieldError::invalid(&field, pattern, "non-resource URL rules must begin with a '/' character"));
        }
        if pattern.find('*').is_some_and(|star| star + 1 < pattern.len()) {
            let why = "non-resource URL wildcards '*' must be the final character of the rule";
            errors.push(FieldError::invalid(&field, pattern, why));
        }
    }
}

fn check_resources(all: &Value, field: &Path<'_>, errors: &mut FieldErrors) {
    for resources in items(all) {
        let group = text(&resources["group"]);
        let wrong = syntax::dns1123_subdomain(group);
        if !group.is_empty() && group != "*" && !wrong.is_empty() {
            errors.push(FieldError::invalid(&field.name("group"), group, wrong.join(",")));
        }
        let names = &resources["resourceNames"];
        if !items(names).is_empty() && items(&resources["resources"]).is_empty() {
            let why = "using resourceNames requires at least one resource";
            errors.push(FieldError::invalid(&field.name("resourceNames"), names, why));
        }
    }
}

fn check_stages(stages: &Value, field: &Path<'_>, errors: &mut FieldErrors) {
    for (at, stage) in items(stages).iter().map(text).enumerate() {
        if Stage::parse(stage).is_none() {
            let why = format!("allowed stages are {}", Stage::ALL.map(Stage::word).join(","));
            errors.push(FieldError::invalid(&field.index(at), stage, why));
        }
    }
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

fn texts(value: &Value) -> Vec<String> {
    items(value).iter().map(|item| text(item).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "apiVersion: audit.k8s.io/v1\nkind: Policy\n";

    fn refused(text: &str) -> String {
        parse(text.as_bytes()).err().unwrap_or_else(|| "read".into())
    }

    #[test]
    fn stages_and_managed_fields_of_the_policy_hold_for_its_rules() {
        let text = format!(
            "{HEAD}omitStages: [RequestReceived]\nomitManagedFields: true\nrules:\n- {{level: Request, omitStages: \
             [Panic]}}\n- {{level: Metadata, omitManagedFields: false}}\n"
        );
        let policy = parse(text.as_bytes()).expect("a policy");
        let [first, second] = &policy.rules[..] else { panic!("two rules") };
        assert_eq!(first.decision.level, Level::Request);
        assert!(first.decision.omit.contains(Stage::Panic) && first.decision.omit.contains(Stage::RequestReceived));
        assert!(first.decision.omit_managed_fields && !second.decision.omit_managed_fields);
        assert!(!second.decision.omit.contains(Stage::Panic));
    }

    #[test]
    fn what_is_wrong_is_told_in_stocks_words() {
        let cases = [
            (format!("{HEAD}rules: []"), "loaded illegal policy with 0 rules"),
            (
                "rules: [{level: None}]".into(),
                "unknown group version field audit.k8s.io/__internal, Kind=Policy in policy",
            ),
            (
                "apiVersion: audit.k8s.io/v1beta1\nkind: Policy".into(),
                "failed decoding: no kind \"Policy\" is registered for version \"audit.k8s.io/v1beta1\" in scheme \
                 \"pkg/audit/scheme.go:30\"",
            ),
            (format!("{HEAD}rules: [{{}}]"), "rules[0].level: Required value"),
            (
                format!("{HEAD}rules: [{{level: All}}]"),
                "rules[0].level: Unsupported value: \"All\": supported values: \"None\", \"Metadata\", \"Request\", \
                 \"RequestResponse\"",
            ),
            (
                format!("{HEAD}omitStages: [Never]\nrules: [{{level: None, nonResourceURLs: [api, '/a*b', '*']}}]"),
                "[omitStages[0]: Invalid value: \"Never\": allowed stages are \
                 RequestReceived,ResponseStarted,ResponseComplete,Panic, rules[0].nonResourceURLs[0]: Invalid value: \
                 \"api\": non-resource URL rules must begin with a '/' character, rules[0].nonResourceURLs[1]: Invalid \
                 value: \"/a*b\": non-resource URL wildcards '*' must be the final character of the rule]",
            ),
            (
                format!("{HEAD}rules: [{{level: None, namespaces: [a], nonResourceURLs: [/a]}}]"),
                "rules[0].nonResourceURLs: Invalid value: [\"/a\"]: rules cannot apply to both regular resources and \
                 non-resource URLs",
            ),
            (
                format!("{HEAD}rules: [{{level: None, resources: [{{group: '', resourceNames: [a]}}]}}]"),
                "rules[0].resources.resourceNames: Invalid value: [\"a\"]: using resourceNames requires at least one \
                 resource",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(refused(&text), expected, "{text}");
        }
        let version = refused(&format!("{HEAD}rules: [{{level: None, resources: [{{group: rbac.io/v1}}]}}]"));
        assert!(version.starts_with("rules[0].resources.group: Invalid value: \"rbac.io/v1\": a lowercase RFC 1123"));
    }

    #[test]
    fn an_unknown_field_is_no_reason_to_refuse() {
        assert_eq!(refused(&format!("{HEAD}rules: [{{level: None, verb: [get]}}]")), "read");
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = load(File::new("/nowhere/policy.yaml")).expect_err("no file");
        let expected = "loading audit policy file: failed to read file path \"/nowhere/policy.yaml\": ";
        assert!(error.starts_with(expected), "{error}");
    }
}
