//! Names of a custom resource: what they may be, and which of a definition's are free.

use std::collections::HashSet;

use super::validate::label;
use crate::model::field::FieldErrors;
use crate::model::gotext;
use crate::model::value::Value;
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

/// Names that the definitions of a group have: the accepted ones of each.
#[derive(Debug, Default)]
pub struct Taken {
    resources: HashSet<String>,
    kinds: HashSet<String>,
}

impl Taken {
    /// Adds the `status.acceptedNames` of a definition.
    pub fn add(&mut self, accepted: &Value) {
        let text = |field: &str| accepted[field].as_str().map(str::to_owned);
        let short = accepted["shortNames"].as_array().into_iter().flatten();
        self.resources.extend(["plural", "singular"].into_iter().filter_map(text));
        self.resources.extend(short.filter_map(Value::as_str).map(str::to_owned));
        self.kinds.extend(["kind", "listKind"].into_iter().filter_map(text));
    }

    /// Takes over the wanted names that are free; the reason and message of the last conflict, if there is one.
    pub fn accept(&self, wanted: &Value, accepted: &mut Value) -> Option<(&'static str, String)> {
        let mut conflict = None;
        for (field, reason) in [("plural", "PluralConflict"), ("singular", "SingularConflict")] {
            conflict = self.accept_one(&self.resources, field, wanted, accepted).map(|why| (reason, why)).or(conflict);
        }
        let texts = |names: &Value| -> Vec<String> {
            let list = names["shortNames"].as_array().into_iter().flatten();
            list.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let own = texts(accepted);
        let mut used: Vec<String> = Vec::new();
        for name in texts(wanted).iter().filter(|name| !own.contains(name) && self.resources.contains(*name)) {
            let why = in_use(name);
            used.extend((!used.contains(&why)).then_some(why));
        }
        match used.as_slice() {
            [] => copy("shortNames", wanted, accepted),
            [one] => conflict = Some(("ShortNamesConflict", one.clone())),
            many => conflict = Some(("ShortNamesConflict", format!("[{}]", many.join(", ")))),
        }
        for (field, reason) in [("kind", "KindConflict"), ("listKind", "ListKindConflict")] {
            conflict = self.accept_one(&self.kinds, field, wanted, accepted).map(|why| (reason, why)).or(conflict);
        }
        copy("categories", wanted, accepted);
        conflict
    }

    fn accept_one(&self, used: &HashSet<String>, field: &str, wanted: &Value, accepted: &mut Value) -> Option<String> {
        let name = wanted[field].as_str().unwrap_or_default();
        if name != accepted[field].as_str().unwrap_or_default() && used.contains(name) {
            return Some(in_use(name));
        }
        copy(field, wanted, accepted);
        None
    }
}

fn in_use(name: &str) -> String {
    format!("{} is already in use", gotext::quote(name))
}

fn copy(field: &str, from: &Value, to: &mut Value) {
    let Some(fields) = to.as_object_mut() else { return };
    match from.get(field) {
        Some(value) => fields.insert(field.into(), value.clone()),
        None => fields.remove(field),
    };
}
