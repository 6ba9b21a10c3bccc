//! Definitions, and what is wrong with them.

use super::*;
use crate::model::names::GroupVersionKind;
use crate::model::time::Time;
use crate::model::value::{Map, Value, json};
use crate::rules::kind::User;
use crate::rules::strategy;
use crate::schema::table;

const MESSAGE: &str = "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition";

fn cx() -> Cx {
    Cx {
        served: GroupVersionKind::new("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
        now: Time::parse("2026-01-01T00:00:00Z").expect("a time"),
        allow_privileged: false,
        user: User::default(),
        namespace_labels: Map::new(),
    }
}

/// A definition of things with this schema of their `spec`.
fn definition(spec: Value) -> Value {
    let schema = json!({"type": "object", "properties": {"spec": spec}});
    let mut crd = json!({"metadata": {"name": "things.example.com"}, "spec": {
        "group": "example.com", "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing"},
        "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}]}});
    fill(&mut crd);
    crd
}

fn errors(mut crd: Value) -> Vec<String> {
    strategy::prepare_create(&cx(), &RULES, &mut crd);
    let errs = strategy::validate_create(&cx(), &RULES, &crd, table::message(MESSAGE), false);
    errs.iter().map(ToString::to_string).collect()
}

#[test]
fn defaults_come() {
    let crd = definition(json!({"type": "object"}));
    assert_eq!(
        crd["spec"]["names"],
        json!({"plural": "things", "kind": "Thing", "singular": "thing", "listKind": "ThingList"})
    );
    assert_eq!(crd["spec"]["conversion"], json!({"strategy": "None"}));
    assert_eq!(crd["status"]["storedVersions"], json!(["v1"]));
    assert_eq!(errors(crd), Vec::<String>::new());
}

#[test]
fn names() {
    let mut crd = definition(json!({"type": "object"}));
    crd["spec"]["group"] = "nodots".into();
    crd["spec"]["names"]["plural"] = "Things".into();
    let label = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic \
                 character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation \
                 is '[a-z]([-a-z0-9]*[a-z0-9])?')";
    assert_eq!(
        errors(crd),
        [
            "metadata.name: Invalid value: \"things.example.com\": must be spec.names.plural+\".\"+spec.group"
                .to_owned(),
            "spec.group: Invalid value: \"nodots\": should be a domain with at least one dot".to_owned(),
            format!("spec.names.plural: Invalid value: \"Things\": {label}"),
        ]
    );
}

#[test]
fn schemas() {
    let at = "spec.validation.openAPIV3Schema.properties[spec]";
    for (schema, expected) in [
        (
            json!({"properties": {"a": {"type": "string"}}}),
            ".type: Required value: must not be empty for specified object fields",
        ),
        (json!({"type": "array"}), ".items: Required value: must be specified"),
        (
            json!({"type": "string", "pattern": "("}),
            ".pattern: Invalid value: \"(\": must be a valid regular expression, but isn't: error parsing regexp: missing closing ): `(`",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": {"type": "string"}}),
            ".additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive",
        ),
        (
            json!({"type": "string", "default": 1}),
            ".default: Invalid value: \"integer\":  in body must be of type string: \"integer\"",
        ),
        (
            json!({"type": "object", "default": {"x": 1}}),
            ".default: Invalid value: {\"x\":1}: must not have unknown fields",
        ),
        (
            json!({"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "map"}),
            ".x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map",
        ),
        (
            json!({"type": "string", "uniqueItems": true}),
            ".uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
        ),
    ] {
        let expected = format!("{at}{expected}");
        assert_eq!(errors(definition(schema.clone())).first(), Some(&expected), "{schema}");
    }
}

#[test]
fn expressions() {
    let list = |rule: &str| {
        json!({"type": "object", "properties": {"l": {"type": "array", "maxItems": 10, "items": {
            "type": "string", "maxLength": 10, "x-kubernetes-validations": [{"rule": rule}]}}}})
    };
    let at = "spec.validation.openAPIV3Schema.properties[spec].properties[l].items.x-kubernetes-validations[0].rule";
    assert_eq!(
        errors(definition(list("self == oldSelf"))),
        [format!(
            "{at}: Invalid value: \"self == oldSelf\": oldSelf cannot be used on the uncorrelatable portion of the schema within \
         spec.validation.openAPIV3Schema.properties[spec].properties[l]"
        )]
    );
    assert_eq!(
        errors(definition(list("size(self)"))),
        [format!(
            "{at}: Invalid value: {{\"Rule\":\"size(self)\",\"Message\":\"\",\"MessageExpression\":\"\",\"Reason\":null,\
         \"FieldPath\":\"\",\"OptionalOldSelf\":null}}: cel expression must evaluate to a bool"
        )]
    );
    let dear = json!({"type": "array", "items": {"type": "string",
        "x-kubernetes-validations": [{"rule": "self.contains('x')"}]}});
    let dear = errors(definition(dear));
    assert!(
        dear.iter().any(|error| error.contains("estimated rule cost total for entire OpenAPIv3 schema")),
        "{dear:?}"
    );
}

#[test]
fn what_was_served_stays() {
    let mut old = definition(json!({"type": "object"}));
    old["metadata"]["resourceVersion"] = "1".into();
    let mut new = old.clone();
    new["spec"]["group"] = "other.com".into();
    new["spec"]["versions"][0]["name"] = "v2".into();
    strategy::prepare_update(&cx(), &RULES, &mut new, &old);
    let errs = strategy::validate_update(&cx(), &RULES, None, (&new, &old), table::message(MESSAGE), false);
    let fields: Vec<_> = errs.iter().map(|error| error.field.as_str()).collect();
    assert_eq!(fields, ["spec.group", "status.storedVersions[0]"]);
}
