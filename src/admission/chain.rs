//! The chain: what a plugin is asked, and in which order plugins are asked.

use std::sync::Arc;

use async_trait::async_trait;
use compact_str::CompactString;

use crate::audit::annotations::Annotations;
use crate::auth::identity::User;
use crate::model::object;
use crate::model::status::{Result, Status};
use crate::model::value::Value;
use crate::schema::resource::Resource;

/// What is done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Create,
    Update,
    Delete,
    /// exec, attach, port-forward, proxy.
    Connect,
}

impl Operation {
    /// The word of admission reviews: `CREATE`.
    pub fn word(self) -> &'static str {
        match self {
            Operation::Create => "CREATE",
            Operation::Update => "UPDATE",
            Operation::Delete => "DELETE",
            Operation::Connect => "CONNECT",
        }
    }
}

/// A write as admission sees it. Objects are sparse values in the served version.
pub struct Attributes<'a> {
    pub user: &'a User,
    pub operation: Operation,
    pub resource: &'a Arc<Resource>,
    /// Empty for the object itself.
    pub subresource: &'a str,
    pub namespace: &'a str,
    /// Empty on create when the name is to be generated.
    pub name: &'a str,
    /// How refusals name the object: [`shown_name`].
    pub shown: &'a str,
    /// The stored object, as it is (`None` on create).
    pub old: Option<&'a Value>,
    pub dry_run: bool,
    /// Create/Update/Delete options as the request gave them.
    pub options: &'a Value,
    /// What the client is warned of.
    pub warnings: &'a mut Vec<CompactString>,
    /// For the request's record.
    pub annotations: &'a Annotations,
}

impl Attributes<'_> {
    /// Whether this is about objects of `resource` in `group`, not of a subresource.
    pub fn is(&self, group: &str, resource: &str) -> bool {
        self.subresource.is_empty() && self.is_any(group, resource)
    }

    /// The same, whatever the subresource.
    pub fn is_any(&self, group: &str, resource: &str) -> bool {
        self.resource.name.group == group && self.resource.name.resource == resource
    }

    /// 403 with stock's text around `why`.
    pub fn forbid(&self, why: impl std::fmt::Display) -> Status {
        Status::forbidden(&self.resource.name, self.shown, why)
    }

    pub fn creates(&self) -> bool {
        self.operation == Operation::Create
    }

    pub fn updates(&self) -> bool {
        self.operation == Operation::Update
    }
}

/// The name, or what the name is to be generated from.
pub fn shown_name<'a>(name: &'a str, object: Option<&'a Value>) -> &'a str {
    let of = |field| object.map_or("", |object| object::meta_str(object, field));
    [name, of("name"), of("generateName")].into_iter().find(|text| !text.is_empty()).unwrap_or("Unknown")
}

/// One step of the chain. Both halves default to doing nothing.
#[async_trait]
pub trait Plugin: Send + Sync {
    /// Its name for `--enable-admission-plugins`.
    fn name(&self) -> &'static str;

    /// Whether it wants to see such requests at all.
    fn handles(&self, attributes: &Attributes<'_>) -> bool;

    /// Changes or refuses the object (`None` on delete and connect).
    async fn admit(&self, _: &mut Attributes<'_>, _: Option<&mut Value>) -> Result<()> {
        Ok(())
    }

    /// Refuses the finished object, or lets it pass.
    async fn validate(&self, _: &mut Attributes<'_>, _: Option<&Value>) -> Result<()> {
        Ok(())
    }
}

/// The plugins that are on, in stock's order.
#[derive(Clone, Default)]
pub struct Chain(Arc<[Arc<dyn Plugin>]>);

impl Chain {
    pub fn new(plugins: Vec<Arc<dyn Plugin>>) -> Self {
        Self(plugins.into())
    }

    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|plugin| plugin.name())
    }

    /// The mutating half. True when a plugin that may have changed the object was asked: defaults are then filled again.
    pub async fn admit(&self, attributes: &mut Attributes<'_>, mut object: Option<&mut Value>) -> Result<bool> {
        let mut asked = false;
        for plugin in self.0.iter() {
            if plugin.handles(attributes) {
                asked = true;
                plugin.admit(attributes, object.as_deref_mut()).await?;
            }
        }
        Ok(asked)
    }

    pub async fn validate(&self, attributes: &mut Attributes<'_>, object: Option<&Value>) -> Result<()> {
        for plugin in self.0.iter() {
            if plugin.handles(attributes) {
                plugin.validate(attributes, object).await?;
            }
        }
        Ok(())
    }
}
