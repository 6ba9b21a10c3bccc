//! Server-side apply: a manager says what it wants of an object, gets it merged in, and owns it (KEP-555).

use std::borrow::Cow;

use super::check::check;
use super::compare::{Comparison, Form, compare, equal};
use super::conflict::Conflicts;
use super::gather;
use super::managed::{self, Entry, Fields, Operation};
use super::merge::merge;
use super::prune::{self, Typed};
use super::reconcile::reconcile;
use super::set::Set;
use super::typed::Type;
use super::update::{Context, track, without_stripped};
use crate::codec::json::compact::shown;
use crate::model::gotext;
use crate::model::names::{GroupVersion, GroupVersionKind};
use crate::model::object;
use crate::model::status::Status;
use crate::model::value::{Map, Value};
use crate::schema::resource::Shape;

/// kubectl's record of what it applied before apply was the server's.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Bytes of all keys and values of an object's annotations.
const MAX_ANNOTATIONS: usize = 256 * 1024;

/// Owns the name of what an object had before anybody applied.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// What came of an attempt.
enum Failure {
    Conflicts(Conflicts),
    Other(Status),
}

impl From<String> for Failure {
    fn from(why: String) -> Self {
        Failure::Other(Status::unknown(why))
    }
}

/// The object that comes of applying `patch`, sparse and with its list of managers; not yet defaulted. `live` is the
/// object before, `None` when there is none. 400, 409 and 500 are told with stock's texts.
pub fn apply(live: Option<&Value>, patch: &Value, cx: &Context<'_>, force: bool) -> Result<Value, Status> {
    let list = live.and_then(managed::list).cloned().unwrap_or(Value::Null);
    let entries =
        managed::read(list, true).map_err(|why| Status::unknown(format!("failed to decode managed fields: {why}")))?;
    let kind = kind_of(patch);
    if kind != *cx.kind {
        return Err(Status::bad_request(format!("invalid object type: {}", display(&kind))));
    }
    let mut bare = live.cloned().unwrap_or_else(|| Value::Object(Map::new()));
    managed::take(&mut bare);
    // What is embedded goes through Go's encoder, and is kept as that writes it, unless nothing changes.
    let encoded = cx.shape.message().and_then(|message| shown(&bare, message));
    let live = encoded.as_ref().unwrap_or(&bare);
    let attempt = Attempt { live, full: full(live, cx), patch, cx };
    let kubectl = cx.manager == "kubectl";
    let outcome = match attempt.run(entries.clone(), force) {
        Err(Failure::Conflicts(conflicts)) if kubectl => match attempt.last_applied() {
            None => Err(Failure::Conflicts(conflicts)),
            Some(allowed) => match conflicts.beyond(&allowed) {
                rest if rest.is_empty() => attempt.run(entries, true),
                rest => Err(Failure::Conflicts(rest)),
            },
        },
        outcome => outcome,
    };
    let (new, entries) = outcome.map_err(|failure| match failure {
        Failure::Conflicts(conflicts) => conflicts.status(),
        Failure::Other(status) => status,
    })?;
    let mut new = new.unwrap_or(bare);
    if kubectl && object::annotation(&new, LAST_APPLIED).is_some_and(|text| !text.is_empty()) {
        record(&mut new, patch);
    }
    managed::put(&mut new, entries);
    Ok(new)
}

/// The group, version and kind that an applied object says; nothing when its `apiVersion` cannot be read.
fn kind_of(object: &Value) -> GroupVersionKind {
    let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or("");
    match GroupVersion::parse(text("apiVersion")) {
        Some(version) => version.with_kind(text("kind")),
        None => GroupVersionKind::default(),
    }
}

/// `apps/v1, Kind=Deployment`.
fn display(kind: &GroupVersionKind) -> String {
    format!("{}/{}, Kind={}", kind.group, kind.version, kind.kind)
}

/// `namespace/name; apps/v1, Kind=Deployment`: how errors name an object.
fn name(object: &Value) -> String {
    format!("{}/{}; {}", object::namespace(object), object::name(object), display(&kind_of(object)))
}

/// The object with all that clients see of it, as apply merges into it.
fn full(sparse: &Value, cx: &Context<'_>) -> Value {
    prune::full(sparse, cx.shape, &cx.api_version(), &cx.kind.kind)
}

