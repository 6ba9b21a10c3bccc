//! `metadata.managedFields`: who set which fields, in which version, and when.

use std::sync::Arc;

use super::set::Set;
use crate::model::gotext;
use crate::model::value::{Map, Value};

/// Entries of operation Update kept at most; older ones are put together as `ancient-changes`.
pub const MAX_UPDATERS: usize = 10;
/// Bytes of a manager's name that is taken from a user agent.
const MAX_MANAGER: usize = 128;

/// One manager with what it owns.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub manager: String,
    pub operation: Operation,
    /// In which the fields are named.
    pub api_version: String,
    /// Empty when the object itself was written.
    pub subresource: String,
    /// RFC 3339, when its fields last changed.
    pub time: Option<String>,
    pub fields: Fields,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    Apply,
    Update,
}

/// The fields of an entry; read only when they must be.
#[derive(Clone, Debug, PartialEq)]
pub enum Fields {
    /// FieldsV1.
    Written(Arc<str>),
    Set(Set),
}

impl Operation {
    pub fn name(self) -> &'static str {
        match self {
            Operation::Apply => "Apply",
            Operation::Update => "Update",
        }
    }
}

impl Fields {
    pub fn is_empty(&self) -> bool {
        match self {
            Fields::Written(text) => &**text == "{}",
            Fields::Set(set) => set.is_empty(),
        }
    }

    pub fn into_set(self) -> Result<Set, String> {
        match self {
            Fields::Written(text) => Set::parse(&text),
            Fields::Set(set) => Ok(set),
        }
    }

    fn into_value(self) -> Value {
        Value::Written(match self {
            Fields::Written(text) => text,
            Fields::Set(set) => set.to_text().into(),
        })
    }
}

impl Entry {
    /// The same manager: one that applies is so in every version.
    pub fn is_manager(&self, other: &Entry) -> bool {
        self.manager == other.manager
            && self.operation == other.operation
            && self.subresource == other.subresource
            && (self.operation == Operation::Apply || self.api_version == other.api_version)
    }

    /// What stock sorts managers by.
    pub fn identity(&self) -> String {
        let quoted = |text: &str| gotext::json(&Value::from(text));
        let mut text = format!("{{\"manager\":{},\"operation\":\"{}\"", quoted(&self.manager), self.operation.name());
        if self.operation == Operation::Update {
            text.push_str(&format!(",\"apiVersion\":{}", quoted(&self.api_version)));
        }
        if !self.subresource.is_empty() {
            text.push_str(&format!(",\"subresource\":{}", quoted(&self.subresource)));
        }
        text.push('}');
        text
    }

    /// As errors name it: `"kubectl" with subresource "status" using v1`.
    pub fn display(&self) -> String {
        let mut text = gotext::quote(&self.manager);
        if !self.subresource.is_empty() {
            text.push_str(&format!(" with subresource {}", gotext::quote(&self.subresource)));
        }
        if self.operation == Operation::Update {
            text.push_str(&format!(" using {}", self.api_version));
        }
        text
    }

    fn read(value: Value, index: usize) -> Result<Self, String> {
        let Value::Object(mut map) = value else { return Err("operation must be `Apply` or `Update`".into()) };
        let mut text = |name: &str| match map.remove(name) {
            Some(Value::String(text)) => text.into(),
            _ => String::new(),
        };
        let operation = match text("operation").as_str() {
            "Apply" => Operation::Apply,
            "Update" => Operation::Update,
            _ => return Err("operation must be `Apply` or `Update`".into()),
        };
        let api_version = text("apiVersion");
        if api_version.is_empty() {
            return Err("apiVersion must not be empty".into());
        }
        match text("fieldsType").as_str() {
            "FieldsV1" => {}
            "" => return Err(format!("missing fieldsType in managed fields entry {index}")),
            other => {
                return Err(format!("invalid fieldsType {} in managed fields entry {index}", gotext::quote(other)));
            }
        }
        let (manager, subresource) = (text("manager"), text("subresource"));
        let time = Some(text("time")).filter(|time| !time.is_empty());
        let fields = match map.remove("fieldsV1") {
            Some(Value::Written(text)) => text,
            Some(fields) => fields.to_json().into(),
            None => "{}".into(),
        };
        Ok(Self { manager, operation, api_version, subresource, time, fields: Fields::Written(fields) })
    }

    fn into_value(self) -> Value {
        let mut map = Map::new();
        let mut put = |name: &str, text: String| {
            if !text.is_empty() {
                map.insert(name.into(), text.into());
            }
        };
        put("manager", self.manager);
        put("operation", self.operation.name().to_owned());
        put("apiVersion", self.api_version);
        put("subresource", self.subresource);
        put("time", self.time.unwrap_or_default());
        put("fieldsType", "FieldsV1".to_owned());
        map.insert("fieldsV1".into(), self.fields.into_value());
        Value::Object(map)
    }
}

