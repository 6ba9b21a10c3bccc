//! LimitRange: what one pod, container or claim of a namespace may ask for.

use super::at::At;
use super::checks::meta::{MetaRules, object_meta};
use super::checks::names::NameRule;
use super::checks::resources::{can_overcommit, container_resource_name, resource_name};
use super::fill::{items, round_up};
use super::kind::{Cx, NONE, Rules};
use crate::model::field::{FieldError, FieldErrors};
use crate::model::object;
use crate::model::quantity::{Format, Quantity};
use crate::model::syntax::label_key;
use crate::model::value::{Map, Value};

pub const RULES: Rules = Rules {
    group: "",
    kind: "LimitRange",
    create_on_update: true,
    prepare_create,
    validate: |_, at, errs| limit_range(at, errs),
    validate_update: |_, at, _, errs| limit_range(at, errs),
    ..NONE
};

const META: MetaRules = MetaRules { namespaced: true, name: NameRule::Subdomain, kube_finalizers: true };
const CONTAINER: &str = "Container";
const POD: &str = "Pod";
const CLAIM: &str = "PersistentVolumeClaim";
/// Of whole numbers that can be told in thousandths.
const MOST_MILLI: i64 = i64::MAX / 1000;
const LISTS: [&str; 5] = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"];

/// The defaults of v1: of a container, what one bound says of the others.
pub fn fill(object: &mut Value) {
    for limit in items(object, &["spec", "limits"]) {
        if limit.get("type").is_some_and(|kind| kind == CONTAINER) {
            fill_from(limit, "default", "max");
            fill_from(limit, "defaultRequest", "default");
            fill_from(limit, "defaultRequest", "min");
        }
        LISTS.iter().for_each(|list| round_up(limit, list));
    }
}

fn fill_from(limit: &mut Map, list: &str, source: &str) {
    let Some(Value::Object(source)) = limit.get(source).filter(|source| source != &&Value::Null).cloned() else {
        return;
    };
    let list = limit.entry(list).or_insert_with(|| Value::Object(Map::new()));
    if let Some(list) = list.as_object_mut() {
        for (name, amount) in source {
            list.entry(name).or_insert(amount);
        }
    }
}

/// One without a name gets one like a UID.
fn prepare_create(_: &Cx, new: &mut Value) {
    if object::name(new).is_empty() {
        let uid = object::uid(new).to_owned();
        object::set_meta(new, "name", uid.into());
    }
}

fn limit_range(at: &At, errs: &mut FieldErrors) {
    object_meta(&at.at("metadata"), META, errs);
    let spec = at.at("spec");
    let limits = spec.at("limits");
    for (index, limit) in limits.items().enumerate() {
        let kind = limit.at("type");
        type_name(&kind, errs);
        if limits.items().take(index).any(|earlier| earlier.at("type").str() == kind.str()) {
            kind.duplicate(errs);
        }
        lists(&limit, errs);
        bounds(&limit, errs);
    }
}

fn type_name(at: &At, errs: &mut FieldErrors) {
    let right = at.check(errs, label_key);
    if right && !at.str().contains('/') && ![CONTAINER, POD, CLAIM].contains(&at.str()) {
        at.invalid(errs, "must be a standard limit type or fully qualified");
    }
}

fn lists(at: &At, errs: &mut FieldErrors) {
    let kind = at.at("type").str();
    let names = |list: &str, errs: &mut FieldErrors| {
        for (name, entry) in at.at(list).entries() {
            match kind {
                POD | CONTAINER => container_resource_name(&entry, name, errs),
                _ => resource_name(&entry, name, errs),
            }
        }
    };
    names("max", errs);
    names("min", errs);
    for list in ["default", "defaultRequest"] {
        if kind != POD {
            names(list, errs);
        } else if !at.at(list).is_empty() {
            at.at(list).forbidden(errs, "may not be specified when `type` is 'Pod'");
        }
    }
    if kind == CLAIM && !at.at("min").entry("storage").exists() && !at.at("max").entry("storage").exists() {
        let detail = "either minimum or maximum storage value is required, but neither was provided";
        errs.push(FieldError::required(&at.path().name("limits"), detail));
    }
    names("maxLimitRequestRatio", errs);
}

/// How the amounts of each resource must compare.
fn bounds(at: &At, errs: &mut FieldErrors) {
    let is_pod = at.at("type").str() == POD;
    let mut names: Vec<&str> = Vec::new();
    for list in LISTS.iter().filter(|list| !(is_pod && list.starts_with("default"))) {
        names.extend(at.at(list).entries().map(|(name, _)| name));
    }
    names.sort_unstable();
    names.dedup();
    for name in names {
        let amount = |list: &str| {
            let hidden = is_pod && list.starts_with("default");
            let list = at.at(list);
            let entry = list.entry(name);
            (entry.exists() && !hidden).then(|| entry.quantity())
        };
        let amounts = Amounts {
            min: amount("min"),
            max: amount("max"),
            default: amount("default"),
            request: amount("defaultRequest"),
            ratio: amount("maxLimitRequestRatio"),
        };
        compare(at, name, &amounts, errs);
        ratio(at, name, &amounts, errs);
        if let (Some(default), Some(request)) = (&amounts.default, &amounts.request)
            && !can_overcommit(name)
            && default != request
        {
            let detail = format!("default value {default} must equal to defaultRequest value {request} in {name}");
            at.at("defaultRequest").entry(name).invalid(errs, detail);
        }
    }
}

