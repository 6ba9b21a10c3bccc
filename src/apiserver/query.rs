//! A URL's query.

use std::borrow::Cow;

use super::route::decode;

/// Parameters in the order given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    /// Broken escapes drop their parameter, as Go does.
    pub fn parse(text: &'a str) -> Self {
        let pair = |part: &'a str| {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            Some((plus(key)?, plus(value)?))
        };
        Self(text.split('&').filter(|part| !part.is_empty() && !part.contains(';')).filter_map(pair).collect())
    }

    pub fn first(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_ref())
    }

    /// All values of a parameter.
    pub fn all<'s>(&'s self, key: &'s str) -> impl Iterator<Item = &'s str> {
        self.0.iter().filter(move |(known, _)| known == key).map(|(_, value)| value.as_ref())
    }

    pub fn has(&self, key: &str) -> bool {
        self.first(key).is_some()
    }
}

fn plus(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('+') {
        return decode(text);
    }
    let spaced = text.replace('+', " ");
    decode(&spaced).map(|decoded| Cow::Owned(decoded.into_owned()))
}

/// A boolean parameter of the API: given and neither `0` nor `false`.
pub fn is_true(value: &str) -> bool {
    !matches!(value.to_ascii_lowercase().as_str(), "false" | "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_as_go_does() {
        let query = Query::parse("a=1&b=x%20y+z&a=2&c&d=%zz");
        assert_eq!(query.all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!((query.first("b"), query.first("c"), query.first("d")), (Some("x y z"), Some(""), None));
        assert!(is_true("") && is_true("yes") && !is_true("False") && !is_true("0"));
    }
}
