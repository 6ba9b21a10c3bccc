//! Templates of pods, as workloads of all kinds have them: the rules that those kinds call.
//!
//! ```text
//! fill:            template::fill(&mut object["spec"]["template"])
//! prepare_*:       template::prepare(&mut new["spec"]["template"], old template)
//! validate:        template::validate(cx, &spec.at("template"), &Options::default(), errs)
//! validate_update: template::validate(cx, &spec.at("template"), &Options::of_template(Some(&old)), errs)
//! warn:            template::warn(&spec.at("template"), warnings)
//! ```
//!
//! What a kind demands beyond (its restart policies, labels that its selector matches) it checks itself.

use crate::model::field::FieldErrors;
use crate::model::value::Value;
use crate::rules::at::At;
use crate::rules::checks::labels::{annotations, labels};
use crate::rules::kind::Cx;

use super::annotations::{pod_annotations, profiles_match};
use super::options::Options;
use super::{defaults, disabled, spec, warnings};

/// Defaults of a template, the same in every kind.
pub fn fill(template: &mut Value) {
    defaults::template(template);
}

/// Drops fields of features that are off, unless the `old` template has them.
pub fn prepare(template: &mut Value, old: Option<&Value>) {
    let none = Value::Null;
    if let Some(spec) = template.get_mut("spec") {
        disabled::drop(spec, old.map_or(&none, |old| &old["spec"]));
    }
}

/// All that is wrong with a template.
pub fn validate(cx: &Cx, at: &At, options: &Options, errs: &mut FieldErrors) {
    let spec = at.at("spec");
    metadata(at, options, errs);
    spec::spec(cx, &spec, ("", false), options, errs);
    let (meta, place) = (at.at("metadata"), at.path().name("annotations"));
    let own = meta.at("annotations").placed(place);
    profiles_match(&own, &spec, errs);
    let ephemeral = spec.at("ephemeralContainers");
    if !ephemeral.is_empty() {
        ephemeral.forbidden(errs, "ephemeral containers not allowed in pod template");
    }
}

/// All that is wrong with a template's labels and annotations.
pub fn metadata(at: &At, options: &Options, errs: &mut FieldErrors) {
    let meta = at.at("metadata");
    // Stock leaves `metadata` out of these places.
    labels(&meta.at("labels").placed(at.path().name("labels")), errs);
    let place = at.path().name("annotations");
    let own = meta.at("annotations").placed(place);
    annotations(&own, errs);
    pod_annotations(&own, &at.at("spec"), options, errs);
}

/// Warnings of a template.
pub fn warn(at: &At, warnings: &mut Vec<String>) {
    warnings::warn(at, true, warnings);
}
