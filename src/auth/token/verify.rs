//! Tokens of service accounts, verified: signature, issuer, audience, time, and that what they are bound to is there.

use std::collections::HashMap;
use std::sync::Arc;

use compact_str::CompactString;
use jiff::Timestamp;
use serde::Deserialize;

use super::claims::{Claims, LEEWAY, LEGACY_ISSUER, Reference};
use super::jws::{self, Jws};
use super::lookups::Lookups;
use super::remembered::{Remembered, digest_of};
use crate::auth::identity::{Secret, User, split_service_account};
use crate::model::field::aggregate;
use crate::model::gotext;
use crate::model::names::ObjectName;
use crate::pki::key::PublicKey;

/// Whoever knows the objects that tokens are bound to.
pub trait TokenSubjects: Send + Sync {
    fn service_account(&self, namespace: &str, name: &str) -> Option<Subject>;
    fn pod(&self, namespace: &str, name: &str) -> Option<Subject>;
    fn node(&self, name: &str) -> Option<Subject>;
    fn secret(&self, namespace: &str, name: &str) -> Option<Subject>;
    /// What a token that lies in this secret is checked against.
    fn token_secret(&self, namespace: &str, name: &str) -> Option<TokenSecret>;
    /// Whether a service account lists this secret among its own.
    fn lists_secret(&self, namespace: &str, account: &str, secret: &str) -> bool;
}

/// An object that a token is bound to.
#[derive(Clone, Debug)]
pub struct Subject {
    pub uid: CompactString,
    /// When it began to be deleted.
    pub deleted: Option<Timestamp>,
}

/// A secret that holds a token.
#[derive(Clone, Debug)]
pub struct TokenSecret {
    pub is_deleting: bool,
    /// Its `data.token`.
    pub token: Secret,
    /// Whether it has the label `kubernetes.io/legacy-token-invalid-since`.
    pub is_invalidated: bool,
}

/// A token that was accepted.
#[derive(Clone, Debug)]
pub struct Accepted {
    pub user: User,
    /// For whom it was accepted: those of the token that were wanted.
    pub audiences: Arc<[CompactString]>,
    pub notes: Option<Box<Notes>>,
}

/// What is to be said or done about the use of a token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// For the client.
    pub warnings: Vec<String>,
    /// For the audit event.
    pub annotations: Vec<(&'static str, String)>,
    /// The secret whose label `kubernetes.io/legacy-token-last-used` should be today.
    pub used_secret: Option<ObjectName>,
}

/// Verifies tokens of this cluster's service accounts.
pub struct ServiceAccountTokens {
    issuers: Vec<String>,
    keys: Vec<PublicKey>,
    by_id: HashMap<String, Vec<usize>>,
    /// For whom a token must be when nobody else is named.
    audiences: Arc<[CompactString]>,
    subjects: Arc<dyn TokenSubjects>,
    /// Whether the token of a Secret lives no longer than the Secret.
    lookup: bool,
    verified: Remembered<Verified>,
    lookups: Lookups,
}

/// A token with a good signature.
struct Verified {
    claims: Claims,
    is_legacy: bool,
    /// Stock's error when it names no account in the right way.
    user: Result<User, &'static str>,
    audiences: Vec<CompactString>,
    /// Those of them that this server answers to.
    ours: Arc<[CompactString]>,
}

