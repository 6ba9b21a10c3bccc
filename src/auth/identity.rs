//! Users, the well-known names among them, and secrets.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use compact_str::{CompactString, format_compact};

use crate::model::value::{Map, Value, json};

pub const ANONYMOUS: &str = "system:anonymous";
/// Everybody who did not say who they are.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";
/// Everybody else.
pub const AUTHENTICATED: &str = "system:authenticated";
/// May do everything, whatever the authorizers say.
pub const MASTERS: &str = "system:masters";
pub const NODES: &str = "system:nodes";
pub const SERVICE_ACCOUNTS: &str = "system:serviceaccounts";
pub const APISERVER: &str = "system:apiserver";
pub const KUBE_CONTROLLER_MANAGER: &str = "system:kube-controller-manager";
pub const KUBE_SCHEDULER: &str = "system:kube-scheduler";
pub const KUBE_PROXY: &str = "system:kube-proxy";

/// Names of what a user brings along beside groups.
pub const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";
pub const POD_NAME: &str = "authentication.kubernetes.io/pod-name";
pub const POD_UID: &str = "authentication.kubernetes.io/pod-uid";
pub const NODE_NAME: &str = "authentication.kubernetes.io/node-name";
pub const NODE_UID: &str = "authentication.kubernetes.io/node-uid";

const SERVICE_ACCOUNT_PREFIX: &str = "system:serviceaccount:";
const NODE_PREFIX: &str = "system:node:";

/// Values by key, as a user's `extra` has them.
pub type Extra = BTreeMap<CompactString, Vec<CompactString>>;

/// Who asks. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User(Arc<Identity>);

/// What is known of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    pub name: CompactString,
    /// Empty when the way of authentication knows none.
    pub uid: CompactString,
    pub groups: Vec<CompactString>,
    pub extra: Extra,
}

impl User {
    pub fn new(name: &str, groups: &[&str]) -> Self {
        let groups = groups.iter().map(|g| (*g).into()).collect();
        Identity { name: name.into(), groups, ..Identity::default() }.into()
    }

    pub fn anonymous() -> Self {
        Self::new(ANONYMOUS, &[UNAUTHENTICATED])
    }

    /// Whom nobody knows.
    pub fn nobody() -> Self {
        Identity::default().into()
    }

    /// The user as which a service account comes, with its groups but without `system:authenticated`.
    pub fn service_account(namespace: &str, name: &str, uid: &str) -> Identity {
        Identity {
            name: service_account_name(namespace, name),
            uid: uid.into(),
            groups: service_account_groups(namespace).into(),
            extra: Extra::new(),
        }
    }

    /// One of the server's own controllers.
    pub fn controller(name: &str) -> Self {
        Self::service_account("kube-system", name, "").authenticated().into()
    }

    /// Whether nobody knows who this is.
    pub fn is_anonymous(&self) -> bool {
        self.name == ANONYMOUS || self.is_in(UNAUTHENTICATED)
    }

    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|g| g == group)
    }

    /// The name of the node that this is; empty when it is one that does not say which. `None`: it is no node.
    pub fn node(&self) -> Option<&str> {
        self.name.strip_prefix(NODE_PREFIX).filter(|_| self.is_in(NODES))
    }

    /// A value of `extra` that stands alone under its key.
    pub fn extra_value(&self, key: &str) -> Option<&str> {
        match self.extra.get(key).map(Vec::as_slice) {
            Some([value]) => Some(value),
            _ => None,
        }
    }

    /// As reviews and audit events show it (`UserInfo`).
    pub fn to_value(&self) -> Value {
        let mut info = Map::new();
        if !self.name.is_empty() {
            info.insert("username".into(), json!(self.name.as_str()));
        }
        if !self.uid.is_empty() {
            info.insert("uid".into(), json!(self.uid.as_str()));
        }
        if !self.groups.is_empty() {
            info.insert("groups".into(), texts(&self.groups));
        }
        if !self.extra.is_empty() {
            let extra = self.extra.iter().map(|(key, values)| (key.to_string(), texts(values)));
            info.insert("extra".into(), Value::Object(extra.collect()));
        }
        Value::Object(info)
    }
}

impl Identity {
    /// With `system:authenticated`, unless it is anonymous or its groups say already how it was authenticated.
    pub fn authenticated(mut self) -> Self {
        let settled = |group: &CompactString| group == AUTHENTICATED || group == UNAUTHENTICATED;
        if self.name != ANONYMOUS && !self.groups.iter().any(settled) {
            self.groups.push(AUTHENTICATED.into());
        }
        self
    }
}

impl Deref for User {
    type Target = Identity;

    fn deref(&self) -> &Identity {
        &self.0
    }
}

