//! Acting as somebody else: what the headers ask for, and whether the one who asks may.
//!
//! Since v1.36 there are several modes (KEP-5284), tried in order: the narrow ones, in which a right names the verb for
//! which one may act as another, then the old one, whose right is `impersonate` alone.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use compact_str::{CompactString, format_compact};
use http::HeaderMap;

use super::authorizer::{Attributes, Chain, Resource};
use super::identity::{
    ANONYMOUS, AUTHENTICATED, Extra, Identity, MASTERS, NODE_NAME, NODES, UNAUTHENTICATED, User,
    service_account_groups, split_node, split_service_account,
};
use super::request_header::{collect_extra, remove_prefix, text};
use crate::model::gotext;
use crate::model::status::Status;

const USER: &str = "impersonate-user";
const UID: &str = "impersonate-uid";
const GROUP: &str = "impersonate-group";
const EXTRA: &str = "impersonate-extra-";
const GROUP_OF_NAMES: &str = "authentication.k8s.io";
/// From so many values on, one question about all is asked before the questions about each.
const MANY: usize = 4;
/// Users whose last successful mode is remembered.
const REMEMBERED: usize = 10_000;

/// The user as whom a request goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Impersonated {
    pub user: User,
    /// The right that allowed it, for audit; empty in the old mode.
    pub constraint: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    AssociatedNode,
    ArbitraryNode,
    ServiceAccount,
    UserInfo,
    Legacy,
}

const MODES: [Mode; 5] =
    [Mode::AssociatedNode, Mode::ArbitraryNode, Mode::ServiceAccount, Mode::UserInfo, Mode::Legacy];

/// Decides about impersonation, and remembers for each user in which mode it went well last: that one is tried first.
#[derive(Default)]
pub struct Impersonation {
    last: Mutex<HashMap<CompactString, Mode>>,
}

impl Impersonation {
    /// `None` when no header asks for it. `attributes` is the request itself, with the user who really asks. On success
    /// the headers are taken away.
    pub async fn check(
        &self,
        headers: &mut HeaderMap,
        attributes: &Attributes<'_>,
        chain: &Chain,
    ) -> Result<Option<Impersonated>, Status> {
        let Some(wanted) = wanted(headers)? else { return Ok(None) };
        for name in [USER, UID, GROUP] {
            headers.remove(name);
        }
        remove_prefix(headers, EXTRA);
        // Few requests come here: the others need not have room for it.
        Box::pin(self.try_modes(&wanted, attributes, chain)).await.map(Some)
    }

