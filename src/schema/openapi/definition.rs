//! Definitions: a built-in type as JSON schema.

use std::collections::BTreeMap;

use super::describe::{Descriptions, Texts};
use crate::model::value::{Map, Value, json};
use crate::schema::table::{Field, Json, ListKind, Message, Patch, Shape, Type};

/// Which version of OpenAPI a schema is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    V2,
    V3,
}

impl Dialect {
    /// What stands before the name of a definition that is referred to.
    pub fn prefix(self) -> &'static str {
        match self {
            Dialect::V2 => "#/definitions/",
            Dialect::V3 => "#/components/schemas/",
        }
    }
}

/// The name of a message's definition: `io.k8s.api.core.v1.Pod`. (Package names have no dash in protobuf.)
pub fn name(message: &Message) -> String {
    let path = message.name.strip_prefix("k8s.io.").unwrap_or(message.name);
    format!("io.k8s.{}", path.replace('_', "-"))
}

/// These messages and all that their fields refer to, by the names of their definitions.
pub fn reachable(roots: impl IntoIterator<Item = &'static Message>) -> BTreeMap<String, &'static Message> {
    let mut found = BTreeMap::new();
    let mut open: Vec<&'static Message> = roots.into_iter().collect();
    while let Some(message) = open.pop() {
        // An inline message's fields are its parent's, a list with a name is shown as the list.
        if found.insert(name(message), message).is_none() && !message.any {
            open.extend(referred(message));
        }
    }
    found
}

fn referred(message: &'static Message) -> Vec<&'static Message> {
    if message.json != Json::Object {
        return Vec::new();
    }
    flat(message).filter_map(Field::message).filter(|m| m.json != Json::Items).collect()
}

/// The fields as JSON shows them: those of inline messages stand among their parent's.
fn flat(message: &'static Message) -> Box<dyn Iterator<Item = &'static Field>> {
    Box::new(message.fields.iter().flat_map(|field| match field.message() {
        Some(inner) if field.inline => flat(inner),
        _ => Box::new(std::iter::once(field)),
    }))
}

/// The group versions for which Go's types register the kinds that all of them have, and whether the clients' own do
/// too. They say more than is served: old versions can still be read.
#[rustfmt::skip]
static REGISTERED: &[(&str, &[&str], bool)] = &[
    ("", &["v1"], true),
    ("admission.k8s.io", &["v1", "v1beta1"], false),
    ("admissionregistration.k8s.io", &["v1", "v1alpha1", "v1beta1"], true),
    ("apiextensions.k8s.io", &["v1", "v1beta1"], false),
    ("apiregistration.k8s.io", &["v1", "v1beta1"], false),
    ("apps", &["v1", "v1beta1", "v1beta2"], true),
    ("authentication.k8s.io", &["v1", "v1alpha1", "v1beta1"], true),
    ("authorization.k8s.io", &["v1", "v1beta1"], true),
    ("autoscaling", &["v1", "v2"], true),
    ("batch", &["v1", "v1beta1"], true),
    ("certificates.k8s.io", &["v1", "v1alpha1", "v1beta1"], true),
    ("coordination.k8s.io", &["v1", "v1alpha2", "v1beta1"], true),
    ("discovery.k8s.io", &["v1", "v1beta1"], true),
    ("events.k8s.io", &["v1", "v1beta1"], true),
    ("extensions", &["v1beta1"], true),
    ("flowcontrol.apiserver.k8s.io", &["v1", "v1beta1", "v1beta2", "v1beta3"], true),
    ("imagepolicy.k8s.io", &["v1alpha1"], false),
    ("internal.apiserver.k8s.io", &["v1alpha1"], true),
    ("networking.k8s.io", &["v1", "v1beta1"], true),
    ("node.k8s.io", &["v1", "v1alpha1", "v1beta1"], true),
    ("policy", &["v1", "v1beta1"], true),
    ("rbac.authorization.k8s.io", &["v1", "v1alpha1", "v1beta1"], true),
    ("resource.k8s.io", &["v1", "v1alpha3", "v1beta1", "v1beta2"], true),
    ("scheduling.k8s.io", &["v1", "v1alpha2", "v1beta1"], true),
    ("storage.k8s.io", &["v1", "v1alpha1", "v1beta1"], true),
    ("storagemigration.k8s.io", &["v1beta1"], true),
];

/// The kinds that are registered in every group version.
const EVERYWHERE: [&str; 2] = ["DeleteOptions", "WatchEvent"];

/// In which group versions a document lists the kinds that all group versions have.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// In all.
    All,
    /// In all that clients know.
    Clients,
    /// In the core's and in this one.
    Of(&'a str, &'a str),
}

/// Writes definitions for one document.
pub struct Definitions<'a> {
    pub dialect: Dialect,
    pub scope: Scope<'a>,
    pub texts: &'a Descriptions,
}

impl Definitions<'_> {
    pub fn schema(&self, message: &'static Message) -> Value {
        let mut schema = Map::new();
        let texts = self.texts.of(&name(message));
        match message.json {
            _ if message.any => {}
            Json::Object => self.object(&mut schema, message, &texts),
            Json::Time | Json::MicroTime => set(&mut schema, &[("type", "string"), ("format", "date-time")]),
            Json::Quantity if self.dialect == Dialect::V3 => either(&mut schema, ["string", "number"]),
            Json::IntOrString => {
                set(&mut schema, &[("format", "int-or-string")]);
                match self.dialect {
                    Dialect::V2 => set(&mut schema, &[("type", "string")]),
                    Dialect::V3 => either(&mut schema, ["integer", "string"]),
                }
            }
            Json::Quantity | Json::Duration => set(&mut schema, &[("type", "string")]),
            _ => set(&mut schema, &[("type", "object")]),
        }
        if let Some(text) = texts.own() {
            set(&mut schema, &[("description", text)]);
        }
        let kinds = self.kinds(message);
        if !kinds.is_empty() {
            schema.insert("x-kubernetes-group-version-kind".into(), kinds.into());
        }
        Value::Object(schema)
    }

    fn kinds(&self, message: &Message) -> Vec<Value> {
        let one = |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
        let kind = message.short_name();
        if !EVERYWHERE.contains(&kind) {
            return message.kinds.iter().map(|(group, version, kind)| one(group, version, kind)).collect();
        }
        let listed = |group: &str, version: &str, client: bool| match self.scope {
            Scope::All => true,
            Scope::Clients => client,
            Scope::Of(own, of) => (group, version) == ("", "v1") || (group, version) == (own, of),
        };
        let all =
            REGISTERED.iter().flat_map(|(group, versions, client)| versions.iter().map(move |v| (group, v, client)));
        all.filter(|(group, version, client)| listed(group, version, **client))
            .map(|(group, version, _)| one(group, version, kind))
            .collect()
    }

    fn object(&self, schema: &mut Map, message: &'static Message, texts: &Texts<'_>) {
        set(schema, &[("type", "object")]);
        let mut properties = Map::new();
        if message.object {
            for field in ["apiVersion", "kind"] {
                let text = texts.field(field).or_else(|| self.texts.type_meta(field));
                properties.insert(field.into(), described(json!({"type": "string"}), text));
            }
        }
        for field in flat(message) {
            properties.insert(field.name.into(), self.property(field, texts));
        }
        if !properties.is_empty() {
            schema.insert("properties".into(), properties.into());
        }
        let required: Vec<_> = flat(message).filter(|f| f.doc.required).map(|f| f.name).collect();
        if !required.is_empty() {
            schema.insert("required".into(), json!(required));
        }
        if message.atomic {
            set(schema, &[("x-kubernetes-map-type", "atomic")]);
        }
        if !message.unions.is_empty() {
            schema.insert("x-kubernetes-unions".into(), unions(message));
        }
    }

    fn property(&self, field: &'static Field, texts: &Texts<'_>) -> Value {
        let mut schema = match field.shape {
            Shape::One => self.one(field),
            Shape::List => json!({"type": "array", "items": self.item(field)}),
            Shape::Map => json!({"type": "object", "additionalProperties": self.item(field)}),
        };
        extensions(&mut schema, field);
        let choices = if field.shape == Shape::One { field.doc.choices } else { &[] };
        let text = texts.field(field.name).map(|text| with_choices(text, choices));
        // A type of which no text is known has some in stock: it is wrapped as if it had.
        let beside = text.is_some() || texts.is_empty();
        described(self.wrapped(schema, beside), text.as_deref())
    }

    fn one(&self, field: &'static Field) -> Value {
        let mut schema = self.chosen(field);
        if self.dialect == Dialect::V3
            && let Some(default) = default(field)
        {
            schema["default"] = default;
        }
        schema
    }

    /// A list's item or a map's value: there is always one, so it has its zero for default.
    fn item(&self, field: &'static Field) -> Value {
        let mut schema = self.chosen(field);
        if self.dialect == Dialect::V3
            && !field.item_pointer
            && let Some(zero) = zero(field.ty)
        {
            schema["default"] = zero;
        }
        self.wrapped(schema, false)
    }

    fn chosen(&self, field: &'static Field) -> Value {
        let mut schema = self.value(field.ty);
        if !field.doc.choices.is_empty() {
            schema["enum"] = json!(field.doc.choices);
        }
        if !field.doc.format.is_empty() {
            schema["format"] = field.doc.format.into();
        }
        schema
    }

    fn value(&self, ty: Type) -> Value {
        match ty {
            Type::String => json!({"type": "string"}),
            Type::Bool => json!({"type": "boolean"}),
            Type::Int32 => json!({"type": "integer", "format": "int32"}),
            Type::Int64 => json!({"type": "integer", "format": "int64"}),
            Type::Double => json!({"type": "number", "format": "double"}),
            Type::Bytes => json!({"type": "string", "format": "byte"}),
            Type::Message(list) if list.json == Json::Items => {
                json!({"type": "array", "items": self.item(&list.fields[0])})
            }
            Type::Message(message) => json!({"$ref": format!("{}{}", self.dialect.prefix(), name(message))}),
        }
    }

    /// In version 3 nothing may stand beside a reference, so it is wrapped where something does or will.
    fn wrapped(&self, mut schema: Value, beside: bool) -> Value {
        let object = schema.as_object_mut().expect("a schema is an object");
        if self.dialect == Dialect::V3
            && (beside || object.len() > 1)
            && let Some(reference) = object.remove("$ref")
        {
            object.insert("allOf".into(), json!([{"$ref": reference}]));
        }
        schema
    }
}

