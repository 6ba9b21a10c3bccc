//! Field selectors: `metadata.name=a,spec.nodeName!=`.

use std::borrow::Cow;
use std::fmt;

use compact_str::CompactString;

/// Selects objects by fields; all terms must hold. The default selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector {
    terms: Vec<Term>,
}

/// `field=value` or `field!=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    pub field: CompactString,
    pub value: CompactString,
    /// `=`, not `!=`.
    pub equal: bool,
}

impl FieldSelector {
    /// Reads a selector; the error is stock's text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = split_terms(text);
        parts.sort_unstable();
        let mut terms = Vec::new();
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            let Some((field, equal, value)) = split_term(part) else {
                return Err(format!("invalid selector: '{text}'; can't understand '{part}'"));
            };
            let value = unescape(value)?;
            if !(field.is_empty() && value.is_empty()) {
                terms.push(Term { field: field.into(), value: value.into(), equal });
            }
        }
        Ok(Self { terms })
    }

    pub fn of_field(field: &str, value: &str) -> Self {
        Self { terms: vec![Term { field: field.into(), value: value.into(), equal: true }] }
    }

    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    pub fn is_everything(&self) -> bool {
        self.terms.is_empty()
    }

    /// Each field and value as another version of the kind has it. A term that becomes two empty texts falls away.
    pub fn transformed<E>(
        &self,
        change: impl Fn(&str, &str) -> Result<(CompactString, CompactString), E>,
    ) -> Result<Self, E> {
        let mut terms = Vec::with_capacity(self.terms.len());
        for term in &self.terms {
            let (field, value) = change(&term.field, &term.value)?;
            if !(field.is_empty() && value.is_empty()) {
                terms.push(Term { field, value, equal: term.equal });
            }
        }
        Ok(Self { terms })
    }

    /// Whether fields given by a lookup, empty when unset, meet all terms.
    pub fn matches_by<'a>(&self, lookup: impl Fn(&str) -> Cow<'a, str>) -> bool {
        self.terms.iter().all(|term| (lookup(&term.field) == term.value.as_str()) == term.equal)
    }

    /// The value that a field must have.
    pub fn exact_match(&self, field: &str) -> Option<&str> {
        self.terms.iter().find(|t| t.equal && t.field == field).map(|t| t.value.as_str())
    }
}

/// At commas that are not escaped.
fn split_terms(text: &str) -> Vec<&str> {
    let (mut terms, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b',' => {
                terms.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[start..]);
    terms
}

fn split_term(term: &str) -> Option<(&str, bool, &str)> {
    let at = term.char_indices().map(|(at, _)| at).find(|at| {
        let rest = &term[*at..];
        rest.starts_with('=') || rest.starts_with("!=")
    })?;
    let (field, rest) = term.split_at(at);
    match (rest.strip_prefix("!="), rest.strip_prefix("==")) {
        (Some(value), _) => Some((field, false, value)),
        (_, Some(value)) => Some((field, true, value)),
        _ => Some((field, true, &rest[1..])),
    }
}

fn unescape(value: &str) -> Result<Cow<'_, str>, String> {
    if !value.contains(['\\', ',', '=']) {
        return Ok(value.into());
    }
    let bad = |sequence: &str| format!("invalid field selector: invalid escape sequence: {sequence}");
    let mut out = String::with_capacity(value.len());
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some(escaped @ ('\\' | ',' | '=')) => out.push(escaped),
                Some(other) => return Err(bad(&format!("\\{other}"))),
                None => return Err(bad("\\")),
            },
            ',' | '=' => {
                return Err(format!("invalid field selector: unescaped character in value: {}", letter as u32));
            }
            other => out.push(other),
        }
    }
    Ok(out.into())
}

impl fmt::Display for FieldSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, term) in self.terms.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            write!(f, "{}{}", term.field, if term.equal { "=" } else { "!=" })?;
            for letter in term.value.chars() {
                if matches!(letter, '\\' | ',' | '=') {
                    f.write_str("\\")?;
                }
                write!(f, "{letter}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn selectors_are_read_as_stock_reads_them() {
        for (text, read) in [
            ("", Ok("")),
            (",,", Ok("")),
            ("b=2,a!=1", Ok("a!=1,b=2")),
            ("a==1", Ok("a=1")),
            (r"a=x\,y\=z\\", Ok(r"a=x\,y\=z\\")),
            ("=,a=", Ok("a=")),
            ("a", Err("invalid selector: 'a'; can't understand 'a'")),
            ("b=1,a", Err("invalid selector: 'b=1,a'; can't understand 'a'")),
            ("a=b=c", Err("invalid field selector: unescaped character in value: 61")),
            (r"a=\x", Err(r"invalid field selector: invalid escape sequence: \x")),
            ("a=\\", Err("invalid field selector: invalid escape sequence: \\")),
        ] {
            let found = FieldSelector::parse(text).map(|s| s.to_string());
            assert_eq!(found.as_deref().map_err(String::as_str), read, "{text:?}");
        }
    }

    #[test]
    fn fields_are_matched() {
        let selector = FieldSelector::parse("metadata.name=a,spec.nodeName!=").expect("a selector");
        let pod =
            |node: &'static str| move |field: &str| Cow::Borrowed(if field == "metadata.name" { "a" } else { node });
        assert!(selector.matches_by(pod("n1")) && !selector.matches_by(pod("")));
        assert_eq!((selector.exact_match("metadata.name"), selector.exact_match("spec.nodeName")), (Some("a"), None));
    }

    #[test]
    fn a_term_that_becomes_empty_falls_away() {
        let selector = FieldSelector::parse("a=1,b=2").expect("a selector");
        let changed = selector.transformed(|field, value| match field {
            "a" => Ok(("".into(), "".into())),
            "b" => Ok(("c".into(), value.into())),
            _ => Err(()),
        });
        assert_eq!(changed.map(|s| s.to_string()), Ok("c=2".to_owned()));
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,20}|[a-z=!,\\\\é]{0,30}") {
            let _ = FieldSelector::parse(&text);
        }

        #[test]
        fn what_is_printed_is_read_again(field in "[a-z.]{1,8}", value in "\\PC{0,12}") {
            let selector = FieldSelector::of_field(&field, &value);
            prop_assert_eq!(FieldSelector::parse(&selector.to_string()), Ok(selector));
        }
    }
}
