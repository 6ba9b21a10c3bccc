//! Tokens by which a node joins: `id.secret`, kept in a secret `bootstrap-token-<id>` of `kube-system`.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use compact_str::{CompactString, format_compact};
use jiff::Timestamp;

use crate::auth::identity::{Identity, Secret, User};
use crate::model::object::is_deleting;
use crate::model::value::Value;

pub(super) const TYPE: &str = "bootstrap.kubernetes.io/token";
pub(super) const GROUP: &str = "system:bootstrappers";
const USER_PREFIX: &str = "system:bootstrap:";
pub(super) const ID_LETTERS: usize = 6;
pub(super) const SECRET_LETTERS: usize = 16;
/// Letters of the longest group after `system:bootstrappers:`.
const GROUP_LETTERS: usize = 256;

/// Whoever knows the secrets of `kube-system`.
pub trait BootstrapSecrets: Send + Sync {
    /// The secret as JSON.
    fn secret(&self, name: &str) -> Option<Value>;
}

/// The user that a token names; `None` when it is no such token or not a valid one.
pub(in crate::auth) fn authenticate(secrets: &dyn BootstrapSecrets, token: &str, now: Timestamp) -> Option<User> {
    let (id, key) = parse(token)?;
    let secret = secrets.secret(&format!("bootstrap-token-{id}"))?;
    if is_deleting(&secret) || secret.get("type").and_then(Value::as_str) != Some(TYPE) {
        return None;
    }
    if !Secret::new(data(&secret, "token-secret")?).matches(key.as_bytes())
        || text(&secret, "token-id")? != id
        || has_expired(&secret, now)
        || text(&secret, "usage-bootstrap-authentication").as_deref() != Some("true")
    {
        return None;
    }
    let identity =
        Identity { name: format_compact!("{USER_PREFIX}{id}"), groups: groups(&secret)?, ..Identity::default() };
    Some(identity.authenticated().into())
}

/// Its id and its secret part.
pub fn parse(token: &str) -> Option<(&str, &str)> {
    let letters =
        |text: &str, count| text.len() == count && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let (id, secret) = token.split_once('.')?;
    (letters(id, ID_LETTERS) && letters(secret, SECRET_LETTERS)).then_some((id, secret))
}

fn has_expired(secret: &Value, now: Timestamp) -> bool {
    expiration(secret).is_some_and(|at| at < now)
}

/// When its time is over. `None`: never; one that cannot be read was over long ago.
pub fn expiration(secret: &Value) -> Option<Timestamp> {
    let text = text(secret, "expiration").filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or(Timestamp::MIN))
}

/// The id and the secret part of a token that signs what joining nodes are told; `None` when it may not.
pub fn signer(secret: &Value, now: Timestamp) -> Option<(String, String)> {
    let id = secret["metadata"]["name"].as_str()?.strip_prefix("bootstrap-token-")?;
    let key = text(secret, "token-secret").filter(|key| !key.is_empty())?;
    let may = text(secret, "usage-bootstrap-signing").as_deref() == Some("true");
    let is_whole = secret["type"] == TYPE && text(secret, "token-id").as_deref() == Some(id);
    (may && is_whole && !has_expired(secret, now)).then(|| (id.to_owned(), key))
}

/// A token's signature over `content`, without it: a JWS in compact form with an empty middle (HS256).
pub fn signature(content: &str, id: &str, key: &str) -> String {
    let header = URL_SAFE_NO_PAD.encode(crate::json!({"alg": "HS256", "kid": id}).to_string());
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(content));
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    format!("{header}..{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes())))
}

/// The group of all such tokens and the secret's own; `None` when one of those is not of the form they must have.
fn groups(secret: &Value) -> Option<Vec<CompactString>> {
    let mut groups = vec![CompactString::from(GROUP)];
    let extra = text(secret, "auth-extra-groups").unwrap_or_default();
    for group in extra.split(',').filter(|_| !extra.is_empty()) {
        if !is_group(group) {
            return None;
        }
        groups.push(group.into());
    }
    groups.sort();
    groups.dedup();
    Some(groups)
}

