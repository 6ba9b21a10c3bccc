//! JSON in annotations: read as Go reads it into a struct, written in the order of the struct's fields.

use crate::model::gotext;
use crate::model::quantity::Quantity;
use crate::model::time::Time;
use crate::model::value::{Map, Value};

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Text,
    /// Of 32 bits.
    Int,
    Quantity,
    Time,
    /// A label selector.
    Selector,
    /// A kind, a name and an `apiVersion`.
    Reference,
}

impl Type {
    /// The value as it is kept; `None` when it is none of this type.
    fn read(self, json: &Value) -> Option<Value> {
        match self {
            Type::Text => json.as_str().map(Value::from),
            Type::Int => json.as_i64().filter(|number| i32::try_from(*number).is_ok()).map(Value::from),
            Type::Quantity => Quantity::from_value(json).ok().map(|quantity| quantity.to_string().into()),
            Type::Time => Time::parse(json.as_str()?).ok().map(|time| time.to_text().as_str().into()),
            Type::Selector => selector(json),
            Type::Reference => {
                let mut out = Map::new();
                for name in ["kind", "name", "apiVersion"] {
                    take(json, name, Type::Text, &mut out, name)?;
                }
                Some(out.into())
            }
        }
    }

    /// Its JSON; of one that is not set the zero's.
    pub fn write(self, value: Option<&Value>) -> String {
        let text = |value: Option<&Value>| value.map_or_else(|| "\"\"".to_owned(), gotext::json);
        match (self, value) {
            (Type::Int, None) => "0".to_owned(),
            (Type::Quantity, None) => "\"0\"".to_owned(),
            (Type::Time, None) => "null".to_owned(),
            (Type::Selector, Some(selector)) => write_selector(selector),
            (Type::Reference, reference) => {
                let field = |name: &'static str| (name, reference.and_then(|r| r.get(name)));
                let fields = ["kind", "name", "apiVersion"].map(field).into_iter();
                object(
                    fields
                        .filter(|(name, value)| *name != "apiVersion" || value.is_some())
                        .map(|(name, value)| (name, text(value))),
                )
            }
            (_, value) => text(value),
        }
    }
}

/// A field of an object in any case of its name. Null is not there. `None` when this is no object.
pub fn field<'v>(json: &'v Value, name: &str) -> Option<Option<&'v Value>> {
    if json.is_null() {
        return Some(None);
    }
    let fields = json.as_object()?;
    let found =
        fields.get(name).or_else(|| fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v));
    Some(found.filter(|value| !value.is_null()))
}

/// Reads the field `name`, where it is, into `out` as `to`. A text of nothing is left out. `None` when it is wrong.
pub fn take(json: &Value, name: &str, ty: Type, out: &mut Map, to: &str) -> Option<()> {
    if let Some(found) = field(json, name)? {
        let value = ty.read(found)?;
        if value != "" {
            out.insert(to.into(), value);
        }
    }
    Some(())
}

/// The items of a list; none of null. `None` when this is no list.
pub fn items(json: &Value) -> Option<&[Value]> {
    if json.is_null() { Some(&[]) } else { json.as_array().map(Vec::as_slice) }
}

/// An object of these names and JSON texts.
pub fn object<N: AsRef<str>>(fields: impl IntoIterator<Item = (N, String)>) -> String {
    let fields: Vec<_> = fields.into_iter().map(|(name, text)| format!("\"{}\":{text}", name.as_ref())).collect();
    format!("{{{}}}", fields.join(","))
}

/// A list of these JSON texts.
pub fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}

fn selector(json: &Value) -> Option<Value> {
    let mut out = Map::new();
    if let Some(labels) = field(json, "matchLabels")? {
        let labels = labels.as_object().filter(|labels| labels.values().all(Value::is_string))?;
        out.insert("matchLabels".into(), labels.clone().into());
    }
    if let Some(list) = field(json, "matchExpressions")? {
        let list: Option<Vec<_>> = items(list)?.iter().map(requirement).collect();
        out.insert("matchExpressions".into(), list?.into());
    }
    Some(out.into())
}

fn requirement(json: &Value) -> Option<Value> {
    let mut out = Map::new();
    take(json, "key", Type::Text, &mut out, "key")?;
    take(json, "operator", Type::Text, &mut out, "operator")?;
    if let Some(values) = field(json, "values")? {
        let values = items(values).filter(|values| values.iter().all(Value::is_string))?;
        out.insert("values".into(), values.into());
    }
    Some(out.into())
}

fn write_selector(selector: &Value) -> String {
    let mut fields = Vec::new();
    if let Some(labels) = selector["matchLabels"].as_object().filter(|labels| !labels.is_empty()) {
        fields.push(("matchLabels", gotext::json(&Value::from(labels.clone()))));
    }
    if let Some(all) = selector["matchExpressions"].as_array().filter(|all| !all.is_empty()) {
        let one = |requirement: &Value| {
            let text = |name: &str| Type::Text.write(requirement.get(name));
            let mut fields = vec![("key", text("key")), ("operator", text("operator"))];
            if let Some(values) = requirement.get("values").filter(|v| v.as_array().is_some_and(|v| !v.is_empty())) {
                fields.push(("values", gotext::json(values)));
            }
            object(fields)
        };
        fields.push(("matchExpressions", list(all.iter().map(one))));
    }
    object(fields)
}
