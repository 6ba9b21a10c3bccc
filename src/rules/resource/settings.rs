//! What drivers are told of devices, in terms that only they know.

use crate::model::field::FieldErrors;
use crate::model::value::Value;
use crate::rules::at::At;
use crate::rules::checks::names::csi_driver_name;

/// Of a class, or of a claim.
pub const MOST_SETTINGS: usize = 32;
const PARAMETERS_BYTES: usize = 10 * 1024;

/// An object with settings for a driver. Those that are `kept` may be longer than new ones.
pub fn settings(at: &At, kept: bool, errs: &mut FieldErrors) {
    let opaque = at.at("opaque");
    if opaque.is_null() {
        return opaque.required(errs, "");
    }
    csi_driver_name(&opaque.at("driver"), errs);
    let most = if kept { usize::MAX } else { PARAMETERS_BYTES };
    any_object(&opaque.at("parameters"), most, errs);
}

/// An object of any shape, of at most so many bytes in JSON.
pub fn any_object(at: &At, most: usize, errs: &mut FieldErrors) {
    match at.value() {
        Value::Null => at.required(errs, ""),
        value if most < usize::MAX && value.to_string().len() > most => at.too_long(errs, most),
        value if value.holds_object() => {}
        _ => at.invalid_as(errs, "<value omitted>", "must be a valid JSON object"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    #[test]
    fn settings_are_objects() {
        let long = json!({"a": "x".repeat(PARAMETERS_BYTES)});
        for (parameters, kept, wrong) in [
            (json!({}), false, None),
            (Value::Null, false, Some("opaque.parameters: Required value")),
            (
                json!([1]),
                false,
                Some("opaque.parameters: Invalid value: \"<value omitted>\": must be a valid JSON object"),
            ),
            (long.clone(), false, Some("opaque.parameters: Too long: may not be more than 10240 bytes")),
            (long, true, None),
        ] {
            let (value, mut errs) = (json!({"opaque": {"driver": "d", "parameters": parameters}}), FieldErrors::new());
            settings(&At::new(&value, None), kept, &mut errs);
            assert_eq!(errs.first().map(ToString::to_string).as_deref(), wrong);
        }
    }
}
