//! Who makes an object owns all of it: the fields of a whole value, written as FieldsV1 straight from it, without a set.

use super::compare::{Side, Walk};
use super::path::Element;
use super::set::{Set, write_field, write_step};
use super::typed::{List, Map, Relation, Type};
use super::update::STRIPPED;
use crate::model::value::{Map as Object, Value};

/// What lies below a step starts so when the step is a member itself.
const MEMBER: &str = "\".\":{}";

/// What differs between an empty object and this one, but for what the endpoint resets and what nobody owns; the same as
/// comparing the two, in one walk. `None`: it cannot be told so, as when items cannot be told apart; then compare.
pub fn text(value: &Value, ty: Type<'_>, reset: &Set) -> Option<String> {
    let map = ty.atom().deduce(Some(value)).map.filter(|map| !map.atomic)?;
    let (mut walk, nothing) = (Walk::sparse(), Value::Object(Object::new()));
    let mut out = Out { text: String::with_capacity(1024), key: String::new(), gave_up: false };
    out.text.push('{');
    maps(&mut walk, &mut out, (Side::Given(&nothing), Side::Given(value)), &map, &Level::Root(reset));
    out.text.push('}');
    (!out.gave_up && walk.into_faults().none_or_err().is_ok()).then_some(out.text)
}

/// Where fields stand: some are owned by nobody, and some do not count.
enum Level<'r> {
    Root(&'r Set),
    Meta,
    Below,
}

impl Level<'_> {
    fn strips(&self, name: &str) -> bool {
        match self {
            Level::Root(_) => STRIPPED.contains(&&[name][..]),
            Level::Meta => STRIPPED.contains(&&["metadata", name][..]),
            Level::Below => false,
        }
    }

    /// Whether the field does not count: all of it, or something in it.
    fn resets(&self, name: &str) -> Option<bool> {
        match self {
            Level::Root(reset) if !reset.is_empty() => reset.node(&Element::field(name)).map(|node| node.member),
            _ => None,
        }
    }

    fn below(&self, name: &str) -> Self {
        if matches!(self, Level::Root(_)) && name == "metadata" { Level::Meta } else { Level::Below }
    }
}

struct Out {
    text: String,
    key: String,
    gave_up: bool,
}

impl Out {
    fn separate(&mut self) {
        if !self.text.ends_with('{') {
            self.text.push(',');
        }
    }

    /// A step whose key has been written since `start`, with what `visit` writes below it; nothing when that is nothing
    /// and the step is no member.
    fn place(&mut self, start: usize, is_new: bool, visit: impl FnOnce(&mut Self) -> bool) {
        self.text.push_str(":{");
        let inner = self.text.len();
        if is_new {
            self.text.push_str(MEMBER);
        }
        let begun = self.text.len();
        let is_changed = visit(self);
        match (self.text.len() > begun, is_new || is_changed) {
            (true, _) => self.text.push('}'),
            (false, true) => {
                self.text.truncate(inner);
                self.text.push('}');
            }
            (false, false) => self.text.truncate(start),
        }
    }
}

/// Writes what lies below a place; whether the place, which was there before, is another now.
fn visit(walk: &mut Walk, out: &mut Out, (left, right): (Side<'_>, Side<'_>), ty: Type<'_>, level: &Level<'_>) -> bool {
    if matches!((left, right), (Side::Zero(_), Side::Zero(_)) | (Side::Absent, Side::Absent)) {
        return false;
    }
    let atom = ty.atom();
    let (before, now) = (atom.deduce(left.value()), atom.deduce(right.value()));
    if right.is_absent() || !(left.is_absent() || before.forms() == now.forms()) {
        out.gave_up = true;
        return false;
    }
    match (now.map, now.scalar, now.list) {
        (Some(map), ..) => maps(walk, out, (left, right), &map, level),
        (_, Some(_), _) if left.is_absent() => false,
        (_, Some(scalar), _) => walk.scalars(left, right, scalar).modified.member,
        (.., Some(list)) => lists(walk, out, (left, right), &list),
        _ => false,
    }
}

