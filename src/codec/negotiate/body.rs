//! Content-Type -> the decoder of a body, or the kind of a patch.

use super::{Media, joined, offered};
use crate::model::status::{Result, Status};

/// The form of a request's body; JSON when the header is empty. Fails with 415.
pub fn of_body(content_type: &str, cbor: bool) -> Result<Media> {
    if content_type.is_empty() {
        return Ok(Media::Json);
    }
    let known = |name: String| offered(cbor).iter().copied().find(|media| media.content_type() == name);
    media_type(content_type)
        .and_then(known)
        .ok_or_else(|| unknown(joined(offered(cbor).iter().map(|media| media.content_type()))))
}

/// A kind of patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PatchType {
    Json,
    Merge,
    Strategic,
    ApplyYaml,
    ApplyCbor,
}

impl PatchType {
    pub fn content_type(self) -> &'static str {
        match self {
            PatchType::Json => "application/json-patch+json",
            PatchType::Merge => "application/merge-patch+json",
            PatchType::Strategic => "application/strategic-merge-patch+json",
            PatchType::ApplyYaml => "application/apply-patch+yaml",
            PatchType::ApplyCbor => "application/apply-patch+cbor",
        }
    }

    pub fn is_apply(self) -> bool {
        matches!(self, PatchType::ApplyYaml | PatchType::ApplyCbor)
    }
}

/// Custom resources have no strategic merge.
fn patches(custom: bool, cbor: bool) -> impl Iterator<Item = PatchType> {
    let all = [PatchType::Json, PatchType::Merge, PatchType::Strategic, PatchType::ApplyYaml, PatchType::ApplyCbor];
    all.into_iter().filter(move |patch| match patch {
        PatchType::Strategic => !custom,
        PatchType::ApplyCbor => cbor,
        _ => true,
    })
}

/// The kind of a patch. Fails with 415.
pub fn of_patch(content_type: &str, custom: bool, cbor: bool) -> Result<PatchType> {
    let named = |name: &str| patches(custom, cbor).find(|patch| patch.content_type() == name);
    // The route of a built-in resource looks first, for any of several types.
    let first = |clause: &str| named(clause.split(';').next().unwrap_or("").trim_matches(' ')).is_some();
    if !custom && !content_type.split(',').any(first) {
        let mut status = Status::unsupported_media_type("415: Unsupported Media Type");
        status.details = Some(Box::default());
        return Err(status);
    }
    let name = match content_type.find(';') {
        None | Some(0) => content_type,
        Some(at) => &content_type[..at],
    };
    named(name).ok_or_else(|| unknown(joined(patches(custom, cbor).map(PatchType::content_type))))
}

fn unknown(types: String) -> Status {
    Status::unsupported_media_type(format!(
        "the body of the request was in an unknown format - accepted media types include: {types}"
    ))
}

/// The media type in small letters; `None` when it or one of its parameters is malformed (RFC 2045, RFC 2616).
fn media_type(header: &str) -> Option<String> {
    let (name, mut rest) = header.split_at(header.find(';').unwrap_or(header.len()));
    let name = name.trim().to_ascii_lowercase();
    if !name.split('/').all(|part| !part.is_empty() && part.bytes().all(is_token)) || name.matches('/').count() > 1 {
        return None;
    }
    let mut seen: Vec<String> = Vec::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() || rest.trim() == ";" {
            return Some(name);
        }
        let parameter;
        (parameter, rest) = consume_parameter(rest)?;
        if seen.contains(&parameter) {
            return None;
        }
        seen.push(parameter);
    }
}

/// `;name=value`: the name and what follows.
fn consume_parameter(text: &str) -> Option<(String, &str)> {
    let text = text.strip_prefix(';')?.trim_start();
    let (name, rest) = token(text)?;
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let rest = match rest.strip_prefix('"') {
        None => token(rest)?.1,
        Some(quoted) => {
            let mut escaped = false;
            let end = quoted.bytes().position(|byte| {
                let ends = byte == b'"' && !escaped;
                escaped = byte == b'\\' && !escaped;
                ends
            })?;
            if quoted[..end].contains(['\r', '\n']) {
                return None;
            }
            &quoted[end + 1..]
        }
    };
    Some((name.to_ascii_lowercase(), rest))
}

fn token(text: &str) -> Option<(&str, &str)> {
    let end = text.bytes().position(|byte| !is_token(byte)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text<T>(result: Result<T>) -> std::result::Result<T, String> {
        result.map_err(|status| status.message)
    }

    #[test]
    fn bodies_are_read_by_their_media_type() {
        let unknown = "the body of the request was in an unknown format - accepted media types include: application/json, \
            application/yaml, application/vnd.kubernetes.protobuf";
        for (header, expected) in [
            ("", Some(Media::Json)),
            ("application/json; charset=utf-8", Some(Media::Json)),
            ("application/json;stream=watch", Some(Media::Json)),
            ("APPLICATION/JSON", Some(Media::Json)),
            ("application/yaml;", Some(Media::Yaml)),
            ("application/yaml; a=\"b;\\\"c\"", Some(Media::Yaml)),
            ("application/vnd.kubernetes.protobuf", Some(Media::Protobuf)),
            ("application/json; charset", None),
            ("application/json; a=1; A=2", None),
            ("application/json, text/plain", None),
            ("application/cbor", None),
            ("text/plain", None),
            ("text/yaml", None),
            ("*/*", None),
            ("garbage", None),
        ] {
            assert_eq!(text(of_body(header, false)), expected.ok_or(unknown.to_owned()), "{header}");
        }
        assert_eq!(text(of_body("application/cbor", true)), Ok(Media::Cbor));
    }

    #[test]
    fn patches_are_told_by_their_media_type() {
        let of = |header, custom| text(of_patch(header, custom, false));
        assert_eq!(of("application/merge-patch+json; charset=utf-8", false), Ok(PatchType::Merge));
        assert_eq!(of("application/strategic-merge-patch+json", false), Ok(PatchType::Strategic));
        for header in ["", "application/json", "text/plain", "application/apply-patch+cbor"] {
            assert_eq!(of(header, false), Err("415: Unsupported Media Type".into()), "{header}");
        }
        assert_eq!(
            of("application/strategic-merge-patch+json", true),
            Err("the body of the request was in an unknown format - accepted media types include: \
                 application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
                .into())
        );
        assert_eq!(
            of("text/plain, application/merge-patch+json", false),
            Err("the body of the request was in an unknown format - accepted media types include: \
                 application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, \
                 application/apply-patch+yaml"
                .into())
        );
        assert_eq!(text(of_patch("application/apply-patch+cbor", true, true)), Ok(PatchType::ApplyCbor));
    }

    proptest! {
        #[test]
        fn never_panics(header in r#"[a-z/*;=," \\é-]{0,40}"#) {
            let _ = of_body(&header, true);
            let _ = of_patch(&header, false, true);
        }
    }
}
