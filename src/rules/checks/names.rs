//! Names of objects and of things in them.

use smallvec::smallvec;

use crate::model::field::FieldErrors;
use crate::model::syntax::{self, Texts};
use crate::rules::at::At;

pub use crate::model::syntax::{
    dns1035_label, dns1123_label, dns1123_subdomain, dns1123_subdomain_caseless, dns1123_subdomain_underscore,
    label_key, label_value, path_segment, wildcard_dns1123_subdomain,
};

/// What names a kind's objects may have.
#[derive(Clone, Copy, Debug)]
pub enum NameRule {
    /// RFC 1123 subdomain; most kinds.
    Subdomain,
    /// RFC 1123 label: namespaces.
    Label,
    /// RFC 1035 label: services.
    Label1035,
    /// Whatever fits into a URL: roles, bindings.
    PathSegment,
    /// A rule of the kind's own, for a name or (`true`) the beginning of one.
    Own(fn(&str, bool) -> Texts),
}

impl NameRule {
    pub fn name(self, name: &str) -> Texts {
        match self {
            NameRule::Subdomain => dns1123_subdomain(name),
            NameRule::Label => dns1123_label(name),
            NameRule::Label1035 => dns1035_label(name),
            NameRule::PathSegment => path_segment(name),
            NameRule::Own(rule) => rule(name, false),
        }
    }

    /// A `generateName`, which may end in a dash.
    pub fn prefix(self, prefix: &str) -> Texts {
        match self {
            NameRule::PathSegment => syntax::path_segment_prefix(prefix),
            NameRule::Own(rule) => rule(prefix, true),
            other => other.name(&without_trailing_dash(prefix)),
        }
    }
}

/// The same text, ending in a letter instead of a dash and what stands before it, as stock judges it.
fn without_trailing_dash(prefix: &str) -> String {
    let mut name = prefix.to_owned();
    if prefix.len() > 1 && prefix.ends_with('-') {
        name.pop();
        // A letter outside ASCII is wrong and stays so.
        if name.ends_with(|c: char| c.is_ascii()) {
            name.pop();
        }
        name.push('a');
    }
    name
}

const C_IDENTIFIER: &str = "a valid C identifier must start with alphabetic character or '_', followed by a string of \
    alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is \
    '[A-Za-z_][A-Za-z0-9_]*')";
const ENV_VAR: &str = "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', \
    and must not start with a digit (e.g. 'my.env-name',  or 'MY_ENV.NAME',  or 'MyEnvName1', regex used for \
    validation is '[-._a-zA-Z][-._a-zA-Z0-9]*')";
const RELAXED_ENV_VAR: &str =
    "a valid environment variable name must consist only of printable ASCII characters other than '='";
const CONFIG_MAP_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  \
    or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

pub fn c_identifier(value: &str) -> Texts {
    let word = value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    unless(word && value.starts_with(|c: char| !c.is_ascii_digit()), C_IDENTIFIER)
}

/// The strict rule for the name of an environment variable.
pub fn env_var_name(value: &str) -> Texts {
    let word = value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    let mut wrong = unless(word && value.starts_with(|c: char| !c.is_ascii_digit()), ENV_VAR);
    wrong.extend(leaves_folder(value));
    wrong
}

/// The rule that pods use.
pub fn relaxed_env_var_name(value: &str) -> Texts {
    if value.is_empty() {
        return smallvec!["environment variable name must be non-empty".into()];
    }
    unless(value.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'='), RELAXED_ENV_VAR)
}

/// A key of a ConfigMap or Secret.
pub fn config_map_key(value: &str) -> Texts {
    let mut wrong = Texts::new();
    if value.len() > syntax::DNS1123_SUBDOMAIN_BYTES {
        wrong.push("must be no more than 253 characters".into());
    }
    if value.is_empty() || !value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) {
        wrong.push(CONFIG_MAP_KEY.into());
    }
    wrong.extend(leaves_folder(value));
    wrong
}