/// Reads the list. Their fields stay written, unless `decoded`: then what is malformed in them is an error too.
pub fn read(list: Value, decoded: bool) -> Result<Vec<Entry>, String> {
    let Value::Array(items) = list else { return Ok(Vec::new()) };
    let mut entries: Vec<Entry> = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let mut entry = Entry::read(item, index)?;
        if decoded {
            entry.fields = Fields::Set(entry.fields.into_set().map_err(|why| format!("error decoding set: {why}"))?);
        }
        match entries.iter_mut().find(|other| other.is_manager(&entry)) {
            Some(other) => *other = entry,
            None => entries.push(entry),
        }
    }
    Ok(entries)
}

/// Whether a list is one that an update may store: what a mutating admission leaves is checked so.
pub fn check(list: &Value) -> Result<(), String> {
    read(list.clone(), true).map(drop)
}

/// The list in stock's order: operation, time, manager, version, subresource. `None` when it is empty.
pub fn write(mut entries: Vec<Entry>) -> Option<Value> {
    if entries.is_empty() {
        return None;
    }
    let key =
        |e: &Entry| (e.operation, e.time.clone(), e.manager.clone(), e.api_version.clone(), e.subresource.clone());
    entries.sort_by_cached_key(key);
    Some(entries.into_iter().map(Entry::into_value).collect())
}

/// `[]` and `[{}]` ask to forget all managers.
pub fn is_reset(list: Option<&Value>) -> bool {
    match list {
        Some(Value::Array(items)) => match items.as_slice() {
            [] => true,
            [one] => one.as_object().is_some_and(Map::is_empty),
            _ => false,
        },
        _ => false,
    }
}

/// The object's list, taken out of it.
pub fn take(object: &mut Value) -> Option<Value> {
    object.get_mut("metadata")?.as_object_mut()?.remove("managedFields")
}

/// The object's list.
pub fn list(object: &Value) -> Option<&Value> {
    object.get("metadata")?.get("managedFields")
}

/// Gives the object its list.
pub fn put(object: &mut Value, entries: Vec<Entry>) {
    crate::model::object::set_meta(object, "managedFields", write(entries).unwrap_or(Value::Null));
}

/// The manager of a request that names none: its user agent up to the first slash, printable, of at most 128 bytes.
pub fn manager_or_agent(manager: &str, user_agent: &str) -> String {
    if !manager.is_empty() {
        return manager.to_owned();
    }
    let mut name = String::new();
    for letter in user_agent.split('/').next().unwrap_or("").chars().filter(|letter| gotext::is_printable(*letter)) {
        if name.len() + letter.len_utf8() > MAX_MANAGER {
            break;
        }
        name.push(letter);
    }
    name
}

/// Puts the oldest entries of operation Update together until no more than [`MAX_UPDATERS`] are left.
pub fn cap(entries: &mut Vec<Entry>) -> Result<(), String> {
    let mut updaters: Vec<Entry> = entries.iter().filter(|e| e.operation == Operation::Update).cloned().collect();
    let mut excess = updaters.len().saturating_sub(MAX_UPDATERS);
    if excess == 0 {
        return Ok(());
    }
    updaters.sort_by_cached_key(|entry| (entry.time.clone(), entry.identity()));
    let mut firsts: Vec<Entry> = Vec::new();
    for old in updaters {
        if excess == 0 {
            break;
        }
        let Some(first) = firsts.iter().find(|first| first.api_version == old.api_version) else {
            firsts.push(old);
            continue;
        };
        let bucket = Entry {
            manager: "ancient-changes".into(),
            subresource: String::new(),
            fields: Fields::Set(Set::new()),
            ..old.clone()
        };
        if !entries.iter().any(|entry| entry.is_manager(&bucket))
            && let Some(entry) = entries.iter_mut().find(|entry| entry.is_manager(first))
        {
            entry.manager.clone_from(&bucket.manager);
            entry.subresource.clear();
        }
        entries.retain(|entry| !entry.is_manager(&old));
        if let Some(entry) = entries.iter_mut().find(|entry| entry.is_manager(&bucket)) {
            let before = std::mem::replace(&mut entry.fields, Fields::Set(Set::new())).into_set()?;
            entry.fields = Fields::Set(old.fields.into_set()?.union(&before));
            entry.time = old.time;
        }
        excess -= 1;
    }
    Ok(())
}

