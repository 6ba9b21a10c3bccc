//! Volumes that nobody has and claims that have none, in order, so that one finds the other without a look at all.
//!
//! This is a hint from the changes that were heard: who takes a volume looks at the volume itself.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::want::{self, Want};
use crate::model::object;
use crate::model::quantity::Quantity;
use crate::model::value::Value;

/// Bounded by the number of volumes and claims.
#[derive(Default)]
pub struct Open {
    /// By class; within it first those with few access modes, then the small ones.
    volumes: HashMap<String, BTreeSet<Offer>>,
    offers: HashMap<String, (String, Offer)>,
    /// By class, then by key.
    claims: HashMap<String, BTreeMap<String, Want>>,
    classes: HashMap<String, String>,
    /// Volumes that a run is about to give away.
    taken: HashSet<String>,
    /// Claims that were told of a free volume and have not been looked at since.
    called: HashSet<String>,
}

/// Number of access modes, size, name.
type Offer = (usize, Quantity, String);

impl Open {
    /// Remembers a free volume, or forgets one.
    pub fn volume(&mut self, name: &str, volume: Option<&Value>) {
        if let Some((class, offer)) = self.offers.remove(name)
            && let Some(offers) = self.volumes.get_mut(&class)
        {
            offers.remove(&offer);
            if offers.is_empty() {
                self.volumes.remove(&class);
            }
        }
        let Some(volume) = volume else { return };
        let offer = (want::modes(&volume["spec"]).len(), want::size(volume), name.to_owned());
        let class = want::class(volume).to_owned();
        self.volumes.entry(class.clone()).or_default().insert(offer.clone());
        self.offers.insert(name.to_owned(), (class, offer));
    }

    /// Remembers a claim that waits, or forgets one.
    pub fn claim(&mut self, key: &str, want: Option<Want>) {
        if let Some(class) = self.classes.remove(key)
            && let Some(claims) = self.claims.get_mut(&class)
        {
            claims.remove(key);
            if claims.is_empty() {
                self.claims.remove(&class);
            }
        }
        let Some(want) = want else {
            self.called.remove(key);
            return;
        };
        self.classes.insert(key.to_owned(), want.class.clone());
        self.claims.entry(want.class.clone()).or_default().insert(key.to_owned(), want);
    }

    /// The claims that wait for volumes of these classes.
    pub fn asking<'a>(&'a self, classes: [&'a str; 2]) -> impl Iterator<Item = &'a str> {
        classes.into_iter().filter_map(|class| self.claims.get(class)).flat_map(BTreeMap::keys).map(String::as_str)
    }

    /// A claim that waits, takes this volume and was not called for another one.
    pub fn call(&mut self, volume: &Value) -> Option<String> {
        if self.taken.contains(object::name(volume)) {
            return None;
        }
        let mut claims = self.claims.get(want::class(volume))?.iter();
        let (key, _) = claims.find(|(key, want)| !self.called.contains(*key) && want.takes(volume))?;
        self.called.insert(key.clone());
        Some(key.clone())
    }

    /// The claim is looked at now.
    pub fn answer(&mut self, claim: &str) {
        self.called.remove(claim);
    }

    /// The first volume that is enough and that `is_fit` accepts; it is the caller's until [`Self::release`].
    pub fn take(&mut self, want: &Want, is_fit: impl Fn(&str) -> bool) -> Option<String> {
        let offers = self.volumes.get(&want.class)?;
        let mut modes = want.modes.len();
        loop {
            let from = (modes, want.size.clone(), String::new());
            let (found, ..) = offers.range(from.clone()..).map(|offer| (offer.0, ())).next()?;
            let enough = offers.range(from..).take_while(|offer| offer.0 == modes).map(|(_, _, name)| name);
            let mut free = enough.filter(|name| !self.taken.contains(*name));
            if let Some(name) = free.find(|name| is_fit(name)).cloned() {
                self.taken.insert(name.clone());
                return Some(name);
            }
            modes = if found > modes { found } else { modes + 1 };
        }
    }

    pub fn release(&mut self, volume: &str) {
        self.taken.remove(volume);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    fn volume(name: &str, size: &str, modes: &[&str]) -> Value {
        json!({"metadata": {"name": name}, "spec": {"capacity": {"storage": size}, "accessModes": modes}})
    }

    fn want(size: &str) -> Want {
        let spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}});
        Want::of(&json!({"spec": spec}))
    }

    #[test]
    fn the_smallest_volume_that_is_enough_is_taken_once() {
        let mut open = Open::default();
        let all = [
            volume("large", "9Gi", &["ReadWriteOnce"]),
            volume("small", "1Gi", &["ReadWriteOnce"]),
            volume("medium", "3Gi", &["ReadWriteOnce"]),
            volume("many", "2Gi", &["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany"]),
        ];
        all.iter().for_each(|volume| open.volume(object::name(volume), Some(volume)));
        let mut take = |size: &str| open.take(&want(size), |name| name != "unfit");
        assert_eq!(take("2Gi").as_deref(), Some("medium"));
        assert_eq!(take("2Gi").as_deref(), Some("large"));
        assert_eq!(take("2Gi").as_deref(), Some("many"), "few modes come first");
        assert_eq!(take("2Gi"), None);
        open.release("medium");
        open.volume("large", None);
        assert_eq!(open.take(&want("3Gi"), |_| true).as_deref(), Some("medium"));
    }

    #[test]
    fn a_free_volume_calls_one_claim_that_takes_it() {
        let mut open = Open::default();
        for (key, size) in [("d/a", "5Gi"), ("d/b", "1Gi"), ("d/c", "2Gi")] {
            open.claim(key, Some(want(size)));
        }
        let offered = volume("v", "2Gi", &["ReadWriteOnce"]);
        assert_eq!(open.call(&offered).as_deref(), Some("d/b"));
        assert_eq!(open.call(&offered).as_deref(), Some("d/c"));
        assert_eq!(open.call(&offered), None);
        open.answer("d/c");
        open.claim("d/b", None);
        assert_eq!(open.call(&offered).as_deref(), Some("d/c"));
        assert_eq!(open.asking(["", "x"]).collect::<Vec<_>>(), ["d/a", "d/c"]);
    }
}
