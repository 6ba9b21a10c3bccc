//! Where to go, how to know that it is there, and as whom to come.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Uri};
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;

use super::kubeconfig::{Kubeconfig, bytes};
use super::trust::Verifier;
use crate::auth::identity::Secret;
use crate::pki::authority::Leaf;

/// What a kubeconfig may say that is not understood here: better not to start than to go there as somebody else.
const NOT_UNDERSTOOD: [(&str, &[&str]); 2] =
    [("cluster", &["proxy-url"]), ("user", &["exec", "auth-provider", "as", "as-uid", "as-groups", "as-user-extra"])];

/// A place to go to.
pub struct Access {
    /// With its path.
    pub url: Uri,
    pub security: Arc<Security>,
    credential: Credential,
}

/// How connections are secured. What comes from files is read at each new connection, so that renewed files are used.
pub struct Security {
    source: Source,
    /// The name on the server's certificate where it is not the host's.
    pub server_name: Option<String>,
}

enum Source {
    Kubeconfig(PathBuf),
    /// Authorities as PEM; `None`: the system's.
    Authorities(Option<Vec<u8>>),
    Files(TlsFiles),
}

/// Where it is read how a server is known and who comes.
#[derive(Clone, Debug, Default)]
pub struct TlsFiles {
    /// Without authorities every server is believed.
    pub authorities: Option<PathBuf>,
    /// A client's certificate and its key.
    pub client: Option<(PathBuf, PathBuf)>,
}

enum Credential {
    Nobody,
    Token(Secret),
    TokenFile(PathBuf),
    Basic(Secret),
}

impl Access {
    /// Of the current context of the kubeconfig at `path`. Everything that it names is read once, so that a mistake shows
    /// at the start.
    pub fn from_kubeconfig(path: &Path) -> Result<Self, String> {
        let config = Kubeconfig::read(path)?;
        for ((part, names), value) in NOT_UNDERSTOOD.iter().zip([&config.cluster, &config.user]) {
            if let Some(name) = names.iter().find(|name| value.get(**name).is_some_and(|found| !found.is_null())) {
                return Err(format!("{}: {part}: {name} is not supported", path.display()));
            }
        }
        let source = Source::Kubeconfig(path.to_owned());
        let server_name = config.cluster["tls-server-name"].as_str().filter(|name| !name.is_empty()).map(str::to_owned);
        let security = Security { source, server_name };
        security.tls()?;
        let server = config.cluster["server"].as_str().unwrap_or("");
        let url =
            url(server).ok_or_else(|| format!("{}: server {server:?} is no http or https URL", path.display()))?;
        let text = |name: &str| config.user[name].as_str().filter(|text| !text.is_empty());
        let credential = match (text("tokenFile"), text("token"), text("username")) {
            (Some(file), ..) => Credential::TokenFile(config.beside(file)),
            (None, Some(token), _) => Credential::Token(Secret::new(token)),
            (None, None, Some(name)) => {
                let pair = format!("{name}:{}", text("password").unwrap_or(""));
                Credential::Basic(Secret::new(STANDARD.encode(pair)))
            }
            _ => Credential::Nobody,
        };
        Ok(Self { url, security: Arc::new(security), credential })
    }

    /// What the `Authorization` header says; `None` when there is none.
    pub async fn authorization(&self) -> Result<Option<HeaderValue>, String> {
        let (scheme, secret) = match &self.credential {
            Credential::Nobody => return Ok(None),
            Credential::Token(token) => ("Bearer", token.clone()),
            Credential::Basic(pair) => ("Basic", pair.clone()),
            Credential::TokenFile(path) => {
                let path = path.clone();
                let read = tokio::task::spawn_blocking(move || bytes(&path)).await;
                ("Bearer", Secret::new(read.map_err(|why| why.to_string())??.trim_ascii()))
            }
        };
        let header = [scheme.as_bytes(), b" ", secret.expose()].concat();
        let mut header = HeaderValue::from_bytes(&header).map_err(|_| "a credential that is no header".to_owned())?;
        header.set_sensitive(true);
        Ok(Some(header))
    }
}

impl Security {
    /// Servers are known by these authorities (PEM); `None` stands for those of the system.
    pub fn by_authorities(authorities: Option<&[u8]>) -> Result<Self, String> {
        let source = Source::Authorities(authorities.map(<[u8]>::to_vec));
        let security = Self { source, server_name: None };
        security.tls()?;
        Ok(security)
    }

    /// What the files say is read once here, so that a mistake shows at the start.
    pub fn by_files(files: TlsFiles) -> Result<Self, String> {
        let security = Self { source: Source::Files(files), server_name: None };
        security.tls()?;
        Ok(security)
    }

