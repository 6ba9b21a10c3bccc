//! Strategic merge patch: a merge patch that knows from the type's table which lists are merged by key, with
//! directives (`$patch`, `$retainKeys`, `$deleteFromPrimitiveList/x`, `$setElementOrder/x`).

use std::collections::HashMap;

use super::notes::{Notes, explain};
use super::order::{arrange, deduplicate};
use super::{Validation, settle};
use crate::codec::json::decode::Decoded;
use crate::codec::json::parse::{self, Parser, Token};
use crate::codec::json::{compact, convert, dense};
use crate::model::gotext;
use crate::model::status::Status;
use crate::model::value::{Map, Text, Value, unpacked};
use crate::schema::table::{Field, Json, Message, Shape};

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList";
const ORDER_OF: &str = "$setElementOrder";

/// Applies a patch to a sparse object: the new object, sparse, with warnings. 400 and 422: the patch is none, or what
/// comes of it is no object of the type; 500: it does not fit the type.
pub fn apply(
    object: &Value,
    patch: &[u8],
    message: &'static Message,
    validation: Validation,
) -> Result<Decoded, Status> {
    let mut notes = Notes::default();
    let mut patch = read(patch, &mut notes)?;
    let notes = if validation == Validation::Ignore { Vec::new() } else { notes.notes };
    let (nothing, anew) = (Map::new(), compact::shown(object, message));
    let object = anew.as_ref().unwrap_or(object);
    let (touched, rest) = split(object.as_object().unwrap_or(&nothing), &patch, message);
    let touched = Value::Object(touched);
    let Value::Object(full) = dense::expand(&touched, message) else { return Err(Status::unknown("no object")) };
    let merged = merge_maps(full, &mut patch, Kind::Struct(message)).map_err(Failure::status)?;
    let decoded = convert::convert(Value::Object(merged), message);
    let mut settled = settle(|| gotext::value(&Value::Object(patch.clone())), notes, decoded, validation)?;
    if let Value::Object(fields) = &mut settled.value {
        unite(fields, rest);
    }
    Ok(settled)
}

/// What a patch has to do with, and the object's other fields: a status is patched without a look at the spec, and a uid
/// is compared without a look at the managers.
fn split(object: &Map, patch: &Map, message: &'static Message) -> (Map, Map) {
    let is_plain = |name: &Text| message.path(name).is_some_and(|path| path.len() == 1);
    if message.json != Json::Object || !patch.keys().all(is_plain) {
        return (object.clone(), Map::new());
    }
    let (mut touched, mut rest) = (Map::new(), Map::new());
    for (name, value) in object {
        let inner = message.field(name).filter(|field| field.shape == Shape::One).and_then(Field::message);
        match (patch.get(name), value, inner) {
            (None, ..) => drop(rest.insert(name.clone(), value.clone())),
            (Some(Value::Object(patch)), Value::Object(fields), Some(inner)) => {
                let (below, others) = split(fields, patch, inner);
                touched.insert(name.clone(), Value::Object(below));
                if !others.is_empty() {
                    rest.insert(name.clone(), Value::Object(others));
                }
            }
            (Some(_), ..) => drop(touched.insert(name.clone(), value.clone())),
        }
    }
    (touched, rest)
}

/// Puts back what was split off.
fn unite(fields: &mut Map, rest: Map) {
    for (name, value) in rest {
        match (fields.get_mut(&name), value) {
            (Some(Value::Object(fields)), Value::Object(rest)) => unite(fields, rest),
            (_, value) => drop(fields.insert(name, value)),
        }
    }
}

/// The patch's object; null is an empty one.
fn read(patch: &[u8], notes: &mut Notes) -> Result<Map, Status> {
    let mut parser = Parser::new(patch);
    let wrong = match parser.token() {
        Ok(Token::Object | Token::Null) | Err(_) => None,
        Ok(token) => {
            Some(format!("json: cannot unmarshal {} into Go value of type map[string]interface {{}}", token.word()))
        }
    };
    let noted = notes.value(&mut parser);
    match (noted.and_then(|()| parse::parse(patch)), wrong) {
        (Ok(Value::Object(map)), None) => Ok(map),
        (Ok(Value::Null), None) => Ok(Map::new()),
        (_, wrong) => Err(Status::bad_request(explain(patch, wrong))),
    }
}

