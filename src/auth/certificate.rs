//! Proof by client certificate. Anyone may show any certificate in the handshake, and must hold its key; whether it
//! means something is decided here, for each request, so that an unknown one is answered with 401 and not by hanging up.

use std::fmt;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use aws_lc_rs::digest::{SHA256, digest};
use compact_str::CompactString;
use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, UnixTime};
use tokio_rustls::rustls::client::danger::HandshakeSignatureValid;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};

use super::identity::{CREDENTIAL_ID, Identity, User};
use crate::model::gotext;
use crate::pki::certificate::{Certificate, Facts};
use crate::pki::error::PkiError;

/// Asks every client for a certificate, takes any or none, and makes sure that the client holds its key.
#[derive(Debug)]
pub struct PossessionVerifier {
    hints: Vec<DistinguishedName>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PossessionVerifier {
    /// `authorities` are told to clients, so that they choose the right one of their certificates.
    pub fn new<'a>(authorities: impl IntoIterator<Item = &'a Certificate>) -> Result<Self, PkiError> {
        let roots = roots(authorities)?;
        Ok(Self { hints: roots.subjects(), algorithms: default_provider().signature_verification_algorithms })
    }
}

impl ClientCertVerifier for PossessionVerifier {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    /// Takes any: who it is, if anybody, is for `Trust` to say.
    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The certificates that a connection's client showed, and what was found out about them. One a connection.
#[derive(Default)]
pub struct Peer {
    /// The client's own first; empty when it showed none.
    chain: Vec<CertificateDer<'static>>,
    client: ArcSwapOption<Known>,
    proxy: ArcSwapOption<Known>,
}

/// What `trust` said.
struct Known {
    trust: Arc<Trust>,
    /// From here on it has to be asked again.
    until: Timestamp,
    answer: Result<Arc<Verified>, String>,
}

/// A certificate that verified.
#[derive(Debug)]
pub(super) struct Verified {
    pub common_name: CompactString,
    /// Empty when the certificate names nobody; an error when it names somebody in a wrong way.
    pub user: Result<Option<User>, String>,
}

/// As what a certificate is looked at; each has its own authorities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Client,
    Proxy,
}

impl Peer {
    /// `chain` as rustls gives it after the handshake.
    pub fn new(chain: Vec<CertificateDer<'static>>) -> Self {
        Self { chain, ..Self::default() }
    }

    /// The certificate under `trust`, verified at most once for a connection while nothing changes. `None` when the
    /// client showed none.
    pub(super) fn verified(
        &self,
        role: Role,
        trust: &Arc<Trust>,
        now: Timestamp,
    ) -> Option<Result<Arc<Verified>, String>> {
        let leaf = self.chain.first()?;
        let memory = if role == Role::Client { &self.client } else { &self.proxy };
        if let Some(known) = memory.load().as_ref()
            && Arc::ptr_eq(&known.trust, trust)
            && now < known.until
        {
            return Some(known.answer.clone());
        }
        let (answer, until) = match trust.verify(&self.chain, now) {
            Ok(until) => {
                (Facts::read(leaf).map(|f| Arc::new(Verified::new(leaf, &f))).map_err(|e| e.to_string()), until)
            }
            Err(error) => (Err(error), Timestamp::MIN),
        };
        memory.store(Some(Arc::new(Known { trust: trust.clone(), until, answer: answer.clone() })));
        Some(answer)
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Peer({} certificates)", self.chain.len())
    }
}

impl Verified {
    fn new(der: &[u8], facts: &Facts) -> Self {
        Self { common_name: facts.subject.common_name.as_str().into(), user: user(der, facts) }
    }
}

/// The user whom a verified certificate names: the common name, in the groups that its organizations are.
fn user(der: &[u8], facts: &Facts) -> Result<Option<User>, String> {
    let subject = &facts.subject;
    if subject.common_name.is_empty() {
        return Ok(None);
    }
    let uid = match subject.uids.as_slice() {
        [] => "",
        [uid] if uid.is_empty() => return Err("UID cannot be an empty string".into()),
        [uid] => uid,
        several => return Err(format!("expected 1 UID, but found multiple: {several:?}")),
    };
    let hash = digest(&SHA256, der);
    let hex = gotext::hex(hash.as_ref());
    let identity = Identity {
        name: subject.common_name.as_str().into(),
        uid: uid.into(),
        groups: subject.organizations.iter().map(CompactString::from).collect(),
        extra: [(CREDENTIAL_ID.into(), vec![format!("X509SHA256={hex}").into()])].into(),
    };
    Ok(Some(identity.authenticated().into()))
}

/// A `Trust` that another may take the place of while the server runs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Authorities(Arc<ArcSwap<Trust>>);

impl Authorities {
    /// From now on these are believed, and what was verified before has to be verified again.
    pub fn replace(&self, trust: Trust) {
        self.0.store(Arc::new(trust));
    }

    pub(super) fn current(&self) -> Guard<Arc<Trust>> {
        self.0.load()
    }
}

