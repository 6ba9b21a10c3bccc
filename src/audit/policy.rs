//! The policy: the first rule that fits a request says how it is recorded.

use super::level::{Level, Stages};
use crate::auth::authorizer::{Attributes, Resource, Target};

/// A policy file's content, found valid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    pub rules: Vec<Rule>,
    /// Of requests that no rule fits, which are not recorded anyway.
    pub decision: Decision,
}

/// How a request is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    pub level: Level,
    pub omit: Stages,
    /// Objects are recorded without `metadata.managedFields`.
    pub omit_managed_fields: bool,
}

/// One rule. An empty list asks for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Stages that the policy leaves out for all are in it already, and so is its word on managedFields.
    pub decision: Decision,
    pub users: Vec<String>,
    pub groups: Vec<String>,
    pub verbs: Vec<String>,
    pub resources: Vec<Resources>,
    /// The empty name is that of objects without a namespace.
    pub namespaces: Vec<String>,
    pub paths: Vec<String>,
}

/// Resources of a group, or of all groups: `*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    pub group: String,
    /// `pods`, `pods/log`, `pods/*`, `*/scale`, `*`; empty: all.
    pub resources: Vec<String>,
    pub names: Vec<String>,
}

impl Policy {
    pub fn decide(&self, request: &Attributes<'_>) -> Decision {
        self.rules.iter().find(|rule| rule.fits(request)).map_or(self.decision, |rule| rule.decision)
    }
}

impl Rule {
    fn fits(&self, request: &Attributes<'_>) -> bool {
        if !self.users.is_empty() && !has(&self.users, &request.user.name) {
            return false;
        }
        if !self.groups.is_empty() && !request.user.groups.iter().any(|group| has(&self.groups, group)) {
            return false;
        }
        if !self.verbs.is_empty() && !has(&self.verbs, request.verb) {
            return false;
        }
        let about_resources = !self.namespaces.is_empty() || !self.resources.is_empty();
        match &request.target {
            Target::Resource(asked) if about_resources => self.fits_resource(asked),
            Target::Path(_) if about_resources => false,
            Target::Path(path) if !self.paths.is_empty() => self.paths.iter().any(|pattern| fits_path(path, pattern)),
            Target::Resource(_) if !self.paths.is_empty() => false,
            _ => true,
        }
    }

    fn fits_resource(&self, asked: &Resource<'_>) -> bool {
        if !self.namespaces.is_empty() && !has(&self.namespaces, asked.namespace) {
            return false;
        }
        self.resources.is_empty() || self.resources.iter().any(|resources| resources.fit(asked))
    }
}

impl Resources {
    fn fit(&self, asked: &Resource<'_>) -> bool {
        if self.group != asked.group && self.group != "*" {
            return false;
        }
        if self.resources.is_empty() {
            return true;
        }
        (self.names.is_empty() || has(&self.names, asked.name))
            && self.resources.iter().any(|pattern| fits_one(pattern, asked))
    }
}

fn fits_one(pattern: &str, asked: &Resource<'_>) -> bool {
    if pattern == "*" {
        return true;
    }
    match pattern.split_once('/') {
        None => asked.subresource.is_empty() && pattern == asked.resource,
        Some((resource, "*")) if resource == asked.resource => true,
        Some(("*", subresource)) if !asked.subresource.is_empty() && subresource == asked.subresource => true,
        Some((resource, subresource)) => {
            !asked.subresource.is_empty() && resource == asked.resource && subresource == asked.subresource
        }
    }
}

/// `/healthz`, `/api*`, `*`.
fn fits_path(path: &str, pattern: &str) -> bool {
    pattern == path || pattern.strip_suffix('*').is_some_and(|begin| path.starts_with(begin.trim_end_matches('*')))
}

fn has(list: &[String], wanted: &str) -> bool {
    list.iter().any(|item| item == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::load::parse;
    use crate::auth::identity::User;

    const RULES: &str = "
rules:
- {level: None, users: [system:kube-proxy], verbs: [watch], resources: [{group: '', resources: [endpoints, services]}]}
- {level: None, userGroups: [system:authenticated], nonResourceURLs: ['/api*', /version]}
- {level: Request, resources: [{group: '', resources: [configmaps], resourceNames: [special]}], namespaces: [kube-system]}
- {level: Metadata, resources: [{group: '', resources: [secrets, pods/log, 'deployments/*', '*/scale']}]}
- {level: RequestResponse, resources: [{group: 'apps'}]}
- {level: Request, namespaces: ['']}
";

    /// `user verb group/resource/subresource namespace name` or `user verb /path`.
    fn level(policy: &Policy, asked: &str) -> &'static str {
        let words: Vec<&str> = asked.split(' ').collect();
        let user = User::new(words[0], &["system:authenticated"]);
        let target = match words[2..] {
            [path] => Target::Path(path),
            [resource, namespace, name] => {
                let parts: Vec<&str> = resource.split('/').collect();
                let clean = |word| if word == "-" { "" } else { word };
                Target::Resource(Resource {
                    group: clean(parts[0]),
                    resource: parts[1],
                    subresource: parts.get(2).copied().unwrap_or(""),
                    namespace: clean(namespace),
                    name: clean(name),
                    ..Resource::default()
                })
            }
            _ => panic!("{asked}"),
        };
        policy.decide(&Attributes { user: &user, verb: words[1], target }).level.word()
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let policy = parse(format!("apiVersion: audit.k8s.io/v1\nkind: Policy{RULES}").as_bytes()).expect("a policy");
        for (asked, expected) in [
            ("system:kube-proxy watch -/services a -", "None"),
            ("system:kube-proxy list -/services a -", "None"),
            ("jane watch -/secrets a -", "Metadata"),
            ("jane get /apis/apps/v1", "None"),
            ("jane get /version", "None"),
            ("jane get /versions", "None"),
            ("jane get -/configmaps kube-system special", "Request"),
            ("jane get -/configmaps kube-system other", "None"),
            ("jane get -/pods/log a p", "Metadata"),
            ("jane get -/pods a p", "None"),
            ("jane get -/deployments a p", "Metadata"),
            ("jane get -/deployments/status a p", "Metadata"),
            ("jane get -/replicasets/scale a p", "Metadata"),
            ("jane get apps/replicasets/scale a p", "RequestResponse"),
            ("jane get -/nodes - n", "Request"),
        ] {
            assert_eq!(level(&policy, asked), expected, "{asked}");
        }
    }

    #[test]
    fn paths_end_in_a_star_or_are_whole() {
        for (path, pattern, fits) in [
            ("/healthz", "/healthz", true),
            ("/healthz/etcd", "/healthz", false),
            ("/healthz/etcd", "/healthz*", true),
            ("/anything", "*", true),
            ("/healthz/etcd", "/healthz/*", true),
            ("/healthz", "/healthz/*", false),
        ] {
            assert_eq!(fits_path(path, pattern), fits, "{path} {pattern}");
        }
    }
}
