//! What a version of a CustomResourceDefinition makes of its objects: the rules of a kind that came at run time.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use super::correlate::Pair;
use super::embedded::{self, Coerced};
use super::evaluate::{self, OBJECT_BUDGET, Run};
use super::expressions::{Node, tree};
use super::scale::Scale;
use super::schema::Schema;
use super::{lists, prune, values};
use crate::codec::table::custom::Printer;
use crate::model::field::{Bad, Fault, FieldError, FieldErrors, Path};
use crate::model::names::GroupVersionKind;
use crate::model::value::Value;
use crate::model::{object, syntax, version};
use crate::rules::at::At;
use crate::rules::checks::meta::{MetaRules, object_meta, object_meta_update};
use crate::rules::checks::names::NameRule;
use crate::rules::strategy;
use crate::schema::structure::{Lazy, Structure};

const SKIPPED: &str = "some validation rules were not checked because the object was invalid; correct the existing errors to \
                       complete validation";
/// Finalizers without a domain that are Kubernetes' own.
const FINALIZERS: [&str; 3] = ["orphan", "foregroundDeletion", "kubernetes"];

/// A served version of a custom resource. Made once when its definition changes; its expressions are compiled when an
/// object is first checked against them.
#[derive(Debug)]
pub struct Definition {
    pub kind: GroupVersionKind,
    pub namespaced: bool,
    /// What field ownership, patches and expressions know of the objects.
    pub structure: Arc<Lazy<Structure>>,
    /// `status` is a subresource.
    pub has_status: bool,
    pub scale: Option<Scale>,
    /// Its columns in tables.
    pub printer: Arc<Printer>,
    /// Paths of fields that selectors may name: `spec.color`.
    pub selectable: Vec<String>,
    /// What who uses the version is warned of, if it is deprecated.
    pub deprecation: Option<String>,
    /// Between its versions a webhook converts.
    pub asks_webhook: bool,
    /// It goes, and its objects with it: none is made any more.
    pub terminating: bool,
    /// Which state of the definition this is; never 0.
    pub mark: u32,
    /// Nothing is pruned (`spec.preserveUnknownFields`).
    keeps_unknown: bool,
    schema: Arc<Lazy<Schema>>,
    schemas: Arc<Schemas>,
    /// None: there are none.
    rules: OnceLock<Option<Node>>,
}

/// Where a definition can be read again.
pub type Source = Arc<dyn Fn() -> Value + Send + Sync>;

/// The schemas of a definition's versions, served or not, by the versions' names.
pub type Schemas = BTreeMap<String, (Arc<Lazy<Schema>>, Arc<Lazy<Structure>>)>;

/// What is wrong with an object, and what its writer is warned of.
#[derive(Debug, Default)]
pub struct Verdict {
    pub errors: FieldErrors,
    pub warnings: Vec<String>,
}

/// All schemas of a definition (a value of apiextensions.k8s.io/v1), each read from the source when it is needed.
pub fn schemas(definition: &Value, source: &Source) -> Arc<Schemas> {
    let versions = definition.pointer("/spec/versions").and_then(Value::as_array).into_iter().flatten();
    let name = |of: &Value| of.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    Arc::new(
        versions
            .map(|of| (name(of), (read(source, name(of), Schema::read), read(source, name(of), Structure::read))))
            .collect(),
    )
}

fn read<T: 'static>(source: &Source, version: String, read: fn(&Value) -> T) -> Arc<Lazy<T>> {
    let source = source.clone();
    Arc::new(Lazy::new(Box::new(move || {
        let definition = source();
        let mut versions = definition.pointer("/spec/versions").and_then(Value::as_array).into_iter().flatten();
        let found = versions.find(|of| of.get("name").is_some_and(|name| *name == *version));
        read(found.and_then(|of| of.pointer("/schema/openAPIV3Schema")).unwrap_or(&Value::Null))
    })))
}

