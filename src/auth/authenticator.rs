//! Who asks: every way to prove it, in stock's order and with stock's outcomes. Only a token that nobody here knows is
//! asked about elsewhere; all else is answered at once.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use compact_str::CompactString;
use http::header::{AUTHORIZATION, CONNECTION, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;

use super::certificate::{Authorities, Peer, Role};
use super::identity::User;
use super::metrics::{Attempt as Tried, Metrics};
use super::request_header::{RequestHeader, strip};
use super::token::bootstrap::{self, BootstrapSecrets};
use super::token::file::FileTokens;
use super::token::verify::{Accepted, Notes, ServiceAccountTokens, intersect, together};
use crate::base::clock::Clock;

/// A bearer token that stands among the protocols of a WebSocket request, because browsers cannot set headers.
const WEBSOCKET_PREFIX: &str = "base64url.bearer.authorization.k8s.io.";
const INVALID_TOKEN: &str = "invalid bearer token";
const SPACE_WARNING: &str =
    "the provided Authorization header contains extra space before the bearer token, and is ignored";

/// Every way that is configured; those that are not are `None`.
pub struct Authenticator {
    pub request_header: Option<RequestHeader>,
    /// The authorities of client certificates.
    pub client_certificates: Option<Authorities>,
    pub file_tokens: Option<FileTokens>,
    pub service_accounts: Option<Arc<ServiceAccountTokens>>,
    pub bootstrap_tokens: Option<Arc<dyn BootstrapSecrets>>,
    /// Who is asked about tokens that nobody here accepts, in order.
    pub elsewhere: Vec<Arc<dyn RemoteTokens>>,
    pub anonymous: Anonymous,
    /// This server's own audiences (`--api-audiences`).
    pub audiences: Arc<[CompactString]>,
    pub clock: Clock,
    pub metrics: Metrics,
}

/// Somebody who knows tokens that this server does not, and has to be asked.
#[async_trait]
pub trait RemoteTokens: Send + Sync {
    /// `None`: not one of its tokens. `wanted`: for whom it must be, at least one of them; empty when it does not matter.
    async fn authenticate(
        &self,
        token: &str,
        wanted: &[CompactString],
        own: &Arc<[CompactString]>,
    ) -> Result<Option<Accepted>, String>;
}

/// Who may come without saying who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Anonymous {
    Nobody,
    Everybody,
    /// Those who ask for exactly one of these paths.
    Paths(Vec<String>),
}

/// A request's proofs.
#[derive(Debug)]
pub struct Proofs<'a> {
    /// What proves something is taken away when it was accepted.
    pub headers: &'a mut HeaderMap,
    /// Without the query.
    pub path: &'a str,
    /// `None` when it did not come over TLS.
    pub peer: Option<&'a Peer>,
}

/// Nobody: the request is answered with 401.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unauthenticated {
    pub tried: Tried,
    /// For the log, never for the client.
    pub why: String,
}

impl Authenticator {
    /// The first way that proves somebody wins. When none does: somebody who tried is refused, others are anonymous.
    pub async fn authenticate(&self, proofs: Proofs<'_>) -> Result<Accepted, Unauthenticated> {
        let Proofs { headers, path, peer } = proofs;
        let mut attempt = Attempt::default();
        let mut accepted = match self.prove(headers, peer, &mut attempt).await {
            Some(accepted) => accepted,
            None if !attempt.errors.is_empty() => {
                return Err(Unauthenticated { tried: Tried::Error, why: together(&attempt.errors) });
            }
            None if self.anonymous.allows(path) => self.accept(User::anonymous()),
            None => {
                return Err(Unauthenticated { tried: Tried::Failure, why: "nothing proves an identity".into() });
            }
        };
        if let Some(warning) = attempt.warning {
            accepted.notes.get_or_insert_default().warnings.push(warning.to_owned());
        }
        headers.remove(AUTHORIZATION);
        strip(headers, self.request_header.as_ref());
        Ok(accepted)
    }

