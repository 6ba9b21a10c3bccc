//! Owners that are known to be gone: a UID never comes back, so that nobody has to ask twice.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use super::place::Place;

/// How many are remembered: those asked for last.
const REMEMBERED: usize = 500;

#[derive(Default)]
pub struct Absent(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// Where, and the UID.
    gone: HashSet<(String, String)>,
    order: VecDeque<(String, String)>,
}

impl Absent {
    pub fn contains(&self, place: &Place, uid: &str) -> bool {
        self.lock().gone.contains(&(place.text(), uid.to_owned()))
    }

    pub fn add(&self, place: &Place, uid: &str) {
        let (entry, mut known) = ((place.text(), uid.to_owned()), self.lock());
        if known.gone.insert(entry.clone()) {
            known.order.push_back(entry);
        }
        if known.order.len() > REMEMBERED
            && let Some(oldest) = known.order.pop_front()
        {
            known.gone.remove(&oldest);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::names::GroupResource;

    #[test]
    fn only_so_many_are_remembered() {
        let (absent, place) = (Absent::default(), Place::new(&GroupResource::new("", "pods"), "d/a"));
        (0..=REMEMBERED).for_each(|number| absent.add(&place, &number.to_string()));
        assert!(!absent.contains(&place, "0") && absent.contains(&place, "1"));
        assert_eq!(absent.lock().gone.len(), REMEMBERED);
    }
}
