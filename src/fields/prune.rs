//! What an applier no longer says, and nobody else owns, goes from the object; and objects between versions.

use std::borrow::Cow;

use super::check::check;
use super::gather;
use super::managed::{Entry, Fields};
use super::remove::remove;
use super::set::Set;
use super::typed::Type;
use super::update::{Context, Converted};
use crate::codec::json::{convert, dense};
use crate::model::value::Value;
use crate::schema::resource::Shape;

/// An object in full, in a version.
#[derive(Clone, Debug)]
pub struct Typed<'v> {
    pub value: Cow<'v, Value>,
    pub shape: Cow<'v, Shape>,
    pub api_version: String,
}

impl<'v> Typed<'v> {
    /// An object in the version that is written.
    pub fn new(value: Cow<'v, Value>, cx: &Context<'v>) -> Self {
        Self { value, shape: Cow::Borrowed(cx.shape), api_version: cx.api_version() }
    }

    fn ty(&self) -> Type<'_> {
        Type::of(&self.shape)
    }

    fn fields(&self) -> Set {
        gather::fields(&self.value, self.ty())
    }

    /// Its fields, with each that leads to one.
    fn all_fields(&self) -> Set {
        self.fields().with_declared_fields(Some(self.ty()))
    }

    fn without(&self, set: &Set) -> Typed<'v> {
        Typed { value: Cow::Owned(remove(&self.value, set, self.ty())), ..self.clone() }
    }

    /// The object in another version. `None`: that is served no more.
    pub fn at<'t>(&'t self, api_version: &str, cx: &Context<'_>) -> Result<Option<Typed<'t>>, String> {
        if self.api_version == api_version {
            let (value, shape) = (Cow::Borrowed(&*self.value), Cow::Borrowed(&*self.shape));
            return Ok(Some(Typed { value, shape, api_version: self.api_version.clone() }));
        }
        let kind = &cx.kind.kind;
        let bare = sparse(self.value.clone().into_owned(), &self.shape, &self.api_version, kind)?;
        let Some(Converted { value, shape }) = (cx.convert)(&bare, &self.api_version, api_version)? else {
            return Ok(None);
        };
        let value = full(&value, &shape, api_version, kind);
        check(&value, Type::of(&shape), false).map_err(|faults| faults.to_string())?;
        Ok(Some(Typed { value: Cow::Owned(value), shape: Cow::Owned(shape), api_version: api_version.to_owned() }))
    }

    fn into_owned(self) -> Typed<'static>
    where
        Shape: 'static,
    {
        Typed {
            value: Cow::Owned(self.value.into_owned()),
            shape: Cow::Owned(self.shape.into_owned()),
            api_version: self.api_version,
        }
    }
}

/// All that clients see of a sparse object.
pub fn full(sparse: &Value, shape: &Shape, api_version: &str, kind: &str) -> Value {
    let mut full = match shape {
        Shape::Builtin(message) => dense::expand(sparse, message),
        Shape::Custom(_) => sparse.clone(),
    };
    if let Value::Object(map) = &mut full {
        map.insert("apiVersion".into(), api_version.into());
        map.insert("kind".into(), kind.into());
    }
    full
}

/// The sparse form of a full object.
pub fn sparse(full: Value, shape: &Shape, api_version: &str, kind: &str) -> Result<Value, String> {
    let Shape::Builtin(message) = shape else { return Ok(full) };
    let decoded = convert::convert(full, message).map_err(|why| {
        let slash = if api_version.contains('/') { "" } else { "/" };
        format!("unable to convert unstructured object to {slash}{api_version}, Kind={kind}: {why}")
    })?;
    Ok(decoded.value)
}

/// `merged` without what `last` owned, unless somebody owns it now; `entries` has the writer's new entry last.
pub fn prune<'v>(merged: Typed<'v>, entries: &[Entry], last: Entry, cx: &Context<'v>) -> Result<Typed<'v>, String> {
    let (version, last) = (last.api_version.clone(), last.fields.into_set()?);
    if last.is_empty() {
        return Ok(merged);
    }
    let Some(converted) = merged
        .at(&version, cx)
        .map_err(|why| format!("failed to convert merged object to last applied version: {why}"))?
        .map(Typed::into_owned)
    else {
        return Ok(merged);
    };
    let last = last.with_declared_fields(Some(converted.ty()));
    let pruned = converted.without(&last);
    let pruned =
        with_owned(&converted, pruned, entries, cx).map_err(|why| format!("failed add back owned items: {why}"))?;
    let pruned =
        with_dangling(&converted, pruned, &last, cx).map_err(|why| format!("failed add back dangling items: {why}"))?;
    let back = pruned.at(&cx.api_version(), cx)?.ok_or_else(|| format!("no version {}", cx.api_version()))?;
    Ok(Typed::new(Cow::Owned(back.value.into_owned()), cx))
}

