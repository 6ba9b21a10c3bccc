//! The kinds of admissionregistration.k8s.io: webhooks, policies and their bindings.
//!
//! It owns what they must keep and the types by which their expressions are checked when they are written. Calling
//! webhooks and running policies belongs to admission.
//!
//! In reading order: `webhooks`, `policies`, `bindings`, `matching` (what requests they are for), `expressions`, `fill`.

pub mod bindings;
pub mod expressions;
pub mod fill;
mod matching;
pub mod policies;
pub mod webhooks;

use super::at::At;
use super::checks::meta::{MetaRules, object_meta};
use super::checks::names::NameRule;
use super::kind::Cx;
use crate::model::field::FieldErrors;

const GROUP: &str = "admissionregistration.k8s.io";
/// Names that end so are kept for manifests.
const STATIC: &str = ".static.k8s.io";

fn metadata(at: &At, errs: &mut FieldErrors) {
    let rules = MetaRules { namespaced: false, name: NameRule::Subdomain, kube_finalizers: false };
    object_meta(&at.at("metadata"), rules, errs);
}

fn warn(_: &Cx, at: &At, _: Option<&At>, warnings: &mut Vec<String>) {
    if at.at("metadata").at("name").str().ends_with(STATIC) {
        warnings.push(format!(
            "metadata.name: names ending with \"{STATIC}\" are reserved for static manifest-based configurations and \
             cannot be managed via the API"
        ));
    }
}

#[cfg(test)]
mod tests;
