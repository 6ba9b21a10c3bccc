//! What is wrong with the schema of a version.

use std::sync::Arc;

use super::options::Options;
use super::{defaults, expressions, lists, structural};
use crate::model::field::{Bad, FieldError, FieldErrors, Path};
use crate::model::value::Value;
use crate::rules::custom::prune::OF_ANY_OBJECT;
use crate::rules::custom::schema::{Additional, Items, Schema};
use crate::rules::custom::shape::shape;
use crate::rules::show;
use crate::schema::cel::names::escape;
use crate::schema::cel::types::Shape;
use crate::schema::table;

const PROPS: &str = "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";
pub const KINDS: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];
/// Units of cost of all expressions of a schema.
pub const TOTAL_COST: u64 = 100_000_000;
/// What may stand at the root beside a status subresource, as the error lists it.
const AT_ROOT: &str = "[Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength \
                       Pattern MaxItems MinItems UniqueItems MultipleOf Required Items Properties ExternalDocs Example \
                       XPreserveUnknownFields XValidations]";
/// What may not, in the order of the type's fields: before and after `type`.
const NOT_AT_ROOT: ([&str; 3], [&str; 19]) = (
    ["id", "$schema", "$ref"],
    [
        "nullable",
        "default",
        "enum",
        "maxProperties",
        "minProperties",
        "allOf",
        "oneOf",
        "anyOf",
        "not",
        "additionalProperties",
        "patternProperties",
        "dependencies",
        "additionalItems",
        "definitions",
        "x-kubernetes-embedded-resource",
        "x-kubernetes-int-or-string",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-list-type",
        "x-kubernetes-map-type",
    ],
);

/// All that is wrong with the schema at `path`: that of a version with or without a status subresource.
pub fn validate(raw: &Value, has_status: bool, options: &Options, path: &Path<'_>, errs: &mut FieldErrors) {
    let before = errs.len();
    let schema = Schema::read(raw);
    if has_status {
        root_of_status(raw, path, errs);
    }
    if schema.nullable {
        errs.push(FieldError::forbidden(&path.name("nullable"), "nullable cannot be true at the root"));
    }
    let (mut unreadable, mut root) = (None, None);
    if options.structural {
        unreadable = structural::unreadable(&schema);
        if unreadable.is_none() {
            let mut found = structural::validate(&schema, raw, path);
            if found.is_empty() {
                found = defaults::validate(&schema, raw, options.pruned_defaults, path);
            }
            if found.is_empty() {
                root = Some(Context::root(&schema));
            }
            errs.append(&mut found);
        }
    }
    let mut check = Check { options, total: Total::default() };
    let within = Within { allow_defaults: Ok(()), in_meta: false, uncorrelated: None };
    let mut found = check.schema(&schema, Some(raw), true, &within, root.as_ref(), path);
    errs.append(&mut found.schema);
    errs.append(&mut found.cel);
    if let Some(why) = unreadable.filter(|_| errs.len() == before) {
        errs.push(FieldError::invalid(path, "", why));
    }
    check.total.tell(path, errs);
}

/// Beside a status subresource, `status` must be found in the root's properties alone.
fn root_of_status(raw: &Value, path: &Path<'_>, errs: &mut FieldErrors) {
    let is_said = |name: &&&str| match raw.get(**name) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::String(text)) => !matches!(**name, "id" | "$schema") || !text.is_empty(),
        Some(_) => true,
    };
    let forbidden = |errs: &mut FieldErrors| {
        let value = table::message(PROPS).map_or_else(|| raw.into(), |props| Bad::plain(show::message(raw, props)));
        let why =
            format!("only {AT_ROOT} fields are allowed at the root of the schema if the status subresource is enabled");
        errs.push(FieldError::invalid(path, value, why));
    };
    if NOT_AT_ROOT.0.iter().any(|name| is_said(&name)) {
        return forbidden(errs);
    }
    let kind = raw.get("type").and_then(Value::as_str).unwrap_or("object");
    if kind != "object" && !kind.is_empty() {
        let why =
            "only \"object\" is allowed as the type at the root of the schema if the status subresource is enabled";
        return errs.push(FieldError::invalid(&path.name("type"), kind, why));
    }
    let allows_other = |name: &&&str| **name == "additionalProperties" && raw.get(**name).is_some();
    if NOT_AT_ROOT.1.iter().any(|name| is_said(&name) || allows_other(&name)) {
        forbidden(errs);
    }
}

