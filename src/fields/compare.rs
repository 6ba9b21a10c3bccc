//! What two values of a type differ in.

use super::check::{Faults, element, wrong_scalar};
use super::path::{Element, same};
use super::set::Set;
use super::typed::{Atom, List, Map, Names, Relation, Scalar, Type};
use crate::codec::json::dense::shown;
use crate::model::value::{Map as Object, Value};
use crate::schema::table::{self, Field, Json, Shape};

/// Items of lists that are looked at pairwise at most.
const MAX_ALIGNED: usize = 16;

/// The fields that two values differ in; no field is in two of the sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    pub removed: Set,
    pub modified: Set,
    pub added: Set,
}

/// How a value leaves out what it does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Zero fields are left out where a message says that JSON shows them.
    Sparse,
    /// What is not there is not there.
    Full,
}

impl Comparison {
    pub fn is_same(&self) -> bool {
        self.removed.is_empty() && self.modified.is_empty() && self.added.is_empty()
    }

    /// Each of the three sets, changed by `f`.
    pub fn map(self, f: impl Fn(Set) -> Set) -> Self {
        Self { removed: f(self.removed), modified: f(self.modified), added: f(self.added) }
    }
}

/// Compares two values of the type; lists of managers do not count. Lists whose items cannot be told apart are faults.
pub fn compare(left: &Value, right: &Value, ty: Type<'_>, form: Form) -> Result<Comparison, Faults> {
    let mut walk = Walk { sparse: form == Form::Sparse, faults: Faults::default() };
    let found = walk.visit(Side::Given(left), Side::Given(right), ty);
    walk.faults.none_or_err()?;
    Ok(Comparison { removed: found.removed.below, modified: found.modified.below, added: found.added.below })
}

/// Whether the values are the same, the order of list items included; lists of managers do not count.
pub fn equal(left: &Value, right: &Value, ty: Type<'_>, form: Form) -> bool {
    Walk { sparse: form == Form::Sparse, faults: Faults::default() }.equal(Side::Given(left), Side::Given(right), ty)
}

/// One of the two values at a place.
#[derive(Clone, Copy)]
pub(super) enum Side<'v> {
    Absent,
    /// Not written, yet shown.
    Zero(Unset),
    Given(&'v Value),
}

/// What JSON shows of an unset field, if not null.
#[derive(Clone, Copy)]
pub(super) enum Unset {
    Struct,
    Text(&'static str),
    Number,
    Flag,
}

/// What was found at a place: is it a member, and what lies below it.
#[derive(Default)]
pub(super) struct Branch {
    pub member: bool,
    below: Set,
}

/// A place in the three sets.
#[derive(Default)]
pub(super) struct Found {
    removed: Branch,
    pub modified: Branch,
    added: Branch,
    /// The place was taken as a whole.
    leaf: bool,
}

pub(super) struct Walk {
    sparse: bool,
    faults: Faults,
}

impl<'v> Side<'v> {
    pub fn value(self) -> Option<&'v Value> {
        match self {
            Side::Given(value) => Some(value),
            _ => None,
        }
    }

    pub fn is_absent(self) -> bool {
        matches!(self, Side::Absent)
    }

    /// The fields of a map, `None` when it is no map or null.
    pub fn fields(self) -> Option<Option<&'v Object>> {
        match self {
            Side::Absent => None,
            Side::Zero(_) => Some(None),
            Side::Given(value) => value.as_object().map(Some),
        }
    }

    pub fn items(self) -> &'v [Value] {
        self.value().and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }
}

impl Found {
    fn is_empty(&self) -> bool {
        [&self.removed, &self.modified, &self.added].iter().all(|branch| !branch.member && branch.below.is_empty())
    }

    /// Takes over what was found one step below.
    fn take(&mut self, step: &Element, found: Found) {
        for (branch, below) in
            [(&mut self.removed, found.removed), (&mut self.modified, found.modified), (&mut self.added, found.added)]
        {
            if below.member || !below.below.is_empty() {
                branch.below.add(step.clone(), below.member, below.below);
            }
        }
    }

