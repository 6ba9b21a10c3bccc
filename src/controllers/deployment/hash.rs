//! Names of versions: a short hash of the pod template.

use crate::model::value::Value;

/// The label that tells the pods of versions apart.
pub const LABEL: &str = "pod-template-hash";

/// Letters of hashes: no vowels, so that no word comes of them.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
/// The longest name of an object, in bytes.
const MAX_NAME: usize = 253;

/// Equal for equal templates. `collisions` counts how often the hash was taken by another template before. It need not
/// be stock's own number: versions are found by their templates, the hash only names new ones.
pub fn template_hash(template: &Value, collisions: Option<i64>) -> String {
    // Fields are sorted by name: the text is the same whoever wrote the template.
    let mut hash = fnv1a(0x811c_9dc5, template.to_string().as_bytes());
    if let Some(collisions) = collisions {
        hash = fnv1a(hash, &collisions.to_le_bytes());
    }
    hash.to_string().bytes().map(|digit| LETTERS[usize::from(digit) % LETTERS.len()] as char).collect()
}

/// The name of the ReplicaSet of a version.
pub fn set_name(deployment: &str, hash: &str) -> String {
    let most = MAX_NAME - hash.len() - 1;
    format!("{}-{hash}", &deployment[..deployment.len().min(most)])
}

/// FNV-1a, 32 bits.
fn fnv1a(seed: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(seed, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    #[test]
    fn a_hash_depends_on_the_template_and_its_collisions() {
        let (a, b) = (json!({"spec": {"x": 1, "a": 2}}), json!({"spec": {"a": 2, "x": 1}}));
        assert_eq!(template_hash(&a, None), template_hash(&b, None));
        let others = [template_hash(&json!({}), None), template_hash(&a, Some(0)), template_hash(&a, Some(1))];
        assert!(others.iter().all(|other| *other != template_hash(&a, None)));
        assert_ne!(others[1], others[2]);
        assert!(others.iter().all(|hash| hash.bytes().all(|letter| LETTERS.contains(&letter))));
        assert_eq!(fnv1a(0x811c_9dc5, b"foobar"), 0xbf9c_f968);
    }

    #[test]
    fn names_fit() {
        assert_eq!(set_name("web", "abc"), "web-abc");
        assert_eq!(set_name(&"x".repeat(253), "abc").len(), MAX_NAME);
    }
}
