//! The folder of keys and certificates, under kubeadm's file names. What is missing is made at the first start; what is
//! there is used as it is.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::authority::{Authority, Leaf, Usage, Wanted};
use super::certificate::Certificate;
use super::error::{PkiError, Result};
use super::key::{Key, PublicKey};
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;

/// Everything that the server needs of the folder.
#[derive(Debug)]
pub struct Pki {
    /// The cluster's authority: clients and the server are certified by it.
    pub authority: Authority,
    /// Certifies the proxies that may name a user in headers.
    pub front_proxy: Authority,
    pub tokens: TokenKeys,
    /// What the server shows to clients.
    pub serving: Leaf,
    /// As what the server goes to kubelets.
    pub kubelet_client: Leaf,
    /// As what the server goes to extension servers.
    pub proxy_client: Leaf,
}

/// The keys of service account tokens.
#[derive(Clone, Debug)]
pub struct TokenKeys {
    /// `None`: tokens can be verified, not issued.
    pub signing: Option<Arc<Key>>,
    /// At least one.
    pub public: Vec<PublicKey>,
}

/// The names under which clients reach the server.
#[derive(Clone, Debug, Default)]
pub struct Serving {
    pub hostnames: Vec<String>,
    pub addresses: Vec<IpAddr>,
}

/// A leaf that the folder holds.
pub(super) struct Row {
    /// The name of its files, without `.crt` and `.key`.
    pub file: &'static str,
    pub authority: &'static str,
    pub common_name: &'static str,
    pub organizations: &'static [&'static str],
    pub usage: Usage,
}

pub(super) const CLUSTER: &str = "ca";
pub(super) const FRONT_PROXY: &str = "front-proxy-ca";
const SERVING: Row = Row {
    file: "apiserver",
    authority: CLUSTER,
    common_name: "kube-apiserver",
    organizations: &[],
    usage: Usage::Server,
};
const KUBELET_CLIENT: Row = Row {
    file: "apiserver-kubelet-client",
    authority: CLUSTER,
    common_name: "kube-apiserver-kubelet-client",
    organizations: &["kubeadm:cluster-admins"],
    usage: Usage::Client,
};
const PROXY_CLIENT: Row = Row {
    file: "front-proxy-client",
    authority: FRONT_PROXY,
    common_name: "front-proxy-client",
    organizations: &[],
    usage: Usage::Client,
};
pub(super) const LEAVES: [&Row; 3] = [&SERVING, &KUBELET_CLIENT, &PROXY_CLIENT];

impl Pki {
    /// Reads the folder at `path` and makes what is missing, the folder itself too.
    pub fn open(path: &Path, serving: &Serving, clock: &Clock, entropy: &Entropy) -> Result<Self> {
        let mut folder = Folder::at(path);
        let authority = folder.authority(CLUSTER, "kubernetes", clock, entropy)?;
        let front_proxy = folder.authority(FRONT_PROXY, "front-proxy-ca", clock, entropy)?;
        let tokens = folder.token_keys()?;
        let none = Serving::default();
        let serving = folder.leaf(&SERVING, &authority, serving, clock, entropy)?;
        let kubelet_client = folder.leaf(&KUBELET_CLIENT, &authority, &none, clock, entropy)?;
        let proxy_client = folder.leaf(&PROXY_CLIENT, &front_proxy, &none, clock, entropy)?;
        folder.commit()?;
        Ok(Self { authority, front_proxy, tokens, serving, kubelet_client, proxy_client })
    }

    /// A client certificate for an administrator: of `system:masters`, so that it works whatever RBAC says.
    pub fn issue_admin(&self, clock: &Clock, entropy: &Entropy) -> Result<Leaf> {
        let wanted =
            Wanted { common_name: "kubernetes-admin", organizations: &["system:masters"], ..Wanted::default() };
        self.authority.issue(&wanted, clock, entropy)
    }
}

/// The cluster's authority, of a folder that is there; nothing is made.
pub fn authority(path: &Path) -> Result<Authority> {
    Folder::at(path).known_authority(CLUSTER)
}

