//! A rule, what it allows, and a role's rules in an order that is quick to search.

use std::collections::HashMap;
use std::fmt;

use compact_str::{CompactString, format_compact};

use crate::auth::authorizer::{Attributes, Resource, Target};
use crate::model::gotext;
use crate::model::value::{Map, Value};

/// A `PolicyRule`: verbs on resources, or on paths that are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    pub verbs: Vec<CompactString>,
    pub api_groups: Vec<CompactString>,
    pub resources: Vec<CompactString>,
    /// Empty: all.
    pub resource_names: Vec<CompactString>,
    pub non_resource_urls: Vec<CompactString>,
}

/// The rules of a role with an index by resource.
#[derive(Debug, Default)]
pub(super) struct Role {
    pub rules: Vec<Rule>,
    /// Rules that name the resource (`pods`, `pods/log`) itself.
    named: HashMap<CompactString, Vec<u32>>,
    /// Rules for `*` or `*/subresource`.
    wide: Vec<u32>,
    /// Rules for paths.
    paths: Vec<u32>,
}

impl Rule {
    /// From the API's JSON. What is missing or of a wrong type allows nothing.
    pub fn from_value(value: &Value) -> Self {
        Self {
            verbs: texts(value, "verbs"),
            api_groups: texts(value, "apiGroups"),
            resources: texts(value, "resources"),
            resource_names: texts(value, "resourceNames"),
            non_resource_urls: texts(value, "nonResourceURLs"),
        }
    }

    /// The rules of a role's (or cluster role's) JSON.
    pub fn all_of(role: &Value) -> Vec<Self> {
        role.get("rules").and_then(Value::as_array).into_iter().flatten().map(Self::from_value).collect()
    }

    /// The API's JSON, without empty fields.
    pub fn to_value(&self) -> Value {
        let mut out = Map::new();
        for (name, values) in self.fields() {
            if !values.is_empty() {
                out.insert(name.into(), values.iter().map(CompactString::as_str).collect());
            }
        }
        Value::Object(out)
    }

    pub(super) fn fields(&self) -> [(&'static str, &[CompactString]); 5] {
        [
            ("apiGroups", &self.api_groups),
            ("resources", &self.resources),
            ("nonResourceURLs", &self.non_resource_urls),
            ("resourceNames", &self.resource_names),
            ("verbs", &self.verbs),
        ]
    }

    pub fn allows(&self, attributes: &Attributes<'_>) -> bool {
        match &attributes.target {
            Target::Path(path) => {
                has_or_all(&self.verbs, attributes.verb)
                    && self.non_resource_urls.iter().any(|url| path_covers(url, path))
            }
            Target::Resource(resource) => {
                let combined = combined(resource);
                self.allows_rest(attributes.verb, resource)
                    && self.resources.iter().any(|own| resource_covers(own, &combined, resource.subresource))
            }
        }
    }

    /// All but the resource itself.
    fn allows_rest(&self, verb: &str, resource: &Resource<'_>) -> bool {
        has_or_all(&self.verbs, verb)
            && has_or_all(&self.api_groups, resource.group)
            && (self.resource_names.is_empty() || has(&self.resource_names, resource.name))
    }
}

impl Role {
    pub(super) fn new(rules: Vec<Rule>) -> Self {
        let mut role = Self { rules, ..Self::default() };
        for (at, rule) in role.rules.iter().enumerate() {
            let at = u32::try_from(at).unwrap_or(u32::MAX);
            let mut wide = false;
            for resource in &rule.resources {
                if resource == "*" || resource.starts_with("*/") {
                    wide = true;
                } else {
                    let rules = role.named.entry(resource.clone()).or_default();
                    if rules.last() != Some(&at) {
                        rules.push(at);
                    }
                }
            }
            if wide {
                role.wide.push(at);
            }
            if !rule.non_resource_urls.is_empty() {
                role.paths.push(at);
            }
        }
        role
    }

    pub(super) fn allows(&self, attributes: &Attributes<'_>) -> bool {
        let rule = |at: &u32| &self.rules[*at as usize];
        let resource = match &attributes.target {
            Target::Path(_) => return self.paths.iter().any(|at| rule(at).allows(attributes)),
            Target::Resource(resource) => resource,
        };
        let named = if resource.subresource.is_empty() {
            self.named.get(resource.resource)
        } else {
            self.named.get(&combined(resource))
        };
        named.is_some_and(|rules| rules.iter().any(|at| rule(at).allows_rest(attributes.verb, resource)))
            || self.wide.iter().any(|at| rule(at).allows(attributes))
    }
}

/// As an error shows a rule: `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: [&str; 5] = ["APIGroups", "Resources", "NonResourceURLs", "ResourceNames", "Verbs"];
        let parts = SHOWN.iter().zip(self.fields()).filter(|(_, (_, values))| !values.is_empty());
        let parts: Vec<_> = parts.map(|(shown, (_, values))| format!("{shown}:{}", quoted(values))).collect();
        write!(f, "{{{}}}", parts.join(", "))
    }
}