impl ServiceAccountTokens {
    /// `issuers`: all that are believed; `audiences`: this server's own (`--api-audiences`).
    pub fn new(
        issuers: Vec<String>,
        keys: Vec<PublicKey>,
        audiences: Arc<[CompactString]>,
        subjects: Arc<dyn TokenSubjects>,
        lookups: Lookups,
    ) -> Self {
        let mut by_id: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, key) in keys.iter().enumerate() {
            by_id.entry(jws::key_id(key)).or_default().push(at);
        }
        let verified = Remembered::default();
        Self { issuers, keys, by_id, audiences, subjects, lookup: true, verified, lookups }
    }

    /// Without, the token of a Secret is believed for its signature alone (`--service-account-lookup`).
    #[must_use]
    pub fn with_lookup(self, lookup: bool) -> Self {
        Self { lookup, ..self }
    }

    /// `None`: not one of ours. An error has stock's text. `wanted`: for whom it must be, `None` for this server.
    pub fn authenticate(
        &self,
        token: &str,
        wanted: Option<&[CompactString]>,
        now: Timestamp,
    ) -> Result<Option<Accepted>, String> {
        let (looking, key) = (self.lookups.begin(), digest_of(token));
        let verified = match self.verified.get(&key) {
            Some(verified) => {
                looking.hit();
                verified
            }
            None => {
                let outcome = self.verify(token);
                if !matches!(outcome, Ok(None)) {
                    let _missed = looking.missed();
                    self.lookups.fetch().done(outcome.is_ok());
                }
                let Some(verified) = outcome?.map(Arc::new) else { return Ok(None) };
                self.verified.put(key, verified.clone());
                verified
            }
        };
        let audiences = self.audiences_of(&verified, wanted)?;
        let notes = if verified.is_legacy {
            self.check_legacy(token, &verified)?
        } else {
            verified.claims.valid_at(now)?;
            self.check_bound(&verified.claims, now)?
        };
        Ok(Some(Accepted { user: verified.user.clone()?, audiences, notes }))
    }

    /// The part that does not depend on when and for whom.
    fn verify(&self, token: &str) -> Result<Option<Verified>, String> {
        #[derive(Deserialize)]
        struct Issuer {
            #[serde(default)]
            iss: String,
        }
        let Some(Issuer { iss }) = jws::peek(token) else { return Ok(None) };
        let is_legacy = iss == LEGACY_ISSUER;
        if !is_legacy && !self.issuers.contains(&iss) {
            return Ok(None);
        }
        let Some(jws) = Jws::parse(token) else { return Ok(None) };
        let keys: Vec<_> = match jws.key_id() {
            "" => self.keys.iter().collect(),
            id => self.by_id.get(id).into_iter().flatten().map(|at| &self.keys[*at]).collect(),
        };
        if keys.is_empty() {
            return Err("invalid signature, no keys found".into());
        }
        if !keys.iter().any(|key| jws.is_signed_by(key)) {
            return Err("go-jose/go-jose: error in cryptographic primitive".into());
        }
        let claims: Claims = serde_json::from_slice(&jws.payload)
            .map_err(|_| "go-jose/go-jose/jwt: expected claims to be value convertible from JSON".to_owned())?;
        if claims.iss != iss {
            return Err(format!("token issuer {} is invalid", gotext::quote(&claims.iss)));
        }
        let mut audiences: Vec<CompactString> = claims.aud.iter().map(CompactString::from).collect();
        if audiences.is_empty() {
            audiences = self.audiences.to_vec();
        }
        let ours = intersect(&audiences, &self.audiences);
        let user = if is_legacy { legacy_user(&claims) } else { Ok(claims.user()) };
        Ok(Some(Verified { claims, is_legacy, user, audiences, ours }))
    }

    fn audiences_of(
        &self,
        verified: &Verified,
        wanted: Option<&[CompactString]>,
    ) -> Result<Arc<[CompactString]>, String> {
        let common = match wanted {
            None => verified.ours.clone(),
            Some(wanted) => intersect(&verified.audiences, wanted),
        };
        if common.is_empty() && !self.audiences.is_empty() {
            let shown = |list: &[CompactString]| {
                let quoted: Vec<_> = list.iter().map(|a| gotext::quote(a)).collect();
                gotext::list(&quoted)
            };
            let wanted = shown(wanted.unwrap_or(&self.audiences));
            let own = shown(&verified.audiences);
            return Err(format!("token audiences {own} is invalid for the target audiences {wanted}"));
        }
        Ok(common)
    }

    /// That the account and what the token is bound to are there, the same as when it was issued.
    fn check_bound(&self, claims: &Claims, now: Timestamp) -> Result<Option<Box<Notes>>, String> {
        let bound = &claims.bound;
        let (namespace, account) = (bound.namespace.as_str(), &bound.serviceaccount);
        let gone = |subject: &Subject| subject.deleted.is_some_and(|at| at.as_second() < now.as_second() - LEEWAY);
        let Some(found) = self.subjects.service_account(namespace, &account.name) else {
            return Err(format!("serviceaccounts {} not found", gotext::quote(&account.name)));
        };
        if found.uid != account.uid {
            return Err(format!("service account UID ({}) does not match claim ({})", found.uid, account.uid));
        }
        if gone(&found) {
            return Err(format!("service account {namespace}/{} has been deleted", account.name));
        }
        let check = |what: &str, reference: &Reference, found: Option<Subject>| {
            let invalidated = || "service account token has been invalidated".to_owned();
            let found = found.ok_or_else(invalidated)?;
            if found.uid != reference.uid {
                let lower = what.to_lowercase();
                return Err(format!(
                    "{what} UID ({}) does not match service account {lower} ref claim ({})",
                    found.uid, reference.uid
                ));
            }
            if gone(&found) { Err(invalidated()) } else { Ok(()) }
        };
        if let Some(secret) = &bound.secret {
            check("secret", secret, self.subjects.secret(namespace, &secret.name))?;
        }
        match (&bound.pod, &bound.node) {
            (Some(pod), _) => check("pod", pod, self.subjects.pod(namespace, &pod.name))?,
            (None, Some(node)) => check("node", node, self.subjects.node(&node.name))?,
            (None, None) => {}
        }
        let mut notes = Notes::default();
        if claims.aud.is_empty() {
            notes.annotations.push(("authentication.k8s.io/legacy-token", claims.sub.clone()));
        }
        if let Some(warn) = bound.warnafter.filter(|at| *at != 0 && now.as_second() > *at) {
            let late = now.as_second() - warn;
            let text = format!("subject: {}, seconds after warning threshold: {late}", claims.sub);
            notes.annotations.push(("authentication.k8s.io/stale-token", text));
        }
        Ok((notes != Notes::default()).then(|| Box::new(notes)))
    }

    /// That the secret still holds this very token, for the same account.
    fn check_legacy(&self, token: &str, verified: &Verified) -> Result<Option<Box<Notes>>, String> {
        verified.user.as_ref().map_err(|e| (*e).to_owned())?;
        if !self.lookup {
            return Ok(None);
        }
        let legacy = &verified.claims.legacy;
        let (namespace, name) = (legacy.namespace.as_str(), legacy.account.as_str());
        let secret = self.subjects.token_secret(namespace, &legacy.secret).filter(|secret| !secret.is_deleting);
        let secret = secret.ok_or("Token has been invalidated")?;
        if !secret.token.matches(token.as_bytes()) {
            return Err("Token does not match server's copy".into());
        }
        let Some(account) = self.subjects.service_account(namespace, name) else {
            return Err(format!("serviceaccounts {} not found", gotext::quote(name)));
        };
        if account.deleted.is_some() {
            return Err(format!("ServiceAccount {namespace}/{name} has been deleted"));
        }
        if account.uid != legacy.account_uid {
            let (found, said) = (&account.uid, &legacy.account_uid);
            return Err(format!("ServiceAccount UID ({found}) does not match claim ({said})"));
        }
        if secret.is_invalidated {
            return Err(format!(
                "the token in secret {namespace}/{} for service account {namespace}/{name} has been marked invalid. Use \
                 tokens from the TokenRequest API or manually created secret-based tokens, or remove the \
                 'kubernetes.io/legacy-token-invalid-since' label from the secret to temporarily allow use of this token",
                legacy.secret
            ));
        }
        let mut notes = Notes { used_secret: Some(ObjectName::new(namespace, &legacy.secret)), ..Notes::default() };
        notes.annotations.push(("authentication.k8s.io/legacy-token", verified.claims.sub.clone()));
        let origin = if self.subjects.lists_secret(namespace, name, &legacy.secret) {
            notes.warnings.push(AUTOGENERATED.to_owned());
            "authentication.k8s.io/legacy-token-autogenerated-secret"
        } else {
            "authentication.k8s.io/legacy-token-manual-secret"
        };
        notes.annotations.push((origin, legacy.secret.clone()));
        Ok(Some(Box::new(notes)))
    }
}