/// One try to apply.
struct Attempt<'a, 'c> {
    /// Sparse, without its managers.
    live: &'c Value,
    /// The same in full.
    full: Value,
    patch: &'c Value,
    cx: &'c Context<'a>,
}

impl Attempt<'_, '_> {
    /// The new object, sparse, `None` when it is as before; and its managers.
    fn run(&self, mut entries: Vec<Entry>, force: bool) -> Result<(Option<Value>, Vec<Entry>), Failure> {
        if entries.is_empty() {
            let nothing = Value::Object(Map::new());
            entries = track(&nothing, self.live, entries, BEFORE_FIRST_APPLY, self.cx)
                .map_err(|why| format!("failed to create manager for existing fields: {why}"))?;
        }
        if managed::list(self.patch).is_some_and(Value::is_array) {
            return Err(Failure::Other(Status::bad_request("metadata.managedFields must be nil")));
        }
        let ty = Type::of(self.cx.shape);
        check(self.patch, ty, false)
            .map_err(|faults| format!("failed to create typed patch object ({}): {faults}", name(self.patch)))?;
        if matches!(self.cx.shape, Shape::Custom(_)) {
            check(&self.full, ty, true)
                .map_err(|faults| format!("failed to create typed live object ({}): {faults}", name(&self.full)))?;
        }
        let (merged, mut entries) = self.merge(entries, force)?;
        let changed = !equal(&self.full, &merged, ty, Form::Full);
        let writer = self.cx.writer(self.cx.manager, Operation::Apply);
        if let Some(at) = entries.iter().position(|entry| entry.is_manager(&writer)) {
            let set = std::mem::replace(&mut entries[at].fields, Fields::Set(Set::new())).into_set()?;
            entries[at].fields = Fields::Set(without_stripped(&set).into_owned());
            if changed {
                entries[at].time = self.cx.stamp();
            }
            if entries[at].fields.is_empty() {
                entries.remove(at);
            }
        }
        let new = if changed { Some(self.sparse(merged)?) } else { None };
        Ok((new, entries))
    }

    /// The merged object in full, and who owns what of it.
    fn merge(&self, entries: Vec<Entry>, force: bool) -> Result<(Value, Vec<Entry>), Failure> {
        let ty = Type::of(self.cx.shape);
        let live = Typed::new(Cow::Borrowed(&self.full), self.cx);
        let mut entries = reconciled(entries, &live, self.cx)?;
        let merged = merge(&self.full, self.patch, ty).map_err(|faults| format!("failed to merge config: {faults}"))?;
        let set = gather::fields(self.patch, ty);
        let whole = Comparison { added: set, ..Comparison::default() };
        let mut writer = self.cx.writer(self.cx.manager, Operation::Apply);
        writer.fields = Fields::Set(self.cx.count(whole, &writer.api_version).added);
        let last = entries.iter().position(|entry| entry.is_manager(&writer)).map(|at| entries.remove(at));
        writer.time = last.as_ref().and_then(|last| last.time.clone());
        entries.push(writer);
        let merged = Typed::new(Cow::Owned(merged), self.cx);
        let merged = match last {
            Some(last) => {
                prune::prune(merged, &entries, last, self.cx).map_err(|why| format!("failed to prune fields: {why}"))?
            }
            None => merged,
        };
        let entries = self.hand_over(entries, &live, &merged, force)?;
        Ok((merged.value.into_owned(), entries))
    }