/// Why a patch does not apply.
enum Failure {
    BadRequest(&'static str),
    /// Lists of lists.
    Unprocessable,
    /// What stock has no code for.
    Unknown(String),
}

type Outcome<T> = Result<T, Failure>;

const BAD_PRIMITIVE_LIST: Failure = Failure::BadRequest("invalid patch format of primitive list");
const BAD_RETAIN_KEYS: Failure = Failure::BadRequest("invalid patch format of retainKeys");
const BAD_ORDER: Failure = Failure::BadRequest("invalid patch format of setElementOrder list");

impl Failure {
    fn status(self) -> Status {
        match self {
            Failure::BadRequest(why) => Status::bad_request(why),
            Failure::Unprocessable => Status::unprocessable(),
            Failure::Unknown(why) => Status::unknown(why),
        }
    }
}

/// What Go's type is where a map or an item stands.
#[derive(Clone, Copy)]
enum Kind {
    Struct(&'static Message),
    /// Another kind, by its name.
    Other(&'static str),
}

impl Kind {
    /// The field that JSON of this name sets.
    fn field(self, name: &str) -> Outcome<&'static Field> {
        let message = match self {
            Kind::Struct(message) => message,
            Kind::Other(kind) => {
                let why = "merging an object in json but data type is not struct, instead is";
                return Err(Failure::Unknown(format!("{why}: {kind}")));
            }
        };
        let folded = || message.by_name.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        message.field(name).or_else(|| message.field(folded()?.0)).ok_or_else(|| {
            let (of, name) = (message.short_name(), gotext::quote(name));
            Failure::Unknown(format!("unable to find api field in struct {of} for the json field {name}"))
        })
    }

    /// Of a field's value.
    fn below(field: &'static Field) -> Self {
        match field.shape {
            Shape::Map => Kind::Other("map"),
            Shape::List => Kind::Other("slice"),
            Shape::One => Self::item(field),
        }
    }

    /// Of an item of a field's list.
    fn item(field: &'static Field) -> Self {
        field.message().map_or(Kind::Other("string"), Kind::Struct)
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Struct(_) => "struct",
            Kind::Other(kind) => kind,
        }
    }
}

fn list_field(kind: Kind, name: &str) -> Outcome<&'static Field> {
    let field = kind.field(name)?;
    if field.shape == Shape::List || field.pointer {
        return Ok(field);
    }
    Err(Failure::Unknown(format!("expected slice or array type, but got: {}", kind.name())))
}

/// `original` with the patch laid over it. Directives that were obeyed are taken out of the patch.
fn merge_maps(mut original: Map, patch: &mut Map, kind: Kind) -> Outcome<Map> {
    if let Some(directive) = patch.get(DIRECTIVE) {
        return match directive.as_str() {
            Some("replace") => {
                patch.remove(DIRECTIVE);
                Ok(patch.clone())
            }
            Some("delete") => Ok(Map::new()),
            _ => Err(bad_directive(directive, patch)),
        };
    }
    retain_keys(&mut original, patch)?;
    order_lists(&mut original, patch, kind)?;
    let keys: Vec<Text> = patch.keys().cloned().collect();
    for key in keys {
        let Some(change) = patch.get_mut(&key) else { continue };
        let deletes = key.starts_with(DELETE_FROM);
        let name = if deletes { after_slash(&key, DELETE_FROM).ok_or(BAD_PRIMITIVE_LIST)? } else { key.as_str() };
        if change.is_null() {
            original.remove(name);
            continue;
        }
        let Some(current) = original.get_mut(name).filter(|current| go_type(current) == go_type(change)) else {
            if !deletes {
                take_new(&mut original, name, change);
            }
            continue;
        };
        let current = match current.take() {
            Value::Written(text) => unpacked(&text),
            other => other,
        };
        let merged = match (current, change) {
            (Value::Object(current), Value::Object(change)) => {
                let field = kind.field(name)?;
                match field.patch.replace {
                    true => Value::Object(change.clone()),
                    false => Value::Object(merge_maps(current, change, Kind::below(field))?),
                }
            }
            (Value::Array(current), Value::Array(change)) => {
                Value::Array(merge_field(current, change, list_field(kind, name)?, deletes)?)
            }
            (_, change) => change.clone(),
        };
        original.insert(name.into(), merged);
    }
    Ok(original)
}

