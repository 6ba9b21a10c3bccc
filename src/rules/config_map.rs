//! ConfigMap.

use super::at::At;
use super::checks::meta::{MetaRules, object_meta, object_meta_update};
use super::checks::names::{NameRule, config_map_key};
use super::fill::remove;
use super::kind::{NONE, Rules};
use crate::model::field::{FieldError, FieldErrors, Path};
use crate::model::value::{Map, Value};

pub const RULES: Rules = Rules {
    group: "",
    kind: "ConfigMap",
    validate: |_, at, errs| config_map(at, errs),
    validate_update: |_, at, old, errs| {
        object_meta_update(&at.at("metadata"), &old.at("metadata"), true, errs);
        immutable(at, old, &["data", "binaryData"], errs);
        config_map(at, errs);
    },
    ..NONE
};

const META: MetaRules = MetaRules { namespaced: true, name: NameRule::Subdomain, kube_finalizers: true };
/// Of all values together, also of a Secret.
pub const MOST_BYTES: usize = 1024 * 1024;

/// Stock makes an empty `data` of none; here an empty one is none.
pub fn fill(object: &mut Value) {
    if object["data"].as_object().is_some_and(Map::is_empty) {
        remove(object, &[], "data");
    }
}

fn config_map(at: &At, errs: &mut FieldErrors) {
    object_meta(&at.at("metadata"), META, errs);
    let (data, binary) = (at.at("data"), at.at("binaryData"));
    let mut bytes = 0;
    for (key, value) in data.entries() {
        self::key(&value, key, errs);
        if binary.entry(key).exists() {
            value.invalid_as(errs, key, "duplicate of key present in binaryData");
        }
        bytes += value.len();
    }
    for (key, value) in binary.entries() {
        self::key(&value, key, errs);
        bytes += decoded_len(value.str());
    }
    if bytes > MOST_BYTES {
        errs.push(FieldError::too_long(&Path::Root.key(""), MOST_BYTES));
    }
}

/// The key of a ConfigMap's or a Secret's entry.
pub fn key(at: &At, key: &str, errs: &mut FieldErrors) {
    for text in config_map_key(key) {
        at.invalid_as(errs, key, text);
    }
}

/// Bytes of a text in canonical base64.
pub fn decoded_len(text: &str) -> usize {
    text.len() / 4 * 3 - text.bytes().rev().take_while(|b| *b == b'=').count()
}

/// What may not change once `immutable` is set; it stays set. An empty map is not what none is.
pub fn immutable(at: &At, old: &At, fields: &[&'static str], errs: &mut FieldErrors) {
    const DETAIL: &str = "field is immutable when `immutable` is set";
    if !old.at("immutable").bool() {
        return;
    }
    if !at.at("immutable").bool() {
        at.at("immutable").forbidden(errs, DETAIL);
    }
    for field in fields {
        if at.at(field).value() != old.at(field).value() {
            at.at(field).forbidden(errs, DETAIL);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::model::value::json;
    use crate::rules::transcript::Kind;

    #[test]
    fn keys_name_files_and_stand_once() {
        let found =
            Kind::new("v1", "ConfigMap").refused(json!({"data": {"a": "1", "..": ""}, "binaryData": {"a": "AA=="}}));
        assert_eq!(
            found,
            [
                "data[..]: Invalid value: \"..\": must not be '..'",
                "data[a]: Invalid value: \"a\": duplicate of key present in binaryData",
            ]
        );
    }

    #[test]
    fn all_values_together_have_a_limit() {
        let half = "x".repeat(super::MOST_BYTES / 2);
        let kind = Kind::new("v1", "ConfigMap");
        assert!(kind.create(json!({"data": {"a": half, "b": half}})).is_ok());
        let found = kind.refused(json!({"data": {"a": half, "b": half}, "binaryData": {"c": "AA=="}}));
        assert_eq!(found, ["[]: Too long: may not be more than 1048576 bytes"]);
        assert_eq!((super::decoded_len("AA=="), super::decoded_len("AAA="), super::decoded_len("AAAA")), (1, 2, 3));
    }

    #[test]
    fn an_immutable_one_stays_so() {
        let old = json!({"data": {"a": "1"}, "immutable": true});
        let kind = Kind::new("v1", "ConfigMap");
        assert_eq!(
            kind.update("", old.clone(), json!({"data": {"a": "2"}})),
            Err(vec![
                "immutable: Forbidden: field is immutable when `immutable` is set".to_owned(),
                "data: Forbidden: field is immutable when `immutable` is set".to_owned(),
            ])
        );
        let empty = json!({"data": {"a": "1"}, "binaryData": {}, "immutable": true});
        let same = json!({"data": {}, "binaryData": {"a": "AA=="}, "immutable": true});
        let found = kind.update("", json!({"binaryData": {"a": "AA=="}, "immutable": true}), same);
        assert!(found.is_ok());
        let text = "binaryData: Forbidden: field is immutable when `immutable` is set";
        assert_eq!(kind.update("", old.clone(), empty), Err(vec![text.to_owned()]));
        let labelled = json!({"metadata": {"labels": {"a": "b"}}, "data": {"a": "1"}, "immutable": true});
        assert!(kind.update("", old, labelled).is_ok());
    }
}
