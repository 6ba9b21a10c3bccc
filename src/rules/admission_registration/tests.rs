//! Webhooks and policies, and what is wrong with them.

use crate::model::value::{Value, json};
use crate::rules::transcript::{Kind, assert_begin};

const GROUP: &str = "admissionregistration.k8s.io/v1";

fn hook() -> Value {
    json!({"name": "a.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"],
        "clientConfig": {"url": "https://h.example/x"},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]})
}

fn with(mut hook: Value, field: &str, value: Value) -> Value {
    hook[field] = value;
    json!({"metadata": {}, "webhooks": [hook]})
}

#[test]
fn webhooks_say_how_they_are_called() {
    let kind = Kind::new(GROUP, "MutatingWebhookConfiguration");
    let kept = kind.create(with(hook(), "timeoutSeconds", json!(5))).expect("right");
    assert_eq!(kept["webhooks"][0]["reinvocationPolicy"], "Never");
    assert_eq!(kept["webhooks"][0]["rules"][0]["scope"], "*");
    for (field, value, error) in [
        (
            "sideEffects",
            json!("Some"),
            "webhooks[0].sideEffects: Unsupported value: \"Some\": supported values: \"None\", \"NoneOnDryRun\"",
        ),
        ("timeoutSeconds", json!(31), "webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be"),
        ("clientConfig", json!({}), "webhooks[0].clientConfig: Required value: exactly one of url or service"),
        (
            "admissionReviewVersions",
            json!(["v2"]),
            "webhooks[0].admissionReviewVersions: Invalid value: [\"v2\"]: must include at least one of v1, v1beta1",
        ),
        (
            "matchConditions",
            json!([{"name": "m", "expression": "1"}]),
            "webhooks[0].matchConditions[0].expression: Invalid value: \"1\": must evaluate to bool but got int",
        ),
        (
            "rules",
            json!([{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*", "CREATE"], "resources": ["a/*", "a/b"]}]),
            "webhooks[0].rules[0].operations: Invalid value: [\"*\",\"CREATE\"]: if '*' is present, must not specify",
        ),
    ] {
        let found = kind.refused(with(hook(), field, value));
        assert!(found.first().is_some_and(|text| text.starts_with(error)), "{found:#?}, not {error}");
    }
}

#[test]
fn what_was_wrong_may_stay() {
    let kind = Kind::new(GROUP, "ValidatingWebhookConfiguration");
    let old = with(hook(), "sideEffects", json!("Some"));
    let new = with(hook(), "sideEffects", json!("Unknown"));
    assert!(kind.update("", old, new.clone()).is_ok());
    assert!(kind.update("", with(hook(), "sideEffects", json!("None")), new).is_err());
}

fn policy(field: &str, value: Value) -> Value {
    let mut spec = json!({"matchConstraints": {"resourceRules": hook()["rules"]},
        "validations": [{"expression": "object.spec.replicas < 5"}]});
    spec[field] = value;
    json!({"metadata": {}, "spec": spec})
}

#[test]
fn policies_are_typed() {
    let kind = Kind::new(GROUP, "ValidatingAdmissionPolicy");
    let kept = kind.create(policy("variables", json!([{"name": "a", "expression": "1"}]))).expect("right");
    assert_eq!(kept["spec"]["failurePolicy"], "Fail");
    assert_eq!(kept["metadata"]["generation"], 1);
    assert_begin(
        &kind.refused(policy("variables", json!([{"name": "a-b", "expression": "variables.c"}]))),
        &[
            "spec.variables[0].name: Invalid value: \"a-b\": must be a valid CEL identifier",
            "spec.variables[0].expression: Invalid value: \"variables.c\": compilation failed: ERROR: <input>:1:10: \
             undefined field 'c'",
        ],
    );
    assert_eq!(
        kind.refused(policy("auditAnnotations", json!([{"key": "k", "valueExpression": "true"}]))),
        [
            "spec.auditAnnotations[0].valueExpression: Invalid value: \"true\": must evaluate to one of [string null_type] \
          but got bool"
        ]
    );
    assert_eq!(
        kind.refused(json!({"metadata": {}})),
        [
            "spec.matchConstraints: Required value",
            "spec.validations: Required value: validations or auditAnnotations must contain at least one item",
            "spec.auditAnnotations: Required value: validations or auditAnnotations must contain at least one item",
        ]
    );
}

#[test]
fn mutations_make_what_they_say() {
    let kind = Kind::new(GROUP, "MutatingAdmissionPolicy");
    let mutating = |mutation: Value| {
        let mut policy = policy("mutations", json!([mutation]));
        policy["spec"].as_object_mut().expect("an object").remove("validations");
        policy["spec"]["reinvocationPolicy"] = "Never".into();
        policy
    };
    let right = r#"[JSONPatch{op: "add", path: "/metadata/labels/a", value: "b"}]"#;
    let patch = |text: &str| json!({"patchType": "JSONPatch", "jsonPatch": {"expression": text}});
    assert!(kind.create(mutating(patch(right))).is_ok());
    assert_eq!(
        kind.refused(mutating(patch("1"))),
        ["spec.mutations[0].jsonPatch.expression: Invalid value: \"1\": must evaluate to list(JSONPatch) but got int"]
    );
    assert_eq!(
        kind.refused(mutating(json!({"patchType": "JSONPatch"}))),
        ["spec.mutations[0].jsonPatch: Required value: must be specified when patchType is JSONPatch"]
    );
}

#[test]
fn bindings_act() {
    let kind = Kind::new(GROUP, "ValidatingAdmissionPolicyBinding");
    let binding = |actions: Value| json!({"metadata": {}, "spec": {"policyName": "p", "validationActions": actions}});
    assert!(kind.create(binding(json!(["Warn", "Audit"]))).is_ok());
    assert_begin(
        &kind.refused(binding(json!(["Deny", "Warn", "Deny"]))),
        &[
            "spec.validationActions[2]: Duplicate value: \"Deny\"",
            "spec.validationActions: Invalid value: [\"Deny\",\"Warn\",\"Deny\"]: must not contain both Deny and Warn",
        ],
    );
    assert_eq!(
        kind.refused(binding(json!([]))),
        ["spec.validationActions: Required value: at least one validation action is required"]
    );
}