fn leaves_folder(value: &str) -> Texts {
    match value {
        "." => smallvec!["must not be '.'".into()],
        ".." => smallvec!["must not be '..'".into()],
        _ => unless(!value.starts_with(".."), "must not start with '..'"),
    }
}

/// The name of a port (IANA service name, RFC 6335).
pub fn port_name(value: &str) -> Texts {
    let mut wrong = unless(value.len() <= 15, "must be no more than 15 characters");
    let (mut charset, mut letter) = (!value.is_empty(), false);
    for byte in value.bytes() {
        letter |= byte.is_ascii_lowercase();
        charset &= byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    }
    wrong.extend(unless(charset, "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"));
    wrong.extend(unless(letter, "must contain at least one letter (a-z)"));
    wrong.extend(unless(!value.contains("--"), "must not contain consecutive hyphens"));
    let edge = value.starts_with('-') || value.ends_with('-');
    wrong.extend(unless(!edge, "must not begin or end with a hyphen"));
    wrong
}

pub(super) fn unless(right: bool, text: &'static str) -> Texts {
    if right { Texts::new() } else { smallvec![text.into()] }
}

/// A domain of at least three segments.
pub fn fully_qualified_name(at: &At, errs: &mut FieldErrors) {
    if let Some(name) = required(at, errs).filter(|name| is_subdomain(at, name, errs))
        && name.split('.').count() < 3
    {
        at.invalid(errs, "should be a domain with at least three segments separated by dots");
    }
}

/// A domain of at least two segments, each a label; it may end in a dot.
pub fn fully_qualified_domain_name(at: &At, errs: &mut FieldErrors) {
    let Some(name) = required(at, errs) else { return };
    let name = name.strip_suffix('.').unwrap_or(name);
    if !is_subdomain(at, name, errs) {
        return;
    }
    if !name.contains('.') {
        at.invalid_as(errs, name, "should be a domain with at least two segments separated by dots");
        return;
    }
    for label in name.split('.') {
        let wrong = dns1123_label(label);
        if !wrong.is_empty() {
            at.invalid_as(errs, label, wrong.join(","));
            return;
        }
    }
}

/// A domain, a slash and a path: the name of a controller or a signer.
pub fn domain_prefixed_path(at: &At, errs: &mut FieldErrors) {
    let Some(name) = required(at, errs) else { return };
    let (host, path) = name.split_once('/').unwrap_or((name, ""));
    if host.is_empty() || path.is_empty() {
        at.invalid(errs, "must be a domain-prefixed path (such as \"acme.io/foo\")");
        return;
    }
    for text in dns1123_subdomain(host) {
        at.invalid_as(errs, host, text);
    }
    if !path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&b)) {
        at.invalid_as(errs, path, r"Invalid path (regex used for validation is '[A-Za-z0-9/\-._~%!$&'()*+,;=:]+')");
    }
}

/// A label key with a domain before it.
pub fn domain_prefixed_key(at: &At, errs: &mut FieldErrors) {
    if let Some(key) = required(at, errs)
        && at.check(errs, label_key)
        && !key.contains('/')
    {
        at.invalid(errs, "must be a domain-prefixed key (such as \"acme.io/foo\")");
    }
}

/// The name of a CSI driver: at most 63 bytes of a subdomain, in any case.
pub fn csi_driver_name(at: &At, errs: &mut FieldErrors) {
    let Some(name) = required(at, errs) else { return };
    if name.len() > syntax::LABEL_BYTES {
        at.too_long(errs, syntax::LABEL_BYTES);
    }
    at.check(errs, |name| {
        if name.bytes().any(|b| !b.is_ascii() || b.is_ascii_uppercase()) {
            dns1123_subdomain(&name.to_lowercase())
        } else {
            dns1123_subdomain(name)
        }
    });
}

fn required<'v>(at: &At<'_, 'v>, errs: &mut FieldErrors) -> Option<&'v str> {
    if at.is_empty() {
        at.required(errs, "");
        return None;
    }
    Some(at.str())
}