/// All that is said of one resource.
struct Amounts {
    min: Option<Quantity>,
    max: Option<Quantity>,
    default: Option<Quantity>,
    request: Option<Quantity>,
    ratio: Option<Quantity>,
}

fn compare(at: &At, name: &str, amounts: &Amounts, errs: &mut FieldErrors) {
    let Amounts { min, max, default, request, .. } = amounts;
    // (smaller, larger, where, whose value is shown, between their words)
    let rows = [
        (min, max, "min", "min", "min value", "max value"),
        (min, request, "defaultRequest", "defaultRequest", "min value", "default request value"),
        (request, max, "defaultRequest", "defaultRequest", "default request value", "max value"),
        (request, default, "defaultRequest", "defaultRequest", "default request value", "default limit value"),
        (min, default, "default", "min", "min value", "default value"),
        (default, max, "default", "max", "default value", "max value"),
    ];
    for (smaller, larger, place, shown, a, b) in rows {
        if let (Some(smaller), Some(larger)) = (smaller, larger)
            && smaller > larger
        {
            let detail = format!("{a} {smaller} is greater than {b} {larger}");
            let (list, shown) = (at.at(place), at.at(shown));
            list.entry(name).invalid_as(errs, shown.entry(name).bad(), detail);
        }
    }
}

fn ratio(at: &At, name: &str, amounts: &Amounts, errs: &mut FieldErrors) {
    let Some(ratio) = &amounts.ratio else { return };
    let list = at.at("maxLimitRequestRatio");
    let place = list.entry(name);
    if *ratio < Quantity::from_i64(1, Format::DecimalSi) {
        place.invalid(errs, format!("ratio {ratio} is less than 1"));
    }
    let (Some(min), Some(max)) = (&amounts.min, &amounts.max) else { return };
    let in_milli = [ratio, min, max].iter().all(|amount| amount.value() < MOST_MILLI);
    let (wanted, min, max) = if in_milli {
        (ratio.milli_value() as f64 / 1000.0, min.milli_value(), max.milli_value())
    } else {
        (ratio.value() as f64, min.value(), max.value())
    };
    let most = max as f64 / min as f64;
    if wanted > most {
        // Go's way to print a maximum below a minimum of nothing.
        let most = if most.is_infinite() { "-Inf".to_owned() } else { format!("{most:.6}") };
        place.invalid(errs, format!("ratio {ratio} is greater than max/min = {most}"));
    }
}

#[cfg(test)]
mod tests {
    use crate::model::value::json;
    use crate::rules::transcript::Kind;

    #[test]
    fn a_ratio_to_nothing_has_no_end() {
        let limit =
            json!({"type": "Pod", "min": {"cpu": "0"}, "max": {"cpu": "-1"}, "maxLimitRequestRatio": {"cpu": "2"}});
        let found = kind().refused(json!({"spec": {"limits": [limit]}}));
        assert!(found.iter().any(|text| text.ends_with("ratio 2 is greater than max/min = -Inf")), "{found:?}");
    }

    fn kind() -> Kind {
        Kind::new("v1", "LimitRange")
    }

    #[test]
    fn a_containers_bounds_fill_its_defaults() {
        let limit = json!({"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1Mi"}});
        let kept = kind().create(json!({"spec": {"limits": [limit]}})).expect("right");
        let limit = &kept["spec"]["limits"][0];
        assert_eq!(limit["default"], json!({"cpu": "2"}));
        assert_eq!(limit["defaultRequest"], json!({"cpu": "2", "memory": "1Mi"}));
    }

    #[test]
    fn amounts_must_agree() {
        let limit = json!({"type": "a.b/c", "min": {"cpu": "3"}, "max": {"cpu": "2"}, "default": {"cpu": "1"},
            "defaultRequest": {"cpu": "5"}, "maxLimitRequestRatio": {"cpu": "1500m"}});
        let found = kind().refused(json!({"spec": {"limits": [limit]}}));
        let place = "spec.limits[0]";
        assert_eq!(
            found,
            [
                format!("{place}.min[cpu]: Invalid value: \"3\": min value 3 is greater than max value 2"),
                format!(
                    "{place}.defaultRequest[cpu]: Invalid value: \"5\": default request value 5 is greater than max value 2"
                ),
                format!(
                    "{place}.defaultRequest[cpu]: Invalid value: \"5\": default request value 5 is greater than default limit value 1"
                ),
                format!("{place}.default[cpu]: Invalid value: \"3\": min value 3 is greater than default value 1"),
                format!(
                    "{place}.maxLimitRequestRatio[cpu]: Invalid value: \"1500m\": ratio 1500m is greater than max/min = 0.666667"
                ),
            ]
        );
    }

    #[test]
    fn types_stand_once_and_claims_bound_storage() {
        let limits = json!([{"type": "Pod", "default": {"cpu": "1"}}, {"type": "Pod"}, {"type": "Bogus"}, {"type": "PersistentVolumeClaim"}]);
        assert_eq!(
            kind().refused(json!({"spec": {"limits": limits}})),
            [
                "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'",
                "spec.limits[1].type: Duplicate value: \"Pod\"",
                "spec.limits[2].type: Invalid value: \"Bogus\": must be a standard limit type or fully qualified",
                "spec.limits[3].limits: Required value: either minimum or maximum storage value is required, but neither was provided",
            ]
        );
    }
}
