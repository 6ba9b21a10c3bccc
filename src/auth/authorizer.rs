//! The question whether a user may do a thing, the answer, and the chain of those who answer.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use compact_str::CompactString;

use super::identity::{MASTERS, User};
use super::rbac::{Grant, Rbac, Rule};
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

/// One requirement of a selector. A field's `=` is `In` one value, `!=` is `NotIn`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    pub key: CompactString,
    pub operator: Operator,
    pub values: Vec<CompactString>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
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

/// One that answers.
pub trait Authorizer: Send + Sync {
    fn authorize(&self, attributes: &Attributes<'_>) -> Verdict;

    /// What `user` may do in `namespace`, for SelfSubjectRulesReview.
    fn rules(&self, user: &User, namespace: &str) -> Rules;
}

/// Those who answer, in their order. Cheap to clone.
#[derive(Clone)]
pub struct Chain {
    links: Arc<[Arc<dyn Authorizer>]>,
}

impl Chain {
    pub fn new(links: Vec<Arc<dyn Authorizer>>) -> Self {
        Self { links: links.into() }
    }

    /// The chain that a flag's modes describe. `node` judges nodes; without it the mode `Node` is refused.
    pub fn of_modes(modes: &[Mode], rbac: &Arc<Rbac>, node: Option<Arc<dyn Authorizer>>) -> Result<Self, String> {
        let link = |mode: &Mode| -> Result<Arc<dyn Authorizer>, String> {
            Ok(match mode {
                Mode::AlwaysAllow => Arc::new(AlwaysAllow),
                Mode::AlwaysDeny => Arc::new(AlwaysDeny),
                Mode::Rbac => rbac.clone(),
                Mode::Node => node.clone().ok_or("authorization-mode \"Node\" is not available here")?,
            })
        };
        Ok(Self::new(modes.iter().map(link).collect::<Result<_, _>>()?))
    }

    /// Members of `system:masters` may do everything; for others the first with an opinion decides.
    pub fn authorize(&self, attributes: &Attributes<'_>) -> Verdict {
        if attributes.user.is_in(MASTERS) {
            return Verdict::allow("");
        }
        let mut reasons: Option<String> = None;
        for link in self.links.iter() {
            let verdict = link.authorize(attributes);
            if verdict.decision != Decision::NoOpinion {
                return verdict;
            }
            if !verdict.reason.is_empty() {
                let reason = verdict.reason.to_string();
                reasons = Some(reasons.map_or(reason.clone(), |before| before + "\n" + &reason));
            }
        }
        Verdict { decision: Decision::NoOpinion, reason: Reason::Text(reasons.unwrap_or_default().into()) }
    }

    /// The rules of all, in order.
    pub fn rules(&self, user: &User, namespace: &str) -> Rules {
        let (mut all, mut errors) = (Rules::default(), Vec::new());
        for link in self.links.iter() {
            let mut some = link.rules(user, namespace);
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
    pub fn require(&self, attributes: &Attributes<'_>) -> Result<(), Status> {
        let verdict = self.authorize(attributes);
        if verdict.is_allowed() { Ok(()) } else { Err(attributes.forbidden(&verdict.reason.to_string())) }
    }
}

impl Verdict {
    pub fn allow(reason: &'static str) -> Self {
        Self { decision: Decision::Allow, reason: Reason::Text(Cow::Borrowed(reason)) }
    }

    pub fn no_opinion(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { decision: Decision::NoOpinion, reason: Reason::Text(reason.into()) }
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

/// A value of `--authorization-mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    AlwaysAllow,
    AlwaysDeny,
    Rbac,
    Node,
}

impl Mode {
    /// The modes of a flag's values, in their order.
    pub fn parse(values: &[&str]) -> Result<Vec<Self>, String> {
        let mut modes = Vec::new();
        for value in values {
            let mode = match *value {
                "AlwaysAllow" => Self::AlwaysAllow,
                "AlwaysDeny" => Self::AlwaysDeny,
                "RBAC" => Self::Rbac,
                "Node" => Self::Node,
                "Webhook" | "ABAC" => {
                    return Err(format!("authorization-mode {value:?} is not supported here; use Node, RBAC"));
                }
                other => return Err(format!("authorization-mode {other:?} is not a valid mode")),
            };
            if modes.contains(&mode) {
                let all: Vec<_> = values.iter().map(|v| gotext::quote(v)).collect();
                return Err(format!("authorization-mode {} has mode specified more than once", gotext::list(&all)));
            }
            modes.push(mode);
        }
        if modes.is_empty() { Err("at least one authorization-mode must be passed".into()) } else { Ok(modes) }
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
        let deny = Verdict { decision: Decision::Deny, reason: Reason::Text("no".into()) };
        let user = jane();
        let ask = |links: Vec<Arc<dyn Authorizer>>, user: &User| {
            let verdict = Chain::new(links).authorize(&Attributes::path(user, "get", "/"));
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

    #[test]
    fn a_chain_is_made_of_modes() {
        let (rbac, user) = (Arc::new(Rbac::default()), jane());
        let ask = |modes: &[Mode], node| {
            let chain = Chain::of_modes(modes, &rbac, node)?;
            Ok(chain.authorize(&Attributes::path(&user, "get", "/")).decision)
        };
        assert_eq!(ask(&[Mode::Rbac], None), Ok(Decision::NoOpinion));
        assert_eq!(ask(&[Mode::Node, Mode::Rbac], Some(Arc::new(AlwaysAllow))), Ok(Decision::Allow));
        let missing: Result<_, String> = Err("authorization-mode \"Node\" is not available here".into());
        assert_eq!(ask(&[Mode::Node, Mode::Rbac], None), missing);
    }

    #[test]
    fn modes_are_read_or_refused() {
        assert_eq!(Mode::parse(&["Node", "RBAC"]), Ok(vec![Mode::Node, Mode::Rbac]));
        let refused = [
            (&["Webhook"][..], "authorization-mode \"Webhook\" is not supported here; use Node, RBAC"),
            (&["rbac"], "authorization-mode \"rbac\" is not a valid mode"),
            (&["RBAC", "RBAC"], "authorization-mode [\"RBAC\" \"RBAC\"] has mode specified more than once"),
            (&[], "at least one authorization-mode must be passed"),
        ];
        for (values, error) in refused {
            assert_eq!(Mode::parse(values), Err(error.to_owned()));
        }
    }
}
