//! Names of a custom resource: what they may be, and which of a definition's are free.

use super::validate::label;
use crate::model::field::FieldErrors;
use crate::rules::at::At;

const MIXED: &str = "may have mixed case, but should otherwise match: ";

/// What is wrong with `spec.names` or `status.acceptedNames`, beyond what is missing.
pub fn validate(at: &At, errs: &mut FieldErrors) {
    for field in ["plural", "singular"] {
        let name = at.at(field);
        if !name.is_empty() {
            label(name.path(), name.str(), "", errs);
        }
    }
    for field in ["kind", "listKind"] {
        let name = at.at(field);
        let texts = crate::model::syntax::dns1035_label(&name.str().to_lowercase());
        if !name.is_empty() && !texts.is_empty() {
            name.invalid(errs, format!("{MIXED}{}", texts.join(",")));
        }
    }
    for name in at.at("shortNames").items() {
        label(name.path(), name.str(), "", errs);
    }
    if !at.at("kind").is_empty() && at.at("kind").str() == at.at("listKind").str() {
        at.at("listKind").invalid(errs, "kind and listKind may not be the same");
    }
    for category in at.at("categories").items() {
        label(category.path(), category.str(), "", errs);
    }
}