const AUTOGENERATED: &str = "Use tokens from the TokenRequest API or manually created secret-based tokens instead of \
                             auto-generated secret-based tokens.";

fn legacy_user(claims: &Claims) -> Result<User, &'static str> {
    let legacy = &claims.legacy;
    for (text, error) in [
        (&claims.sub, "sub claim is missing"),
        (&legacy.namespace, "namespace claim is missing"),
        (&legacy.secret, "secretName claim is missing"),
        (&legacy.account, "serviceAccountName claim is missing"),
        (&legacy.account_uid, "serviceAccountUID claim is missing"),
    ] {
        if text.is_empty() {
            return Err(error);
        }
    }
    if split_service_account(&claims.sub) != Some((legacy.namespace.as_str(), legacy.account.as_str())) {
        return Err("sub claim is invalid");
    }
    Ok(legacy.user())
}

/// Those of `some` that are among `others`, in the order of `some`.
pub(in crate::auth) fn intersect(some: &[CompactString], others: &[CompactString]) -> Arc<[CompactString]> {
    some.iter().filter(|one| others.contains(one)).cloned().collect()
}

/// Errors of several ways to verify one token, as stock prints them together.
pub(in crate::auth) fn together(errors: &[String]) -> String {
    aggregate(errors.iter().map(|error| error.as_str().into()))
}

