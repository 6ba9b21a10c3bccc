//! FieldsV1 as it is written, read in place: most entries of a list of managers stay as they are in a write, and are
//! never made into a set.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::sync::atomic::{AtomicU64, Ordering};

use memchr::memmem;

use super::set::{Node, Set};
use super::typed::{Map, Relation, Type};
use crate::codec::json::parse::{Parser, Token, Unreadable};
use crate::schema::resource::Shape;

type Read<T> = Result<T, Unreadable>;

/// Whether the text has a member of the set. What cannot be read may have any.
pub fn touches(text: &str, set: &Set) -> bool {
    !set.is_empty() && may_lead_to(text, set) && any(text, set, &|is_member| is_member)
}

/// Whether a first step of the set stands anywhere in the text: of a change of the status, who wrote the spec knows nothing.
fn may_lead_to(text: &str, set: &Set) -> bool {
    let stands = |node| memmem::find(text.as_bytes(), key(node).as_bytes()).is_some();
    // A step may be written in other words.
    text.contains('\\') || set.nodes().iter().any(stands)
}

/// Whether the text has all members of the set.
pub fn holds(text: &str, set: &Set) -> bool {
    !any(text, set, &|is_member| !is_member)
}

/// Whether for any member of the set `wanted` is true of its being a member of the text.
fn any(text: &str, set: &Set, wanted: &dyn Fn(bool) -> bool) -> bool {
    meet(&mut Parser::new(text.as_bytes()), set, wanted).map_or(true, |met| met.wanted)
}

/// What became of a step that is in the text and in the set.
struct Met {
    /// The text has the step as a member.
    is_member: bool,
    /// What was wanted is true of a member below the step.
    wanted: bool,
}

fn meet(parser: &mut Parser<'_>, set: &Set, wanted: &dyn Fn(bool) -> bool) -> Read<Met> {
    let mut nodes: Vec<(String, &Node, bool)> = set.nodes().iter().map(|node| (key(node), node, false)).collect();
    // Mostly they are in order already: steps are sorted by what they say.
    nodes.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let mut met = Met { is_member: false, wanted: false };
    let mut is_leaf = true;
    parser.object(|parser, key| {
        if key == "." {
            met.is_member = true;
            return parser.leap();
        }
        is_leaf = false;
        let Ok(at) = nodes.binary_search_by(|(name, ..)| name.as_str().cmp(&key)) else { return parser.leap() };
        let (_, node, found) = &mut nodes[at];
        *found = true;
        let below = meet(parser, &node.children, wanted)?;
        met.wanted |= (node.member && wanted(below.is_member)) || below.wanted;
        Ok::<_, Unreadable>(())
    })?;
    met.is_member |= is_leaf;
    // A step leads to a member where it is none itself.
    met.wanted |= nodes.iter().any(|(.., found)| !found) && wanted(false);
    Ok(met)
}

fn key(node: &Node) -> String {
    let mut text = String::new();
    node.element.write(&mut text);
    text
}

/// Texts that were found to be as a built-in type wants them. Objects of one make are owned alike, so that a few stand
/// for many. What else has the same sum is taken for one of them, and stays as it is until its fields are written.
pub struct Fresh([AtomicU64; FRESH]);

/// Texts that are remembered at most.
const FRESH: usize = 1024;

impl Default for Fresh {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; FRESH])
    }
}

impl Fresh {
    /// Whether the text is as the shape wants it.
    pub fn is_fresh(&self, text: &str, shape: &Shape) -> bool {
        let Shape::Builtin(message) = shape else { return !is_stale(text, Type::of(shape)) };
        let mut sum = DefaultHasher::new();
        (message.name.as_ptr(), text).hash(&mut sum);
        let sum = sum.finish();
        let slot = &self.0[sum as usize % FRESH];
        if slot.load(Ordering::Relaxed) == sum {
            return true;
        }
        let fresh = !is_stale(text, Type::of(shape));
        if fresh {
            slot.store(sum, Ordering::Relaxed);
        }
        fresh
    }
}

/// Whether the text is not what the type wants, as when a list has become atomic. What cannot be read is not.
fn is_stale(text: &str, ty: Type<'_>) -> bool {
    level(&mut Parser::new(text.as_bytes()), Some(ty)).map_or(true, |level| level.is_stale)
}

/// A step's content.
#[derive(Default)]
struct Level {
    /// There are fields below it. What has none is a leaf, which every type allows.
    leads_on: bool,
    is_stale: bool,
}

