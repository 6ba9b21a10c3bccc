//! Who may make admission policies read what: a policy shows its parameters to those who are refused by it, so its writer
//! must be able to read them.

use super::{KindHooks, Wish};
use crate::auth::authorizer::{Attributes, Chain, Resource};
use crate::auth::identity::{MASTERS, User};
use crate::model::field::{FieldError, FieldErrors, Path};
use crate::model::names::{GroupVersion, GroupVersionKind};
use crate::model::value::Value;
use crate::registry::request::Address;
use crate::schema::catalog::Catalog;

/// Policies, which name a kind of parameters, or bindings, which name the parameters.
pub struct ParamKinds {
    pub resource: &'static str,
    /// The resource of a binding's policy; `None` for policies.
    pub policies: Option<&'static str>,
}

/// All four resources.
pub const ALL: [ParamKinds; 4] = [
    ParamKinds { resource: "mutatingadmissionpolicies", policies: None },
    ParamKinds { resource: "mutatingadmissionpolicybindings", policies: Some("mutatingadmissionpolicies") },
    ParamKinds { resource: "validatingadmissionpolicies", policies: None },
    ParamKinds { resource: "validatingadmissionpolicybindings", policies: Some("validatingadmissionpolicies") },
];
const GROUP: &str = "admissionregistration.k8s.io";

impl KindHooks for ParamKinds {
    fn resource(&self) -> (&'static str, &'static str) {
        (GROUP, self.resource)
    }

    fn unauthorized(&self, wish: &Wish<'_>) -> FieldErrors {
        let Wish { registry, user, new, old, .. } = *wish;
        let spec = &new["spec"];
        let field = if self.policies.is_some() { "paramRef" } else { "paramKind" };
        let unchanged = old.is_some_and(|old| {
            let same = |field: &str| old["spec"][field] == spec[field];
            same(field) && (self.policies.is_none() || same("policyName") && spec[field]["selector"].is_null())
        });
        if !spec[field].is_object() || unchanged || user.is_in(MASTERS) {
            return FieldErrors::new();
        }
        let catalog = registry.catalog.load();
        let ask = Ask { authorizer: &registry.authorizer, catalog: &catalog, user };
        let why = match self.policies.map(|policies| catalog.find(GROUP, "v1", policies)) {
            Some(policies) => {
                let policy = policies.map(|policies| Address::new(policies, "", text(spec, "policyName")));
                let policy = policy.and_then(|at| registry.cached(&at).ok().flatten());
                ask.of_binding(spec, policy.as_ref().map(|policy| &policy.value))
            }
            None => ask.of_policy(&spec[field]),
        };
        let root = Path::Root;
        why.map(|why| FieldError::forbidden(&root.name("spec").name(field), why)).into_iter().collect()
    }
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or("")
}

/// A question of what a writer may read.
struct Ask<'a> {
    authorizer: &'a Chain,
    catalog: &'a Catalog,
    user: &'a User,
}

impl Ask<'_> {
    /// Why the user may not write this `paramKind`.
    fn of_policy(&self, kind: &Value) -> Option<String> {
        let (wanted, _) = self.resource_of(kind);
        if self.allows("get", &wanted, ("*", "*")) {
            return None;
        }
        Some(format!(
            "user {} must have \"get\" permission on all objects of the referenced paramKind (kind={}, apiVersion={})",
            shown(self.user),
            text(kind, "kind"),
            text(kind, "apiVersion")
        ))
    }

    /// Why the user may not write this binding's `paramRef`.
    fn of_binding(&self, spec: &Value, policy: Option<&Value>) -> Option<String> {
        let (params, name) = (&spec["paramRef"], text(spec, "policyName"));
        let verb = if text(params, "name").is_empty() { "list" } else { "get" };
        let kind = policy.map(|policy| &policy["spec"]["paramKind"]).filter(|kind| kind.is_object());
        let (wanted, unclear) = kind.map_or((Wanted::default(), ""), |kind| self.resource_of(kind));
        if self.allows(verb, &wanted, (text(params, "namespace"), text(params, "name"))) {
            return None;
        }
        let lacks = format!("user {} does not have \"{verb}\" permission", shown(self.user));
        let least = "to determine minimum required permissions and";
        let all = "for all groups, versions and resources";
        Some(match kind {
            _ if policy.is_none() => format!("unable to get policy {name} {least} {lacks} {all}"),
            Some(kind) if !unclear.is_empty() => {
                let kind = format!("&{{{} {}}}", text(kind, "apiVersion"), text(kind, "kind"));
                format!("unable to {unclear} paramKind {kind} {least} {lacks} {all}")
            }
            _ => format!("{lacks} on the object referenced by paramRef"),
        })
    }

    /// The resource of a `paramKind`, and what could not be done to find it.
    fn resource_of(&self, kind: &Value) -> (Wanted, &'static str) {
        let Some(version) = GroupVersion::parse(text(kind, "apiVersion")) else { return (Wanted::default(), "parse") };
        let found = self.catalog.by_kind(&GroupVersionKind::new(&version.group, &version.version, text(kind, "kind")));
        let resource = found.map_or_else(|| "*".to_owned(), |found| found.name.resource.to_string());
        let unclear = if found.is_none() { "resolve" } else { "" };
        (Wanted { group: version.group.to_string(), version: version.version.to_string(), resource }, unclear)
    }

    fn allows(&self, verb: &str, wanted: &Wanted, (namespace, name): (&str, &str)) -> bool {
        let Wanted { group, version, resource } = wanted;
        let resource = Resource { group, version, resource, namespace, name, ..Resource::default() };
        self.authorizer.authorize_blocking(&Attributes::resource(self.user, verb, resource)).is_allowed()
    }
}