    /// What another look at the same place has found.
    fn join(&mut self, other: Found) {
        for (branch, more) in
            [(&mut self.removed, other.removed), (&mut self.modified, other.modified), (&mut self.added, other.added)]
        {
            branch.member |= more.member;
            branch.below = branch.below.union(&more.below);
        }
    }
}

impl Walk {
    /// Of sparse values.
    pub fn sparse() -> Self {
        Self { sparse: true, faults: Faults::default() }
    }

    /// Items that could not be told apart.
    pub fn into_faults(self) -> Faults {
        self.faults
    }

    fn visit(&mut self, left: Side<'_>, right: Side<'_>, ty: Type<'_>) -> Found {
        if matches!((left, right), (Side::Zero(_), Side::Zero(_)) | (Side::Absent, Side::Absent)) {
            return Found::default();
        }
        let atom = ty.atom();
        let (of_left, of_right) = (atom.deduce(left.value()), atom.deduce(right.value()));
        let mut found = if right.is_absent() {
            self.handle(left, right, of_left)
        } else if left.is_absent() || of_left.forms() == of_right.forms() {
            self.handle(left, right, of_right)
        } else {
            let first = self.handle(left, right, of_left);
            let mut second = self.handle(left, right, of_right);
            second.join(first);
            second
        };
        if !found.leaf {
            found.added.member |= left.is_absent();
            found.removed.member |= right.is_absent();
        }
        found
    }

    fn handle(&mut self, left: Side<'_>, right: Side<'_>, atom: Atom<'_>) -> Found {
        match (atom.map, atom.scalar, atom.list) {
            (Some(map), ..) => self.maps(left, right, &map),
            (_, Some(scalar), _) => self.scalars(left, right, scalar),
            (.., Some(list)) => self.lists(left, right, &list),
            _ => Found::default(),
        }
    }

    pub fn scalars(&mut self, left: Side<'_>, right: Side<'_>, scalar: Scalar) -> Found {
        let wrong = |side: Side<'_>, name: &str| Some(format!("{name}{}", wrong_scalar(side.value()?, scalar)?));
        if let (Some(left), Some(right)) = (wrong(left, "lhs: "), wrong(right, "rhs: ")) {
            self.faults.extend(Faults::one(left));
            self.faults.extend(Faults::one(right));
            return Found::default();
        }
        leaf(left, right, |left, right| same_scalar(left, right))
    }

    fn maps(&mut self, left: Side<'_>, right: Side<'_>, map: &Map<'_>) -> Found {
        let (a, b) = (left.fields(), right.fields());
        if map.atomic || (self.is_bare(a, map) && self.is_bare(b, map)) {
            return leaf(left, right, |left, right| self.equal_forms(left, right, Some(map), None));
        }
        let mut found = Found::default();
        self.fields(a, b, map, &mut |walk, name, left, right, ty| {
            let below = walk.visit(left, right, ty);
            if !below.is_empty() {
                found.take(&Element::field(name), below);
            }
        });
        found
    }

    /// Nothing is in the map, nor shown of it.
    pub fn is_bare(&self, fields: Option<Option<&Object>>, map: &Map<'_>) -> bool {
        match fields {
            None => true,
            Some(fields) => fields.is_none_or(Object::is_empty) && !(self.sparse && shows_when_empty(map)),
        }
    }

