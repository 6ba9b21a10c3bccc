//! The question whether a user may do a thing, the answer, and the chain of those who answer. Most answer at once, from
//! what this server knows; some ask elsewhere, and only their questions wait.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;

use super::identity::{MASTERS, User};
use super::rbac::{Grant, Rule};
use super::selected::Requirement;
use crate::model::field::aggregate;
use crate::model::gotext;
use crate::model::names::GroupResource;
use crate::model::status::Status;
use crate::model::value::{Value, json};

/// What somebody wants to do: to a resource, or to a path that is none.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    pub user: &'a User,
    /// The API's verb (`get`, `list`, `create`, ...); of a path, the HTTP method in lower case.
    pub verb: &'a str,
    pub target: Target<'a>,
}

#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    Resource(Resource<'a>),
    /// Not a resource: `/healthz`.
    Path(&'a str),
}

/// A resource, and which objects of it. Empty texts stand for none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Resource<'a> {
    pub group: &'a str,
    pub version: &'a str,
    pub resource: &'a str,
    pub subresource: &'a str,
    pub namespace: &'a str,
    pub name: &'a str,
    /// What a list, watch or deletecollection is narrowed to; empty when it is not, or not readably so.
    pub fields: &'a [Requirement],
    pub labels: &'a [Requirement],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Allow,
    /// No, and nobody else is asked.
    Deny,
    /// Ask the next one; when nobody allows it, it is forbidden.
    NoOpinion,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Verdict {
    pub decision: Decision,
    pub reason: Reason,
    /// What went wrong on the way, where something did; the decision stands all the same.
    pub error: Option<Box<str>>,
}

/// Why; written out only when somebody reads it.
#[derive(Clone, Debug)]
pub enum Reason {
    Text(Cow<'static, str>),
    Granted(Grant),
}

/// What a user may do as far as it can be listed.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    pub rules: Vec<Rule>,
    /// The user may do more than what is listed.
    pub incomplete: bool,
    /// Empty when all went well.
    pub error: String,
}

impl Rules {
    /// The `status` of a SelfSubjectRulesReview.
    pub fn to_value(&self) -> Value {
        let part = |fields: &[&str], applies: fn(&Rule) -> bool| -> Value {
            let narrowed = |rule: &Rule| {
                let mut value = rule.to_value();
                if let Some(map) = value.as_object_mut() {
                    map.retain(|field, _| fields.contains(&field.as_str()));
                }
                value
            };
            self.rules.iter().filter(|rule| applies(rule)).map(narrowed).collect()
        };
        let resources = part(&["verbs", "apiGroups", "resources", "resourceNames"], |rule| !rule.resources.is_empty());
        let paths = part(&["verbs", "nonResourceURLs"], |rule| !rule.non_resource_urls.is_empty());
        let mut status = json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": self.incomplete});
        if !self.error.is_empty() {
            status["evaluationError"] = self.error.as_str().into();
        }
        status
    }
}

/// One that answers at once.
pub trait Authorizer: Send + Sync {
    fn authorize(&self, attributes: &Attributes<'_>) -> Verdict;

    /// What `user` may do in `namespace`, for SelfSubjectRulesReview.
    fn rules(&self, user: &User, namespace: &str) -> Rules;
}

/// One that has to ask elsewhere: that takes time, and may fail.
#[async_trait]
pub trait Remote: Send + Sync {
    async fn authorize(&self, attributes: &Attributes<'_>) -> Verdict;

    /// What `user` may do in `namespace`, as far as this one can say without asking.
    fn rules(&self, user: &User, namespace: &str) -> Rules;
}

/// One of a chain.
#[derive(Clone)]
pub enum Link {
    Here(Arc<dyn Authorizer>),
    Elsewhere(Arc<dyn Remote>),
}

/// Those who answer, in their order. Cheap to clone; all clones are of one chain, also when its links are replaced.
#[derive(Clone)]
pub struct Chain {
    links: Arc<ArcSwap<Vec<Link>>>,
}

/// A question that those before `next` have no opinion on; the one at `next` asks elsewhere.
struct Open {
    links: Arc<Vec<Link>>,
    next: usize,
    said: Said,
}

/// What those said who had no opinion.
#[derive(Default)]
struct Said {
    reasons: Option<String>,
    errors: Vec<Box<str>>,
}

impl Chain {
    pub fn new(links: Vec<Arc<dyn Authorizer>>) -> Self {
        Self::of(links.into_iter().map(Link::Here).collect())
    }

    pub fn of(links: Vec<Link>) -> Self {
        Self { links: Arc::new(ArcSwap::from_pointee(links)) }
    }

    /// From now on these answer.
    pub fn replace(&self, links: Vec<Link>) {
        self.links.store(Arc::new(links));
    }

    /// Members of `system:masters` may do everything; for others the first with an opinion decides.
    pub async fn authorize(&self, attributes: &Attributes<'_>) -> Verdict {
        match self.ask_here(attributes) {
            Ok(verdict) => verdict,
            Err(open) => open.settle(attributes).await,
        }
    }

