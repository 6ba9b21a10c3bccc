//! Answers packed with gzip, where the client takes it and it is worth the time.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, HeaderValue, VARY};
use http::{Response, request};

use super::exchange::header;
use super::respond::Body;

/// Chunks of a long answer, packed one after another.
struct Packed {
    chunks: Box<dyn Iterator<Item = Bytes> + Send>,
    /// `None` when all is said.
    encoder: Option<GzEncoder<Vec<u8>>>,
}

/// Packs an answer of at least `from` bytes, or of chunks, if the client accepts it. Watches are never packed.
pub fn answer(response: Response<Body>, head: &request::Parts, from: usize) -> Response<Body> {
    if !accepts(header(head, "accept-encoding")) || response.headers().contains_key(CONTENT_ENCODING) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let body = match body {
        Body::Whole(Some(bytes)) if bytes.len() >= from => match pack(&bytes) {
            Some(packed) => packed.into(),
            None => return Response::from_parts(parts, bytes.into()),
        },
        Body::Chunks(chunks) => Body::Chunks(Box::new(Packed { chunks, encoder: Some(encoder()) })),
        other => return Response::from_parts(parts, other),
    };
    parts.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    Response::from_parts(parts, body)
}

fn accepts(encodings: &str) -> bool {
    encodings.split(',').any(|encoding| encoding.trim() == "gzip")
}

fn encoder() -> GzEncoder<Vec<u8>> {
    // Lists are large and machines are near: little time for most of the gain.
    GzEncoder::new(Vec::new(), Compression::fast())
}

fn pack(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = encoder();
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok()
}

impl Iterator for Packed {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut encoder = self.encoder.take()?;
        loop {
            let Some(chunk) = self.chunks.next() else { return encoder.finish().ok().map(Bytes::from) };
            encoder.write_all(&chunk).ok()?;
            let ready = std::mem::take(encoder.get_mut());
            if !ready.is_empty() {
                self.encoder = Some(encoder);
                return Some(ready.into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn chunks_make_one_packed_answer() {
        let chunks: Vec<Bytes> = (0..50).map(|n| Bytes::from(vec![n as u8; 10_000])).collect();
        let whole: Vec<u8> = chunks.iter().flatten().copied().collect();
        let packed = Packed { chunks: Box::new(chunks.into_iter()), encoder: Some(encoder()) };
        let bytes: Vec<u8> = packed.flatten().collect();
        let mut read = Vec::new();
        flate2::read::GzDecoder::new(bytes.as_slice()).read_to_end(&mut read).expect("gzip");
        assert_eq!(read, whole);
        assert!(accepts("deflate, gzip") && !accepts("br"));
    }
}
