//! The parts of objects that the scheduler reads, as they come out of their bytes.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::resources::Amounts;
use crate::codec::protobuf::view::View;
use crate::model::value::Value;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MetaView {
    pub name: String,
    pub namespace: String,
    pub uid: String,
    pub generation: i64,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub creation_timestamp: Option<String>,
    pub deletion_timestamp: Option<String>,
    pub owner_references: Vec<OwnerView>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct OwnerView {
    pub api_version: String,
    pub kind: String,
    pub name: String,
    pub uid: String,
    pub controller: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodView {
    pub metadata: MetaView,
    pub spec: PodSpecView,
    pub status: PodStatusView,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodSpecView {
    pub node_name: String,
    pub scheduler_name: String,
    pub priority: Option<i32>,
    pub preemption_policy: String,
    pub host_network: bool,
    pub containers: Vec<ContainerView>,
    pub init_containers: Vec<ContainerView>,
    pub overhead: Amounts,
    pub resources: RequestsView,
    pub node_selector: BTreeMap<String, String>,
    pub affinity: AffinityView,
    pub tolerations: Vec<TolerationView>,
    pub topology_spread_constraints: Vec<SpreadView>,
    pub scheduling_gates: Vec<NamedView>,
    pub resource_claims: Vec<NamedView>,
    pub volumes: Vec<VolumeView>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct NamedView {
    pub name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ContainerView {
    pub name: String,
    pub image: String,
    pub restart_policy: String,
    pub resources: RequestsView,
    pub ports: Vec<PortView>,
}

impl ContainerView {
    /// An init container that keeps running.
    pub fn is_sidecar(&self) -> bool {
        self.restart_policy == "Always"
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RequestsView {
    pub requests: Amounts,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PortView {
    pub host_port: i32,
    #[serde(rename = "hostIP")]
    pub host_ip: String,
    pub protocol: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AffinityView {
    pub node_affinity: NodeAffinityView,
    pub pod_affinity: PodAffinityView,
    pub pod_anti_affinity: PodAffinityView,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct NodeAffinityView {
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution")]
    pub required: Option<NodeSelectorView>,
    #[serde(rename = "preferredDuringSchedulingIgnoredDuringExecution")]
    pub preferred: Vec<PreferredNodeView>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NodeSelectorView {
    pub node_selector_terms: Vec<NodeTermView>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NodeTermView {
    pub match_expressions: Vec<RequirementView>,
    pub match_fields: Vec<RequirementView>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RequirementView {
    pub key: String,
    pub operator: String,
    pub values: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct PreferredNodeView {
    pub weight: i64,
    pub preference: NodeTermView,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct PodAffinityView {
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution")]
    pub required: Vec<PodTermView>,
    #[serde(rename = "preferredDuringSchedulingIgnoredDuringExecution")]
    pub preferred: Vec<PreferredPodView>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodTermView {
    pub label_selector: Value,
    pub namespaces: Vec<String>,
    pub namespace_selector: Value,
    pub topology_key: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PreferredPodView {
    pub weight: i64,
    pub pod_affinity_term: PodTermView,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct TolerationView {
    pub key: String,
    pub operator: String,
    pub value: String,
    pub effect: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SpreadView {
    pub max_skew: i64,
    pub topology_key: String,
    pub when_unsatisfiable: String,
    pub label_selector: Value,
    pub min_domains: Option<i64>,
    pub node_affinity_policy: String,
    pub node_taints_policy: String,
    pub match_label_keys: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct VolumeView {
    pub name: String,
    pub persistent_volume_claim: Option<ClaimSourceView>,
    pub ephemeral: Option<Value>,
    pub image: Option<ImageSourceView>,
    pub gce_persistent_disk: Option<DiskView>,
    pub aws_elastic_block_store: Option<DiskView>,
    pub iscsi: Option<DiskView>,
    pub rbd: Option<DiskView>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ClaimSourceView {
    pub claim_name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ImageSourceView {
    pub reference: String,
}

/// What tells whether two pods would mount one disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DiskView {
    pub pd_name: String,
    #[serde(rename = "volumeID")]
    pub volume_id: String,
    pub iqn: String,
    pub monitors: Vec<String>,
    pub pool: String,
    pub image: String,
    pub read_only: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodStatusView {
    pub phase: String,
    pub nominated_node_name: String,
    pub start_time: Option<String>,
    pub conditions: Vec<ConditionView>,
    pub container_statuses: Vec<ContainerStatusView>,
    pub init_container_statuses: Vec<ContainerStatusView>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ContainerStatusView {
    pub name: String,
    pub allocated_resources: Amounts,
    pub resources: Option<RequestsView>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConditionView {
    #[serde(rename = "type")]
    pub kind: String,
    pub status: String,
    pub reason: String,
    pub message: String,
    pub last_transition_time: Option<String>,
}

impl ConditionView {
    pub fn of(condition: View<'_>) -> Self {
        let text = |field: &str| condition.text(field).to_owned();
        Self {
            kind: text("type"),
            status: text("status"),
            reason: text("reason"),
            message: text("message"),
            last_transition_time: condition.time("lastTransitionTime").map(|time| time.to_text().to_string()),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NodeView {
    pub metadata: MetaView,
    pub spec: NodeSpecView,
    pub status: NodeStatusView,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct NodeSpecView {
    pub unschedulable: bool,
    pub taints: Vec<TaintView>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct TaintView {
    pub key: String,
    pub value: String,
    pub effect: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct NodeStatusView {
    pub allocatable: Amounts,
    pub images: Vec<ImageView>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ImageView {
    pub names: Vec<String>,
    pub size_bytes: i64,
}
