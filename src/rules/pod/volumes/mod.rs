//! Volumes of pods, and the sources of volumes that pods and PersistentVolumes share.
//!
//! In reading order: `list` (a pod's volumes), `files` (volumes of files that the API has: config maps, secrets, the
//! pod's own fields), `remote` (volumes that others keep: hosts, clouds, networks), `claim` (the spec of a claim).

pub mod claim;
pub mod files;
pub mod list;
pub mod remote;
