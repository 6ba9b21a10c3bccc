//! A capacity of a device, and how it is shared out among requests.

use super::parts::set;
use crate::model::field::{FieldError, FieldErrors};
use crate::model::gotext::quote;
use crate::model::quantity::Quantity;
use crate::rules::at::At;

const MOST_VALUES: usize = 10;

/// `shared`: several requests may have the device.
pub fn capacity(at: &At, shared: bool, errs: &mut FieldErrors) {
    let policy = at.at("requestPolicy");
    if policy.is_null() {
        return;
    }
    if !shared {
        return policy.forbidden(errs, "allowMultipleAllocations must be true");
    }
    let (values, range, default) = (policy.at("validValues"), policy.at("validRange"), policy.at("default"));
    let most = at.at("value").quantity();
    if !values.is_empty() && range.exists() {
        let detail =
            "exactly one policy can be specified, cannot specify \"validValues\" and \"validRange\" at the same time";
        policy.forbidden(errs, detail);
    } else if !values.is_empty() && default.is_null() {
        default.required(errs, "required when validValues is defined");
    } else if !values.is_empty() {
        valid_values(&values, &default.quantity(), &most, errs);
    } else if range.exists() && default.is_null() {
        default.required(errs, "required when validRange is defined");
    } else if range.exists() {
        valid_range(&range, &default.quantity(), &most, errs);
    }
}

/// Invalid, shown as the amount that is too much or too little.
fn wrong(at: &At, amount: &Quantity, detail: impl Into<String>, errs: &mut FieldErrors) {
    errs.push(FieldError::invalid(at.path(), &amount.to_string(), detail.into()));
}

fn valid_values(at: &At, default: &Quantity, most: &Quantity, errs: &mut FieldErrors) {
    for (index, value) in at.items().enumerate().skip(1) {
        if at.item(index - 1).quantity() > value.quantity() {
            wrong(&value, &value.quantity(), "values must be sorted in ascending order", errs);
        }
    }
    let mut has_default = false;
    let check = |value: &At, errs: &mut FieldErrors| {
        let amount = value.quantity();
        if amount > *most {
            wrong(value, &amount, format!("option is larger than capacity value: {most}"), errs);
        }
        has_default |= amount == *default;
    };
    set(at, MOST_VALUES, errs, check, |value| quote(&value.quantity().value().to_string()));
    if !has_default {
        wrong(at, default, "default value is not valid according to the requestPolicy", errs);
    }
}

fn valid_range(at: &At, default: &Quantity, capacity: &Quantity, errs: &mut FieldErrors) {
    let (least_at, most_at, step_at) = (at.at("min"), at.at("max"), at.at("step"));
    if least_at.is_null() {
        return least_at.required(errs, "required when validRange is defined");
    }
    let (least, most, step) = (least_at.quantity(), most_at.quantity(), step_at.quantity());
    if least > *capacity {
        wrong(&least_at, &least, format!("min is larger than capacity value: {capacity}"), errs);
    }
    if *default < least {
        wrong(&least_at, default, format!("default is less than min: {least}"), errs);
    }
    if most_at.exists() {
        if least > most {
            wrong(&most_at, &least, format!("min is larger than max: {most}"), errs);
        }
        if most > *capacity {
            wrong(&most_at, &most, format!("max is larger than capacity value: {capacity}"), errs);
        }
        if *default > most {
            wrong(&most_at, default, format!("default is more than max: {most}"), errs);
        }
    }
    if step_at.is_null() {
        return;
    }
    let mut first = least.clone();
    first.add(&step);
    if first > *capacity {
        wrong(&step_at, &step, format!("one step {first} is larger than capacity value: {capacity}"), errs);
    }
    let ends = [Some(default), most_at.exists().then_some(&most)];
    for value in ends.into_iter().flatten() {
        let beyond = value.value().wrapping_sub(least.value()).checked_rem(step.value());
        if beyond.is_some_and(|beyond| beyond != 0) {
            wrong(&step_at, value, format!("value is not a multiple of a given step ({step}) from ({least})"), errs);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::{Value, json};

    fn found(policy: Value, shared: bool) -> Vec<String> {
        let value = json!({"value": "10", "requestPolicy": policy});
        let mut errs = FieldErrors::new();
        capacity(&At::new(&value, None), shared, &mut errs);
        errs.iter().map(|e| e.to_string().replace("requestPolicy.", "")).collect()
    }

    #[test]
    fn only_shared_devices_are_shared_out() {
        assert_eq!(found(json!({}), false), ["requestPolicy: Forbidden: allowMultipleAllocations must be true"]);
        assert_eq!(found(json!({}), true), [""; 0]);
    }

    #[test]
    fn values_rise_and_have_the_default() {
        assert_eq!(
            found(json!({"default": "3", "validValues": ["2", "1", "11", "11"]}), true),
            [
                "validValues[1]: Invalid value: \"1\": values must be sorted in ascending order",
                "validValues[2]: Invalid value: \"11\": option is larger than capacity value: 10",
                "validValues[3]: Invalid value: \"11\": option is larger than capacity value: 10",
                "validValues[3]: Duplicate value: \"11\"",
                "validValues: Invalid value: \"3\": default value is not valid according to the requestPolicy",
            ]
        );
        assert_eq!(
            found(json!({"validValues": ["1"]}), true),
            ["default: Required value: required when validValues is defined"]
        );
    }

    #[test]
    fn ranges_go_in_steps() {
        let range = json!({"min": "2", "max": "11", "step": "2"});
        assert_eq!(
            found(json!({"default": "1", "validRange": range}), true),
            [
                "validRange.min: Invalid value: \"1\": default is less than min: 2",
                "validRange.max: Invalid value: \"11\": max is larger than capacity value: 10",
                "validRange.step: Invalid value: \"1\": value is not a multiple of a given step (2) from (2)",
                "validRange.step: Invalid value: \"11\": value is not a multiple of a given step (2) from (2)",
            ]
        );
        assert_eq!(found(json!({"default": "2", "validRange": {"min": "2", "step": "0"}}), true), [""; 0]);
    }
}
