//! What FlowSchemas and PriorityLevelConfigurations say, in the form in which it is asked.

use compact_str::{CompactString, format_compact};
use http::HeaderValue;
use k8s_openapi::api::flowcontrol::v1 as api;

use crate::auth::authorizer::{Attributes, Resource, Target};
use crate::auth::identity::User;
use crate::rules::flow_control::mandatory::EXEMPT;

/// Stands for all, where it stands alone.
const ALL: &str = "*";

/// What happens to requests that find no free seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response {
    /// They get one all the same.
    Exempt,
    Reject,
    /// They wait, each in the best of `hand` out of `queues` queues, of at most `length` each.
    Queue {
        queues: usize,
        hand: usize,
        length: usize,
    },
}

/// A PriorityLevelConfiguration.
#[derive(Clone, Debug, PartialEq)]
pub struct LevelSpec {
    pub name: CompactString,
    pub uid: HeaderValue,
    pub response: Response,
    pub shares: u64,
    /// Of its own seats.
    pub lendable_percent: u64,
    /// Of its own seats; `None` is without bound.
    pub borrowing_percent: Option<u64>,
}

/// A FlowSchema.
#[derive(Clone, Debug, PartialEq)]
pub struct SchemaSpec {
    pub name: CompactString,
    pub uid: HeaderValue,
    pub level: CompactString,
    pub precedence: i32,
    pub distinguisher: Option<Distinguisher>,
    rules: Vec<Rule>,
}

/// What tells a schema's flows from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distinguisher {
    User,
    Namespace,
}

#[derive(Clone, Debug, PartialEq)]
struct Rule {
    subjects: Vec<Subject>,
    resources: Vec<ResourceRule>,
    paths: Vec<PathRule>,
}

#[derive(Clone, Debug, PartialEq)]
enum Subject {
    AnyUser,
    AnyGroup,
    User(CompactString),
    Group(CompactString),
    /// Any service account of a namespace: what their names begin with.
    Accounts(CompactString),
}

#[derive(Clone, Debug, PartialEq)]
struct ResourceRule {
    verbs: Names,
    groups: Names,
    resources: Names,
    cluster: bool,
    namespaces: Names,
}

#[derive(Clone, Debug, PartialEq)]
struct PathRule {
    verbs: Names,
    paths: Vec<CompactString>,
}

/// A list of names, or all.
#[derive(Clone, Debug, PartialEq)]
enum Names {
    All,
    These(Vec<CompactString>),
}

impl Response {
    /// How many requests may wait, at least 1.
    pub fn most_waiting(&self) -> usize {
        match self {
            Response::Queue { queues, length, .. } => (queues * length).max(1),
            Response::Exempt | Response::Reject => 1,
        }
    }
}

impl LevelSpec {
    /// `None` when the object contradicts itself; validation lets no such one pass.
    pub fn of(object: &api::PriorityLevelConfiguration) -> Option<Self> {
        let name: CompactString = object.metadata.name.as_deref()?.into();
        let spec = object.spec.as_ref()?;
        if (spec.type_ == "Exempt") != (name == EXEMPT) {
            return None;
        }
        let uid = header(object.metadata.uid.as_deref());
        let level = |response, shares: Option<i32>, lendable: Option<i32>, borrowing: Option<i32>| Self {
            name: name.clone(),
            uid,
            response,
            shares: number(shares.unwrap_or(0)),
            lendable_percent: number(lendable.unwrap_or(0)),
            borrowing_percent: borrowing.map(number),
        };
        match (spec.type_.as_str(), &spec.exempt, &spec.limited) {
            ("Exempt", Some(exempt), None) => {
                Some(level(Response::Exempt, exempt.nominal_concurrency_shares, exempt.lendable_percent, None))
            }
            ("Limited", None, Some(limited)) => {
                let response = response(limited.limit_response.as_ref()?)?;
                let shares = limited.nominal_concurrency_shares;
                Some(level(response, shares, limited.lendable_percent, limited.borrowing_limit_percent))
            }
            _ => None,
        }
    }
}

