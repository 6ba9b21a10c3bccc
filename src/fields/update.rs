//! Who owns what after a create, an update or a patch: what differs between the object before and after belongs to
//! the writer.

use std::borrow::Cow;

use super::check::check;
use super::compare::{Comparison, Form, compare};
use super::managed::{self, Entry, Fields, Operation};
use super::path::Element;
use super::reconcile::reconcile;
use super::set::Set;
use super::typed::Type;
use super::whole;
use super::written::{Fresh, holds, touches};
use crate::model::names::GroupVersionKind;
use crate::model::object;
use crate::model::time::Time;
use crate::model::value::{Map, Value};
use crate::schema::resource::Shape;

/// Who writes what, and how.
pub struct Context<'a> {
    /// Of the object as it is written: of the subresource's kind where it has its own.
    pub shape: &'a Shape,
    pub kind: &'a GroupVersionKind,
    /// Empty: `unknown`.
    pub manager: &'a str,
    /// Empty for the object itself.
    pub subresource: &'a str,
    pub now: Time,
    /// What the endpoint resets: changes of it do not count.
    pub reset: &'a Set,
    pub convert: &'a Convert<'a>,
    /// What needs no second look.
    pub fresh: &'a Fresh,
}

/// Takes an object (sparse) from one `apiVersion` to another of its group. `None`: the version is served no more, and
/// what managers own in it is forgotten.
pub type Convert<'a> = dyn Fn(&Value, &str, &str) -> Result<Option<Converted>, String> + Sync + 'a;

/// A converted object, sparse, and its type.
#[derive(Clone, Debug)]
pub struct Converted {
    pub value: Value,
    pub shape: Shape,
}

/// What can never be owned: it names the object, or the server sets it.
pub(super) const STRIPPED: [&[&str]; 12] = [
    &["apiVersion"],
    &["kind"],
    &["metadata"],
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["metadata", "creationTimestamp"],
    &["metadata", "selfLink"],
    &["metadata", "uid"],
    &["metadata", "clusterName"],
    &["metadata", "generation"],
    &["metadata", "managedFields"],
    &["metadata", "resourceVersion"],
];

impl Context<'_> {
    pub fn api_version(&self) -> String {
        self.kind.group_version().to_string()
    }

    /// The changes that count in a version. A custom resource resets nothing in the versions that are not written.
    pub fn count(&self, changes: Comparison, api_version: &str) -> Comparison {
        if self.reset.is_empty() || (matches!(self.shape, Shape::Custom(_)) && api_version != self.api_version()) {
            return changes;
        }
        changes.map(|set| if set.meets(self.reset) { set.recursive_difference(self.reset) } else { set })
    }

    /// The writer's entry, owning nothing yet.
    pub fn writer(&self, manager: &str, operation: Operation) -> Entry {
        Entry {
            manager: if manager.is_empty() { "unknown".into() } else { manager.into() },
            operation,
            api_version: self.api_version(),
            subresource: self.subresource.into(),
            time: None,
            fields: Fields::Set(Set::new()),
        }
    }

    pub fn stamp(&self) -> Option<String> {
        Some(self.now.to_text().into())
    }
}

/// What may be owned of a set.
pub fn without_stripped(set: &Set) -> Cow<'_, Set> {
    if set.node(&Element::field("metadata")).is_none() && set.nodes().iter().all(|node| !node.member) {
        return Cow::Borrowed(set);
    }
    Cow::Owned(set.difference(&Set::of_fields(STRIPPED)))
}

/// Sets `metadata.managedFields` of a created or changed object; both objects are sparse. `live` is the object before,
/// `None` for a create; a list of managers in `new` is what the client wants it to be. An object whose fields cannot be
/// told loses the list, as does one that had none.
pub fn update(live: Option<&Value>, new: &mut Value, cx: &Context<'_>) {
    let given = managed::take(new);
    let entries = start(live, given, cx);
    if entries.is_empty() && live.is_some_and(|live| !object::uid(live).is_empty()) {
        return;
    }
    let nothing = Value::Object(Map::new());
    if let Ok(entries) = track(live.unwrap_or(&nothing), new, entries, cx.manager, cx) {
        managed::put(new, entries);
    }
}