fn maps(walk: &mut Walk, out: &mut Out, (left, right): (Side<'_>, Side<'_>), map: &Map<'_>, level: &Level<'_>) -> bool {
    let (a, b) = (left.fields(), right.fields());
    if map.atomic || (walk.is_bare(a, map) && walk.is_bare(b, map)) {
        return !left.is_absent() && !walk.equal_forms(left, right, Some(map), None);
    }
    walk.fields(a, b, map, &mut |walk, name, left, right, ty| {
        let start = out.text.len();
        out.separate();
        write_field(&mut out.text, &mut out.key, name);
        let (is_owned, below) = (!level.strips(name), level.below(name));
        let is_new = left.is_absent() && !right.is_absent() && is_owned;
        out.place(start, is_new, |out| visit(walk, out, (left, right), ty, &below) && is_owned);
        if let Some(is_whole) = level.resets(name) {
            // Looked at all the same: what cannot be told apart is a fault there too.
            out.text.truncate(start);
            out.gave_up |= !is_whole;
        }
    });
    false
}

fn lists(walk: &mut Walk, out: &mut Out, (left, right): (Side<'_>, Side<'_>), list: &List<'_>) -> bool {
    if matches!(list.relation, Relation::Atomic) || right.items().is_empty() {
        return !left.is_absent() && !walk.equal_forms(left, right, None, Some(list));
    }
    for alike in walk.named(right.items(), list).chunk_by(|a, b| a.0 == b.0) {
        let start = out.text.len();
        out.separate();
        write_step(&mut out.text, &mut out.key, &alike[0].0);
        out.place(start, true, |out| match alike {
            [(_, item)] => visit(walk, out, (Side::Absent, Side::Given(item)), list.item, &Level::Below),
            _ => false,
        });
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::generate;
    use crate::fields::compare::{Form, compare};
    use crate::fields::managed;
    use crate::fields::update::without_stripped;
    use crate::model::value::json;
    use crate::schema::table::{Json, MESSAGES, Message, message};

    /// The same by comparing; `None` when there is a fault.
    fn compared(value: &Value, ty: Type<'_>, reset: &Set) -> Option<String> {
        let changes = compare(&json!({}), value, ty, Form::Sparse).ok()?;
        let own = changes.modified.or(changes.added).recursive_difference(reset);
        Some(without_stripped(&own).to_text())
    }

    fn objects() -> impl Strategy<Value = (&'static Message, Value)> {
        let all: Vec<_> = MESSAGES.iter().copied().filter(|m| m.object && m.json == Json::Object).collect();
        proptest::sample::select(all).prop_flat_map(|m| (Just(m), generate::message(m)))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn a_whole_value_is_what_differs_from_nothing((message, value) in objects(), resets in any::<bool>()) {
            let mut value = value;
            managed::take(&mut value);
            let reset = if resets { Set::of_fields([&["status"][..]]) } else { Set::new() };
            let ty = Type::Message(message);
            if let Some(text) = text(&value, ty, &reset) {
                prop_assert_eq!(Some(text), compared(&value, ty, &reset));
            }
        }
    }

    #[test]
    fn a_pod_is_told_without_comparing() {
        let pod = Type::Message(message("k8s.io.api.core.v1.Pod").expect("Pod"));
        let value = json!({
            "metadata": {"name": "p", "labels": {"a": "<b>", "\"": ""}, "finalizers": ["y", "x"], "generation": 1},
            "spec": {"containers": [{"name": "b", "env": [{"name": "E"}, {"name": "E"}]}, {"name": "a"}], "nodeName": ""},
            "status": {"phase": "Pending"},
        });
        let reset = Set::of_fields([&["status"][..]]);
        let told = text(&value, pod, &reset);
        assert!(told.is_some());
        assert_eq!(told, compared(&value, pod, &reset));
        assert_eq!(text(&value, pod, &Set::of_fields([&["status", "phase"][..]])), None, "half a field is reset");
        assert_eq!(text(&json!({"spec": {"containers": [null]}}), pod, &reset), None, "an item has no name");
    }
}
