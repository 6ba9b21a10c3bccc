//! What the kinds share: bounded lists, sets, names, taints.

use std::collections::BTreeSet;

use crate::model::field::{Bad, FieldError, FieldErrors};
use crate::model::gotext::quote;
use crate::model::syntax::{DNS1123_SUBDOMAIN_BYTES, Texts};
use crate::model::value::Value;
use crate::rules::at::At;
use crate::rules::checks::labels::label_name;
use crate::rules::checks::meta::MetaRules;
use crate::rules::checks::names::{
    NameRule, c_identifier, csi_driver_name, dns1123_label, dns1123_subdomain, label_value,
};

pub const GROUP: &str = "resource.k8s.io";
pub const CLAIM_META: MetaRules = MetaRules { namespaced: true, name: NameRule::Subdomain, kube_finalizers: true };
/// Of a device's attributes, capacities and their domains.
const IDENTIFIER_BYTES: usize = 32;
/// Conditions of one sort for binding.
const MOST_CONDITIONS: usize = 4;
/// Sorted.
const EFFECTS: [&str; 3] = ["NoExecute", "NoSchedule", "None"];

/// A list of at most so many items; the items of a longer one are not looked at.
pub fn bounded(at: &At, most: usize, errs: &mut FieldErrors, mut check: impl FnMut(&At, &mut FieldErrors)) -> bool {
    if at.len() > most {
        at.too_many(errs, most);
        return false;
    }
    for item in at.items() {
        check(&item, errs);
    }
    true
}

/// The same of a list whose items differ in their keys, as errors print them.
pub fn set(
    at: &At,
    most: usize,
    errs: &mut FieldErrors,
    check: impl FnMut(&At, &mut FieldErrors),
    key: impl Fn(&At) -> String,
) {
    if !bounded(at, most, errs, check) {
        return;
    }
    let mut seen = BTreeSet::new();
    for item in at.items() {
        let key = key(&item);
        if seen.contains(&key) {
            errs.push(FieldError::duplicate(item.path(), Bad::plain(key)));
        } else {
            seen.insert(key);
        }
    }
}

/// A map of names; their errors stand at the map.
pub fn map(
    at: &At,
    longest: usize,
    errs: &mut FieldErrors,
    name: impl Fn(&At, &str, &mut FieldErrors),
    check: impl Fn(&At, &mut FieldErrors),
) {
    for (key, value) in at.entries() {
        name(at, key, errs);
        if key.len() > longest {
            check(&value.placed(at.path().key(&shortened(key, longest))), errs);
        } else {
            check(&value, errs);
        }
    }
}

/// The key of a set of things with names.
pub fn by_name(at: &At) -> String {
    quote(at.at("name").str())
}

/// The name of a pool: subdomains with slashes between.
pub fn pool_name(at: &At, errs: &mut FieldErrors) {
    let name = at.str();
    if name.is_empty() {
        return at.required(errs, "");
    }
    if name.len() > DNS1123_SUBDOMAIN_BYTES {
        at.too_long(errs, DNS1123_SUBDOMAIN_BYTES);
    }
    for part in name.split('/') {
        for text in dns1123_subdomain(part) {
            at.invalid_as(errs, part, text);
        }
    }
}

/// The name of an attribute or a capacity, with a driver's domain before it or not; `at` is where errors stand.
pub fn qualified_name(at: &At, name: &str, errs: &mut FieldErrors) {
    match name.split('/').collect::<Vec<_>>()[..] {
        [name] => identifier(at, name, errs),
        [domain, name] => {
            if domain.is_empty() {
                at.invalid_as(errs, "", "the domain must not be empty");
            } else {
                let domain = Value::from(domain);
                csi_driver_name(&At::new(&domain, None).placed(*at.path()), errs);
            }
            if name.is_empty() {
                at.invalid_as(errs, "", "the name must not be empty");
            } else {
                identifier(at, name, errs);
            }
        }
        // Stock lets others pass.
        _ => {}
    }
}

/// The same, and the domain is there.
pub fn fully_qualified_name(at: &At, errs: &mut FieldErrors) {
    qualified_name(at, at.str(), errs);
    if !at.str().contains('/') {
        at.invalid(errs, "a fully qualified name must be a domain and a name separated by a slash");
    }
}

