//! Blocks of PEM text (RFC 7468), as Go finds them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A block of a PEM text.
pub struct Block {
    /// What stands after `BEGIN`: `CERTIFICATE`.
    pub kind: String,
    /// Whether it has lines of `name: value` before its content.
    pub has_headers: bool,
    pub bytes: Vec<u8>,
}

/// The blocks of a text; what is none between them is passed over.
pub fn blocks(text: &[u8]) -> impl Iterator<Item = Block> {
    let text = String::from_utf8_lossy(text).into_owned();
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let (block, end) = next_block(&text[at..])?;
            at += end;
            if block.is_some() {
                return block;
            }
        }
    })
}

/// The first block and where the text goes on; no block where it is damaged. `None`: there is no more.
fn next_block(text: &str) -> Option<(Option<Block>, usize)> {
    const BEGIN: &str = "-----BEGIN ";
    let start = if text.starts_with(BEGIN) { 0 } else { text.find("\n-----BEGIN ")? + 1 };
    let after_begin = start + BEGIN.len();
    let line_end = text[after_begin..].find('\n').map_or(text.len(), |end| after_begin + end);
    let Some(kind) = text[after_begin..line_end].trim_end().strip_suffix("-----") else {
        return Some((None, line_end));
    };
    let end_line = format!("-----END {kind}-----");
    let body = &text[line_end..];
    let Some(end) = body.find(&end_line) else { return Some((None, line_end)) };
    // Headers stand before an empty line.
    let body = &body[..end];
    let coded: String = body.lines().filter(|line| !line.contains(':')).map(str::trim).collect();
    let (kind, has_headers) = (kind.to_owned(), body.contains(':'));
    let block = STANDARD.decode(coded).ok().map(|bytes| Block { kind, has_headers, bytes });
    Some((block, line_end + end + end_line.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_stand_between_other_text() {
        let text = "x\n-----BEGIN A-----\nk: v\n\nYWI=\n-----END A-----\ny\n-----BEGIN B-----\n!\n-----END B-----\n\
            -----BEGIN C-----\nYw==\n-----END C-----\n-----BEGIN D-----\n";
        let found: Vec<_> = blocks(text.as_bytes()).map(|b| (b.kind, b.has_headers, b.bytes)).collect();
        assert_eq!(found, [("A".to_owned(), true, b"ab".to_vec()), ("C".to_owned(), false, b"c".to_vec())]);
    }
}
