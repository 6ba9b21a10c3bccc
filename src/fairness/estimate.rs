//! How many seats a request will take, guessed before it runs; constants are stock's.

use std::time::Duration;

use super::work::{Estimate, Work};
use crate::auth::authorizer::{Attributes, Resource, Target};
use crate::cache::handle::Cache;
use crate::model::names::GroupResource;

/// Bytes that a list holds in memory, for each seat.
const BYTES_PER_SEAT: u64 = 100_000;
/// A list out of the cache is written while it is read: it never holds more.
const STREAMED_BYTES: u64 = 1_000_000;
const MOST_LIST_SEATS: u64 = 100;
const MOST_WRITE_SEATS: u64 = 10;
/// Watchers that are told of a write, for each seat and [`EVENT`].
const WATCHES_PER_SEAT: u64 = 10;
const EVENT: Duration = Duration::from_millis(5);

/// What a list or watch asks for, as far as it makes it dear. The default: everything, newest.
#[derive(Clone, Copy, Debug, Default)]
pub struct Listing<'a> {
    /// 0 for none.
    pub limit: u64,
    pub resource_version: &'a str,
    pub version_match: &'a str,
    pub continues: bool,
    pub selects: bool,
    pub initial_events: bool,
}

/// What is kept of a resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    pub objects: u64,
    pub bytes: u64,
}

/// What is kept of the resource; `None` when it is not kept here.
pub fn kept(cache: &Cache, resource: &Resource<'_>) -> Option<Kept> {
    let name = GroupResource::new(resource.group, resource.resource);
    let snapshot = cache.snapshot(&[&name]).ok()?;
    let shelf = snapshot.shelves.first()?;
    Some(Kept { objects: shelf.len() as u64, bytes: shelf.bytes() as u64 })
}

