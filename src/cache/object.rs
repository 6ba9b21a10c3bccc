//! One object: its key, its revision, its bytes, and what can be read from them without decoding.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use smallvec::SmallVec;

use crate::codec::json::scan as text;
use crate::codec::object as coding;
use crate::codec::protobuf::{decode, scan as proto, tree};
use crate::codec::wire::Malformed;
use crate::model::revision::Revision;
use crate::model::value::Value;
use crate::schema::resource::Shape;
use crate::schema::table::Message;

/// An object as clients see it: `metadata.resourceVersion` is set. The only copy of its bytes.
pub struct Object {
    pub key: Key,
    pub revision: Revision,
    /// The message without its envelope, or the JSON text.
    pub bytes: Bytes,
    pub form: Form,
    settled: AtomicU32,
    /// Shared, as long as [`super::trees`] keeps it.
    tree: ArcSwapOption<Value>,
}

/// What an object's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A message of the storage's type: every built-in resource.
    Protobuf,
    /// JSON text with `apiVersion` and `kind`: custom resources, in whichever version they were stored.
    Json,
}

/// `namespace/name`, or `name`: an object's place on its shelf, in the order of the store's keys. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

impl Key {
    pub fn new(namespace: &str, name: &str) -> Self {
        Self(Self::text(namespace, name).into())
    }

    /// The key's text, to look it up.
    pub fn text(namespace: &str, name: &str) -> String {
        if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Empty when it is cluster-scoped.
    pub fn namespace(&self) -> &str {
        self.0.split_once('/').map_or("", |(namespace, _)| namespace)
    }

    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or(&self.0, |(_, name)| name)
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A field that is no object and no list.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar<'a> {
    Str(Cow<'a, str>),
    Int(i64),
    Bool(bool),
}

/// As a field selector compares it.
impl fmt::Display for Scalar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Str(text) => f.write_str(text),
            Scalar::Int(number) => number.fmt(f),
            Scalar::Bool(flag) => flag.fmt(f),
        }
    }
}

/// One owner reference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner<'a> {
    pub api_version: Cow<'a, str>,
    pub kind: Cow<'a, str>,
    pub name: Cow<'a, str>,
    pub uid: Cow<'a, str>,
    pub controller: bool,
    pub block_deletion: bool,
}

impl Object {
    /// From bytes that are whole, with or without a resourceVersion.
    pub fn new(key: Key, revision: Revision, bytes: &[u8], form: Form) -> Result<Self, Malformed> {
        let version = revision.to_string();
        let bytes = match form {
            Form::Protobuf => proto::splice_resource_version(bytes, &version)?,
            Form::Json => {
                let spliced = text::splice_resource_version(bytes, &version).map_err(|_| Malformed::Form)?;
                Bytes::from(spliced.into_boxed_slice())
            }
        };
        Ok(Self { key, revision, bytes, form, settled: AtomicU32::new(0), tree: ArcSwapOption::empty() })
    }

    /// What a dry run would have stored: it has no revision.
    pub fn unstored(key: Key, bytes: Bytes, form: Form) -> Self {
        Self { key, revision: Revision::ZERO, bytes, form, settled: AtomicU32::new(0), tree: ArcSwapOption::empty() }
    }

    /// The same state under another revision, as a watch shows an object that has left it.
    pub fn at(&self, revision: Revision) -> Self {
        Self::new(self.key.clone(), revision, &self.bytes, self.form).expect("its bytes are whole")
    }

    /// Notes that the bytes are just what this state of its definition makes of them, so that nobody has to look again.
    pub fn settle(&self, mark: u32) {
        self.settled.store(mark, Ordering::Relaxed);
    }

    pub fn is_settled(&self, mark: u32) -> bool {
        self.settled.load(Ordering::Relaxed) == mark
    }

    /// Empty when it is cluster-scoped.
    pub fn namespace(&self) -> &str {
        self.key.namespace()
    }

    pub fn name(&self) -> &str {
        self.key.name()
    }