/// The managers to start from: the client's if it gives a list that can be read, else those of the object before.
fn start(live: Option<&Value>, given: Option<Value>, cx: &Context<'_>) -> Vec<Entry> {
    let before = live.and_then(managed::list);
    let read_before = || before.and_then(|list| managed::read(list.clone(), false).ok()).unwrap_or_default();
    match given {
        _ if !cx.subresource.is_empty() => match given {
            Some(list) if Some(&list) == before => managed::read(list, false).unwrap_or_default(),
            _ => read_before(),
        },
        None => read_before(),
        Some(list) if managed::is_reset(Some(&list)) => Vec::new(),
        Some(list) if Some(&list) == before => managed::read(list, false).unwrap_or_default(),
        Some(list) => match managed::read(list, true) {
            Ok(entries) if !entries.is_empty() => entries,
            _ => read_before(),
        },
    }
}

/// The managers after `new` has taken the place of `live`; `manager` wrote it.
pub fn track(
    live: &Value,
    new: &Value,
    entries: Vec<Entry>,
    manager: &str,
    cx: &Context<'_>,
) -> Result<Vec<Entry>, String> {
    let ty = Type::of(cx.shape);
    if matches!(cx.shape, Shape::Custom(_)) {
        check(new, ty, true).map_err(|faults| format!("failed to convert new object to smd typed: {faults}"))?;
        check(live, ty, true).map_err(|faults| format!("failed to convert live object to smd typed: {faults}"))?;
    }
    let mut writer = cx.writer(manager, Operation::Update);
    if entries.is_empty()
        && live.as_object().is_some_and(Map::is_empty)
        && let Some(text) = whole::text(new, ty, cx.reset)
    {
        writer.time = cx.stamp();
        writer.fields = Fields::Written(text.into());
        return Ok(Some(writer).filter(|writer| !writer.fields.is_empty()).into_iter().collect());
    }
    let changes = compare(live, new, ty, Form::Sparse).map_err(|faults| faults.to_string())?;
    let version = Version::new(Cow::Borrowed(cx.shape), cx.count(changes, &writer.api_version));
    let mut versions = vec![(writer.api_version.clone(), Some(version))];
    for entry in &entries {
        if !versions.iter().any(|(known, _)| *known == entry.api_version) {
            versions.push((entry.api_version.clone(), converted(live, new, &entry.api_version, cx)?));
        }
    }
    let at = |api_version: &str| versions.iter().find(|(known, _)| known == api_version)?.1.as_ref();
    let own = at(&writer.api_version).map(|version| without_stripped(&version.written)).unwrap_or_default();

    let mut kept = Vec::with_capacity(entries.len() + 1);
    let mut found = false;
    for mut entry in entries {
        let Some(version) = at(&entry.api_version) else { continue };
        let own = if entry.is_manager(&writer) && !own.is_empty() {
            found = true;
            entry.time = cx.stamp();
            Some(&*own)
        } else {
            None
        };
        entry.fields = settle(entry.fields, version, own, cx.fresh)?;
        if !entry.fields.is_empty() {
            kept.push(entry);
        }
    }
    if !found && !own.is_empty() {
        writer.time = cx.stamp();
        writer.fields = Fields::Set(own.into_owned());
        kept.push(writer);
    }
    managed::cap(&mut kept)?;
    Ok(kept)
}

/// An entry's fields without what changed hands; `own` is what the writer gets.
fn settle(fields: Fields, version: &Version<'_>, own: Option<&Set>, fresh: &Fresh) -> Result<Fields, String> {
    let ty = Type::of(&version.shape);
    if let Fields::Written(text) = &fields {
        let keeps = |set: &Set| !touches(text, set);
        let settled = keeps(&version.removed)
            && match own {
                None => keeps(&version.written),
                Some(own) => {
                    let all = std::ptr::eq(own, &version.written);
                    holds(text, own) && (all || keeps(&version.written.difference(own)))
                }
            };
        if settled && fresh.is_fresh(text, &version.shape) {
            return Ok(fields);
        }
    }
    let set = fields.into_set()?;
    let set = reconcile(&set, ty).unwrap_or(set).difference(&version.written).difference(&version.removed);
    Ok(Fields::Set(match own {
        Some(own) => own.union(&set),
        None => set,
    }))
}