fn identifier(at: &At, name: &str, errs: &mut FieldErrors) {
    if name.len() > IDENTIFIER_BYTES {
        errs.push(FieldError::too_long(at.path(), IDENTIFIER_BYTES));
    }
    for text in c_identifier(name) {
        at.invalid_as(errs, name, text);
    }
}

/// A key as it stands in the places of errors: a long one without its middle.
pub fn shortened(key: &str, most: usize) -> String {
    const DOTS: &str = "...";
    if key.len() <= most {
        return key.to_owned();
    }
    let left = most - DOTS.len();
    let (head, tail) = (&key.as_bytes()[..left.div_ceil(2)], &key.as_bytes()[key.len() - left / 2..]);
    format!("{}{DOTS}{}", String::from_utf8_lossy(head), String::from_utf8_lossy(tail))
}

/// An identifier as RFC 4122 writes it, in small letters.
pub fn uuid(text: &str) -> Texts {
    let wrong = match malformed_uuid(text) {
        Some(why) => format!("error validating uid: {why}").into(),
        None if text.len() != 36 || text.bytes().any(|b| b.is_ascii_uppercase()) => {
            "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal \
             characters"
                .into()
        }
        None => return Texts::new(),
    };
    Texts::from_iter([wrong])
}

/// In the words of the library that stock uses, which reads other forms too.
fn malformed_uuid(text: &str) -> Option<String> {
    const FORM: &str = "invalid UUID format";
    let bytes = text.as_bytes();
    let bytes = match bytes.len() {
        36 => bytes,
        45 if bytes[..9].eq_ignore_ascii_case(b"urn:uuid:") => &bytes[9..],
        45 => {
            let prefix = quote(&String::from_utf8_lossy(&bytes[..9]));
            return Some(format!("invalid urn prefix: {prefix}"));
        }
        38 if bytes.starts_with(b"{") && bytes.ends_with(b"}") => &bytes[1..37],
        38 => return Some("invalid bracketed UUID format".to_owned()),
        32 => return (!bytes.iter().all(u8::is_ascii_hexdigit)).then(|| FORM.to_owned()),
        length => return Some(format!("invalid UUID length: {length}")),
    };
    let right = bytes.iter().enumerate().all(|(at, b)| match at {
        8 | 13 | 18 | 23 => *b == b'-',
        _ => b.is_ascii_hexdigit(),
    });
    (!right).then(|| FORM.to_owned())
}

/// A taint of a device.
pub fn taint(at: &At, errs: &mut FieldErrors) {
    label_name(&at.at("key"), errs);
    if !at.at("value").is_empty() {
        at.at("value").check(errs, label_value);
    }
    let effect = at.at("effect");
    if effect.is_empty() {
        effect.required(errs, "");
    } else {
        known_effect(&effect, errs);
    }
}

/// What lets a request have a device with a taint.
pub fn toleration(at: &At, errs: &mut FieldErrors) {
    if !at.at("key").is_empty() {
        label_name(&at.at("key"), errs);
    }
    let (operator, value) = (at.at("operator"), at.at("value"));
    match operator.str() {
        "Exists" if !value.is_empty() => value.invalid(errs, "must be empty for operator `Exists`"),
        "Exists" => {}
        "Equal" => drop(value.check(errs, label_value)),
        "" => operator.required(errs, ""),
        _ => operator.not_supported(errs, &["Equal", "Exists"]),
    }
    let effect = at.at("effect");
    if !effect.is_empty() {
        known_effect(&effect, errs);
    }
}

fn known_effect(at: &At, errs: &mut FieldErrors) {
    if !EFFECTS.contains(&at.str()) {
        at.not_supported(errs, &EFFECTS);
    }
}

