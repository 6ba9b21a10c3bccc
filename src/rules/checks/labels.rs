//! Labels, annotations, and objects that select by labels.

use crate::model::field::{FieldError, FieldErrors};
use crate::model::syntax::{label_key, label_value};
use crate::rules::at::At;

/// Of an object's annotations, keys and values together.
pub const ANNOTATIONS_BYTES: usize = 256 * 1024;

/// A label's key.
pub fn label_name(at: &At, errs: &mut FieldErrors) {
    at.check(errs, label_key);
}

/// A map of labels. Its errors stand at the map, not at the entry.
pub fn labels(at: &At, errs: &mut FieldErrors) {
    for (key, value) in at.entries() {
        for text in label_key(key) {
            at.invalid_as(errs, key, text);
        }
        for text in label_value(value.str()) {
            at.invalid_as(errs, value.str(), text);
        }
    }
}

/// A map of annotations: keys as of labels but in any case, values of any text, all within a limit.
pub fn annotations(at: &At, errs: &mut FieldErrors) {
    let mut bytes = 0;
    for (key, value) in at.entries() {
        let lower = key.bytes().any(|b| !b.is_ascii() || b.is_ascii_uppercase()).then(|| key.to_lowercase());
        for text in label_key(lower.as_deref().unwrap_or(key)) {
            at.invalid_as(errs, key, text);
        }
        bytes += key.len() + value.str().len();
    }
    if bytes > ANNOTATIONS_BYTES {
        at.too_long(errs, ANNOTATIONS_BYTES);
    }
}

/// An annotation that may not change; `at` is the map of annotations.
pub fn immutable_annotation(at: &At, before: &At, key: &str, errs: &mut FieldErrors) {
    let (now, was) = (at.entry(key).str(), before.entry(key).str());
    if now != was {
        errs.push(FieldError::invalid(&at.path().name(key), now, "field is immutable"));
    }
}

/// What an old object already had wrong and may keep.
#[derive(Clone, Copy, Debug, Default)]
pub struct SelectorLeniency {
    pub bad_values: bool,
    pub unknown_operators: bool,
}

/// Whether the selector's expressions have a value that is none of a label: then an update may keep such ones.
pub fn has_bad_selector_value(at: &At) -> bool {
    at.at("matchExpressions").items().any(|e| e.at("values").strs().any(|v| !label_value(v).is_empty()))
}

/// A `LabelSelector` object. Absent is right.
pub fn label_selector(at: &At, leniency: SelectorLeniency, errs: &mut FieldErrors) {
    labels(&at.at("matchLabels"), errs);
    for expression in at.at("matchExpressions").items() {
        label_requirement(&expression, leniency, errs);
    }
}

/// A requirement of a label selector.
pub fn label_requirement(at: &At, leniency: SelectorLeniency, errs: &mut FieldErrors) {
    let values = at.at("values");
    let operator = at.at("operator");
    if !is_counted(&operator, &values, errs) && !leniency.unknown_operators {
        operator.invalid(errs, "not a valid selector operator");
    }
    label_name(&at.at("key"), errs);
    if !leniency.bad_values {
        for value in values.items() {
            value.check(errs, label_value);
        }
    }
}

/// A requirement of a field selector, as in an authorization request.
pub fn field_requirement(at: &At, leniency: SelectorLeniency, errs: &mut FieldErrors) {
    if at.at("key").is_empty() {
        at.at("key").required(errs, "must be specified");
    }
    let operator = at.at("operator");
    if !is_counted(&operator, &at.at("values"), errs) && !leniency.unknown_operators {
        operator.invalid(errs, "not a valid selector operator");
    }
}

/// Whether the operator is known; writes where it has too few or too many values.
pub fn is_counted(operator: &At, values: &At, errs: &mut FieldErrors) -> bool {
    match operator.str() {
        "In" | "NotIn" => {
            if values.is_empty() {
                values.required(errs, "must be specified when `operator` is 'In' or 'NotIn'");
            }
        }
        "Exists" | "DoesNotExist" => {
            if !values.is_empty() {
                values.forbidden(errs, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
            }
        }
        _ => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::{Value, json};
    use crate::schema::table;

    fn found(check: impl Fn(&At, &mut FieldErrors), value: &Value) -> Vec<String> {
        let mut errs = FieldErrors::new();
        check(&At::new(value, None), &mut errs);
        errs.iter().map(|e| e.to_string().chars().take(74).collect()).collect()
    }

    #[test]
    fn labels_and_annotations() {
        assert!(found(labels, &json!({"a.b/c": "d", "e": ""})).is_empty());
        assert_eq!(
            found(labels, &json!({"a": "b c", "é": "x"})),
            [
                "<nil>: Invalid value: \"b c\": a valid label must be an empty string or cons",
                "<nil>: Invalid value: \"é\": name part must consist of alphanumeric characte",
            ]
        );
        assert!(found(annotations, &json!({"A.B/C": "any thing"})).is_empty());
        let long = json!({"a": "x".repeat(ANNOTATIONS_BYTES), "B d": ""});
        assert_eq!(
            found(annotations, &long),
            [
                "<nil>: Invalid value: \"B d\": name part must consist of alphanumeric charac",
                "<nil>: Too long: may not be more than 262144 bytes",
            ]
        );
    }

    #[test]
    fn an_immutable_annotation() {
        let (now, was) = (json!({"x/y": "1"}), json!({}));
        let mut errs = FieldErrors::new();
        immutable_annotation(&At::new(&now, None), &At::new(&was, None), "x/y", &mut errs);
        assert_eq!(errs[0].to_string(), "x/y: Invalid value: \"1\": field is immutable");
    }

    #[test]
    fn label_selectors() {
        let schema = table::message("k8s.io.apimachinery.pkg.apis.meta.v1.LabelSelector");
        let selector = json!({"matchLabels": {"a": "b"}, "matchExpressions": [
            {"key": "a", "operator": "In"},
            {"key": "a", "operator": "Exists", "values": ["x"]},
            {"key": "", "operator": "Is", "values": ["$"]},
            {"key": "ok", "operator": "NotIn", "values": ["x"]}]});
        let mut errs = FieldErrors::new();
        label_selector(&At::new(&selector, schema), SelectorLeniency::default(), &mut errs);
        let found: Vec<_> = errs.iter().map(|e| e.to_string().chars().take(100).collect::<String>()).collect();
        assert_eq!(
            found,
            [
                "matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
                "matchExpressions[1].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotE",
                "matchExpressions[2].operator: Invalid value: \"Is\": not a valid selector operator",
                "matchExpressions[2].key: Invalid value: \"\": name part must be non-empty",
                "matchExpressions[2].key: Invalid value: \"\": name part must consist of alphanumeric characters, '-', ",
                "matchExpressions[2].values[0]: Invalid value: \"$\": a valid label must be an empty string or consist ",
            ]
        );
        errs.clear();
        let leniency = SelectorLeniency { bad_values: true, unknown_operators: true };
        label_selector(&At::new(&selector, schema), leniency, &mut errs);
        assert_eq!(errs.len(), 4);
    }
}