/// What was not there, or was of another type: the patch's value without nulls and what is marked.
fn take_new(original: &mut Map, name: &str, change: &mut Value) {
    discard_nulls(change);
    if discard_marked(change) {
        original.insert(name.into(), change.clone());
    } else {
        original.remove(name);
    }
}

fn discard_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(discard_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(discard_nulls),
        _ => {}
    }
}

/// Takes out what bears a directive; `false`: the value itself does.
fn discard_marked(value: &mut Value) -> bool {
    match value {
        Value::Object(map) if map.contains_key(DIRECTIVE) => return false,
        Value::Object(map) => map.retain(|_, value| discard_marked(value)),
        Value::Array(items) => items.retain_mut(discard_marked),
        _ => {}
    }
    true
}

/// `$retainKeys`: of the object only these keys stay, and the patch sets no others.
fn retain_keys(original: &mut Map, patch: &mut Map) -> Outcome<()> {
    let Some(directive) = patch.remove(RETAIN_KEYS) else { return Ok(()) };
    let Value::Array(keys) = directive else { return Err(BAD_RETAIN_KEYS) };
    let retained = |name: &str| keys.iter().any(|key| key.as_str() == Some(name));
    let is_directive = |name: &str| name.starts_with(DELETE_FROM) || name.starts_with(ORDER_OF);
    if patch.iter().any(|(name, value)| !value.is_null() && !is_directive(name) && !retained(name)) {
        return Err(BAD_RETAIN_KEYS);
    }
    original.retain(|name, _| retained(name));
    Ok(())
}

/// `$setElementOrder/x`: merges the list and puts it in this order. Both leave the patch.
fn order_lists(original: &mut Map, patch: &mut Map, kind: Kind) -> Outcome<()> {
    let directives: Vec<Text> = patch.keys().filter(|key| key.starts_with(ORDER_OF)).cloned().collect();
    for directive in directives {
        let Some(order) = patch.remove(&directive) else { continue };
        let Value::Array(order) = order else { return Err(bad_type("[]interface {}", &order)) };
        let name = after_slash(&directive, ORDER_OF).ok_or(BAD_ORDER)?;
        let live = list_in(original, name)?;
        let mut change = list_in(patch, name)?;
        let field = list_field(kind, name)?;
        let key = field.patch.key;
        agrees(change.as_deref().unwrap_or(&[]), &order, key)?;
        let merged = match (&live, &mut change) {
            (None, None) => continue,
            (Some(live), None) => live.clone(),
            (None, Some(change)) => {
                change.retain_mut(discard_marked);
                change.clone()
            }
            (Some(live), Some(change)) => merge_field(live.clone(), change, field, false)?,
        };
        let (live, change) = (live.unwrap_or_default(), change.unwrap_or_default());
        let maps = item_type([&live, &change])? == "map[string]interface {}";
        let (patched, own) = partition(merged, &order, key)?;
        if maps {
            have_key([&patched, &own, &order, &live], key)?;
        }
        original.insert(name.into(), Value::Array(arrange(patched, own, &order, &live, if maps { key } else { "" })));
        patch.remove(name);
    }
    Ok(())
}

