//! An attribute of a device: one value of one type.

use crate::model::field::FieldErrors;
use crate::rules::at::At;

const VALUE_BYTES: usize = 64;
const ONE_VALUE: &str = "exactly one value must be specified";

pub fn attribute(at: &At, errs: &mut FieldErrors) {
    let (text, version) = (at.at("string"), at.at("version"));
    if text.len() > VALUE_BYTES {
        text.too_long(errs, VALUE_BYTES);
    }
    if version.exists() {
        if !is_version(version.str()) {
            version.invalid(errs, "must be a string compatible with semver.org spec 2.0.0");
        }
        if version.len() > VALUE_BYTES {
            version.too_long(errs, VALUE_BYTES);
        }
    }
    match ["bool", "int", "string", "version"].iter().filter(|field| at.has(field)).count() {
        0 => at.invalid_as(errs, "", ONE_VALUE),
        1 => {}
        _ => at.invalid(errs, ONE_VALUE),
    }
}

/// `1.2.3-alpha.1+build`, as semver.org has it.
fn is_version(text: &str) -> bool {
    let number = |part: &str| part == "0" || (!part.starts_with('0') && is_of(part, |b| b.is_ascii_digit()));
    let word = |part: &str| is_of(part, |b| b.is_ascii_alphanumeric() || b == b'-');
    let before = |part: &str| word(part) && (number(part) || part.bytes().any(|b| !b.is_ascii_digit()));
    let (text, build) = text.split_once('+').map_or((text, None), |(text, build)| (text, Some(build)));
    let (core, release) = text.split_once('-').map_or((text, None), |(core, release)| (core, Some(release)));
    let core: Vec<_> = core.split('.').collect();
    core.len() == 3
        && core.into_iter().all(number)
        && release.is_none_or(|release| release.split('.').all(before))
        && build.is_none_or(|build| build.split('.').all(word))
}

fn is_of(part: &str, letter: impl Fn(u8) -> bool) -> bool {
    !part.is_empty() && part.bytes().all(letter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;
    use crate::schema::table;

    #[test]
    fn versions() {
        for (text, right) in [
            ("1.2.3", true),
            ("0.0.0-0.a-b.01a+001.x", true),
            ("1.2.3-a+b", true),
            ("1.2.3+b-c", true),
            ("1.2", false),
            ("01.2.3", false),
            ("1.2.3-01", false),
            ("1.2.3-", false),
            ("1.2.3+", false),
            ("1.2.3+a+b", false),
            ("1.2.3-é", false),
        ] {
            assert_eq!(is_version(text), right, "{text}");
        }
    }

    #[test]
    fn an_attribute_has_one_value() {
        let found = |value| {
            let mut errs = FieldErrors::new();
            attribute(&At::new(&value, table::message("k8s.io.api.resource.v1.DeviceAttribute")), &mut errs);
            errs.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(found(json!({"bool": false})), [""; 0]);
        assert_eq!(found(json!({})), ["<nil>: Invalid value: \"\": exactly one value must be specified"]);
        assert_eq!(
            found(json!({"int": 1, "version": "x"})),
            [
                "version: Invalid value: \"x\": must be a string compatible with semver.org spec 2.0.0",
                "<nil>: Invalid value: {\"IntValue\":1,\"BoolValue\":null,\"StringValue\":null,\"VersionValue\":\"x\",\
                 \"IntValues\":null,\"BoolValues\":null,\"StringValues\":null,\"VersionValues\":null}: exactly one value \
                 must be specified",
            ]
        );
    }
}
