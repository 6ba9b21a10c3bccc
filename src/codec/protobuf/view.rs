//! An object's bytes read field by field, by the names of its JSON; nothing is decoded that is not asked for.

use super::decode::{numbered, time};
use super::scan::values;
use crate::codec::wire::Wire;
use crate::model::time::Time;
use crate::schema::table::{Field, Message, Type};

/// A message in its bytes. Copying it copies a reference.
///
/// A field that is unset, unknown or unreadable reads as its type's zero: the bytes are the store's, not a client's.
#[derive(Clone, Copy)]
pub struct View<'a> {
    raw: &'a [u8],
    message: &'static Message,
}

impl<'a> View<'a> {
    pub fn new(raw: &'a [u8], message: &'static Message) -> Self {
        Self { raw, message }
    }

    /// The bytes in which the field is (inline messages stand between), and what is known of it.
    fn find(self, name: &str) -> Option<(&'a [u8], &'static Field)> {
        let (last, through) = self.message.path(name)?.split_last()?;
        let (mut raw, mut message) = (self.raw, self.message);
        for step in through {
            let field = &message.fields[*step as usize];
            raw = numbered(raw, field.number).ok()??.bytes().ok()?;
            message = field.message()?;
        }
        Some((raw, &message.fields[*last as usize]))
    }

    fn value(self, name: &str) -> Option<Wire<'a>> {
        let (raw, field) = self.find(name)?;
        numbered(raw, field.number).ok()?
    }

    /// A message, `None` when it is unset.
    pub fn get(self, name: &str) -> Option<View<'a>> {
        let (raw, field) = self.find(name)?;
        let raw = numbered(raw, field.number).ok()??.bytes().ok()?;
        Some(View { raw, message: field.message()? })
    }

    /// A message, empty when it is unset.
    pub fn at(self, name: &str) -> View<'a> {
        let empty =
            || View { raw: &[], message: self.message.field(name).and_then(Field::message).unwrap_or(self.message) };
        self.get(name).unwrap_or_else(empty)
    }

    /// Whether a text, a message, a list or a map has the same bytes in both.
    pub fn agrees(self, other: View<'_>, name: &str) -> bool {
        self.bytes(name).0.eq(other.bytes(name).0)
    }

    pub fn has(self, name: &str) -> bool {
        self.value(name).is_some()
    }

    pub fn text(self, name: &str) -> &'a str {
        self.maybe_text(name).unwrap_or("")
    }

    pub fn maybe_text(self, name: &str) -> Option<&'a str> {
        self.value(name)?.str().ok()
    }

    pub fn number(self, name: &str) -> i64 {
        self.maybe_number(name).unwrap_or(0)
    }

    pub fn maybe_number(self, name: &str) -> Option<i64> {
        let (raw, field) = self.find(name)?;
        let number = numbered(raw, field.number).ok()??.varint().ok()?;
        Some(if matches!(field.ty, Type::Int32) { i64::from(number as i32) } else { number as i64 })
    }

    pub fn flag(self, name: &str) -> bool {
        self.maybe_flag(name).unwrap_or(false)
    }

    pub fn maybe_flag(self, name: &str) -> Option<bool> {
        Some(self.value(name)?.varint().ok()? != 0)
    }

    /// How many bytes a field of bytes has.
    pub fn size(self, name: &str) -> usize {
        self.value(name).and_then(|v| v.bytes().ok()).map_or(0, <[u8]>::len)
    }

    /// A Time or MicroTime; `None` when it is unset or zero.
    pub fn time(self, name: &str) -> Option<Time> {
        time(self.value(name)?.bytes().ok()?).ok()?
    }

    /// A Quantity's text, `None` when it is unset.
    pub fn quantity(self, name: &str) -> Option<&'a str> {
        quantity(self.value(name)?.bytes().ok()?)
    }

    /// An IntOrString as text, `None` when it is unset.
    pub fn int_or_string(self, name: &str) -> Option<String> {
        let raw = self.value(name)?.bytes().ok()?;
        let part = |number| numbered(raw, number).ok().flatten();
        Some(match part(1).map_or(Ok(0), Wire::varint).ok()? {
            0 => (part(2).map_or(Ok(0), Wire::varint).ok()? as i32).to_string(),
            _ => part(3).map_or(Ok(""), Wire::str).ok()?.to_owned(),
        })
    }

    fn bytes(self, name: &str) -> (impl Iterator<Item = &'a [u8]> + use<'a>, Option<&'static Field>) {
        let (raw, field) = match self.find(name) {
            Some((raw, field)) => (raw, Some(field)),
            None => (&[][..], None),
        };
        (values(raw, field.map_or(0, |f| f.number)), field)
    }

    /// The items of a list of messages.
    pub fn items(self, name: &str) -> impl Iterator<Item = View<'a>> + use<'a> {
        let (bytes, field) = self.bytes(name);
        let message = field.and_then(Field::message).unwrap_or(self.message);
        bytes.map(move |raw| View { raw, message })
    }

    /// The items of a list of texts.
    pub fn texts(self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        self.bytes(name).0.filter_map(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// How many items a list, or entries a map, has.
    pub fn count(self, name: &str) -> usize {
        self.bytes(name).0.count()
    }

    /// The entries of a map of texts, sorted by key.
    pub fn labels(self, name: &str) -> Vec<(&'a str, &'a str)> {
        self.entries(name, |raw| std::str::from_utf8(raw).ok())
    }

    /// The entries of a map of Quantities, sorted by key.
    pub fn quantities(self, name: &str) -> Vec<(&'a str, &'a str)> {
        self.entries(name, quantity)
    }

    fn entries<T: Default>(self, name: &str, read: impl Fn(&'a [u8]) -> Option<T>) -> Vec<(&'a str, T)> {
        let part = |entry, number| numbered(entry, number).ok().flatten();
        let entry = |entry: &'a [u8]| {
            let value = part(entry, 2).and_then(|v| v.bytes().ok()).and_then(&read).unwrap_or_default();
            Some((part(entry, 1).map_or(Ok(""), Wire::str).ok()?, value))
        };
        let mut entries: Vec<(&'a str, T)> = self.bytes(name).0.filter_map(entry).collect();
        entries.sort_by_key(|(key, _)| *key);
        entries
    }
}

fn quantity(raw: &[u8]) -> Option<&str> {
    numbered(raw, 1).ok()?.map_or(Ok("0"), Wire::str).ok().filter(|text| !text.is_empty()).or(Some("0"))
}
