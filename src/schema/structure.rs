//! The type of a custom resource: the structural schema of a CustomResourceDefinition's version, as a tree.

use std::collections::BTreeMap;

use serde_json::Value;

/// One node of a structural schema (apiextensions.k8s.io/v1 JSONSchemaProps, KEP "Structural schemas").
#[derive(Clone, Debug, Default)]
pub struct Structure {
    /// `object`, `array`, `string`, `integer`, `number`, `boolean`, or empty where anything may stand.
    pub kind: Kind,
    pub nullable: bool,
    pub default: Option<Value>,
    pub properties: BTreeMap<String, Structure>,
    /// Of a map's values; `None` where only `properties` may stand.
    pub values: Option<Box<Structure>>,
    /// Of a list's items.
    pub items: Option<Box<Structure>>,
    pub preserve_unknown: bool,
    pub int_or_string: bool,
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