/// What the type says of the steps of a level.
enum Steps<'t> {
    /// There should be none.
    None,
    /// Any, of no type or not looked at.
    Any,
    Fields(Map<'t>),
    Items(Type<'t>),
}

impl<'t> Steps<'t> {
    fn of(ty: Option<Type<'t>>) -> Self {
        let Some(atom) = ty.map(Type::atom) else { return Steps::Any };
        match (atom.map, atom.list.filter(|_| atom.scalar.is_none())) {
            (Some(map), _) if map.is_schemaless() => Steps::Any,
            (Some(map), _) if map.atomic => Steps::None,
            (Some(map), _) => Steps::Fields(map),
            (None, Some(list)) if matches!(list.relation, Relation::Atomic) => Steps::None,
            (None, Some(list)) => Steps::Items(list.item),
            (None, None) => Steps::Any,
        }
    }

    /// The type of one.
    fn ty(&self, key: &str) -> Option<Type<'t>> {
        match self {
            Steps::None | Steps::Any => None,
            Steps::Items(item) => Some(*item),
            Steps::Fields(map) => match key.strip_prefix("f:") {
                Some(name) => map.value(name),
                None => map.values,
            },
        }
    }
}

fn level(parser: &mut Parser<'_>, ty: Option<Type<'_>>) -> Read<Level> {
    if parser.token()? != Token::Object {
        parser.skip()?;
        return Ok(Level { leads_on: true, is_stale: true });
    }
    let steps = Steps::of(ty);
    let mut found = Level::default();
    parser.object(|parser, key| {
        if key == "." {
            return parser.skip();
        }
        found.leads_on = true;
        let Some(ty) = steps.ty(&key) else { return parser.skip() };
        let below = level(parser, Some(ty))?;
        found.is_stale |= below.leads_on && below.is_stale;
        Ok::<_, Unreadable>(())
    })?;
    found.is_stale |= found.leads_on && matches!(steps, Steps::None);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fields::reconcile::reconcile;
    use crate::schema::table::message;

    const POD: &str = r#"{"f:spec":{"f:nodeSelector":{},"f:tolerations":{},"f:containers":{"k:{\"name\":\"c\"}":{".":{},"f:name":{}}},"f:gone":{"f:x":{}}}}"#;

    fn set(text: &str) -> Set {
        Set::parse(text).expect("FieldsV1")
    }

    #[test]
    fn what_became_atomic_is_stale() {
        let ty = Type::Message(message("k8s.io.api.core.v1.Pod").expect("Pod"));
        let selector = POD.replace(r#""f:nodeSelector":{}"#, r#""f:nodeSelector":{".":{},"f:a":{}}"#);
        let tolerations = POD.replace(r#""f:tolerations":{}"#, r#""f:tolerations":{"k:{\"key\":\"a\"}":{"f:key":{}}}"#);
        assert!(!is_stale(POD, ty));
        assert_eq!(reconcile(&set(POD), ty), None);
        let (fresh, shape) = (Fresh::default(), Shape::Builtin(message("k8s.io.api.core.v1.Pod").expect("Pod")));
        assert!(fresh.is_fresh(POD, &shape) && fresh.is_fresh(POD, &shape));
        for old in [selector, tolerations] {
            assert!(is_stale(&old, ty) && !fresh.is_fresh(&old, &shape), "{old}");
            assert_eq!(reconcile(&set(&old), ty), Some(set(POD)), "{old}");
        }
        assert!(is_stale("{", ty) && is_stale("1", ty));
    }

    fn any_set() -> impl Strategy<Value = Set> {
        let step = prop_oneof![
            "[ab\"]{1,2}".prop_map(|name| crate::fields::path::Element::field(&name)),
            (0..12i64).prop_map(|port| crate::fields::path::Element::key([("p", port.into())])),
            (0..3i64).prop_map(crate::fields::path::Element::Index),
        ];
        let path = proptest::collection::vec(step, 1..4);
        proptest::collection::vec(path, 0..6).prop_map(|paths| {
            let mut set = Set::new();
            paths.iter().for_each(|path| set.insert(path));
            set
        })
    }

    proptest! {
        #[test]
        fn a_text_is_read_as_its_set(written in any_set(), asked in any_set()) {
            let text = written.to_text();
            prop_assert_eq!(touches(&text, &asked), !written.intersection(&asked).is_empty());
            prop_assert_eq!(holds(&text, &asked), asked.difference(&written).is_empty());
        }
    }
}
