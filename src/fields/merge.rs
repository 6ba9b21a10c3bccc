//! One value laid over another, as apply merges what is applied into what is there.

use super::check::{Faults, element, wrong_scalar};
use super::path::Element;
use super::typed::{Atom, List, Map, Relation, Scalar, Type};
use crate::model::value::{Map as Object, Value};

/// `right` laid over `left`: maps field by field, lists item by item where their items can be told apart, in the order
/// of `right` as far as it has one; everything else is `right`'s.
pub fn merge(left: &Value, right: &Value, ty: Type<'_>) -> Result<Value, Faults> {
    let mut faults = Faults::default();
    let merged = visit(Some(left), Some(right), ty, &mut faults);
    faults.none_or_err()?;
    Ok(merged.unwrap_or(Value::Null))
}

/// `None`: nothing is left.
fn visit(left: Option<&Value>, right: Option<&Value>, ty: Type<'_>, faults: &mut Faults) -> Option<Value> {
    let atom = ty.atom();
    let (of_left, of_right) = (atom.deduce(left), atom.deduce(right));
    match (left, right) {
        (Some(_), None) => handle(left, right, of_left, faults),
        (None, _) => handle(left, right, of_right, faults),
        _ if of_left.forms() == of_right.forms() => handle(left, right, of_right, faults),
        // Of two forms the right one's is the outcome; the left one's is merged for its faults.
        _ => {
            handle(left, right, of_left, faults);
            handle(left, right, of_right, faults)
        }
    }
}

fn handle(left: Option<&Value>, right: Option<&Value>, atom: Atom<'_>, faults: &mut Faults) -> Option<Value> {
    match (atom.map, atom.scalar, atom.list) {
        (Some(map), ..) => maps(left, right, &map, faults),
        (_, Some(scalar), _) => scalars(left, right, scalar, faults),
        (.., Some(list)) => lists(left, right, &list, faults),
        _ => None,
    }
}

fn last(left: Option<&Value>, right: Option<&Value>) -> Option<Value> {
    right.or(left).cloned()
}

fn scalars(left: Option<&Value>, right: Option<&Value>, scalar: Scalar, faults: &mut Faults) -> Option<Value> {
    let wrong = |value: Option<&Value>, side: &str| Some(format!("{side}{}", wrong_scalar(value?, scalar)?));
    if let (Some(left), Some(right)) = (wrong(left, "lhs: "), wrong(right, "rhs: ")) {
        faults.extend(Faults::one(left));
        faults.extend(Faults::one(right));
        return None;
    }
    last(left, right)
}

fn maps(left: Option<&Value>, right: Option<&Value>, map: &Map<'_>, faults: &mut Faults) -> Option<Value> {
    let none = Object::new();
    let a = left.and_then(Value::as_object).unwrap_or(&none);
    let b = right.and_then(Value::as_object).unwrap_or(&none);
    if map.atomic || (a.is_empty() && b.is_empty()) {
        return last(left, right);
    }
    let mut out = Object::new();
    let only_right = b.iter().filter(|(name, _)| !a.contains_key(name)).map(|(name, value)| (name, None, Some(value)));
    for (name, left, right) in a.iter().map(|(name, value)| (name, Some(value), b.get(name))).chain(only_right) {
        let Some(ty) = map.value(name) else {
            faults.extend(Faults::one("schema error: invalid atom: inlined").below(&Element::field(name)));
            continue;
        };
        let mut below = Faults::default();
        if let Some(value) = visit(left, right, ty, &mut below) {
            out.insert(name.clone(), value);
        }
        faults.extend(below.below(&Element::field(name)));
    }
    if out.is_empty() { None } else { Some(Value::Object(out)) }
}

fn lists(left: Option<&Value>, right: Option<&Value>, list: &List<'_>, faults: &mut Faults) -> Option<Value> {
    let items = |value: Option<&'_ Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let (a, b) = (items(left), items(right));
    if matches!(list.relation, Relation::Atomic) || (a.is_empty() && b.is_empty()) {
        return last(left, right);
    }
    let mut found = Faults::default();
    let b = named(&b, list, false, &mut found);
    let a = named(&a, list, true, &mut found);
    if !found.is_empty() {
        faults.extend(found);
        return None;
    }
    let weave = Weave {
        list,
        left: &a,
        right: &b,
        in_left: partners(&b, &a),
        in_right: partners(&a, &b),
        done: vec![false; b.len()],
        out: Vec::new(),
    };
    let out = weave.run();
    if out.is_empty() { None } else { Some(Value::Array(out)) }
}

