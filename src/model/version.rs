//! The order of API versions: `v2`, `v1`, `v1beta1`, `v1alpha1`, then any other name.

use std::cmp::Ordering;

/// Sorts the preferred version first (kube-aware version priority): stable before beta before alpha, each the newest
/// first; names of another form come last, by the alphabet.
pub fn compare(a: &str, b: &str) -> Ordering {
    match (Parts::of(a), Parts::of(b)) {
        (Some(a), Some(b)) => b.cmp(&a),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

/// Compared field by field, the greatest is preferred.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Parts {
    stability: Stability,
    major: u64,
    minor: u64,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Stability {
    Alpha,
    Beta,
    Stable,
}

impl Parts {
    /// Of `v1`, `v1beta2`, `v3alpha1`.
    fn of(version: &str) -> Option<Self> {
        let rest = version.strip_prefix('v')?;
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (major, rest) = rest.split_at(digits);
        let (stability, minor) = match rest {
            "" => return Some(Self { stability: Stability::Stable, major: number(major)?, minor: 0 }),
            _ if rest.starts_with("alpha") => (Stability::Alpha, &rest[5..]),
            _ if rest.starts_with("beta") => (Stability::Beta, &rest[4..]),
            _ => return None,
        };
        Some(Self { stability, major: number(major)?, minor: number(minor)? })
    }
}

/// A number without a leading zero.
fn number(digits: &str) -> Option<u64> {
    let plain = !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::compare;

    #[test]
    fn stable_versions_come_first_and_the_newest_of_them() {
        let mut versions =
            ["foo10", "v1alpha1", "v2", "v12alpha1", "v10", "v1beta1", "foo1", "v11beta2", "v1beta10", "v01", "v1"];
        versions.sort_by(|a, b| compare(a, b));
        assert_eq!(
            versions,
            ["v10", "v2", "v1", "v11beta2", "v1beta10", "v1beta1", "v12alpha1", "v1alpha1", "foo1", "foo10", "v01"]
        );
    }
}
