//! `value["spec"]["containers"][0]`, `get` by name or place, and JSON pointers.

use std::ops;

use super::{Map, Text, Value};

static NULL: Value = Value::Null;

/// A field's name or an item's place.
pub trait Index {
    fn of<'v>(&self, value: &'v Value) -> Option<&'v Value>;
    fn of_mut<'v>(&self, value: &'v mut Value) -> Option<&'v mut Value>;
    /// The place to assign to. Panics where there can be none.
    fn place<'v>(&self, value: &'v mut Value) -> &'v mut Value;
}

impl Index for usize {
    fn of<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        value.as_array()?.get(*self)
    }

    fn of_mut<'v>(&self, value: &'v mut Value) -> Option<&'v mut Value> {
        value.as_array_mut()?.get_mut(*self)
    }

    fn place<'v>(&self, value: &'v mut Value) -> &'v mut Value {
        let items = value.as_array_mut().expect("an array has places by number");
        &mut items[*self]
    }
}

impl Index for str {
    fn of<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        value.as_object()?.get(self)
    }

    fn of_mut<'v>(&self, value: &'v mut Value) -> Option<&'v mut Value> {
        value.as_object_mut()?.get_mut(self)
    }

    fn place<'v>(&self, value: &'v mut Value) -> &'v mut Value {
        if value.is_null() {
            *value = Value::Object(Map::new());
        }
        let fields = value.as_object_mut().expect("an object has places by name");
        fields.entry(self).or_insert(Value::Null)
    }
}

macro_rules! as_str {
    ($($name:ty)*) => {$(
        impl Index for $name {
            fn of<'v>(&self, value: &'v Value) -> Option<&'v Value> {
                str::of(self, value)
            }

            fn of_mut<'v>(&self, value: &'v mut Value) -> Option<&'v mut Value> {
                str::of_mut(self, value)
            }

            fn place<'v>(&self, value: &'v mut Value) -> &'v mut Value {
                str::place(self, value)
            }
        }
    )*};
}

as_str!(String Text);

impl<I: Index + ?Sized> Index for &I {
    fn of<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        (**self).of(value)
    }

    fn of_mut<'v>(&self, value: &'v mut Value) -> Option<&'v mut Value> {
        (**self).of_mut(value)
    }

    fn place<'v>(&self, value: &'v mut Value) -> &'v mut Value {
        (**self).place(value)
    }
}

impl Value {
    /// The field of this name, or the item at this place.
    pub fn get<I: Index>(&self, index: I) -> Option<&Value> {
        index.of(self)
    }

    pub fn get_mut<I: Index>(&mut self, index: I) -> Option<&mut Value> {
        index.of_mut(self)
    }

    /// What a JSON pointer (RFC 6901) leads to.
    pub fn pointer(&self, pointer: &str) -> Option<&Value> {
        steps(pointer)?.try_fold(self, |value, step| match value {
            Value::Object(map) => map.get(&step),
            Value::Array(items) => items.get(place(&step)?),
            _ => None,
        })
    }

    pub fn pointer_mut(&mut self, pointer: &str) -> Option<&mut Value> {
        steps(pointer)?.try_fold(self, |value, step| match value {
            Value::Object(map) => map.get_mut(&step),
            Value::Array(items) => items.get_mut(place(&step)?),
            _ => None,
        })
    }
}

fn steps(pointer: &str) -> Option<impl Iterator<Item = String>> {
    if !pointer.is_empty() && !pointer.starts_with('/') {
        return None;
    }
    Some(pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")))
}

/// A list's place: digits, without a leading zero.
fn place(step: &str) -> Option<usize> {
    let plain = step.bytes().all(|byte| byte.is_ascii_digit()) && (step.len() == 1 || !step.starts_with('0'));
    step.parse().ok().filter(|_| plain)
}

impl<I: Index> ops::Index<I> for Value {
    type Output = Value;

    /// Null where there is none.
    fn index(&self, index: I) -> &Value {
        index.of(self).unwrap_or(&NULL)
    }
}

impl<I: Index> ops::IndexMut<I> for Value {
    /// A field that is not there is made.
    fn index_mut(&mut self, index: I) -> &mut Value {
        index.place(self)
    }
}

impl ops::Index<&str> for Map {
    type Output = Value;

    fn index(&self, key: &str) -> &Value {
        self.get(key).expect("the map has the key")
    }
}