/// `pruned` with what anybody owns, in whatever version.
fn with_owned(
    merged: &Typed<'static>,
    mut pruned: Typed<'static>,
    entries: &[Entry],
    cx: &Context<'_>,
) -> Result<Typed<'static>, String> {
    let mut merged = merged.clone();
    let mut versions: Vec<&str> = entries.iter().map(|entry| entry.api_version.as_str()).collect();
    versions.sort_unstable();
    versions.dedup();
    // First the version in which was pruned: another may need what was removed to be converted.
    let first = merged.api_version.clone();
    versions.sort_by_key(|version| *version != first);
    for version in versions {
        let at = |object: &Typed<'_>, which: &str| {
            let why = |why: String| format!("failed to convert {which} object at version {version}: {why}");
            Ok::<_, String>(object.at(version, cx).map_err(why)?.map(Typed::into_owned))
        };
        let (Some(whole), Some(part)) = (at(&merged, "merged")?, at(&pruned, "pruned")?) else { continue };
        let ty = whole.ty();
        let mut kept = part.all_fields();
        for entry in entries.iter().filter(|entry| entry.api_version == version) {
            let Fields::Set(set) = &entry.fields else { continue };
            kept = kept.union(&set.with_declared_fields(Some(ty)));
        }
        pruned = whole.without(&whole.all_fields().difference(&kept));
        merged = whole;
    }
    Ok(pruned)
}

/// `pruned` with what was lost that the applier did not own.
fn with_dangling(
    merged: &Typed<'static>,
    pruned: Typed<'static>,
    last: &Set,
    cx: &Context<'_>,
) -> Result<Typed<'static>, String> {
    let converted = pruned
        .at(&merged.api_version, cx)
        .map_err(|why| format!("failed to convert pruned object to last applied version: {why}"))?;
    let Some(converted) = converted else { return Ok(merged.clone()) };
    let gone = merged.all_fields().difference(&converted.all_fields()).intersection(last);
    Ok(merged.without(&gone))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::{apply::apply, managed, update::update};
    use crate::model::names::GroupVersionKind;
    use crate::model::time::Time;
    use crate::model::value::json;
    use crate::schema::structure::{Kind, Structure};

    const OLD: &str = "example.com/v1";

    /// A kind whose field `spec.a` is `spec.b` in version 2.
    fn shape(version: &str) -> Shape {
        let text = || Structure { kind: Kind::String, ..Structure::default() };
        let name = if version == OLD { "a" } else { "b" };
        let fields = [(name.to_owned(), text()), ("same".to_owned(), text())];
        let spec = Structure { kind: Kind::Object, properties: fields.into_iter().collect(), ..Structure::default() };
        let properties = [("spec".to_owned(), spec)].into_iter().collect();
        Shape::Custom(Structure { kind: Kind::Object, properties, ..Structure::default() }.ready())
    }

    fn convert(object: &Value, _: &str, to: &str) -> Result<Option<Converted>, String> {
        let (from, into) = if to == OLD { ("b", "a") } else { ("a", "b") };
        let mut value = object.clone();
        value["apiVersion"] = to.into();
        if let Some(spec) = value["spec"].as_object_mut() {
            spec.remove(from).map(|field| spec.insert(into.into(), field));
        }
        Ok(Some(Converted { value, shape: shape(to) }))
    }

    /// Who owns what after `write` in a version.
    fn after(version: &str, manager: &str, write: impl FnOnce(&Context<'_>) -> Value) -> (Value, Vec<String>) {
        let (_, version_name) = version.split_once('/').expect("a group");
        let (shape, kind) = (shape(version), GroupVersionKind::new("example.com", version_name, "Thing"));
        let cx = Context {
            shape: &shape,
            kind: &kind,
            manager,
            subresource: "",
            now: Time { seconds: 0, nanos: 0 },
            reset: &Set::new(),
            convert: &convert,
            fresh: &crate::fields::written::Fresh::default(),
        };
        let object = write(&cx);
        let entries = managed::list(&object).and_then(Value::as_array).cloned().unwrap_or_default();
        let owner = |entry: Value| {
            let part = |name: &str| entry[name].as_str().unwrap_or("").to_owned();
            format!("{} {} {}", part("manager"), part("apiVersion"), entry["fieldsV1"].opened()["f:spec"])
        };
        (object, entries.into_iter().map(owner).collect())
    }

    fn body(version: &str, spec: Value) -> Value {
        json!({"apiVersion": version, "kind": "Thing", "metadata": {"name": "t"}, "spec": spec})
    }

    #[test]
    fn managers_of_another_version_are_asked_in_their_own() {
        const NEW: &str = "example.com/v2";
        let applied = |live: Option<&Value>, version: &'static str, spec: Value| {
            let live = live.cloned();
            move |cx: &Context<'_>| apply(live.as_ref(), &body(version, spec), cx, false).expect("applies")
        };
        let (old, owners) = after(OLD, "m1", applied(None, OLD, json!({"a": "1", "same": "1"})));
        assert_eq!(owners, [r#"m1 example.com/v1 {"f:a":{},"f:same":{}}"#]);
        let live = convert(&old, OLD, NEW).expect("converts").expect("served").value;

        let (_, owners) = after(NEW, "u", |cx| {
            let mut new = live.clone();
            new["spec"]["b"] = "2".into();
            update(Some(&live), &mut new, cx);
            new
        });
        assert_eq!(owners, [r#"m1 example.com/v1 {"f:same":{}}"#, r#"u example.com/v2 {"f:b":{}}"#]);

        let refused = after(NEW, "m2", |cx| {
            json!(apply(Some(&live), &body(NEW, json!({"b": "2"})), cx, false).expect_err("owned").message)
        });
        assert_eq!(refused.0, "Apply failed with 1 conflict: conflict with \"m1\": .spec.a");

        let (object, owners) = after(NEW, "m1", applied(Some(&live), NEW, json!({"same": "1"})));
        assert_eq!(object["spec"], json!({"same": "1"}), "what it owned in the old version is pruned");
        assert_eq!(owners, [r#"m1 example.com/v2 {"f:same":{}}"#]);
    }
}
