//! Roles and bindings, indexed by subject. A persistent value: a copy costs nothing and never changes.

use std::sync::Arc;

use compact_str::CompactString;
use imbl::HashMap;

use super::rule::{Role, Rule};
use crate::auth::identity::{User, service_account_name};
use crate::model::names::ObjectName;
use crate::model::object::{name, namespace};
use crate::model::value::Value;

/// The four resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Role,
    ClusterRole,
    RoleBinding,
    ClusterRoleBinding,
}

/// A binding of either kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Empty: of the whole cluster.
    pub namespace: CompactString,
    pub name: CompactString,
    pub role: RoleRef,
    pub subjects: Vec<Subject>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RoleRef {
    /// `Role` or `ClusterRole`; something else refers to nothing.
    pub kind: CompactString,
    pub name: CompactString,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    pub kind: SubjectKind,
    pub name: CompactString,
    /// Of a service account; empty: the binding's own.
    pub namespace: CompactString,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectKind {
    User,
    Group,
    ServiceAccount,
    /// Applies to nobody.
    Other(CompactString),
}

/// Everything bound; cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Table {
    cluster: Scope,
    namespaces: HashMap<CompactString, Scope>,
    bindings: HashMap<ObjectName, Arc<Binding>>,
}

/// The roles and bindings of a namespace, or of the cluster.
#[derive(Clone, Default)]
struct Scope {
    roles: HashMap<CompactString, Arc<Role>>,
    users: HashMap<CompactString, Bindings>,
    groups: HashMap<CompactString, Bindings>,
}

/// Ordered by role, then name, so that those of one role stand together.
type Bindings = Arc<Vec<Arc<Binding>>>;

impl Table {
    /// Takes over a change of an object: what it was and what it is, `None` for not there.
    pub(super) fn apply(&mut self, kind: Kind, before: Option<&Value>, after: Option<&Value>) {
        let Some(any) = after.or(before) else { return };
        match kind {
            Kind::Role | Kind::ClusterRole => {
                let scope = self.scope_mut(if kind == Kind::Role { namespace(any) } else { "" });
                match after {
                    Some(role) => scope.roles.insert(name(any).into(), Arc::new(Role::new(Rule::all_of(role)))),
                    None => scope.roles.remove(name(any)),
                };
            }
            Kind::RoleBinding | Kind::ClusterRoleBinding => {
                let at = ObjectName::new(if kind == Kind::RoleBinding { namespace(any) } else { "" }, name(any));
                if let Some(old) = self.bindings.remove(&at) {
                    self.index(&old, false);
                }
                if let Some(binding) = after {
                    let binding = Arc::new(Binding::from_value(&at, binding));
                    self.index(&binding, true);
                    self.bindings.insert(at.clone(), binding);
                }
            }
        }
        self.drop_empty(namespace(any));
    }

    /// Puts a binding under each of its subjects, or takes it away.
    fn index(&mut self, binding: &Arc<Binding>, put: bool) {
        let scope = self.scope_mut(&binding.namespace);
        for subject in &binding.subjects {
            let (map, key) = match &subject.kind {
                SubjectKind::User => (&mut scope.users, subject.name.clone()),
                SubjectKind::Group => (&mut scope.groups, subject.name.clone()),
                SubjectKind::ServiceAccount => match subject.account(binding) {
                    Some(user) => (&mut scope.users, user),
                    None => continue,
                },
                SubjectKind::Other(_) => continue,
            };
            let mut bindings = map.remove(&key).unwrap_or_default();
            let all = Arc::make_mut(&mut bindings);
            match (all.binary_search_by(|other| other.order().cmp(&binding.order())), put) {
                (Err(at), true) => all.insert(at, binding.clone()),
                (Ok(at), false) => drop(all.remove(at)),
                _ => {}
            }
            if !bindings.is_empty() {
                map.insert(key, bindings);
            }
        }
    }

    fn scope_mut(&mut self, namespace: &str) -> &mut Scope {
        if namespace.is_empty() { &mut self.cluster } else { self.namespaces.entry(namespace.into()).or_default() }
    }