    pub fn uid(&self) -> Cow<'_, str> {
        match self.form {
            Form::Protobuf => proto::uid(&self.bytes).unwrap_or_default().into(),
            Form::Json => text::meta_text(&self.bytes, "uid").unwrap_or_default(),
        }
    }

    /// Whether it has a deletionTimestamp.
    pub fn is_deleting(&self) -> bool {
        match self.form {
            Form::Protobuf => proto::is_deleting(&self.bytes).unwrap_or(false),
            Form::Json => !text::meta_text(&self.bytes, "deletionTimestamp").unwrap_or_default().is_empty(),
        }
    }

    /// (key, value) of every label.
    pub fn labels(&self) -> SmallVec<[(Cow<'_, str>, Cow<'_, str>); 4]> {
        match self.form {
            Form::Protobuf => proto::labels(&self.bytes)
                .into_iter()
                .flatten()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
            Form::Json => text::labels(&self.bytes).into_iter().flatten().collect(),
        }
    }

    /// The value of a label; `None` when it has no such label.
    pub fn label(&self, wanted: &str) -> Option<Cow<'_, str>> {
        match self.form {
            Form::Protobuf => {
                let mut labels = proto::labels(&self.bytes).ok()?;
                labels.find(|(key, _)| *key == wanted).map(|(_, value)| value.into())
            }
            Form::Json => {
                let mut labels = text::labels(&self.bytes).ok()?.into_iter();
                labels.find(|(key, _)| key == wanted).map(|(_, value)| value)
            }
        }
    }

    pub fn owners(&self) -> SmallVec<[Owner<'_>; 1]> {
        match self.form {
            Form::Protobuf => proto::owners(&self.bytes).into_iter().flatten().map(Owner::from).collect(),
            Form::Json => text::owners(&self.bytes).into_iter().flatten().filter_map(owner_in_json).collect(),
        }
    }

    pub fn finalizers(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let finalizers: SmallVec<[Cow<'_, str>; 2]> = match self.form {
            Form::Protobuf => proto::finalizers(&self.bytes).into_iter().flatten().map(Cow::from).collect(),
            Form::Json => text::finalizers(&self.bytes).into_iter().flatten().collect(),
        };
        finalizers.into_iter()
    }

    /// The owner that controls it.
    pub fn controller(&self) -> Option<Owner<'_>> {
        self.owners().into_iter().find(|owner| owner.controller)
    }

    /// The field at a path of JSON names (`["spec", "nodeName"]`): `None` when it is unset or no scalar.
    pub fn field(&self, shape: &Shape, path: &[&str]) -> Option<Scalar<'_>> {
        match (self.form, shape) {
            (Form::Protobuf, Shape::Builtin(message)) => {
                Some(match proto::field(&self.bytes, message, path).ok()?? {
                    proto::Scalar::Str(text) => Scalar::Str(text.into()),
                    proto::Scalar::Int(number) => Scalar::Int(number),
                    proto::Scalar::Bool(flag) => Scalar::Bool(flag),
                })
            }
            (Form::Json, _) => match text::at(&self.bytes, path).ok()?? {
                b"true" => Some(Scalar::Bool(true)),
                b"false" => Some(Scalar::Bool(false)),
                value if value.starts_with(b"\"") => text::unquoted(value).map(Scalar::Str),
                value => std::str::from_utf8(value).ok()?.parse().ok().map(Scalar::Int),
            },
            (Form::Protobuf, Shape::Custom(_)) => None,
        }
    }

    /// `apiVersion` and `kind` as its bytes have them; messages have none.
    pub fn kind(&self) -> (Cow<'_, str>, Cow<'_, str>) {
        match self.form {
            Form::Protobuf => Default::default(),
            Form::Json => {
                let of = |key| text::text(&self.bytes, key).unwrap_or_default();
                (of("apiVersion"), of("kind"))
            }
        }
    }

    pub(super) fn remember(&self, tree: Option<Value>) {
        self.tree.store(tree.map(Arc::new));
    }

    /// Its tree, if that is kept.
    pub fn tree(&self) -> Option<Value> {
        self.tree.load().as_deref().cloned()
    }

    /// The whole object, sparse, with its resourceVersion; without `apiVersion` and `kind` where it is a message.
    pub fn to_value(&self, shape: &Shape) -> Result<Value, Malformed> {
        if let Some(tree) = self.tree() {
            return Ok(tree);
        }
        match (self.form, shape) {
            (Form::Protobuf, Shape::Builtin(message)) => tree::of_whole(&self.bytes, message),
            (Form::Protobuf, Shape::Custom(_)) => Err(Malformed::Form),
            (Form::Json, _) => coding::read_custom(&self.bytes).map_err(|_| Malformed::Form),
        }
    }

    /// The object as a Rust type that reads the API's JSON, a `k8s_openapi` struct for one.
    pub fn typed<T: DeserializeOwned>(&self, message: &'static Message) -> Result<T, Malformed> {
        match self.form {
            Form::Protobuf => decode::from_slice(&self.bytes, message),
            Form::Json => serde_json::from_slice(&self.bytes).map_err(|_| Malformed::Form),
        }
    }
}