/// Takes back the times of an update that changed nothing else: the new object equals `old` but for the times of its
/// managers. `old` and `new` are as they would be stored.
pub fn keep_times(old: &Value, new: &mut Value) {
    let (Some(Value::Array(before)), Some(Value::Array(after))) = (list(old), list(new)) else { return };
    let times_differ = before.iter().zip(after).any(|(a, b)| a.get("time") != b.get("time"));
    let alike = |a: &Value, b: &Value| equal_but(a, b, "time", |_, _| true);
    if !times_differ || before.len() != after.len() || !before.iter().zip(after).all(|(a, b)| alike(a, b)) {
        return;
    }
    let same_meta = |a: &Value, b: &Value| equal_but(a, b, "managedFields", |_, _| true);
    if equal_but(old, new, "metadata", same_meta) {
        let before = Value::Array(before.clone());
        crate::model::object::set_meta(new, "managedFields", before);
    }
}

/// Whether two maps are equal but for one field, of which `same` decides where both have it.
fn equal_but(a: &Value, b: &Value, field: &str, same: impl Fn(&Value, &Value) -> bool) -> bool {
    let (Value::Object(a), Value::Object(b)) = (a, b) else { return false };
    let others = |map: &Map| map.len() - usize::from(map.contains_key(field));
    others(a) == others(b)
        && a.iter().all(|(name, value)| match b.get(name) {
            Some(other) if name == field => same(value, other),
            Some(other) => value == other,
            None => name == field,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    fn entry(manager: &str, operation: &str, time: &str) -> Value {
        json!({
            "manager": manager, "operation": operation, "apiVersion": "v1", "time": time, "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {(format!("f:{manager}")): {}}},
        })
    }

    #[test]
    fn the_list_is_sorted_as_stock_sorts_it() {
        let list = json!([
            entry("b", "Update", "2024-01-01T00:00:01Z"),
            entry("z", "Update", "2024-01-01T00:00:00Z"),
            entry("a", "Update", "2024-01-01T00:00:01Z"),
            entry("y", "Apply", "2024-01-01T00:00:09Z"),
        ]);
        let sorted = write(read(list, false).expect("a list")).expect("entries");
        let managers: Vec<_> = sorted.as_array().into_iter().flatten().map(|e| e["manager"].clone()).collect();
        assert_eq!(managers, ["y", "z", "a", "b"]);
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for (entry, why) in [
            (json!({}), "operation must be `Apply` or `Update`"),
            (json!({"operation": "Apply"}), "apiVersion must not be empty"),
            (json!({"operation": "Apply", "apiVersion": "v1"}), "missing fieldsType in managed fields entry 0"),
            (
                json!({"operation": "Apply", "apiVersion": "v1", "fieldsType": "x"}),
                "invalid fieldsType \"x\" in managed fields entry 0",
            ),
            (
                json!({"operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"x": {}}}),
                "error decoding set: parsing key as path element: key must be 2 characters long:",
            ),
        ] {
            assert_eq!(check(&json!([entry])), Err(why.to_owned()));
        }
    }

    #[test]
    fn old_updaters_are_put_together() {
        let list = (0..13).map(|n| entry(&format!("m{n:02}"), "Update", &format!("2024-01-01T00:00:{n:02}Z")));
        let mut entries = read(list.chain([entry("m", "Apply", "2024-01-01T00:00:00Z")]).collect(), false).expect("ok");
        cap(&mut entries).expect("readable");
        assert_eq!(entries.len(), 11);
        let ancient = entries.iter().find(|entry| entry.manager == "ancient-changes").expect("a bucket").clone();
        assert_eq!(ancient.time.as_deref(), Some("2024-01-01T00:00:03Z"));
        let fields = json!({"f:data": {"f:m00": {}, "f:m01": {}, "f:m02": {}, "f:m03": {}}});
        assert_eq!(ancient.fields.into_value().opened(), fields);
        let before = entries.clone();
        cap(&mut entries).expect("readable");
        assert_eq!(entries, before);
    }

    #[test]
    fn managers_are_named_after_their_program() {
        assert_eq!(manager_or_agent("m", "kubectl/v1"), "m");
        assert_eq!(manager_or_agent("", "kubectl/v1.36 (linux)"), "kubectl");
        assert_eq!(manager_or_agent("", "a\n b\u{200b}c"), "a bc");
        assert_eq!(manager_or_agent("", &"é".repeat(100)).len(), 128);
        assert_eq!(manager_or_agent("", ""), "");
    }

    #[test]
    fn times_alone_are_no_change() {
        let object = |time: &str, data: &str| json!({"metadata": {"name": "c", "managedFields": [entry("m", "Update", time)]}, "data": {"m": data}});
        let old = object("2024-01-01T00:00:00Z", "x");
        let mut same = object("2024-01-02T00:00:00Z", "x");
        keep_times(&old, &mut same);
        assert_eq!(same, old);
        let other = object("2024-01-02T00:00:00Z", "y");
        let mut changed = other.clone();
        keep_times(&old, &mut changed);
        assert_eq!(changed, other);
    }
}
