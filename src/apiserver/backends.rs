//! Who answers for a pod, a node or a service, as the registry knows it; and what is said when nobody does.

use super::exchange::Exchange;
use crate::model::names::GroupResource;
use crate::model::pod::text;
use crate::model::status::{Result, Status};
use crate::model::value::Value;
use crate::registry::request::Address;
use crate::relay::dial::{Place, Wire};
use crate::relay::guard::Refused;
use crate::relay::target::{self, Kubelet, Named};

impl Exchange<'_> {
    /// An object of a built-in resource, as new as any acknowledged write.
    pub async fn object_of(&self, resource: &str, namespace: &str, name: &str) -> Result<Value> {
        let missing = || Status::not_found(&GroupResource::new("", resource), name);
        let resource = self.server.registry.catalog.load().find("", "v1", resource).cloned().ok_or_else(missing)?;
        let at = Address::new(&resource, namespace, name);
        let object = self.server.registry.get(&at, "").await?;
        object.to_value(&resource.shape).map_err(Status::internal)
    }

    /// The kubelet of a node.
    pub async fn kubelet(&self, node: &str) -> Result<Kubelet> {
        let node = self.object_of("nodes", "", node).await?;
        Kubelet::of(&node, &self.server.outlet.preferred).map_err(Status::unknown)
    }

    /// The kubelet of the node that a pod is on; `None` when it is on none.
    pub async fn kubelet_of(&self, pod: &Value) -> Result<Option<Kubelet>> {
        match text(&pod["spec"], "nodeName") {
            "" => Ok(None),
            node => self.kubelet(node).await.map(Some),
        }
    }

    /// Where `pods|nodes|services/[SCHEME:]NAME[:PORT]/proxy` goes.
    pub async fn proxied_place(&self, at: &Address) -> Result<Place> {
        let resource = at.resource.name.resource.as_str();
        let one = resource.strip_suffix('s').unwrap_or(resource);
        let invalid = || Status::bad_request(format!("invalid {one} request \"{}\"", at.name));
        let named = Named::parse(&at.name).ok_or_else(invalid)?;
        match resource {
            "pods" => target::pod(&self.object_of("pods", &at.namespace, named.name).await?, &named),
            "nodes" => self.kubelet(named.name).await?.proxied(&named),
            _ => self.service(at, &named).await,
        }
    }

    /// An endpoint of a service that is a pod's own address.
    async fn service(&self, at: &Address, named: &Named<'_>) -> Result<Place> {
        let port = match named.port.parse::<i64>() {
            Ok(_) => target::port_name(&self.object_of("services", &at.namespace, named.name).await?, named)?,
            Err(_) => named.port.to_owned(),
        };
        let object = self.object_of("endpoints", &at.namespace, named.name).await?;
        let seed = self.server.registry.entropy.below(u64::from(u32::MAX)) as usize;
        for endpoint in target::endpoints(&object, &at.namespace, named, &port, seed)? {
            let pod = self.object_of("pods", &at.namespace, &endpoint.pod).await;
            if pod.is_ok_and(|pod| endpoint.is_of(&pod)) {
                return Ok(endpoint.place);
            }
        }
        Err(target::none_of(&at.name))
    }

    /// A connection for a stream.
    pub async fn dial(&self, place: &Place) -> Result<Wire> {
        self.server.outlet.dialer.connect(place).await.map_err(undialled)
    }
}

/// Why there is no connection for a stream.
pub fn undialled(why: Refused) -> Status {
    match why {
        Refused::NotAllowed => Status::bad_request(why.to_string()),
        Refused::Unknown(why) => Status::unknown(format!("error dialing backend: {why}")),
    }
}

/// Why there is no answer.
pub fn unreached(why: Refused) -> Status {
    match why {
        Refused::NotAllowed => Status::bad_request(why.to_string()),
        Refused::Unknown(why) => Status::service_unavailable(format!("error trying to reach service: {why}")),
    }
}
