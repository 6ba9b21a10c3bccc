//! A set of paths as a tree, its algebra, and its JSON: FieldsV1.

use super::path::{Element, Path, Unknown, is_plain, plain_string};
use super::typed::Type;
use crate::codec::json::parse::{Parser, Token, Unreadable};

/// Paths, sorted. Every node is a member or leads to one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set {
    nodes: Vec<Node>,
}

/// What becomes of a step of two sets: is it a member, and what lies below it.
type Join<'j> = dyn FnMut(Option<&Node>, Option<&Node>) -> (bool, Set) + 'j;

/// A step and what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub element: Element,
    /// The path that ends here is in the set.
    pub member: bool,
    pub children: Set,
}

impl Set {
    pub fn new() -> Self {
        Self::default()
    }

    /// A set of paths of names: `[&["metadata", "name"]]`.
    pub fn of_fields<'a>(paths: impl IntoIterator<Item = &'a [&'a str]>) -> Self {
        let mut set = Self::new();
        for path in paths {
            let path: Vec<_> = path.iter().map(|name| Element::field(name)).collect();
            set.insert(&path);
        }
        set
    }

    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Members, at any depth.
    pub fn len(&self) -> usize {
        self.nodes.iter().map(|node| usize::from(node.member) + node.children.len()).sum()
    }

    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    fn find(&self, element: &Element) -> Result<usize, usize> {
        self.nodes.binary_search_by(|node| node.element.cmp(element))
    }

    pub fn node(&self, element: &Element) -> Option<&Node> {
        self.find(element).ok().map(|at| &self.nodes[at])
    }

    /// The node of this element, made when there is none; the caller makes it a member or gives it children.
    fn node_mut(&mut self, element: &Element) -> &mut Node {
        let at = match self.find(element) {
            Ok(at) => at,
            Err(at) => {
                self.nodes.insert(at, Node { element: element.clone(), member: false, children: Set::new() });
                at
            }
        };
        &mut self.nodes[at]
    }

    /// Adds the path; the root is in no set.
    pub fn insert(&mut self, path: &Path) {
        let Some((last, steps)) = path.split_last() else { return };
        let mut set = self;
        for step in steps {
            set = &mut set.node_mut(step).children;
        }
        set.node_mut(last).member = true;
    }

    /// Adds `element` and what lies below it; nothing when both are nothing.
    pub fn add(&mut self, element: Element, member: bool, children: Set) {
        if !member && children.is_empty() {
            return;
        }
        match self.nodes.last() {
            Some(last) if last.element >= element => match self.find(&element) {
                Ok(at) => {
                    let node = &mut self.nodes[at];
                    node.member |= member;
                    node.children = node.children.union(&children);
                }
                Err(at) => self.nodes.insert(at, Node { element, member, children }),
            },
            _ => self.nodes.push(Node { element, member, children }),
        }
    }

    pub fn has(&self, path: &Path) -> bool {
        let Some((last, steps)) = path.split_last() else { return false };
        let mut set = self;
        for step in steps {
            let Some(node) = set.node(step) else { return false };
            set = &node.children;
        }
        set.node(last).is_some_and(|node| node.member)
    }

    pub fn union(&self, other: &Set) -> Set {
        if self.is_empty() || other.is_empty() {
            return if self.is_empty() { other.clone() } else { self.clone() };
        }
        self.zip(other, &mut |a, b| match (a, b) {
            (Some(a), Some(b)) => (a.member | b.member, a.children.union(&b.children)),
            (Some(one), None) | (None, Some(one)) => (one.member, one.children.clone()),
            (None, None) => Default::default(),
        })
    }

    /// The union, without a copy where one of the two is empty.
    pub fn or(self, other: Set) -> Set {
        match (self.is_empty(), other.is_empty()) {
            (true, _) => other,
            (_, true) => self,
            _ => self.union(&other),
        }
    }

    pub fn intersection(&self, other: &Set) -> Set {
        self.zip(other, &mut |a, b| match (a, b) {
            (Some(a), Some(b)) => (a.member && b.member, a.children.intersection(&b.children)),
            _ => Default::default(),
        })
    }

    /// What is in `self` and not in `other`, path by path.
    pub fn difference(&self, other: &Set) -> Set {
        self.zip(other, &mut |a, b| match (a, b) {
            (Some(a), Some(b)) => (a.member && !b.member, a.children.difference(&b.children)),
            (Some(a), None) => (a.member, a.children.clone()),
            _ => Default::default(),
        })
    }

    /// What is in `self` and neither in `other` nor below a member of it.
    pub fn recursive_difference(&self, other: &Set) -> Set {
        self.zip(other, &mut |a, b| match (a, b) {
            (Some(_), Some(b)) if b.member => Default::default(),
            (Some(a), Some(b)) => (a.member, a.children.recursive_difference(&b.children)),
            (Some(a), None) => (a.member, a.children.clone()),
            _ => Default::default(),
        })
    }