/// A list of the map, `None` when it has none.
fn list_in(map: &Map, name: &str) -> Outcome<Option<Vec<Value>>> {
    match map.get(name) {
        None => Ok(None),
        Some(Value::Array(items)) => Ok(Some(items.clone())),
        Some(other) => Err(bad_type("[]interface {}", other)),
    }
}

/// Whether the patch's items come in the order that it gives itself.
fn agrees(change: &[Value], order: &[Value], key: &str) -> Outcome<()> {
    if change.is_empty() || order.is_empty() {
        return Ok(());
    }
    let mut items = Vec::new();
    for item in change {
        match item {
            Value::Object(map) if map.get(DIRECTIVE).is_some_and(|directive| directive == "delete") => {}
            Value::Object(map) if map.contains_key(DIRECTIVE) => {}
            Value::Object(_) => items.push(item),
            other if !key.is_empty() => return Err(bad_type("map[string]interface {}", other)),
            _ => items.push(item),
        }
    }
    let (mut at, mut rest) = (0, order.iter());
    while at < items.len() {
        let Some(next) = rest.next() else {
            let (list, order) = (gotext::value(&change.to_vec().into()), gotext::value(&order.to_vec().into()));
            return Err(Failure::Unknown(format!(
                "The order in patch list:\n{list}\n doesn't match {ORDER_OF} list:\n{order}\n"
            )));
        };
        if name_of(items[at], key)? == name_of(next, key)? {
            at += 1;
        }
    }
    Ok(())
}

/// A list with the patch's items merged into it, as the field wants it.
fn merge_field(original: Vec<Value>, patch: &mut [Value], field: &'static Field, deletes: bool) -> Outcome<Vec<Value>> {
    if !field.patch.merge && !deletes {
        return Ok(patch.to_vec());
    }
    if original.is_empty() && patch.is_empty() {
        return Ok(original);
    }
    let key = field.patch.key;
    if item_type([&original, patch])? != "map[string]interface {}" {
        if deletes {
            let gone: HashMap<&Value, ()> = patch.iter().map(|item| (item, ())).collect();
            return Ok(original.into_iter().filter(|item| !gone.contains_key(item)).collect());
        }
        let both = original.iter().chain(patch.iter()).cloned().collect();
        let (patched, own) = partition(deduplicate(both), patch, key)?;
        return Ok(arrange(patched, own, patch, &original, ""));
    }
    if key.is_empty() {
        let kind = Kind::item(field).name();
        return Err(Failure::Unknown(format!("cannot merge lists without merge key for {kind}")));
    }
    let (live, rest) = obey_directives(original, patch, key)?;
    let merged = merge_items(live.clone(), patch, &rest, field)?;
    let order: Vec<Value> = rest.iter().map(|at| patch[*at].clone()).collect();
    let (patched, own) = partition(merged, &order, key)?;
    have_key([&patched, &own, &order, &live], key)?;
    Ok(arrange(patched, own, &order, &live, key))
}

/// Obeys items that are directives: the list that is left to merge into, and the places of the items to merge.
fn obey_directives(mut original: Vec<Value>, patch: &[Value], key: &str) -> Outcome<(Vec<Value>, Vec<usize>)> {
    let (mut rest, mut replace) = (Vec::new(), false);
    for (at, item) in patch.iter().enumerate() {
        let Value::Object(map) = item else { continue };
        let Some(directive) = map.get(DIRECTIVE) else {
            rest.push(at);
            continue;
        };
        match directive.as_str() {
            Some("delete") => {
                let name = map.get(key).ok_or_else(|| no_key(map, key))?;
                original.retain(|item| item.get(key) != Some(name));
            }
            Some("replace") => replace = true,
            Some("merge") => return Err(Failure::Unknown("merging lists cannot yet be specified in the patch".into())),
            _ => return Err(bad_directive(directive, map)),
        }
    }
    if !replace {
        return Ok((original, rest));
    }
    Ok((rest.iter().map(|at| patch[*at].clone()).collect(), Vec::new()))
}

