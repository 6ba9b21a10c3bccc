//! Names of fields that are no CEL identifiers, and the identifiers by which expressions know them.

use std::borrow::Cow;

/// Words that no field may be selected by.
const RESERVED: [&str; 21] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];
/// (as named, as escaped).
const ESCAPES: [(&str, &str); 4] = [("__", "__underscores__"), (".", "__dot__"), ("-", "__dash__"), ("/", "__slash__")];

/// Whether a variable may have this name.
pub fn is_identifier(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    let rest = |c: char| letter(c) || c.is_ascii_digit();
    name.starts_with(letter) && name.chars().all(rest) && !RESERVED.contains(&name)
}

/// The identifier of a field; `None` when it has none.
pub fn escape(name: &str) -> Option<Cow<'_, str>> {
    if RESERVED.contains(&name) {
        return Some(format!("__{name}__").into());
    }
    let first = name.chars().next()?;
    if first.is_ascii_digit() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-/".contains(c)) {
        return None;
    }
    if !name.contains(['.', '-', '/']) && !name.contains("__") {
        return Some(name.into());
    }
    let mut out = String::with_capacity(name.len() + 16);
    let mut rest = name;
    while let Some(letter) = rest.chars().next() {
        let found = ESCAPES.iter().find(|(from, _)| rest.starts_with(from));
        let (from, to) = found.copied().unwrap_or((&rest[..letter.len_utf8()], &rest[..letter.len_utf8()]));
        out.push_str(to);
        rest = &rest[from.len()..];
    }
    Some(out.into())
}

/// The field of an identifier; `None` when it is of none.
pub fn unescape(name: &str) -> Option<Cow<'_, str>> {
    if !name.contains("__") {
        return Some(name.into());
    }
    if let Some(word) =
        RESERVED.iter().find(|word| name.strip_prefix("__").and_then(|n| n.strip_suffix("__")) == Some(word))
    {
        return Some((*word).into());
    }
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find("__") {
        out.push_str(&rest[..at]);
        let (from, to) = ESCAPES.iter().find(|(_, escaped)| rest[at..].starts_with(escaped))?;
        out.push_str(from);
        rest = &rest[at + to.len()..];
    }
    out.push_str(rest);
    Some(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_identifiers() {
        for (name, identifier) in [
            ("a", "a"),
            ("a-b.c/d", "a__dash__b__dot__c__slash__d"),
            ("a__b", "a__underscores__b"),
            ("in", "__in__"),
            ("namespace", "__namespace__"),
            ("a_b", "a_b"),
        ] {
            assert_eq!(escape(name).as_deref(), Some(identifier));
            assert_eq!(unescape(identifier).as_deref(), Some(name));
        }
        assert_eq!(escape("1a"), None);
        assert_eq!(escape("a b"), None);
        assert_eq!(unescape("a__x__b"), None);
    }
}
