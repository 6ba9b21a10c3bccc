//! DefaultIngressClass: gives an ingress that names no class the newest default one.

use async_trait::async_trait;

use super::storage::newest;
use crate::admission::chain::{Attributes, Plugin};
use crate::admission::reads::Reads;
use crate::model::object;
use crate::model::status::Result;
use crate::model::value::Value;

const GROUP: &str = "networking.k8s.io";
/// How an ingress named its class before it had a field for it.
const CLASS: &str = "kubernetes.io/ingress.class";
const DEFAULT: &str = "ingressclass.kubernetes.io/is-default-class";

pub struct DefaultIngressClass(pub Reads);

#[async_trait]
impl Plugin for DefaultIngressClass {
    fn name(&self) -> &'static str {
        "DefaultIngressClass"
    }

    fn handles(&self, a: &Attributes<'_>) -> bool {
        a.is(GROUP, "ingresses") && a.creates()
    }

    async fn admit(&self, _: &mut Attributes<'_>, ingress: Option<&mut Value>) -> Result<()> {
        let Some(ingress) = ingress else { return Ok(()) };
        if !ingress["spec"]["ingressClassName"].is_null() || object::annotation(ingress, CLASS).is_some() {
            return Ok(());
        }
        let classes = self.0.list(GROUP, "ingressclasses", "")?;
        if let Some(class) =
            newest(classes.into_iter().filter(|class| object::annotation(class, DEFAULT) == Some("true")))
        {
            ingress["spec"]["ingressClassName"] = object::name(&class).into();
        }
        Ok(())
    }
}