impl From<Identity> for User {
    fn from(identity: Identity) -> Self {
        Self(Arc::new(identity))
    }
}

fn texts(values: &[CompactString]) -> Value {
    values.iter().map(CompactString::as_str).collect()
}

pub fn service_account_name(namespace: &str, name: &str) -> CompactString {
    format_compact!("{SERVICE_ACCOUNT_PREFIX}{namespace}:{name}")
}

/// All service accounts', and its namespace's.
pub fn service_account_groups(namespace: &str) -> [CompactString; 2] {
    [SERVICE_ACCOUNTS.into(), format_compact!("{SERVICE_ACCOUNTS}:{namespace}")]
}

/// Namespace and name of a service account's user name; `None` when it is none, or not a valid one.
pub fn split_service_account(user: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user.strip_prefix(SERVICE_ACCOUNT_PREFIX)?.split_once(':')?;
    (is_label(namespace) && is_subdomain(name)).then_some((namespace, name))
}

/// The name of the node whose user this is; `None` when it is no node's, or not a valid one.
pub fn split_node(user: &str) -> Option<&str> {
    user.strip_prefix(NODE_PREFIX).filter(|name| is_subdomain(name))
}

/// An RFC 1123 label: a namespace's name.
fn is_label(text: &str) -> bool {
    text.len() <= 63 && is_part(text)
}

/// An RFC 1123 subdomain: the name of most objects.
fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_part)
}

fn is_part(text: &str) -> bool {
    let alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.iter().all(|b| alphanumeric(b) || *b == b'-')
        && bytes.first().is_some_and(alphanumeric)
        && bytes.last().is_some_and(alphanumeric)
}

/// Something that must not be shown: it has no `Display`, and `Debug` does not print it.
#[derive(Clone)]
pub struct Secret(Box<[u8]>);

impl Secret {
    pub fn new(content: impl Into<Vec<u8>>) -> Self {
        Self(content.into().into_boxed_slice())
    }

    /// The content. Whoever calls this takes care of where it goes.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is `guess`, in a time that depends on the lengths alone.
    pub fn matches(&self, guess: &[u8]) -> bool {
        verify_slices_are_equal(&self.0, guess).is_ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_accounts_are_told_from_other_users() {
        let cases = [
            ("system:serviceaccount:ns:sa", Some(("ns", "sa"))),
            ("system:serviceaccount:ns:sa.with.dots", Some(("ns", "sa.with.dots"))),
            ("system:serviceaccount:ns:sa:more", None),
            ("system:serviceaccount:Ns:sa", None),
            ("system:serviceaccount:a.b:sa", None),
            ("system:serviceaccount::sa", None),
            ("system:serviceaccount:ns:", None),
            ("system:serviceaccount:ns", None),
            ("jane", None),
        ];
        for (user, expected) in cases {
            assert_eq!(split_service_account(user), expected, "{user}");
        }
        assert_eq!(split_node("system:node:n1.example"), Some("n1.example"));
        assert_eq!(split_node("system:node:N1"), None);
        assert_eq!(split_node("system:node:"), None);
    }

    #[test]
    fn the_group_of_the_authenticated_is_added_once_and_not_to_all() {
        let groups = |name: &str, groups: &[&str]| {
            let identity = Identity {
                name: name.into(),
                groups: groups.iter().map(|g| (*g).into()).collect(),
                ..Identity::default()
            };
            identity.authenticated().groups.join(",")
        };
        assert_eq!(groups("jane", &["a"]), "a,system:authenticated");
        assert_eq!(groups("jane", &["system:authenticated", "a"]), "system:authenticated,a");
        assert_eq!(groups("jane", &["system:unauthenticated"]), "system:unauthenticated");
        assert_eq!(groups("system:anonymous", &["a"]), "a");
    }

    #[test]
    fn a_node_is_in_the_group_of_nodes_under_its_name() {
        let node = |name: &str, group: &str| User::new(name, &[group]).node().map(str::to_owned);
        assert_eq!(node("system:node:n1", NODES).as_deref(), Some("n1"));
        assert_eq!(node("system:node:", NODES).as_deref(), Some(""));
        assert_eq!(node("system:node:n1", AUTHENTICATED), None);
        assert_eq!(node("n1", NODES), None);
    }

    #[test]
    fn a_user_is_shown_without_its_empty_fields() {
        let user = User::new("jane", &["a"]);
        assert_eq!(user.to_value(), json!({"username": "jane", "groups": ["a"]}));
        assert_eq!(User::from(Identity::default()).to_value(), json!({}));
    }

    #[test]
    fn a_secret_is_compared_not_printed() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?}"), "Secret");
        assert!(secret.matches(b"hunter2"));
        assert!(!secret.matches(b"hunter3"));
        assert!(!secret.matches(b"hunter"));
    }
}
