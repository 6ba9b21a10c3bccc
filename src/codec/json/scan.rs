//! Reads metadata and single fields straight from an object's JSON text, and splices a resourceVersion in.
//!
//! The text has passed [`normal`]: it is UTF-8, and neither the object nor its metadata has a key twice.

use std::borrow::Cow;

use super::parse::{Parser, Result, Token, Unreadable, parse};
use super::write::string;

/// The text of one JSON object, as it is, or written anew where scanning could stumble: invalid UTF-8, keys given
/// twice (the last one wins).
pub fn normal(text: &[u8]) -> Result<Cow<'_, [u8]>> {
    let mut parser = Parser::new(text);
    let mut twice = repeats(&mut parser, &mut |key, value| match key {
        "metadata" if value.starts_with(b"{") => repeats(&mut Parser::new(value), &mut |_, _| Ok(false)),
        _ => Ok(false),
    })?;
    parser.end()?;
    twice |= std::str::from_utf8(text).is_err();
    if !twice {
        return Ok(Cow::Borrowed(text));
    }
    serde_json::to_vec(&parse(text)?).map(Cow::Owned).map_err(|_| Unreadable)
}

/// Whether an object has a key twice, or `within` says so of a member.
fn repeats<'a>(parser: &mut Parser<'a>, within: &mut dyn FnMut(&str, &'a [u8]) -> Result<bool>) -> Result<bool> {
    let (mut seen, mut twice) = (Vec::new(), false);
    if parser.token()? != Token::Object {
        return Err(Unreadable);
    }
    parser.object(|parser, key| {
        twice |= within(&key, parser.raw()?)?;
        seen.push(key);
        Ok::<_, Unreadable>(())
    })?;
    seen.sort_unstable();
    Ok(twice || seen.windows(2).any(|pair| pair[0] == pair[1]))
}

/// Why reading members ended early.
enum Stop {
    Found,
    Unreadable,
}

impl From<Unreadable> for Stop {
    fn from(_: Unreadable) -> Self {
        Stop::Unreadable
    }
}

/// The text of a member's value; `None` when there is none, or `object` is none.
pub fn member<'a>(object: &'a [u8], wanted: &str) -> Result<Option<&'a [u8]>> {
    let (mut parser, mut found) = (Parser::new(object), None);
    if parser.token()? != Token::Object {
        return Ok(None);
    }
    let end = parser.object(|parser, key| {
        let value = parser.raw()?;
        if key == wanted {
            found = Some(value);
            return Err(Stop::Found);
        }
        Ok(())
    });
    match end {
        Ok(()) | Err(Stop::Found) => Ok(found),
        Err(Stop::Unreadable) => Err(Unreadable),
    }
}

/// A text of the object itself: `kind`, `apiVersion`. Empty when unset.
pub fn text<'a>(object: &'a [u8], key: &str) -> Result<Cow<'a, str>> {
    Ok(member(object, key)?.and_then(unquoted).unwrap_or_default())
}

/// A text of the metadata, empty when unset.
pub fn meta_text<'a>(object: &'a [u8], key: &str) -> Result<Cow<'a, str>> {
    text(metadata(object)?, key)
}

/// The metadata's text: an object, `{}` when there is none.
pub fn metadata(object: &[u8]) -> Result<&[u8]> {
    Ok(member(object, "metadata")?.filter(|value| value.starts_with(b"{")).unwrap_or(b"{}"))
}

/// (key, value) of every label.
pub fn labels(object: &[u8]) -> Result<Vec<(Cow<'_, str>, Cow<'_, str>)>> {
    let mut labels = Vec::new();
    if let Some(text) = member(metadata(object)?, "labels")?.filter(|text| text.starts_with(b"{")) {
        Parser::new(text).object(|parser, key| {
            labels.push((key, unquoted(parser.raw()?).unwrap_or_default()));
            Ok::<_, Unreadable>(())
        })?;
    }
    Ok(labels)
}

/// The text of every owner reference.
pub fn owners(object: &[u8]) -> Result<Vec<&[u8]>> {
    items(object, "ownerReferences")
}

pub fn finalizers(object: &[u8]) -> Result<Vec<Cow<'_, str>>> {
    Ok(items(object, "finalizers")?.into_iter().filter_map(unquoted).collect())
}

/// The text of every item of a list of the metadata.
fn items<'a>(object: &'a [u8], list: &str) -> Result<Vec<&'a [u8]>> {
    let mut items = Vec::new();
    if let Some(text) = member(metadata(object)?, list)?.filter(|text| text.starts_with(b"[")) {
        Parser::new(text).array(|parser, _| {
            items.push(parser.raw()?);
            Ok::<_, Unreadable>(())
        })?;
    }
    Ok(items)
}

/// The text of the value at a path of names; `None` when it is unset.
pub fn at<'a>(object: &'a [u8], path: &[&str]) -> Result<Option<&'a [u8]>> {
    let mut value = object;
    for name in path {
        match member(value, name)? {
            Some(inner) => value = inner,
            None => return Ok(None),
        }
    }
    Ok(Some(value))
}

/// The content of a JSON string; `None` for any other value.
pub fn unquoted(value: &[u8]) -> Option<Cow<'_, str>> {
    if value.starts_with(b"\"") { Parser::new(value).text().ok() } else { None }
}

const RESOURCE_VERSION: &str = "resourceVersion";