    /// Calls `visit` with each field of two maps, in order of name, that is not plainly the same on both sides.
    pub fn fields<'v>(
        &mut self,
        left: Option<Option<&'v Object>>,
        right: Option<Option<&'v Object>>,
        map: &Map<'_>,
        visit: &mut dyn FnMut(&mut Self, &str, Side<'v>, Side<'v>, Type<'_>),
    ) {
        let (a, b) = (left.flatten(), right.flatten());
        let mut extra: Vec<&str> = Vec::new();
        if let (true, Names::Message(message), true) = (self.sparse, map.names, left.is_some() != right.is_some()) {
            extra.extend(message.shown_unset.iter().filter(|name| {
                !a.is_some_and(|map| map.contains_key(name)) && !b.is_some_and(|map| map.contains_key(name))
            }));
        }
        for (name, a, b) in Zip::new(a, b, extra) {
            if a.is_some() && a == b {
                continue;
            }
            // The list of managers is kept by itself.
            let Some(ty) = map.value(name).filter(|_| name != "managedFields" || !is_meta(map)) else { continue };
            let field = match (self.sparse, ty) {
                (true, Type::Field(field)) => Some(field),
                _ => None,
            };
            visit(self, name, side(field, a, left.is_some()), side(field, b, right.is_some()), ty);
        }
    }

    fn lists(&mut self, left: Side<'_>, right: Side<'_>, list: &List<'_>) -> Found {
        let (a, b) = (left.items(), right.items());
        if matches!(list.relation, Relation::Atomic) || (a.is_empty() && b.is_empty()) {
            return leaf(left, right, |left, right| self.equal_forms(left, right, None, Some(list)));
        }
        let mut found = Found::default();
        if aligned(a, b, list) {
            for (a, b) in a.iter().zip(b).filter(|(a, b)| a != b) {
                let below = self.visit(Side::Given(a), Side::Given(b), list.item);
                if let (false, Ok(name)) = (below.is_empty(), element(list, a)) {
                    found.take(&name, below);
                }
            }
            return found;
        }
        let (a, b) = (self.named(a, list), self.named(b, list));
        let (mut i, mut j) = (0, 0);
        while i < a.len() || j < b.len() {
            let order = match (a.get(i), b.get(j)) {
                (Some(x), Some(y)) => x.0.cmp(&y.0),
                (Some(_), None) => std::cmp::Ordering::Less,
                _ => std::cmp::Ordering::Greater,
            };
            let name = if order.is_le() { &a[i].0 } else { &b[j].0 };
            let alike = |named: &[(Element, &Value)]| named.iter().take_while(|(other, _)| other == name).count();
            let (in_a, in_b) = (alike(&a[i..]), alike(&b[j..]));
            let below = self.items(&a[i..i + in_a], &b[j..j + in_b], list);
            if !below.is_empty() {
                found.take(name, below);
            }
            (i, j) = (i + in_a, j + in_b);
        }
        found
    }

    /// Items by name; those of one name stay in the list's order.
    pub fn named<'v>(&mut self, items: &'v [Value], list: &List<'_>) -> Vec<(Element, &'v Value)> {
        let mut named = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match element(list, item) {
                Ok(element) => named.push((element, item)),
                Err(why) => self.faults.extend(Faults::one(format!("element {index}: {why}"))),
            }
        }
        named.sort_by(|a, b| a.0.cmp(&b.0));
        named
    }

    /// Items of one name. Where a name comes more than once, its items are taken as a whole.
    fn items(&mut self, left: &[(Element, &Value)], right: &[(Element, &Value)], list: &List<'_>) -> Found {
        let mut found = Found::default();
        match (left.len(), right.len()) {
            (1, 1) if left[0].1 == right[0].1 => {}
            (0 | 1, 0 | 1) => found = self.visit(one(left), one(right), list.item),
            (2.., 2..) => {
                found.modified.member =
                    left.len() != right.len() || left.iter().zip(right).any(|(a, b)| !same(a.1, b.1));
            }
            (2.., _) => {
                if !right.is_empty() {
                    found = self.visit(Side::Absent, one(right), list.item);
                }
                found.removed.member = true;
            }
            (_, _) => {
                if !left.is_empty() {
                    found = self.visit(one(left), Side::Absent, list.item);
                }
                found.added.member = true;
            }
        }
        found
    }

    fn equal(&mut self, left: Side<'_>, right: Side<'_>, ty: Type<'_>) -> bool {
        match (left, right) {
            (Side::Given(a), Side::Given(b)) if a == b => true,
            (Side::Absent, Side::Absent) | (Side::Zero(_), Side::Zero(_)) => true,
            (Side::Absent, _) | (_, Side::Absent) => false,
            (Side::Given(a), Side::Given(b)) if matches!(ty, Type::Opaque) => same(a, b),
            _ => {
                let atom = ty.atom().deduce(left.value().or(right.value()));
                self.equal_forms(left, right, atom.map.as_ref(), atom.list.as_ref())
            }
        }
    }

    /// Whether two sides are the same, taken as maps, lists or scalars.
    pub fn equal_forms(
        &mut self,
        left: Side<'_>,
        right: Side<'_>,
        map: Option<&Map<'_>>,
        list: Option<&List<'_>>,
    ) -> bool {
        if let (Some(map), Some(a), Some(b)) = (map, left.fields(), right.fields()) {
            let mut all = true;
            self.fields(Some(a), Some(b), map, &mut |walk, _, left, right, ty| {
                all = all && walk.equal(left, right, ty);
            });
            return all;
        }
        match (list, left, right) {
            (Some(list), Side::Given(Value::Array(a)), Side::Given(Value::Array(b))) => {
                a.len() == b.len()
                    && a.iter().zip(b).all(|(a, b)| self.equal(Side::Given(a), Side::Given(b), list.item))
            }
            _ => same_scalar(left, right),
        }
    }
}