#[cfg(test)]
pub(in crate::auth) mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::auth::token::issue::{Bound, Issuer, Lifetime, Wanted};
    use crate::auth::token::lookups::tests::{told, uncounted};
    use crate::base::entropy::Entropy;
    use crate::pki::key::Key;

    /// Objects by `kind/namespace/name`, with their UIDs.
    #[derive(Default)]
    pub struct World {
        pub objects: Mutex<HashMap<String, Subject>>,
        pub token: Mutex<String>,
        pub listed: Mutex<bool>,
        pub invalidated: Mutex<bool>,
    }

    impl World {
        pub fn put(&self, key: &str, deleted: Option<&str>) {
            let name = key.rsplit('/').next().expect("a name");
            let deleted = deleted.map(|at| at.parse().expect("a time"));
            let subject = Subject { uid: format!("{name}-uid").into(), deleted };
            self.objects.lock().expect("objects").insert(key.into(), subject);
        }

        pub fn remove(&self, key: &str) {
            self.objects.lock().expect("objects").remove(key);
        }

        fn get(&self, key: String) -> Option<Subject> {
            self.objects.lock().expect("objects").get(&key).cloned()
        }
    }

    impl TokenSubjects for World {
        fn service_account(&self, namespace: &str, name: &str) -> Option<Subject> {
            self.get(format!("account/{namespace}/{name}"))
        }

        fn pod(&self, namespace: &str, name: &str) -> Option<Subject> {
            self.get(format!("pod/{namespace}/{name}"))
        }

        fn node(&self, name: &str) -> Option<Subject> {
            self.get(format!("node/{name}"))
        }

        fn secret(&self, namespace: &str, name: &str) -> Option<Subject> {
            self.get(format!("secret/{namespace}/{name}"))
        }

        fn token_secret(&self, namespace: &str, name: &str) -> Option<TokenSecret> {
            let subject = self.secret(namespace, name)?;
            Some(TokenSecret {
                is_deleting: subject.deleted.is_some(),
                token: Secret::new(self.token.lock().expect("a token").clone()),
                is_invalidated: *self.invalidated.lock().expect("a flag"),
            })
        }

        fn lists_secret(&self, _: &str, _: &str, _: &str) -> bool {
            *self.listed.lock().expect("a flag")
        }
    }

    pub struct Cluster {
        pub world: Arc<World>,
        pub issuer: Issuer,
        pub tokens: ServiceAccountTokens,
    }

    pub fn reference(name: &str) -> Reference {
        Reference { name: name.into(), uid: format!("{name}-uid") }
    }

    impl Cluster {
        pub fn new() -> Self {
            let key = Arc::new(Key::generate().expect("a key"));
            let other = Key::generate().expect("a key");
            let world = Arc::new(World::default());
            world.put("account/n/sa", None);
            let tokens = ServiceAccountTokens::new(
                vec!["https://k".into(), "https://before".into()],
                vec![other.public().clone(), key.public().clone()],
                Arc::from(["https://k".into(), "api".into()]),
                world.clone(),
                uncounted(),
            );
            Self { world, issuer: Issuer::new(key, "https://k"), tokens }
        }

        pub fn issue(&self, bound: Bound, audiences: &[&str]) -> String {
            let audiences: Vec<_> = audiences.iter().map(|a| (*a).to_owned()).collect();
            let wanted = Wanted {
                namespace: "n",
                account: reference("sa"),
                audiences: &audiences,
                lifetime: Lifetime { seconds: 3600, warn_after: Some(600) },
                bound,
            };
            let now = "2026-01-01T00:00:00Z".parse().expect("a time");
            self.issuer.issue(&wanted, now, &Entropy::seeded(1)).expect("a token").token
        }

        fn ask(&self, token: &str, time: &str) -> String {
            self.ask_for(token, None, time)
        }

        fn ask_for(&self, token: &str, wanted: Option<&[&str]>, time: &str) -> String {
            let now = format!("2026-01-01T{time}Z").parse().expect("a time");
            let wanted: Option<Vec<CompactString>> = wanted.map(|all| all.iter().map(|a| (*a).into()).collect());
            let first = self.tokens.authenticate(token, wanted.as_deref(), now);
            let again = self.tokens.authenticate(token, wanted.as_deref(), now);
            assert_eq!(first.as_ref().err(), again.as_ref().err(), "the second time is as the first");
            match first {
                Err(error) => error,
                Ok(None) => "not ours".into(),
                Ok(Some(accepted)) => format!("{} for {}", accepted.user.name, accepted.audiences.join(",")),
            }
        }
    }

    const ACCEPTED: &str = "system:serviceaccount:n:sa for https://k";

    #[test]
    fn a_token_is_accepted_in_its_time_and_for_its_audience() {
        let cluster = Cluster::new();
        let token = cluster.issue(Bound::Nothing, &["https://k"]);
        assert_eq!(cluster.ask(&token, "00:00:00"), ACCEPTED);
        assert_eq!(cluster.ask(&token, "01:01:00"), ACCEPTED, "clocks may differ by a minute");
        assert_eq!(cluster.ask(&token, "01:01:01"), "service account token has expired");
        let early = cluster.tokens.authenticate(&token, None, "2025-12-31T23:58:59Z".parse().expect("a time"));
        assert_eq!(early.expect_err("early"), "service account token is not valid yet");

        let foreign = cluster.issue(Bound::Nothing, &["vault", "api"]);
        assert_eq!(cluster.ask(&foreign, "00:00:00"), "system:serviceaccount:n:sa for api");
        assert_eq!(
            cluster.ask_for(&foreign, Some(&["x", "vault"]), "00:00:00"),
            "system:serviceaccount:n:sa for vault"
        );
        let foreign = cluster.issue(Bound::Nothing, &["vault"]);
        let refused = "token audiences [\"vault\"] is invalid for the target audiences [\"https://k\" \"api\"]";
        assert_eq!(cluster.ask(&foreign, "00:00:00"), refused);
    }

    #[test]
    fn what_was_verified_is_known_and_counted() {
        let (cluster, stranger) = (Cluster::new(), Cluster::new());
        let token = cluster.issue(Bound::Nothing, &["https://k"]);
        // Each is asked about twice.
        assert_eq!(cluster.ask(&token, "00:00:00"), ACCEPTED);
        cluster.ask(&stranger.issue(Bound::Nothing, &["https://k"]), "00:00:00");
        assert_eq!(cluster.ask("somebody.elses.token", "00:00:00"), "not ours");
        let mut told = told(&cluster.tokens.lookups);
        told.sort();
        let fetched = ["fetch_total{status=\"error\"} 2", "fetch_total{status=\"ok\"} 1"];
        let asked = ["request_total{status=\"hit\"} 1", "request_total{status=\"miss\"} 3"];
        assert_eq!(told, [fetched[0], fetched[1], asked[0], asked[1]]);
    }

    #[test]
    fn a_token_dies_with_what_it_is_bound_to() {
        let cluster = Cluster::new();
        let world = &cluster.world;
        for (bound, key) in [
            (Bound::Pod(reference("p"), Some(reference("gone-node"))), "pod/n/p"),
            (Bound::Secret(reference("s")), "secret/n/s"),
            (Bound::Node(reference("m")), "node/m"),
        ] {
            let token = cluster.issue(bound, &["https://k"]);
            assert_eq!(cluster.ask(&token, "00:00:00"), "service account token has been invalidated");
            world.put(key, None);
            assert_eq!(cluster.ask(&token, "00:00:00"), ACCEPTED);
            world.put(key, Some("2026-01-01T00:00:00Z"));
            assert_eq!(cluster.ask(&token, "00:01:00"), ACCEPTED);
            assert_eq!(cluster.ask(&token, "00:01:01"), "service account token has been invalidated");
            world.objects.lock().expect("objects").get_mut(key).expect("it").uid = "new".into();
            let what = key.split('/').next().expect("a kind");
            let name = key.rsplit('/').next().expect("a name");
            let refused = format!("{what} UID (new) does not match service account {what} ref claim ({name}-uid)");
            assert_eq!(cluster.ask(&token, "00:00:00"), refused);
        }
        let token = cluster.issue(Bound::Nothing, &["https://k"]);
        world.put("account/n/sa", Some("2026-01-01T00:00:00Z"));
        assert_eq!(cluster.ask(&token, "00:02:00"), "service account n/sa has been deleted");
        world.objects.lock().expect("objects").get_mut("account/n/sa").expect("it").uid = "new".into();
        assert_eq!(cluster.ask(&token, "00:00:00"), "service account UID (new) does not match claim (sa-uid)");
        world.remove("account/n/sa");
        assert_eq!(cluster.ask(&token, "00:00:00"), "serviceaccounts \"sa\" not found");
    }

    #[test]
    fn the_user_brings_along_what_the_token_is_bound_to() {
        let cluster = Cluster::new();
        cluster.world.put("pod/n/p", None);
        let node = Reference { name: "m".into(), uid: String::new() };
        let token = cluster.issue(Bound::Pod(reference("p"), Some(node)), &["https://k"]);
        let now = "2026-01-01T00:20:00Z".parse().expect("a time");
        let accepted = cluster.tokens.authenticate(&token, None, now).expect("accepted").expect("ours");
        let user = &accepted.user;
        assert_eq!(user.uid, "sa-uid");
        assert_eq!(user.groups, ["system:serviceaccounts", "system:serviceaccounts:n", "system:authenticated"]);
        let keys: Vec<_> = user.extra.keys().map(|key| key.rsplit('/').next().expect("a key")).collect();
        assert_eq!(keys, ["credential-id", "node-name", "pod-name", "pod-uid"]);
        assert!(user.extra_value("authentication.kubernetes.io/credential-id").expect("one").starts_with("JTI="));
        let notes = accepted.notes.expect("it is late");
        let stale = "subject: system:serviceaccount:n:sa, seconds after warning threshold: 600".to_owned();
        assert_eq!(notes.annotations, [("authentication.k8s.io/stale-token", stale)]);
    }

    #[test]
    fn others_tokens_are_not_ours_and_forged_ones_are_refused() {
        let (cluster, stranger) = (Cluster::new(), Cluster::new());
        let token = cluster.issue(Bound::Nothing, &["https://k"]);
        let elsewhere = Issuer::new(Arc::new(Key::generate().expect("a key")), "https://elsewhere");
        let legacy = elsewhere.issue_for_secret("n", &reference("sa"), "s").expect("a token");
        for other in ["", "abc", "a.b.c", "abcdef.0123456789abcdef", "{\"payload\":\"\"}"] {
            assert_eq!(cluster.ask(other, "00:00:00"), "not ours");
        }
        assert_eq!(
            cluster.ask(&stranger.issue(Bound::Nothing, &["https://k"]), "00:00:00"),
            "invalid signature, no keys found"
        );
        assert_eq!(cluster.ask(&legacy, "00:00:00"), "invalid signature, no keys found");
        let (signed, signature) = token.rsplit_once('.').expect("parts");
        let other = cluster.issue(Bound::Nothing, &["api"]);
        let (other, _) = other.rsplit_once('.').expect("parts");
        assert_eq!(
            cluster.ask(&format!("{other}.{signature}"), "00:00:00"),
            "go-jose/go-jose: error in cryptographic primitive"
        );
        assert!(cluster.ask(&format!("{signed}."), "00:00:00").starts_with("go-jose"));
    }

    #[test]
    fn a_token_of_a_secret_lives_as_long_as_the_secret_holds_it() {
        let cluster = Cluster::new();
        let token = cluster.issuer.issue_for_secret("n", &reference("sa"), "s").expect("a token");
        assert_eq!(cluster.ask(&token, "00:00:00"), "Token has been invalidated");
        cluster.world.put("secret/n/s", None);
        assert_eq!(cluster.ask(&token, "00:00:00"), "Token does not match server's copy");
        cluster.world.token.lock().expect("a token").clone_from(&token);
        assert_eq!(cluster.ask(&token, "00:00:00"), "system:serviceaccount:n:sa for https://k,api");
        *cluster.world.listed.lock().expect("a flag") = true;
        let now = "2030-01-01T00:00:00Z".parse().expect("a time");
        let accepted = cluster.tokens.authenticate(&token, None, now).expect("accepted").expect("ours");
        let notes = accepted.notes.expect("notes");
        assert_eq!(notes.warnings, [AUTOGENERATED]);
        assert_eq!(notes.used_secret, Some(ObjectName::new("n", "s")));
        assert_eq!(notes.annotations[1], ("authentication.k8s.io/legacy-token-autogenerated-secret", "s".into()));
        *cluster.world.invalidated.lock().expect("a flag") = true;
        assert!(
            cluster.ask(&token, "00:00:00").starts_with("the token in secret n/s for service account n/sa has been")
        );
        cluster.world.put("secret/n/s", Some("2026-01-01T00:00:00Z"));
        assert_eq!(cluster.ask(&token, "00:00:00"), "Token has been invalidated");
        let Cluster { world, issuer, tokens } = cluster;
        let cluster = Cluster { world, issuer, tokens: tokens.with_lookup(false) };
        assert_eq!(
            cluster.ask(&token, "00:00:00"),
            "system:serviceaccount:n:sa for https://k,api",
            "unless nobody looks"
        );
        let bound = cluster.issue(Bound::Pod(reference("gone"), None), &["https://k"]);
        assert_eq!(
            cluster.ask(&bound, "00:00:00"),
            "service account token has been invalidated",
            "but this one is looked up"
        );
    }
}
