//! Which budgets cover a pod. A budget's selector is read once for each state of its spec.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::cache::object::{Key, Object};
use crate::cache::shelf::Shelf;
use crate::controllers::item::{Item, view};
use crate::controllers::owner;
use crate::model::selector::label::Selector;

/// Bounded by the number of budgets.
#[derive(Default)]
pub struct Selectors(Mutex<HashMap<Key, Known>>);

struct Known {
    uid: String,
    generation: i64,
    selector: Arc<Selector>,
}

impl Selectors {
    /// What a budget selects; nothing, if that cannot be read.
    pub fn of(&self, shelf: &Shelf, budget: &Object) -> Arc<Selector> {
        let generation = view(shelf, budget).map_or(0, |view| view.at("metadata").number("generation"));
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(&budget.key)
            && (known.generation, known.uid.as_str()) == (generation, &budget.uid())
        {
            return known.selector.clone();
        }
        let read = Item::new(shelf, budget).ok().and_then(|item| Selector::of_object(&item.spec()["selector"]).ok());
        let selector = Arc::new(read.unwrap_or_else(Selector::nothing));
        let known = Known { uid: budget.uid().into_owned(), generation, selector: selector.clone() };
        all.insert(budget.key.clone(), known);
        selector
    }

    pub fn forget(&self, budget: &Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(budget);
    }

    /// The budgets that cover a pod, by name.
    pub fn covering<'a>(&self, shelf: &'a Shelf, pod: &Object) -> Vec<&'a Arc<Object>> {
        let budgets = shelf.iter(Some(pod.namespace()));
        budgets.filter(|budget| owner::selected(&self.of(shelf, budget), pod)).collect()
    }
}
