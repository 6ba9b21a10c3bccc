//! The named formats of the `format` library.

use std::sync::LazyLock;

use base64::Engine;
use regex::Regex;

use super::time;
use crate::model::syntax::{self, Texts};
use crate::model::url::Url;

/// A format that a text can be asked to have.
#[derive(Debug)]
pub struct Format {
    pub name: &'static str,
    pub check: fn(&str) -> Texts,
    /// What a check costs at run time, as the length of a pattern.
    pub pattern_size: usize,
}

const UUID: &str = "(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$";

const fn format(name: &'static str, pattern_size: usize, check: fn(&str) -> Texts) -> Format {
    Format { name, check, pattern_size }
}

/// As `format.NAME()` gives them.
static FORMATS: [Format; 14] = [
    format("dns1123Label", 30, syntax::dns1123_label),
    format("dns1123Subdomain", 60, syntax::dns1123_subdomain),
    format("dns1035Label", 30, syntax::dns1035_label),
    format("qualifiedName", 60, syntax::label_key),
    format("dns1123LabelPrefix", 30, |text| syntax::dns1123_label(&whole(text))),
    format("dns1123SubdomainPrefix", 60, |text| syntax::dns1123_subdomain(&whole(text))),
    format("dns1035LabelPrefix", 30, |text| syntax::dns1035_label(&whole(text))),
    format("labelValue", 40, syntax::label_value),
    format("uri", 1103, |text| Url::parse_request(text).err().map(Into::into).into_iter().collect()),
    format("uuid", 70, |text| {
        static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(UUID).ok());
        unless(PATTERN.as_ref().is_some_and(|uuid| uuid.is_match(text)), "does not match the UUID format")
    }),
    format("byte", 84, |text| unless(is_base64(text), "invalid base64")),
    format("date", 71, |text| unless(time::parse_date(text).is_some(), "invalid date")),
    format("datetime", 71, |text| unless(time::parse(text).is_some(), "invalid datetime")),
    format("", 0, |_| Texts::new()),
];

/// The format of this name.
pub fn named(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name && !name.is_empty())
}

fn unless(right: bool, text: &'static str) -> Texts {
    if right { Texts::new() } else { [text.into()].into_iter().collect() }
}

/// A prefix may end with a hyphen: something will follow.
fn whole(prefix: &str) -> String {
    match prefix.strip_suffix('-') {
        Some(bare) => format!("{bare}a"),
        None => prefix.to_owned(),
    }
}

fn is_base64(text: &str) -> bool {
    text.len().is_multiple_of(4) && base64::engine::general_purpose::STANDARD.decode(text).is_ok()
}