/// The default that stands in the table, or what is written when nothing is given.
fn default(field: &Field) -> Option<Value> {
    if !field.doc.default.is_empty() {
        return Some(serde_json::from_str(field.doc.default).expect("defaults in proto/ are JSON"));
    }
    let written = match field.ty {
        Type::Message(_) => !field.pointer,
        _ => field.always && !field.pointer,
    };
    if written { zero(field.ty) } else { None }
}

fn zero(ty: Type) -> Option<Value> {
    match ty {
        Type::String => Some(json!("")),
        Type::Bool => Some(json!(false)),
        Type::Int32 | Type::Int64 | Type::Double => Some(json!(0)),
        Type::Message(message) if message.json == Json::Object => Some(json!({})),
        Type::Message(_) | Type::Bytes => None,
    }
}

fn extensions(schema: &mut Value, field: &Field) {
    let mut put = |key: &str, value: Value| schema[format!("x-kubernetes-{key}")] = value;
    match field.list {
        ListKind::None => {}
        ListKind::Atomic => put("list-type", "atomic".into()),
        ListKind::Set => put("list-type", "set".into()),
        ListKind::Map(keys) => {
            put("list-type", "map".into());
            put("list-map-keys", json!(keys));
        }
    }
    if field.map_atomic {
        put("map-type", "atomic".into());
    } else if field.doc.granular {
        put("map-type", "granular".into());
    }
    let Patch { merge, replace, retain_keys, key } = field.patch;
    let words: Vec<_> = [(merge, "merge"), (replace, "replace"), (retain_keys, "retainKeys")]
        .into_iter()
        .filter_map(|(has, word)| has.then_some(word))
        .collect();
    if !words.is_empty() {
        put("patch-strategy", words.join(",").into());
    }
    if !key.is_empty() {
        put("patch-merge-key", key.into());
    }
}

