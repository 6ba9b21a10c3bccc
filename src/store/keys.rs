//! The root of all keys, and its other name in an etcd that several clusters share.

use super::contract::StoreError;

/// Every key starts with it.
pub const ROOT: &str = "/registry/";

/// Where the keys stand in etcd: under another root if it was configured so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// With a slash at both ends.
    root: String,
}

impl Relocation {
    /// `prefix` as in `--etcd-prefix`: `/registry`, `registry` and `/registry/` are the same.
    pub fn new(prefix: &str) -> Self {
        let inner = prefix.trim_matches('/');
        Self { root: if inner.is_empty() { "/".to_owned() } else { format!("/{inner}/") } }
    }

    /// The key's name in etcd. Also for a prefix of keys.
    ///
    /// # Panics
    /// If the key does not start with [`ROOT`]: nobody makes such keys.
    pub fn outside(&self, key: &str) -> Vec<u8> {
        let rest = key.strip_prefix(ROOT).unwrap_or_else(|| panic!("a key under {ROOT}: {key}"));
        [self.root.as_bytes(), rest.as_bytes()].concat()
    }

    /// The key that etcd knows by this name; `None` if it isn't UTF-8 and so not of Kubernetes' making.
    pub fn inside(&self, name: &[u8]) -> Result<Option<String>, StoreError> {
        let rest = name
            .strip_prefix(self.root.as_bytes())
            .ok_or_else(|| StoreError::Damaged(format!("etcd gave a key outside of {}", self.root)))?;
        Ok(std::str::from_utf8(rest).ok().map(|rest| format!("{ROOT}{rest}")))
    }
}

/// The first name after all that start with `prefix`, as etcd wants the end of a range; `\0` (no end) if there is none.
pub fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    vec![0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_move_to_the_configured_root_and_back() {
        let moved = Relocation::new("clusters/a/");
        assert_eq!(moved.outside("/registry/pods/x"), b"/clusters/a/pods/x");
        assert_eq!(moved.inside(b"/clusters/a/pods/x"), Ok(Some("/registry/pods/x".to_owned())));
        assert_eq!(moved.inside(b"/clusters/a/\xff"), Ok(None));
        assert!(moved.inside(b"/clusters/b/pods/x").is_err());
        assert_eq!(Relocation::new("/registry"), Relocation::new("registry/"));
        assert_eq!(Relocation::new("/").outside("/registry/pods/x"), b"/pods/x");
    }

    #[test]
    fn a_range_ends_after_its_prefix() {
        assert_eq!(end_of(b"/a/"), b"/a0");
        assert_eq!(end_of(b"a\xff\xff"), b"b");
        assert_eq!(end_of(b"\xff"), [0]);
    }
}