fn is_subdomain(at: &At, name: &str, errs: &mut FieldErrors) -> bool {
    let wrong = dns1123_subdomain(name);
    if !wrong.is_empty() {
        at.invalid_as(errs, name, wrong.join(","));
    }
    wrong.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;
    use crate::rules::at::Rule;

    #[test]
    fn names_in_objects() {
        type Check = fn(&str) -> Texts;
        let cases: &[(Check, &str, &[&str])] = &[
            (c_identifier, "_a1", &[]),
            (c_identifier, "1a", &[C_IDENTIFIER]),
            (c_identifier, "", &[C_IDENTIFIER]),
            (env_var_name, "a.b-c", &[]),
            (env_var_name, "..a=", &[ENV_VAR, "must not start with '..'"]),
            (relaxed_env_var_name, "1 a?", &[]),
            (relaxed_env_var_name, "a=b", &[RELAXED_ENV_VAR]),
            (relaxed_env_var_name, "", &["environment variable name must be non-empty"]),
            (config_map_key, "a.B_c", &[]),
            (config_map_key, "", &[CONFIG_MAP_KEY]),
            (config_map_key, "..", &["must not be '..'"]),
            (port_name, "http-1", &[]),
            (
                port_name,
                "",
                &[
                    "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
                    "must contain at least one letter (a-z)",
                ],
            ),
            (
                port_name,
                "-1--2",
                &[
                    "must contain at least one letter (a-z)",
                    "must not contain consecutive hyphens",
                    "must not begin or end with a hyphen",
                ],
            ),
            (port_name, "a234567890123456", &["must be no more than 15 characters"]),
        ];
        for (check, value, wrong) in cases {
            assert_eq!(check(value).as_slice(), *wrong, "{value:?}");
        }
    }

    #[test]
    fn a_generated_name_may_end_in_a_dash() {
        for (rule, prefix, right) in [
            (NameRule::Subdomain, "web-", true),
            (NameRule::Subdomain, "web.-", true),
            (NameRule::Subdomain, "-", false),
            (NameRule::Subdomain, "a--", true),
            (NameRule::Subdomain, "é-", false),
            (NameRule::Label, "a.b-", false),
            (NameRule::Label1035, "0-", true),
            (NameRule::PathSegment, "..", true),
            (NameRule::PathSegment, "a/", false),
        ] {
            assert_eq!(rule.prefix(prefix).is_empty(), right, "{rule:?} {prefix}");
        }
        assert_eq!(NameRule::PathSegment.name("..").as_slice(), ["may not be '..'"]);
    }

    #[test]
    fn qualified_names() {
        let cases: &[(Rule, &str, &str)] = &[
            (fully_qualified_name, "a.b.c", ""),
            (fully_qualified_name, "", "<nil>: Required value"),
            (
                fully_qualified_name,
                "a.b",
                "<nil>: Invalid value: \"a.b\": should be a domain with at least three segments separated by dots",
            ),
            (fully_qualified_domain_name, "a.b.", ""),
            (
                fully_qualified_domain_name,
                "a.",
                "<nil>: Invalid value: \"a\": should be a domain with at least two segments separated by dots",
            ),
            (domain_prefixed_path, "a.b/C/d%", ""),
            (
                domain_prefixed_path,
                "a.b/",
                "<nil>: Invalid value: \"a.b/\": must be a domain-prefixed path (such as \"acme.io/foo\")",
            ),
            (
                domain_prefixed_path,
                "a/ b",
                r#"<nil>: Invalid value: " b": Invalid path (regex used for validation is '[A-Za-z0-9/\-._~%!$&'()*+,;=:]+')"#,
            ),
            (
                domain_prefixed_key,
                "a",
                "<nil>: Invalid value: \"a\": must be a domain-prefixed key (such as \"acme.io/foo\")",
            ),
            (csi_driver_name, "Csi.Example", ""),
        ];
        for (check, name, error) in cases {
            let (value, mut errs) = (json!(name), FieldErrors::new());
            check(&At::new(&value, None), &mut errs);
            let found: Vec<_> = errs.iter().map(ToString::to_string).collect();
            assert_eq!(found.join("\n"), *error);
        }
    }
}