impl Serving {
    /// The names of every API server, `hostname` and `extra` (host names or addresses), and the addresses that it
    /// advertises and that its own service has.
    pub fn new(hostname: &str, cluster_domain: &str, addresses: &[IpAddr], extra: &[String]) -> Self {
        let mut serving = Self::default();
        for name in [hostname, "kubernetes", "kubernetes.default", "kubernetes.default.svc"] {
            serving.add(name);
        }
        serving.add(&format!("kubernetes.default.svc.{cluster_domain}"));
        serving.add("localhost");
        for address in addresses.iter().copied().chain([[127, 0, 0, 1].into(), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])])
        {
            serving.add(&address.to_string());
        }
        for name in extra {
            serving.add(name);
        }
        serving
    }

    fn add(&mut self, name: &str) {
        match name.parse() {
            Ok(address) if self.addresses.contains(&address) => {}
            Ok(address) => self.addresses.push(address),
            Err(_) if name.is_empty() || self.hostnames.iter().any(|n| n == name) => {}
            Err(_) => self.hostnames.push(name.to_owned()),
        }
    }

    /// The names that `certificate`, perhaps made for another host, does not have.
    pub fn missing_in(&self, certificate: &Certificate) -> Vec<String> {
        let names = self.hostnames.iter().filter(|name| !certificate.hostnames.contains(name)).cloned();
        let addresses = self.addresses.iter().filter(|address| !certificate.addresses.contains(address));
        names.chain(addresses.map(ToString::to_string)).collect()
    }
}

/// Files read, and files to be written together at the end.
pub(super) struct Folder {
    path: PathBuf,
    staged: Vec<(String, String, u32)>,
}

const PUBLIC: u32 = 0o644;
const PRIVATE: u32 = 0o600;

impl Folder {
    pub(super) fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), staged: Vec::new() }
    }

    /// The content of a file; `None` when there is none.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.path.join(name);
        match fs::read(&path) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(PkiError::Read { path, source }),
        }
    }

    fn authority(&mut self, file: &str, common_name: &str, clock: &Clock, entropy: &Entropy) -> Result<Authority> {
        let key = self.read(&format!("{file}.key"))?;
        if let Some(certificate) = self.read(&format!("{file}.crt"))? {
            let read = Authority::from_pem(&certificate, key.as_deref());
            return read.map_err(|e| e.in_file(&self.path.join(format!("{file}.crt"))));
        }
        let key = key.map(|pem| self.key(file, &pem)).transpose()?;
        let fresh = key.is_none();
        let authority = Authority::create(common_name, key, clock, entropy)?;
        if let Some(key) = authority.key().filter(|_| fresh) {
            self.stage(format!("{file}.key"), key.to_pem()?, PRIVATE);
        }
        self.stage(format!("{file}.crt"), authority.to_pem()?, PUBLIC);
        Ok(authority)
    }

    /// The authority of these files.
    pub(super) fn known_authority(&self, file: &str) -> Result<Authority> {
        let name = format!("{file}.crt");
        let at = self.path.join(&name);
        let Some(certificate) = self.read(&name)? else {
            return Err(PkiError::malformed(at.display().to_string(), "there is no such authority"));
        };
        let key = self.read(&format!("{file}.key"))?;
        Authority::from_pem(&certificate, key.as_deref()).map_err(|e| e.in_file(&at))
    }

    fn leaf(
        &mut self,
        row: &Row,
        authority: &Authority,
        serving: &Serving,
        clock: &Clock,
        entropy: &Entropy,
    ) -> Result<Leaf> {
        let key = self.read(&format!("{}.key", row.file))?;
        if let Some(certificate) = self.read(&format!("{}.crt", row.file))? {
            let path = self.path.join(format!("{}.crt", row.file));
            let Some(key) = key else {
                let source = std::io::Error::new(ErrorKind::NotFound, "the certificate is there, its key is not");
                return Err(PkiError::Read { path: path.with_extension("key"), source });
            };
            return Leaf::from_pem(&certificate, &key).map_err(|e| e.in_file(&path));
        }
        let kept = key.map(|pem| self.key(row.file, &pem)).transpose()?;
        let fresh = kept.is_none();
        let key = Arc::new(kept.map_or_else(Key::generate, Ok)?);
        let leaf = authority.issue_for(&row.wanted(serving), key, clock, entropy)?;
        if fresh {
            self.stage(format!("{}.key", row.file), leaf.key.to_pem()?, PRIVATE);
        }
        self.stage(format!("{}.crt", row.file), leaf.certificate_pem()?, PUBLIC);
        Ok(leaf)
    }

    fn token_keys(&mut self) -> Result<TokenKeys> {
        let (private, public) = (self.read("sa.key")?, self.read("sa.pub")?);
        let mut keys = match &public {
            Some(pem) => PublicKey::all_from_pem(pem).map_err(|e| e.in_file(&self.path.join("sa.pub")))?,
            None => Vec::new(),
        };
        let signing = match private {
            Some(pem) => Some(self.key("sa", &pem)?),
            None if public.is_some() => None,
            None => {
                let key = Key::generate()?;
                self.stage("sa.key".into(), key.to_pem()?, PRIVATE);
                Some(key)
            }
        };
        if let Some(key) = &signing {
            if public.is_none() {
                self.stage("sa.pub".into(), key.public().to_pem()?, PUBLIC);
            }
            if !keys.contains(key.public()) {
                keys.insert(0, key.public().clone());
            }
        }
        Ok(TokenKeys { signing: signing.map(Arc::new), public: keys })
    }

    pub(super) fn key(&self, file: &str, pem: &[u8]) -> Result<Key> {
        Key::from_pem(pem).map_err(|e| e.in_file(&self.path.join(format!("{file}.key"))))
    }

    /// To be written at the commit, with this mode.
    pub(super) fn stage(&mut self, name: String, content: String, mode: u32) {
        self.staged.push((name, content, mode));
    }

    /// Stages a renewed leaf.
    pub(super) fn stage_leaf(&mut self, file: &str, leaf: &Leaf) -> Result<()> {
        self.stage(format!("{file}.key"), leaf.key.to_pem()?, PRIVATE);
        self.stage(format!("{file}.crt"), leaf.certificate_pem()?, PUBLIC);
        Ok(())
    }

    /// Writes what was staged: each file appears whole or not at all, also after a power loss.
    pub(super) fn commit(self) -> Result<()> {
        if self.staged.is_empty() {
            return Ok(());
        }
        let written = |path: &Path| {
            let path = path.to_owned();
            move |source| PkiError::Write { path, source }
        };
        fs::create_dir_all(&self.path).map_err(written(&self.path))?;
        let mut files = Vec::with_capacity(self.staged.len());
        for (name, content, mode) in &self.staged {
            let path = self.path.join(format!(".{name}.new"));
            let file = write_new(&path, content, *mode).map_err(written(&path))?;
            files.push((file, path, self.path.join(name)));
        }
        for (file, temporary, _) in &files {
            file.sync_all().map_err(written(temporary))?;
        }
        for (_, temporary, path) in &files {
            fs::rename(temporary, path).map_err(written(path))?;
        }
        File::open(&self.path).and_then(|folder| folder.sync_all()).map_err(written(&self.path))
    }
}

