//! Fields of which exactly certain values are known.

use crate::model::field::FieldErrors;
use crate::rules::at::At;

/// One of `known`, or absent. `known` in the order to print.
pub fn optional(at: &At, known: &[&str], errs: &mut FieldErrors) {
    if at.exists() && !known.contains(&at.str()) {
        at.not_supported(errs, known);
    }
}

/// One of `known`; empty is required, not unsupported. `known` in the order to print.
pub fn required(at: &At, known: &[&str], errs: &mut FieldErrors) {
    if at.is_empty() {
        at.required(errs, "");
    } else {
        one_of(at, known, errs);
    }
}

/// One of `known`; empty is unsupported too. `known` in the order to print.
pub fn one_of(at: &At, known: &[&str], errs: &mut FieldErrors) {
    if !known.contains(&at.str()) {
        at.not_supported(errs, known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::{Value, json};

    #[test]
    fn unknown_values_are_told_with_the_known() {
        type Choice = fn(&At, &[&str], &mut FieldErrors);
        let cases: &[(Choice, Value, &str)] = &[
            (optional, Value::Null, ""),
            (optional, json!(""), "Unsupported value: \"\": supported values: \"A\", \"B\""),
            (required, json!(""), "Required value"),
            (required, json!("C"), "Unsupported value: \"C\": supported values: \"A\", \"B\""),
            (one_of, json!("B"), ""),
            (one_of, json!("b"), "Unsupported value: \"b\": supported values: \"A\", \"B\""),
        ];
        for (check, value, error) in cases {
            let mut errs = FieldErrors::new();
            check(&At::new(value, None), &["A", "B"], &mut errs);
            let found: Vec<_> = errs.iter().map(|e| e.body()).collect();
            assert_eq!(found.join("\n"), *error);
        }
    }
}
