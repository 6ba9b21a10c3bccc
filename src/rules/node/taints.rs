//! Taints of a node: in its spec, and in the annotation that was before.

use crate::codec::json::parse;
use crate::codec::json::syntax;
use crate::model::field::{Bad, Fault, FieldError, FieldErrors, Path};
use crate::model::syntax::{label_key, label_value};
use crate::model::value::{Map, Value};
use crate::rules::at::At;
use crate::rules::pod::tolerations::EFFECTS;
use crate::rules::show;
use crate::schema::table::API_CORE_V1_TAINT as TAINT;

const ANNOTATION: &str = "scheduler.alpha.kubernetes.io/taints";

/// What a taint does to pods.
fn effect(place: &Path<'_>, effect: &str, errs: &mut FieldErrors) {
    if effect.is_empty() {
        errs.push(FieldError::required(place, ""));
    } else if !EFFECTS.contains(&effect) {
        errs.push(FieldError::not_supported(place, effect, &EFFECTS));
    }
}

/// As in stock, errors stand at `place`, which is not where the taints are.
pub fn in_spec(at: &At, place: &Path<'_>, errs: &mut FieldErrors) {
    let taints: Vec<&Value> = at.items().map(|taint| taint.value()).collect();
    all(&taints, place, errs);
}

/// `at` is the map of annotations.
pub fn in_annotation(at: &At, errs: &mut FieldErrors) {
    let text = at.entry(ANNOTATION).str();
    if text.is_empty() {
        return;
    }
    match listed(text) {
        Ok(taints) => all(&taints.iter().collect::<Vec<_>>(), &at.path().name(ANNOTATION), errs),
        Err(why) => at.invalid_as(errs, ANNOTATION, why),
    }
}

fn all(taints: &[&Value], place: &Path<'_>, errs: &mut FieldErrors) {
    let text = |taint: &Value, field: &str| taint[field].as_str().unwrap_or("").to_owned();
    for (index, taint) in taints.iter().enumerate() {
        let place = place.index(index);
        let (key, value, effect) = (text(taint, "key"), text(taint, "value"), text(taint, "effect"));
        for wrong in label_key(&key) {
            errs.push(FieldError::invalid(&place.name("key"), &key, wrong));
        }
        let wrong = label_value(&value);
        if !wrong.is_empty() {
            errs.push(FieldError::invalid(&place.name("value"), &value, wrong.join(";")));
        }
        self::effect(&place.name("effect"), &effect, errs);
        if taints[..index].iter().any(|t| text(t, "key") == key && text(t, "effect") == effect) {
            let shown = Bad::plain(show::message(taint, &TAINT));
            let detail = "taints must be unique by key and effect pair";
            errs.push(FieldError::new(Fault::Duplicate, &place, shown, detail));
        }
    }
}

/// The taints in a text, with names in any case, as Go reads a type without JSON names. The error is Go's.
fn listed(text: &str) -> Result<Vec<Value>, String> {
    let Ok(list) = parse::parse(text.as_bytes()) else {
        return Err(syntax::explain(text.as_bytes()).unwrap_or_default());
    };
    let wrong = |value: &Value, into: &str| format!("json: cannot unmarshal {} into Go {into}", value.type_name());
    let items = match list {
        Value::Null => Vec::new(),
        Value::Array(items) => items,
        other => return Err(wrong(&other, "value of type []core.Taint")),
    };
    let mut taints = Vec::with_capacity(items.len());
    for item in items {
        let fields = match item {
            Value::Object(fields) => fields,
            Value::Null => Map::new(),
            other => return Err(wrong(&other, "value of type core.Taint")),
        };
        let mut taint = Map::new();
        for (name, value) in fields {
            let named = |known: &&&str| known.eq_ignore_ascii_case(&name);
            let Some(field) = ["key", "value", "effect", "timeAdded"].iter().find(named) else { continue };
            if !(value.is_null() || value.is_string()) {
                let ty = if *field == "effect" { "core.TaintEffect" } else { "string" };
                let (first, rest) = field.split_at(1);
                let into = format!("struct field Taint.{}{rest} of type {ty}", first.to_ascii_uppercase());
                return Err(wrong(&value, &into));
            }
            taint.insert((*field).into(), value);
        }
        taints.push(Value::Object(taint));
    }
    Ok(taints)
}