/// Go's `%q` of a list of strings.
pub(super) fn quoted(values: &[CompactString]) -> String {
    let values: Vec<_> = values.iter().map(|v| gotext::quote(v)).collect();
    gotext::list(&values)
}

/// `resource/subresource`, or the resource alone.
pub(super) fn combined(resource: &Resource<'_>) -> CompactString {
    if resource.subresource.is_empty() {
        resource.resource.into()
    } else {
        format_compact!("{}/{}", resource.resource, resource.subresource)
    }
}

/// Whether a rule's resource names the one asked for, all of them, or its subresource of any (`*/scale`).
fn resource_covers(own: &str, combined: &str, subresource: &str) -> bool {
    own == "*" || own == combined || (!subresource.is_empty() && own.strip_prefix("*/") == Some(subresource))
}

/// Whether a rule's path is the one asked for, or a beginning of it that ends in `*`.
pub(super) fn path_covers(own: &str, path: &str) -> bool {
    own == path || (own.ends_with('*') && path.starts_with(own.trim_end_matches('*')))
}

pub(super) fn has(set: &[CompactString], text: &str) -> bool {
    set.iter().any(|own| own == text)
}

pub(super) fn has_or_all(set: &[CompactString], text: &str) -> bool {
    set.iter().any(|own| own == text || own == "*")
}

fn texts(value: &Value, field: &str) -> Vec<CompactString> {
    let all = value.get(field).and_then(Value::as_array);
    all.into_iter().flatten().filter_map(Value::as_str).map(CompactString::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::identity::User;
    use crate::model::value::json;

    /// `verb group/resource[/subresource] [name]`, or `verb path`.
    fn allowed(rule: &Value, asked: &str) -> bool {
        let user = User::new("jane", &[]);
        let words: Vec<_> = asked.split(' ').collect();
        let attributes = if words[1].starts_with('/') {
            Attributes::path(&user, words[0], words[1])
        } else {
            let mut parts = words[1].split(':');
            let mut next = || parts.next().unwrap_or("");
            let (group, resource, subresource) = (next(), next(), next());
            let name = words.get(2).copied().unwrap_or("");
            Attributes::resource(
                &user,
                words[0],
                Resource { group, resource, subresource, name, ..Resource::default() },
            )
        };
        let rule = Rule::from_value(rule);
        let answer = rule.allows(&attributes);
        assert_eq!(Role::new(vec![Rule::default(), rule]).allows(&attributes), answer, "the index agrees: {asked}");
        answer
    }

    #[test]
    fn rules_allow_as_stock() {
        let pods = json!({"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods", "pods/log"]});
        let named = json!({"verbs": ["get"], "apiGroups": ["apps"], "resources": ["*"], "resourceNames": ["a"]});
        let scale = json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*/scale"]});
        let paths = json!({"verbs": ["get"], "nonResourceURLs": ["/healthz", "/logs/*", "/x*"]});
        let all = json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]});
        let everywhere = json!({"verbs": ["*"], "nonResourceURLs": ["*"]});
        let cases = [
            (&pods, "get :pods", true),
            (&pods, "get :pods x", true),
            (&pods, "get :pods:log", true),
            (&pods, "get :pods:status", false),
            (&pods, "delete :pods", false),
            (&pods, "get apps:pods", false),
            (&pods, "get /healthz", false),
            (&named, "get apps:deployments a", true),
            (&named, "get apps:deployments:status a", true),
            (&named, "get apps:deployments b", false),
            (&named, "get apps:deployments", false),
            (&scale, "update apps:deployments:scale", true),
            (&scale, "update apps:deployments:status", false),
            (&scale, "update apps:deployments", false),
            (&scale, "get apps:scale", false),
            (&paths, "get /healthz", true),
            (&paths, "get /healthz/", false),
            (&paths, "post /healthz", false),
            (&paths, "get /logs/a/b", true),
            (&paths, "get /logs", false),
            (&paths, "get /xyz", true),
            (&paths, "get :pods", false),
            (&all, "anything any:thing:sub name", true),
            (&all, "get /healthz", false),
            (&everywhere, "get /healthz", true),
            (&everywhere, "get :pods", false),
        ];
        for (rule, asked, expected) in cases {
            assert_eq!(allowed(rule, asked), expected, "{asked} by {rule}");
        }
    }

    #[test]
    fn a_rule_without_a_field_allows_nothing() {
        for rule in [json!({}), json!({"verbs": "*", "resources": 3}), json!(null), json!({"verbs": ["*"]})] {
            assert!(!allowed(&rule, "get :pods") && !allowed(&rule, "get /x"), "{rule}");
        }
    }

    #[test]
    fn a_rule_is_shown_as_stock_shows_it() {
        let rule =
            json!({"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["a\"b"]});
        let shown = r#"{APIGroups:[""], Resources:["pods"], ResourceNames:["a\"b"], Verbs:["get" "list"]}"#;
        assert_eq!(Rule::from_value(&rule).to_string(), shown);
        assert_eq!(Rule::from_value(&rule).to_value(), rule);
    }
}
