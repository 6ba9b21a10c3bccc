//! Links in a page that is proxied: those to the backend are made to lead through the proxy. The page is read as it comes.

use std::borrow::Cow;
use std::mem::take;

/// Bytes of a tag that is looked at; a longer one passes as it is.
const LONGEST_TAG: usize = 64 << 10;
/// Attributes that hold a URL, by their tags (HTML 4, index of attributes, and HTML 5).
const LINKS: &[(&str, &[&str])] = &[
    ("a", &["href"]),
    ("applet", &["codebase"]),
    ("area", &["href"]),
    ("audio", &["src"]),
    ("base", &["href"]),
    ("blockquote", &["cite"]),
    ("body", &["background"]),
    ("button", &["formaction"]),
    ("command", &["icon"]),
    ("del", &["cite"]),
    ("embed", &["src"]),
    ("form", &["action"]),
    ("frame", &["longdesc", "src"]),
    ("head", &["profile"]),
    ("html", &["manifest"]),
    ("iframe", &["longdesc", "src"]),
    ("img", &["longdesc", "src", "usemap"]),
    ("input", &["src", "usemap", "formaction"]),
    ("ins", &["cite"]),
    ("link", &["href"]),
    ("object", &["classid", "codebase", "data", "usemap"]),
    ("q", &["cite"]),
    ("script", &["src"]),
    ("source", &["src"]),
    ("video", &["poster", "src"]),
];
/// Elements whose content has no tags.
const RAW: [&str; 4] = ["script", "style", "textarea", "title"];

/// Rewrites a page piece by piece.
#[derive(Default)]
pub struct Links {
    state: State,
    /// What has come of a tag, a comment's beginning, or the end of an element without tags.
    held: Vec<u8>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// In a tag, within this quote.
    Tag(Option<u8>),
    Comment,
    /// In an element without tags.
    Raw(&'static str),
    /// In a tag that is too long to be looked at.
    Long(Option<u8>),
}

impl Links {
    /// What can be sent of the page so far. `rewrite` says how a link reads; `None`: as it is.
    pub fn pass(&mut self, piece: &[u8], rewrite: &impl Fn(&str) -> Option<String>) -> Vec<u8> {
        let mut out = Vec::with_capacity(piece.len() + self.held.len());
        for byte in piece {
            self.step(*byte, &mut out, rewrite);
        }
        out
    }

    /// What is left at the end of the page.
    pub fn end(&mut self) -> Vec<u8> {
        if matches!(self.state, State::Tag(_)) { take(&mut self.held) } else { Vec::new() }
    }

    fn step(&mut self, byte: u8, out: &mut Vec<u8>, rewrite: &impl Fn(&str) -> Option<String>) {
        match self.state {
            State::Text if byte == b'<' => {
                self.held.push(byte);
                self.state = State::Tag(None);
            }
            State::Text => out.push(byte),
            State::Tag(quote) => self.tag(byte, quote, out, rewrite),
            State::Comment => {
                out.push(byte);
                match byte {
                    b'-' if self.held.len() < 2 => self.held.push(byte),
                    b'-' => {}
                    _ => {
                        if byte == b'>' && self.held == b"--" {
                            self.state = State::Text;
                        }
                        self.held.clear();
                    }
                }
            }
            State::Raw(name) => self.raw(byte, name, out),
            State::Long(quote) => {
                out.push(byte);
                self.state = match quoted(byte, quote) {
                    None if byte == b'>' => State::Text,
                    quote => State::Long(quote),
                };
            }
        }
    }

    fn tag(&mut self, byte: u8, quote: Option<u8>, out: &mut Vec<u8>, rewrite: &impl Fn(&str) -> Option<String>) {
        self.held.push(byte);
        // What begins otherwise is no tag.
        if self.held.len() == 2 && !(byte.is_ascii_alphabetic() || matches!(byte, b'/' | b'!' | b'?')) {
            out.append(&mut self.held);
            self.state = State::Text;
            if byte == b'<' {
                out.pop();
                self.held.push(byte);
                self.state = State::Tag(None);
            }
            return;
        }
        if self.held == b"<!--" {
            out.append(&mut self.held);
            self.state = State::Comment;
            return;
        }
        let quote = quoted(byte, quote);
        self.state = State::Tag(quote);
        if quote.is_none() && byte == b'>' {
            let tag = take(&mut self.held);
            let (rewritten, raw) = whole(&tag, rewrite);
            out.extend_from_slice(&rewritten);
            self.state = raw.map_or(State::Text, State::Raw);
        } else if self.held.len() > LONGEST_TAG {
            out.append(&mut self.held);
            self.state = State::Long(quote);
        }
    }