/// The text with `metadata.resourceVersion` set, where sorted keys have it. All other members stay as they are.
pub fn splice_resource_version(object: &[u8], version: &str) -> Result<Vec<u8>> {
    let (mut parser, mut place) = (Parser::new(object), None);
    if parser.token()? != Token::Object {
        return Err(Unreadable);
    }
    parser.object(|parser, key| {
        let value = parser.raw()?;
        if key == "metadata" && value.starts_with(b"{") {
            place = Some((parser.position() - value.len(), parser.position()));
        }
        Ok::<_, Unreadable>(())
    })?;
    let (start, end) = place.ok_or(Unreadable)?;
    let mut out = Vec::with_capacity(object.len() + version.len() + RESOURCE_VERSION.len() + 6);
    out.extend_from_slice(&object[..start]);
    with_version(&mut out, &object[start..end], version)?;
    out.extend_from_slice(&object[end..]);
    Ok(out)
}

fn with_version(out: &mut Vec<u8>, metadata: &[u8], version: &str) -> Result<()> {
    let (mut first, mut written) = (true, false);
    let mut put = |key: &str, value: &[u8]| {
        out.push(if std::mem::take(&mut first) { b'{' } else { b',' });
        string(out, key);
        out.push(b':');
        out.extend_from_slice(value);
    };
    let version = format!("\"{version}\"");
    Parser::new(metadata).object(|parser, key| {
        let value = parser.raw()?;
        if !written && &*key >= RESOURCE_VERSION {
            put(RESOURCE_VERSION, version.as_bytes());
            written = true;
        }
        if key != RESOURCE_VERSION {
            put(&key, value);
        }
        Ok::<_, Unreadable>(())
    })?;
    if !written {
        put(RESOURCE_VERSION, version.as_bytes());
    }
    out.push(b'}');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const THING: &[u8] = br#"{ "apiVersion": "x.io/v1", "kind": "Thing", "metadata": {"labels": {"a": "1", "b": "\u0032"},
        "name": "t", "ownerReferences": [{"uid": "o"}], "uid": "u"}, "spec": {"size": 3, "on": true, "x": {"y": "z"}} }"#;

    #[test]
    fn metadata_and_fields_are_read_from_the_text() {
        assert_eq!(meta_text(THING, "name").as_deref(), Ok("t"));
        assert_eq!(text(THING, "kind").as_deref(), Ok("Thing"));
        let labels = labels(THING).expect("labels");
        assert_eq!(labels, [("a".into(), "1".into()), ("b".into(), Cow::<str>::from("2"))]);
        let owners = owners(THING).expect("owners");
        assert_eq!(owners.iter().map(|o| text(o, "uid").expect("a uid")).collect::<Vec<_>>(), ["o"]);
        assert_eq!(at(THING, &["spec", "x", "y"]), Ok(Some(b"\"z\"".as_slice())));
        assert_eq!(at(THING, &["spec", "size"]), Ok(Some(b"3".as_slice())));
        assert_eq!(at(THING, &["spec", "size", "more"]), Ok(None));
        assert_eq!(at(THING, &["status", "x"]), Ok(None));
    }

    #[test]
    fn a_resource_version_is_set_in_its_place() {
        for (metadata, spliced) in [
            (r#"{"name":"t","uid":"u"}"#, r#"{"name":"t","resourceVersion":"12","uid":"u"}"#),
            (r#"{"name":"t","resourceVersion":"3","uid":"u"}"#, r#"{"name":"t","resourceVersion":"12","uid":"u"}"#),
            (r#"{"uid":"u", "resourceVersion":"", "name":"t"}"#, r#"{"resourceVersion":"12","uid":"u","name":"t"}"#),
            (r#"{ "name" : "t" }"#, r#"{"name":"t","resourceVersion":"12"}"#),
            ("{}", r#"{"resourceVersion":"12"}"#),
        ] {
            let text = format!(r#"{{"kind":"Thing","metadata":{metadata},"spec":{{}}}}"#);
            let out = splice_resource_version(text.as_bytes(), "12").expect("spliced");
            let wanted = format!(r#"{{"kind":"Thing","metadata":{spliced},"spec":{{}}}}"#);
            assert_eq!(String::from_utf8_lossy(&out), wanted);
        }
        assert_eq!(splice_resource_version(br#"{"kind":"Thing"}"#, "1"), Err(Unreadable));
    }

    #[test]
    fn what_scanning_could_misread_is_written_anew() {
        assert!(matches!(normal(THING), Ok(Cow::Borrowed(_))));
        let rewritten = |text: &[u8]| normal(text).map(|text| String::from_utf8_lossy(&text).into_owned());
        assert_eq!(
            rewritten(br#"{"metadata":{"name":"a"},"metadata":{"name":"b"}}"#).as_deref(),
            Ok(r#"{"metadata":{"name":"b"}}"#)
        );
        assert_eq!(
            rewritten(br#"{"metadata":{"name":"a","name":"b"}}"#).as_deref(),
            Ok(r#"{"metadata":{"name":"b"}}"#)
        );
        assert_eq!(rewritten(b"{\"a\":\"\xff\"}").as_deref(), Ok("{\"a\":\"\u{fffd}\"}"));
        for wrong in ["", "[]", "{", "{} x", "{\"a\":}"] {
            assert_eq!(normal(wrong.as_bytes()), Err(Unreadable), "{wrong}");
        }
    }
}