    /// Counts what became of a request's proofs.
    pub fn count(&self, outcome: &Result<Accepted, Unauthenticated>, took: Duration) {
        match outcome {
            Ok(accepted) => self.metrics.accepted(&accepted.user.name, took),
            Err(refused) => self.metrics.refused(refused.tried, took),
        }
    }

    /// For a TokenReview: the user whom `token` names, if it is for one of `audiences` (empty: for this server). The
    /// error is what the review shows.
    pub async fn review(&self, token: &str, audiences: &[CompactString]) -> Result<Accepted, String> {
        let wanted = if audiences.is_empty() { None } else { Some(audiences) };
        let token = token.trim().split(' ').next().unwrap_or("");
        match self.token(token, wanted, self.clock.now()).await {
            Ok(Some(accepted)) => Ok(accepted),
            Ok(None) => Err(INVALID_TOKEN.into()),
            // In stock a token of the server's own is tried first, and fails with this text.
            Err(mut errors) => {
                errors.insert(0, INVALID_TOKEN.into());
                Err(together(&errors))
            }
        }
    }

    async fn prove(&self, headers: &mut HeaderMap, peer: Option<&Peer>, attempt: &mut Attempt) -> Option<Accepted> {
        let now = self.clock.now();
        if let Some(config) = &self.request_header
            && let Some(identity) = attempt.note(config.authenticate(peer, headers, now))
        {
            return Some(self.accept(identity.authenticated().into()));
        }
        if let Some(user) = attempt.note(self.certificate(peer, now)) {
            return Some(self.accept(user));
        }
        let (token, warning) = bearer(headers);
        attempt.warning = warning;
        if let Some(token) = token
            && let Some(accepted) = attempt.token(self.token(token, None, now).await)
        {
            return Some(accepted);
        }
        let (token, protocols) = attempt.note(websocket(headers))?;
        let accepted = attempt.token(self.token(&token, None, now).await)?;
        if let Ok(protocols) = HeaderValue::try_from(protocols) {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, protocols);
        }
        Some(accepted)
    }

    fn certificate(&self, peer: Option<&Peer>, now: Timestamp) -> Result<Option<User>, String> {
        let (Some(authorities), Some(peer)) = (&self.client_certificates, peer) else { return Ok(None) };
        match peer.verified(Role::Client, &authorities.current(), now) {
            None => Ok(None),
            Some(verified) => verified?.user.clone(),
        }
    }

    /// Every sort of token.
    async fn token(
        &self,
        token: &str,
        wanted: Option<&[CompactString]>,
        now: Timestamp,
    ) -> Result<Option<Accepted>, Vec<String>> {
        match self.token_here(token, wanted, now) {
            Ok(Some(accepted)) => Ok(Some(accepted)),
            outcome if self.elsewhere.is_empty() => outcome.map_err(|error| vec![error]),
            outcome => self.token_elsewhere(token, wanted, outcome.err()).await,
        }
    }

    async fn token_elsewhere(
        &self,
        token: &str,
        wanted: Option<&[CompactString]>,
        error: Option<String>,
    ) -> Result<Option<Accepted>, Vec<String>> {
        let mut errors: Vec<String> = error.into_iter().collect();
        for remote in &self.elsewhere {
            match remote.authenticate(token, wanted.unwrap_or(&self.audiences), &self.audiences).await {
                Ok(None) => {}
                Ok(Some(accepted)) => return Ok(Some(accepted)),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(None) } else { Err(errors) }
    }

    /// The sorts that this server knows itself. Those that know no audience are for this server.
    fn token_here(
        &self,
        token: &str,
        wanted: Option<&[CompactString]>,
        now: Timestamp,
    ) -> Result<Option<Accepted>, String> {
        let audiences = match wanted {
            None => self.audiences.clone(),
            Some(wanted) => intersect(&self.audiences, wanted),
        };
        let for_us = wanted.is_none() || !audiences.is_empty();
        let accept = |user: User| Accepted { user, audiences: audiences.clone(), notes: None };
        if for_us && let Some(user) = self.file_tokens.as_ref().and_then(|file| file.user(token)) {
            return Ok(Some(accept(user.clone())));
        }
        let mut error = None;
        if let Some(tokens) = &self.service_accounts {
            match tokens.authenticate(token, wanted, now) {
                Ok(None) => {}
                Ok(accepted) => return Ok(accepted),
                Err(why) => error = Some(why),
            }
        }
        if for_us
            && let Some(secrets) = &self.bootstrap_tokens
            && let Some(user) = bootstrap::authenticate(secrets.as_ref(), token, now)
        {
            return Ok(Some(accept(user)));
        }
        error.map_or(Ok(None), Err)
    }

    fn accept(&self, user: User) -> Accepted {
        Accepted { user, audiences: self.audiences.clone(), notes: None }
    }
}

