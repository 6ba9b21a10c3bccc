//! References to images, as far as the rules read them: which tag is meant.

const NAME_BYTES: usize = 255;
/// What a short name on the default domain gets before it.
const OFFICIAL: &str = "library/";
const TAG_BYTES: usize = 128;
/// Of the digests that are known: (algorithm, hexadecimal digits).
const DIGESTS: [(&str, usize); 3] = [("sha256", 64), ("sha384", 96), ("sha512", 128)];

/// Whether the reference means the tag `latest`, by name or by naming neither tag nor digest.
/// False for a text that is no reference.
pub fn is_latest(image: &str) -> bool {
    Reference::parse(image).is_some_and(|r| r.tag == Some("latest") || (r.tag.is_none() && !r.has_digest))
}

struct Reference<'a> {
    tag: Option<&'a str>,
    has_digest: bool,
}

impl<'a> Reference<'a> {
    /// The grammar of distribution's references, after the default domain and `library/` are put before a short name.
    fn parse(image: &'a str) -> Option<Self> {
        if image.len() == 64 && image.bytes().all(|b| matches!(b, b'a'..=b'f' | b'0'..=b'9')) {
            return None;
        }
        let (domain, rest) = split_domain(image);
        let (named, digest) = rest.split_once('@').map_or((rest, None), |(named, digest)| (named, Some(digest)));
        let (path, tag) = named.split_once(':').map_or((named, None), |(path, tag)| (path, Some(tag)));
        let of_domain = domain.is_none_or(|d| is_domain(d) || is_component(d));
        let is_short = domain.is_none_or(|d| d == "docker.io" || d == "index.docker.io") && !rest.contains('/');
        let most = if is_short { NAME_BYTES - OFFICIAL.len() } else { NAME_BYTES };
        let of_path = path.len() <= most && path.split('/').all(is_component);
        let right = of_domain && of_path && tag.is_none_or(is_tag) && digest.is_none_or(is_digest);
        right.then_some(Self { tag, has_digest: digest.is_some() })
    }
}

/// The domain, where the first part of the path is one.
fn split_domain(image: &str) -> (Option<&str>, &str) {
    match image.split_once('/') {
        Some((head, rest))
            if head == "localhost" || head.contains(['.', ':']) || head.chars().any(char::is_uppercase) =>
        {
            (Some(head), rest)
        }
        _ => (None, image),
    }
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = match domain.rsplit_once(':') {
        Some((host, port)) if !domain.ends_with(']') => (host, Some(port)),
        _ => (domain, None),
    };
    let of_host = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(ip) => !ip.is_empty() && ip.bytes().all(|b| b.is_ascii_hexdigit() || b == b':'),
        None => host.split('.').all(|part| {
            let inner = part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            inner && !part.is_empty() && !part.starts_with('-') && !part.ends_with('-')
        }),
    };
    of_host && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

/// Small letters and digits, between them a dot, one or two underscores, or dashes.
fn is_component(part: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let mut bytes = part.as_bytes();
    loop {
        let word = bytes.iter().take_while(|b| is_word(**b)).count();
        if word == 0 {
            return false;
        }
        bytes = &bytes[word..];
        bytes = match bytes {
            [] => return true,
            [b'_', b'_', rest @ ..] | [b'.' | b'_', rest @ ..] => rest,
            [b'-', ..] => &bytes[bytes.iter().take_while(|b| **b == b'-').count()..],
            _ => return false,
        };
    }
}

fn is_tag(tag: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=TAG_BYTES).contains(&tag.len())
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|b| is_word(b) || matches!(b, b'.' | b'-'))
}

fn is_digest(digest: &str) -> bool {
    let Some((algorithm, hex)) = digest.split_once(':') else { return false };
    DIGESTS.contains(&(algorithm, hex.len())) && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_without_tag_and_digest_means_latest() {
        let digest = format!("a@sha256:{}", "0".repeat(64));
        let tagged = format!("a:latest@sha256:{}", "0".repeat(64));
        let id = "a".repeat(64);
        let (short, own) = ("a".repeat(248), format!("x.io/{}", "a".repeat(255)));
        let port = "host:5000/a";
        for (image, latest) in [
            ("a", true),
            ("a:latest", true),
            ("a:1", false),
            ("x.io/a/b__c-d", true),
            (port, true),
            ("[::1]:5000/a", true),
            ("localhost/a:1", false),
            ("Host/a", true),
            ("host/A", false),
            ("a b", false),
            ("", false),
            ("a:", false),
            (&digest, false),
            (&tagged, true),
            ("a@sha256:00", false),
            (&id, false),
            (&short, false),
            (&own, true),
        ] {
            assert_eq!(is_latest(image), latest, "{image}");
        }
    }
}