/// A place taken as a whole.
fn leaf<'v>(left: Side<'v>, right: Side<'v>, equal: impl FnOnce(Side<'v>, Side<'v>) -> bool) -> Found {
    let mut found = Found { leaf: true, ..Found::default() };
    if left.is_absent() {
        found.added.member = true;
    } else if right.is_absent() {
        found.removed.member = true;
    } else {
        found.modified.member = !equal(left, right);
    }
    found
}

/// Whether two lists have items of the same keys in the same places, each key once. Long lists are not looked through.
fn aligned(a: &[Value], b: &[Value], list: &List<'_>) -> bool {
    let Relation::Keys(keys) = list.relation else { return false };
    let same = |a: &Value, b: &Value| match (a, b) {
        (Value::Object(a), Value::Object(b)) => keys.iter().all(|key| a.get(key) == b.get(key)),
        _ => false,
    };
    let named = |item: &Value| keys.iter().any(|key| item.get(key).is_some());
    a.len() == b.len()
        && a.len() <= MAX_ALIGNED
        && a.iter().zip(b).all(|(a, b)| same(a, b) && named(a))
        && a.iter().enumerate().all(|(at, one)| !a[..at].iter().any(|other| same(one, other)))
}

/// The first item, if there is one.
fn one<'v>(items: &[(Element, &'v Value)]) -> Side<'v> {
    items.first().map_or(Side::Absent, |(_, item)| Side::Given(item))
}

fn same_scalar(left: Side<'_>, right: Side<'_>) -> bool {
    match (left, right) {
        (Side::Given(a), Side::Given(b)) => same(a, b),
        (Side::Given(value), Side::Zero(unset)) | (Side::Zero(unset), Side::Given(value)) => match unset {
            Unset::Struct => value.as_object().is_some_and(Object::is_empty),
            Unset::Text(text) => value.as_str() == Some(text),
            Unset::Number => value.as_f64() == Some(0.0),
            Unset::Flag => value.as_bool() == Some(false),
        },
        _ => true,
    }
}

/// A field's side; `present`: the struct around it is there.
fn side<'v>(field: Option<&Field>, value: Option<&'v Value>, present: bool) -> Side<'v> {
    let Some(field) = field else { return value.map_or(Side::Absent, Side::Given) };
    match shown(field, value) {
        Some(value) => Side::Given(value),
        None if !present || !field.shown_unset => Side::Absent,
        None => unset(field).map_or(Side::Given(&Value::Null), Side::Zero),
    }
}

