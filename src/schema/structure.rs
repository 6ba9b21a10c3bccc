//! The type of a custom resource: the structural schema of a CustomResourceDefinition's version, as a tree.

use std::sync::{Arc, LazyLock};

use crate::model::named::Named;
use crate::model::value::Value;

/// What is read of a definition when it is first asked for: most definitions of a cluster have few objects or none.
pub type Lazy<T> = LazyLock<T, Box<dyn FnOnce() -> T + Send>>;

/// One node of a structural schema (apiextensions.k8s.io/v1 JSONSchemaProps, KEP "Structural schemas").
#[derive(Clone, Debug, Default)]
pub struct Structure {
    /// `object`, `array`, `string`, `integer`, `number`, `boolean`, or empty where anything may stand.
    pub kind: Kind,
    pub nullable: bool,
    pub default: Option<Value>,
    pub properties: Named<Structure>,
    /// Of a map's values; `None` where only `properties` may stand.
    pub values: Option<Box<Structure>>,
    /// Of a list's items.
    pub items: Option<Box<Structure>>,
    pub preserve_unknown: bool,
    pub int_or_string: bool,
    pub format: Option<String>,
    /// A whole object within: apiVersion, kind and metadata are what they are in any object.
    pub embedded: bool,
    pub list: ListKind,
    pub map_atomic: bool,
}

/// A JSON type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    #[default]
    Any,
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
}

/// `x-kubernetes-list-type` with its keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ListKind {
    #[default]
    Atomic,
    Set,
    Map(Vec<String>),
}

impl Structure {
    /// For a shape whose structure is at hand.
    pub fn ready(self) -> Arc<Lazy<Self>> {
        Arc::new(LazyLock::new(Box::new(|| self)))
    }

    /// Reads a schema of apiextensions.k8s.io/v1 as the definition has it. What is no structural schema reads as far as
    /// it is one: definitions are validated when they are written.
    pub fn read(schema: &Value) -> Self {
        let flag = |name: &str| schema.get(name).and_then(Value::as_bool).unwrap_or(false);
        let text = |name: &str| schema.get(name).and_then(Value::as_str);
        let part = |name: &str| schema.get(name).filter(|part| part.is_object()).map(|part| Box::new(Self::read(part)));
        let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        Self {
            kind: Kind::read(text("type").unwrap_or_default()),
            nullable: flag("nullable"),
            default: schema.get("default").cloned(),
            properties: properties.map(|(name, schema)| (name.to_string(), Self::read(schema))).collect(),
            values: part("additionalProperties"),
            items: part("items"),
            preserve_unknown: flag("x-kubernetes-preserve-unknown-fields"),
            int_or_string: flag("x-kubernetes-int-or-string"),
            format: text("format").map(str::to_owned),
            embedded: flag("x-kubernetes-embedded-resource"),
            list: ListKind::read(schema),
            map_atomic: text("x-kubernetes-map-type") == Some("atomic"),
        }
    }
}

impl Kind {
    fn read(name: &str) -> Self {
        match name {
            "object" => Self::Object,
            "array" => Self::Array,
            "string" => Self::String,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "boolean" => Self::Boolean,
            _ => Self::Any,
        }
    }
}

impl ListKind {
    fn read(schema: &Value) -> Self {
        match schema.get("x-kubernetes-list-type").and_then(Value::as_str) {
            Some("set") => Self::Set,
            Some("map") => {
                let keys = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array).into_iter().flatten();
                Self::Map(keys.filter_map(Value::as_str).map(str::to_owned).collect())
            }
            _ => Self::Atomic,
        }
    }
}
