//! The shape of the static tables that `build.rs` makes of `proto/`: one [`Message`] a type, with its fields
//! in JSON order. Nothing here is built at run time.

use std::fmt;

use super::slot::slot;

include!(concat!(env!("OUT_DIR"), "/messages.rs"));

/// A type of the API.
pub struct Message {
    /// Its protobuf name: `k8s.io.api.core.v1.Pod`.
    pub name: &'static str,
    pub json: Json,
    /// JSON shows `apiVersion` and `kind`, which protobuf keeps in the envelope.
    pub object: bool,
    /// OpenAPI says nothing of it: any JSON may stand.
    pub any: bool,
    /// (group, version, kind) under which OpenAPI lists it.
    pub kinds: &'static [(&'static str, &'static str, &'static str)],
    /// Apply replaces it as a whole (`x-kubernetes-map-type: atomic`).
    pub atomic: bool,
    pub unions: &'static [Union],
    /// In the order of JSON output.
    pub fields: &'static [Field],
    /// Field number -> position in `fields`, `u8::MAX` where there is none.
    pub index: &'static [u8],
    /// Positions in `fields` by ascending field number: the order on the wire.
    pub ascending: &'static [u8],
    /// JSON has the order of the wire.
    pub in_order: bool,
    /// JSON name -> positions down to the field, through inline messages; sorted by name.
    pub by_name: &'static [(&'static str, &'static [u8])],
    /// Positions in `by_name`, at most every other one taken, where [`slot`] and steps from it find them; `u8::MAX`: none.
    pub slots: &'static [u8],
    /// The JSON names that are there also when they are unset, sorted.
    pub shown_unset: &'static [&'static str],
    /// JSON that is kept as it was written may stand in it, at any depth.
    pub holds_written: bool,
}

/// How a message looks in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Json {
    Object,
    Time,
    MicroTime,
    Duration,
    Quantity,
    IntOrString,
    Raw,
    SchemaOrBool,
    SchemaOrArray,
    SchemaOrStringArray,
    Items,
    /// A [`Value::Written`](crate::model::value::Value::Written) in trees.
    Written,
}

/// One field of a message.
pub struct Field {
    /// Its JSON name.
    pub name: &'static str,
    /// The same as a JSON text has it: `,"name":`.
    pub key: &'static str,
    pub number: u32,
    pub shape: Shape,
    /// Of the value, of a list's item or of a map's value.
    pub ty: Type,
    /// Unset differs from zero.
    pub pointer: bool,
    /// JSON has it also when it is zero or unset.
    pub always: bool,
    /// A message that is no pointer, yet left out of JSON when it is zero.
    pub omit_zero: bool,
    /// JSON may have something for it when it is unset.
    pub shown_unset: bool,
    /// Its own fields stand in the parent's JSON.
    pub inline: bool,
    /// A null item of the list stays unset instead of becoming an empty one.
    pub item_pointer: bool,
    /// (`apiVersion`, `kind`) that JSON tells of each item, and that nothing else keeps.
    pub item_kind: Option<(&'static str, &'static str)>,
    pub doc: &'static FieldDoc,
    pub list: ListKind,
    /// Apply replaces the map as a whole.
    pub map_atomic: bool,
    pub patch: Patch,
    go: &'static str,
    key_go: &'static str,
    container_go: &'static str,
}

/// What only OpenAPI says of a field.
pub struct FieldDoc {
    pub required: bool,
    /// As JSON; empty where it is the type's zero or there is none.
    pub default: &'static str,
    /// The values that it may have, sorted; empty where any.
    pub choices: &'static [&'static str],
    /// Empty where it is the type's own.
    pub format: &'static str,
    /// It says that apply merges the map field by field, as it does anyway.
    pub granular: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    One,
    List,
    /// Keys are strings.
    Map,
}

#[derive(Clone, Copy)]
pub enum Type {
    String,
    Bool,
    Int32,
    Int64,
    Double,
    Bytes,
    Message(&'static Message),
}

/// `x-kubernetes-list-type` with its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListKind {
    None,
    Atomic,
    Set,
    Map(&'static [&'static str]),
}

/// How a strategic merge patch treats a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patch {
    pub merge: bool,
    pub replace: bool,
    pub retain_keys: bool,
    /// The key by which items of a list are told apart; empty for lists of scalars.
    pub key: &'static str,
}

/// Fields of which one is set, and the discriminator that says which.
pub struct Union {
    /// Empty when there is none.
    pub discriminator: &'static str,
    /// (field, the discriminator's value)
    pub members: &'static [(&'static str, &'static str)],
}