    async fn try_modes(
        &self,
        wanted: &Identity,
        attributes: &Attributes<'_>,
        chain: &Chain,
    ) -> Result<Impersonated, Status> {
        let requester = &attributes.user.name;
        let last = self.last().get(requester).copied();
        let mut first_error = None;
        for mode in last.into_iter().chain(MODES.into_iter().filter(|mode| Some(*mode) != last)) {
            match mode.check(wanted, attributes, chain).await {
                Ok(None) => {}
                Ok(Some(found)) => {
                    if last != Some(mode) {
                        self.remember(requester, mode);
                    }
                    return Ok(found);
                }
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        Err(first_error.unwrap_or_else(|| Status::forbidden_plain("all impersonation modes failed")))
    }

    fn remember(&self, requester: &CompactString, mode: Mode) {
        let mut last = self.last();
        if last.len() >= REMEMBERED {
            last.clear();
        }
        last.insert(requester.clone(), mode);
    }

    fn last(&self) -> std::sync::MutexGuard<'_, HashMap<CompactString, Mode>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The user that the headers ask for, as they say it; `None` when they ask for none.
fn wanted(headers: &HeaderMap) -> Result<Option<Identity>, Status> {
    let asks = headers.keys().any(|name| name.as_str().starts_with("impersonate-"));
    if !asks {
        return Ok(None);
    }
    let read = || -> Result<Identity, String> {
        let one = |name| headers.get(name).map(text).transpose();
        let mut extra = Extra::new();
        collect_extra(headers, EXTRA, &mut extra)?;
        Ok(Identity {
            name: one(USER)?.unwrap_or_default(),
            uid: one(UID)?.unwrap_or_default(),
            groups: headers.get_all(GROUP).iter().map(text).collect::<Result<_, _>>()?,
            extra,
        })
    };
    let wanted = read().map_err(|error| Status::bad_request(format!("impersonation: {error}")))?;
    if !wanted.name.is_empty() {
        return Ok(Some(wanted));
    }
    if wanted.uid.is_empty() && wanted.groups.is_empty() && wanted.extra.is_empty() {
        return Ok(None);
    }
    Err(Status::bad_request(format!("requested {} without impersonating a user name", go_syntax(&wanted))))
}

impl Mode {
    /// The right to act as another in this mode; that to do so for a verb begins with it, see `on`.
    fn verb(self) -> &'static str {
        match self {
            Self::AssociatedNode => "impersonate:associated-node",
            Self::ArbitraryNode => "impersonate:arbitrary-node",
            Self::ServiceAccount => "impersonate:serviceaccount",
            Self::UserInfo => "impersonate:user-info",
            Self::Legacy => "impersonate",
        }
    }

    /// Whether the mode is there for this user to act as that one.
    fn applies(self, wanted: &Identity, requester: &User) -> bool {
        let name_only = wanted.uid.is_empty() && wanted.groups.is_empty() && wanted.extra.is_empty();
        let node = split_node(&wanted.name);
        let account = split_service_account(&wanted.name).is_some();
        match self {
            Self::AssociatedNode => {
                name_only
                    && node.is_some()
                    && split_service_account(&requester.name).is_some()
                    && requester.extra_value(NODE_NAME) == node
            }
            Self::ArbitraryNode => name_only && node.is_some(),
            Self::ServiceAccount => name_only && account,
            Self::UserInfo => node.is_none() && !account,
            Self::Legacy => true,
        }
    }

    /// `None` when the mode does not apply, an error when it does and a right is missing.
    async fn check(
        self,
        wanted: &Identity,
        attributes: &Attributes<'_>,
        chain: &Chain,
    ) -> Result<Option<Impersonated>, Status> {
        if !self.applies(wanted, attributes.user) {
            return Ok(None);
        }
        // The requester's node has been compared; the rights of such an agent are the same on every node.
        let stripped = (self == Self::AssociatedNode).then(|| without_extra(attributes.user));
        let requester = stripped.as_ref().unwrap_or(attributes.user);
        if let Some(mode) = self.verb().strip_prefix("impersonate:") {
            let verb = format_compact!("impersonate-on:{mode}:{}", attributes.verb);
            chain.require(&Attributes { user: requester, verb: &verb, ..*attributes }).await?;
        }
        let rights = Rights { mode: self, requester, chain };
        let mut user = wanted.clone();
        rights.name(wanted, &mut user.groups).await?;
        if !wanted.uid.is_empty() {
            rights.require("uids", "", &wanted.uid).await?;
        }
        rights.groups(&wanted.groups).await?;
        rights.extra(&wanted.extra).await?;
        let has = |user: &Identity, group| user.groups.iter().any(|g| g == group);
        if user.name == ANONYMOUS {
            if !has(&user, UNAUTHENTICATED) {
                user.groups.push(UNAUTHENTICATED.into());
            }
        } else if !has(&user, UNAUTHENTICATED) && !has(&user, AUTHENTICATED) {
            user.groups.push(AUTHENTICATED.into());
        }
        let constraint = if self == Self::Legacy { "" } else { self.verb() };
        Ok(Some(Impersonated { user: user.into(), constraint }))
    }
}

/// The questions of one mode.
struct Rights<'a> {
    mode: Mode,
    requester: &'a User,
    chain: &'a Chain,
}

impl Rights<'_> {
    /// Whether the name may be taken; service accounts and nodes bring their groups along.
    async fn name(&self, wanted: &Identity, groups: &mut Vec<CompactString>) -> Result<(), Status> {
        let (group, version) = self.group_of_users();
        let mut asked = Resource { group, version, resource: "users", name: &wanted.name, ..Resource::default() };
        if self.mode != Mode::Legacy
            && let Some(node) = split_node(&wanted.name)
        {
            asked.resource = "nodes";
            asked.name = if self.mode == Mode::AssociatedNode { "*" } else { node };
            *groups = vec![NODES.into()];
        }
        if let Some((namespace, name)) = split_service_account(&wanted.name) {
            asked = Resource { resource: "serviceaccounts", namespace, name, ..asked };
            if wanted.groups.is_empty() {
                *groups = service_account_groups(namespace).into();
            }
        }
        self.chain.require(&Attributes::resource(self.requester, self.mode.verb(), asked)).await
    }