/// An item with its name.
struct Named<'v> {
    name: Element,
    item: &'v Value,
    /// Another item of the list has the name too.
    repeated: bool,
}

/// The items with their names. Stock tells every name that comes again, unless `duplicates` are allowed.
fn named<'v>(items: &'v [Value], list: &List<'_>, duplicates: bool, faults: &mut Faults) -> Vec<Named<'v>> {
    let mut named: Vec<Named<'v>> = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        match element(list, item) {
            Ok(name) => named.push(Named { name, item, repeated: false }),
            Err(why) => faults.extend(Faults::one(format!("element {index}: {why}"))),
        }
    }
    let order = sorted(&named);
    let mut again: Vec<usize> = Vec::new();
    for pair in order.windows(2) {
        if named[pair[0]].name == named[pair[1]].name {
            again.push(pair[1]);
            named[pair[0]].repeated = true;
            named[pair[1]].repeated = true;
        }
    }
    if !duplicates {
        again.sort_unstable();
        again
            .iter()
            .for_each(|at| faults.extend(Faults::one(format!("duplicate entries for key {}", named[*at].name))));
    }
    named
}

/// Their places, sorted by name; those of one name by place.
fn sorted(named: &[Named<'_>]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..named.len()).collect();
    order.sort_by(|a, b| named[*a].name.cmp(&named[*b].name));
    order
}

/// For each item of `these` the first of `those` that has its name.
fn partners(these: &[Named<'_>], those: &[Named<'_>]) -> Vec<Option<usize>> {
    let order = sorted(those);
    let find = |name: &Element| {
        let at = order.partition_point(|at| those[*at].name < *name);
        order.get(at).copied().filter(|at| those[*at].name == *name)
    };
    these.iter().map(|named| find(&named.name)).collect()
}

/// Two lists woven into one: the items of `right` keep their order, those of `left` alone stay where they stood
/// between the items that both have.
struct Weave<'a, 'v> {
    list: &'a List<'a>,
    left: &'a [Named<'v>],
    right: &'a [Named<'v>],
    /// Where an item of `right` is in `left`.
    in_left: Vec<Option<usize>>,
    /// Where an item of `left` is in `right`.
    in_right: Vec<Option<usize>>,
    /// Which items of `right` are in `out`.
    done: Vec<bool>,
    out: Vec<Value>,
}

impl Weave<'_, '_> {
    fn run(mut self) -> Vec<Value> {
        let mut shared: Vec<usize> = (0..self.right.len()).filter(|r| self.in_left[*r].is_some()).collect();
        shared.reverse();
        let mut next = shared.pop();
        let (mut l, mut r) = (0, 0);
        while l < self.left.len() || r < self.right.len() {
            if l < self.left.len() && r < self.right.len() {
                if self.left[l].name == self.right[r].name {
                    self.take_right(r);
                    (l, r) = (l + 1, r + 1);
                    next = shared.pop();
                    continue;
                }
                let awaited = next.is_some_and(|at| self.right[at].name != self.left[l].name);
                if awaited && self.in_right[l].is_some() {
                    l += 1;
                    continue;
                }
            }
            if l < self.left.len() {
                match self.in_right[l] {
                    None => {
                        let item = self.left[l].item;
                        self.out.extend(visit(Some(item), None, self.list.item, &mut Faults::default()));
                        l += 1;
                        continue;
                    }
                    Some(at) if self.done[at] => l += 1,
                    Some(_) => {}
                }
            }
            if r < self.right.len() {
                self.take_right(r);
                if next.is_some_and(|at| self.right[at].name == self.right[r].name) {
                    next = shared.pop();
                }
                r += 1;
            }
        }
        self.out
    }