impl Definition {
    /// Of a version of a definition, whose `schemas` these are; `None` when it has no such version.
    pub fn of(definition: &Value, version_name: &str, schemas: &Arc<Schemas>) -> Option<Self> {
        let spec = definition.get("spec")?;
        let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let versions = spec.get("versions")?.as_array()?;
        let found = versions.iter().find(|of| of.get("name").is_some_and(|name| name == version_name))?;
        let (schema, structure) = schemas.get(version_name)?;
        let columns = found.get("additionalPrinterColumns").and_then(Value::as_array);
        let selectable = found.get("selectableFields").and_then(Value::as_array).into_iter().flatten();
        let kind = GroupVersionKind::new(&text(spec, "group"), version_name, spec.pointer("/names/kind")?.as_str()?);
        let is_deprecated = found.get("deprecated").is_some_and(|flag| flag == true);
        let own = found.get("deprecationWarning").and_then(Value::as_str).map(str::to_owned);
        let deprecation = is_deprecated.then(|| own.unwrap_or_else(|| deprecated(&kind, versions)));
        let subresource = |name: &str| found.get("subresources").and_then(|parts| parts.get(name));
        Some(Self {
            namespaced: spec.get("scope").is_some_and(|scope| scope == "Namespaced"),
            structure: structure.clone(),
            has_status: subresource("status").is_some_and(|part| !part.is_null()),
            scale: subresource("scale").filter(|scale| !scale.is_null()).map(Scale::read),
            printer: Arc::new(Printer::new(columns.map_or(&[], Vec::as_slice))),
            selectable: selectable.map(|f| text(f, "jsonPath").trim_start_matches('.').to_owned()).collect(),
            deprecation,
            asks_webhook: spec.pointer("/conversion/strategy").is_some_and(|strategy| strategy == "Webhook"),
            terminating: object::is_deleting(definition),
            keeps_unknown: spec.get("preserveUnknownFields").is_some_and(|flag| flag == true),
            mark: u32::try_from(object::generation(definition)).unwrap_or(u32::MAX).max(1),
            schema: schema.clone(),
            schemas: schemas.clone(),
            rules: OnceLock::new(),
            kind,
        })
    }

    /// Fills in defaults: what is read from a request or a store.
    pub fn fill(&self, object: &mut Value) {
        prune::fill(object, &self.schema);
    }

    /// Drops unknown fields, and nulls that may not be; reads metadata. Gives the paths of what was unknown, in stock's
    /// order. The error is the decoder's, of metadata of the wrong type.
    pub fn prune(&self, object: &mut Value) -> Result<Vec<String>, String> {
        self.prune_by(&self.schema, object, false)
    }

    /// Brings a stored object into this version. Defaults come by the version in which it was kept, and unknown fields
    /// go by both; what metadata of the wrong type there is, goes too.
    pub fn read(&self, object: &mut Value) -> Result<(), String> {
        let version = self.kind.group_version().to_string();
        let kept = object.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
        if kept != version {
            let kept = kept.rsplit('/').next().unwrap_or_default();
            if let Some((schema, _)) = self.schemas.get(kept) {
                prune::fill(object, schema);
                self.prune_by(schema, object, true)?;
            }
            if let Some(fields) = object.as_object_mut() {
                fields.insert("apiVersion".into(), version.into());
            }
        } else {
            self.fill(object);
        }
        self.prune_by(&self.schema, object, true).map(drop)
    }

    fn prune_by(&self, schema: &Schema, object: &mut Value, drop_wrong: bool) -> Result<Vec<String>, String> {
        let Some(fields) = object.as_object_mut() else { return Ok(Vec::new()) };
        let mut unknown = embedded::read_metadata(fields, drop_wrong, "")?;
        if !self.keeps_unknown {
            unknown.extend(prune::prune_object(object, schema));
            prune::drop_nulls(object, Some(schema));
        }
        let mut coerced = Coerced::default();
        embedded::coerce(object, schema, false, drop_wrong, &Path::Root, &mut coerced)
            .map_err(|error| error.to_string())?;
        coerced.unknown.sort_unstable();
        unknown.extend(coerced.unknown);
        Ok(unknown)
    }

    /// Prepares a new object.
    pub fn prepare_create(&self, object: &mut Value) {
        if let Some(fields) = object.as_object_mut().filter(|_| self.has_status) {
            fields.remove("status");
        }
        object::set_meta(object, "generation", 1.into());
    }

