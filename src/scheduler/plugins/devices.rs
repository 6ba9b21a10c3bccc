//! DynamicResources: devices that pods ask for through resource claims. Allocation is not there yet, so that such a pod
//! waits instead of running without its devices.

use crate::scheduler::plugin::{NONE, Plugin, Prepared, Verdict};

pub const PLUGIN: Plugin = Plugin {
    name: "DynamicResources",
    filter: Some(|_, pod| {
        if !pod.wants_devices {
            return Prepared::Skip;
        }
        Prepared::Refused(Verdict::hopeless("cannot allocate all claims"))
    }),
    ..NONE
};
