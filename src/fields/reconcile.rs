//! A set of fields after its type has changed: what was granular and is atomic now is owned as a whole.

use super::path::Element;
use super::set::Set;
use super::typed::{Map, Relation, Type};

/// The set as the type wants it. `None`: it is so already.
pub fn reconcile(set: &Set, ty: Type<'_>) -> Option<Set> {
    let mut changes = Changes { path: Vec::new(), whole: Set::new() };
    changes.visit(Some(set), false, ty);
    if changes.whole.is_empty() { None } else { Some(set.recursive_difference(&changes.whole).union(&changes.whole)) }
}

struct Changes {
    path: Vec<Element>,
    /// What is owned as a whole now.
    whole: Set,
}

impl Changes {
    /// `leaf`: the place is a member without fields below it.
    fn visit(&mut self, set: Option<&Set>, leaf: bool, ty: Type<'_>) {
        let atom = ty.atom();
        if let Some(map) = atom.map {
            return self.map(set, leaf, &map);
        }
        let Some(list) = atom.list.filter(|_| atom.scalar.is_none()) else { return };
        if matches!(list.relation, Relation::Atomic) {
            if !leaf {
                self.whole.insert(&self.path);
            }
            return;
        }
        for node in set.map_or(&[][..], Set::nodes) {
            self.below(&node.element, node.member, &node.children, list.item);
        }
    }

    fn map(&mut self, set: Option<&Set>, leaf: bool, map: &Map<'_>) {
        if map.is_schemaless() {
            return;
        }
        if map.atomic && !leaf {
            if set.is_some_and(|set| !set.is_empty()) {
                self.whole.insert(&self.path);
            }
            return;
        }
        for node in set.map_or(&[][..], Set::nodes) {
            let ty = match &node.element {
                Element::Field(name) => map.value(name),
                _ => map.values,
            };
            if let Some(ty) = ty {
                self.below(&node.element, node.member, &node.children, ty);
            }
        }
    }

    fn below(&mut self, step: &Element, member: bool, children: &Set, ty: Type<'_>) {
        self.path.push(step.clone());
        let leaf = member && children.is_empty();
        self.visit(Some(children).filter(|set| !set.is_empty()), leaf, ty);
        self.path.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::{Value, json};
    use crate::schema::table::message;

    #[test]
    fn what_became_atomic_is_owned_as_a_whole() {
        let ty = Type::Message(message("k8s.io.api.core.v1.Pod").expect("Pod"));
        let old = json!({"f:spec": {
            "f:nodeSelector": {".": {}, "f:a": {}}, "f:tolerations": {"k:{\"key\":\"a\"}": {"f:key": {}}},
            "f:containers": {"k:{\"name\":\"c\"}": {".": {}, "f:name": {}}}, "f:gone": {"f:x": {}},
        }});
        let new = json!({"f:spec": {
            "f:nodeSelector": {}, "f:tolerations": {},
            "f:containers": {"k:{\"name\":\"c\"}": {".": {}, "f:name": {}}}, "f:gone": {"f:x": {}},
        }});
        let set = |fields: &Value| Set::from_value(fields).expect("FieldsV1");
        assert_eq!(reconcile(&set(&old), ty), Some(set(&new)));
        assert_eq!(reconcile(&set(&new), ty), None);
    }
}