/// The resource of parameters; `*` stands for what is not known of it.
struct Wanted {
    group: String,
    version: String,
    resource: String,
}

impl Default for Wanted {
    fn default() -> Self {
        let any = || "*".to_owned();
        Self { group: any(), version: any(), resource: any() }
    }
}

/// The user as Go prints it.
fn shown(user: &User) -> String {
    let extra = user.extra.iter().map(|(key, values)| (key, values.join(" ")));
    let mut extra: Vec<_> = extra.map(|(key, values)| format!("{key}:[{values}]")).collect();
    extra.sort_unstable();
    format!("&{{{} {} [{}] map[{}]}}", user.name, user.uid, user.groups.join(" "), extra.join(" "))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::auth::authorizer::{Authorizer, Rules, Target, Verdict};
    use crate::model::value::json;

    /// Lets everybody read the ConfigMaps of one namespace.
    struct OfOneNamespace;

    impl Authorizer for OfOneNamespace {
        fn authorize(&self, attributes: &Attributes<'_>) -> Verdict {
            match attributes.target {
                Target::Resource(r) if (r.resource, r.namespace) == ("configmaps", "mine") => Verdict::allow(""),
                _ => Verdict::no_opinion(""),
            }
        }

        fn rules(&self, _: &User, _: &str) -> Rules {
            Rules::default()
        }
    }

    #[test]
    fn parameters_are_of_those_who_may_read_them() {
        let (authorizer, user) = (Chain::new(vec![Arc::new(OfOneNamespace)]), User::new("jane", &["a", "b"]));
        let ask = Ask { authorizer: &authorizer, catalog: &Catalog::builtin(), user: &user };
        let kind = |kind: &str| json!({"apiVersion": "v1", "kind": kind});
        assert_eq!(
            ask.of_policy(&kind("ConfigMap")).as_deref(),
            Some(
                "user &{jane  [a b] map[]} must have \"get\" permission on all objects of the referenced paramKind \
                 (kind=ConfigMap, apiVersion=v1)"
            )
        );
        let binding = |namespace: &str| json!({"policyName": "p", "paramRef": {"namespace": namespace}});
        let policy = |of: &str| json!({"spec": {"paramKind": kind(of)}});
        assert_eq!(ask.of_binding(&binding("mine"), Some(&policy("ConfigMap"))), None);
        let lacks = "user &{jane  [a b] map[]} does not have \"list\" permission";
        assert_eq!(
            ask.of_binding(&binding("theirs"), Some(&policy("ConfigMap"))),
            Some(format!("{lacks} on the object referenced by paramRef"))
        );
        let least =
            format!("to determine minimum required permissions and {lacks} for all groups, versions and resources");
        assert_eq!(ask.of_binding(&binding("mine"), None), Some(format!("unable to get policy p {least}")));
        assert_eq!(
            ask.of_binding(&binding("mine"), Some(&policy("Nothing"))),
            Some(format!("unable to resolve paramKind &{{v1 Nothing}} {least}"))
        );
    }
}