impl Message {
    /// The field with this number on the wire.
    pub fn numbered(&self, number: u32) -> Option<&'static Field> {
        let at = *self.index.get(number as usize)?;
        self.fields.get(at as usize)
    }

    /// Where in [`Message::fields`] the field with this number is.
    #[inline]
    pub fn place(&self, number: u32) -> Option<usize> {
        self.index.get(number as usize).copied().filter(|at| *at != u8::MAX).map(usize::from)
    }

    /// The field with this name in JSON; fields of inline messages are found as JSON shows them.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        let (last, through) = self.path(name)?.split_last()?;
        let mut fields = self.fields;
        for step in through {
            let Type::Message(inner) = fields[*step as usize].ty else { return None };
            fields = inner.fields;
        }
        Some(&fields[*last as usize])
    }

    /// Positions of the fields down to the one with this name in JSON: inline messages, then the field.
    pub fn path(&self, name: &str) -> Option<&'static [u8]> {
        let mut at = slot(name, self.slots.len());
        loop {
            let (known, path) = self.by_name.get(usize::from(self.slots[at]))?;
            if *known == name {
                return Some(path);
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    /// Where in [`Message::by_name`] a name is, from a place on: for names that come sorted.
    #[inline]
    pub fn named_from(&self, from: usize, name: &str) -> Option<usize> {
        self.by_name[from..].iter().position(|(known, _)| *known == name).map(|at| from + at)
    }

    /// The names of the inline messages down to a field.
    pub fn embedded(&self, name: &str) -> Vec<&'static str> {
        let Some((_, through)) = self.path(name).and_then(|path| path.split_last()) else { return Vec::new() };
        let (mut fields, mut names) = (self.fields, Vec::new());
        for step in through {
            let Type::Message(inner) = fields[*step as usize].ty else { break };
            names.push(inner.short_name());
            fields = inner.fields;
        }
        names
    }

    /// The name without its package: `Pod`.
    pub fn short_name(&self) -> &'static str {
        self.name.rsplit('.').next().unwrap_or(self.name)
    }

    /// The name that Go's decoders print: `v1.Pod`, `resource.Quantity`.
    pub fn go_name(&self) -> &'static str {
        let dot = self.name.rfind('.').unwrap_or(0);
        let start = self.name[..dot].rfind('.').map_or(0, |at| at + 1);
        &self.name[start..]
    }
}

impl Field {
    /// The Go type that decoders name in their errors: `int32`, `v1.ObjectMeta`, `[]v1.Container`, `map[string]string`.
    pub fn go_type(&self) -> String {
        let key = if self.key_go.is_empty() { "string" } else { self.key_go };
        match self.shape {
            _ if !self.container_go.is_empty() => self.container_go.to_owned(),
            Shape::One => self.go_item().to_owned(),
            Shape::List => format!("[]{}", self.go_item()),
            Shape::Map => format!("map[{key}]{}", self.go_item()),
        }
    }

    /// The same of an item or a map's value.
    pub fn go_item(&self) -> &'static str {
        match self.ty {
            _ if !self.go.is_empty() => self.go,
            Type::String => "string",
            Type::Bool => "bool",
            Type::Int32 => "int32",
            Type::Int64 => "int64",
            Type::Double => "float64",
            Type::Bytes => "[]uint8",
            Type::Message(message) => message.go_name(),
        }
    }

    /// The message of the value, of an item or of a map's value.
    pub fn message(&self) -> Option<&'static Message> {
        match self.ty {
            Type::Message(message) => Some(message),
            _ => None,
        }
    }

    /// A message that is always there: written on the wire, and in JSON unless `omit_zero`.
    pub fn is_value(&self) -> bool {
        self.shape == Shape::One && !self.pointer && matches!(self.ty, Type::Message(_))
    }
}

/// The message of this protobuf name.
pub fn message(name: &str) -> Option<&'static Message> {
    let at = MESSAGES.binary_search_by(|m| m.name.cmp(name)).ok()?;
    Some(MESSAGES[at])
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Message {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl fmt::Debug for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::String => f.write_str("string"),
            Type::Bool => f.write_str("bool"),
            Type::Int32 => f.write_str("int32"),
            Type::Int64 => f.write_str("int64"),
            Type::Double => f.write_str("double"),
            Type::Bytes => f.write_str("bytes"),
            Type::Message(message) => f.write_str(message.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_by_name() {
        let pod = message("k8s.io.api.core.v1.Pod").expect("Pod");
        assert_eq!((pod.short_name(), pod.go_name(), pod.object), ("Pod", "v1.Pod", true));
        assert!(message("k8s.io.api.core.v1.Pood").is_none());
    }

    #[test]
    fn inline_fields_are_found_as_json_shows_them() {
        let volume = message("k8s.io.api.core.v1.Volume").expect("Volume");
        assert_eq!(volume.field("emptyDir").map(Field::go_type).as_deref(), Some("v1.EmptyDirVolumeSource"));
        assert!(volume.field("volumeSource").is_none());
    }

    #[test]
    fn every_name_is_found_in_few_steps() {
        let (mut names, mut steps) = (0, 0);
        for message in MESSAGES {
            for (name, path) in message.by_name {
                assert_eq!(message.path(name), Some(*path), "{} {name}", message.name);
                let size = message.slots.len();
                let first = slot(name, size);
                let way = (0..size).find(|way| {
                    let at = message.slots[(first + way) & (size - 1)];
                    message.by_name.get(usize::from(at)).is_some_and(|(known, _)| known == name)
                });
                (names, steps) = (names + 1, steps + way.expect("a way") + 1);
            }
            assert_eq!((message.path(""), message.path("no such field")), (None, None), "{}", message.name);
        }
        assert!(steps * 10 < names * 16, "{steps} steps to {names} names");
    }

    #[test]
    fn every_index_leads_to_its_field() {
        for message in MESSAGES {
            for field in message.fields {
                assert_eq!(message.numbered(field.number).map(|f| f.name), Some(field.name), "{message:?}");
                if !field.inline && message.json == Json::Object {
                    assert!(message.field(field.name).is_some(), "{message:?}.{}", field.name);
                }
            }
        }
    }
}
