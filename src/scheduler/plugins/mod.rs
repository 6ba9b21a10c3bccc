//! The plugins, one file each, in the order in which they are asked.
//!
//! In reading order: this page (the table); `scheduling_gates`; `node_unschedulable`, `node_name`, `taint_toleration`,
//! `node_affinity`, `node_ports`, `resources_fit`, the volumes' (`volume_restrictions`, `volume_limits`,
//! `volume_binding`, `volume_zone`), `topology_spread`, `inter_pod_affinity`, `devices`, which check nodes;
//! `balanced_allocation` and `image_locality`, which only score them.

pub mod balanced_allocation;
pub mod devices;
pub mod image_locality;
pub mod inter_pod_affinity;
pub mod node_affinity;
pub mod node_name;
pub mod node_ports;
pub mod node_unschedulable;
pub mod resources_fit;
pub mod scheduling_gates;
pub mod taint_toleration;
pub mod topology_spread;
pub mod volume_binding;
pub mod volume_limits;
pub mod volume_restrictions;
pub mod volume_zone;

#[cfg(test)]
mod tests;

use super::plugin::Plugin;

/// All of them. A plugin's place is its number in a [`Mask`].
pub static PLUGINS: [Plugin; 16] = [
    scheduling_gates::PLUGIN,
    node_unschedulable::PLUGIN,
    node_name::PLUGIN,
    taint_toleration::PLUGIN,
    node_affinity::PLUGIN,
    node_ports::PLUGIN,
    resources_fit::PLUGIN,
    volume_restrictions::PLUGIN,
    volume_limits::PLUGIN,
    volume_binding::PLUGIN,
    volume_zone::PLUGIN,
    topology_spread::PLUGIN,
    inter_pod_affinity::PLUGIN,
    devices::PLUGIN,
    balanced_allocation::PLUGIN,
    image_locality::PLUGIN,
];

/// Some of the plugins, a bit each.
pub type Mask = u32;

/// The gates' bit.
pub const GATES: Mask = 1;

/// The plugins of a mask, with their bits.
pub fn of_mask(mask: Mask) -> impl Iterator<Item = &'static Plugin> {
    PLUGINS.iter().enumerate().filter(move |(at, _)| mask & (1 << at) != 0).map(|(_, plugin)| plugin)
}