    fn raw(&mut self, byte: u8, name: &'static str, out: &mut Vec<u8>) {
        out.push(byte);
        self.held.push(byte.to_ascii_lowercase());
        let closing = [b"</", name.as_bytes()].concat();
        if self.held == closing {
            self.held.clear();
            self.state = State::Long(None);
        } else if !closing.starts_with(&self.held) {
            self.held.clear();
            if byte == b'<' {
                self.held.push(byte);
            }
        }
    }
}

/// The quote that holds after this byte of a tag.
fn quoted(byte: u8, quote: Option<u8>) -> Option<u8> {
    match (byte, quote) {
        (b'"' | b'\'', None) => Some(byte),
        (byte, Some(open)) if byte == open => None,
        (_, quote) => quote,
    }
}

/// A whole tag with its links rewritten, and its name where its element has no tags.
fn whole<'t>(tag: &'t [u8], rewrite: &impl Fn(&str) -> Option<String>) -> (Cow<'t, [u8]>, Option<&'static str>) {
    let Ok(text) = std::str::from_utf8(tag) else { return (Cow::Borrowed(tag), None) };
    let name: String =
        text[1..].chars().take_while(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let raw = RAW.into_iter().find(|raw| *raw == name && !text.ends_with("/>"));
    let Some((_, attributes)) = LINKS.iter().find(|(tag, _)| *tag == name) else { return (Cow::Borrowed(tag), raw) };
    let mut out = String::with_capacity(text.len() + 64);
    let mut copied = 0;
    for (attribute, start, end) in values(text, 1 + name.len()) {
        if attributes.contains(&attribute.to_ascii_lowercase().as_str())
            && let Some(link) = rewrite(&text[start..end])
        {
            out.push_str(&text[copied..start]);
            out.push_str(&link.replace('"', "%22").replace('\'', "%27"));
            copied = end;
        }
    }
    out.push_str(&text[copied..]);
    (Cow::Owned(out.into_bytes()), raw)
}

/// Each attribute that has a value, and from where to where the value is.
fn values(tag: &str, from: usize) -> Vec<(&str, usize, usize)> {
    let bytes = tag.as_bytes();
    let (mut found, mut at) = (Vec::new(), from);
    let skip = |mut at: usize, while_it: &dyn Fn(u8) -> bool| {
        while bytes.get(at).is_some_and(|byte| while_it(*byte)) {
            at += 1;
        }
        at
    };
    while at < bytes.len() {
        let start = skip(at, &|byte| byte.is_ascii_whitespace() || byte == b'/');
        let end = skip(start, &|byte| !byte.is_ascii_whitespace() && !matches!(byte, b'=' | b'>' | b'/'));
        let equals = skip(end, &|byte| byte.is_ascii_whitespace());
        if bytes.get(equals) != Some(&b'=') {
            at = end.max(start + 1).max(at + 1);
            continue;
        }
        let value = skip(equals + 1, &|byte| byte.is_ascii_whitespace());
        let (begin, stop) = match bytes.get(value) {
            Some(quote @ (b'"' | b'\'')) => (value + 1, skip(value + 1, &|byte| byte != *quote)),
            _ => (value, skip(value, &|byte| !byte.is_ascii_whitespace() && byte != b'>')),
        };
        found.push((&tag[start..end], begin, stop));
        at = stop + 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rewrite(link: &str) -> Option<String> {
        link.starts_with('/').then(|| format!("/p{link}"))
    }

    fn page(text: &[u8], piece: usize) -> String {
        let mut links = Links::default();
        let mut out = Vec::new();
        text.chunks(piece).for_each(|piece| out.extend(links.pass(piece, &rewrite)));
        out.extend(links.end());
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn links_to_the_backend_lead_through_the_proxy() {
        let cases = [
            (r#"<a href="/x">y</a>"#, r#"<a href="/p/x">y</a>"#),
            (r#"<IMG alt='a > b' SRC='/x'/>"#, r#"<IMG alt='a > b' SRC='/p/x'/>"#),
            ("<a class=b href=/x>y", "<a class=b href=/p/x>y"),
            (r#"<a title="/x" href="z">"#, r#"<a title="/x" href="z">"#),
            (r#"<p href="/x">1 < 2 <<a href="/x">"#, r#"<p href="/x">1 < 2 <<a href="/p/x">"#),
            (r#"<!-- <a href="/x"> --><a href="/x">"#, r#"<!-- <a href="/x"> --><a href="/p/x">"#),
            (
                r#"<script src="/x">if (a<b) "<a href='/x'>"</script><link href='/x'>"#,
                r#"<script src="/p/x">if (a<b) "<a href='/x'>"</script><link href='/p/x'>"#,
            ),
            ("<a href", "<a href"),
            (r#"<a href="/x" "#, r#"<a href="/x" "#),
        ];
        for (given, expected) in cases {
            for piece in [1, 2, 7, 1000] {
                assert_eq!(page(given.as_bytes(), piece), expected, "{piece}");
            }
        }
    }

    #[test]
    fn an_endless_tag_is_not_kept() {
        let mut links = Links::default();
        let mut sent = links.pass(b"<a href='", &rewrite).len();
        for _ in 0..10 {
            sent += links.pass(&[b'x'; LONGEST_TAG / 2], &rewrite).len();
            assert!(links.held.len() <= LONGEST_TAG + 1);
        }
        assert!(sent > 4 * LONGEST_TAG);
    }

    proptest! {
        #[test]
        fn what_has_no_links_stays_as_it_is(text in "[<>a-c=\"' /!-]{0,80}", piece in 1_usize..20) {
            let keep = |_: &str| None;
            let (mut links, mut out) = (Links::default(), Vec::new());
            text.as_bytes().chunks(piece).for_each(|piece| out.extend(links.pass(piece, &keep)));
            out.extend(links.end());
            prop_assert_eq!(String::from_utf8_lossy(&out), text);
        }
    }
}