fn unions(message: &Message) -> Value {
    let one = |union: &crate::schema::table::Union| {
        let members: Map = union.members.iter().map(|(f, v)| (*f, *v)).collect();
        let mut schema = json!({"fields-to-discriminateBy": members});
        if !union.discriminator.is_empty() {
            schema["discriminator"] = union.discriminator.into();
        }
        schema
    };
    message.unions.iter().map(one).collect()
}

/// The values that a field may have are told at the end of its description, unless it does so itself.
fn with_choices(text: &str, choices: &[&str]) -> String {
    const HEAD: &str = "Possible enum values:";
    if choices.is_empty() || text.contains(HEAD) {
        return text.into();
    }
    let list: Vec<_> = choices.iter().map(|value| format!(" - `\"{value}\"`")).collect();
    format!("{text}\n\n{HEAD}\n{}", list.join("\n"))
}

fn described(mut schema: Value, text: Option<&str>) -> Value {
    if let Some(text) = text {
        schema["description"] = text.into();
    }
    schema
}

fn set(schema: &mut Map, members: &[(&str, &str)]) {
    for (key, value) in members {
        schema.insert((*key).into(), (*value).into());
    }
}

fn either(schema: &mut Map, types: [&str; 2]) {
    schema.insert("oneOf".into(), types.iter().map(|ty| json!({"type": ty})).collect());
}