/// The conditions that a device's binding waits for, and those that end it.
pub fn binding_conditions(at: &At, errs: &mut FieldErrors) {
    let (waits, fails) = (at.at("bindingConditions"), at.at("bindingFailureConditions"));
    bounded(&waits, MOST_CONDITIONS, errs, label_name);
    bounded(&fails, MOST_CONDITIONS, errs, label_name);
    let earlier = |list: &At, index: usize, condition: &str| list.strs().take(index).any(|other| other == condition);
    for (index, condition) in waits.items().enumerate() {
        if earlier(&waits, index, condition.str()) {
            condition.duplicate(errs);
        }
    }
    for (index, condition) in fails.items().enumerate() {
        if earlier(&fails, index, condition.str()) {
            condition.duplicate(errs);
        }
        if waits.strs().any(|other| other == condition.str()) {
            condition.invalid(errs, "bindingFailureConditions must not overlap with bindingConditions");
        }
    }
    if waits.is_empty() && !fails.is_empty() {
        waits.invalid(errs, "bindingConditions are required to use bindingFailureConditions");
    }
    if fails.is_empty() && !waits.is_empty() {
        fails.invalid(errs, "bindingFailureConditions are required to use bindingConditions");
    }
}

/// A name of one label: of a request, a device, a counter.
pub fn label(at: &At, errs: &mut FieldErrors) {
    at.check(errs, dns1123_label);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    #[test]
    fn identifiers_are_written_one_way() {
        for (text, wrong) in [
            ("01234567-89ab-cdef-0123-456789abcdef", None),
            ("01234567-89AB-cdef-0123-456789abcdef", Some("uid must be in RFC 4122 normalized form")),
            ("0123456789abcdef0123456789abcdef", Some("uid must be in RFC 4122 normalized form")),
            ("", Some("error validating uid: invalid UUID length: 0")),
            ("01234567-89ab-cdef-0123_456789abcdef", Some("error validating uid: invalid UUID format")),
            (
                "urn:uuix:01234567-89ab-cdef-0123-456789abcdef",
                Some("error validating uid: invalid urn prefix: \"urn:uuix:\""),
            ),
            ("{01234567-89ab-cdef-0123-456789abcdef)", Some("error validating uid: invalid bracketed UUID format")),
        ] {
            let found = uuid(text);
            assert_eq!(found.is_empty(), wrong.is_none(), "{text} {found:?}");
            assert!(found.first().is_none_or(|found| found.starts_with(wrong.unwrap())), "{text} {found:?}");
        }
    }

    #[test]
    fn long_keys_lose_their_middle() {
        assert_eq!(shortened("abcdefghijklmnopq", 17), "abcdefghijklmnopq");
        assert_eq!(shortened("abcdefghijklmnopqr", 17), "abcdefg...lmnopqr");
    }

    #[test]
    fn names_of_attributes_may_have_a_domain() {
        for (name, errors) in [
            ("a", &[][..]),
            ("d.example/a_b", &[]),
            (
                "/",
                &[
                    "Invalid value: \"\": the domain must not be empty",
                    "Invalid value: \"\": the name must not be empty",
                ],
            ),
            ("a/b/c", &[]),
        ] {
            let (value, mut errs) = (json!(name), FieldErrors::new());
            qualified_name(&At::new(&value, None), name, &mut errs);
            assert_eq!(errs.iter().map(|e| e.body()).collect::<Vec<_>>(), errors, "{name}");
        }
    }

    #[test]
    fn conditions_come_in_pairs() {
        let device = json!({"bindingConditions": ["a", "a"], "bindingFailureConditions": ["a"]});
        let mut errs = FieldErrors::new();
        binding_conditions(&At::new(&device, None), &mut errs);
        binding_conditions(&At::new(&json!({"bindingConditions": ["a"]}), None), &mut errs);
        assert_eq!(
            errs.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                "bindingConditions[1]: Duplicate value: \"a\"",
                "bindingFailureConditions[0]: Invalid value: \"a\": bindingFailureConditions must not overlap with \
                 bindingConditions",
                "bindingFailureConditions: Invalid value: null: bindingFailureConditions are required to use \
                 bindingConditions",
            ]
        );
    }

    #[test]
    fn tolerations_match_taints() {
        let mut errs = FieldErrors::new();
        toleration(&At::new(&json!({"operator": "Exists", "value": "v", "effect": "Go"}), None), &mut errs);
        toleration(&At::new(&json!({"key": "a"}), None), &mut errs);
        taint(&At::new(&json!({"key": "a", "value": "b"}), None), &mut errs);
        assert_eq!(
            errs.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                "value: Invalid value: \"v\": must be empty for operator `Exists`",
                "effect: Unsupported value: \"Go\": supported values: \"NoExecute\", \"NoSchedule\", \"None\"",
                "operator: Required value",
                "effect: Required value",
            ]
        );
    }
}