/// `None`: null.
fn unset(field: &Field) -> Option<Unset> {
    let plain = field.shape == Shape::One && !field.pointer;
    match field.ty {
        _ if !plain => None,
        table::Type::String => Some(Unset::Text("")),
        table::Type::Bool => Some(Unset::Flag),
        table::Type::Int32 | table::Type::Int64 | table::Type::Double => Some(Unset::Number),
        table::Type::Bytes => None,
        table::Type::Message(message) => match message.json {
            Json::Object => Some(Unset::Struct),
            Json::Quantity => Some(Unset::Text("0")),
            Json::Duration => Some(Unset::Text("0s")),
            Json::IntOrString => Some(Unset::Number),
            _ => None,
        },
    }
}

fn is_meta(map: &Map<'_>) -> bool {
    matches!(map.names, Names::Message(message) if message.short_name() == "ObjectMeta")
}

fn shows_when_empty(map: &Map<'_>) -> bool {
    match map.names {
        Names::Message(message) if message.json == Json::Object => !message.shown_unset.is_empty(),
        _ => false,
    }
}

type Entries<'v> = std::iter::Peekable<crate::model::value::Iter<'v>>;

/// The keys of two maps and some more, in order, with their values.
struct Zip<'v> {
    left: Option<Entries<'v>>,
    right: Option<Entries<'v>>,
    /// Sorted backwards: the next is the last.
    extra: Vec<&'v str>,
}

impl<'v> Zip<'v> {
    /// `extra` is sorted and holds no key of the maps.
    fn new(left: Option<&'v Object>, right: Option<&'v Object>, mut extra: Vec<&'v str>) -> Self {
        extra.reverse();
        Self { left: left.map(|map| map.iter().peekable()), right: right.map(|map| map.iter().peekable()), extra }
    }

