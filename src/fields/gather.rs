//! The set of a value's fields: what a manager owns who applies it.

use super::check::element;
use super::path::Element;
use super::set::Set;
use super::typed::{List, Map, Relation, Type};
use crate::model::value::Value;

/// The fields of a checked value. Only what is there counts: nothing is taken for granted from its type.
pub fn fields(value: &Value, ty: Type<'_>) -> Set {
    gather(value, ty).1
}

/// Whether the place itself is a member, and what lies below it.
fn gather(value: &Value, ty: Type<'_>) -> (bool, Set) {
    let atom = ty.atom().deduce(Some(value));
    match (atom.map, atom.scalar, atom.list) {
        (Some(map), ..) if map.atomic => (true, Set::new()),
        (Some(map), ..) => (false, map_fields(value, &map)),
        (None, Some(_), _) => (true, Set::new()),
        (None, None, Some(list)) if matches!(list.relation, Relation::Atomic) => (true, Set::new()),
        (None, None, Some(list)) => (false, list_items(value, &list)),
        (None, None, None) => (false, Set::new()),
    }
}

fn map_fields(value: &Value, map: &Map<'_>) -> Set {
    let mut set = Set::new();
    for (name, value) in value.as_object().into_iter().flatten() {
        let declared = map.declared(name);
        let Some(ty) = declared.or(map.values) else { continue };
        let (own, below) = gather(value, ty);
        let empty = value.is_null() || value.as_object().is_some_and(crate::model::value::Map::is_empty);
        set.add(Element::field(name), own || empty || declared.is_none(), below);
    }
    set
}

/// What stands for items that have no name: pruning may leave null in an item's place.
const NAMELESS: Element = Element::Index(-1);

/// Each item is a member; of those that share a key, the key alone.
fn list_items(value: &Value, list: &List<'_>) -> Set {
    let items = value.as_array().into_iter().flatten();
    let mut named: Vec<_> = items.map(|item| (element(list, item).unwrap_or(NAMELESS), item)).collect();
    named.sort_by(|a, b| a.0.cmp(&b.0));
    let mut set = Set::new();
    let mut at = 0;
    while let Some((name, item)) = named.get(at) {
        let alike = named[at..].iter().take_while(|(other, _)| other == name).count();
        let below = if alike > 1 { Set::new() } else { gather(item, list.item).1 };
        set.add(name.clone(), true, below);
        at += alike;
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;
    use crate::schema::table;

    #[test]
    fn fields_are_those_that_stock_sees() {
        let ty = Type::Message(table::message("k8s.io.api.core.v1.Pod").expect("Pod"));
        let pod = json!({
            "metadata": {"labels": {"a": "b"}, "finalizers": ["x", "y"], "annotations": {}},
            "spec": {
                "nodeSelector": {"a": "b"}, "hostNetwork": false, "securityContext": {}, "tolerations": [{"key": "k"}],
                "containers": [{"name": "c", "ports": [{"containerPort": 80}], "env": [{"name": "E"}, {"name": "E"}]}],
            },
        });
        let expected = json!({
            "f:metadata": {"f:annotations": {}, "f:labels": {"f:a": {}}, "f:finalizers": {"v:\"x\"": {}, "v:\"y\"": {}}},
            "f:spec": {
                "f:nodeSelector": {}, "f:hostNetwork": {}, "f:securityContext": {}, "f:tolerations": {},
                "f:containers": {"k:{\"name\":\"c\"}": {
                    ".": {}, "f:name": {},
                    "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}},
                    "f:env": {"k:{\"name\":\"E\"}": {}},
                }},
            },
        });
        assert_eq!(fields(&pod, ty).to_value(), expected);
    }
}
