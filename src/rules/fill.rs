//! Ways to fill what a body left out, and to read what it says: for the kinds' `fill` and `prepare`.

use crate::model::quantity::Quantity;
use crate::model::value::{Map, Value};

/// Thousandths: the finest that amounts of resources are kept.
const MILLI: i32 = -3;

/// The object below `path`; `None` when there is none.
pub fn fields<'a>(object: &'a mut Value, path: &[&str]) -> Option<&'a mut Map> {
    below(object, path)?.as_object_mut()
}

/// The objects in the list below `path`.
pub fn items<'a>(object: &'a mut Value, path: &[&str]) -> impl Iterator<Item = &'a mut Map> {
    let items = below(object, path).and_then(Value::as_array_mut);
    items.into_iter().flatten().filter_map(Value::as_object_mut)
}

/// The object below `path`, made where there is none. `None` when something else stands there.
pub fn made<'a>(object: &'a mut Value, path: &[&str]) -> Option<&'a mut Map> {
    let mut now = object.as_object_mut()?;
    for name in path {
        now = now.entry(*name).or_insert_with(|| Value::Object(Map::new())).as_object_mut()?;
    }
    Some(now)
}

/// Sets a field that is not set.
pub fn default(fields: &mut Map, name: &str, value: impl Into<Value>) {
    let slot = fields.entry(name).or_insert(Value::Null);
    if slot.is_null() {
        *slot = value.into();
    }
}

/// Takes a field away below `path`.
pub fn remove(object: &mut Value, path: &[&str], name: &str) {
    if let Some(fields) = fields(object, path) {
        fields.remove(name);
    }
}

/// A field of an object as text; empty when it is none.
pub fn text<'a>(fields: &'a Map, name: &str) -> &'a str {
    fields.get(name).and_then(Value::as_str).unwrap_or("")
}

/// Rounds the amounts of a list of resources up to thousandths.
pub fn round_up(fields: &mut Map, name: &str) {
    let amounts = fields.get_mut(name).and_then(Value::as_object_mut);
    for amount in amounts.into_iter().flat_map(|list| list.values_mut()) {
        // An amount in canonical form shows what is finer at its end.
        let fine = amount.as_str().is_some_and(|text| text.ends_with(['u', 'n']) || text.contains("e-"));
        if fine && let Ok(mut quantity) = Quantity::from_value(amount) {
            quantity.round_up(MILLI);
            *amount = quantity.to_string().into();
        }
    }
}

fn below<'a>(object: &'a mut Value, path: &[&str]) -> Option<&'a mut Value> {
    path.iter().try_fold(object, |now, name| now.get_mut(*name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    #[test]
    fn amounts_are_rounded_up_to_thousandths() {
        let mut object = json!({"hard": {"cpu": "100u", "memory": "1500u", "a/b": "3", "c": "1n", "d": "1e-6"}});
        round_up(object.as_object_mut().unwrap(), "hard");
        assert_eq!(object, json!({"hard": {"cpu": "1m", "memory": "2m", "a/b": "3", "c": "1m", "d": "1e-3"}}));
    }

    #[test]
    fn only_what_is_not_set_is_filled() {
        let mut object = json!({"spec": {"ports": [{}, {"protocol": "UDP"}]}});
        for port in items(&mut object, &["spec", "ports"]) {
            default(port, "protocol", "TCP");
        }
        assert_eq!(object, json!({"spec": {"ports": [{"protocol": "TCP"}, {"protocol": "UDP"}]}}));
        assert!(made(&mut object, &["spec", "ports"]).is_none());
        assert!(made(&mut object, &["status", "x"]).is_some_and(|x| x.is_empty()));
    }
}