/// Merges the patch's items at `places` into those of their key.
fn merge_items(
    mut items: Vec<Value>,
    patch: &mut [Value],
    places: &[usize],
    field: &'static Field,
) -> Outcome<Vec<Value>> {
    let key = field.patch.key;
    let mut known: HashMap<Value, usize> = HashMap::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        if let Some(name) = item.get(key) {
            known.entry(name.clone()).or_insert(at);
        }
    }
    for place in places {
        let Value::Object(change) = &mut patch[*place] else { continue };
        let name = change.get(key).ok_or_else(|| no_key(change, key))?.clone();
        match known.get(&name) {
            Some(at) => {
                if let Value::Object(map) = items[*at].take() {
                    items[*at] = Value::Object(merge_maps(map, change, Kind::item(field))?);
                }
            }
            None => {
                known.insert(name, items.len());
                items.push(Value::Object(change.clone()));
            }
        }
    }
    Ok(items)
}

/// The items that `by` has too, and the others.
fn partition(items: Vec<Value>, by: &[Value], key: &str) -> Outcome<(Vec<Value>, Vec<Value>)> {
    let mut names: HashMap<&Value, ()> = HashMap::with_capacity(by.len());
    for (at, item) in by.iter().enumerate() {
        match item {
            item if key.is_empty() => drop(names.insert(item, ())),
            Value::Object(map) => drop(map.get(key).map(|name| names.insert(name, ()))),
            _ => return Err(Failure::Unknown(format!("value for key {at} is not a map"))),
        }
    }
    let (mut found, mut others) = (Vec::new(), Vec::new());
    for item in items {
        let known = names.contains_key(name_of(&item, key)?);
        if known { found.push(item) } else { others.push(item) }
    }
    Ok((found, others))
}

fn have_key(lists: [&[Value]; 4], key: &str) -> Outcome<()> {
    lists.iter().flat_map(|list| list.iter()).try_for_each(|item| name_of(item, key).map(drop))
}

/// The value of an item's key; without a key, the item.
fn name_of<'v>(item: &'v Value, key: &str) -> Outcome<&'v Value> {
    match item {
        item if key.is_empty() => Ok(item),
        Value::Object(map) => map.get(key).ok_or_else(|| no_key(map, key)),
        other => Err(bad_type("map[string]interface {}", other)),
    }
}

/// The one type of all items of the lists.
fn item_type<const N: usize>(lists: [&[Value]; N]) -> Outcome<&'static str> {
    let mut found = None;
    for item in lists.iter().flat_map(|list| list.iter()) {
        let ty = go_type(item);
        if found.is_none() && item.is_array() {
            return Err(Failure::Unprocessable);
        }
        if *found.get_or_insert(ty) != ty {
            let shown: Vec<_> = lists.iter().map(|list| gotext::value(&list.to_vec().into())).collect();
            return Err(Failure::Unknown(format!("list element types are not identical: [{}]", shown.join(" "))));
        }
    }
    found.ok_or_else(|| Failure::Unknown("no elements in any of the given slices".into()))
}

fn after_slash<'k>(key: &'k str, prefix: &str) -> Option<&'k str> {
    key.split_once('/').filter(|(before, _)| *before == prefix).map(|(_, name)| name)
}

/// Go's `%s` of the value's type.
fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "%!s(<nil>)",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) | Value::Written(_) => "map[string]interface {}",
    }
}

fn bad_type(wanted: &str, found: &Value) -> Failure {
    Failure::Unknown(format!("expected a {wanted}, but received a {}", go_type(found)))
}

fn no_key(map: &Map, key: &str) -> Failure {
    let map = gotext::value(&Value::Object(map.clone()));
    Failure::Unknown(format!("map: {map} does not contain declared merge key: {key}"))
}

