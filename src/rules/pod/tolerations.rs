//! Taints that a pod tolerates.

use crate::model::field::FieldErrors;
use crate::model::gotext;
use crate::rules::at::At;
use crate::rules::checks::choices;
use crate::rules::checks::labels::label_name;
use crate::rules::checks::names::label_value;
use crate::rules::checks::numbers::decimal_integer;

/// What a taint may do, in the order to print.
pub const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// A list of tolerations. `comparing`: the operators `Lt` and `Gt` are allowed.
pub fn tolerations(at: &At, comparing: bool, errs: &mut FieldErrors) {
    for item in at.items() {
        let (key, operator, value, effect) = (item.at("key"), item.at("operator"), item.at("value"), item.at("effect"));
        if !key.is_empty() {
            label_name(&key, errs);
        } else if operator.str() != "Exists" {
            operator.invalid(
                errs,
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
            );
        }
        if item.has("tolerationSeconds") && effect.str() != "NoExecute" {
            effect.invalid(errs, "effect must be 'NoExecute' when `tolerationSeconds` is set");
        }
        self::value(&operator, &value, comparing, errs);
        if !effect.is_empty() {
            choices::one_of(&effect, &EFFECTS, errs);
        }
    }
}

fn value(operator: &At, value: &At, comparing: bool, errs: &mut FieldErrors) {
    match operator.str() {
        "" | "Equal" => {
            let texts = label_value(value.str());
            if !texts.is_empty() {
                operator.invalid_as(errs, value.str(), texts.join(";"));
            }
        }
        "Exists" if value.is_empty() => {}
        "Exists" => operator.invalid_as(errs, value.str(), "value must be empty when `operator` is 'Exists'"),
        "Lt" | "Gt" if comparing => {
            value.check(errs, decimal_integer);
            if value.str().parse::<i64>().is_err() {
                let digits = value.str().strip_prefix(['-', '+']).unwrap_or(value.str());
                let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
                let why = if is_number { "value out of range" } else { "invalid syntax" };
                value.invalid(errs, format!("strconv.ParseInt: parsing {}: {why}", gotext::quote(value.str())));
            }
        }
        "Lt" | "Gt" => operator.not_supported(errs, &["Equal", "Exists", "Lt", "Gt"]),
        _ => operator.not_supported(errs, &["Equal", "Exists"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;
    use crate::schema::table;

    #[test]
    fn tolerations_are_judged_in_stocks_order() {
        let spec = json!({"tolerations": [
            {"operator": "Exists"},
            {"key": "a", "value": "b", "effect": "NoExecute", "tolerationSeconds": 3},
            {"value": "b"},
            {"key": "a", "operator": "Exists", "value": "b", "tolerationSeconds": 3, "effect": "Maybe"},
            {"key": "a", "operator": "Lt", "value": "5"}]});
        let mut errs = FieldErrors::new();
        let root = At::new(&spec, table::message("k8s.io.api.core.v1.PodSpec"));
        tolerations(&root.at("tolerations"), false, &mut errs);
        assert_eq!(
            errs.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                "tolerations[2].operator: Invalid value: \"\": operator must be Exists when `key` is empty, which means \
                 \"match all values and all keys\"",
                "tolerations[3].effect: Invalid value: \"Maybe\": effect must be 'NoExecute' when `tolerationSeconds` is set",
                "tolerations[3].operator: Invalid value: \"b\": value must be empty when `operator` is 'Exists'",
                "tolerations[3].effect: Unsupported value: \"Maybe\": supported values: \"NoSchedule\", \
                 \"PreferNoSchedule\", \"NoExecute\"",
                "tolerations[4].operator: Unsupported value: \"Lt\": supported values: \"Equal\", \"Exists\", \"Lt\", \"Gt\"",
            ]
        );
        errs.clear();
        let value =
            json!([{"key": "a", "operator": "Lt", "value": "05"}, {"key": "a", "operator": "Gt", "value": "7"}]);
        tolerations(&At::new(&value, None), true, &mut errs);
        assert_eq!(errs.len(), 1);
    }
}