    /// The managers after the change; the last entry is the writer's. What others own of it is a conflict.
    fn hand_over(
        &self,
        mut entries: Vec<Entry>,
        live: &Typed<'_>,
        merged: &Typed<'_>,
        force: bool,
    ) -> Result<Vec<Entry>, Failure> {
        let Some(writer) = entries.pop() else { return Ok(entries) };
        let mut versions: Vec<(String, Option<Comparison>)> = Vec::new();
        let changes = compared(live, merged, &writer.api_version, self.cx)?;
        versions.push((writer.api_version.clone(), changes));
        let mut conflicts = Conflicts::default();
        let mut kept = Vec::with_capacity(entries.len() + 1);
        entries.sort_by_cached_key(Entry::identity);
        for mut entry in entries {
            if !versions.iter().any(|(version, _)| *version == entry.api_version) {
                let changes = compared(live, merged, &entry.api_version, self.cx)?;
                versions.push((entry.api_version.clone(), changes));
            }
            let version = versions.iter().find(|(version, _)| *version == entry.api_version);
            let Some((_, Some(changes))) = version else { continue };
            let set = std::mem::replace(&mut entry.fields, Fields::Set(Set::new())).into_set()?;
            let taken = set.intersection(&changes.modified.union(&changes.added));
            conflicts.add(&entry, &taken);
            let set = set.difference(&taken).difference(&changes.removed);
            if !set.is_empty() {
                entry.fields = Fields::Set(set);
                kept.push(entry);
            }
        }
        if !force && !conflicts.is_empty() {
            return Err(Failure::Conflicts(conflicts));
        }
        if !writer.fields.is_empty() {
            kept.push(writer);
        }
        Ok(kept)
    }

    fn sparse(&self, merged: Value) -> Result<Value, Failure> {
        prune::sparse(merged, self.cx.shape, &self.cx.api_version(), &self.cx.kind.kind).map_err(|why| {
            format!("failed to convert new object ({}) to proper version: {why}", name(self.patch)).into()
        })
    }

    /// What kubectl applied last and nobody has changed since: it may take that over from itself.
    fn last_applied(&self) -> Option<Set> {
        let text = object::annotation(self.live, LAST_APPLIED).filter(|text| !text.is_empty())?;
        let last = crate::codec::json::parse::parse(text.as_bytes()).ok()?;
        if last.get("apiVersion").and_then(Value::as_str) != Some(self.cx.api_version().as_str()) {
            return None;
        }
        let ty = Type::of(self.cx.shape);
        check(&self.full, ty, false).ok()?;
        check(&last, ty, false).ok()?;
        let changes = compare(&last, &self.full, ty, Form::Full).ok()?;
        let set = gather::fields(&last, ty);
        Some(set.difference(&changes.modified).difference(&changes.added).difference(&changes.removed))
    }
}

/// Each manager's fields as its version's type wants them; managers of versions that are gone are forgotten.
fn reconciled(entries: Vec<Entry>, live: &Typed<'_>, cx: &Context<'_>) -> Result<Vec<Entry>, Failure> {
    let mut kept = Vec::with_capacity(entries.len());
    for mut entry in entries {
        let Some(live) = live.at(&entry.api_version, cx)? else { continue };
        let set = entry.fields.into_set()?;
        entry.fields = Fields::Set(reconcile(&set, Type::of(&live.shape)).unwrap_or(set));
        kept.push(entry);
    }
    Ok(kept)
}

/// The changes in a version, as they count. `None`: the version is served no more.
fn compared(
    old: &Typed<'_>,
    new: &Typed<'_>,
    api_version: &str,
    cx: &Context<'_>,
) -> Result<Option<Comparison>, Failure> {
    let at = |object: &Typed<'_>, which: &str| {
        let versioned = object.at(api_version, cx).map_err(|why| format!("failed to convert {which} object: {why}"))?;
        Ok::<_, Failure>(versioned.map(|typed| (typed.value.clone().into_owned(), typed.shape.clone().into_owned())))
    };
    let (Some((old, shape)), Some((new, _))) = (at(old, "old")?, at(new, "new")?) else { return Ok(None) };
    let changes = compare(&old, &new, Type::of(&shape), Form::Full)
        .map_err(|faults| format!("failed to compare objects: {faults}"))?;
    Ok(Some(cx.count(changes, api_version)))
}

