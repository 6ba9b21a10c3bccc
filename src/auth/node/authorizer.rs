//! What is asked about each resource when a node wants something of it.

use std::borrow::Cow;

use super::graph::{Graph, Start};
use super::rules::rules;
use crate::auth::authorizer::{Attributes, Authorizer, Resource, Rules, Target, Verdict};
use crate::auth::identity::User;
use crate::auth::rbac::Rule;
use crate::auth::selected::Operator;
use crate::cache::handle::Cache;
use crate::model::gotext::quote;

const LEASES: &str = "kube-node-lease";
const LIFECYCLE: [&str; 5] = ["get", "create", "update", "patch", "delete"];

/// Allows nodes what they need. It has no opinion of anybody else, and denies nothing for good.
pub struct NodeAuthorizer {
    cache: Cache,
    rules: Vec<Rule>,
}

/// `Err`: why not.
type Answer = Result<(), Cow<'static, str>>;

impl NodeAuthorizer {
    pub fn new(cache: Cache) -> Self {
        Self { cache, rules: rules() }
    }

    fn answer(&self, node: &str, attributes: &Attributes<'_>) -> Answer {
        let Target::Resource(resource) = &attributes.target else { return Err("".into()) };
        let question = Question { graph: Graph { cache: &self.cache, node }, verb: attributes.verb, of: resource };
        match (resource.group, resource.resource) {
            ("", "secrets") => question.read(Start::Secret),
            ("", "configmaps") => question.read(Start::ConfigMap),
            ("", "persistentvolumeclaims") if resource.subresource == "status" => question.update_status(Start::Claim),
            ("", "persistentvolumeclaims") => question.get(Start::Claim),
            ("", "persistentvolumes") => question.get(Start::Volume),
            ("", "serviceaccounts") => question.service_account(),
            ("", "nodes") => question.node(),
            ("", "pods") => question.pod(),
            ("resource.k8s.io", "resourceclaims") => question.get(Start::ResourceClaim),
            ("resource.k8s.io", "resourceslices") => question.slice(),
            ("storage.k8s.io", "volumeattachments") => question.get(Start::Attachment),
            ("storage.k8s.io", "csinodes") => question.csi_node(),
            ("coordination.k8s.io", "leases") => question.lease(),
            ("certificates.k8s.io", "podcertificaterequests") => Err("".into()),
            _ if self.rules.iter().any(|rule| rule.allows(attributes)) => Ok(()),
            _ => Err("".into()),
        }
    }
}

impl Authorizer for NodeAuthorizer {
    fn authorize(&self, attributes: &Attributes<'_>) -> Verdict {
        let answer = match attributes.user.node() {
            None => return Verdict::no_opinion(""),
            Some("") => Err(format!("unknown node for user {}", quote(&attributes.user.name)).into()),
            Some(node) => self.answer(node, attributes),
        };
        match answer {
            Ok(()) => Verdict::allow(""),
            Err(why) => Verdict::no_opinion(why),
        }
    }

    fn rules(&self, user: &User, _: &str) -> Rules {
        match user.node() {
            None => Rules::default(),
            Some(_) => Rules {
                incomplete: true,
                error: "node authorizer does not support user rule resolution".to_owned(),
                ..Rules::default()
            },
        }
    }
}

/// What a node wants of a resource.
struct Question<'a> {
    graph: Graph<'a>,
    verb: &'a str,
    of: &'a Resource<'a>,
}