fn response(response: &api::LimitResponse) -> Option<Response> {
    match (response.type_.as_str(), &response.queuing) {
        ("Reject", None) => Some(Response::Reject),
        ("Queue", Some(queuing)) => {
            let size = |number: Option<i32>, default: i32| usize::try_from(number.unwrap_or(default)).ok();
            let (queues, hand) = (size(queuing.queues, 64)?, size(queuing.hand_size, 8)?);
            let length = size(queuing.queue_length_limit, 50)?;
            (hand > 0 && hand <= queues).then_some(Response::Queue { queues, hand, length })
        }
        _ => None,
    }
}

fn number(number: i32) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn header(uid: Option<&str>) -> HeaderValue {
    HeaderValue::from_str(uid.unwrap_or("")).unwrap_or(HeaderValue::from_static(""))
}

impl SchemaSpec {
    pub fn of(object: &api::FlowSchema) -> Option<Self> {
        let spec = object.spec.as_ref()?;
        let distinguisher = spec.distinguisher_method.as_ref().and_then(|method| match method.type_.as_str() {
            "ByUser" => Some(Distinguisher::User),
            "ByNamespace" => Some(Distinguisher::Namespace),
            _ => None,
        });
        Some(Self {
            name: object.metadata.name.as_deref()?.into(),
            uid: header(object.metadata.uid.as_deref()),
            level: spec.priority_level_configuration.name.as_str().into(),
            precedence: spec.matching_precedence.unwrap_or(1000),
            distinguisher,
            rules: spec.rules.iter().flatten().map(Rule::of).collect(),
        })
    }

    /// Whether a request belongs to it.
    pub fn covers(&self, asked: &Attributes<'_>) -> bool {
        self.rules.iter().any(|rule| rule.covers(asked))
    }

    /// What tells the request's flow from others of the schema.
    pub fn flow<'a>(&self, asked: &Attributes<'a>) -> &'a str {
        match (self.distinguisher, &asked.target) {
            (Some(Distinguisher::User), _) => &asked.user.name,
            (Some(Distinguisher::Namespace), Target::Resource(resource)) => resource.namespace,
            _ => "",
        }
    }
}

impl Rule {
    fn of(rule: &api::PolicyRulesWithSubjects) -> Self {
        let resources = rule.resource_rules.iter().flatten().map(|rule| ResourceRule {
            verbs: Names::of(&rule.verbs),
            groups: Names::of(&rule.api_groups),
            resources: Names::of(&rule.resources),
            cluster: rule.cluster_scope.unwrap_or(false),
            namespaces: Names::of(rule.namespaces.as_deref().unwrap_or_default()),
        });
        let paths = rule.non_resource_rules.iter().flatten().map(|rule| PathRule {
            verbs: Names::of(&rule.verbs),
            paths: rule.non_resource_urls.iter().map(|path| path.as_str().into()).collect(),
        });
        Self {
            subjects: rule.subjects.iter().filter_map(Subject::of).collect(),
            resources: resources.collect(),
            paths: paths.collect(),
        }
    }

    fn covers(&self, asked: &Attributes<'_>) -> bool {
        if !self.subjects.iter().any(|subject| subject.is(asked.user)) {
            return false;
        }
        match &asked.target {
            Target::Resource(resource) => self.resources.iter().any(|rule| rule.covers(asked.verb, resource)),
            Target::Path(path) => self.paths.iter().any(|rule| rule.covers(asked.verb, path)),
        }
    }
}

