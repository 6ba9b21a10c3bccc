//! Numbers, quantities, ports and shares.

use smallvec::smallvec;

use crate::model::field::FieldErrors;
use crate::model::syntax::Texts;
use crate::rules::at::At;

use super::names::{port_name, unless};

pub const NOT_NEGATIVE: &str = "must be greater than or equal to 0";
pub const POSITIVE: &str = "must be greater than zero";
pub const INTEGER: &str = "must be an integer";
const PERCENT: &str = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', \
    regex used for validation is '[0-9]+%')";
const DECIMAL_INTEGER: &str = "must be a valid decimal integer in canonical form";

/// Absent counts as 0.
pub fn non_negative(at: &At, errs: &mut FieldErrors) {
    if at.i64() < 0 {
        at.invalid(errs, NOT_NEGATIVE);
    }
}

/// Absent counts as 0, which is not right.
pub fn positive(at: &At, errs: &mut FieldErrors) {
    if at.i64() <= 0 {
        at.invalid(errs, POSITIVE);
    }
}

pub fn at_least(at: &At, least: i64, errs: &mut FieldErrors) {
    if at.i64() < least {
        at.invalid(errs, format!("must be greater than or equal to {least}"));
    }
}

pub fn at_most(at: &At, most: i64, errs: &mut FieldErrors) {
    if at.i64() > most {
        at.invalid(errs, format!("must be less than or equal to {most}"));
    }
}

/// Both ends allowed.
pub fn in_range(at: &At, least: i64, most: i64, errs: &mut FieldErrors) {
    at.invalid_each(errs, range_of(at.i64(), least, most));
}

/// The text where `value` is outside; both ends allowed.
pub fn range_of(value: i64, least: i64, most: i64) -> Texts {
    if (least..=most).contains(&value) {
        return Texts::new();
    }
    smallvec![format!("must be between {least} and {most}, inclusive").into()]
}

pub fn port_number(value: i64) -> Texts {
    unless((1..=65535).contains(&value), "must be between 1 and 65535, inclusive")
}

/// Of a user or a group.
pub fn user_id(value: i64) -> Texts {
    unless((0..=i64::from(i32::MAX)).contains(&value), "must be between 0 and 2147483647, inclusive")
}

/// A port by its number, or by its name in the pod.
pub fn port_number_or_name(at: &At, errs: &mut FieldErrors) {
    if at.value().is_string() {
        at.check(errs, port_name);
    } else {
        at.invalid_each(errs, port_number(at.i64()));
    }
}

pub fn percent(value: &str) -> Texts {
    let digits = value.strip_suffix('%').unwrap_or("");
    unless(!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()), PERCENT)
}

/// A number that is not negative, or a percentage.
pub fn non_negative_int_or_percent(at: &At, errs: &mut FieldErrors) {
    if at.value().is_string() {
        at.check(errs, percent);
    } else {
        non_negative(at, errs);
    }
}

/// A percentage must not be above 100; anything else is right.
pub fn not_above_100_percent(at: &At, errs: &mut FieldErrors) {
    if crate::model::intstr::percent(at.value()).is_some_and(|percent| percent > 100) {
        at.invalid(errs, "must not be greater than 100%");
    }
}

/// An integer as people write it: no plus, no leading zeros.
pub fn decimal_integer(value: &str) -> Texts {
    if value.is_empty() {
        return smallvec!["must be non-empty".into()];
    }
    let digits = value.strip_prefix('-').unwrap_or(value);
    let canonical = value == "0"
        || (digits.starts_with(|c: char| matches!(c, '1'..='9')) && digits.bytes().all(|b| b.is_ascii_digit()));
    unless(canonical, DECIMAL_INTEGER)
}

pub fn non_negative_quantity(at: &At, errs: &mut FieldErrors) {
    if at.quantity().sign() < 0 {
        at.invalid(errs, NOT_NEGATIVE);
    }
}

pub fn positive_quantity(at: &At, errs: &mut FieldErrors) {
    if at.quantity().sign() <= 0 {
        at.invalid(errs, POSITIVE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::{Value, json};
    use crate::rules::at::Rule;

    #[test]
    fn numbers_and_their_texts() {
        let cases: &[(Rule, Value, &str)] = &[
            (non_negative, Value::Null, ""),
            (non_negative, json!(-1), "Invalid value: -1: must be greater than or equal to 0"),
            (positive, json!(0), "Invalid value: 0: must be greater than zero"),
            (|at, errs| in_range(at, 1, 3, errs), json!(4), "Invalid value: 4: must be between 1 and 3, inclusive"),
            (|at, errs| at_least(at, 1, errs), json!(0), "Invalid value: 0: must be greater than or equal to 1"),
            (|at, errs| at_most(at, 1, errs), json!(2), "Invalid value: 2: must be less than or equal to 1"),
            (port_number_or_name, json!(80), ""),
            (port_number_or_name, json!(65536), "Invalid value: 65536: must be between 1 and 65535, inclusive"),
            (port_number_or_name, json!("http"), ""),
            (port_number_or_name, json!("1"), "Invalid value: \"1\": must contain at least one letter (a-z)"),
            (non_negative_int_or_percent, json!("30%"), ""),
            (non_negative_int_or_percent, json!(-2), "Invalid value: -2: must be greater than or equal to 0"),
            (not_above_100_percent, json!("101%"), "Invalid value: \"101%\": must not be greater than 100%"),
            (not_above_100_percent, json!(101), ""),
            (non_negative_quantity, json!("-1m"), "Invalid value: \"-1m\": must be greater than or equal to 0"),
            (positive_quantity, json!("0"), "Invalid value: \"0\": must be greater than zero"),
        ];
        for (check, value, error) in cases {
            let mut errs = FieldErrors::new();
            check(&At::new(value, None), &mut errs);
            let found: Vec<_> = errs.iter().map(|e| e.body()).collect();
            assert_eq!(found.join("\n"), *error);
        }
    }

    #[test]
    fn texts_that_are_numbers() {
        for (check, value, wrong) in [
            (percent as fn(&str) -> Texts, "5%", &[][..]),
            (percent, "-5%", &[PERCENT]),
            (percent, "%", &[PERCENT]),
            (decimal_integer, "-12", &[]),
            (decimal_integer, "0", &[]),
            (decimal_integer, "-0", &[DECIMAL_INTEGER]),
            (decimal_integer, "+1", &[DECIMAL_INTEGER]),
            (decimal_integer, "", &["must be non-empty"]),
        ] {
            assert_eq!(check(value).as_slice(), wrong, "{value}");
        }
        assert!(user_id(-1).len() == 1 && user_id(0).is_empty());
    }
}