impl Anonymous {
    fn allows(&self, path: &str) -> bool {
        match self {
            Self::Nobody => false,
            Self::Everybody => true,
            Self::Paths(paths) => paths.iter().any(|allowed| allowed == path),
        }
    }
}

/// What went wrong on the way.
#[derive(Default)]
struct Attempt {
    errors: Vec<String>,
    warning: Option<&'static str>,
}

impl Attempt {
    fn note<T>(&mut self, outcome: Result<Option<T>, String>) -> Option<T> {
        outcome.unwrap_or_else(|error| {
            self.errors.push(error);
            None
        })
    }

    /// A token that nobody knows is wrong too.
    fn token(&mut self, outcome: Result<Option<Accepted>, Vec<String>>) -> Option<Accepted> {
        match outcome {
            Ok(Some(accepted)) => return Some(accepted),
            Ok(None) => self.errors.push(INVALID_TOKEN.to_owned()),
            Err(errors) => self.errors.extend(errors),
        }
        None
    }
}

/// The token of the `Authorization` header, and a warning about the header.
fn bearer(headers: &HeaderMap) -> (Option<&str>, Option<&'static str>) {
    let text = headers.get(AUTHORIZATION).and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
    let mut parts = text.unwrap_or("").trim().splitn(3, ' ');
    let (scheme, token, rest) = (parts.next().unwrap_or(""), parts.next(), parts.next());
    match token {
        Some(token) if scheme.eq_ignore_ascii_case("bearer") => match token {
            "" => (None, rest.map(|_| SPACE_WARNING)),
            token => (Some(token), None),
        },
        _ => (None, None),
    }
}

/// The token among the protocols of a WebSocket request, and the protocols that remain, of which there must be one.
fn websocket(headers: &HeaderMap) -> Result<Option<(String, String)>, String> {
    let header = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or("");
    let upgrades = header(CONNECTION).split(',').any(|word| word.trim().eq_ignore_ascii_case("upgrade"));
    if !upgrades || !header(UPGRADE).eq_ignore_ascii_case("websocket") {
        return Ok(None);
    }
    let (mut token, mut others) = (None, Vec::new());
    let values = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    for protocol in values.flat_map(|value| value.split(',')).map(str::trim) {
        let Some(encoded) = protocol.strip_prefix(WEBSOCKET_PREFIX) else {
            others.push(protocol);
            continue;
        };
        if token.is_some() {
            return Err("multiple base64.bearer.authorization tokens specified".into());
        }
        let decoded = URL_SAFE_NO_PAD.decode(encoded);
        let decoded = decoded.map_err(|_| "invalid base64.bearer.authorization token encoding")?;
        token = Some(String::from_utf8(decoded).map_err(|_| "invalid base64.bearer.authorization token")?);
    }
    let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(None) };
    if others.is_empty() {
        return Err("missing additional subprotocol".into());
    }
    Ok(Some((token, others.join(","))))
}