impl Subject {
    fn of(subject: &api::Subject) -> Option<Self> {
        match subject.kind.as_str() {
            "User" => {
                let name = subject.user.as_ref()?.name.as_str();
                Some(if name == ALL { Subject::AnyUser } else { Subject::User(name.into()) })
            }
            "Group" => {
                let name = subject.group.as_ref()?.name.as_str();
                Some(if name == ALL { Subject::AnyGroup } else { Subject::Group(name.into()) })
            }
            "ServiceAccount" => {
                let account = subject.service_account.as_ref()?;
                let all = format_compact!("system:serviceaccount:{}:", account.namespace);
                Some(match account.name.as_str() {
                    ALL => Subject::Accounts(all),
                    name => Subject::User(all + name),
                })
            }
            _ => None,
        }
    }

    fn is(&self, user: &User) -> bool {
        match self {
            Subject::AnyUser | Subject::AnyGroup => true,
            Subject::User(name) => user.name == *name,
            Subject::Group(name) => user.is_in(name),
            Subject::Accounts(prefix) => user.name.starts_with(prefix.as_str()),
        }
    }
}

impl ResourceRule {
    fn covers(&self, verb: &str, asked: &Resource<'_>) -> bool {
        self.verbs.have(verb)
            && self.resources.have_resource(asked.resource, asked.subresource)
            && self.groups.have(asked.group)
            && if asked.namespace.is_empty() { self.cluster } else { self.namespaces.have(asked.namespace) }
    }
}

impl PathRule {
    fn covers(&self, verb: &str, path: &str) -> bool {
        let below = |rule: &CompactString| {
            let stem = rule.strip_suffix(ALL).unwrap_or(rule);
            let stem = stem.strip_suffix('/').unwrap_or(stem);
            path.strip_prefix(stem).is_some_and(|rest| rest.starts_with('/'))
        };
        self.verbs.have(verb) && self.paths.iter().any(|rule| rule == ALL || rule == path || below(rule))
    }
}

impl Names {
    fn of(names: &[String]) -> Self {
        match names {
            [all] if all == ALL => Names::All,
            names => Names::These(names.iter().map(|name| name.as_str().into()).collect()),
        }
    }

    fn have(&self, name: &str) -> bool {
        match self {
            Names::All => true,
            Names::These(names) => names.iter().any(|known| known == name),
        }
    }

