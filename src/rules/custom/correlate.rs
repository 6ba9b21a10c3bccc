//! What a part of a changed object was before.

use std::collections::HashMap;

use super::schema::Schema;
use crate::model::value::Value;

/// A value and what it was, under the same schema.
#[derive(Clone, Copy)]
pub struct Pair<'a> {
    pub new: &'a Value,
    pub old: &'a Value,
    pub schema: &'a Schema,
}

impl<'a> Pair<'a> {
    /// A field in both; `None` where it is new, or no schema tells what it is.
    pub fn field(&self, name: &str) -> Option<Self> {
        let (new, old) = (self.new.as_object()?.get(name)?, self.old.as_object()?.get(name)?);
        Some(Self { new, old, schema: self.schema.field(name)? })
    }

    /// The pairs of a list's items, by their keys; none of a list that has no keys.
    pub fn items(&self) -> Vec<Option<Self>> {
        let (Some(new), Some(old), Some(schema)) = (self.new.as_array(), self.old.as_array(), self.schema.item())
        else {
            return Vec::new();
        };
        if self.schema.list_type.as_deref() != Some("map") {
            return Vec::new();
        }
        let old = Keyed::new(self.schema, old);
        new.iter().map(|new| old.get(new).filter(|old| !old.is_null()).map(|old| Self { new, old, schema })).collect()
    }

    /// Nothing changed: lists with keys compare by them, fields without a schema count as changed.
    pub fn same(&self) -> bool {
        match (self.new, self.old) {
            (Value::Object(new), Value::Object(old)) => {
                new.len() == old.len() && new.keys().all(|name| self.field(name).is_some_and(|field| field.same()))
            }
            (Value::Array(new), Value::Array(old)) if new.len() == old.len() => {
                let items = self.items();
                if items.is_empty() {
                    new == old
                } else {
                    items.iter().all(|item| item.is_some_and(|item| item.same()))
                }
            }
            (new, old) => new == old,
        }
    }
}

/// The items of a list by the values of their keys; of those with the same, the first.
pub struct Keyed<'a> {
    schema: &'a Schema,
    items: HashMap<String, &'a Value>,
}

impl<'a> Keyed<'a> {
    /// Empty for a list that has no keys.
    pub fn new(schema: &'a Schema, items: &'a [Value]) -> Self {
        let mut keyed = Self { schema, items: HashMap::new() };
        if schema.list_type.as_deref() == Some("map") {
            for item in items {
                if let Some(key) = keyed.key(item) {
                    keyed.items.entry(key).or_insert(item);
                }
            }
        }
        keyed
    }

    /// The item with the same keys.
    pub fn get(&self, item: &Value) -> Option<&'a Value> {
        if self.items.is_empty() {
            return None;
        }
        self.items.get(&self.key(item)?).copied()
    }

    /// The values of an item's keys, defaults where they are absent; `None` when one is no scalar.
    fn key(&self, item: &Value) -> Option<String> {
        let fields = item.as_object()?;
        let of = self.schema.item()?;
        let mut key = String::new();
        for name in &self.schema.list_keys {
            let default = || of.properties.get(name).and_then(|of| of.default.as_ref());
            match fields.get(name).or_else(default)? {
                scalar @ (Value::Bool(_) | Value::Number(_) | Value::String(_)) => key.push_str(&scalar.to_string()),
                _ => return None,
            }
            key.push('\0');
        }
        Some(key)
    }
}