impl Question<'_> {
    fn get(&self, start: Start) -> Answer {
        if self.verb != "get" {
            return Err("can only get individual resources of this type".into());
        }
        if !self.of.subresource.is_empty() {
            return Err("cannot get subresource".into());
        }
        self.related(start)
    }

    fn read(&self, start: Start) -> Answer {
        if !matches!(self.verb, "get" | "list" | "watch") {
            return Err("can only read resources of this type".into());
        }
        if !self.of.subresource.is_empty() {
            return Err("cannot read subresource".into());
        }
        if self.of.namespace.is_empty() {
            return Err("can only read namespaced object of this type".into());
        }
        self.related(start)
    }

    fn update_status(&self, start: Start) -> Answer {
        if !matches!(self.verb, "update" | "patch") {
            return Err("can only get/update/patch this type".into());
        }
        self.related(start)
    }

    fn service_account(&self) -> Answer {
        if self.verb == "get" && self.of.subresource.is_empty() {
            return self.read(Start::ServiceAccount);
        }
        if self.verb != "create" || self.of.name.is_empty() {
            return Err("can only create tokens for individual service accounts".into());
        }
        if self.of.subresource != "token" {
            return Err("can only create token subresource of serviceaccount".into());
        }
        self.related(Start::ServiceAccount)
    }

    fn node(&self) -> Answer {
        let own = self.graph.node;
        match (self.of.subresource, self.verb) {
            ("", "create" | "update" | "patch") | ("status", "update" | "patch") => Ok(()),
            ("", "get" | "list" | "watch") => match self.of.name {
                "" => Err(format!("node '{own}' cannot read all nodes, only its own Node object").into()),
                name if name == own => Ok(()),
                name => Err(format!("node '{own}' cannot read '{name}', only its own Node object").into()),
            },
            _ => Err("".into()),
        }
    }

    fn pod(&self) -> Answer {
        match (self.of.subresource, self.verb) {
            ("", "get") => self.related(Start::Pod),
            ("", "list" | "watch") if self.is_of_node() => Ok(()),
            ("", "list" | "watch") if !self.of.name.is_empty() => self.related(Start::Pod),
            ("", "list" | "watch") => Err("can only list/watch pods with spec.nodeName field selector".into()),
            ("", "create" | "delete") | ("status", "update" | "patch") | ("eviction", "create") => Ok(()),
            _ => Err("".into()),
        }
    }

    fn slice(&self) -> Answer {
        if !self.of.subresource.is_empty() {
            return Err("cannot authorize ResourceSlice subresources".into());
        }
        match self.verb {
            "create" => Ok(()),
            "get" | "update" | "patch" | "delete" => self.related(Start::Slice),
            "watch" | "list" | "deletecollection" if self.is_of_node() => Ok(()),
            "watch" | "list" | "deletecollection" => {
                Err("can only list/watch/deletecollection resourceslices with nodeName field selector".into())
            }
            _ => Err("only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, \
                      patch, delete, deletecollection"
                .into()),
        }
    }

    fn csi_node(&self) -> Answer {
        if !LIFECYCLE.contains(&self.verb) {
            return Err("can only get, create, update, patch, or delete a CSINode".into());
        }
        if !self.of.subresource.is_empty() {
            return Err("cannot authorize CSINode subresources".into());
        }
        // The name of what is created is not known yet: NodeRestriction looks at it.
        if self.verb != "create" && self.of.name != self.graph.node {
            return Err("can only access CSINode with the same name as the requesting node".into());
        }
        Ok(())
    }

    fn lease(&self) -> Answer {
        if !LIFECYCLE.contains(&self.verb) {
            return Err("can only get, create, update, patch, or delete a node lease".into());
        }
        if self.of.namespace != LEASES {
            return Err(format!("can only access leases in the {} system namespace", quote(LEASES)).into());
        }
        if self.verb != "create" && self.of.name != self.graph.node {
            return Err("can only access node lease with the same name as the requesting node".into());
        }
        Ok(())
    }

    fn related(&self, start: Start) -> Answer {
        if self.of.name.is_empty() {
            return Err("No Object name found".into());
        }
        if self.graph.is_reached_from(start, self.of.namespace, self.of.name) {
            return Ok(());
        }
        Err(format!("no relationship found between node '{}' and this object", self.graph.node).into())
    }

    /// Whether a collection is narrowed to what is bound to the node.
    fn is_of_node(&self) -> bool {
        self.of.fields.iter().any(|field| {
            field.key == "spec.nodeName" && field.operator == Operator::In && field.values == [self.graph.node]
        })
    }
}
