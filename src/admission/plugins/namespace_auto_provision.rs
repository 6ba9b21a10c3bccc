//! NamespaceAutoProvision: a namespace that is written in is made, where there is none.

use async_trait::async_trait;

use crate::admission::chain::{Attributes, Plugin};
use crate::admission::reads::Reads;
use crate::model::status::Result;
use crate::model::value::Value;

pub struct NamespaceAutoProvision(pub Reads);

#[async_trait]
impl Plugin for NamespaceAutoProvision {
    fn name(&self) -> &'static str {
        "NamespaceAutoProvision"
    }

    fn handles(&self, a: &Attributes<'_>) -> bool {
        a.creates() && !a.dry_run && !a.namespace.is_empty() && !a.is_any("", "namespaces")
    }

    async fn admit(&self, a: &mut Attributes<'_>, _: Option<&mut Value>) -> Result<()> {
        if self.0.shelf("", "namespaces")?.get("", a.namespace).is_some() {
            return Ok(());
        }
        match self.0.charges.make_namespace(a.namespace).await {
            Err(status) if !status.is_already_exists() => Err(a.forbid(status.message)),
            _ => Ok(()),
        }
    }
}