/// The estimate of a request. `most` are the seats that its level allows one request; 0 for no such bound. `kept` and
/// `watches` are asked only where they count.
pub fn estimate(
    asked: &Attributes<'_>,
    listing: &Listing<'_>,
    most: u64,
    kept: impl FnOnce(&Resource<'_>) -> Option<Kept>,
    watches: impl FnOnce(&Resource<'_>) -> u64,
) -> Estimate {
    let Target::Resource(resource) = &asked.target else { return Estimate::ONE };
    let bound = |cap: u64| if most == 0 { cap } else { most.min(cap) };
    match asked.verb {
        "list" | "watch" => {
            if asked.verb == "watch" && !begins_with_state(listing) {
                return Estimate::ONE;
            }
            let Some(kept) = kept(resource) else { return Estimate::ONE };
            let bytes = list_bytes(asked.verb, resource, listing, kept);
            Estimate::seats(bytes.div_ceil(BYTES_PER_SEAT).clamp(1, bound(MOST_LIST_SEATS)))
        }
        // A token is no event.
        _ if resource.resource == "serviceaccounts" && resource.subresource == "token" => Estimate::ONE,
        "create" | "update" | "patch" | "delete" => write(watches(resource), bound(MOST_WRITE_SEATS)),
        _ => Estimate::ONE,
    }
}

fn begins_with_state(listing: &Listing<'_>) -> bool {
    listing.initial_events || matches!(listing.resource_version, "" | "0")
}

fn list_bytes(verb: &str, resource: &Resource<'_>, listing: &Listing<'_>, kept: Kept) -> u64 {
    let limited = if listing.limit > 0 { listing.limit.min(kept.objects) } else { kept.objects };
    let cached = verb == "watch" || is_current(listing);
    let loaded = match (resource.name, cached) {
        (name, _) if !name.is_empty() => 1,
        (_, false) if listing.selects => limited.max(kept.objects / 2),
        _ => limited,
    };
    let each = kept.bytes.checked_div(kept.objects).unwrap_or(0);
    let bytes = loaded.saturating_mul(each);
    if cached { bytes.min(STREAMED_BYTES) } else { bytes }
}

/// Whether a list shows the newest state, and not one of the past.
fn is_current(listing: &Listing<'_>) -> bool {
    match listing.version_match {
        "NotOlderThan" => true,
        "" if listing.continues => false,
        "" => listing.limit == 0 || matches!(listing.resource_version, "" | "0"),
        _ => false,
    }
}

/// A write lingers while its watchers are told: as much work as they make, on no more seats than one request may have.
fn write(watches: u64, most: u64) -> Estimate {
    if watches < WATCHES_PER_SEAT {
        return Estimate::ONE;
    }
    let seats = watches.div_ceil(WATCHES_PER_SEAT);
    let last = seats.min(most);
    Estimate { initial: 1, last, linger: Work::of(seats as f64, EVENT).per_seat(last) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::identity::User;

    const PODS: Resource<'static> = Resource {
        group: "",
        version: "v1",
        resource: "pods",
        subresource: "",
        namespace: "",
        name: "",
        fields: &[],
        labels: &[],
    };
    /// 5,000 objects of 2 KB.
    const MANY: Kept = Kept { objects: 5_000, bytes: 10_000_000 };

    fn of(verb: &str, resource: Resource<'_>, listing: Listing<'_>, most: u64) -> Estimate {
        let user = User::anonymous();
        let asked = Attributes { user: &user, verb, target: Target::Resource(resource) };
        estimate(&asked, &listing, most, |_| Some(MANY), |_| 25)
    }

    #[test]
    fn lists_cost_what_they_hold() {
        let all = Listing::default();
        let past = Listing { resource_version: "5", version_match: "Exact", ..all };
        let cases = [
            (all, 10),
            (Listing { limit: 50, ..all }, 1),
            (Listing { limit: 500, ..all }, 10),
            (past, 100),
            (Listing { limit: 500, continues: true, ..all }, 10),
            (Listing { limit: 500, continues: true, selects: true, ..all }, 50),
            (Listing { limit: 1000, resource_version: "5", ..all }, 20),
            (Listing { resource_version: "5", version_match: "NotOlderThan", ..all }, 10),
        ];
        for (listing, seats) in cases {
            assert_eq!(of("list", PODS, listing, 0), Estimate::seats(seats), "{listing:?}");
        }
        assert_eq!(of("list", PODS, past, 6).initial, 6);
        assert_eq!(of("list", Resource { name: "a", ..PODS }, past, 0), Estimate::ONE);
        let user = User::anonymous();
        let asked = Attributes { user: &user, verb: "list", target: Target::Resource(PODS) };
        assert_eq!(estimate(&asked, &all, 0, |_| None, |_| 0), Estimate::ONE);
        assert_eq!(estimate(&asked, &all, 0, |_| Some(Kept::default()), |_| 0), Estimate::ONE);
    }

    #[test]
    fn a_watch_costs_its_first_state() {
        let from = |resource_version| Listing { resource_version, ..Listing::default() };
        assert_eq!(of("watch", PODS, from(""), 0).initial, 10);
        assert_eq!(of("watch", PODS, from("0"), 0).initial, 10);
        assert_eq!(of("watch", PODS, from("7"), 0).initial, 1);
        assert_eq!(of("watch", PODS, Listing { initial_events: true, ..from("7") }, 0).initial, 10);
    }

    #[test]
    fn a_write_lingers_for_its_watchers() {
        let write = |most| of("create", PODS, Listing::default(), most);
        assert_eq!(write(0), Estimate { initial: 1, last: 3, linger: Duration::from_millis(5) });
        assert_eq!(write(1), Estimate { initial: 1, last: 1, linger: Duration::from_millis(15) });
        assert_eq!(of("deletecollection", PODS, Listing::default(), 0), Estimate::ONE);
        assert_eq!(of("get", PODS, Listing::default(), 0), Estimate::ONE);
        let token = Resource { resource: "serviceaccounts", subresource: "token", ..PODS };
        assert_eq!(of("create", token, Listing::default(), 0), Estimate::ONE);
    }
}
