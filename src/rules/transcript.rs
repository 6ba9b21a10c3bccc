//! Writes as tests tell them: an object of a kind goes in, what is kept or what is wrong comes out.

use super::at::At;
use super::kind::{Cx, Rules};
use super::{all, strategy};
use crate::model::names::GroupVersionKind;
use crate::model::object;
use crate::model::value::{Value, json};
use crate::schema::catalog::Catalog;
use crate::schema::convert;
use crate::schema::resource::Resource;
use crate::schema::table::Message;

/// Asserts what is found wrong by the beginnings of its texts.
#[track_caller]
pub fn assert_begin(found: &[String], with: &[&str]) {
    let right = found.len() == with.len() && found.iter().zip(with).all(|(text, begin)| text.starts_with(begin));
    assert!(right, "found {found:#?}, not what begins with {with:#?}");
}

/// A kind that is written to.
pub struct Kind {
    resource: std::sync::Arc<Resource>,
    message: &'static Message,
    rules: &'static Rules,
    cx: Cx,
}

impl Kind {
    /// By its `apiVersion` and kind.
    pub fn new(api_version: &str, kind: &str) -> Self {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let served = GroupVersionKind::new(group, version, kind);
        let resource = Catalog::builtin().by_kind(&served).expect("a served kind").clone();
        let storage = resource.storage.as_ref().expect("a kind that is kept");
        let (message, rules) = (storage.shape.message().expect("built in"), all::rules(&storage.kind));
        let cx = Cx { served, ..Cx::for_tests() };
        Self { resource, message, rules, cx }
    }

    /// What a create keeps, without its metadata's uid and times, or what is wrong.
    pub fn create(&self, mut object: Value) -> Result<Value, Vec<String>> {
        self.fill(&mut object, None);
        let mut object = convert::to_storage(&self.resource, object);
        object::set_meta(&mut object, "uid", "u-1".into());
        strategy::prepare_create(&self.cx, self.rules, &mut object);
        let namespaced = self.resource.namespaced;
        let errors = strategy::validate_create(&self.cx, self.rules, &object, Some(self.message), namespaced);
        if !errors.is_empty() {
            return Err(errors.iter().map(ToString::to_string).collect());
        }
        (self.rules.canonicalize)(&mut object);
        object::set_meta(&mut object, "uid", Value::Null);
        Ok(object)
    }

    /// What is wrong with a new object.
    pub fn refused(&self, object: Value) -> Vec<String> {
        self.create(object).err().unwrap_or_default()
    }

    /// What a change of the object keeps, or what is wrong. `part` is empty or names a subresource.
    pub fn update(&self, part: &str, mut old: Value, mut new: Value) -> Result<Value, Vec<String>> {
        for object in [&mut old, &mut new] {
            self.fill(object, Some("7"));
        }
        let old = convert::to_storage(&self.resource, old);
        let mut new = convert::to_storage(&self.resource, new);
        let part = (!part.is_empty()).then(|| self.rules.part(part).expect("a part"));
        match part {
            Some(part) => strategy::prepare_part(&self.cx, part, &mut new, &old),
            None => strategy::prepare_update(&self.cx, self.rules, &mut new, &old),
        }
        let (both, namespaced) = ((&new, &old), self.resource.namespaced);
        let errors = strategy::validate_update(&self.cx, self.rules, part, both, Some(self.message), namespaced);
        if !errors.is_empty() {
            return Err(errors.iter().map(ToString::to_string).collect());
        }
        (self.rules.canonicalize)(&mut new);
        object::set_meta(&mut new, "resourceVersion", Value::Null);
        Ok(new)
    }

    /// The warnings of a create.
    pub fn warnings(&self, mut object: Value) -> Vec<String> {
        self.fill(&mut object, None);
        let mut warnings = Vec::new();
        (self.rules.forewarn)(&At::new(&object, Some(self.message)), &mut warnings);
        (self.rules.warn)(&self.cx, &At::new(&object, Some(self.message)), None, &mut warnings);
        warnings
    }

    fn fill(&self, object: &mut Value, version: Option<&str>) {
        let meta = object::metadata_mut(object).expect("an object");
        meta.entry("name").or_insert_with(|| json!("obj"));
        if self.resource.namespaced {
            meta.entry("namespace").or_insert_with(|| json!("default"));
        }
        if let Some(version) = version {
            meta.insert("resourceVersion".into(), version.into());
        }
        if let Some(fill) = all::defaults(&self.resource.kind) {
            fill(object);
        }
    }
}