impl<'a> From<proto::Owner<'a>> for Owner<'a> {
    fn from(owner: proto::Owner<'a>) -> Self {
        Self {
            api_version: owner.api_version.into(),
            kind: owner.kind.into(),
            name: owner.name.into(),
            uid: owner.uid.into(),
            controller: owner.controller,
            block_deletion: owner.block_deletion,
        }
    }
}

fn owner_in_json(reference: &[u8]) -> Option<Owner<'_>> {
    let flag = |key| matches!(text::member(reference, key), Ok(Some(b"true")));
    Some(Owner {
        api_version: text::text(reference, "apiVersion").ok()?,
        kind: text::text(reference, "kind").ok()?,
        name: text::text(reference, "name").ok()?,
        uid: text::text(reference, "uid").ok()?,
        controller: flag("controller"),
        block_deletion: flag("blockOwnerDeletion"),
    })
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}@{}", self.key, self.revision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::testing::{POD, pod_message, raw_pod, thing_shape};
    use k8s_openapi::api::core::v1::Pod;

    use crate::model::value::json;

    fn pod() -> Object {
        let raw = raw_pod(&json!({
            "metadata": {"name": "web", "namespace": "default", "uid": "u-1", "labels": {"app": "web", "tier": "front"},
                "deletionTimestamp": "2026-01-01T00:00:00Z",
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "o-1",
                    "controller": true}]},
            "spec": {"nodeName": "n1", "hostNetwork": true, "priority": 7}
        }));
        Object::new(Key::new("default", "web"), Revision(12), &raw, Form::Protobuf).expect("a pod")
    }

    fn thing() -> Object {
        let text = json!({
            "apiVersion": "x.io/v1", "kind": "Thing",
            "metadata": {"name": "t", "uid": "u-2", "labels": {"app": "web", "tier": "front"},
                "deletionTimestamp": "2026-01-01T00:00:00Z",
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "o-1",
                    "controller": true}]},
            "spec": {"nodeName": "n1", "hostNetwork": true, "priority": 7}
        });
        Object::new(Key::new("", "t"), Revision(12), text.to_string().as_bytes(), Form::Json).expect("a thing")
    }

    #[test]
    fn both_forms_are_read_alike() {
        for (object, shape) in [(pod(), POD.shape()), (thing(), thing_shape())] {
            assert_eq!(object.labels()[..], [("app".into(), "web".into()), ("tier".into(), Cow::from("front"))]);
            assert_eq!((object.label("tier").as_deref(), object.label("none")), (Some("front"), None));
            assert_eq!(object.controller().expect("a controller").uid, "o-1");
            assert_eq!(object.owners()[0].api_version, "apps/v1");
            assert!(object.is_deleting() && object.uid().starts_with("u-"));
            let field = |path: &[&str]| object.field(&shape, path).map(|scalar| scalar.to_string());
            assert_eq!(field(&["spec", "nodeName"]).as_deref(), Some("n1"));
            assert_eq!(field(&["spec", "hostNetwork"]).as_deref(), Some("true"));
            assert_eq!(field(&["spec", "priority"]).as_deref(), Some("7"));
            assert_eq!((field(&["spec"]), field(&["spec", "none"])), (None, None));
            let value = object.to_value(&shape).expect("a value");
            assert_eq!(value["metadata"]["resourceVersion"], "12");
            assert_eq!(object.at(Revision(13)).to_value(&shape).expect("a value")["metadata"]["resourceVersion"], "13");
        }
    }

    #[test]
    fn typed_views_come_from_the_same_bytes() {
        let typed: Pod = pod().typed(pod_message()).expect("a Pod");
        assert_eq!(typed.metadata.resource_version.as_deref(), Some("12"));
        assert_eq!(typed.spec.and_then(|spec| spec.node_name).as_deref(), Some("n1"));
        let loose: Value = thing().typed(pod_message()).expect("JSON");
        assert_eq!(loose["kind"], "Thing");
        assert_eq!(thing().kind(), ("x.io/v1".into(), "Thing".into()));
    }

    #[test]
    fn keys_sort_as_the_stores_keys_do() {
        let mut keys = [Key::new("a-b", "x"), Key::new("a", "x"), Key::new("a.b", "x"), Key::new("aa", "x")];
        keys.sort();
        assert_eq!(keys.map(|key| key.as_str().to_owned()), ["a-b/x", "a.b/x", "a/x", "aa/x"]);
        assert_eq!((Key::new("a", "x").namespace(), Key::new("", "x").name()), ("a", "x"));
    }
}
