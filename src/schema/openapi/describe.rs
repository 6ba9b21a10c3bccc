//! What the API's types and fields are for. The texts are `build.rs`' work; they are kept packed in the program and
//! unpacked only while a document is made.

use std::io::Read as _;
use std::ops::Range;

use flate2::read::DeflateDecoder;

/// Records, each `RECORD definition (FIELD name TEXT description)*`; the type's own description has an empty name.
static PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptions.z"));

const RECORD: char = '\x1e';
const FIELD: char = '\x1d';
const TEXT: char = '\x1f';

/// All descriptions, unpacked: some 600 kB while it lives.
#[derive(Default)]
pub struct Descriptions {
    text: String,
    /// Where each record stands, by its definition.
    records: Vec<Range<usize>>,
}

impl Descriptions {
    pub fn unpack() -> Self {
        let mut text = String::new();
        DeflateDecoder::new(PACKED).read_to_string(&mut text).expect("build.rs packed UTF-8");
        let starts: Vec<usize> = text.match_indices(RECORD).map(|(at, _)| at + 1).collect();
        let ends = starts.iter().skip(1).map(|next| next - 1).chain([text.len()]);
        let records = starts.iter().zip(ends).map(|(start, end)| *start..end).collect();
        Self { text, records }
    }

    /// Of a type, by the name of its definition.
    pub fn of(&self, definition: &str) -> Texts<'_> {
        let record = |range: &Range<usize>| &self.text[range.clone()];
        let name = |range: &Range<usize>| record(range).split(FIELD).next().unwrap_or("");
        match self.records.binary_search_by(|range| name(range).cmp(definition)) {
            Ok(at) => Texts::read(record(&self.records[at])),
            Err(_) => Texts::default(),
        }
    }

    /// Of `apiVersion` and `kind`, which are the same in any object.
    pub fn type_meta(&self, field: &str) -> Option<&str> {
        self.of("io.k8s.api.core.v1.Pod").field(field)
    }
}

/// The descriptions of one type.
#[derive(Default)]
pub struct Texts<'a> {
    /// By name.
    fields: Vec<(&'a str, &'a str)>,
}

impl<'a> Texts<'a> {
    fn read(record: &'a str) -> Self {
        Self { fields: record.split(FIELD).skip(1).filter_map(|field| field.split_once(TEXT)).collect() }
    }

    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Of the type itself.
    pub fn own(&self) -> Option<&'a str> {
        self.field("")
    }

    pub fn field(&self, name: &str) -> Option<&'a str> {
        let at = self.fields.binary_search_by(|(known, _)| (*known).cmp(name)).ok()?;
        Some(self.fields[at].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_their_fields_are_described() {
        let all = Descriptions::unpack();
        let pod = all.of("io.k8s.api.core.v1.Pod");
        assert!(pod.own().is_some_and(|text| text.starts_with("Pod is a collection of containers")));
        assert!(pod.field("spec").is_some_and(|text| text.starts_with("Specification of the desired behavior")));
        assert_eq!((pod.field("nothing"), all.of("io.k8s.api.core.v1.Nothing").own()), (None, None));
    }

    #[test]
    fn packed_they_are_small() {
        assert!(PACKED.len() < 400_000, "{}", PACKED.len());
    }
}