    fn peek(entries: &mut Option<Entries<'v>>) -> Option<&'v str> {
        entries.as_mut()?.peek().map(|(key, _)| key.as_str())
    }

    fn take(entries: &mut Option<Entries<'v>>, key: &str) -> Option<&'v Value> {
        entries.as_mut()?.next_if(|(next, _)| next.as_str() == key).map(|(_, value)| value)
    }
}

impl<'v> Iterator for Zip<'v> {
    type Item = (&'v str, Option<&'v Value>, Option<&'v Value>);

    fn next(&mut self) -> Option<Self::Item> {
        let heads = [Self::peek(&mut self.left), Self::peek(&mut self.right), self.extra.last().copied()];
        let key = heads.into_iter().flatten().min()?;
        if self.extra.last() == Some(&key) {
            self.extra.pop();
        }
        Some((key, Self::take(&mut self.left, key), Self::take(&mut self.right, key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::generate;
    use crate::codec::json::dense::expand;
    use crate::fields::managed;
    use crate::schema::table::{MESSAGES, Message, message};
    use proptest::prelude::*;

    use crate::model::value::json;

    fn sets(kind: &str, left: Value, right: Value, form: Form) -> [Value; 3] {
        let ty = Type::Message(message(kind).expect("a message"));
        let found = compare(&left, &right, ty, form).expect("comparable");
        [found.removed, found.modified, found.added].map(|set| set.to_value())
    }

    #[test]
    fn what_json_shows_is_compared() {
        let new = json!({
            "metadata": {"name": "d", "labels": {"a": "b"}},
            "spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "c"}]}}},
        });
        let [removed, modified, added] = sets("k8s.io.api.apps.v1.Deployment", json!({}), new.clone(), Form::Sparse);
        assert_eq!((removed, modified), (json!({}), json!({})));
        let expected = json!({
            "f:metadata": {"f:labels": {".": {}, "f:a": {}}, "f:name": {}},
            "f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": {
                "k:{\"name\":\"c\"}": {".": {}, "f:name": {}, "f:resources": {}},
            }}}},
        });
        assert_eq!(added, expected);
        let [.., added] = sets("k8s.io.api.apps.v1.Deployment", json!({}), new, Form::Full);
        assert_eq!(added["f:spec"]["."], json!({}), "without the table, an empty object has no spec");
    }

    #[test]
    fn items_are_compared_by_name_whatever_their_order() {
        let pod = |list: Value| json!({"spec": {"containers": list}});
        let [removed, modified, added] = sets(
            "k8s.io.api.core.v1.Pod",
            pod(json!([{"name": "a", "image": "1"}, {"name": "b"}])),
            pod(json!([{"name": "c"}, {"name": "a", "image": "2"}])),
            Form::Sparse,
        );
        let whole = json!({".": {}, "f:name": {}, "f:resources": {}});
        let key = |name: &str| format!("k:{{\"name\":\"{name}\"}}");
        let of = |name: &str, below: Value| json!({"f:spec": {"f:containers": {(key(name)): below}}});
        assert_eq!(removed, of("b", whole.clone()));
        assert_eq!(modified, of("a", json!({"f:image": {}})));
        assert_eq!(added, of("c", whole));
    }

    #[test]
    fn items_of_one_name_are_taken_as_a_whole() {
        let pod = |env: Value| json!({"spec": {"containers": [{"name": "a", "env": env}]}});
        let (one, two) = (json!([{"name": "E", "value": "1"}]), json!([{"name": "E", "value": "1"}, {"name": "E"}]));
        let at = |below: Value| json!({"f:spec": {"f:containers": {"k:{\"name\":\"a\"}": {"f:env": {"k:{\"name\":\"E\"}": below}}}}});
        let kind = "k8s.io.api.core.v1.Pod";
        let [removed, _, added] = sets(kind, pod(one.clone()), pod(two.clone()), Form::Sparse);
        assert_eq!(removed, at(json!({".": {}, "f:name": {}, "f:value": {}})));
        assert_eq!(added, at(json!({})));
        let [removed, ..] = sets(kind, pod(two), pod(one), Form::Sparse);
        assert_eq!(removed, at(json!({})));
    }

    #[test]
    fn lists_that_cannot_be_told_apart_are_faults() {
        let ty = Type::Message(message("k8s.io.api.core.v1.Pod").expect("Pod"));
        let right = json!({"metadata": {"ownerReferences": [null]}});
        let faults = compare(&json!({}), &right, ty, Form::Full).expect_err("a fault");
        assert_eq!(faults.to_string(), "element 0: associative list with keys may not have a null element");
    }

    fn pairs() -> impl Strategy<Value = (&'static Message, Value, Value)> {
        let all: Vec<_> = MESSAGES.iter().copied().filter(|m| m.object && m.json == Json::Object).collect();
        proptest::sample::select(all)
            .prop_flat_map(|m| (generate::message(m), generate::message(m)).prop_map(move |(a, b)| (m, a, b)))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn sparse_values_compare_as_what_json_shows_of_them((message, a, b) in pairs()) {
            let (mut a, mut b) = (a, b);
            managed::take(&mut a);
            managed::take(&mut b);
            let ty = Type::Message(message);
            let (x, y) = (expand(&a, message), expand(&b, message));
            let full = compare(&x, &y, ty, Form::Full);
            prop_assert_eq!(compare(&a, &b, ty, Form::Sparse).is_ok(), full.is_ok());
            if let Ok(full) = full {
                prop_assert_eq!(compare(&a, &b, ty, Form::Sparse), Ok(full));
                prop_assert_eq!(equal(&a, &b, ty, Form::Sparse), x == y);
            }
            prop_assert!(compare(&a, &a, ty, Form::Sparse).is_ok_and(|found| found.is_same()));
        }

        #[test]
        fn zip_visits_each_key_once(a in "[a-f]{0,6}", b in "[a-f]{0,6}") {
            let map = |text: &str| text.chars().map(|c| (c.to_string(), Value::Null)).collect::<Object>();
            let (a, b) = (map(&a), map(&b));
            let keys: Vec<_> = Zip::new(Some(&a), Some(&b), vec!["x", "y"]).map(|(key, ..)| key.to_owned()).collect();
            let mut expected: Vec<_> = a.keys().chain(b.keys()).cloned().chain(["x".into(), "y".into()]).collect();
            expected.sort();
            expected.dedup();
            prop_assert_eq!(keys, expected);
        }
    }
}
