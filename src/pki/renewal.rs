//! What the folder holds, what expires when, and how it is made anew.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::certificate::Certificate;
use super::error::{PkiError, Result};
use super::folder::{CLUSTER, FRONT_PROXY, Folder, LEAVES, Serving};
use super::key::Key;
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;

/// A certificate of the folder.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its file's name without `.crt`.
    pub name: &'static str,
    pub certificate: Certificate,
    /// The file of its authority; `None` for an authority itself.
    pub authority: Option<&'static str>,
    /// Whether its authority's key is here, so that it can be renewed.
    pub renewable: bool,
}

impl Listed {
    /// Whole days until it expires; negative when it has expired.
    pub fn days_left(&self, now: Timestamp) -> i64 {
        (self.certificate.not_after.as_second() - now.as_second()).div_euclid(24 * 3600)
    }
}

/// The certificates that are there, leaves first.
pub fn list(path: &Path) -> Result<Vec<Listed>> {
    let folder = Folder::at(path);
    let mut listed = Vec::new();
    let rows = LEAVES.iter().map(|row| (row.file, Some(row.authority)));
    for (name, authority) in rows.chain([(CLUSTER, None), (FRONT_PROXY, None)]) {
        let Some(pem) = folder.read(&format!("{name}.crt"))? else { continue };
        let all = Certificate::all_from_pem(&pem).map_err(|e| e.in_file(&path.join(format!("{name}.crt"))))?;
        let renewable = authority.is_some_and(|a| path.join(format!("{a}.key")).exists());
        listed.extend(all.into_iter().take(1).map(|certificate| Listed { name, certificate, authority, renewable }));
    }
    Ok(listed)
}

/// Makes the leaves named in `names` anew (all when it is empty), each with a new key, and gives their names. A serving
/// certificate keeps the names that it has and gets those of `serving`.
pub fn renew(
    path: &Path,
    names: &[&str],
    serving: &Serving,
    clock: &Clock,
    entropy: &Entropy,
) -> Result<Vec<&'static str>> {
    if let Some(unknown) = names.iter().find(|name| !LEAVES.iter().any(|row| row.file == **name)) {
        let known: Vec<_> = LEAVES.iter().map(|row| row.file).collect();
        return Err(PkiError::malformed(
            format!("certificate {unknown:?}"),
            format!("not one of {}", known.join(", ")),
        ));
    }
    let mut folder = Folder::at(path);
    let mut renewed = Vec::new();
    for row in LEAVES.iter().filter(|row| names.is_empty() || names.contains(&row.file)) {
        let authority = folder.known_authority(row.authority)?;
        let mut wanted = Serving::default();
        if row.usage == super::authority::Usage::Server {
            wanted = serving.clone();
            if let Some(pem) = folder.read(&format!("{}.crt", row.file))? {
                let old = Certificate::all_from_pem(&pem)?;
                wanted.extend(&old[0]);
            }
        }
        let key = Arc::new(Key::generate()?);
        folder.stage_leaf(row.file, &authority.issue_for(&row.wanted(&wanted), key, clock, entropy)?)?;
        renewed.push(row.file);
    }
    folder.commit()?;
    Ok(renewed)
}

impl Serving {
    fn extend(&mut self, old: &Certificate) {
        for name in &old.hostnames {
            if !self.hostnames.contains(name) {
                self.hostnames.push(name.clone());
            }
        }
        for address in &old.addresses {
            if !self.addresses.contains(address) {
                self.addresses.push(*address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::folder::Pki;

    #[tokio::test(start_paused = true)]
    async fn leaves_are_listed_and_renewed() {
        let path = std::env::temp_dir().join(format!("monokube-renewal-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        let entropy = Entropy::seeded(1);
        let at = |time: &str| Clock::starting_at(time.parse().expect("a time"));
        let serving = Serving::new("a", "cluster.local", &[], &[]);
        let old = Pki::open(&path, &serving, &at("2026-01-01T00:00:00Z"), &entropy).expect("a folder");

        let later = at("2026-12-22T00:00:00Z");
        let days = |path: &Path| -> Vec<(&str, i64, bool)> {
            list(path).expect("a list").iter().map(|l| (l.name, l.days_left(later.now()), l.renewable)).collect()
        };
        assert_eq!(
            days(&path),
            [
                ("apiserver", 10, true),
                ("apiserver-kubelet-client", 10, true),
                ("front-proxy-client", 10, true),
                ("ca", 3295, false),
                ("front-proxy-ca", 3295, false)
            ]
        );
        let moved = Serving::new("b", "cluster.local", &[], &[]);
        let renewed = renew(&path, &["apiserver"], &moved, &later, &entropy).expect("renewed");
        assert_eq!(renewed, ["apiserver"]);
        assert_eq!(days(&path)[..2], [("apiserver", 365, true), ("apiserver-kubelet-client", 10, true)]);
        let new = Pki::open(&path, &serving, &later, &entropy).expect("a folder");
        assert!(serving.missing_in(new.serving.certificate()).is_empty());
        assert!(moved.missing_in(new.serving.certificate()).is_empty());
        assert_ne!(new.serving.key.public(), old.serving.key.public());
        let error = renew(&path, &["nonsense"], &serving, &later, &entropy).expect_err("unknown");
        assert!(error.to_string().starts_with("certificate \"nonsense\": not one of apiserver, "), "{error}");
        std::fs::remove_dir_all(&path).expect("removed");
    }
}