impl From<Arc<Trust>> for Authorities {
    fn from(trust: Arc<Trust>) -> Self {
        Self(Arc::new(ArcSwap::new(trust)))
    }
}

/// The authorities whose certificates are believed.
pub struct Trust {
    authorities: Vec<Certificate>,
    verifier: Arc<dyn ClientCertVerifier>,
    provider: Arc<CryptoProvider>,
}

impl Trust {
    pub fn new(authorities: &[Certificate]) -> Result<Self, PkiError> {
        let provider = Arc::new(default_provider());
        let verifier = verifier(authorities, &provider)?;
        Ok(Self { authorities: authorities.to_vec(), verifier, provider })
    }

    /// Until when, at most, the answer holds; or why the chain is not believed.
    fn verify(&self, chain: &[CertificateDer<'static>], now: Timestamp) -> Result<Timestamp, String> {
        let Some((leaf, intermediates)) = chain.split_first() else { return Err("no certificate".into()) };
        let valid: Vec<_> = self.authorities.iter().filter(|a| a.is_valid_at(now)).cloned().collect();
        let verifier = if valid.len() == self.authorities.len() {
            self.verifier.clone()
        } else {
            verifier(&valid, &self.provider).map_err(|e| e.to_string())?
        };
        let seconds = u64::try_from(now.as_second()).unwrap_or(0);
        let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        verifier.verify_client_cert(leaf, intermediates, at).map_err(|e| e.to_string())?;
        let shown = chain.iter().filter_map(|der| Facts::read(der).ok()).map(|facts| facts.not_after);
        Ok(shown.chain(valid.iter().map(|a| a.not_after)).min().unwrap_or(now))
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.authorities.iter().map(|a| &a.subject.common_name)).finish()
    }
}

fn verifier(
    authorities: &[Certificate],
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, PkiError> {
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(authorities)?), provider.clone());
    builder.build().map_err(malformed)
}

fn roots<'a>(authorities: impl IntoIterator<Item = &'a Certificate>) -> Result<RootCertStore, PkiError> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority.der().clone()).map_err(malformed)?;
    }
    Ok(roots)
}