/// Whether a token may give this group.
pub(super) fn is_group(group: &str) -> bool {
    let Some(name) = group.strip_prefix(GROUP).and_then(|rest| rest.strip_prefix(':')) else { return false };
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let good = name.bytes().all(|b| letter(b) || b == b':' || b == b'-') && name.bytes().last().is_some_and(letter);
    good && name.len() <= GROUP_LETTERS
}

fn data(secret: &Value, key: &str) -> Option<Vec<u8>> {
    STANDARD.decode(secret.get("data")?.get(key)?.as_str()?).ok()
}

fn text(secret: &Value, key: &str) -> Option<String> {
    String::from_utf8(data(secret, key)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    struct One(Value);

    impl BootstrapSecrets for One {
        fn secret(&self, name: &str) -> Option<Value> {
            (name == "bootstrap-token-abcdef").then(|| self.0.clone())
        }
    }

    fn who(token: &str, change: impl FnOnce(&mut Value)) -> String {
        let encode = |text: &str| STANDARD.encode(text);
        let mut secret = json!({
            "metadata": {"name": "bootstrap-token-abcdef", "namespace": "kube-system"},
            "type": TYPE,
            "data": {
                "token-id": encode("abcdef"),
                "token-secret": encode("0123456789abcdef"),
                "usage-bootstrap-authentication": encode("true"),
                "expiration": encode("2026-01-02T00:00:00Z"),
                "auth-extra-groups": encode("system:bootstrappers:kubeadm:default-node-token"),
            }
        });
        change(&mut secret);
        let now = "2026-01-01T00:00:00Z".parse().expect("a time");
        authenticate(&One(secret), token, now).map_or("nobody".into(), |u| format!("{} {:?}", u.name, u.groups))
    }

    #[test]
    fn a_token_signs() {
        let expected = "eyJhbGciOiJIUzI1NiIsImtpZCI6Impvc2h1YSJ9..CwJVtJ4cpfvLf_nyz6jkQcndxWUwK-lmg8KFqhwlne0";
        assert_eq!(signature("Hear me roar!", "joshua", "my secret"), expected);
    }

    #[test]
    fn a_token_of_a_secret_names_a_bootstrapper() {
        let good = "abcdef.0123456789abcdef";
        assert_eq!(
            who(good, |_| {}),
            "system:bootstrap:abcdef [\"system:bootstrappers\", \"system:bootstrappers:kubeadm:default-node-token\", \
             \"system:authenticated\"]"
        );
        let set = |key: &'static str, text: &str| {
            let value = STANDARD.encode(text);
            move |secret: &mut Value| secret["data"][key] = value.into()
        };
        assert!(who(good, set("expiration", "")).starts_with("system:bootstrap:abcdef"));
        assert!(
            who(good, set("auth-extra-groups", "")).ends_with("[\"system:bootstrappers\", \"system:authenticated\"]")
        );
        for (key, text) in [
            ("expiration", "2025-12-31T00:00:00Z"),
            ("expiration", "tomorrow"),
            ("token-secret", "0123456789abcdeg"),
            ("token-id", "abcdeg"),
            ("usage-bootstrap-authentication", "yes"),
            ("auth-extra-groups", "system:masters"),
            ("auth-extra-groups", "system:bootstrappers:a,system:bootstrappers:"),
            ("auth-extra-groups", "system:bootstrappers:A"),
        ] {
            assert_eq!(who(good, set(key, text)), "nobody", "{key}={text}");
        }
        assert_eq!(who(good, |s| s["type"] = "Opaque".into()), "nobody");
        assert_eq!(who(good, |s| s["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into()), "nobody");
        for token in
            ["abcdef.0123456789abcdeF", "abcdef.0123", "abcdeg.0123456789abcdef", "", ".", "abcdef0123456789abcdef"]
        {
            assert_eq!(who(token, |_| {}), "nobody", "{token}");
        }
    }
}