    /// The item of `right`, over the one of `left` with its name; where `left` repeats the name, over null.
    fn take_right(&mut self, r: usize) {
        self.done[r] = true;
        let left = self.in_left[r].map(|at| &self.left[at]);
        let left = left.map(|left| if left.repeated { &Value::Null } else { left.item });
        let merged = visit(left, Some(self.right[r].item), self.list.item, &mut Faults::default());
        self.out.extend(merged);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::generate;
    use crate::codec::json::dense::expand;
    use crate::fields::check::check;
    use crate::schema::table::{Json, MESSAGES, Message, message};
    use proptest::prelude::*;

    use crate::model::value::json;

    fn pod(left: Value, right: Value) -> Value {
        let ty = Type::Message(message("k8s.io.api.core.v1.Pod").expect("Pod"));
        merge(&json!({"spec": left}), &json!({"spec": right}), ty).expect("mergeable")["spec"].take()
    }

    /// The names of containers, merged.
    fn order(left: &str, right: &str) -> String {
        let list = |names: &str| -> Value { names.chars().map(|c| json!({"name": c.to_string()})).collect() };
        let merged = pod(json!({"containers": list(left)}), json!({"containers": list(right)}));
        let names = merged["containers"].as_array().into_iter().flatten().map(|c| c["name"].as_str().unwrap_or("?"));
        names.collect()
    }

    #[test]
    fn items_keep_the_order_of_what_is_applied() {
        for (left, right, merged) in [
            ("abc", "b", "abc"),
            ("abc", "ca", "bca"),
            ("abc", "xb", "axbc"),
            ("abc", "cx", "abcx"),
            ("abcd", "dcba", "dcba"),
            ("aebfcgd", "dcba", "efgdcba"),
            ("", "ab", "ab"),
            ("ab", "", "ab"),
            ("abc", "xyz", "abcxyz"),
        ] {
            assert_eq!(order(left, right), merged, "{left} and {right}");
        }
    }

    #[test]
    fn atomic_parts_are_replaced_and_null_keeps_what_is_there() {
        let left = json!({"nodeSelector": {"a": "1"}, "tolerations": [{"key": "a"}], "hostname": "h", "securityContext": {"runAsUser": 1}});
        let right = json!({"nodeSelector": {"b": "2"}, "tolerations": [], "hostname": null, "securityContext": null});
        let merged = json!({"nodeSelector": {"b": "2"}, "tolerations": [], "hostname": null, "securityContext": {"runAsUser": 1}});
        assert_eq!(pod(left, right), merged);
    }

    #[test]
    fn repeated_items_give_way_to_the_applied_one() {
        let env = |list: Value| json!({"containers": [{"name": "c", "env": list}]});
        let left = env(json!([{"name": "A", "value": "1"}, {"name": "B", "value": "2"}, {"name": "A", "value": "3"}]));
        let merged = pod(left.clone(), env(json!([{"name": "A", "value": "9"}])));
        assert_eq!(merged, env(json!([{"name": "A", "value": "9"}, {"name": "B", "value": "2"}])));
        assert_eq!(pod(left.clone(), env(json!([]))), left);
    }

    fn objects() -> impl Strategy<Value = (&'static Message, Value, Value)> {
        // Documents of discovery are never applied; they have sets of objects, which no merge knows.
        let is_applied = |m: &&Message| m.object && m.json == Json::Object && !m.name.contains(".apidiscovery.");
        let all: Vec<_> = MESSAGES.iter().copied().filter(is_applied).collect();
        proptest::sample::select(all)
            .prop_flat_map(|m| (generate::message(m), generate::message(m)).prop_map(move |(a, b)| (m, a, b)))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn nothing_laid_over_changes_nothing((message, value, other) in objects()) {
            let ty = Type::Message(message);
            let (value, other) = (expand(&value, message), expand(&other, message));
            if let Ok(merged) = merge(&value, &json!({}), ty) {
                prop_assert_eq!(&merged, &value);
            }
            let checked = check(&other, ty, false);
            if let (Ok(()), Ok(merged)) = (checked, merge(&value, &other, ty)) {
                prop_assert_eq!(merge(&merged, &other, ty), Ok(merged.clone()), "merging twice is merging once");
            }
        }
    }
}
