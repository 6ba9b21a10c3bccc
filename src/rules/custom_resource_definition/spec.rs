//! A definition's spec as the internal type has it: what all versions share stands above them.

use super::options::SELECTABLE;
use crate::model::value::Value;

static NONE: Value = Value::Null;

/// `spec` of a CustomResourceDefinition.
pub struct Spec<'a> {
    pub versions: Vec<Version<'a>>,
    /// There is a list of versions, empty or not.
    pub is_listed: bool,
    /// Of all versions: `schema`, `subresources`, `additionalPrinterColumns`, `selectableFields`; null where they
    /// differ.
    pub shared: Parts<'a>,
}

pub struct Version<'a> {
    pub raw: &'a Value,
    pub name: &'a str,
    /// What it does not share.
    pub parts: Parts<'a>,
}

#[derive(Clone, Copy)]
pub struct Parts<'a> {
    pub schema: &'a Value,
    pub subresources: &'a Value,
    pub columns: &'a Value,
    pub selectable: &'a Value,
}

/// The fields that versions may share.
pub const PARTS: [&str; 4] = ["schema", "subresources", "additionalPrinterColumns", "selectableFields"];

impl<'a> Spec<'a> {
    pub fn new(spec: &'a Value) -> Self {
        let versions: &[Value] = spec["versions"].as_array().map_or(&[], Vec::as_slice);
        let first = versions.first().unwrap_or(&NONE);
        let is_shared = PARTS.map(|part| versions.iter().all(|version| same(&version[part], &first[part])));
        let parts = |version: &'a Value, shared: bool| {
            let of = |at: usize| if is_shared[at] == shared { &version[PARTS[at]] } else { &NONE };
            Parts { schema: of(0), subresources: of(1), columns: of(2), selectable: of(3) }
        };
        let version = |raw: &'a Value| {
            let name = raw["name"].as_str().unwrap_or_default();
            Version { raw, name, parts: parts(raw, false) }
        };
        let is_listed = spec["versions"].is_array();
        Self { versions: versions.iter().map(version).collect(), is_listed, shared: parts(first, true) }
    }

    /// The schema of each version, once.
    pub fn schemas(&self) -> impl Iterator<Item = &'a Value> {
        let own = self.versions.iter().map(|version| version.parts.schema);
        std::iter::once(self.shared.schema).chain(own).map(|s| &s["openAPIV3Schema"]).filter(|s| !s.is_null())
    }

    pub fn all_have_schemas(&self) -> bool {
        let has = |parts: &Parts<'_>| !parts.schema["openAPIV3Schema"].is_null();
        has(&self.shared) || self.versions.iter().all(|version| has(&version.parts))
    }

    /// The subresources of a version.
    pub fn subresources(&self, version: &Version<'a>) -> &'a Value {
        if self.shared.subresources.is_null() { version.parts.subresources } else { self.shared.subresources }
    }

    /// Any version has a status subresource.
    pub fn any_status(&self) -> bool {
        let mut all = self.versions.iter().map(|version| version.parts.subresources).chain([self.shared.subresources]);
        all.any(has_status)
    }

    /// The versions as the internal type has them.
    pub fn internal_versions(&self) -> Value {
        let version = |version: &Version<'a>| {
            let mut raw = version.raw.clone();
            let parts = version.parts;
            for (name, part) in PARTS.iter().zip([parts.schema, parts.subresources, parts.columns, parts.selectable]) {
                if part.is_null()
                    && let Some(fields) = raw.as_object_mut()
                {
                    fields.remove(name);
                }
            }
            raw
        };
        self.versions.iter().map(version).collect()
    }

    /// Names of versions whose schema is what it was.
    pub fn unchanged(&self, before: &Self) -> Vec<String> {
        let same_schema = |version: &&Version<'_>| {
            let old = before.versions.iter().find(|old| old.name == version.name);
            old.is_some_and(|old| same(&old.raw["schema"], &version.raw["schema"]))
        };
        self.versions.iter().filter(same_schema).map(|version| version.name.to_owned()).collect()
    }

    /// Where there were too many selectable fields already.
    pub fn many_selectable(&self, before: &Self) -> Vec<String> {
        let kept = |new: &Value, old: &Value| old.as_array().is_some_and(|old| old.len() > SELECTABLE) && new == old;
        let of_version = |version: &&Version<'_>| {
            let old = before.versions.iter().find(|old| old.name == version.name);
            old.is_some_and(|old| kept(version.parts.selectable, old.parts.selectable))
        };
        let mut found: Vec<String> = self.versions.iter().filter(of_version).map(|v| v.name.to_owned()).collect();
        if kept(self.shared.selectable, before.shared.selectable) {
            found.push(String::new());
        }
        found
    }
}

pub fn has_status(subresources: &Value) -> bool {
    !subresources["status"].is_null()
}

/// Absent lists and empty ones are the same.
fn same(a: &Value, b: &Value) -> bool {
    let nothing = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    a == b || (nothing(a) && nothing(b))
}