    /// The same for who cannot wait. Where somebody elsewhere has to be asked, the thread is blocked, and other tasks
    /// go on on another one; so it must be one of a runtime with several.
    pub fn authorize_blocking(&self, attributes: &Attributes<'_>) -> Verdict {
        self.ask_here(attributes).unwrap_or_else(|open| {
            let runtime = tokio::runtime::Handle::current();
            tokio::task::block_in_place(|| runtime.block_on(open.settle(attributes)))
        })
    }

    fn ask_here(&self, attributes: &Attributes<'_>) -> std::result::Result<Verdict, Open> {
        if attributes.user.is_in(MASTERS) {
            return Ok(Verdict::allow(""));
        }
        let links = self.links.load();
        let mut said = Said::default();
        for (next, link) in links.iter().enumerate() {
            let Link::Here(link) = link else { return Err(Open { links: Arc::clone(&links), next, said }) };
            if let Some(verdict) = said.hear(link.authorize(attributes)) {
                return Ok(verdict);
            }
        }
        Ok(said.end())
    }

    /// The rules of all, in order.
    pub fn rules(&self, user: &User, namespace: &str) -> Rules {
        let (mut all, mut errors) = (Rules::default(), Vec::new());
        for link in self.links.load().iter() {
            let mut some = match link {
                Link::Here(link) => link.rules(user, namespace),
                Link::Elsewhere(link) => link.rules(user, namespace),
            };
            all.rules.append(&mut some.rules);
            all.incomplete |= some.incomplete;
            if !some.error.is_empty() {
                errors.push(some.error);
            }
        }
        if !errors.is_empty() {
            all.error = aggregate(errors.into_iter().map(Cow::Owned)).to_string();
        }
        all
    }

    /// `Ok` when it is allowed, otherwise the 403 that the client gets.
    pub async fn require(&self, attributes: &Attributes<'_>) -> Result<(), Status> {
        self.authorize(attributes).await.require(attributes)
    }
}

impl Open {
    async fn settle(mut self, attributes: &Attributes<'_>) -> Verdict {
        for link in &self.links[self.next..] {
            let verdict = match link {
                Link::Here(link) => link.authorize(attributes),
                Link::Elsewhere(link) => link.authorize(attributes).await,
            };
            if let Some(verdict) = self.said.hear(verdict) {
                return verdict;
            }
        }
        self.said.end()
    }
}

impl Said {
    /// The verdict when it is one; otherwise what came with it is kept.
    fn hear(&mut self, verdict: Verdict) -> Option<Verdict> {
        if verdict.decision != Decision::NoOpinion {
            return Some(verdict);
        }
        if !verdict.reason.is_empty() {
            let reason = verdict.reason.to_string();
            self.reasons = Some(self.reasons.take().map_or(reason.clone(), |before| before + "\n" + &reason));
        }
        self.errors.extend(verdict.error);
        None
    }

    fn end(self) -> Verdict {
        let error = match self.errors.is_empty() {
            true => None,
            false => Some(aggregate(self.errors.iter().map(|error| Cow::Borrowed(&**error))).into()),
        };
        Verdict { error, ..Verdict::no_opinion(self.reasons.unwrap_or_default()) }
    }
}

impl Verdict {
    pub fn allow(reason: &'static str) -> Self {
        Self { decision: Decision::Allow, reason: Reason::Text(Cow::Borrowed(reason)), error: None }
    }

    pub fn no_opinion(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { decision: Decision::NoOpinion, reason: Reason::Text(reason.into()), error: None }
    }

    /// `Ok` when it allows what was asked, otherwise the 403 that the client gets.
    pub fn require(&self, attributes: &Attributes<'_>) -> Result<(), Status> {
        if self.is_allowed() { Ok(()) } else { Err(attributes.forbidden(&self.reason.to_string())) }
    }

    pub fn is_allowed(&self) -> bool {
        self.decision == Decision::Allow
    }
}

impl Reason {
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Text(text) if text.is_empty())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Granted(grant) => write!(f, "RBAC: allowed by {grant}"),
        }
    }
}

impl<'a> Attributes<'a> {
    pub fn resource(user: &'a User, verb: &'a str, resource: Resource<'a>) -> Self {
        Self { user, verb, target: Target::Resource(resource) }
    }

    pub fn path(user: &'a User, verb: &'a str, path: &'a str) -> Self {
        Self { user, verb, target: Target::Path(path) }
    }

    /// The 403 for this, with the reason when there is one.
    pub fn forbidden(&self, reason: &str) -> Status {
        let said = self.to_string().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let why = if reason.is_empty() { said } else { format!("{said}: {reason}") };
        match &self.target {
            Target::Path(_) => Status::forbidden(&GroupResource::default(), "", why),
            Target::Resource(r) => Status::forbidden(&GroupResource::new(r.group, r.resource), r.name, why),
        }
    }
}