/// What changed, in a version that a manager uses.
struct Version<'c> {
    shape: Cow<'c, Shape>,
    removed: Set,
    /// Modified or added.
    written: Set,
}

impl<'c> Version<'c> {
    fn new(shape: Cow<'c, Shape>, changes: Comparison) -> Self {
        Self { shape, removed: changes.removed, written: changes.modified.or(changes.added) }
    }
}

/// The changes in another version. `None`: it is served no more.
fn converted(
    live: &Value,
    new: &Value,
    api_version: &str,
    cx: &Context<'_>,
) -> Result<Option<Version<'static>>, String> {
    let own = cx.api_version();
    let convert = |value: &Value| (cx.convert)(value, &own, api_version);
    let Some(live) = convert(live).map_err(|why| format!("failed to convert old object: {why}"))? else {
        return Ok(None);
    };
    let Some(new) = convert(new).map_err(|why| format!("failed to convert new object: {why}"))? else {
        return Ok(None);
    };
    let ty = Type::of(&live.shape);
    if matches!(live.shape, Shape::Custom(_)) {
        check(&live.value, ty, false).map_err(|faults| format!("failed to convert old object: {faults}"))?;
        check(&new.value, ty, false).map_err(|faults| format!("failed to convert new object: {faults}"))?;
    }
    let changes = compare(&live.value, &new.value, ty, Form::Sparse).map_err(|faults| faults.to_string())?;
    Ok(Some(Version::new(Cow::Owned(live.shape), cx.count(changes, api_version))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;
    use crate::schema::table::message;

    const UID: &str = "11111111-2222-3333-4444-555555555555";

    fn no_conversion(_: &Value, _: &str, _: &str) -> Result<Option<Converted>, String> {
        Ok(None)
    }

    fn at(second: i64) -> Time {
        Time { seconds: 1_700_000_000 + second, nanos: 0 }
    }

    /// Writes a ConfigMap as `manager` at `second`.
    fn write(live: Option<&Value>, mut new: Value, manager: &str, second: i64) -> Value {
        let shape = Shape::Builtin(message("k8s.io.api.core.v1.ConfigMap").expect("ConfigMap"));
        let kind = GroupVersionKind::new("", "v1", "ConfigMap");
        let cx = Context {
            shape: &shape,
            kind: &kind,
            manager,
            subresource: "",
            now: at(second),
            reset: &Set::new(),
            convert: &no_conversion,
            fresh: &Fresh::default(),
        };
        update(live, &mut new, &cx);
        new
    }

    fn owned(object: &Value) -> Vec<(String, String, Value)> {
        let entries = managed::list(object).and_then(Value::as_array).cloned().unwrap_or_default();
        let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or("").to_owned();
        let seconds = |entry: &Value| text(entry, "time").chars().rev().skip(1).take(2).collect::<Vec<_>>();
        let second = |entry: &Value| seconds(entry).iter().rev().collect::<String>();
        entries.iter().map(|e| (text(e, "manager"), second(e), e["fieldsV1"].opened())).collect()
    }

    fn config(data: Value) -> Value {
        json!({"metadata": {"name": "c", "uid": UID}, "data": data})
    }

    fn with(object: &Value, data: Value) -> Value {
        let mut object = object.clone();
        object["data"] = data;
        object
    }

    fn entry(manager: &str, second: &str, fields: Value) -> (String, String, Value) {
        (manager.into(), second.into(), fields)
    }

    #[test]
    fn what_changes_belongs_to_the_writer() {
        let made = write(None, config(json!({"a": "1", "b": "1", "c": "1"})), "m1", 0);
        let all = json!({"f:data": {".": {}, "f:a": {}, "f:b": {}, "f:c": {}}});
        assert_eq!(owned(&made), [entry("m1", "20", all.clone())]);

        let same = write(Some(&made), made.clone(), "m2", 1);
        assert_eq!(same, made, "who changes nothing owns nothing");

        let changed = write(Some(&made), with(&made, json!({"a": "2", "b": "1", "d": "1"})), "m2", 2);
        let expected = [
            entry("m1", "20", json!({"f:data": {".": {}, "f:b": {}}})),
            entry("m2", "22", json!({"f:data": {"f:a": {}, "f:d": {}}})),
        ];
        assert_eq!(owned(&changed), expected);

        let back = write(Some(&changed), with(&changed, json!({"b": "1"})), "m1", 3);
        assert_eq!(owned(&back), [entry("m1", "20", json!({"f:data": {".": {}, "f:b": {}}}))], "removing is no owning");

        let own = write(Some(&made), with(&made, json!({"a": "9", "b": "1", "c": "1"})), "m1", 4);
        assert_eq!(owned(&own), [entry("m1", "24", all)]);
    }

    #[test]
    fn clients_may_give_the_list_or_reset_it() {
        let made = write(None, config(json!({"a": "1"})), "m1", 0);
        let mut silent = with(&made, json!({"a": "2"}));
        managed::take(&mut silent);
        let changed = write(Some(&made), silent, "m2", 1);
        let expected = [entry("m1", "20", json!({"f:data": {}})), entry("m2", "21", json!({"f:data": {"f:a": {}}}))];
        assert_eq!(owned(&changed), expected, "who says nothing keeps the list");

        let mut given = made.clone();
        given["metadata"]["managedFields"][0]["manager"] = "other".into();
        assert_eq!(owned(&write(Some(&made), given, "m2", 1))[0].0, "other");

        for reset in [json!([]), json!([{}])] {
            let mut new = made.clone();
            new["metadata"]["managedFields"] = reset;
            let cleared = write(Some(&made), new, "m2", 1);
            assert_eq!(managed::list(&cleared), None);
            let again = write(Some(&cleared), with(&cleared, json!({"a": "3"})), "m2", 2);
            assert_eq!(managed::list(&again), None, "an object without managers stays so");
        }

        let mut broken = with(&made, json!({"a": "2"}));
        broken["metadata"]["managedFields"][0]["fieldsV1"] = json!({"x": {}});
        assert_eq!(owned(&write(Some(&made), broken, "m2", 1)), expected, "a list that cannot be read is not taken");
    }

    #[test]
    fn what_an_endpoint_resets_is_never_owned() {
        let shape = Shape::Builtin(message("k8s.io.api.apps.v1.Deployment").expect("Deployment"));
        let kind = GroupVersionKind::new("apps", "v1", "Deployment");
        let reset = Set::of_fields([&["spec"][..], &["metadata"]]);
        let cx = Context {
            shape: &shape,
            kind: &kind,
            manager: "ctl",
            subresource: "status",
            now: at(0),
            reset: &reset,
            convert: &no_conversion,
            fresh: &Fresh::default(),
        };
        let live = json!({"metadata": {"name": "d", "uid": UID, "managedFields": [{
            "manager": "m", "operation": "Update", "apiVersion": "apps/v1", "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": {"f:replicas": {}}},
        }]}, "spec": {"replicas": 1}});
        let mut new = live.clone();
        new["spec"]["replicas"] = 2.into();
        new["status"] = json!({"replicas": 1});
        update(Some(&live), &mut new, &cx);
        let expected = [
            entry("m", "", json!({"f:spec": {"f:replicas": {}}})),
            entry("ctl", "20", json!({"f:status": {"f:replicas": {}}})),
        ];
        assert_eq!(owned(&new), expected);
        assert_eq!(new["metadata"]["managedFields"][1]["subresource"], "status");
    }

    #[test]
    fn versions_that_are_gone_are_forgotten() {
        let mut made = write(None, config(json!({"a": "1"})), "m1", 0);
        made["metadata"]["managedFields"][0]["apiVersion"] = "v0".into();
        let changed = write(Some(&made), with(&made, json!({"a": "2"})), "m2", 1);
        assert_eq!(owned(&changed), [entry("m2", "21", json!({"f:data": {"f:a": {}}}))]);
    }
}
