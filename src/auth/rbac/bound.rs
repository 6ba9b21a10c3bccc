//! What is bound to a subject in a scope.

use std::sync::Arc;

use super::bits::Bits;
use super::roles::Roles;
use super::table::Binding;

/// A subject with more bindings than this keeps the places of its roles.
const LISTED: usize = 16;
/// Of so many roles that allow a request the first is found by comparing them all; of more, by going through the
/// bindings, where one will come soon.
const COMPARED: usize = 128;

/// The bindings of a subject in a scope, ordered by role, then name, so that those of one role stand together.
#[derive(Clone, Default)]
pub(super) struct Bound {
    bindings: Arc<Vec<Arc<Binding>>>,
    places: Option<Arc<Places>>,
}

/// The places of the roles.
#[derive(Clone, Default)]
struct Places {
    cluster: Bits,
    local: Bits,
    /// How many roles are bound that can be nowhere.
    placeless: usize,
}

/// Some of the roles of the cluster, and of a namespace.
pub(super) struct Among<'a> {
    pub cluster: (&'a Roles, &'a Bits),
    pub local: Option<(&'a Roles, &'a Bits)>,
}

impl Bound {
    pub(super) fn bindings(&self) -> &[Arc<Binding>] {
        &self.bindings
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bindings.is_empty()
    }

    pub(super) fn insert(&mut self, binding: &Arc<Binding>) {
        let Err(at) = self.find(binding) else { return };
        Arc::make_mut(&mut self.bindings).insert(at, binding.clone());
        match &mut self.places {
            Some(places) => Arc::make_mut(places).change(binding, true),
            None if self.bindings.len() > LISTED => {
                let mut places = Places::default();
                self.bindings.iter().for_each(|binding| places.change(binding, true));
                self.places = Some(Arc::new(places));
            }
            None => {}
        }
    }

    pub(super) fn remove(&mut self, binding: &Binding) {
        let Ok(at) = self.find(binding) else { return };
        Arc::make_mut(&mut self.bindings).remove(at);
        if self.bindings.len() <= LISTED / 2 {
            self.places = None;
        }
        let beside = [at.checked_sub(1), Some(at)].into_iter().flatten().filter_map(|at| self.bindings.get(at));
        let is_bound = beside.into_iter().any(|other| other.role == binding.role);
        if let (Some(places), false) = (&mut self.places, is_bound) {
            Arc::make_mut(places).change(binding, false);
        }
    }

    fn find(&self, binding: &Binding) -> Result<usize, usize> {
        self.bindings.binary_search_by(|other| other.order().cmp(&binding.order()))
    }

    /// The first binding whose role is one of those that allow.
    pub(super) fn first(&self, allowing: &Among<'_>) -> Option<&Arc<Binding>> {
        let of_role = |binding: &&Arc<Binding>| allowing.contains(binding);
        let Some(places) = &self.places else { return self.bindings.iter().find(of_role) };
        let (cluster, local) = &places.common(allowing);
        let first = match () {
            () if !cluster.is_empty() => first_of(cluster, allowing.cluster.0).map(|name| ("ClusterRole", name)),
            () if !local.is_empty() => {
                allowing.local.and_then(|(roles, _)| first_of(local, roles)).map(|name| ("Role", name))
            }
            () => return None,
        };
        let Some(role) = first else { return self.bindings.iter().find(of_role) };
        let order = |binding: &Arc<Binding>| (binding.role.kind.as_str(), binding.role.name.as_str()) < role;
        self.bindings.get(self.bindings.partition_point(order))
    }

    /// Whether a role is bound that is not there.
    pub(super) fn is_lost(&self, there: &Among<'_>) -> bool {
        match &self.places {
            None => self.bindings.iter().any(|binding| !there.contains(binding)),
            Some(places) => places.exceeds(there),
        }
    }
}

impl Places {
    /// Takes in the role of a binding, or forgets it.
    fn change(&mut self, binding: &Binding, put: bool) {
        let Some(place) = binding.place else {
            self.placeless = if put { self.placeless + 1 } else { self.placeless.saturating_sub(1) };
            return;
        };
        let places = if binding.is_to_cluster_role() { &mut self.cluster } else { &mut self.local };
        if put {
            places.insert(place);
        } else {
            places.remove(place);
        }
    }

    fn common(&self, among: &Among<'_>) -> (Bits, Bits) {
        (self.cluster.common(among.cluster.1), among.local.map_or(Bits::default(), |(_, bits)| self.local.common(bits)))
    }

    fn exceeds(&self, among: &Among<'_>) -> bool {
        let local = among.local.map_or(!self.local.is_empty(), |(_, bits)| self.local.exceeds(bits));
        self.placeless > 0 || local || self.cluster.exceeds(among.cluster.1)
    }
}

impl Among<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.cluster.1.is_empty() && self.local.is_none_or(|(_, bits)| bits.is_empty())
    }

    fn contains(&self, binding: &Binding) -> bool {
        let bits = if binding.is_to_cluster_role() { Some(self.cluster.1) } else { self.local.map(|(_, bits)| bits) };
        bits.zip(binding.place).is_some_and(|(bits, place)| bits.contains(place))
    }
}

/// The first by name; `None` where they are too many to be compared.
fn first_of<'a>(places: &Bits, roles: &'a Roles) -> Option<&'a str> {
    if places.len() > COMPARED { None } else { places.iter().map(|place| roles.name(place)).min() }
}
