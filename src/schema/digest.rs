//! Hashes that clients see: the marks of discovery and OpenAPI documents, and of the version in which a kind is kept.

use aws_lc_rs::digest::{SHA256, SHA512, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::model::names::GroupVersionKind;

/// The mark of a content: an ETag without its quotes. Upper-case hex of SHA-512.
pub fn mark(content: &[u8]) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let hash = digest(&SHA512, content);
    hash.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| HEX[usize::from(digit)] as char).collect()
}

/// `storageVersionHash`: clients compare it to know whether objects must be written anew.
pub fn storage_version(kind: &GroupVersionKind) -> String {
    let text = format!("{}/{}/{}", kind.group, kind.version, kind.kind);
    STANDARD.encode(&digest(&SHA256, text.as_bytes()).as_ref()[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_versions_hash_as_stock_hashes_them() {
        let hash = |group, version, kind| storage_version(&GroupVersionKind::new(group, version, kind));
        assert_eq!(hash("", "v1", "Pod"), "xPOwRZ+Yhw8=");
        assert_eq!(hash("autoscaling", "v2", "HorizontalPodAutoscaler"), "qwQve8ut294=");
    }

    #[test]
    fn a_mark_is_upper_case_hex() {
        assert!(mark(b"").starts_with("CF83E1357EEFB8BDF1542850D66D8007"));
        assert_eq!(mark(b"").len(), 128);
    }
}
