//! SchedulingGates: a pod with gates waits outside until the last of them is removed. The queue asks before anything else.

use crate::scheduler::plugin::{Happening, NONE, OWN, Plugin};

pub const PLUGIN: Plugin = Plugin {
    name: "SchedulingGates",
    wants: OWN,
    helps: |_, happening| matches!(happening, Happening::Own { new, .. } if new.gates.is_empty()),
    ..NONE
};
