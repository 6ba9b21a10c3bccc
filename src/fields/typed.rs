//! One view of built-in and custom types, as far as apply looks at them: maps, lists and scalars, what is atomic, and
//! what tells the items of a list apart (KEP-555; OpenAPI's `x-kubernetes-list-type`, `-list-map-keys`, `-map-type`).

use crate::model::value::Value;
use crate::schema::resource::Shape;
use crate::schema::structure::{self, Structure};
use crate::schema::table::{self, Field, Json, ListKind, Message};

/// The type of a value. It is resolved step by step, so that recursive types are finite.
#[derive(Clone, Copy, Debug)]
pub enum Type<'a> {
    /// A whole object or struct.
    Message(&'static Message),
    /// A field's value: one, a list or a map.
    Field(&'static Field),
    /// The one value of a field, an item of its list or a value of its map.
    Item(&'static Field),
    /// A node of a custom resource's schema.
    Custom(Node<'a>),
    Scalar(Scalar),
    /// Anything; its maps are merged, its lists are atomic. With how many levels of it lie above; below
    /// [`MAX_DEDUCED`] of them all is opaque.
    Deduced(u8),
    /// Anything, replaced as a whole.
    Opaque,
}

/// A node of a structural schema and what it takes from the nodes above.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    at: &'a Structure,
    /// A node above keeps unknown fields.
    preserving: bool,
    /// The root: `apiVersion`, `kind` and `metadata` stand in it.
    object: bool,
}

/// What a value may be; most types allow one form.
#[derive(Clone, Copy, Debug)]
pub struct Atom<'a> {
    pub map: Option<Map<'a>>,
    pub scalar: Option<Scalar>,
    pub list: Option<List<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    Numeric,
    String,
    Boolean,
    /// Any scalar.
    Any,
}

/// A struct or a map.
#[derive(Clone, Copy, Debug)]
pub struct Map<'a> {
    pub names: Names<'a>,
    /// Of what is not declared; `None` where only declared fields may stand.
    pub values: Option<Type<'a>>,
    pub atomic: bool,
}

/// The declared fields.
#[derive(Clone, Copy, Debug)]
pub enum Names<'a> {
    None,
    Message(&'static Message),
    Custom(Node<'a>),
}

#[derive(Clone, Copy, Debug)]
pub struct List<'a> {
    pub relation: Relation<'a>,
    pub item: Type<'a>,
}

/// What tells the items of a list apart.
#[derive(Clone, Copy, Debug)]
pub enum Relation<'a> {
    /// Nothing: the list is replaced as a whole.
    Atomic,
    /// Their value.
    Set,
    /// These fields.
    Keys(Keys<'a>),
}

#[derive(Clone, Copy, Debug)]
pub enum Keys<'a> {
    Builtin(&'static [&'static str]),
    Custom(&'a [String]),
}

/// Which forms an atom allows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Forms(bool, bool, bool);

/// How deep the fields of what has no schema are told apart. Stock has no such bound, and nothing real comes near it.
const MAX_DEDUCED: u8 = 96;

const META: &str = "k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta";

impl<'a> Type<'a> {
    pub fn of(shape: &'a Shape) -> Self {
        match shape {
            Shape::Builtin(message) => Type::Message(message),
            Shape::Custom(structure) => Type::Custom(Node { at: structure, preserving: false, object: true }),
        }
    }

    pub fn atom(self) -> Atom<'a> {
        match self {
            Type::Message(message) => Atom::message(message, None),
            Type::Field(field) => match field.shape {
                table::Shape::One => Type::Item(field).atom(),
                table::Shape::List => Atom::list(relation(field), Type::Item(field)),
                table::Shape::Map => {
                    Atom::map(Map { names: Names::None, values: Some(Type::Item(field)), atomic: field.map_atomic })
                }
            },
            Type::Item(field) => item(field),
            Type::Custom(node) => node.atom(),
            Type::Scalar(scalar) => Atom::scalar(scalar),
            Type::Deduced(MAX_DEDUCED) => Type::Opaque.atom(),
            Type::Deduced(level) => Atom::any(Type::Deduced(level + 1), false),
            Type::Opaque => Atom::any(Type::Opaque, true),
        }
    }
}

/// Of a field's one value, item or map value.
fn item<'a>(field: &'static Field) -> Atom<'a> {
    let one = field.shape == table::Shape::One;
    match field.ty {
        table::Type::Message(message) => {
            let relation = match (one, field.map_atomic, field.doc.granular) {
                (true, true, _) => Some(true),
                (true, _, true) => Some(false),
                _ => None,
            };
            Atom::message(message, relation)
        }
        table::Type::Bool => Atom::scalar(Scalar::Boolean),
        table::Type::Int32 | table::Type::Int64 | table::Type::Double => Atom::scalar(Scalar::Numeric),
        table::Type::String if !field.doc.format.is_empty() => Atom::scalar(Scalar::Any),
        table::Type::String | table::Type::Bytes => Atom::scalar(Scalar::String),
    }
}