    async fn groups(&self, groups: &[CompactString]) -> Result<(), Status> {
        if self.mode != Mode::Legacy {
            if groups.iter().any(|group| group.is_empty()) {
                return Err(self.refuse("groups", "", "impersonating the empty string group is not allowed"));
            }
            if groups.iter().any(|group| group == MASTERS) {
                return Err(self.refuse("groups", MASTERS, "impersonating the system:masters group is not allowed"));
            }
            if groups.len() >= MANY && self.require("groups", "", "*").await.is_ok() {
                return Ok(());
            }
        }
        for group in groups {
            self.require("groups", "", group).await?;
        }
        Ok(())
    }

    async fn extra(&self, extra: &Extra) -> Result<(), Status> {
        if self.mode != Mode::Legacy {
            if let Some(why) = extra.iter().find_map(|(key, values)| wrong_extra(key, values)) {
                return Err(self.refuse("userextras", "", &why));
            }
            let values: usize = extra.values().map(Vec::len).sum();
            if values >= MANY && self.require("userextras", "*", "*").await.is_ok() {
                return Ok(());
            }
        }
        for (key, values) in extra {
            for value in values {
                self.require("userextras", key, value).await?;
            }
        }
        Ok(())
    }

    async fn require(&self, resource: &str, subresource: &str, name: &str) -> Result<(), Status> {
        let asked = self.asked(resource, subresource, name);
        self.chain.require(&Attributes::resource(self.requester, self.mode.verb(), asked)).await
    }

    fn refuse(&self, resource: &str, name: &str, why: &str) -> Status {
        let asked = self.asked(resource, "", name);
        Attributes::resource(self.requester, self.mode.verb(), asked).forbidden(why)
    }

    fn asked<'a>(&self, resource: &'a str, subresource: &'a str, name: &'a str) -> Resource<'a> {
        let (group, version) = if resource == "groups" { self.group_of_users() } else { (GROUP_OF_NAMES, "v1") };
        Resource { group, version, resource, subresource, name, ..Resource::default() }
    }

    /// The API group of users and groups: the core group in the old mode.
    fn group_of_users(&self) -> (&'static str, &'static str) {
        if self.mode == Mode::Legacy { ("", "v1") } else { (GROUP_OF_NAMES, "v1") }
    }
}

/// The user with nothing but the names of its extra keys.
fn without_extra(user: &User) -> User {
    let keys = user.extra.keys().cloned().collect();
    let extra = [("authentication.kubernetes.io/associated-node-keys".into(), keys)].into();
    Identity { extra, ..(**user).clone() }.into()
}

/// What is wrong with an extra key and its values in the narrow modes.
fn wrong_extra(key: &str, values: &[CompactString]) -> Option<String> {
    if key.is_empty() {
        return Some("impersonating the empty string key in extra is not allowed".into());
    }
    if let Some(why) = wrong_path(key) {
        return Some(format!("impersonating an invalid key in extra is not allowed: {why}"));
    }
    if key.chars().any(char::is_uppercase) {
        return Some(format!("impersonating a non-lowercase key in extra is not allowed: {}", gotext::quote(key)));
    }
    if values.iter().any(CompactString::is_empty) {
        return Some("impersonating the empty string value in extra is not allowed".into());
    }
    None
}