    /// For a new connection, whatever is spoken over it.
    pub(super) fn tls(&self) -> Result<ClientConfig, String> {
        let (verifier, leaf) = match &self.source {
            Source::Authorities(authorities) => (Verifier::new(authorities.as_deref())?, None),
            Source::Kubeconfig(path) => of_kubeconfig(path)?,
            Source::Files(files) => of_files(files)?,
        };
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|why| why.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match leaf {
            None => builder.with_no_client_auth(),
            Some(leaf) => {
                let (chain, key) = leaf.to_der().map_err(|why| why.to_string())?;
                builder.with_client_auth_cert(chain, key).map_err(|why| why.to_string())?
            }
        };
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

fn of_files(files: &TlsFiles) -> Result<(Verifier, Option<Leaf>), String> {
    let verifier = match &files.authorities {
        None => Verifier::unchecked(),
        Some(path) => Verifier::new(Some(&bytes(path)?)).map_err(|why| format!("{}: {why}", path.display()))?,
    };
    let leaf = match &files.client {
        None => None,
        Some((certificate, key)) => {
            let leaf = Leaf::from_pem(&bytes(certificate)?, &bytes(key)?);
            Some(leaf.map_err(|why| format!("{}: {why}", certificate.display()))?)
        }
    };
    Ok((verifier, leaf))
}

fn of_kubeconfig(path: &Path) -> Result<(Verifier, Option<Leaf>), String> {
    let config = Kubeconfig::read(path)?;
    let named = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let authority = config.content(&config.cluster, "certificate-authority")?;
    let verifier = match config.cluster["insecure-skip-tls-verify"] == true {
        true if authority.is_some() => {
            return Err(named(&"specifying a root certificates file with the insecure flag is not allowed"));
        }
        true => Verifier::unchecked(),
        false => Verifier::new(authority.as_deref()).map_err(|why| named(&why))?,
    };
    let certificate = config.content(&config.user, "client-certificate")?;
    let key = config.content(&config.user, "client-key")?;
    let leaf = match (certificate, key) {
        (Some(certificate), Some(key)) => Some(Leaf::from_pem(&certificate, &key).map_err(|why| named(&why))?),
        (None, None) => None,
        _ => return Err(named(&"a client certificate needs its key, and a key its certificate")),
    };
    Ok((verifier, leaf))
}

/// `host:port` alone is reached without TLS, as stock does.
fn url(server: &str) -> Option<Uri> {
    let whole = if server.contains("://") { server.to_owned() } else { format!("http://{server}") };
    let uri: Uri = whole.parse().ok()?;
    (matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some()).then_some(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(dir: &Path, text: &str) -> Result<Access, String> {
        let path = dir.join("config");
        std::fs::write(&path, text).expect("a file");
        Access::from_kubeconfig(&path).map_err(|why| why.replace(&path.display().to_string(), "config"))
    }

    fn config(cluster: &str, user: &str) -> String {
        format!(
            "current-context: c\ncontexts: [{{name: c, context: {{cluster: a, user: b}}}}]\n\
             clusters: [{{name: a, cluster: {cluster}}}]\nusers: [{{name: b, user: {user}}}]\n"
        )
    }

    #[tokio::test]
    async fn a_kubeconfig_says_where_and_as_whom() {
        let dir = tempfile::tempdir().expect("a folder");
        let ask = async |cluster: &str, user: &str| {
            let access = read(dir.path(), &config(cluster, user))?;
            let header = access.authorization().await?;
            let header = header.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
            Ok::<_, String>(format!("{} {}", access.url, header.unwrap_or_default()))
        };
        std::fs::write(dir.path().join("token"), "beside\n").expect("a file");
        let server = "{server: 'https://h:1/review'}";
        assert_eq!(ask(server, "{}").await.as_deref(), Ok("https://h:1/review "));
        assert_eq!(ask(server, "{token: t}").await.as_deref(), Ok("https://h:1/review Bearer t"));
        assert_eq!(ask(server, "{tokenFile: token}").await.as_deref(), Ok("https://h:1/review Bearer beside"));
        assert_eq!(ask(server, "{username: a, password: b}").await.as_deref(), Ok("https://h:1/review Basic YTpi"));
        assert_eq!(ask("{server: 'h:1'}", "{}").await.as_deref(), Ok("http://h:1/ "));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let refused = |cluster: &str, user: &str| read(dir.path(), &config(cluster, user)).err().unwrap_or_default();
        assert_eq!(refused("{server: 'ftp://h'}", "{}"), "config: server \"ftp://h\" is no http or https URL");
        assert_eq!(refused("{server: 'https://h'}", "{exec: {}}"), "config: user: exec is not supported");
        assert_eq!(refused("{server: 'https://h', proxy-url: x}", "{}"), "config: cluster: proxy-url is not supported");
        let lone = refused("{server: 'https://h'}", "{client-key-data: eA==}");
        assert_eq!(lone, "config: a client certificate needs its key, and a key its certificate");
        let both = "{server: 'https://h', insecure-skip-tls-verify: true, certificate-authority-data: eA==}";
        assert!(refused(both, "{}").contains("with the insecure flag"));
        assert_eq!(read(dir.path(), "a: b").err().as_deref(), Some("config: no cluster \"\""));
    }
}