    /// A subresource is named after its resource: `pods/status`.
    fn have_resource(&self, resource: &str, subresource: &str) -> bool {
        match self {
            Names::These(names) if !subresource.is_empty() => names
                .iter()
                .filter_map(|known| known.split_once('/'))
                .any(|(of, part)| of == resource && part == subresource),
            names => names.have(resource),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::{Value, from_value, json};

    fn schema(rule: Value) -> SchemaSpec {
        let object = json!({"metadata": {"name": "s", "uid": "u"},
            "spec": {"priorityLevelConfiguration": {"name": "l"}, "rules": [rule]}});
        SchemaSpec::of(&from_value(&object).expect("a FlowSchema")).expect("whole")
    }

    fn subjects(subject: Value) -> SchemaSpec {
        schema(json!({"subjects": [subject], "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}]}))
    }

    fn everybody() -> Value {
        json!([{"kind": "Group", "group": {"name": "*"}}])
    }

    #[test]
    fn subjects_are_users_groups_and_service_accounts() {
        let account = |name: &str| {
            subjects(json!({"kind": "ServiceAccount", "serviceAccount": {"namespace": "ns", "name": name}}))
        };
        let user = |name: &str| subjects(json!({"kind": "User", "user": {"name": name}}));
        let group = |name: &str| subjects(json!({"kind": "Group", "group": {"name": name}}));
        let cases = [
            (user("ann"), "ann", true),
            (user("ann"), "anne", false),
            (user("*"), "ann", true),
            (group("g"), "ann", true),
            (group("h"), "ann", false),
            (group("*"), "ann", true),
            (account("a"), "system:serviceaccount:ns:a", true),
            (account("a"), "system:serviceaccount:ns:ab", false),
            (account("*"), "system:serviceaccount:ns:ab", true),
            (account("*"), "system:serviceaccount:nsx:a", false),
        ];
        for (schema, name, expected) in cases {
            let user = User::new(name, &["g"]);
            let asked = Attributes { user: &user, verb: "get", target: Target::Path("/x") };
            assert_eq!(schema.covers(&asked), expected, "{name} of {schema:?}");
        }
    }

    #[test]
    fn paths_are_covered_with_what_lies_below() {
        let cases = [
            ("/healthz", "/healthz", true),
            ("/healthz", "/healthz/ping", true),
            ("/healthz", "/healthzzz", false),
            ("/a/*", "/a/b/c", true),
            ("/a/*", "/a", false),
            ("*", "/a", true),
            ("/", "/a", true),
        ];
        for (rule, path, expected) in cases {
            let rules = json!({"subjects": everybody(),
                "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": [rule]}]});
            let (schema, user) = (schema(rules), User::anonymous());
            let asks = |verb| schema.covers(&Attributes { user: &user, verb, target: Target::Path(path) });
            assert_eq!((asks("get"), asks("post")), (expected, false), "{path} below {rule}");
        }
    }

    #[test]
    fn resources_are_covered_by_group_subresource_and_scope() {
        let rules = json!({"subjects": everybody(), "resourceRules": [
            {"verbs": ["get"], "apiGroups": ["apps"], "resources": ["deployments", "deployments/scale"],
                "namespaces": ["a"]},
            {"verbs": ["*"], "apiGroups": ["*"], "resources": ["nodes"], "clusterScope": true}]});
        let (schema, user) = (schema(rules), User::anonymous());
        let asks = |verb, group, resource, subresource, namespace| {
            let target = Resource { group, resource, subresource, namespace, ..Resource::default() };
            schema.covers(&Attributes { user: &user, verb, target: Target::Resource(target) })
        };
        assert!(asks("get", "apps", "deployments", "", "a"));
        assert!(asks("get", "apps", "deployments", "scale", "a"));
        assert!(!asks("get", "apps", "deployments", "status", "a"));
        assert!(!asks("get", "apps", "deployments", "", "b"));
        assert!(!asks("get", "apps", "deployments", "", ""));
        assert!(!asks("list", "apps", "deployments", "", "a"));
        assert!(asks("list", "", "nodes", "", "") && !asks("list", "", "nodes", "", "a"));
        assert!(!schema.covers(&Attributes { user: &user, verb: "get", target: Target::Path("/nodes") }));
    }

    #[test]
    fn a_level_that_contradicts_itself_is_none() {
        let level = |name: &str, spec: Value| {
            let object = json!({"metadata": {"name": name, "uid": "u"}, "spec": spec});
            LevelSpec::of(&from_value(&object).expect("a level"))
        };
        let queue = json!({"type": "Queue", "queuing": {"queues": 4, "handSize": 2, "queueLengthLimit": 3}});
        let limited = |response: &Value| {
            json!({"type": "Limited", "limited": {"nominalConcurrencyShares": 5,
            "limitResponse": response, "lendablePercent": 10}})
        };
        let spec = level("l", limited(&queue)).expect("a level");
        assert_eq!(spec.response, Response::Queue { queues: 4, hand: 2, length: 3 });
        assert_eq!((spec.response.most_waiting(), spec.shares, spec.borrowing_percent), (12, 5, None));
        assert_eq!(level("l", limited(&json!({"type": "Reject"}))).map(|level| level.response), Some(Response::Reject));
        assert_eq!(level("exempt", limited(&queue)), None);
        assert_eq!(level("l", json!({"type": "Exempt", "exempt": {}})), None);
        assert_eq!(level("l", json!({"type": "Limited"})), None);
        let crowded = json!({"type": "Queue", "queuing": {"queues": 1, "handSize": 2, "queueLengthLimit": 3}});
        assert_eq!(level("l", limited(&crowded)), None);
    }
}
