//! Which form a client wants its answer in, and which form its body is in.
//!
//! It owns media types and the texts of 406 and 415. It reads headers and never a body.
//!
//! In reading order: `accept` (Accept -> a representation), `body` (Content-Type -> a decoder or a kind of patch).

pub mod accept;
pub mod body;

/// A form in which objects are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Media {
    Json,
    Yaml,
    Protobuf,
    /// KEP-4222; offered only where the server is told to.
    Cbor,
}

/// All of them, in the order in which they are offered.
const ALL: [Media; 4] = [Media::Json, Media::Yaml, Media::Protobuf, Media::Cbor];

impl Media {
    pub fn content_type(self) -> &'static str {
        match self {
            Media::Json => "application/json",
            Media::Yaml => "application/yaml",
            Media::Protobuf => "application/vnd.kubernetes.protobuf",
            Media::Cbor => "application/cbor",
        }
    }

    /// What a watch in this form is called; there is none in YAML.
    pub fn watch_type(self) -> Option<&'static str> {
        match self {
            Media::Json => Some("application/json"),
            Media::Yaml => None,
            Media::Protobuf => Some("application/vnd.kubernetes.protobuf;stream=watch"),
            Media::Cbor => Some("application/cbor-seq"),
        }
    }

    /// The same as lists of media types have it.
    fn stream_type(self) -> Option<&'static str> {
        match self {
            Media::Json => Some("application/json;stream=watch"),
            other => other.watch_type(),
        }
    }

    fn subtype(self) -> &'static str {
        &self.content_type()["application/".len()..]
    }
}

/// The forms that are offered.
fn offered(cbor: bool) -> &'static [Media] {
    if cbor { &ALL } else { &ALL[..3] }
}

fn joined<'a>(types: impl Iterator<Item = &'a str>) -> String {
    types.collect::<Vec<_>>().join(", ")
}