impl Row {
    pub(super) fn wanted<'a>(&self, serving: &'a Serving) -> Wanted<'a> {
        Wanted {
            common_name: self.common_name,
            organizations: self.organizations,
            hostnames: &serving.hostnames,
            addresses: &serving.addresses,
            usage: self.usage,
            life: None,
        }
    }
}

/// A file that did not exist, with this mode from the start. One left over by a crash is replaced.
fn write_new(path: &Path, content: &str, mode: u32) -> std::io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(content.as_bytes())?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::pki::key::Algorithm;

    /// A folder of its own for one test, removed at its end.
    struct Temporary(PathBuf);

    impl Temporary {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("monokube-pki-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            Self(path)
        }

        /// With the files of a folder that kubeadm could have made: RSA keys in PKCS#1.
        fn kubeadm(name: &str, without: &[&str]) -> Self {
            let folder = Self::new(name);
            fs::create_dir_all(&folder.0).expect("a folder");
            let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/pki");
            for entry in fs::read_dir(data).expect("the data").flatten() {
                let file = entry.file_name();
                if !without.iter().any(|name| *name == file) {
                    fs::copy(entry.path(), folder.0.join(&file)).expect("a copy");
                }
            }
            folder
        }

        fn open(&self) -> Result<Pki> {
            let clock = Clock::starting_at("2027-06-01T00:00:00Z".parse().expect("a time"));
            let serving = Serving::new("node-1", "cluster.local", &[[192, 168, 1, 5].into()], &[]);
            Pki::open(&self.0, &serving, &clock, &Entropy::seeded(3))
        }
    }

    impl Drop for Temporary {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_folder_is_filled_once() {
        let folder = Temporary::new("empty");
        let first = folder.open().expect("a folder");
        let mut names: Vec<_> = fs::read_dir(&folder.0)
            .expect("files")
            .flatten()
            .map(|e| e.file_name().into_string().expect("a name"))
            .collect();
        names.sort();
        assert_eq!(
            names,
            [
                "apiserver-kubelet-client.crt",
                "apiserver-kubelet-client.key",
                "apiserver.crt",
                "apiserver.key",
                "ca.crt",
                "ca.key",
                "front-proxy-ca.crt",
                "front-proxy-ca.key",
                "front-proxy-client.crt",
                "front-proxy-client.key",
                "sa.key",
                "sa.pub"
            ]
        );
        for name in names {
            let mode = fs::metadata(folder.0.join(&name)).expect("a file").permissions().mode() & 0o777;
            assert_eq!(mode, if name.ends_with(".key") { 0o600 } else { 0o644 }, "{name}");
        }
        let second = folder.open().expect("a folder");
        assert_eq!(first.serving.certificate().der(), second.serving.certificate().der());
        assert_eq!(first.tokens.public, second.tokens.public);
        assert_eq!(first.authority.certificate().der(), second.authority.certificate().der());
        let kubelet_client = &second.kubelet_client.certificate().subject;
        assert_eq!(kubelet_client.common_name, "kube-apiserver-kubelet-client");
        assert_eq!(kubelet_client.organizations, ["kubeadm:cluster-admins"]);
        assert_eq!(second.proxy_client.certificate().issuer, "front-proxy-ca");
    }

    #[tokio::test(start_paused = true)]
    async fn the_serving_certificate_has_the_names_of_every_server() {
        let folder = Temporary::new("names");
        let pki = folder.open().expect("a folder");
        let certificate = pki.serving.certificate();
        assert_eq!(
            certificate.hostnames,
            [
                "node-1",
                "kubernetes",
                "kubernetes.default",
                "kubernetes.default.svc",
                "kubernetes.default.svc.cluster.local",
                "localhost"
            ]
        );
        let addresses: Vec<_> = certificate.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["192.168.1.5", "127.0.0.1", "::1"]);
        let other = Serving::new("node-2", "cluster.local", &[], &["api.example.com".into(), "10.0.0.9".into()]);
        assert_eq!(other.missing_in(certificate), ["node-2", "api.example.com", "10.0.0.9"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_folder_of_kubeadm_is_used_as_it_is() {
        let folder = Temporary::kubeadm("kubeadm", &[]);
        let before = fs::read(folder.0.join("apiserver.crt")).expect("a file");
        let pki = folder.open().expect("a folder");
        assert_eq!(pki.authority.certificate().public_key().expect("a key").algorithm(), Algorithm::Rsa);
        assert_eq!(pki.tokens.signing.as_ref().expect("a key").public().algorithm(), Algorithm::Rsa);
        assert_eq!(pki.tokens.public.len(), 1);
        assert_eq!(fs::read(folder.0.join("apiserver.crt")).expect("a file"), before);
        assert!(pki.serving.to_der().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn an_rsa_authority_signs_what_is_missing() {
        let folder =
            Temporary::kubeadm("partly", &["apiserver.crt", "apiserver.key", "sa.pub", "front-proxy-client.crt"]);
        let pki = folder.open().expect("a folder");
        assert_eq!(pki.serving.certificate().issuer, "kubernetes");
        assert_eq!(pki.serving.key.public().algorithm(), Algorithm::P256);
        assert_eq!(pki.proxy_client.key.public().algorithm(), Algorithm::Rsa, "its key was there and is kept");
        assert!(folder.0.join("sa.pub").exists());
        pki.authority.certificate().public_key().expect("a key");
        verify(&pki.serving, &pki.authority);
        verify(&pki.proxy_client, &pki.front_proxy);
    }

    #[tokio::test(start_paused = true)]
    async fn an_authority_without_its_key_is_enough_while_nothing_is_missing() {
        let folder = Temporary::kubeadm("keyless", &["ca.key", "sa.key"]);
        let pki = folder.open().expect("a folder");
        assert!(!pki.authority.can_sign());
        assert!(pki.tokens.signing.is_none());
        let folder = Temporary::kubeadm("keyless-2", &["ca.key", "apiserver.crt", "apiserver.key"]);
        let error = folder.open().expect_err("nothing can be signed");
        assert_eq!(
            error.to_string(),
            "cannot sign kube-apiserver: the authority \"kubernetes\" has a certificate but no key here"
        );
        assert!(!folder.0.join("apiserver.key").exists(), "nothing is left behind");
    }

    #[tokio::test(start_paused = true)]
    async fn a_broken_file_is_named() {
        let folder = Temporary::kubeadm("broken", &[]);
        fs::write(folder.0.join("ca.crt"), "nonsense").expect("a file");
        let error = folder.open().expect_err("broken").to_string();
        assert!(error.ends_with("/ca.crt: certificate: none found"), "{error}");
    }

    /// The leaf verifies against its authority with an independent implementation.
    fn verify(leaf: &Leaf, authority: &Authority) {
        use tokio_rustls::rustls::RootCertStore;
        use tokio_rustls::rustls::client::WebPkiServerVerifier;
        use tokio_rustls::rustls::server::WebPkiClientVerifier;
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate().der().clone()).expect("a root");
        let now = rustls_pki_types::UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_811_808_000));
        let (chain, _) = leaf.to_der().expect("der");
        let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
        let roots = Arc::new(roots);
        if leaf.certificate().hostnames.is_empty() {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build().expect("a verifier");
            verifier.verify_client_cert(&chain[0], &[], now).expect("verified");
        } else {
            use tokio_rustls::rustls::client::danger::ServerCertVerifier;
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider).build().expect("a verifier");
            for name in ["kubernetes.default.svc", "127.0.0.1"] {
                let name = name.try_into().expect("a name");
                verifier.verify_server_cert(&chain[0], &[], &name, &[], now).expect("verified");
            }
        }
    }
}