    /// Forgets a namespace in which nothing is left.
    fn drop_empty(&mut self, namespace: &str) {
        let empty = |scope: &Scope| scope.roles.is_empty() && scope.users.is_empty() && scope.groups.is_empty();
        if self.namespaces.get(namespace).is_some_and(empty) {
            self.namespaces.remove(namespace);
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        let cluster = &self.cluster;
        self.namespaces.is_empty()
            && self.bindings.is_empty()
            && cluster.roles.is_empty()
            && cluster.users.is_empty()
            && cluster.groups.is_empty()
    }

    /// The bindings of the cluster and of `namespace` that apply to `user`; the cluster's first. One that applies for
    /// several reasons comes several times, those of one role in a row.
    pub(super) fn bindings_of<'a>(
        &'a self,
        user: &'a User,
        namespace: &'a str,
    ) -> impl Iterator<Item = &'a Arc<Binding>> + 'a {
        self.lists_of(user, namespace).flatten()
    }

    /// The same by subject; within a list those of one role stand together.
    pub(super) fn lists_of<'a>(
        &'a self,
        user: &'a User,
        namespace: &'a str,
    ) -> impl Iterator<Item = &'a [Arc<Binding>]> + 'a {
        let local = if namespace.is_empty() { None } else { self.namespaces.get(namespace) };
        std::iter::once(&self.cluster).chain(local).flat_map(|scope| {
            let of_groups = user.groups.iter().filter_map(|group| scope.groups.get(group));
            scope.users.get(&user.name).into_iter().chain(of_groups).map(|bindings| bindings.as_slice())
        })
    }

    /// The role of a binding; the error text that stock has for one that is not there.
    pub(super) fn role_of(&self, binding: &Binding) -> Result<&Arc<Role>, String> {
        let RoleRef { kind, name } = &binding.role;
        let (scope, resource) = match kind.as_str() {
            "ClusterRole" => (Some(&self.cluster), "clusterrole"),
            "Role" => (self.namespaces.get(&binding.namespace), "role"),
            other => return Err(format!("unsupported role reference kind: {other:?}")),
        };
        let role = scope.and_then(|scope| scope.roles.get(name));
        role.ok_or_else(|| format!("{resource}.rbac.authorization.k8s.io {:?} not found", name.as_str()))
    }

    /// The rules of a role by reference, as a binding in `namespace` would find them.
    pub(super) fn rules_of(&self, role: &RoleRef, namespace: &str) -> Result<&[Rule], String> {
        let binding = Binding {
            namespace: namespace.into(),
            name: CompactString::default(),
            role: role.clone(),
            subjects: vec![],
        };
        self.role_of(&binding).map(|role| role.rules.as_slice())
    }
}

impl Binding {
    fn from_value(at: &ObjectName, value: &Value) -> Self {
        let subjects = value.get("subjects").and_then(Value::as_array);
        Self {
            namespace: at.namespace.clone(),
            name: at.name.clone(),
            role: RoleRef::from_value(value.get("roleRef").unwrap_or(&Value::Null)),
            subjects: subjects.into_iter().flatten().map(Subject::from_value).collect(),
        }
    }

    fn order(&self) -> (&RoleRef, &str) {
        (&self.role, &self.name)
    }

    /// The first subject that is `user`.
    pub(super) fn subject_of(&self, user: &User) -> Option<usize> {
        self.subjects.iter().position(|subject| match &subject.kind {
            SubjectKind::User => subject.name == user.name,
            SubjectKind::Group => user.groups.contains(&subject.name),
            SubjectKind::ServiceAccount => subject.account(self).is_some_and(|account| account == user.name),
            SubjectKind::Other(_) => false,
        })
    }
}

impl RoleRef {
    pub fn from_value(value: &Value) -> Self {
        Self { kind: text(value, "kind"), name: text(value, "name") }
    }
}

impl Subject {
    fn from_value(value: &Value) -> Self {
        let kind = match value.get("kind").and_then(Value::as_str).unwrap_or("") {
            "User" => SubjectKind::User,
            "Group" => SubjectKind::Group,
            "ServiceAccount" => SubjectKind::ServiceAccount,
            other => SubjectKind::Other(other.into()),
        };
        Self { kind, name: text(value, "name"), namespace: text(value, "namespace") }
    }

    /// The namespace of a service account: its own, or the binding's.
    pub(super) fn namespace_in<'a>(&'a self, binding: &'a Binding) -> &'a str {
        if self.namespace.is_empty() { &binding.namespace } else { &self.namespace }
    }

    /// The user name of a service account; `None` when no namespace is known.
    fn account(&self, binding: &Binding) -> Option<CompactString> {
        let namespace = self.namespace_in(binding);
        (!namespace.is_empty()).then(|| service_account_name(namespace, &self.name))
    }
}

fn text(value: &Value, field: &str) -> CompactString {
    value.get(field).and_then(Value::as_str).unwrap_or("").into()
}