impl Accepted {
    /// Its notes; empty ones when there are none.
    pub fn take_notes(&mut self) -> Notes {
        self.notes.take().map(|notes| *notes).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::auth::certificate::tests::{authority, client, clock, trust};
    use crate::auth::request_header::HeaderNames;
    use crate::auth::token::issue::Bound;
    use crate::auth::token::verify::tests::Cluster;
    use crate::pki::authority::Authority;

    struct Stage {
        authenticator: Authenticator,
        clients: Authority,
        proxies: Authority,
        token: String,
    }

    fn stage() -> Stage {
        let (clients, proxies, cluster) = (authority("kubernetes"), authority("front-proxy-ca"), Cluster::new());
        let token = cluster.issue(Bound::Nothing, &["https://k"]);
        let names = HeaderNames {
            users: vec!["X-Remote-User".into()],
            groups: vec!["X-Remote-Group".into()],
            ..HeaderNames::default()
        };
        let authenticator = Authenticator {
            request_header: Some(RequestHeader::new(trust(&proxies), vec![], &names).expect("names")),
            client_certificates: Some(trust(&clients).into()),
            file_tokens: Some(FileTokens::parse("static,joe,8,\"g\"\n").expect("a file")),
            service_accounts: Some(Arc::new(cluster.tokens)),
            bootstrap_tokens: None,
            elsewhere: Vec::new(),
            anonymous: Anonymous::Everybody,
            audiences: Arc::from(["https://k".into()]),
            clock: clock("2026-01-01T00:10:00Z"),
            metrics: Metrics::default(),
        };
        Stage { authenticator, clients, proxies, token }
    }

    impl Stage {
        fn ask(&self, peer: Option<&Peer>, of: &[(&str, &str)]) -> String {
            let mut headers: HeaderMap = of
                .iter()
                .map(|(n, v)| {
                    (n.parse::<http::HeaderName>().expect("a name"), v.parse::<HeaderValue>().expect("a value"))
                })
                .collect();
            let proofs = Proofs { headers: &mut headers, path: "/api", peer };
            let answer = self.authenticator.authenticate(proofs).now_or_never().expect("an answer at once");
            match answer {
                Err(Unauthenticated { why, .. }) => format!("401: {why}"),
                Ok(mut accepted) => {
                    let left: Vec<_> =
                        headers.iter().map(|(n, v)| format!("{n}={}", v.to_str().expect("text"))).collect();
                    let warnings = accepted.take_notes().warnings;
                    let said = format!(
                        "{} {} {}{}",
                        accepted.user.name,
                        accepted.user.groups.join(","),
                        left.join(" "),
                        warnings.concat()
                    );
                    said.trim().to_owned()
                }
            }
        }
    }

    const NOBODY: &str = "system:anonymous system:unauthenticated";

    #[tokio::test(start_paused = true)]
    async fn every_way_proves_a_user() {
        let stage = stage();
        let jane = client(&stage.clients, "jane", &["dev"]);
        assert_eq!(stage.ask(Some(&jane), &[]), "jane dev,system:authenticated");
        let bearer = format!("Bearer {}", stage.token);
        let account = "system:serviceaccount:n:sa system:serviceaccounts,system:serviceaccounts:n,system:authenticated";
        assert_eq!(stage.ask(None, &[("authorization", &bearer)]), account);
        assert_eq!(stage.ask(None, &[("authorization", "bearer static")]), "joe g,system:authenticated");
        let proxy = client(&stage.proxies, "p", &[]);
        let forwarded = [("x-remote-user", "eve"), ("x-remote-group", "a"), ("accept", "x")];
        assert_eq!(stage.ask(Some(&proxy), &forwarded), "eve a,system:authenticated accept=x");
        let encoded = format!("v5.channel.k8s.io, {WEBSOCKET_PREFIX}{}", URL_SAFE_NO_PAD.encode(&stage.token));
        let upgrade = [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-protocol", encoded.as_str()),
        ];
        let said = stage.ask(None, &upgrade);
        assert!(said.starts_with(account) && said.ends_with("sec-websocket-protocol=v5.channel.k8s.io"), "{said}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_proves_nothing_is_anonymous_and_who_proves_wrongly_is_refused() {
        let stage = stage();
        assert_eq!(stage.ask(None, &[]), NOBODY);
        assert_eq!(stage.ask(None, &[("authorization", "Basic eDp5")]), NOBODY);
        assert_eq!(stage.ask(None, &[("authorization", "Bearer")]), NOBODY);
        assert_eq!(stage.ask(None, &[("authorization", "Bearer  x")]), format!("{NOBODY} {SPACE_WARNING}"));
        assert_eq!(stage.ask(None, &[("authorization", "Bearer x")]), "401: invalid bearer token");
        let stranger = client(&authority("other"), "jane", &[]);
        assert!(stage.ask(Some(&stranger), &[]).starts_with("401: "));
        let said = stage.ask(Some(&stranger), &[("authorization", "Bearer static")]);
        assert_eq!(said, "joe g,system:authenticated", "another proof is enough");
        let jane = client(&stage.clients, "jane", &[]);
        let said = stage.ask(Some(&jane), &[("authorization", "Bearer x"), ("x-remote-user", "root")]);
        assert_eq!(said, "jane system:authenticated", "a client is not a proxy, and its certificate counts first");
    }

    #[tokio::test(start_paused = true)]
    async fn anonymous_requests_can_be_limited() {
        let mut stage = stage();
        stage.authenticator.anonymous = Anonymous::Paths(vec!["/healthz".into()]);
        assert!(stage.ask(None, &[]).starts_with("401: "));
        let proofs = Proofs { headers: &mut HeaderMap::new(), path: "/healthz", peer: None };
        let answer = stage.authenticator.authenticate(proofs).await;
        assert!(answer.expect("anonymous").user.is_anonymous());
        stage.authenticator.anonymous = Anonymous::Nobody;
        assert!(stage.ask(None, &[]).starts_with("401: "));
    }

    #[tokio::test(start_paused = true)]
    async fn broken_websocket_proofs_are_refused() {
        let stage = stage();
        let ask = |protocols: &str| {
            let upgrade = [("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-protocol", protocols)];
            stage.ask(None, &upgrade)
        };
        let token = format!("{WEBSOCKET_PREFIX}{}", URL_SAFE_NO_PAD.encode("static"));
        assert!(ask(&format!("{token}, v4")).starts_with("joe g"));
        assert_eq!(ask(&token), "401: missing additional subprotocol");
        assert_eq!(ask(&format!("{token},{token},v4")), "401: multiple base64.bearer.authorization tokens specified");
        assert_eq!(ask(&format!("{WEBSOCKET_PREFIX}?,v4")), "401: invalid base64.bearer.authorization token encoding");
        assert!(ask("v4").starts_with(NOBODY));
    }

    #[tokio::test(start_paused = true)]
    async fn a_review_names_the_user_or_what_is_wrong() {
        let stage = stage();
        let review = |token: &str, audiences: &[&str]| {
            let audiences: Vec<CompactString> = audiences.iter().map(|a| (*a).into()).collect();
            match stage.authenticator.review(token, &audiences).now_or_never().expect("an answer at once") {
                Ok(accepted) => format!("{} for {}", accepted.user.name, accepted.audiences.join(",")),
                Err(error) => error,
            }
        };
        assert_eq!(review(&stage.token, &[]), "system:serviceaccount:n:sa for https://k");
        assert_eq!(review("static", &["x", "https://k"]), "joe for https://k");
        assert_eq!(review("static", &["x"]), "invalid bearer token");
        assert_eq!(review("nope", &["a"]), "invalid bearer token");
        assert_eq!(
            review(&stage.token, &["x"]),
            "[invalid bearer token, token audiences [\"https://k\"] is invalid for the target audiences [\"x\"]]"
        );
    }

    proptest::proptest! {
        #[test]
        fn any_headers_are_somebody_or_nobody(authorization in "[ -~]{0,30}", protocols in "[ -~]{0,60}") {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, authorization.parse().expect("printable"));
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(SEC_WEBSOCKET_PROTOCOL, protocols.parse().expect("printable"));
            let _ = bearer(&headers);
            let _ = websocket(&headers);
        }
    }
}
