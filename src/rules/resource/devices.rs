//! A device of a slice: its attributes and capacities, counters that it uses up, where it can be had.

use super::attributes::attribute;
use super::capacity::capacity;
use super::parts::{binding_conditions, bounded, label, map, qualified_name, set, taint};
use crate::model::field::{FieldError, FieldErrors};
use crate::model::gotext::quote;
use crate::model::value::Value;
use crate::rules::at::At;
use crate::rules::checks::names::{dns1123_label, dns1123_subdomain};
use crate::rules::pod::affinity::node_selector;
use crate::rules::same;

/// Attributes and capacities together.
const MOST_PROPERTIES: usize = 32;
const MOST_VALUES: usize = 48;
const MOST_TAINTS: usize = 16;
/// Sets of counters that a device uses.
const MOST_SETS: usize = 2;
const MOST_COUNTERS: usize = 32;
/// Of a domain, a slash and a name.
const NAME_BYTES: usize = 96;
const COUNTER_BYTES: usize = 63;

/// A device; `before` is the one of this name in the old slice.
pub fn device(at: &At, before: Option<&Value>, chosen_by_device: bool, errs: &mut FieldErrors) {
    label(&at.at("name"), errs);
    let (attributes, capacities) = (at.at("attributes"), at.at("capacity"));
    let count = attributes.len() + capacities.len();
    if count > MOST_PROPERTIES {
        let detail = format!("the total number of attributes and capacities must not exceed {MOST_PROPERTIES}");
        at.invalid_as(errs, count, detail);
    }
    if attributes.len() > MOST_VALUES {
        let detail = format!("the total number of attribute values must not exceed {MOST_VALUES}");
        at.invalid_as(errs, attributes.len(), detail);
    }
    map(&attributes, NAME_BYTES, errs, qualified_name, attribute);
    let shared = at.at("allowMultipleAllocations").bool();
    map(&capacities, NAME_BYTES, errs, qualified_name, |at, errs| capacity(at, shared, errs));
    let taints = at.at("taints");
    if !before.is_some_and(|before| is_same(&taints, &before["taints"])) {
        bounded(&taints, MOST_TAINTS, errs, taint);
    }
    let uses = at.at("consumesCounters");
    set(&uses, MOST_SETS, errs, used_counters, |at| quote(at.at("counterSet").str()));
    nodes(at, chosen_by_device, errs);
    binding_conditions(at, errs);
}

fn is_same(now: &At, before: &Value) -> bool {
    match now.schema() {
        crate::rules::at::Schema::Field(field) => same::fields(now.value(), before, field),
        _ => same::values(now.value(), before),
    }
}

/// Counters that devices of the slice's pool use up together.
pub fn counter_set(at: &At, errs: &mut FieldErrors) {
    named(&at.at("name"), errs);
    counters(&at.at("counters"), errs);
}

fn used_counters(at: &At, errs: &mut FieldErrors) {
    named(&at.at("counterSet"), errs);
    counters(&at.at("counters"), errs);
}

fn named(at: &At, errs: &mut FieldErrors) {
    if at.is_empty() {
        at.required(errs, "");
    } else {
        label(at, errs);
    }
}

fn counters(at: &At, errs: &mut FieldErrors) {
    if at.is_empty() {
        return at.required(errs, "");
    }
    if at.len() > MOST_COUNTERS {
        return at.too_many(errs, MOST_COUNTERS);
    }
    let name = |at: &At, name: &str, errs: &mut FieldErrors| {
        for text in dns1123_label(name) {
            at.invalid_as(errs, name, text);
        }
    };
    map(at, COUNTER_BYTES, errs, name, |_, _| {});
}

/// From which nodes the device can be had, where that is its own to say.
fn nodes(at: &At, chosen_by_device: bool, errs: &mut FieldErrors) {
    const ONE_OF: &str = "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when \
        `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
    let (name, selector, all) = (at.at("nodeName"), at.at("nodeSelector"), at.at("allNodes"));
    if !chosen_by_device {
        if name.exists() || selector.exists() || all.exists() {
            let detail = "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to \
                true in the ResourceSlice spec";
            at.invalid_as(errs, &Value::Null, detail);
        }
        return;
    }
    let mut said = Vec::new();
    if name.exists() && name.is_empty() {
        name.invalid(errs, "must not be empty");
    } else if name.exists() {
        said.push("`nodeName`");
        name.check(errs, dns1123_subdomain);
    }
    if selector.exists() {
        said.push("`nodeSelector`");
        node_selector(&selector, false, errs);
    }
    if all.bool() {
        said.push("`allNodes`");
    } else if all.exists() {
        all.invalid(errs, "must be either unset or set to true");
    }
    match said.len() {
        0 => at.required(errs, ONE_OF),
        1 => {}
        _ => {
            let said = format!("{{{}}}", said.join(", "));
            errs.push(FieldError::invalid(at.path(), &said, ONE_OF));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;
    use crate::schema::table;

    fn found(value: Value, chosen_by_device: bool, before: Option<&Value>) -> Vec<String> {
        let mut errs = FieldErrors::new();
        let at = At::new(&value, table::message("k8s.io.api.resource.v1.Device"));
        device(&at, before, chosen_by_device, &mut errs);
        errs.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_device_uses_counters_once() {
        let uses =
            json!([{"counterSet": "a", "counters": {}}, {"counters": {"A": {"value": "1"}}}, {"counterSet": "a"}]);
        assert_eq!(
            found(json!({"name": "d", "consumesCounters": uses}), false, None),
            ["consumesCounters: Too many: 3: must have at most 2 items"]
        );
        let uses = json!([{"counterSet": "a"}, {"counterSet": "a", "counters": {"a": {"value": "1"}}}]);
        assert_eq!(
            found(json!({"name": "d", "consumesCounters": uses}), false, None),
            ["consumesCounters[0].counters: Required value", "consumesCounters[1]: Duplicate value: \"a\""]
        );
    }

    #[test]
    fn a_device_may_say_from_which_nodes() {
        let everywhere = json!({"name": "d", "allNodes": true, "nodeName": "n"});
        assert!(found(everywhere.clone(), false, None)[0].starts_with("<nil>: Invalid value: null: `nodeName`, "));
        assert!(
            found(everywhere, true, None)[0].starts_with("<nil>: Invalid value: \"{`nodeName`, `allNodes`}\": exactly")
        );
        let none = json!({"name": "d", "nodeName": ""});
        let errors = found(none, true, None);
        assert!(
            errors[0] == "nodeName: Invalid value: \"\": must not be empty"
                && errors[1].starts_with("<nil>: Required value: exactly one of"),
            "{errors:?}"
        );
    }

    #[test]
    fn old_taints_may_stay() {
        let tainted = json!({"name": "d", "taints": [{"key": "k"}]});
        assert_eq!(found(tainted.clone(), false, Some(&tainted)), [""; 0]);
        assert_eq!(found(tainted, false, Some(&json!({}))), ["taints[0].effect: Required value"]);
    }
}
