//! Gives each node the ranges of its pods' addresses: one of each of the cluster's ranges.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use ipnet::IpNet;

use super::ranges::{Range, Taken};
use crate::controllers::config::Config;
use crate::controllers::events::Kind;
use crate::controllers::harness::{Change, Controller, Cut, Cx, Follows, Keys, Next};
use crate::controllers::item::{Item, view};
use crate::controllers::resources::NODES;
use crate::model::status::Result;
use crate::model::value::json;

/// Key: all nodes, as they share the ranges.
const ALL: &str = "*";

pub struct NodeIpam {
    ranges: Mutex<Vec<Range>>,
    /// Ranges that are no pods': services'.
    others: Vec<IpNet>,
}

impl NodeIpam {
    /// `None`: nodes get their ranges from somebody else, or the configured ones have no such parts.
    pub fn new(config: &Config) -> Option<Self> {
        let bits = |range: &IpNet| match range {
            IpNet::V4(_) => config.node_mask_ipv4,
            IpNet::V6(_) => config.node_mask_ipv6,
        };
        let ranges: Option<Vec<Range>> =
            config.cluster_cidrs.iter().map(|range| Range::new(*range, bits(range))).collect();
        let ranges = ranges.filter(|ranges| !ranges.is_empty())?;
        Some(Self { ranges: Mutex::new(ranges), others: config.service_cidrs.clone() })
    }

    /// Ranges for as many nodes as are asked for and can get some.
    fn take(&self, cut: &Cut, count: usize) -> Vec<Vec<String>> {
        let shelf = cut.shelf(&NODES);
        let mut ranges = self.ranges.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken: Vec<Taken> = ranges.iter().map(|_| Taken::new()).collect();
        let views = shelf.iter(None).filter_map(|node| view(shelf, node));
        let nodes = views.flat_map(|node| node.at("spec").texts("podCIDRs")).filter_map(|range| range.parse().ok());
        for other in nodes.chain(self.others.iter().copied()) {
            ranges.iter().zip(&mut taken).for_each(|(range, taken)| range.occupy(&other, taken));
        }
        let one = || -> Option<Vec<String>> {
            ranges.iter_mut().zip(&mut taken).map(|(range, taken)| Some(range.take(taken)?.to_string())).collect()
        };
        std::iter::from_fn(one).take(count).collect()
    }
}

#[async_trait]
impl Controller for NodeIpam {
    fn follows(&self) -> Follows {
        Follows::these(&[&NODES])
    }

    fn triggers(&self, change: &Change<'_>, keys: &mut Keys) {
        let has_none = change.current.and_then(|node| change.view(node)).is_some_and(|n| !n.at("spec").has("podCIDRs"));
        if has_none || change.is_deleted() {
            keys.add(ALL);
        }
    }

    async fn reconcile(&self, cx: &Cx, _: &str) -> Result<Next> {
        let cut = cx.cut(&[&NODES])?;
        let shelf = cut.shelf(&NODES);
        let has_none = |node: &&std::sync::Arc<crate::cache::object::Object>| {
            !node.is_deleting() && view(shelf, node).is_some_and(|node| !node.at("spec").has("podCIDRs"))
        };
        let mut nodes =
            shelf.iter(None).filter(has_none).map(|node| Item::new(shelf, node)).collect::<Result<Vec<_>>>()?;
        nodes.sort_by_key(|node| node.value["metadata"]["creationTimestamp"].as_str().map(str::to_owned));
        let mut ranges = self.take(&cut, nodes.len()).into_iter();
        for node in &nodes {
            let Some(ranges) = ranges.next() else {
                say(cx, node, "CIDRNotAvailable");
                continue;
            };
            let spec = json!({"podCIDR": ranges[0], "podCIDRs": ranges});
            match cx.strategic(node.target(), &json!({"metadata": {"uid": node.uid()}, "spec": spec})).await {
                Err(status) if !status.is_not_found() => {
                    say(cx, node, "CIDRAssignmentFailed");
                    return Err(status);
                }
                _ => {}
            }
        }
        Ok(Next::Done)
    }
}

fn say(cx: &Cx, node: &Item, what: &'static str) {
    cx.event(node.into(), Kind::Normal, what, format!("Node {} status is now: {what}", node.name()));
}
