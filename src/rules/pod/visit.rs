//! All containers of a pod, in the order in which stock visits them: init containers, containers, ephemeral ones.

use crate::model::field::Path;
use crate::model::value::Value;
use crate::rules::at::At;

/// The place of what is wrong with an object as a whole.
pub const NO_PLACE: Path<'static> = Path::Name(&Path::Root, "");

const LISTS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// The lists of containers of a spec, with their places.
pub struct Containers<'p, 'v>([At<'p, 'v>; 3]);

impl<'p, 'v> Containers<'p, 'v> {
    pub fn of(spec: &'p At<'_, 'v>) -> Self {
        Self(LISTS.map(|list| spec.at(list)))
    }

    pub fn iter<'s>(&'s self) -> impl Iterator<Item = At<'s, 'v>> {
        self.0.iter().flat_map(At::items)
    }
}

/// The same without their places.
pub fn container_values(spec: &Value) -> impl Iterator<Item = &Value> {
    LISTS.iter().filter_map(|list| spec[*list].as_array()).flatten()
}

/// The same, to be changed.
pub fn container_values_mut(spec: &mut Value) -> impl Iterator<Item = &mut Value> {
    let lists = spec.as_object_mut().into_iter().flatten();
    let lists = lists.filter(|(name, _)| LISTS.contains(&name.as_str()));
    lists.filter_map(|(_, list)| list.as_array_mut()).flatten()
}
