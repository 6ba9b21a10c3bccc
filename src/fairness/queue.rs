//! What a level's queues are made of: the queues, the requests in them, and seats that are still warm.

use std::cmp::{Ordering, Reverse};
use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::work::{Estimate, Work};

/// Requests that came one after another, out of the same or of other flows.
#[derive(Default)]
pub struct Queue {
    /// In the order in which they came.
    pub waiting: VecDeque<usize>,
    /// What the meter shows when the next one begins, if all queues were served at once.
    pub start: Work,
    pub executing: usize,
    /// Of those that run, and of those that have run but still take seats.
    pub seats: u64,
    /// Of those that wait: seats at the beginning, seats at most, work.
    pub initial_seats: u64,
    pub waiting_seats: u64,
    pub work: Work,
}

/// A request that waits or runs.
pub struct Request<I> {
    pub info: I,
    pub estimate: Estimate,
    pub arrived: Instant,
    /// What the meter showed then.
    pub arrival: Work,
    /// `None` on a level without queues.
    pub queue: Option<usize>,
    /// `None` while it waits.
    pub started: Option<Instant>,
    /// Tells it that it runs. `None` when it does not wait.
    pub wake: Option<oneshot::Sender<()>>,
}

/// Names a request; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub at: usize,
    serial: u64,
}

/// Requests by their place.
pub struct Slab<I> {
    places: Vec<(u64, Option<Request<I>>)>,
    free: Vec<usize>,
    next: u64,
}

/// Seats of a request that has run.
pub struct Lingering<I> {
    pub until: Instant,
    pub queue: Option<usize>,
    pub seats: u64,
    pub info: I,
}

impl Queue {
    /// Nobody waits or runs.
    pub fn is_inactive(&self) -> bool {
        self.waiting.is_empty() && self.executing == 0
    }

    pub fn push(&mut self, request: usize, estimate: &Estimate, guess: Duration) {
        self.waiting.push_back(request);
        self.initial_seats += estimate.initial;
        self.waiting_seats += estimate.width();
        self.work += estimate.work(guess);
    }

    /// Takes a request out, wherever it stands.
    pub fn withdraw(&mut self, request: usize, estimate: &Estimate, guess: Duration) {
        let place = self.waiting.iter().position(|known| *known == request).expect("it waits here");
        self.waiting.remove(place);
        self.initial_seats -= estimate.initial;
        self.waiting_seats -= estimate.width();
        self.work -= estimate.work(guess);
    }
}

impl<I> Request<I> {
    pub fn new(info: I, estimate: Estimate, arrived: Instant, arrival: Work, queue: Option<usize>) -> Self {
        Self { info, estimate, arrived, arrival, queue, started: None, wake: None }
    }
}

impl<I> Default for Slab<I> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new(), next: 0 }
    }
}

impl<I> Slab<I> {
    pub fn insert(&mut self, request: Request<I>) -> Ticket {
        let serial = self.next;
        self.next += 1;
        let at = self.free.pop().unwrap_or_else(|| {
            self.places.push((0, None));
            self.places.len() - 1
        });
        self.places[at] = (serial, Some(request));
        Ticket { at, serial }
    }

    /// `None` when it is gone.
    pub fn get(&self, ticket: Ticket) -> Option<&Request<I>> {
        let (serial, request) = self.places.get(ticket.at)?;
        request.as_ref().filter(|_| *serial == ticket.serial)
    }

    pub fn remove(&mut self, ticket: Ticket) -> Option<Request<I>> {
        self.get(ticket)?;
        self.free.push(ticket.at);
        self.places[ticket.at].1.take()
    }

    /// A request that is known to be there.
    pub fn at(&self, at: usize) -> &Request<I> {
        self.places[at].1.as_ref().expect("a request at this place")
    }

    pub fn at_mut(&mut self, at: usize) -> &mut Request<I> {
        self.places[at].1.as_mut().expect("a request at this place")
    }

    pub fn iter(&self) -> impl Iterator<Item = &Request<I>> {
        self.places.iter().filter_map(|(_, request)| request.as_ref())
    }

    /// Those that run since before this time.
    pub fn running_since(&self, time: Instant) -> Vec<Ticket> {
        let late = |request: &Request<I>| request.started.is_some_and(|started| started < time);
        let places = self.places.iter().enumerate();
        places
            .filter(|(_, (_, request))| request.as_ref().is_some_and(late))
            .map(|(at, (serial, _))| Ticket { at, serial: *serial })
            .collect()
    }
}

impl<I> Lingering<I> {
    fn order(&self) -> Reverse<Instant> {
        Reverse(self.until)
    }
}

/// The one that ends first is the greatest, as a heap wants it.
impl<I> Ord for Lingering<I> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order().cmp(&other.order())
    }
}

impl<I> PartialOrd for Lingering<I> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<I> PartialEq for Lingering<I> {
    fn eq(&self, other: &Self) -> bool {
        self.until == other.until
    }
}

impl<I> Eq for Lingering<I> {}
