//! Whether the defaults that a schema says fit it.

use crate::model::field::{FieldError, FieldErrors, Path, aggregate};
use crate::model::value::{Map, Value, json};
use crate::rules::custom::embedded::{self, Coerced};
use crate::rules::custom::evaluate::{self, OBJECT_BUDGET, Run};
use crate::rules::custom::expressions::tree;
use crate::rules::custom::outcome::bad;
use crate::rules::custom::schema::Schema;
use crate::rules::custom::{prune, values};
use crate::schema::structure::Structure;

/// All that is wrong with the defaults within a schema of whole objects. `raw` is what it was read from.
pub fn validate(schema: &Schema, raw: &Value, pruned: bool, path: &Path<'_>) -> FieldErrors {
    let mut check = Check { pruned, budget: OBJECT_BUDGET, errs: FieldErrors::new() };
    let around = Around { root: schema, steps: Vec::new(), in_meta: false };
    check.schema(schema, raw, true, &around, path);
    check.errs
}

/// The whole object in which a default would stand.
struct Around<'s> {
    root: &'s Schema,
    steps: Vec<Option<&'s str>>,
    in_meta: bool,
}

struct Check {
    pruned: bool,
    budget: u64,
    errs: FieldErrors,
}

impl Check {
    fn schema(&mut self, schema: &Schema, raw: &Value, whole: bool, around: &Around<'_>, path: &Path<'_>) {
        let own = Around { root: schema, steps: Vec::new(), in_meta: false };
        let around = if whole { &own } else { around };
        if let Some(default) = &schema.default {
            self.default(default, schema, raw, whole, around, &path.name("default"));
        }
        // There are none in maps: no value tells of what.
        let nothing = Value::Null;
        if let Some(of) = schema.item() {
            let raw = raw.get("items").unwrap_or(&nothing);
            self.schema(of, raw, of.embedded, &around.within(None, false), &path.name("items"));
        }
        for (name, of) in schema.properties.iter() {
            let meta = whole && prune::OF_ANY_OBJECT.contains(&name);
            let raw = raw.get("properties").and_then(|raw| raw.get(name)).unwrap_or(&nothing);
            let place = path.name("properties");
            self.schema(of, raw, of.embedded, &around.within(Some(name), meta), &place.key(name));
        }
    }

    fn default(
        &mut self,
        default: &Value,
        schema: &Schema,
        raw: &Value,
        whole: bool,
        around: &Around<'_>,
        path: &Path<'_>,
    ) {
        if around.in_meta {
            let mut object = around.object(default);
            if let Err(why) = valid_metadata(&mut object, around.root) {
                let why = format!("must result in valid metadata: {why}");
                return self.errs.push(FieldError::invalid(path, bad(default), why));
            }
        } else {
            let mut left = default.clone();
            prune::prune_value(&mut left, schema, whole);
            if self.pruned && left != *default {
                self.errs.push(FieldError::invalid(path, bad(default), "must not have unknown fields"));
            }
            let (mut read, mut coerced) = (default.clone(), Coerced::default());
            if let Err(error) = embedded::coerce(&mut read, schema, whole, false, path, &mut coerced) {
                return self.errs.push(error);
            }
            let first = self.errs.len();
            embedded::validate(default, schema, whole, path, &mut self.errs);
            if self.errs.len() > first {
                return;
            }
        }
        let first = self.errs.len();
        values::check(default, schema, None, path, &mut self.errs);
        if self.errs.len() == first && self.budget > 0 {
            self.rules(default, schema, raw, whole, path);
        }
    }

    /// As an update that changes nothing, and as something new.
    fn rules(&mut self, default: &Value, schema: &Schema, raw: &Value, whole: bool, path: &Path<'_>) {
        let Some(rules) = tree(schema, whole) else { return };
        let structure = Structure::read(raw);
        let (mut left, first) = (self.budget, self.errs.len());
        for old in [Some(default), None] {
            let mut run = Run { errs: &mut self.errs, warnings: &mut Vec::new(), budget: self.budget };
            evaluate::run(&mut run, &rules, (schema, &structure), (default, old), false, path);
            left = left.min(run.budget);
            if self.errs.len() > first {
                break;
            }
        }
        self.budget = left;
    }
}

impl<'s> Around<'s> {
    fn within(&self, name: Option<&'s str>, meta: bool) -> Self {
        let steps = self.steps.iter().copied().chain([name]).collect();
        Self { root: self.root, steps, in_meta: self.in_meta || meta }
    }

    /// An object that holds the default at its place and nothing else.
    fn object(&self, default: &Value) -> Value {
        let mut value = default.clone();
        for step in self.steps.iter().rev() {
            value = match step {
                Some(name) => Value::Object(Map::from_iter([((*name).to_owned(), value)])),
                None => json!([value]),
            };
        }
        if let Some(fields) = value.as_object_mut() {
            fields.entry("kind").or_insert_with(|| "Validation".into());
            fields.entry("apiVersion").or_insert_with(|| "validation/v1".into());
        }
        value
    }
}

fn valid_metadata(object: &mut Value, schema: &Schema) -> Result<(), String> {
    let nowhere = Path::Root;
    embedded::coerce(object, schema, true, false, &nowhere, &mut Coerced::default()).map_err(|e| e.to_string())?;
    let mut errs = FieldErrors::new();
    embedded::validate(object, schema, true, &nowhere, &mut errs);
    if errs.is_empty() { Ok(()) } else { Err(aggregate(errs.iter().map(|error| error.to_string().into()))) }
}