fn bad_directive(directive: &Value, map: &Map) -> Failure {
    let shown = match directive {
        Value::String(text) => text.to_string(),
        Value::Null => "%!s(<nil>)".into(),
        Value::Bool(_) | Value::Number(_) => format!("%!s({}={})", go_type(directive), gotext::value(directive)),
        other => gotext::value(other),
    };
    Failure::Unknown(format!("unknown patch type: {shown} in map: {}", gotext::value(&Value::Object(map.clone()))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;
    use crate::schema::table;

    fn pod(patch: Value) -> Result<Value, String> {
        let message = table::message("k8s.io.api.core.v1.Pod").expect("Pod");
        let pod = json!({
            "metadata": {"name": "p", "finalizers": ["a", "b"], "labels": {"x": "1"}},
            "spec": {
                "containers": [{"name": "a", "image": "1", "env": [{"name": "E", "value": "1"}]}, {"name": "b"}],
                "volumes": [{"name": "v", "emptyDir": {}}], "tolerations": [{"key": "t"}],
            },
        });
        let decoded = apply(&pod, patch.to_string().as_bytes(), message, Validation::Warn);
        decoded.map(|decoded| decoded.value).map_err(|status| format!("{} {}", status.code, status.message))
    }

    fn names(patch: Value) -> Result<String, String> {
        let pod = pod(json!({"spec": patch}))?;
        let list = pod["spec"]["containers"].as_array().cloned().unwrap_or_default();
        Ok(list.iter().filter_map(|container| container["name"].as_str()).collect())
    }

    #[test]
    fn lists_merge_by_key() {
        let merged = pod(json!({"spec": {
            "containers": [{"name": "a", "image": "2", "env": [{"name": "F"}]}],
            "tolerations": [{"key": "u"}], "hostname": "h",
        }}))
        .expect("applies");
        let containers = json!([
            {"name": "a", "image": "2", "env": [{"name": "F"}, {"name": "E", "value": "1"}]}, {"name": "b"},
        ]);
        assert_eq!(merged["spec"]["containers"], containers);
        assert_eq!(
            (&merged["spec"]["tolerations"], &merged["spec"]["hostname"]),
            (&json!([{"key": "u"}]), &json!("h"))
        );
    }

    #[test]
    fn directives_are_obeyed() {
        for (patch, order) in [
            (json!({"containers": [{"name": "c"}]}), "cab"),
            (json!({"containers": [{"name": "a", "$patch": "delete"}]}), "b"),
            (json!({"containers": [{"$patch": "replace"}, {"name": "z"}]}), "z"),
            (json!({"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}), "ba"),
            (
                json!({"$setElementOrder/containers": [{"name": "b"}, {"name": "c"}], "containers": [{"name": "c"}]}),
                "abc",
            ),
            (json!({"containers": null}), ""),
        ] {
            assert_eq!(names(patch.clone()).as_deref(), Ok(order), "{patch}");
        }
        let volumes = json!([{"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/"}}]);
        let merged = pod(json!({"spec": {"volumes": volumes}})).expect("applies");
        assert_eq!(merged["spec"]["volumes"], json!([{"name": "v", "hostPath": {"path": "/"}}]));
        let merged = pod(json!({"metadata": {"labels": {"$patch": "replace", "y": "2"}}})).expect("applies");
        assert_eq!(merged["metadata"]["labels"], json!({"y": "2"}));
        for (patch, finalizers) in [
            (json!({"$deleteFromPrimitiveList/finalizers": ["a"]}), json!(["b"])),
            (json!({"finalizers": ["c", "a"]}), json!(["c", "a", "b"])),
            (json!({"$setElementOrder/finalizers": ["b", "a"]}), json!(["b", "a"])),
        ] {
            assert_eq!(pod(json!({"metadata": patch})).expect("applies")["metadata"]["finalizers"], finalizers);
        }
    }

    #[test]
    fn refusals_read_as_stocks() {
        for (patch, text) in [
            (json!([]), "400 json: cannot unmarshal array into Go value of type map[string]interface {}"),
            (
                json!({"spec": {"volumes": [{"name": "v", "$retainKeys": "x"}]}}),
                "400 invalid patch format of retainKeys",
            ),
            (
                json!({"spec": {"volumes": [{"name": "v", "$retainKeys": ["name"], "emptyDir": {}}]}}),
                "400 invalid patch format of retainKeys",
            ),
            (json!({"spec": {"$setElementOrder": []}}), "400 invalid patch format of setElementOrder list"),
            (
                json!({"spec": {"$setElementOrder/containers": 1}}),
                "500 expected a []interface {}, but received a int64",
            ),
            (
                json!({"spec": {"containers": [{"image": "x"}]}}),
                "500 map: map[image:x] does not contain declared merge key: name",
            ),
            (json!({"spec": {"$patch": "x"}}), "500 unknown patch type: x in map: map[$patch:x]"),
            (json!({"metadata": {"finalizers": [["x"]]}}), "500 list element types are not identical: [[a b] [[x]]]"),
            (
                json!({"spec": {"$setElementOrder/containers": [{"name": "a"}], "containers": [{"name": "c"}]}}),
                "500 The order in patch list:\n[map[name:c]]\n doesn't match $setElementOrder list:\n[map[name:a]]\n",
            ),
            (
                json!({"spec": {"hostNetwork": "x"}}),
                "422  \"\" is invalid: patch: Invalid value: \"map[spec:map[hostNetwork:x]]\": unrecognized type: bool",
            ),
        ] {
            assert_eq!(pod(patch.clone()), Err(text.to_owned()), "{patch}");
        }
    }

    #[test]
    fn unknown_and_repeated_fields_are_noted() {
        let message = table::message("k8s.io.api.core.v1.Pod").expect("Pod");
        let patch = br#"{"spec":{"zz":1,"hostname":"a","hostname":"b"}}"#;
        let warned = apply(&json!({}), patch, message, Validation::Warn).expect("applies");
        assert_eq!(warned.notes, ["duplicate field \"spec.hostname\"", "unknown field \"spec.zz\""]);
        assert_eq!(warned.value, json!({"spec": {"hostname": "b"}}));
        let refused = apply(&json!({}), patch, message, Validation::Strict).expect_err("strict");
        let text = " \"\" is invalid: patch: Invalid value: \"map[spec:map[hostname:b zz:1]]\": strict decoding error: \
                    duplicate field \"spec.hostname\", unknown field \"spec.zz\"";
        assert_eq!(refused.message, text);
    }

    /// What a body may nest, through all three patches, on the stack of a thread.
    #[test]
    fn what_nests_deeply_is_no_danger() {
        const STACK: usize = 2 * 1024 * 1024;
        let thread = std::thread::Builder::new().stack_size(STACK).spawn(|| {
            let levels = crate::codec::json::MAX_DEPTH - 4;
            let deep = |leaf: &str| format!("{}{leaf}{}", r#"{"spec":"#.repeat(levels), "}".repeat(levels));
            let (one, two) = (deep("1"), deep("2"));
            let merged = super::super::merge::apply(one.as_bytes(), two.as_bytes(), Validation::Warn).expect("a patch");
            assert_eq!(merged.text, two.as_bytes());
            let copies = format!(
                r#"[{{"op":"test","path":"","value":{one}}},{{"op":"add","path":"/a","value":{two}}},{{"op":"copy","from":"/a","path":"{}/x"}}]"#,
                "/spec".repeat(levels - 1)
            );
            super::super::json::apply(one.as_bytes(), copies.as_bytes(), Validation::Warn).expect("a patch");
            let message = table::message("k8s.io.api.core.v1.Pod").expect("Pod");
            let _ = apply(&json!({}), two.as_bytes(), message, Validation::Warn);
            let parameters = format!(r#"{{"data":{two}}}"#);
            let message = table::message("k8s.io.api.apps.v1.ControllerRevision").expect("ControllerRevision");
            let revision = json!({"data": Value::Null});
            apply(&revision, parameters.as_bytes(), message, Validation::Warn).expect("a patch");
        });
        thread.expect("a thread").join().expect("no panic");
    }
}