/// Keeps kubectl's record of what it applied, unless the annotations become too large with it.
fn record(object: &mut Value, patch: &Value) {
    let mut applied = patch.clone();
    if let Some(annotations) = applied.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove(LAST_APPLIED);
    }
    let text = gotext::json(&applied) + "\n";
    let Some(annotations) = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) else { return };
    annotations.insert(LAST_APPLIED.into(), text.into());
    let size: usize = annotations.iter().map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum();
    if size > MAX_ANNOTATIONS {
        annotations.remove(LAST_APPLIED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::generate;
    use crate::fields::update::{self, Converted};
    use crate::model::time::Time;
    use crate::schema::catalog::Catalog;
    use crate::schema::structure::{self, Structure};
    use proptest::prelude::*;

    use crate::model::value::json;

    /// A Deployment over time: each write takes a second.
    struct World {
        object: Option<Value>,
        second: i64,
    }

    impl World {
        fn new() -> Self {
            World { object: None, second: 0 }
        }

        fn with_context<T>(&mut self, manager: &str, write: impl FnOnce(&Context<'_>) -> T) -> T {
            self.second += 1;
            let message = crate::schema::table::message("k8s.io.api.apps.v1.Deployment").expect("Deployment");
            let (shape, reset) = (Shape::Builtin(message), Set::of_fields([&["status"][..]]));
            write(&Context {
                shape: &shape,
                kind: &GroupVersionKind::new("apps", "v1", "Deployment"),
                manager,
                subresource: "",
                now: Time { seconds: 1_700_000_000 + self.second, nanos: 0 },
                reset: &reset,
                convert: &|_, _, _| Ok::<Option<Converted>, String>(None),
                fresh: &crate::fields::written::Fresh::default(),
            })
        }

        fn apply_body(&mut self, manager: &str, body: &Value, force: bool) -> Result<(), Status> {
            let live = self.object.clone();
            let mut new = self.with_context(manager, |cx| apply(live.as_ref(), body, cx, force))?;
            new["metadata"]["uid"] = "11111111-2222-3333-4444-555555555555".into();
            self.object = Some(new);
            Ok(())
        }

        fn apply(&mut self, manager: &str, spec: Value) -> Result<(), String> {
            self.apply_body(manager, &body(spec), false).map_err(|status| status.message)
        }

        fn force(&mut self, manager: &str, spec: Value) {
            self.apply_body(manager, &body(spec), true).expect("forced");
        }

        fn update(&mut self, manager: &str, change: impl FnOnce(&mut Value)) {
            let live = self.object.clone();
            let mut new = live.clone().unwrap_or_else(|| json!({"metadata": {"name": "d"}}));
            change(&mut new);
            self.with_context(manager, |cx| update::update(live.as_ref(), &mut new, cx));
            new["metadata"]["uid"] = "11111111-2222-3333-4444-555555555555".into();
            self.object = Some(new);
        }

        fn spec(&self) -> Value {
            self.object.as_ref().map_or(Value::Null, |object| object["spec"].clone())
        }

        /// `manager operation second fields`, the fields of the spec.
        fn owners(&self) -> Vec<String> {
            let list = self.object.as_ref().and_then(managed::list).and_then(Value::as_array).cloned();
            let owner = |entry: Value| {
                let text = |name: &str| entry[name].as_str().unwrap_or("-").to_owned();
                let (time, mut fields) = (text("time"), String::new());
                let second = time.get(17..19).map_or("-".into(), |s| (s.parse::<i64>().unwrap_or(0) - 20).to_string());
                let set = Set::from_value(&entry["fieldsV1"].opened()["f:spec"]).unwrap_or_default();
                set.for_each(&mut |path| fields += &format!(" {}", crate::fields::path::display(path)));
                format!("{} {} {second}{fields}", text("manager"), text("operation"))
            };
            list.unwrap_or_default().into_iter().map(owner).collect()
        }
    }

    fn body(spec: Value) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec})
    }

    #[test]
    fn what_is_applied_is_owned_and_goes_when_it_is_said_no_more() {
        let mut world = World::new();
        world.apply("a", json!({"replicas": 1, "paused": true})).expect("new");
        world.apply("b", json!({"paused": true, "minReadySeconds": 3})).expect("they agree");
        assert_eq!(world.owners(), ["a Apply 1 .paused .replicas", "b Apply 2 .minReadySeconds .paused"]);

        world.apply("a", json!({})).expect("less");
        assert_eq!(world.spec(), json!({"paused": true, "minReadySeconds": 3}), "what b says too, stays");
        assert_eq!(world.owners(), ["b Apply 2 .minReadySeconds .paused", "a Apply 3"]);

        world.apply("b", json!({"minReadySeconds": 4})).expect("less");
        assert_eq!(world.spec(), json!({"minReadySeconds": 4}));
    }

    #[test]
    fn what_others_own_is_a_conflict_unless_forced() {
        let mut world = World::new();
        world.apply("a", json!({"replicas": 1})).expect("new");
        let refused = world.apply("b", json!({"replicas": 2}));
        assert_eq!(refused, Err("Apply failed with 1 conflict: conflict with \"a\": .spec.replicas".into()));
        world.force("b", json!({"replicas": 2}));
        assert_eq!(world.owners(), ["b Apply 3 .replicas"]);

        world.update("u", |object| object["spec"]["replicas"] = 3.into());
        assert_eq!(world.owners(), ["u Update 4 .replicas"]);
        let refused = world.apply("b", json!({"replicas": 2}));
        let text = "Apply failed with 1 conflict: conflict with \"u\" using apps/v1: .spec.replicas";
        assert_eq!(refused, Err(text.into()));
        world.apply("b", json!({"replicas": 3})).expect("they agree");
        assert_eq!(world.owners(), ["b Apply - .replicas", "u Update 4 .replicas"], "who changes nothing gets no time");
    }

    #[test]
    fn what_an_updater_set_is_not_pruned() {
        let mut world = World::new();
        world.apply("a", json!({"replicas": 1, "paused": true})).expect("new");
        world.update("u", |object| object["spec"]["paused"] = Value::Null);
        world.update("u", |object| object["spec"]["paused"] = true.into());
        world.apply("a", json!({"replicas": 1})).expect("less");
        assert_eq!(world.spec(), json!({"replicas": 1, "paused": true}));
    }

    #[test]
    fn what_was_there_before_the_first_apply_has_an_owner() {
        let mut world = World::new();
        world.object = Some(json!({"metadata": {"name": "d", "uid": "u"}, "spec": {"replicas": 1}}));
        let refused = world.apply("a", json!({"replicas": 2}));
        let text = "Apply failed with 1 conflict: conflict with \"before-first-apply\" using apps/v1: .spec.replicas";
        assert_eq!(refused, Err(text.into()));
        world.force("a", json!({"replicas": 2}));
        assert_eq!(world.owners(), ["a Apply 2 .replicas"]);
    }

    #[test]
    fn kubectl_takes_over_what_it_applied_itself() {
        let mut world = World::new();
        let last = body(json!({"replicas": 1, "paused": true})).to_string();
        world.update("kubectl-client-side-apply", |object| {
            object["metadata"]["annotations"] = json!({LAST_APPLIED: last});
            object["spec"] = json!({"replicas": 1, "paused": true});
        });
        world.update("u", |object| object["spec"]["paused"] = Value::Null);
        world.apply("kubectl", json!({"replicas": 5})).expect("its own");
        assert_eq!(world.spec(), json!({"replicas": 5}));
        let recorded = world.object.as_ref().and_then(|object| object::annotation(object, LAST_APPLIED));
        let text = body(json!({"replicas": 5})).to_string() + "\n";
        assert_eq!(recorded, Some(text.as_str()));
        let mut other = World { object: world.object.clone(), second: 9 };
        other.update("u", |object| object["spec"]["replicas"] = 6.into());
        assert!(other.apply("kubectl", json!({"replicas": 7})).is_err_and(|text| text.contains("\"u\" using apps/v1")));
    }

    #[test]
    fn what_is_no_apply_is_told() {
        for (body, code, text) in [
            (json!({}), 400, "invalid object type: /, Kind="),
            (json!({"apiVersion": "v1", "kind": "Pod"}), 400, "invalid object type: /v1, Kind=Pod"),
            (
                json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"managedFields": []}}),
                400,
                "metadata.managedFields must be nil",
            ),
            (
                body(json!({"replicas": "x"})),
                500,
                "failed to create typed patch object (/d; apps/v1, Kind=Deployment): .spec.replicas: expected numeric \
                 (int or float), got string",
            ),
            (
                body(json!({"replicas": 1.5})),
                500,
                "failed to convert new object (/d; apps/v1, Kind=Deployment) to proper version: unable to convert \
                 unstructured object to apps/v1, Kind=Deployment: cannot convert float64 to int32",
            ),
        ] {
            let refused = World::new().apply_body("a", &body, false).expect_err("refused");
            assert_eq!((refused.code, refused.message.as_str()), (code, text));
        }
    }

    #[test]
    fn the_record_of_kubectl_is_bounded() {
        let mut object = json!({"metadata": {"annotations": {LAST_APPLIED: "x", "other": "y"}}});
        record(&mut object, &json!({"data": "z".repeat(MAX_ANNOTATIONS)}));
        assert_eq!(object, json!({"metadata": {"annotations": {"other": "y"}}}));
    }

    fn write_thrice(shape: &Shape, kind: &GroupVersionKind, spec: &dyn Fn(i64) -> Value) {
        let cx = Context {
            shape,
            kind,
            manager: "m",
            subresource: "",
            now: Time { seconds: 0, nanos: 0 },
            reset: &Set::new(),
            convert: &|_, _, _| Ok::<Option<Converted>, String>(None),
            fresh: &crate::fields::written::Fresh::default(),
        };
        let body = |spec: Value| {
            let (api_version, kind) = (cx.api_version(), kind.kind.as_str());
            json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "t"}, "spec": spec})
        };
        let first = apply(None, &body(spec(1)), &cx, false).expect("applies");
        let mut second = first.clone();
        second["spec"] = spec(2);
        update::update(Some(&first), &mut second, &cx);
        apply(Some(&second), &body(spec(3)), &cx, true).expect("applies");
        apply(Some(&first), &body(json!({})), &cx, true).expect("applies");
    }

    /// What a body may nest, through all of this, on the stack of a thread.
    #[test]
    fn what_nests_deeply_is_no_danger() {
        const STACK: usize = 2 * 1024 * 1024;
        const LEVELS: usize = crate::codec::json::MAX_DEPTH - 2;
        let thread = std::thread::Builder::new().stack_size(STACK).spawn(|| {
            let anything = Structure { kind: structure::Kind::Object, preserve_unknown: true, ..Structure::default() };
            let (shape, kind) = (Shape::Custom(anything.ready()), GroupVersionKind::new("example.com", "v1", "Thing"));
            write_thrice(&shape, &kind, &|leaf| (0..LEVELS).fold(json!(leaf), |value, _| json!({"a": value})));
            write_thrice(&shape, &kind, &|leaf| (0..LEVELS).fold(json!(leaf), |value, _| json!([value])));

            let name = "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition";
            let shape = Shape::Builtin(crate::schema::table::message(name).expect("a message"));
            let kind = GroupVersionKind::new("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
            write_thrice(&shape, &kind, &|leaf| {
                let schema = json!({"type": "string", "description": leaf.to_string()});
                let schema = (0..LEVELS / 2 - 4).fold(schema, |value, _| json!({"properties": {"a": value}}));
                json!({"versions": [{"name": "v1", "schema": {"openAPIV3Schema": schema}}]})
            });
        });
        thread.expect("a thread").join().expect("no panic");
    }

    fn objects() -> impl Strategy<Value = (GroupVersionKind, Shape, Value, Value)> {
        let catalog = Catalog::builtin();
        let kinds = catalog.resources().iter().filter_map(|r| Some((r.kind.clone(), r.shape.message()?)));
        proptest::sample::select(kinds.collect::<Vec<_>>()).prop_flat_map(|(kind, message)| {
            (generate::message(message), generate::message(message))
                .prop_map(move |(a, b)| (kind.clone(), Shape::Builtin(message), a, b))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn applying_twice_is_applying_once((kind, shape, live, mut patch) in objects()) {
            let cx = Context {
                shape: &shape,
                kind: &kind,
                manager: "m",
                subresource: "",
                now: Time { seconds: 0, nanos: 0 },
                reset: &Set::new(),
                convert: &|_, _, _| Ok::<Option<Converted>, String>(None),
                fresh: &crate::fields::written::Fresh::default(),
            };
            let mut live = live;
            managed::take(&mut live);
            managed::take(&mut patch);
            // In full: an item whose key is nothing but defaults does not outlive a second apply, in stock neither.
            let patch = full(&patch, &cx);
            if let Ok(once) = apply(Some(&live), &patch, &cx, true) {
                let twice = apply(Some(&once), &patch, &cx, false);
                prop_assert_eq!(twice, Ok(once));
            }
        }
    }
}