/// `User "x" cannot list resource "pods" in API group "" in the namespace "n"`.
impl fmt::Display for Attributes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "User {} cannot {} ", gotext::quote(&self.user.name), self.verb)?;
        let resource = match &self.target {
            Target::Path(path) => return write!(f, "path {}", gotext::quote(path)),
            Target::Resource(resource) => resource,
        };
        let slash = if resource.subresource.is_empty() { "" } else { "/" };
        let whole = format!("{}{slash}{}", resource.resource, resource.subresource);
        write!(f, "resource {} in API group {} ", gotext::quote(&whole), gotext::quote(resource.group))?;
        if resource.namespace.is_empty() {
            f.write_str("at the cluster scope")
        } else {
            write!(f, "in the namespace {}", gotext::quote(resource.namespace))
        }
    }
}

/// Allows everything.
pub struct AlwaysAllow;

/// Allows nothing.
pub struct AlwaysDeny;

impl Authorizer for AlwaysAllow {
    fn authorize(&self, _: &Attributes<'_>) -> Verdict {
        Verdict::allow("")
    }

    fn rules(&self, _: &User, _: &str) -> Rules {
        let all = || vec!["*".into()];
        let resources = Rule { verbs: all(), api_groups: all(), resources: all(), ..Rule::default() };
        let paths = Rule { verbs: all(), non_resource_urls: all(), ..Rule::default() };
        Rules { rules: vec![resources, paths], ..Rules::default() }
    }
}

impl Authorizer for AlwaysDeny {
    fn authorize(&self, _: &Attributes<'_>) -> Verdict {
        Verdict::no_opinion("Everything is forbidden.")
    }

    fn rules(&self, _: &User, _: &str) -> Rules {
        Rules::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jane() -> User {
        User::new("jane", &[])
    }

    #[test]
    fn the_refusal_says_who_cannot_do_what_where() {
        let user = jane();
        let pods = Resource { resource: "pods", namespace: "n", ..Resource::default() };
        let scale = Resource { group: "apps", resource: "deployments", subresource: "scale", name: "d", ..pods };
        let nodes = Resource { resource: "nodes", name: "x", ..Resource::default() };
        let cases = [
            (
                Attributes::resource(&user, "list", pods),
                "",
                r#"pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "n""#,
            ),
            (
                Attributes::resource(&user, "get", scale),
                "",
                "deployments.apps \"d\" is forbidden: User \"jane\" cannot get resource \"deployments/scale\" in API group \
                 \"apps\" in the namespace \"n\"",
            ),
            (
                Attributes::resource(&user, "get", nodes),
                "because",
                "nodes \"x\" is forbidden: User \"jane\" cannot get resource \"nodes\" in API group \"\" at the cluster \
                 scope: because",
            ),
            (Attributes::path(&user, "get", "/<x>"), "", r#"forbidden: User "jane" cannot get path "/&lt;x&gt;""#),
        ];
        for (attributes, reason, message) in cases {
            assert_eq!(attributes.forbidden(reason).message, message);
        }
        let status = Attributes::path(&user, "get", "/x").forbidden("");
        assert_eq!((status.code, status.to_value()["details"].clone()), (403, json!({})));
    }

    #[test]
    fn the_first_opinion_counts_and_reasons_add_up() {
        struct Says(Verdict);
        impl Authorizer for Says {
            fn authorize(&self, _: &Attributes<'_>) -> Verdict {
                self.0.clone()
            }
            fn rules(&self, _: &User, _: &str) -> Rules {
                Rules { incomplete: true, error: "cannot say".into(), ..Rules::default() }
            }
        }
        let says = |verdict| -> Arc<dyn Authorizer> { Arc::new(Says(verdict)) };
        let deny = Verdict { decision: Decision::Deny, ..Verdict::no_opinion("no") };
        let user = jane();
        let ask = |links: Vec<Arc<dyn Authorizer>>, user: &User| {
            let verdict = Chain::new(links).authorize_blocking(&Attributes::path(user, "get", "/"));
            (verdict.decision, verdict.reason.to_string())
        };
        let silent = || says(Verdict::no_opinion(""));
        assert_eq!(ask(vec![], &user), (Decision::NoOpinion, String::new()));
        assert_eq!(
            ask(vec![says(Verdict::no_opinion("a")), silent(), Arc::new(AlwaysDeny)], &user),
            (Decision::NoOpinion, "a\nEverything is forbidden.".into())
        );
        assert_eq!(ask(vec![says(deny.clone()), Arc::new(AlwaysAllow)], &user), (Decision::Deny, "no".into()));
        assert_eq!(ask(vec![silent(), Arc::new(AlwaysAllow)], &user), (Decision::Allow, String::new()));
        assert_eq!(ask(vec![says(deny)], &User::new("root", &["system:masters"])), (Decision::Allow, String::new()));
        let rules = Chain::new(vec![silent(), silent(), Arc::new(AlwaysAllow)]).rules(&user, "n");
        assert_eq!(
            rules.to_value(),
            json!({
                "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
                "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
                "incomplete": true,
                "evaluationError": "cannot say"
            })
        );
    }
}
