//! A value without a set of fields.

use super::check::element;
use super::path::Element;
use super::set::Set;
use super::typed::{List, Map, Relation, Type};
use crate::model::value::{Map as Object, Value};

/// The value without the members of the set and what lies below them. A map or list that loses all it has becomes
/// null; so does an atomic one that loses a part.
pub fn remove(value: &Value, set: &Set, ty: Type<'_>) -> Value {
    let atom = ty.atom().deduce(Some(value));
    match (atom.map, atom.scalar, atom.list, value) {
        (Some(map), .., Value::Object(fields)) if !map.atomic => remove_fields(fields, set, &map),
        (None, None, Some(list), Value::Array(items)) if !matches!(list.relation, Relation::Atomic) => {
            remove_items(items, set, &list)
        }
        (None, Some(_), ..) => value.clone(),
        _ => Value::Null,
    }
}

fn remove_fields(fields: &Object, set: &Set, map: &Map<'_>) -> Value {
    let mut out = Object::new();
    for (name, value) in fields {
        let kept = match (set.node(&Element::field(name)), map.value(name)) {
            (Some(node), _) if node.member => continue,
            (Some(node), Some(ty)) => remove(value, &node.children, ty),
            _ => value.clone(),
        };
        out.insert(name.clone(), kept);
    }
    if out.is_empty() { Value::Null } else { Value::Object(out) }
}

fn remove_items(items: &[Value], set: &Set, list: &List<'_>) -> Value {
    let mut out = Vec::new();
    for item in items {
        match element(list, item).ok().and_then(|element| set.node(&element)) {
            Some(node) if node.member => {}
            Some(node) => out.push(remove(item, &node.children, list.item)),
            None => out.push(item.clone()),
        }
    }
    if out.is_empty() { Value::Null } else { Value::Array(out) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;
    use crate::schema::table::message;

    #[test]
    fn members_go_with_all_below_them() {
        let ty = Type::Message(message("k8s.io.api.core.v1.Pod").expect("Pod"));
        let pod = json!({"spec": {
            "hostname": "h", "nodeSelector": {"a": "1"},
            "containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "j"}],
        }});
        let without = |fields: Value| remove(&pod, &Set::from_value(&fields).expect("FieldsV1"), ty);
        let some = json!({"f:spec": {
            "f:hostname": {}, "f:nodeSelector": {"f:a": {}},
            "f:containers": {"k:{\"name\":\"a\"}": {}, "k:{\"name\":\"b\"}": {"f:image": {}}},
        }});
        assert_eq!(without(some), json!({"spec": {"nodeSelector": null, "containers": [{"name": "b"}]}}));
        let all = json!({"f:spec": {
            "f:hostname": {}, "f:nodeSelector": {}, "f:containers": {"k:{\"name\":\"a\"}": {}, "k:{\"name\":\"b\"}": {}},
        }});
        assert_eq!(without(all), json!({"spec": {"containers": null}}));
        assert_eq!(without(json!({})), pod);
    }
}