    /// Whether the sets have a first step in common.
    pub fn meets(&self, other: &Set) -> bool {
        self.nodes.iter().any(|node| other.node(&node.element).is_some())
    }

    /// Merges two sets in order.
    fn zip(&self, other: &Set, join: &mut Join<'_>) -> Set {
        let mut out = Set { nodes: Vec::with_capacity(self.nodes.len()) };
        let (mut left, mut right) = (self.nodes.iter().peekable(), other.nodes.iter().peekable());
        loop {
            let (a, b) = match (left.peek(), right.peek()) {
                (None, None) => return out,
                (Some(_), None) => (left.next(), None),
                (None, Some(_)) => (None, right.next()),
                (Some(a), Some(b)) => match a.element.cmp(&b.element) {
                    std::cmp::Ordering::Less => (left.next(), None),
                    std::cmp::Ordering::Greater => (None, right.next()),
                    std::cmp::Ordering::Equal => (left.next(), right.next()),
                },
            };
            let (member, children) = join(a, b);
            if let (true, Some(node)) = (member || !children.is_empty(), a.or(b)) {
                out.nodes.push(Node { element: node.element.clone(), member, children });
            }
        }
    }

    /// The set with each declared field a member that leads to one: what applies to a field applies to its content.
    pub fn with_declared_fields(&self, ty: Option<Type<'_>>) -> Set {
        let atom = ty.map(Type::atom);
        let nodes = self.nodes.iter().map(|node| {
            let (mut member, mut below) = (node.member, None);
            match (&node.element, atom) {
                (Element::Field(name), Some(atom)) => {
                    if let Some(map) = atom.map {
                        let declared = map.declared(name);
                        member |= declared.is_some() && !node.children.is_empty();
                        below = declared.or(map.values);
                    }
                }
                (Element::Key(_), Some(atom)) => below = atom.list.map(|list| list.item),
                _ => {}
            }
            Node { element: node.element.clone(), member, children: node.children.with_declared_fields(below) }
        });
        Set { nodes: nodes.collect() }
    }

    /// Calls `visit` with each path: at each level members first, then what lies deeper.
    pub fn for_each(&self, visit: &mut dyn FnMut(&Path)) {
        self.walk(&mut Vec::new(), visit);
    }

    fn walk(&self, path: &mut Vec<Element>, visit: &mut dyn FnMut(&Path)) {
        for node in self.nodes.iter().filter(|node| node.member) {
            path.push(node.element.clone());
            visit(path);
            path.pop();
        }
        for node in self.nodes.iter().filter(|node| !node.children.is_empty()) {
            path.push(node.element.clone());
            node.children.walk(path, visit);
            path.pop();
        }
    }

    #[cfg(test)]
    pub fn from_value(fields: &crate::model::value::Value) -> Result<Set, String> {
        Self::parse(&fields.to_json())
    }

    #[cfg(test)]
    pub fn to_value(&self) -> crate::model::value::Value {
        self.to_text().parse().expect("JSON")
    }

    /// FieldsV1 as text, in stock's order.
    pub fn to_text(&self) -> String {
        let mut out = String::with_capacity(1024);
        self.write(&mut out, false);
        out
    }

    fn write(&self, out: &mut String, member: bool) {
        out.push('{');
        let mut first = true;
        if member && !self.is_empty() {
            out.push_str("\".\":{}");
            first = false;
        }
        let mut key = String::new();
        for node in &self.nodes {
            if !std::mem::take(&mut first) {
                out.push(',');
            }
            write_step(out, &mut key, &node.element);
            out.push(':');
            node.children.write(out, node.member);
        }
        out.push('}');
    }

    /// Reads FieldsV1. Steps of an unknown kind are passed over; what is malformed is an error.
    pub fn parse(text: &str) -> Result<Set, String> {
        Self::read(&mut Parser::new(text.as_bytes())).map(|(set, _)| set).map_err(|Wrong(why)| why)
    }

    /// What lies below a step, and whether the step is a member itself.
    fn read(parser: &mut Parser<'_>) -> Result<(Set, bool), Wrong> {
        if parser.token()? != Token::Object {
            return Err(Wrong("expect { or n".into()));
        }
        let (mut set, mut member) = (Set::new(), false);
        parser.object(|parser, key| {
            let element = match Element::parse(&key) {
                _ if key == "." => {
                    member = true;
                    return Ok(parser.skip()?);
                }
                Ok(element) => element,
                Err(Unknown::Kind) => return Ok(parser.skip()?),
                Err(Unknown::Malformed(why)) => return Err(Wrong(format!("parsing key as path element: {why}"))),
            };
            let (children, member) = Self::read(parser)?;
            // What texts are sorted by is not always the order of what they say.
            set.add(element, member, children);
            Ok(())
        })?;
        member |= set.is_empty();
        Ok((set, member))
    }
}

