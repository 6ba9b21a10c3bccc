//! What every operation of the registry is told: who asks, of what, and what came of it.

use std::sync::Arc;

use compact_str::CompactString;

use crate::audit::annotations::Annotations;
use crate::auth::identity::User;
use crate::cache::object::Object;
use crate::model::names::ObjectName;
use crate::schema::resource::Resource;

/// Who asks, and what they are to be told beside the answer.
#[derive(Clone, Debug)]
pub struct Caller {
    pub user: User,
    /// The User-Agent, or the controller's name: the field manager when the request names none.
    pub agent: CompactString,
    /// Warnings for the client, in order (RFC 7234 warn code 299).
    pub warnings: Vec<CompactString>,
    /// For the request's record, where it is recorded.
    pub annotations: Annotations,
}

impl Caller {
    pub fn new(user: User, agent: &str) -> Self {
        Self { user, agent: agent.into(), warnings: Vec::new(), annotations: Annotations::default() }
    }

    pub fn warn(&mut self, text: impl Into<CompactString>) {
        let text = text.into();
        if !self.warnings.contains(&text) {
            self.warnings.push(text);
        }
    }
}

/// An object of a served resource, or the collection when `name` is empty.
#[derive(Clone, Debug)]
pub struct Address {
    pub resource: Arc<Resource>,
    /// Empty for cluster-scoped objects, and for a collection over all namespaces.
    pub namespace: CompactString,
    pub name: CompactString,
    /// Empty for the object itself.
    pub subresource: CompactString,
}

impl Address {
    pub fn new(resource: &Arc<Resource>, namespace: &str, name: &str) -> Self {
        let subresource = CompactString::default();
        Self { resource: resource.clone(), namespace: namespace.into(), name: name.into(), subresource }
    }

    pub fn object_name(&self) -> ObjectName {
        ObjectName { namespace: self.namespace.clone(), name: self.name.clone() }
    }
}

/// What a write left behind.
#[derive(Clone, Debug)]
pub struct Written {
    /// As stored; of a dry run, as it would have been.
    pub object: Arc<Object>,
    pub created: bool,
}

/// What a delete left behind.
#[derive(Clone, Debug)]
pub struct Deleted {
    /// Its last state, or its state while finalizers or a grace period hold it.
    pub object: Arc<Object>,
    /// It is gone (of a dry run: would be).
    pub gone: bool,
}