/// What keeps a key from being a path that begins with a domain (`example.com/name`).
fn wrong_path(key: &str) -> Option<String> {
    let said = |why: &str| Some(format!("extra.key: Invalid value: {}: {why}", gotext::quote(key)));
    let Some((host, path)) = key.split_once('/').filter(|(host, path)| !host.is_empty() && !path.is_empty()) else {
        return said("must be a domain-prefixed path (such as \"acme.io/foo\")");
    };
    let label = |part: &str| split_node(&format!("system:node:{part}")).is_some();
    if !label(host) {
        return Some(format!("extra.key: Invalid value: {}: {SUBDOMAIN}", gotext::quote(host)));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "/-._~%!$&'()*+,;=:".contains(c);
    if !path.chars().all(allowed) {
        return Some(format!("extra.key: Invalid value: {}: {PATH}", gotext::quote(path)));
    }
    None
}

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
                         and must start and end with an alphanumeric character (e.g. 'example.com', regex used for \
                         validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const PATH: &str = "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')";

/// As Go prints the value with `%#v`.
fn go_syntax(user: &Identity) -> String {
    let list = |values: &[CompactString]| {
        let quoted: Vec<_> = values.iter().map(|v| gotext::quote(v)).collect();
        format!("[]string{{{}}}", quoted.join(", "))
    };
    let groups = if user.groups.is_empty() { "[]string(nil)".into() } else { list(&user.groups) };
    let extra = if user.extra.is_empty() {
        "map[string][]string(nil)".into()
    } else {
        let pairs = user.extra.iter().map(|(key, values)| format!("{}:{}", gotext::quote(key), list(values)));
        format!("map[string][]string{{{}}}", pairs.collect::<Vec<_>>().join(", "))
    };
    let (name, uid) = (gotext::quote(&user.name), gotext::quote(&user.uid));
    format!("&user.DefaultInfo{{Name:{name}, UID:{uid}, Groups:{groups}, Extra:{extra}}}")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt as _;

    use super::*;
    use crate::auth::authorizer::{Authorizer, Rules, Target, Verdict};

    /// Allows the questions in its list, written as `verb group/resource/subresource namespace name`.
    struct Only(&'static [&'static str], Mutex<Vec<String>>);

    impl Authorizer for Only {
        fn authorize(&self, attributes: &Attributes<'_>) -> Verdict {
            let Target::Resource(r) = &attributes.target else { return Verdict::no_opinion("") };
            let asked =
                format!("{} {}/{}/{} {} {}", attributes.verb, r.group, r.resource, r.subresource, r.namespace, r.name);
            let allowed = self.0.contains(&asked.as_str());
            self.1.lock().expect("a list").push(asked);
            if allowed { Verdict::allow("") } else { Verdict::no_opinion("") }
        }

        fn rules(&self, _: &User, _: &str) -> Rules {
            Rules::default()
        }
    }

    fn headers(of: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| -> (http::HeaderName, http::HeaderValue) {
            (name.parse().expect("a name"), value.parse().expect("a value"))
        };
        of.iter().map(pair).collect()
    }

    /// Nobody elsewhere is asked, so it never waits.
    fn check(
        impersonation: &Impersonation,
        headers: &mut HeaderMap,
        attributes: &Attributes<'_>,
        chain: &Chain,
    ) -> Result<Option<Impersonated>, Status> {
        impersonation.check(headers, attributes, chain).now_or_never().expect("an answer at once")
    }

    fn ask_as(user: &User, rights: &'static [&'static str], of: &[(&str, &str)]) -> String {
        let chain = Chain::new(vec![Arc::new(Only(rights, Mutex::default()))]);
        let pods = Resource { resource: "pods", namespace: "n", ..Resource::default() };
        let mut headers = headers(of);
        match check(&Impersonation::default(), &mut headers, &Attributes::resource(user, "list", pods), &chain) {
            Err(status) => format!("{}: {}", status.code, status.message),
            Ok(None) => "itself".into(),
            Ok(Some(found)) => {
                assert!(headers.keys().all(|name| !name.as_str().starts_with("impersonate-")));
                let extra: Vec<_> = found.user.extra.iter().map(|(k, v)| format!(" {k}={}", v.join(","))).collect();
                format!("{} {}{} {}", found.user.name, found.user.groups.join(","), extra.concat(), found.constraint)
            }
        }
    }

    fn ask(rights: &'static [&'static str], of: &[(&str, &str)]) -> String {
        ask_as(&User::new("jane", &[]), rights, of)
    }

    #[test]
    fn the_old_right_is_enough() {
        let joe = [("Impersonate-User", "joe")];
        assert_eq!(ask(&[], &[]), "itself");
        assert_eq!(ask(&["impersonate /users/  joe"], &joe), "joe system:authenticated ");
        let rights = &["impersonate /users/  joe", "impersonate /groups/  a"];
        let grouped = [joe[0], ("Impersonate-Group", "a")];
        assert_eq!(ask(rights, &grouped), "joe a,system:authenticated ");
        let anonymous = [("Impersonate-User", "system:anonymous")];
        assert_eq!(
            ask(&["impersonate /users/  system:anonymous"], &anonymous),
            "system:anonymous system:unauthenticated "
        );
        let account = [("Impersonate-User", "system:serviceaccount:ns:sa")];
        assert_eq!(
            ask(&["impersonate /serviceaccounts/ ns sa"], &account),
            "system:serviceaccount:ns:sa system:serviceaccounts,system:serviceaccounts:ns,system:authenticated "
        );
        let whole =
            [joe[0], ("Impersonate-Uid", "7"), ("Impersonate-Extra-Scopes", "x"), ("Impersonate-Extra-scopes", "y")];
        let rights = &[
            "impersonate /users/  joe",
            "impersonate authentication.k8s.io/uids/  7",
            "impersonate authentication.k8s.io/userextras/scopes  x",
            "impersonate authentication.k8s.io/userextras/scopes  y",
        ];
        assert_eq!(ask(rights, &whole), "joe system:authenticated scopes=x,y ");
    }

    #[test]
    fn a_narrow_right_is_for_a_verb() {
        let joe = [("Impersonate-User", "joe")];
        assert_eq!(
            ask(
                &["impersonate-on:user-info:list /pods/ n ", "impersonate:user-info authentication.k8s.io/users/  joe"],
                &joe
            ),
            "joe system:authenticated impersonate:user-info"
        );
        assert_eq!(
            ask(&["impersonate-on:user-info:list /pods/ n "], &joe),
            "403: users.authentication.k8s.io \"joe\" is forbidden: User \"jane\" cannot impersonate:user-info resource \
             \"users\" in API group \"authentication.k8s.io\" at the cluster scope"
        );
        assert_eq!(
            ask(&[], &joe),
            "403: pods is forbidden: User \"jane\" cannot impersonate-on:user-info:list resource \"pods\" in API group \"\" in \
             the namespace \"n\""
        );
        let masters = [joe[0], ("Impersonate-Group", "system:masters")];
        let rights =
            &["impersonate-on:user-info:list /pods/ n ", "impersonate:user-info authentication.k8s.io/users/  joe"];
        assert!(ask(rights, &masters).ends_with(": impersonating the system:masters group is not allowed"));
        let wrong = [joe[0], ("Impersonate-Extra-Scopes", "x")];
        assert!(ask(rights, &wrong).ends_with(
            "impersonating an invalid key in extra is not allowed: extra.key: Invalid value: \"scopes\": must be a \
             domain-prefixed path (such as \"acme.io/foo\")"
        ));
    }

    #[test]
    fn an_agent_acts_as_its_own_node_only() {
        let mut agent = User::service_account("n", "agent", "");
        agent.extra.insert(NODE_NAME.into(), vec!["n1".into()]);
        let agent = User::from(agent);
        let rights = &[
            "impersonate-on:associated-node:list /pods/ n ",
            "impersonate:associated-node authentication.k8s.io/nodes/  *",
        ];
        let own = ask_as(&agent, rights, &[("Impersonate-User", "system:node:n1")]);
        assert_eq!(own, "system:node:n1 system:nodes,system:authenticated impersonate:associated-node");
        let other = ask_as(&agent, rights, &[("Impersonate-User", "system:node:n2")]);
        assert!(other.starts_with("403: pods is forbidden: User \"system:serviceaccount:n:agent\" cannot impersonate-on:arbitrary-node:list"), "{other}");
    }

    #[test]
    fn many_groups_are_asked_for_together_first() {
        let chain_of = |rights| Arc::new(Only(rights, Mutex::default()));
        let all = chain_of(&[
            "impersonate-on:user-info:list /pods/ n ",
            "impersonate:user-info authentication.k8s.io/users/  joe",
            "impersonate:user-info authentication.k8s.io/groups/  *",
        ]);
        let user = User::new("jane", &[]);
        let pods = Resource { resource: "pods", namespace: "n", ..Resource::default() };
        let mut asked = headers(&[
            ("Impersonate-User", "joe"),
            ("Impersonate-Group", "a"),
            ("Impersonate-Group", "b"),
            ("Impersonate-Group", "c"),
            ("Impersonate-Group", "d"),
        ]);
        let chain = Chain::new(vec![all.clone()]);
        let attributes = Attributes::resource(&user, "list", pods);
        let found = check(&Impersonation::default(), &mut asked, &attributes, &chain);
        assert!(found.expect("allowed").is_some());
        assert_eq!(all.1.lock().expect("a list").len(), 3);
    }

    #[test]
    fn the_mode_that_went_well_is_tried_first() {
        let only = Arc::new(Only(&["impersonate /users/  joe"], Mutex::default()));
        let (chain, user) = (Chain::new(vec![only.clone()]), User::new("jane", &[]));
        let attributes = Attributes::path(&user, "get", "/x");
        let impersonation = Impersonation::default();
        for questions in [1, 2] {
            let mut asked = headers(&[("Impersonate-User", "joe")]);
            assert!(check(&impersonation, &mut asked, &attributes, &chain).expect("allowed").is_some());
            assert_eq!(only.1.lock().expect("a list").len(), questions);
        }
        let mut asked = headers(&[("Impersonate-User", "eve")]);
        let refused = check(&impersonation, &mut asked, &attributes, &chain).expect_err("refused");
        assert_eq!(
            refused.message,
            "users \"eve\" is forbidden: User \"jane\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope"
        );
    }

    #[test]
    fn whose_name_is_missing_is_told() {
        assert_eq!(
            ask(&[], &[("Impersonate-Group", "a"), ("Impersonate-Group", "b"), ("Impersonate-Extra-K", "v")]),
            "400: requested &user.DefaultInfo{Name:\"\", UID:\"\", Groups:[]string{\"a\", \"b\"}, \
             Extra:map[string][]string{\"k\":[]string{\"v\"}}} without impersonating a user name"
        );
        assert_eq!(
            ask(&[], &[("Impersonate-Uid", "7")]),
            "400: requested &user.DefaultInfo{Name:\"\", UID:\"7\", Groups:[]string(nil), Extra:map[string][]string(nil)} \
             without impersonating a user name"
        );
    }

    proptest::proptest! {
        #[test]
        fn any_headers_are_answered(user in "[ -~é]{0,20}", group in "[ -~]{0,10}", key in "[a-zA-Z0-9%._-]{0,12}", value in "[ -~é]{0,9}") {
            let mut headers = HeaderMap::new();
            let bytes = |text: &str| http::HeaderValue::from_bytes(text.as_bytes()).expect("a value");
            headers.insert(USER, bytes(&user));
            headers.insert(GROUP, bytes(&group));
            headers.insert(format!("{EXTRA}{}", key.to_lowercase()).parse::<http::HeaderName>().expect("a name"), bytes(&value));
            let asker = User::new("system:serviceaccount:n:a", &["system:masters"]);
            let found = check(&Impersonation::default(), &mut headers, &Attributes::path(&asker, "get", "/"), &Chain::new(vec![]));
            proptest::prop_assert!(user.is_empty() == found.is_err());
        }
    }
}