fn malformed(why: impl ToString) -> PkiError {
    PkiError::Malformed { what: "certificate authority for clients".into(), why: why.to_string() }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::base::clock::Clock;
    use crate::base::entropy::Entropy;
    use crate::pki::authority::{Authority, Leaf, Usage, Wanted};

    pub fn clock(time: &str) -> Clock {
        Clock::starting_at(time.parse().expect("a time"))
    }

    pub fn authority(name: &str) -> Authority {
        Authority::create(name, None, &clock("2026-01-01T00:00:00Z"), &Entropy::seeded(1)).expect("an authority")
    }

    pub fn issue(authority: &Authority, wanted: Wanted<'_>) -> Leaf {
        authority.issue(&wanted, &clock("2026-01-01T00:00:00Z"), &Entropy::seeded(2)).expect("a leaf")
    }

    pub fn client(authority: &Authority, name: &str, groups: &[&str]) -> Peer {
        let leaf = issue(authority, Wanted { common_name: name, organizations: groups, ..Wanted::default() });
        Peer::new(leaf.to_der().expect("der").0)
    }

    pub fn trust(authority: &Authority) -> Arc<Trust> {
        Arc::new(Trust::new(authority.certificates()).expect("trust"))
    }

    fn who(peer: &Peer, trust: &Arc<Trust>, time: &str) -> String {
        match peer.verified(Role::Client, trust, time.parse().expect("a time")) {
            None => "nobody".into(),
            Some(Err(error)) => format!("error: {error}"),
            Some(Ok(verified)) => match &verified.user {
                Ok(Some(user)) => {
                    format!("{} {:?} {}", user.name, user.groups, user.extra_value(CREDENTIAL_ID).unwrap_or(""))
                }
                other => format!("{other:?}"),
            },
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_certificate_names_a_user_while_it_is_valid() {
        let authority = authority("kubernetes");
        let (trust, peer) = (trust(&authority), client(&authority, "jane", &["dev", "ops"]));
        let said = who(&peer, &trust, "2026-06-01T00:00:00Z");
        assert!(said.starts_with("jane [\"dev\", \"ops\", \"system:authenticated\"] X509SHA256="), "{said}");
        let hash = said.rsplit('=').next().expect("a hash");
        assert_eq!((hash.len(), hash.to_lowercase().as_str()), (64, hash));
        assert!(who(&peer, &trust, "2025-06-01T00:00:00Z").starts_with("jane"), "remembered while the answer holds");
        assert!(
            who(&peer, &trust, "2027-06-01T00:00:00Z")
                .starts_with("error: invalid peer certificate: certificate expired")
        );
        assert!(who(&Peer::default(), &trust, "2026-06-01T00:00:00Z").starts_with("nobody"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_strangers_certificate_is_not_believed() {
        let (ours, theirs) = (authority("kubernetes"), authority("kubernetes"));
        let peer = client(&theirs, "jane", &["system:masters"]);
        assert!(who(&peer, &trust(&ours), "2026-06-01T00:00:00Z").starts_with("error: "));
        assert!(
            who(&peer, &trust(&theirs), "2026-06-01T00:00:00Z").starts_with("jane"),
            "asked again under other trust"
        );
        let server = issue(&ours, Wanted { common_name: "jane", usage: Usage::Server, ..Wanted::default() });
        let peer = Peer::new(server.to_der().expect("der").0);
        assert!(who(&peer, &trust(&ours), "2026-06-01T00:00:00Z").starts_with("error: "), "not for clients");
    }

    #[tokio::test(start_paused = true)]
    async fn an_expired_authority_is_not_believed() {
        let old = authority("old");
        let renewed =
            Authority::create("new", None, &clock("2035-01-01T00:00:00Z"), &Entropy::seeded(4)).expect("an authority");
        let mut both = old.certificates().to_vec();
        both.extend(renewed.certificates().iter().cloned());
        let trust = Arc::new(Trust::new(&both).expect("trust"));
        let late = clock("2035-06-01T00:00:00Z");
        let wanted = Wanted { common_name: "jane", ..Wanted::default() };
        let under = |authority: &Authority| {
            Peer::new(authority.issue(&wanted, &late, &Entropy::seeded(5)).expect("a leaf").to_der().expect("der").0)
        };
        assert!(who(&under(&old), &trust, "2035-07-01T00:00:00Z").starts_with("jane"));
        assert!(who(&under(&old), &trust, "2036-01-01T00:00:00Z").starts_with("error: "));
        assert!(who(&under(&renewed), &trust, "2036-01-01T00:00:00Z").starts_with("jane"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_certificate_without_a_name_names_nobody() {
        let authority = authority("kubernetes");
        assert_eq!(who(&client(&authority, "", &["a"]), &trust(&authority), "2026-06-01T00:00:00Z"), "Ok(None)");
    }

    /// A whole handshake in memory: the client shows `shown` but signs with the key of `held`.
    fn handshake(shown: &Leaf, held: &Leaf, serving: &Leaf, authority: &Authority) -> Result<usize, Error> {
        use tokio_rustls::rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};
        let provider = Arc::new(default_provider());
        let possession = Arc::new(PossessionVerifier::new(authority.certificates()).expect("a verifier"));
        let (chain, key) = serving.to_der().expect("der");
        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(possession)
            .with_single_cert(chain, key)?;
        let key = provider.key_provider.load_private_key(held.key.to_der().expect("der"))?;
        let certified = tokio_rustls::rustls::sign::CertifiedKey::new(shown.to_der().expect("der").0, key);
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots(authority.certificates()).expect("roots"))
            .with_client_cert_resolver(Arc::new(Always(Arc::new(certified))));
        let mut server = ServerConnection::new(Arc::new(server))?;
        let mut client = ClientConnection::new(Arc::new(client), "localhost".try_into().expect("a name"))?;
        for _ in 0..10 {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).expect("memory");
            let mut rest = wire.as_slice();
            while !rest.is_empty() {
                server.read_tls(&mut rest).expect("memory");
                server.process_new_packets()?;
            }
            let mut wire = Vec::new();
            server.write_tls(&mut wire).expect("memory");
            let mut rest = wire.as_slice();
            while !rest.is_empty() {
                client.read_tls(&mut rest).expect("memory");
                client.process_new_packets()?;
            }
        }
        assert!(!server.is_handshaking());
        Ok(server.peer_certificates().map_or(0, <[_]>::len))
    }

    /// Shows its certificate whatever the server asks for.
    #[derive(Debug)]
    struct Always(Arc<tokio_rustls::rustls::sign::CertifiedKey>);

    impl tokio_rustls::rustls::client::ResolvesClientCert for Always {
        fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<tokio_rustls::rustls::sign::CertifiedKey>> {
            Some(self.0.clone())
        }

        fn has_certs(&self) -> bool {
            true
        }
    }

    #[test]
    fn the_handshake_takes_strangers_but_not_thieves() {
        // rustls' client reads the machine's clock, so these must be valid now.
        let (clock, entropy) = (Clock::machine(), Entropy::seeded(6));
        let create = |name| Authority::create(name, None, &clock, &entropy).expect("an authority");
        let (ours, theirs) = (create("ours"), create("theirs"));
        let hostnames = ["localhost".to_owned()];
        let wanted = Wanted { common_name: "s", hostnames: &hostnames, usage: Usage::Server, ..Wanted::default() };
        let serving = ours.issue(&wanted, &clock, &entropy).expect("a leaf");
        let client = |authority: &Authority| {
            authority.issue(&Wanted { common_name: "c", ..Wanted::default() }, &clock, &entropy).expect("a leaf")
        };
        let (friend, stranger) = (client(&ours), client(&theirs));
        assert_eq!(handshake(&friend, &friend, &serving, &ours), Ok(1));
        assert_eq!(handshake(&stranger, &stranger, &serving, &ours), Ok(1));
        let stolen = handshake(&friend, &stranger, &serving, &ours);
        assert!(stolen.is_err(), "the certificate of another: {stolen:?}");
    }
}