fn relation<'a>(field: &'static Field) -> Relation<'a> {
    match field.list {
        ListKind::Set => Relation::Set,
        ListKind::Map(keys) => Relation::Keys(Keys::Builtin(keys)),
        // Without a list type, the strategic merge says it.
        ListKind::None if field.patch.merge && field.patch.key.is_empty() => Relation::Set,
        ListKind::None if field.patch.merge => Relation::Keys(Keys::Builtin(std::slice::from_ref(&field.patch.key))),
        ListKind::None | ListKind::Atomic => Relation::Atomic,
    }
}

impl<'a> Atom<'a> {
    fn scalar(scalar: Scalar) -> Self {
        Self { map: None, scalar: Some(scalar), list: None }
    }

    fn map(map: Map<'a>) -> Self {
        Self { map: Some(map), scalar: None, list: None }
    }

    fn list(relation: Relation<'a>, item: Type<'a>) -> Self {
        Self { map: None, scalar: None, list: Some(List { relation, item }) }
    }

    fn any(values: Type<'a>, atomic: bool) -> Self {
        Self {
            map: Some(Map { names: Names::None, values: Some(values), atomic }),
            scalar: Some(Scalar::Any),
            list: Some(List { relation: Relation::Atomic, item: Type::Opaque }),
        }
    }

    /// `relation`: the field's own word on whether the struct is atomic.
    fn message(message: &'static Message, relation: Option<bool>) -> Self {
        let atomic = relation.unwrap_or(message.atomic);
        match message.json {
            Json::Object => {
                let values = if message.fields.is_empty() { Some(Type::Deduced(0)) } else { None };
                Atom::map(Map { names: Names::Message(message), values, atomic })
            }
            Json::Time | Json::MicroTime | Json::Quantity => Atom::scalar(Scalar::Any),
            Json::Duration => Atom::scalar(Scalar::String),
            Json::Written => match message.short_name() {
                "RawExtension" => Type::Opaque.atom(),
                _ => Atom::map(Map { names: Names::None, values: Some(Type::Deduced(0)), atomic }),
            },
            Json::Raw | Json::IntOrString | Json::SchemaOrBool | Json::SchemaOrArray | Json::SchemaOrStringArray => {
                Type::Deduced(0).atom()
            }
            Json::Items => Atom::list(Relation::Atomic, Type::Scalar(Scalar::String)),
        }
    }

    /// Only the form that the value has, where the type allows it; null and what does not fit leave all forms.
    pub fn deduce(self, value: Option<&Value>) -> Self {
        let none = Self { map: None, scalar: None, list: None };
        match value {
            Some(Value::Object(_)) if self.map.is_some() => Self { map: self.map, ..none },
            Some(Value::Array(_)) if self.list.is_some() => Self { list: self.list, ..none },
            Some(Value::String(_) | Value::Number(_) | Value::Bool(_)) if self.scalar.is_some() => {
                Self { scalar: self.scalar, ..none }
            }
            _ => self,
        }
    }

    pub fn forms(&self) -> Forms {
        Forms(self.map.is_some(), self.scalar.is_some(), self.list.is_some())
    }
}

impl<'a> Map<'a> {
    /// The type of a declared field.
    pub fn declared(&self, name: &str) -> Option<Type<'a>> {
        match self.names {
            Names::None => None,
            Names::Message(message) => match message.field(name) {
                Some(field) => Some(Type::Field(field)),
                None if message.object && is_type_meta(name) => Some(Type::Scalar(Scalar::String)),
                None => None,
            },
            Names::Custom(node) => node.declared(name),
        }
    }

    /// The type of what stands under the name, if anything may.
    pub fn value(&self, name: &str) -> Option<Type<'a>> {
        self.declared(name).or(self.values)
    }

    /// The value that a key field has when it is unset.
    pub fn default(&self, name: &str) -> Option<Value> {
        match self.names {
            Names::None => None,
            Names::Message(message) => default(message.field(name)?),
            Names::Custom(node) => node.at.properties.get(name)?.default.clone(),
        }
    }

    /// It declares nothing and takes anything: there is no schema to follow.
    pub fn is_schemaless(&self) -> bool {
        let declares = match self.names {
            Names::None => false,
            Names::Message(message) => !message.fields.is_empty(),
            Names::Custom(node) => node.is_whole_object() || !node.at.properties.is_empty(),
        };
        !declares && matches!(self.values, Some(Type::Deduced(_)))
    }
}