    /// Prepares a change of the object itself.
    pub fn prepare_update(&self, new: &mut Value, old: &Value) {
        strategy::keep_system_fields(new, old);
        if self.has_status {
            strategy::keep(new, old, "status");
        }
        if is_changed(new, old) {
            object::set_meta(new, "generation", (object::generation(old) + 1).into());
        }
    }

    /// Prepares a change of the status: nothing else comes from the request, but who manages fields.
    pub fn prepare_status(&self, new: &mut Value, old: &Value) {
        let managed = object::metadata(new).and_then(|meta| meta.get("managedFields")).cloned();
        let mut kept = old.clone();
        object::set_meta(&mut kept, "managedFields", managed.unwrap_or_default());
        strategy::keep(&mut kept, new, "status");
        *new = kept;
    }

    /// What is wrong with a prepared new object.
    pub fn validate_create(&self, object: &Value) -> Verdict {
        let mut errs = FieldErrors::new();
        if self.validate_type(object, &mut errs) {
            let at = At::new(object, None);
            let rules = MetaRules { namespaced: self.namespaced, name: NameRule::Subdomain, kube_finalizers: false };
            object_meta(&at.at("metadata"), rules, &mut errs);
            values::check(object, &self.schema, None, &Path::Root, &mut errs);
            self.validate_scale(object, true, &mut errs);
        }
        embedded::validate(object, &self.schema, false, &Path::Root, &mut errs);
        lists::unique(object, &self.schema, &Path::Root, &mut errs);
        let mut verdict = self.judge(object, None, errs);
        if verdict.errors.is_empty() {
            self.validate_any_meta(object, &mut verdict.errors);
        }
        verdict
    }

    /// What is wrong with a prepared change of the object itself.
    pub fn validate_update(&self, new: &Value, old: &Value) -> Verdict {
        let mut errs = FieldErrors::new();
        self.validate_change(new, old, &mut errs);
        if self.validate_type(new, &mut errs) {
            validate_meta_update(new, old, &mut errs);
            let pair = Pair { new, old, schema: &self.schema };
            values::check(new, &self.schema, Some(pair), &Path::Root, &mut errs);
            self.validate_scale(new, true, &mut errs);
        }
        embedded::validate(new, &self.schema, false, &Path::Root, &mut errs);
        self.validate_lists(new, old, &mut errs);
        self.judge(new, Some(old), errs)
    }

    /// What is wrong with a prepared change of the status.
    pub fn validate_status(&self, new: &Value, old: &Value) -> Verdict {
        let mut errs = FieldErrors::new();
        self.validate_change(new, old, &mut errs);
        if self.validate_type(new, &mut errs) {
            validate_meta_update(new, old, &mut errs);
            if let (Some(status), Some(schema)) = (new.get("status"), self.schema.properties.get("status")) {
                let pair = Pair { new, old, schema: &self.schema }.field("status");
                values::check(status, schema, pair, &Path::Root.name("status"), &mut errs);
            }
            self.validate_scale(new, false, &mut errs);
        }
        self.validate_lists(new, old, &mut errs);
        self.judge(new, Some(old), errs)
    }

    /// Warnings of a create (no old object) or an update: finalizers that may clash with others'.
    pub fn warn(&self, new: &Value, old: Option<&Value>) -> Vec<String> {
        let before: Vec<&str> = old.map(|old| object::finalizers(old).collect()).unwrap_or_default();
        let mut added: Vec<&str> = object::finalizers(new).filter(|name| !before.contains(name)).collect();
        added.sort_unstable();
        added.dedup();
        added.into_iter().flat_map(finalizer_warnings).collect()
    }

    /// The generic part of any change.
    fn validate_change(&self, new: &Value, old: &Value, errs: &mut FieldErrors) {
        self.validate_any_meta(new, errs);
        validate_meta_update(new, old, errs);
    }

    fn validate_any_meta(&self, object: &Value, errs: &mut FieldErrors) {
        let rules = MetaRules { namespaced: self.namespaced, name: NameRule::PathSegment, kube_finalizers: false };
        object_meta(&At::new(object, None).at("metadata"), rules, errs);
    }

