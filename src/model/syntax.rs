//! The syntax of names and labels (RFC 1123, RFC 1035, Kubernetes' own), with the texts that clients know.
//!
//! Every check gives the texts of what is wrong, none when all is well. Matching is by hand; the expressions
//! stand in the texts only.

use std::borrow::Cow;

use smallvec::{SmallVec, smallvec};

/// What is wrong with a text, in stock's words and order; empty when it is right.
pub type Texts = SmallVec<[Cow<'static, str>; 1]>;

pub const DNS1123_LABEL_BYTES: usize = 63;
pub const DNS1123_SUBDOMAIN_BYTES: usize = 253;
pub const LABEL_BYTES: usize = 63;

macro_rules! label {
    () => {
        "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
    };
}
macro_rules! subdomain {
    () => {
        concat!(label!(), "(\\.", label!(), ")*")
    };
}
macro_rules! subdomain_text {
    () => {
        concat!(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start \
             and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '",
            subdomain!(),
            "')"
        )
    };
}
macro_rules! key_text {
    () => {
        "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character \
         (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
    };
}

const LABEL: &str = concat!(
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an \
     alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '",
    label!(),
    "')"
);
const SUBDOMAIN: &str = subdomain_text!();
const SUBDOMAIN_CASELESS: &str = concat!(
    "an RFC 1123 subdomain must consist of alphanumeric characters, '-' or '.', and must start and end with an \
     alphanumeric character (e.g. 'Example.com', regex used for validation is '",
    subdomain!(),
    "')"
);
const SUBDOMAIN_UNDERSCORE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start \
     and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
     '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end \
     with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is \
     '[a-z]([-a-z0-9]*[a-z0-9])?')";
const WILDCARD: &str = concat!(
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case \
     alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for \
     validation is '\\*\\.",
    subdomain!(),
    "')"
);
const KEY_SHAPE: &str = concat!(
    "a valid label key ",
    key_text!(),
    " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
);
const KEY_NAME: &str = concat!("name part ", key_text!());
const KEY_PREFIX: &str = concat!("prefix part ", subdomain_text!());
const VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
    start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation \
    is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/// RFC 1123 label: the name of a namespace.
pub fn dns1123_label(value: &str) -> Texts {
    let mut wrong = too_long(value, DNS1123_LABEL_BYTES, "must be no more than 63 characters");
    if !is_label(value) {
        wrong.push(if is_subdomain(value, is_label) { "must not contain dots" } else { LABEL }.into());
    }
    wrong
}

/// RFC 1123 subdomain: the name of most objects.
pub fn dns1123_subdomain(value: &str) -> Texts {
    subdomain_of(value, is_label, SUBDOMAIN, "must be no more than 253 characters")
}

/// The same, also with upper case letters; counted in bytes.
pub fn dns1123_subdomain_caseless(value: &str) -> Texts {
    let is_label = |l: &str| is_word(l, |b| b.is_ascii_alphanumeric(), |b| b == b'-');
    subdomain_of(value, is_label, SUBDOMAIN_CASELESS, "must be no more than 253 bytes")
}

/// The same, also with underscores: names in DNS search lists.
pub fn dns1123_subdomain_underscore(value: &str) -> Texts {
    let is_label = |l: &str| {
        let rest = l.strip_prefix('_').unwrap_or(l);
        is_word(rest, |b| b.is_ascii_lowercase() || b.is_ascii_digit(), |b| b == b'-' || b == b'_')
    };
    subdomain_of(value, is_label, SUBDOMAIN_UNDERSCORE, "must be no more than 253 characters")
}

/// RFC 1035 label: the name of a service.
pub fn dns1035_label(value: &str) -> Texts {
    let mut wrong = too_long(value, DNS1123_LABEL_BYTES, "must be no more than 63 characters");
    if !(is_label(value) && value.starts_with(|c: char| c.is_ascii_lowercase())) {
        wrong.push(LABEL_1035.into());
    }
    wrong
}

/// `*.` and a subdomain.
pub fn wildcard_dns1123_subdomain(value: &str) -> Texts {
    let mut wrong = too_long(value, DNS1123_SUBDOMAIN_BYTES, "must be no more than 253 characters");
    if !value.strip_prefix("*.").is_some_and(|rest| is_subdomain(rest, is_label)) {
        wrong.push(WILDCARD.into());
    }
    wrong
}

/// A qualified name: the key of a label, a finalizer, an annotation in lower case.
pub fn label_key(value: &str) -> Texts {
    let mut wrong = Texts::new();
    let name = match value.split_once('/') {
        None => value,
        Some((_, name)) if name.contains('/') => return smallvec![KEY_SHAPE.into()],
        Some(("", name)) => {
            wrong.push("prefix part must be non-empty".into());
            name
        }
        Some((prefix, name)) => {
            wrong = subdomain_of(prefix, is_label, KEY_PREFIX, "prefix part must be no more than 253 bytes");
            name
        }
    };
    if name.is_empty() {
        wrong.push("name part must be non-empty".into());
    } else if name.len() > LABEL_BYTES {
        wrong.push("name part must be no more than 63 bytes".into());
    }
    if !is_label_word(name) {
        wrong.push(KEY_NAME.into());
    }
    wrong
}

pub fn label_value(value: &str) -> Texts {
    let mut wrong = too_long(value, LABEL_BYTES, "must be no more than 63 bytes");
    if !value.is_empty() && !is_label_word(value) {
        wrong.push(VALUE.into());
    }
    wrong
}

/// What may stand as one segment of a URL's path.
pub fn path_segment(value: &str) -> Texts {
    match value {
        "." => smallvec!["may not be '.'".into()],
        ".." => smallvec!["may not be '..'".into()],
        _ => path_segment_prefix(value),
    }
}

/// The same of the beginning of a name.
pub fn path_segment_prefix(value: &str) -> Texts {
    let mut wrong = Texts::new();
    if value.contains('/') {
        wrong.push("may not contain '/'".into());
    }
    if value.contains('%') {
        wrong.push("may not contain '%'".into());
    }
    wrong
}

fn too_long(value: &str, most: usize, text: &'static str) -> Texts {
    if value.len() > most { smallvec![text.into()] } else { Texts::new() }
}

fn subdomain_of(value: &str, is_label: impl Fn(&str) -> bool, text: &'static str, long: &'static str) -> Texts {
    let mut wrong = too_long(value, DNS1123_SUBDOMAIN_BYTES, long);
    if !is_subdomain(value, is_label) {
        wrong.push(text.into());
    }
    wrong
}

fn is_subdomain(value: &str, is_label: impl Fn(&str) -> bool) -> bool {
    value.split('.').all(is_label)
}

fn is_label(value: &str) -> bool {
    is_word(value, |b| b.is_ascii_lowercase() || b.is_ascii_digit(), |b| b == b'-')
}

fn is_label_word(value: &str) -> bool {
    is_word(value, |b| b.is_ascii_alphanumeric(), |b| matches!(b, b'-' | b'_' | b'.'))
}

/// Letters, and between the first and the last also links.
fn is_word(value: &str, letter: impl Fn(u8) -> bool, link: impl Fn(u8) -> bool) -> bool {
    match value.as_bytes() {
        [] => false,
        [one] => letter(*one),
        [first, middle @ .., last] => letter(*first) && letter(*last) && middle.iter().all(|b| letter(*b) || link(*b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Check = fn(&str) -> Texts;

    #[test]
    fn wrong_names_are_told_as_stock_tells_them() {
        let long = "a".repeat(254);
        let cases: &[(Check, &str, &[&str])] = &[
            (dns1123_label, "my-name", &[]),
            (dns1123_label, "a.b", &["must not contain dots"]),
            (dns1123_label, "-a", &[LABEL]),
            (dns1123_label, &long, &["must be no more than 63 characters"]),
            (dns1123_subdomain, "a.b-c.0", &[]),
            (dns1123_subdomain, "a..b", &[SUBDOMAIN]),
            (dns1123_subdomain, "", &[SUBDOMAIN]),
            (dns1123_subdomain, &long, &["must be no more than 253 characters"]),
            (dns1123_subdomain_caseless, "A.b", &[]),
            (dns1123_subdomain_underscore, "_a._b-c", &[]),
            (dns1123_subdomain_underscore, "__a", &[SUBDOMAIN_UNDERSCORE]),
            (dns1035_label, "0a", &[LABEL_1035]),
            (dns1035_label, "a.b", &[LABEL_1035]),
            (wildcard_dns1123_subdomain, "*.a.b", &[]),
            (wildcard_dns1123_subdomain, "a.*.b", &[WILDCARD]),
            (label_key, "a.b/C_d", &[]),
            (label_key, "a/b/c", &[KEY_SHAPE]),
            (label_key, "/b", &["prefix part must be non-empty"]),
            (label_key, "A/", &[KEY_PREFIX, "name part must be non-empty", KEY_NAME]),
            (label_key, &long, &["name part must be no more than 63 bytes"]),
            (label_value, "", &[]),
            (label_value, "a b", &[VALUE]),
            (label_value, &long, &["must be no more than 63 bytes"]),
            (path_segment, "..", &["may not be '..'"]),
            (path_segment, "a%/b", &["may not contain '/'", "may not contain '%'"]),
        ];
        for (check, value, wrong) in cases {
            assert_eq!(check(value).as_slice(), *wrong, "{value:?}");
        }
    }

    #[test]
    fn texts_quote_the_expression() {
        assert_eq!(
            dns1123_subdomain("A")[0],
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
             start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
             '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
        );
        assert_eq!(
            label_key("a b")[0],
            "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
             alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
             '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
        );
    }
}