/// A step as the key of a member; `key` is room to write in.
pub(super) fn write_step(out: &mut String, key: &mut String, step: &Element) {
    match step {
        Element::Field(name) => write_field(out, key, name),
        step => {
            key.clear();
            step.write(key);
            plain_string(out, key);
        }
    }
}

/// The same for a field's name.
pub(super) fn write_field(out: &mut String, key: &mut String, name: &str) {
    if is_plain(name) {
        out.push_str("\"f:");
        out.push_str(name);
        out.push('"');
    } else {
        key.clear();
        key.push_str("f:");
        key.push_str(name);
        plain_string(out, key);
    }
}

/// Why a text is no set.
struct Wrong(String);

impl From<Unreadable> for Wrong {
    fn from(_: Unreadable) -> Self {
        Wrong("unreadable JSON".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    use crate::model::value::{Value, json};

    fn set(fields: Value) -> Set {
        Set::from_value(&fields).expect("FieldsV1")
    }

    #[test]
    fn members_and_children_are_told_apart() {
        let text = r#"{"f:a":{".":{},"f:b":{}},"f:c":{"f:d":{}},"f:e":{},"k:{\"n\":9}":{".":{},"f:n":{}},"k:{\"n\":10}":{},"v:1":{}}"#;
        let read = set(serde_json::from_str(text).expect("JSON"));
        assert_eq!(read.to_text(), text, "the text's order is that of values");
        let mut paths = Vec::new();
        read.for_each(&mut |path| paths.push(super::super::path::display(path)));
        assert_eq!(paths, [".a", ".e", "[n=9]", "[n=10]", "[=1]", ".a.b", ".c.d", "[n=9].n"]);
    }

    #[test]
    fn odd_texts_are_read_as_stock_does() {
        assert_eq!(set(json!({"f:a": {"z:1": {}}})), set(json!({"f:a": {}})), "unknown kinds are passed over");
        assert_eq!(set(json!({".": {}, "f:a": {".": {}}})), set(json!({"f:a": {}})));
        assert!(Set::from_value(&json!({"x": {}})).is_err());
        assert!(Set::from_value(&json!({"f:a": 1})).is_err());
    }

    #[test]
    fn recursive_difference_takes_what_lies_below() {
        let all = set(json!({"f:spec": {"f:a": {}, "f:b": {"f:c": {}}}, "f:status": {"f:x": {}}}));
        let status = set(json!({"f:status": {}, "f:spec": {"f:b": {}}}));
        assert_eq!(all.recursive_difference(&status), set(json!({"f:spec": {"f:a": {}}})));
        assert_eq!(all.difference(&status), all);
    }

    fn element() -> impl Strategy<Value = Element> {
        prop_oneof![
            "[a-d<\"]{0,3}".prop_map(|name| Element::field(&name)),
            ("[a-c]{1,2}", 0..4_i64).prop_map(|(text, n)| Element::key([("n", n.into()), ("t", text.into())])),
            prop_oneof![(0..9_i64).prop_map(Value::from), "[a-c&\u{2028}]{0,2}".prop_map(Value::from)]
                .prop_map(Element::Value),
            (0..5_i64).prop_map(Element::Index),
        ]
    }

    fn sets() -> impl Strategy<Value = Set> {
        prop::collection::vec(prop::collection::vec(element(), 1..4), 0..8).prop_map(|paths| {
            let mut set = Set::new();
            paths.iter().for_each(|path| set.insert(path));
            set
        })
    }

    proptest! {
        #[test]
        fn fields_v1_round_trips(set in sets()) {
            prop_assert_eq!(Set::parse(&set.to_text()), Ok(set.clone()));
            prop_assert_eq!(Set::from_value(&set.to_value()), Ok(set.clone()), "in the order of texts");
        }

        #[test]
        fn the_algebra_holds(a in sets(), b in sets()) {
            let (both, either) = (a.intersection(&b), a.union(&b));
            prop_assert_eq!(&a.difference(&b).union(&both), &a);
            prop_assert_eq!(&either, &b.union(&a));
            prop_assert_eq!(&both, &b.intersection(&a));
            prop_assert_eq!(either.len() + both.len(), a.len() + b.len());
            prop_assert!(a.difference(&a).is_empty() && a.recursive_difference(&a).is_empty());
            prop_assert_eq!(a.difference(&b).intersection(&b), Set::new());
            prop_assert!(a.recursive_difference(&b).difference(&a.difference(&b)).is_empty());
            a.for_each(&mut |path| assert!(a.has(path) && either.has(path)));
        }
    }
}