    /// Whether the object is of this kind and version.
    fn validate_type(&self, object: &Value, errs: &mut FieldErrors) -> bool {
        let before = errs.len();
        let version = self.kind.group_version().to_string();
        for (field, expected) in [("kind", self.kind.kind.as_str()), ("apiVersion", &version)] {
            let found = object.get(field).and_then(Value::as_str).unwrap_or_default();
            if found != expected {
                errs.push(FieldError::invalid(&Path::Root.name(field), found, format!("must be {expected}")));
            }
        }
        errs.len() == before
    }

    fn validate_scale(&self, object: &Value, spec: bool, errs: &mut FieldErrors) {
        let Some(scale) = &self.scale else { return };
        if spec {
            scale.validate_spec(object, errs);
        }
        scale.validate_status(object, errs);
    }

    /// Lists that had items twice before may keep them.
    fn validate_lists(&self, new: &Value, old: &Value, errs: &mut FieldErrors) {
        let (mut found, mut before) = (FieldErrors::new(), FieldErrors::new());
        lists::unique(new, &self.schema, &Path::Root, &mut found);
        if !found.is_empty() {
            lists::unique(old, &self.schema, &Path::Root, &mut before);
        }
        if before.is_empty() {
            errs.append(&mut found);
        }
    }

    /// The expressions, unless the object is too wrong for them.
    fn judge(&self, new: &Value, old: Option<&Value>, mut errors: FieldErrors) -> Verdict {
        let mut warnings = Vec::new();
        let rules = self.rules.get_or_init(|| tree(&self.schema, true));
        if let Some(rules) = rules {
            if errors.iter().any(|error| is_blocking(error.fault)) {
                errors.push(FieldError::invalid(&Path::Root, Bad::plain("null"), SKIPPED));
            } else {
                let mut run = Run { errs: &mut errors, warnings: &mut warnings, budget: OBJECT_BUDGET };
                evaluate::run(&mut run, rules, (&self.schema, &self.structure), (new, old), true, &Path::Root);
            }
        }
        Verdict { errors, warnings }
    }
}

/// A version that has a better one to offer names it.
fn deprecated(kind: &GroupVersionKind, versions: &[Value]) -> String {
    let flag = |of: &Value, name: &str| of.get(name).is_some_and(|flag| flag == true);
    let served = versions.iter().filter(|of| flag(of, "served") && !flag(of, "deprecated"));
    let names = served.filter_map(|of| of.get("name")?.as_str());
    let better = names.filter(|name| version::compare(name, &kind.version).is_lt());
    let best = better.min_by(|a, b| version::compare(a, b));
    let advice = best.map(|best| format!("; use {}/{best} {}", kind.group, kind.kind)).unwrap_or_default();
    format!("{}/{} {} is deprecated{advice}", kind.group, kind.version, kind.kind)
}

fn is_blocking(fault: Fault) -> bool {
    matches!(fault, Fault::NotSupported | Fault::Required | Fault::TooLong | Fault::TooMany | Fault::TypeInvalid)
}

/// Anything but the metadata.
fn is_changed(new: &Value, old: &Value) -> bool {
    let rest =
        |object: &Value| object.as_object().map_or(0, |fields| fields.keys().filter(|n| *n != "metadata").count());
    let fields = new.as_object().into_iter().flatten().filter(|(name, _)| *name != "metadata");
    rest(new) != rest(old) || fields.into_iter().any(|(name, value)| old.get(name) != Some(value))
}

fn validate_meta_update(new: &Value, old: &Value, errs: &mut FieldErrors) {
    object_meta_update(&At::new(new, None).at("metadata"), &At::new(old, None).at("metadata"), false, errs);
}

fn finalizer_warnings(name: &str) -> Vec<String> {
    let told = |text: &str| format!("metadata.finalizers: {}: {text}", crate::model::gotext::quote(name));
    let mut warnings: Vec<String> = syntax::label_key(name).iter().map(|text| told(text)).collect();
    if !name.contains('/') && !FINALIZERS.contains(&name) {
        let path = if name.contains('.') { " including a path (/)" } else { "" };
        let text = format!(
            "prefer a domain-qualified finalizer name{path} to avoid accidental conflicts with other finalizer writers"
        );
        warnings.push(told(&text));
    }
    warnings
}