/// A field's default in OpenAPI: what it says, or zero where JSON always has the field.
fn default(field: &Field) -> Option<Value> {
    if !field.doc.default.is_empty() {
        return serde_json::from_str(field.doc.default).ok();
    }
    match field.ty {
        _ if !field.always || field.pointer || field.shape != table::Shape::One => None,
        table::Type::String | table::Type::Bytes => Some("".into()),
        table::Type::Bool => Some(false.into()),
        table::Type::Int32 | table::Type::Int64 | table::Type::Double => Some(0.into()),
        table::Type::Message(_) => None,
    }
}

impl<'a> Keys<'a> {
    pub fn iter(&self) -> impl Iterator<Item = &'a str> {
        let (builtin, custom): (&[&str], &[String]) = match *self {
            Keys::Builtin(keys) => (keys, &[]),
            Keys::Custom(keys) => (&[], keys),
        };
        builtin.iter().copied().chain(custom.iter().map(String::as_str))
    }
}

impl<'a> Node<'a> {
    fn atom(self) -> Atom<'a> {
        let at = self.at;
        match at.kind {
            structure::Kind::Object => Atom::map(self.map()),
            structure::Kind::Array => Atom { map: None, scalar: None, list: Some(self.list()) },
            structure::Kind::String => Atom::scalar(Scalar::String),
            structure::Kind::Integer | structure::Kind::Number => Atom::scalar(Scalar::Numeric),
            structure::Kind::Boolean => Atom::scalar(Scalar::Boolean),
            structure::Kind::Any => Atom { map: Some(self.map()), scalar: Some(Scalar::Any), list: Some(self.list()) },
        }
    }

    fn map(self) -> Map<'a> {
        let at = self.at;
        let values = match &at.values {
            Some(values) => Some(Type::Custom(self.below(values))),
            None if self.preserves() || (at.properties.is_empty() && !self.is_whole_object()) => Some(Type::Deduced(0)),
            None => None,
        };
        Map { names: Names::Custom(self), values, atomic: at.map_atomic }
    }

    fn list(self) -> List<'a> {
        let relation = match &self.at.list {
            structure::ListKind::Atomic => Relation::Atomic,
            structure::ListKind::Set => Relation::Set,
            structure::ListKind::Map(keys) => Relation::Keys(Keys::Custom(keys)),
        };
        let item = self.at.items.as_ref().map_or(Type::Opaque, |items| Type::Custom(self.below(items)));
        List { relation, item }
    }

    fn declared(self, name: &str) -> Option<Type<'a>> {
        if self.is_whole_object() {
            if is_type_meta(name) {
                return Some(Type::Scalar(Scalar::String));
            }
            if name == "metadata" {
                return table::message(META).map(Type::Message);
            }
        }
        self.at.properties.get(name).map(|below| Type::Custom(self.below(below)))
    }

    fn below(self, at: &'a Structure) -> Self {
        Self { at, preserving: self.preserves(), object: false }
    }

    fn preserves(self) -> bool {
        self.preserving || self.at.preserve_unknown
    }

    fn is_whole_object(self) -> bool {
        self.object || self.at.embedded
    }
}

fn is_type_meta(name: &str) -> bool {
    name == "apiVersion" || name == "kind"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at<'a>(root: &str, path: &[&str]) -> Type<'a> {
        let mut ty = Type::Message(table::message(root).expect("a message"));
        for step in path {
            let atom = ty.atom();
            ty = match *step {
                "*" => atom.list.map(|list| list.item),
                name => atom.map.and_then(|map| map.value(name)),
            }
            .expect("a type");
        }
        ty
    }

    #[test]
    fn builtin_types_are_what_openapi_says() {
        let pod = "k8s.io.api.core.v1.Pod";
        let ports = at(pod, &["spec", "containers", "*", "ports"]).atom().list.expect("a list");
        let Relation::Keys(keys) = ports.relation else { panic!("keyed") };
        assert_eq!(keys.iter().collect::<Vec<_>>(), ["containerPort", "protocol"]);
        let port = ports.item.atom().map.expect("a map");
        assert_eq!(port.default("protocol"), Some("TCP".into()));
        assert_eq!(port.default("containerPort"), Some(0.into()));
        assert_eq!(port.default("hostIP"), None);
        let secrets = at(pod, &["spec", "imagePullSecrets"]).atom().list.expect("a list");
        assert_eq!(secrets.item.atom().map.and_then(|map| map.default("name")), Some("".into()));
        let finalizers = at(pod, &["metadata", "finalizers"]).atom().list.expect("a list");
        assert!(matches!(finalizers.relation, Relation::Set));
        assert!(at(pod, &["spec", "nodeSelector"]).atom().map.is_some_and(|map| map.atomic));
        let volume = "k8s.io.api.core.v1.PersistentVolume";
        assert!(!at(volume, &["spec", "claimRef"]).atom().map.is_some_and(|map| map.atomic), "granular by the field");
        assert!(
            at(pod, &["spec", "containers", "*", "env", "*", "valueFrom", "fieldRef"])
                .atom()
                .map
                .is_some_and(|m| m.atomic)
        );
    }
}