/// What was found; expressions are only looked at where the schema is right.
#[derive(Default)]
pub struct Found {
    pub schema: FieldErrors,
    pub cel: FieldErrors,
}

/// What stands around a schema.
#[derive(Clone)]
struct Within<'p> {
    /// Or why there may be no defaults.
    allow_defaults: Result<(), String>,
    in_meta: bool,
    /// The outermost part whose values have no counterpart in an older object.
    uncorrelated: Option<&'p Path<'p>>,
}

/// What expressions need to know of a schema's place.
pub struct Context {
    /// Rules stand here or above.
    pub in_scope: bool,
    pub shape: Option<Arc<Shape>>,
    /// How often a value can be there at most, as far as it is bounded.
    pub most: Option<u64>,
}

impl Context {
    fn root(schema: &Schema) -> Self {
        let in_scope = !schema.rules.is_empty();
        Self { in_scope, shape: in_scope.then(|| shape(schema, true, ROOT)).flatten(), most: Some(1) }
    }

    fn part(&self, parent: &Schema, schema: &Schema, name: Option<&str>) -> Self {
        let in_scope = self.in_scope || !schema.rules.is_empty();
        let known = self.shape.as_ref().and_then(|shape| name.and_then(|name| shape.shared(name)));
        let own = || if in_scope { shape(schema, schema.embedded, ROOT) } else { None };
        let times = match (parent.kind.as_str(), &parent.additional) {
            ("object", Some(_)) => parent.max_properties.map(|most| most.max(0) as u64),
            ("array", _) => parent.max_items.map(|most| most.max(0) as u64),
            _ => Some(1),
        };
        let most = self.most.zip(times).map(|(most, times)| most.saturating_mul(times));
        Self { in_scope, shape: known.or_else(own), most }
    }
}

const ROOT: &str = crate::rules::custom::expressions::ROOT;

pub struct Check<'o> {
    pub options: &'o Options,
    pub total: Total,
}

/// The cost of all expressions, and the dearest of them.
#[derive(Default)]
pub struct Total {
    cost: u64,
    dearest: Vec<(String, u64)>,
}

impl Total {
    pub fn add(&mut self, path: &Path<'_>, cost: u64) {
        self.cost = self.cost.saturating_add(cost);
        if cost >= TOTAL_COST / 100 {
            self.dearest.push((path.to_string(), cost));
            self.dearest.sort_by_key(|(_, cost)| std::cmp::Reverse(*cost));
            self.dearest.truncate(4);
        }
    }

    fn tell(&self, path: &Path<'_>, errs: &mut FieldErrors) {
        if self.cost <= TOTAL_COST {
            return;
        }
        let why = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema";
        errs.extend(self.dearest.iter().map(|(path, _)| FieldError::forbidden(&Path::Root.name(path), why)));
        let what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema";
        errs.push(FieldError::forbidden(path, expressions::too_dear(what, self.cost, TOTAL_COST)));
    }
}

