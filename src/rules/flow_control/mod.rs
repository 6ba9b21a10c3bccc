//! FlowSchema and PriorityLevelConfiguration: how requests share the server.
//!
//! It says what such objects must keep; sharing itself is done by who serves requests.
//!
//! In reading order: `schema` (which requests belong together), `level` (how many of a kind run at once), `mandatory`
//! (objects that stay what they are).

pub mod level;
pub mod mandatory;
pub mod schema;

use super::at::At;
use super::checks::meta::MetaRules;
use super::checks::names::NameRule;
use super::kind::{Cx, Part, STATUS};
use crate::model::field::FieldErrors;
use crate::model::object;
use crate::model::value::Value;

pub const GROUP: &str = "flowcontrol.apiserver.k8s.io";
const META: MetaRules = MetaRules { namespaced: false, name: NameRule::Subdomain, kube_finalizers: true };
/// The status of both kinds.
const CONDITIONS: Part = Part { prepare: keep_metadata, validate: |_, at, _, errs| conditions(at, errs), ..STATUS };

/// A writer of the status changes nothing of the metadata but who owns which field.
fn keep_metadata(_: &Cx, new: &mut Value, old: &Value) {
    let managed = object::metadata_mut(new).and_then(|metadata| metadata.remove("managedFields"));
    new["metadata"] = old["metadata"].clone();
    object::set_meta(new, "managedFields", managed.unwrap_or(Value::Null));
}

fn conditions(at: &At, errs: &mut FieldErrors) {
    let list = at.at("status");
    let list = list.at("conditions");
    for (index, condition) in list.items().enumerate() {
        let kind = condition.at("type");
        if list.items().take(index).any(|earlier| earlier.at("type").str() == kind.str()) {
            kind.duplicate(errs);
        }
        if kind.is_empty() {
            kind.required(errs, "");
        }
    }
}
