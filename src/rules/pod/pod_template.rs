//! The kind PodTemplate.

use crate::model::field::FieldErrors;
use crate::model::value::{Map, Value};
use crate::rules::at::At;
use crate::rules::checks::meta::{MetaRules, object_meta, object_meta_update};
use crate::rules::checks::names::NameRule;
use crate::rules::kind::{Cx, Generation, NONE, Rules};

use super::options::Options;
use super::template;

pub const RULES: Rules = Rules {
    group: "",
    kind: "PodTemplate",
    generation: Generation::Fields(&["template"]),
    returns_deleted: true,
    prepare_create: |_, object| prepare(object, None),
    prepare_update: |_, new, old| prepare(new, Some(old)),
    validate,
    validate_update,
    warn,
    ..NONE
};

/// Defaults.
pub fn fill(object: &mut Value) {
    if !object["template"].is_object() {
        object["template"] = Value::Object(Map::new());
    }
    template::fill(&mut object["template"]);
}

fn prepare(object: &mut Value, old: Option<&Value>) {
    if let Some(template) = object.get_mut("template") {
        template::prepare(template, old.map(|old| &old["template"]));
    }
}

fn validate(cx: &Cx, at: &At, errs: &mut FieldErrors) {
    let rules = MetaRules { namespaced: true, name: NameRule::Subdomain, kube_finalizers: true };
    object_meta(&at.at("metadata"), rules, errs);
    template::validate(cx, &at.at("template"), &Options::default(), errs);
}

fn validate_update(cx: &Cx, new: &At, old: &At, errs: &mut FieldErrors) {
    object_meta_update(&new.at("metadata"), &old.at("metadata"), true, errs);
    template::validate(cx, &new.at("template"), &Options::of_template(Some(&old.at("template"))), errs);
}

fn warn(_: &Cx, new: &At, old: Option<&At>, warnings: &mut Vec<String>) {
    let generation = |at: &At| at.at("metadata").at("generation").i64();
    if old.is_none_or(|old| generation(old) != generation(new)) {
        template::warn(&new.at("template"), warnings);
    }
}