impl Check<'_> {
    fn schema(
        &mut self,
        schema: &Schema,
        raw: Option<&Value>,
        root: bool,
        within: &Within<'_>,
        context: Option<&Context>,
        path: &Path<'_>,
    ) -> Found {
        let mut found = Found::default();
        self.keywords(schema, within, path, &mut found.schema);
        self.additional(schema, raw, within, context, path, &mut found);
        for (name, of) in schema.properties.iter() {
            let mut inner = within.clone();
            if !matches!(schema.map_type.as_deref(), None | Some("granular" | "atomic")) {
                inner.uncorrelated = inner.uncorrelated.or(Some(path));
            }
            if (root || schema.embedded) && OF_ANY_OBJECT.contains(&name) {
                inner.in_meta = true;
                if root {
                    inner.allow_defaults = Err(format!("in top-level {name}"));
                }
            }
            let place = path.name("properties");
            let context = context.map(|context| context.part(schema, of, escape(name).as_deref()));
            let raw = raw.and_then(|raw| raw.get("properties")?.get(name));
            found.merge(self.schema(of, raw, false, &inner, context.as_ref(), &place.key(name)));
        }
        if let Some(not) = &schema.not {
            found.merge(self.schema(not, None, false, within, None, &path.name("not")));
        }
        for (name, parts) in [("allOf", &schema.all_of), ("oneOf", &schema.one_of), ("anyOf", &schema.any_of)] {
            for (at, part) in parts.iter().enumerate() {
                found.merge(self.schema(part, None, false, within, None, &path.name(name).index(at)));
            }
        }
        for (name, of) in schema.definitions.iter() {
            found.merge(self.schema(of, None, false, within, None, &path.name("definitions").key(name)));
        }
        self.items(schema, raw, within, context, path, &mut found);
        for (name, of) in schema.dependencies.iter() {
            found.merge(self.schema(of, None, false, within, None, &path.name("dependencies").key(name)));
        }
        lists::validate(schema, self.options, path, &mut found.schema);
        let uncorrelated = within.uncorrelated;
        expressions::validate(self, schema, raw, context, uncorrelated, path, &mut found);
        found
    }

    fn additional(
        &mut self,
        schema: &Schema,
        raw: Option<&Value>,
        within: &Within<'_>,
        context: Option<&Context>,
        path: &Path<'_>,
        found: &mut Found,
    ) {
        let Some(additional) = &schema.additional else { return };
        let at = path.name("additionalProperties");
        if !schema.properties.is_empty() && !matches!(additional, Additional::Any(true)) {
            let why = "additionalProperties and properties are mutual exclusive";
            found.schema.push(FieldError::forbidden(&at, why));
        }
        let Some(of) = schema.values() else { return };
        let mut inner = within.clone();
        if within.in_meta {
            inner.allow_defaults = Err("inside additionalProperties applying to object metadata".to_owned());
        }
        let context = context.map(|context| context.part(schema, of, Some("@values")));
        let raw = raw.and_then(|raw| raw.get("additionalProperties"));
        found.merge(self.schema(of, raw, false, &inner, context.as_ref(), &at));
    }

    fn items(
        &mut self,
        schema: &Schema,
        raw: Option<&Value>,
        within: &Within<'_>,
        context: Option<&Context>,
        path: &Path<'_>,
        found: &mut Found,
    ) {
        let Some(items) = &schema.items else { return };
        let at = path.name("items");
        let mut inner = within.clone();
        if schema.list_type.as_deref() != Some("map") {
            inner.uncorrelated = inner.uncorrelated.or(Some(path));
        }
        match items {
            Items::One(of) => {
                let context = context.map(|context| context.part(schema, of, Some("@items")));
                let raw = raw.and_then(|raw| raw.get("items"));
                found.merge(self.schema(of, raw, false, &inner, context.as_ref(), &at));
            }
            Items::Each(each) => {
                for (index, of) in each.iter().enumerate() {
                    found.merge(self.schema(of, None, false, &inner, None, &at.index(index)));
                }
            }
        }
    }

    /// Keywords that stand alone.
    fn keywords(&self, schema: &Schema, within: &Within<'_>, path: &Path<'_>, errs: &mut FieldErrors) {
        let kind = schema.kind.as_str();
        if self.options.known_kinds && !kind.is_empty() && !KINDS.contains(&kind) {
            errs.push(FieldError::not_supported(&path.name("type"), kind, &KINDS));
        }
        if let (Some(_), Err(why)) = (&schema.default, &within.allow_defaults) {
            errs.push(FieldError::forbidden(&path.name("default"), format!("must not be set {why}")));
        }
        for name in ["id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"] {
            if schema.foreign.contains(&name) {
                errs.push(FieldError::forbidden(&path.name(name), format!("{name} is not supported")));
            }
        }
        if kind == "null" {
            let why = "type cannot be set to null, use nullable as an alternative";
            errs.push(FieldError::forbidden(&path.name("type"), why));
        }
        if matches!(&schema.items, Some(Items::Each(each)) if !each.is_empty()) {
            let why = "items must be a schema object and not an array";
            errs.push(FieldError::forbidden(&path.name("items"), why));
        }
        if within.in_meta && schema.embedded {
            let why = "must not be used inside of resource meta";
            errs.push(FieldError::forbidden(&path.name("x-kubernetes-embedded-resource"), why));
        }
        if schema.unique_items {
            let why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
            errs.push(FieldError::forbidden(&path.name("uniqueItems"), why));
        }
    }
}

impl Found {
    fn merge(&mut self, other: Self) {
        self.schema.extend(other.schema);
        self.cel.extend(other.cel);
    }
}
