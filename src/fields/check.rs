//! Does a value fit its type, and what tells the items of its lists apart: with the texts of stock's failures.

use std::collections::BTreeSet;
use std::fmt;

use super::path::Element;
use super::typed::{Keys, List, Map, Relation, Scalar, Type};
use crate::model::gotext;
use crate::model::value::{Map as Object, Value};

/// What is wrong at a place of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// `.spec.containers[name="a"]`; empty at the root.
    pub path: String,
    pub message: String,
}

/// One or more faults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

/// At most so many faults are told.
const MAX_FAULTS: usize = 100;

impl Faults {
    pub fn one(message: impl Into<String>) -> Self {
        Self(vec![Fault { path: String::new(), message: message.into() }])
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn extend(&mut self, more: Faults) {
        let room = MAX_FAULTS.saturating_sub(self.0.len());
        self.0.extend(more.0.into_iter().take(room));
    }

    /// As seen from one step above.
    pub fn below(mut self, step: &Element) -> Self {
        if !self.is_empty() {
            let step = step.to_string();
            self.0.iter_mut().for_each(|fault| fault.path.insert_str(0, &step));
        }
        self
    }

    pub fn none_or_err(self) -> Result<(), Faults> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [one] => one.fmt(f),
            many => {
                f.write_str("errors:")?;
                many.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// Checks a value, all of it. With `duplicates` a key may come more than once in a list.
pub fn check(value: &Value, ty: Type<'_>, duplicates: bool) -> Result<(), Faults> {
    Checker { duplicates }.value(value, ty).none_or_err()
}

struct Checker {
    duplicates: bool,
}

impl Checker {
    fn value(&self, value: &Value, ty: Type<'_>) -> Faults {
        if matches!((ty, value), (Type::Opaque, _) | (_, Value::Written(_))) {
            return Faults::default();
        }
        let atom = ty.atom().deduce(Some(value));
        if let Some(map) = atom.map {
            return match value {
                Value::Object(fields) => self.map(fields, &map),
                Value::Null => Faults::default(),
                other => Faults::one(format!("expected map, got {}", pointer(other))),
            };
        }
        if let Some(scalar) = atom.scalar {
            return match wrong_scalar(value, scalar) {
                Some(message) => Faults::one(message),
                None => Faults::default(),
            };
        }
        match (atom.list, value) {
            (Some(list), Value::Array(items)) => self.list(items, &list),
            (_, Value::Null) => Faults::default(),
            (_, other) => Faults::one(format!("expected list, got {}", pointer(other))),
        }
    }

    fn map(&self, fields: &Object, map: &Map<'_>) -> Faults {
        let mut faults = Faults::default();
        for (name, value) in fields {
            let found = match map.value(name) {
                Some(ty) => self.value(value, ty),
                None => Faults::one("field not declared in schema"),
            };
            if !found.is_empty() {
                let undeclared = map.value(name).is_none();
                faults.extend(found.below(&Element::field(name)));
                if undeclared {
                    break;
                }
            }
        }
        faults
    }

    fn list(&self, items: &[Value], list: &List<'_>) -> Faults {
        let mut faults = Faults::default();
        let mut seen = BTreeSet::new();
        for (index, item) in items.iter().enumerate() {
            let element = match list.relation {
                Relation::Atomic => Element::Index(index as i64),
                _ => match element(list, item) {
                    Ok(element) => element,
                    Err(why) => {
                        faults.extend(Faults::one(format!("element {index}: {why}")));
                        return faults;
                    }
                },
            };
            let repeated = !self.duplicates && !matches!(element, Element::Index(_)) && !seen.insert(element.clone());
            if repeated {
                faults.extend(Faults::one(format!("duplicate entries for key {element}")));
            }
            let found = self.value(item, list.item);
            if !found.is_empty() {
                faults.extend(found.below(&element));
            }
        }
        faults
    }
}

/// What is wrong with a scalar, if anything.
pub fn wrong_scalar(value: &Value, scalar: Scalar) -> Option<String> {
    match (scalar, value) {
        (_, Value::Null) => None,
        (Scalar::Numeric, Value::Number(_)) => None,
        (Scalar::Numeric, other) => Some(format!("expected numeric (int or float), got {}", go_type(other))),
        (Scalar::String, Value::String(_)) => None,
        (Scalar::String, other) => {
            let source = gotext::source(&doubles(other));
            Some(format!("expected string, got &value.valueUnstructured{{Value:{source}}}"))
        }
        (Scalar::Boolean, Value::Bool(_)) => None,
        (Scalar::Boolean, other) => Some(format!("expected boolean, got {}", pointer(other))),
        (Scalar::Any, Value::Array(_) | Value::Object(_)) => {
            Some(format!("expected any scalar, got {}", pointer(value)))
        }
        (Scalar::Any, _) => None,
    }
}

/// What an item is called in its list; the error says why it has no name.
pub fn element(list: &List<'_>, item: &Value) -> Result<Element, String> {
    match list.relation {
        Relation::Atomic => Err("invalid indexing of non-associative list".into()),
        Relation::Keys(keys) => keyed(keys, list.item, item),
        Relation::Set => match item {
            Value::Object(_) => Err("associative list without keys has an element that's a map type".into()),
            Value::Array(_) => Err("not supported: associative list with lists as elements".into()),
            Value::Null => Err("associative list without keys has an element that's an explicit null".into()),
            scalar => Ok(Element::Value(scalar.clone())),
        },
    }
}

fn keyed(keys: Keys<'_>, ty: Type<'_>, item: &Value) -> Result<Element, String> {
    let fields = match item {
        Value::Object(fields) => fields,
        Value::Null => return Err("associative list with keys may not have a null element".into()),
        _ => return Err("associative list with keys may not have non-map elements".into()),
    };
    let mut found = Vec::new();
    for key in keys.iter() {
        let value = match fields.get(key) {
            Some(value) => Some(value.clone()),
            None => match ty.atom().map {
                Some(map) => map.default(key),
                None => {
                    let why = "associative list may not have non-map types";
                    return Err(format!("couldn't find default value for {key}: {why}"));
                }
            },
        };
        if let Some(value) = value {
            found.push((key, value));
        }
    }
    if found.is_empty() {
        let keys: Vec<_> = keys.iter().map(gotext::quote).collect();
        let why = "(and doesn't have default values for any key fields)";
        return Err(format!(
            "associative list with keys has an element that omits all key fields [{}] {why}",
            keys.join(" ")
        ));
    }
    Ok(Element::key(found))
}

/// Go's `%v` of a pointer to the value.
fn pointer(value: &Value) -> String {
    format!("&{{{}}}", gotext::value(&doubles(value)))
}

/// Go's `%T`.
fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) | Value::Written(_) => "map[string]interface {}",
    }
}

