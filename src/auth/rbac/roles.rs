//! The roles of a scope, each with a place: a small number by which sets of roles are kept.

use std::sync::Arc;

use compact_str::CompactString;
use imbl::{HashMap, Vector};

use super::bits::Bits;
use super::reach::Reach;
use super::rule::{Role, Rule};
use crate::auth::authorizer::Attributes;

/// A scope with more roles than this has an index of their rules.
const SEARCHED: usize = 16;

/// Roles by name. One that is only bound has its place too, so that it keeps it when it comes.
#[derive(Clone, Default)]
pub(super) struct Roles {
    by_name: HashMap<CompactString, Place>,
    /// By place.
    names: Vector<CompactString>,
    free: Arc<Vec<u32>>,
    /// The places of the roles that are there.
    there: Arc<Bits>,
    /// How many that are, and their rules where they are many.
    count: usize,
    reach: Option<Arc<Reach>>,
}

#[derive(Clone)]
struct Place {
    number: u32,
    role: Option<Arc<Role>>,
    bindings: u32,
    /// The numbers of the rules in the index.
    rules: Arc<[u32]>,
}

impl Roles {
    pub(super) fn get(&self, name: &str) -> Option<&Arc<Role>> {
        self.by_name.get(name)?.role.as_ref()
    }

    /// From now on a role has these rules, or is not there.
    pub(super) fn set(&mut self, name: &str, rules: Option<Vec<Rule>>) {
        let mut place = self.place(name);
        if let Some(old) = place.role.take() {
            self.count -= 1;
            Arc::make_mut(&mut self.there).remove(place.number);
            if let Some(reach) = &mut self.reach {
                Arc::make_mut(reach).remove(&old.rules, &place.rules);
            }
        }
        if let Some(rules) = rules {
            self.count += 1;
            Arc::make_mut(&mut self.there).insert(place.number);
            if let Some(reach) = &mut self.reach {
                place.rules = Arc::make_mut(reach).insert(place.number, &rules);
            }
            place.role = Some(Arc::new(Role::new(rules)));
        }
        self.put(name, place);
        if self.count > SEARCHED && self.reach.is_none() {
            self.search();
        } else if self.count <= SEARCHED / 2 {
            self.reach = None;
        }
    }

    /// One binding more for this role; its place, which it has as long as it is bound.
    pub(super) fn bind(&mut self, name: &str) -> u32 {
        let mut place = self.place(name);
        place.bindings += 1;
        let number = place.number;
        self.put(name, place);
        number
    }

    pub(super) fn unbind(&mut self, name: &str) {
        let mut place = self.place(name);
        place.bindings = place.bindings.saturating_sub(1);
        self.put(name, place);
    }

    fn place(&mut self, name: &str) -> Place {
        if let Some(place) = self.by_name.get(name) {
            return place.clone();
        }
        let number = match Arc::make_mut(&mut self.free).pop() {
            Some(number) => number,
            None => u32::try_from(self.names.len()).expect("fewer roles than numbers"),
        };
        if number as usize == self.names.len() {
            self.names.push_back(name.into());
        } else {
            self.names.set(number as usize, name.into());
        }
        Place { number, role: None, bindings: 0, rules: Arc::default() }
    }

    /// Keeps a place while it is needed.
    fn put(&mut self, name: &str, place: Place) {
        if place.role.is_some() || place.bindings > 0 {
            self.by_name.insert(name.into(), place);
            return;
        }
        self.by_name.remove(name);
        if self.by_name.is_empty() {
            *self = Self::default();
        } else {
            Arc::make_mut(&mut self.free).push(place.number);
        }
    }

    /// Begins the index.
    fn search(&mut self) {
        let mut reach = Reach::default();
        for (_, place) in self.by_name.iter_mut() {
            if let Some(role) = &place.role {
                place.rules = reach.insert(place.number, &role.rules);
            }
        }
        self.reach = Some(Arc::new(reach));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    pub(super) fn name(&self, place: u32) -> &str {
        &self.names[place as usize]
    }

    /// The places of the roles that are there.
    pub(super) fn there(&self) -> &Bits {
        &self.there
    }

    /// The places of the roles that allow this.
    pub(super) fn allowing(&self, asked: &Attributes<'_>) -> Bits {
        if let Some(reach) = &self.reach {
            return reach.roles(asked);
        }
        let allows = |place: &&Place| place.role.as_ref().is_some_and(|role| role.allows(asked));
        self.by_name.values().filter(allows).map(|place| place.number).collect()
    }
}
