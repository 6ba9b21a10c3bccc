//! The secret by which a bootstrap token exists, for who makes one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use super::bootstrap::{self, GROUP, ID_LETTERS, SECRET_LETTERS, TYPE};
use crate::auth::identity::Secret;
use crate::base::entropy::Entropy;
use crate::model::value::{Map, Value, json};

/// What a token may be used for.
const USAGES: [&str; 2] = ["signing", "authentication"];
const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// A bootstrap token and what it is for.
pub struct BootstrapSecret {
    /// Six letters: it names the token and is no secret.
    pub id: String,
    secret: Secret,
    /// `None`: it is valid until it is deleted.
    pub expiration: Option<Timestamp>,
    pub usages: Vec<String>,
    /// Beside `system:bootstrappers`.
    pub groups: Vec<String>,
    pub description: String,
}

impl BootstrapSecret {
    /// A new token, for everything that tokens are for.
    pub fn generate(entropy: &Entropy) -> Self {
        Self {
            id: entropy.letters(LETTERS, ID_LETTERS),
            secret: Secret::new(entropy.letters(LETTERS, SECRET_LETTERS)),
            expiration: None,
            usages: USAGES.map(str::to_owned).to_vec(),
            groups: Vec::new(),
            description: String::new(),
        }
    }

    /// The given `id.secret`.
    pub fn given(token: &str, entropy: &Entropy) -> Result<Self, String> {
        let (id, secret) = bootstrap::parse(token).ok_or("a token has the form [a-z0-9]{6}.[a-z0-9]{16}".to_owned())?;
        Ok(Self { id: id.to_owned(), secret: Secret::new(secret), ..Self::generate(entropy) })
    }

    /// The name of the secret, in `kube-system`.
    pub fn name(&self) -> String {
        format!("bootstrap-token-{}", self.id)
    }

    /// `id.secret`; whoever has it is the token's user.
    pub fn token(&self) -> String {
        format!("{}.{}", self.id, String::from_utf8_lossy(self.secret.expose()))
    }

    /// What is wrong with it: a token with an unknown usage or a group of another form would never be accepted.
    pub fn check(&self) -> Result<(), String> {
        if let Some(unknown) = self.usages.iter().find(|usage| !USAGES.contains(&usage.as_str())) {
            return Err(format!("usage {unknown:?}: not one of {}", USAGES.join(", ")));
        }
        match self.groups.iter().find(|group| !bootstrap::is_group(group)) {
            Some(group) => Err(format!("group {group:?}: not of the form {GROUP}:[a-z0-9:-]{{0,255}}[a-z0-9]")),
            None => Ok(()),
        }
    }

    /// The Secret for the API.
    pub fn to_value(&self) -> Value {
        let mut data = Map::new();
        let mut put = |key: String, bytes: &[u8]| data.insert(key.into(), STANDARD.encode(bytes).into());
        put("token-id".into(), self.id.as_bytes());
        put("token-secret".into(), self.secret.expose());
        if let Some(at) = self.expiration {
            let whole = Timestamp::from_second(at.as_second()).unwrap_or(at);
            put("expiration".into(), whole.to_string().as_bytes());
        }
        for usage in &self.usages {
            put(format!("usage-bootstrap-{usage}"), b"true");
        }
        if !self.groups.is_empty() {
            put("auth-extra-groups".into(), self.groups.join(",").as_bytes());
        }
        if !self.description.is_empty() {
            put("description".into(), self.description.as_bytes());
        }
        json!({"metadata": {"name": self.name(), "namespace": "kube-system"}, "type": TYPE, "data": data})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::token::bootstrap::{BootstrapSecrets, authenticate};

    impl BootstrapSecrets for BootstrapSecret {
        fn secret(&self, name: &str) -> Option<Value> {
            (name == self.name()).then(|| self.to_value())
        }
    }

    #[test]
    fn a_new_token_authenticates_until_it_expires() {
        let at = |time: &str| time.parse::<Timestamp>().expect("a time");
        let mut made = BootstrapSecret::generate(&Entropy::seeded(1));
        made.expiration = Some(at("2026-01-01T00:00:00.5Z"));
        made.groups = vec!["system:bootstrappers:kubeadm:default-node-token".into()];
        assert_eq!(made.check(), Ok(()));
        let user = authenticate(&made, &made.token(), at("2026-01-01T00:00:00Z")).expect("a user");
        assert_eq!(user.name, format!("system:bootstrap:{}", made.id));
        assert!(user.is_in("system:bootstrappers:kubeadm:default-node-token"));
        assert!(authenticate(&made, &made.token(), at("2026-01-01T00:00:01Z")).is_none());
        made.usages = vec!["signing".into()];
        assert!(authenticate(&made, &made.token(), at("2026-01-01T00:00:00Z")).is_none());
    }

    #[test]
    fn what_would_never_be_accepted_is_refused() {
        let entropy = Entropy::seeded(1);
        let token = "abcdef.0123456789abcdef";
        let mut given = BootstrapSecret::given(token, &entropy).expect("a token");
        assert_eq!((given.token().as_str(), given.check()), (token, Ok(())));
        given.groups = vec!["system:masters".into()];
        let refused = "group \"system:masters\": not of the form system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]";
        assert_eq!(given.check(), Err(refused.to_owned()));
        given.usages = vec!["all".into()];
        assert_eq!(given.check(), Err("usage \"all\": not one of signing, authentication".to_owned()));
        assert!(BootstrapSecret::given("abcdef", &entropy).is_err());
    }
}