/// The value with its numbers as doubles: so stock reads them in an apply's YAML.
fn doubles(value: &Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().map_or(Value::Null, Value::from),
        Value::Array(items) => items.iter().map(doubles).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), doubles(value))).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;
    use crate::schema::table;

    fn faults(spec: Value) -> String {
        let ty = Type::Message(table::message("k8s.io.api.apps.v1.Deployment").expect("Deployment"));
        let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": spec});
        check(&object, ty, false).err().map_or_else(String::new, |faults| faults.to_string())
    }

    #[test]
    fn texts_are_stocks() {
        let containers = |list: Value| json!({"template": {"spec": {"containers": list}}});
        for (spec, text) in [
            (json!({"replicas": "x"}), ".spec.replicas: expected numeric (int or float), got string"),
            (json!({"replicas": null, "template": null}), ""),
            (containers(json!({"a": 1})), ".spec.template.spec.containers: expected list, got &{map[a:1]}"),
            (json!({"template": ["x"]}), ".spec.template: expected map, got &{[x]}"),
            (
                containers(json!(["x"])),
                ".spec.template.spec.containers: element 0: associative list with keys may not have non-map elements",
            ),
            (
                containers(json!([{"name": "a"}, {"name": "a"}])),
                ".spec.template.spec.containers: duplicate entries for key [name=\"a\"]",
            ),
            (
                containers(json!([{"name": "a", "imag": 1}])),
                ".spec.template.spec.containers[name=\"a\"].imag: field not declared in schema",
            ),
            (containers(json!([{"image": "i", "ports": [{"containerPort": 80}]}])), ""),
            (
                json!({"template": {"metadata": {"labels": {"a": 1}}}}),
                ".spec.template.metadata.labels.a: expected string, got &value.valueUnstructured{Value:1}",
            ),
            (json!({"paused": "x"}), ".spec.paused: expected boolean, got &{x}"),
            (json!({"strategy": {"rollingUpdate": {"maxSurge": 1}}}), ""),
            (
                json!({"paused": 1, "replicas": true}),
                "errors:\n  .spec.paused: expected boolean, got &{1}\n  .spec.replicas: expected numeric (int or float), got bool",
            ),
        ] {
            assert_eq!(faults(spec.clone()), text, "{spec}");
        }
    }

    #[test]
    fn items_are_told_apart_by_keys_with_their_defaults() {
        let ty = Type::Message(table::message("k8s.io.api.core.v1.Service").expect("Service"));
        let spec = ty.atom().map.and_then(|map| map.value("spec")).expect("spec");
        let ports = spec.atom().map.and_then(|map| map.value("ports")).and_then(|ty| ty.atom().list).expect("ports");
        let name = |item: Value| element(&ports, &item).map(|element| element.to_string());
        assert_eq!(name(json!({"port": 80})), Ok("[port=80,protocol=\"TCP\"]".into()));
        assert_eq!(name(json!({"port": 53, "protocol": "UDP"})), Ok("[port=53,protocol=\"UDP\"]".into()));
        assert_eq!(name(json!({})), Ok("[port=0,protocol=\"TCP\"]".into()));
    }
}
