//! The requests of one priority level: who runs, who waits where, and who is next (KEP-1040).
//!
//! Queues are served fairly: a meter R counts the work that each queue that has any would have been given if all were
//! served at once, and the next to run is the one whose request would end first by that meter. Pure; it is told the time.

use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::demand::Integral;
use super::queue::{Lingering, Queue, Request, Slab, Ticket};
use super::shares::TimeShares;
use super::shuffle::deal;
use super::spec::Response;
use super::work::{Estimate, Work};

/// How long a request is thought to run before it has.
const GUESS: Duration = Duration::from_millis(3);
const SEAT_BOUNDS: &[f64] = &[0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0];
const REQUEST_BOUNDS: &[f64] = &[0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.25, 0.5, 0.75, 1.0];
const DEMAND_BOUNDS: &[f64] = &[0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.7, 2.0, 2.8, 4.0, 6.0];

/// What a request's owner is told while it goes through.
pub trait Info {
    /// It begins or ends to wait in a queue.
    fn waits(&self, seats: u64, begins: bool);
    /// It begins or ends to run.
    fn runs(&self, begins: bool);
    /// It takes its seats, or gives them back.
    fn sits(&self, seats: u64, begins: bool);
    /// It is next, but there are too few seats.
    fn finds_no_room(&self);
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its queue is full.
    Full,
    /// No seat is free, and nobody may wait.
    Limit,
    /// It has waited too long, or its client is gone.
    Timeout,
}

/// What becomes of a request that comes.
pub enum Entered {
    Runs(Ticket),
    /// Until the receiver hears, or the ticket is given back.
    Waits(Ticket, oneshot::Receiver<()>),
    Refused(Refusal),
}

/// A request that comes.
pub struct Arrival<I> {
    /// Of its flow.
    pub hash: u64,
    pub estimate: Estimate,
    pub info: I,
}

/// Counts since the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub dispatched: u64,
    pub rejected: u64,
    pub cancelled: u64,
}

/// How the level was used over time, as fractions of what it may.
pub struct Usage {
    pub seats: TimeShares,
    pub waiting: TimeShares,
    pub executing: TimeShares,
    pub demand: TimeShares,
}

/// Readings at the last dispatch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dispatch {
    pub meter: Work,
    pub start: Work,
    /// The least and the greatest start of a queue with somebody waiting; then the same less the work under way.
    pub starts: (Work, Work),
    pub discounted: (Work, Work),
}

/// One level's requests.
pub struct Queues<I> {
    response: Response,
    /// Seats.
    limit: u64,
    /// By what usage is divided: `limit`, unless that is none.
    denominator: u64,
    /// Those that have requests or seats.
    pub(super) queues: BTreeMap<usize, Queue>,
    pub(super) requests: Slab<I>,
    lingering: BinaryHeap<Lingering<I>>,
    /// The meter R, as of `synced`.
    meter: Work,
    synced: Instant,
    /// The queue that was served last.
    robin: usize,
    dealt: usize,
    /// Queues with a request waiting or running.
    active: usize,
    pub(super) waiting: usize,
    pub(super) executing: usize,
    seats_in_use: u64,
    seats_waiting: u64,
    demand: Integral,
    pub usage: Usage,
    pub totals: Totals,
    pub dispatch: Dispatch,
}

impl<I: Info> Queues<I> {
    pub fn new(response: Response, limit: u64, now: Instant) -> Self {
        let usage = Usage {
            seats: TimeShares::new(SEAT_BOUNDS),
            waiting: TimeShares::new(REQUEST_BOUNDS),
            executing: TimeShares::new(REQUEST_BOUNDS),
            demand: TimeShares::new(DEMAND_BOUNDS),
        };
        Self {
            response,
            limit,
            denominator: limit.max(1),
            queues: BTreeMap::new(),
            requests: Slab::default(),
            lingering: BinaryHeap::new(),
            meter: Work::ZERO,
            synced: now,
            robin: 0,
            dealt: 0,
            active: 0,
            waiting: 0,
            executing: 0,
            seats_in_use: 0,
            seats_waiting: 0,
            demand: Integral::default(),
            usage,
            totals: Totals::default(),
            dispatch: Dispatch::default(),
        }
    }

    /// Takes effect at once: who may run now does. Queues that are too many are drained.
    pub fn configure(&mut self, response: Response, limit: u64, denominator: u64, now: Instant) {
        self.sync(now);
        (self.response, self.limit, self.denominator) = (response, limit, denominator.max(1));
        self.run_waiting(now);
    }

    pub fn response(&self) -> Response {
        self.response
    }

    pub fn is_idle(&self) -> bool {
        self.waiting == 0 && self.executing == 0
    }

    pub fn seats_in_use(&self) -> u64 {
        self.seats_in_use
    }

    pub fn meter(&self) -> Work {
        self.meter
    }

    /// A request comes: it runs, waits or is refused.
    pub fn enter(&mut self, arrival: Arrival<I>, now: Instant) -> Entered {
        self.sync(now);
        let Response::Queue { queues, hand, length } = self.response else {
            return self.enter_without_queue(arrival, now);
        };
        let at = self.choose(arrival.hash, queues, hand);
        let queued = self.queues.get(&at).map_or(0, |queue| queue.waiting.len());
        if self.seats_in_use >= self.limit && queued >= length {
            return self.refuse(Refusal::Full);
        }
        let width = arrival.estimate.width();
        let request = Request::new(arrival.info, arrival.estimate, now, self.meter, Some(at));
        let (meter, alone) = (self.meter, self.waiting == 0);
        let queue = self.queues.entry(at).or_default();
        if queue.is_inactive() {
            queue.start = meter;
            self.active += 1;
        }
        if alone && self.seats_in_use < self.limit && self.has_room(width) {
            let ticket = self.requests.insert(request);
            self.run(ticket.at, at, now);
            return Entered::Runs(ticket);
        }
        let (sender, heard) = oneshot::channel();
        request.info.waits(width, true);
        let ticket = self.requests.insert(Request { wake: Some(sender), ..request });
        self.waiting += 1;
        self.seats_waiting += width;
        self.queue(at).push(ticket.at, &arrival.estimate, GUESS);
        self.note_demand();
        self.bound(at);
        self.run_waiting(now);
        Entered::Waits(ticket, heard)
    }

    /// Gives a ticket back, whatever has become of it: it ends to run, or to wait.
    pub fn leave(&mut self, ticket: Ticket, now: Instant) {
        self.sync(now);
        if !self.stop_waiting(ticket)
            && let Some(request) = self.requests.remove(ticket)
        {
            self.finish(request, now);
        }
        // Also when it was gone already: the next in its queue may need less room.
        self.run_waiting(now);
    }

    /// Takes a request out of its queue that has waited too long. False when it is not waiting any more.
    pub fn stop_waiting(&mut self, ticket: Ticket) -> bool {
        let Some(request) = self.requests.get(ticket).filter(|request| request.wake.is_some()) else { return false };
        let (at, estimate) = (request.queue.expect("who waits is in a queue"), request.estimate);
        let queue = self.queue(at);
        queue.withdraw(ticket.at, &estimate, GUESS);
        if queue.is_inactive() {
            self.active -= 1;
        }
        self.stops_waiting(&estimate);
        self.totals.rejected += 1;
        self.totals.cancelled += 1;
        if let Some(request) = self.requests.remove(ticket) {
            request.info.waits(estimate.width(), false);
        }
        self.note_demand();
        self.bound(at);
        self.tidy(at);
        true
    }

    /// Gives back the seats of requests that run for longer than `longest`: who is slow to read keeps no seat.
    pub fn reclaim(&mut self, longest: Duration, now: Instant) {
        let late = self.requests.running_since(now.checked_sub(longest).unwrap_or(now));
        late.into_iter().for_each(|ticket| self.leave(ticket, now));
    }

    /// When the next seats come back by themselves, if anybody waits for them.
    pub fn next_return(&self) -> Option<Instant> {
        self.lingering.peek().filter(|_| self.waiting > 0).map(|lingering| lingering.until)
    }

    /// The demand since it was last taken.
    pub fn take_demand(&mut self, now: Instant) -> super::demand::Observed {
        self.sync(now);
        let wanted = self.wanted();
        self.demand.take(wanted)
    }

    /// Brings everything to this time.
    pub fn sync(&mut self, now: Instant) {
        while let Some(lingering) = self.lingering.peek().filter(|first| first.until <= now) {
            self.advance(lingering.until);
            let Some(Lingering { until, queue, seats, info }) = self.lingering.pop() else { break };
            self.stand_up(&info, seats, queue);
            self.run_waiting(until);
        }
        self.advance(now);
    }

    /// What is has been so since the last time.
    fn advance(&mut self, now: Instant) {
        let time = now.saturating_duration_since(self.synced);
        if time.is_zero() {
            return;
        }
        self.synced = now;
        if self.active > 0 {
            let seats = (self.seats_in_use + self.seats_waiting).min(self.limit);
            self.meter += Work::of(seats as f64 / self.active as f64, time);
        }
        let (wanted, whole) = (self.wanted(), self.denominator as f64);
        self.demand.add(wanted, time);
        self.usage.demand.add(wanted / whole, time);
        self.usage.seats.add(self.seats_in_use as f64 / whole, time);
        self.usage.executing.add(self.executing as f64 / whole, time);
        self.usage.waiting.add(self.waiting as f64 / self.response.most_waiting() as f64, time);
    }

    fn wanted(&self) -> f64 {
        (self.seats_in_use + self.seats_waiting) as f64
    }

    fn note_demand(&mut self) {
        self.demand.note((self.seats_in_use + self.seats_waiting) as f64);
    }

    fn refuse(&mut self, why: Refusal) -> Entered {
        self.totals.rejected += 1;
        Entered::Refused(why)
    }

    fn enter_without_queue(&mut self, arrival: Arrival<I>, now: Instant) -> Entered {
        let width = arrival.estimate.width();
        if self.response != Response::Exempt && !self.has_room(width) {
            return self.refuse(Refusal::Limit);
        }
        let mut request = Request::new(arrival.info, arrival.estimate, now, self.meter, None);
        request.started = Some(now);
        self.sit_down(&request.info, width);
        Entered::Runs(self.requests.insert(request))
    }

    /// The queue of the flow's hand in which the least work waits.
    fn choose(&mut self, hash: u64, queues: usize, hand: usize) -> usize {
        let hand = deal(hash, queues, hand);
        // Begun at another card each time, so that flows whose hands overlap do not crowd in one queue.
        let first = self.dealt % hand.len();
        self.dealt = self.dealt.wrapping_add(1);
        let work = |at: &usize| self.queues.get(at).map_or(Work::ZERO, |queue| queue.work);
        let cards = hand.iter().cycle().skip(first).take(hand.len());
        // Of equals the first.
        cards.copied().min_by_key(work).expect("a hand has a card")
    }

    fn has_room(&self, seats: u64) -> bool {
        if seats > self.limit {
            // Wider than the level: it runs when nobody else does.
            return self.executing == 0;
        }
        self.seats_in_use + seats <= self.limit
    }

    /// Lets run who may, in order.
    fn run_waiting(&mut self, now: Instant) {
        while self.waiting > 0 && self.seats_in_use < self.limit {
            let Some(at) = self.next_queue() else { return };
            let first = self.queue(at).waiting[0];
            let request = self.requests.at(first);
            let estimate = request.estimate;
            if !self.has_room(estimate.width()) {
                return self.requests.at(first).info.finds_no_room();
            }
            self.queue(at).withdraw(first, &estimate, GUESS);
            self.stops_waiting(&estimate);
            let request = self.requests.at_mut(first);
            request.info.waits(estimate.width(), false);
            let wake = request.wake.take();
            self.run(first, at, now);
            self.bound(at);
            // Whoever does not hear any more gives its ticket back.
            let _ = wake.map(|wake| wake.send(()));
        }
    }

    /// The queue whose first request would end first by the meter; of equals the one after the last served.
    fn next_queue(&mut self) -> Option<usize> {
        let after = self.queues.range(self.robin + 1..).chain(self.queues.range(..=self.robin));
        let mut best: Option<(Work, usize)> = None;
        let mut bounds: Option<Dispatch> = None;
        for (at, queue) in after {
            let Some(first) = queue.waiting.front() else { continue };
            let discounted = queue.start - Work::of(queue.seats as f64, GUESS);
            let seen = bounds.get_or_insert(Dispatch {
                meter: self.meter,
                start: queue.start,
                starts: (queue.start, queue.start),
                discounted: (discounted, discounted),
            });
            seen.starts = (seen.starts.0.min(queue.start), seen.starts.1.max(queue.start));
            seen.discounted = (seen.discounted.0.min(discounted), seen.discounted.1.max(discounted));
            let end = queue.start + self.requests.at(*first).estimate.work(GUESS);
            if best.is_none_or(|(least, _)| end < least) {
                best = Some((end, *at));
                seen.start = queue.start;
            }
        }
        self.dispatch = bounds.unwrap_or(self.dispatch);
        best.map(|(_, at)| at)
    }

    /// A request of this queue that waits no more begins to run.
    fn run(&mut self, index: usize, at: usize, now: Instant) {
        let limit = self.limit;
        let request = self.requests.at_mut(index);
        let work = request.estimate.work(GUESS);
        request.estimate = request.estimate.narrowed(limit.max(1));
        request.started = Some(now);
        let seats = request.estimate.width();
        self.robin = at;
        self.totals.dispatched += 1;
        let queue = self.queue(at);
        queue.start += work;
        queue.executing += 1;
        queue.seats += seats;
        self.executing += 1;
        self.seats_in_use += seats;
        self.note_demand();
        let info = &self.requests.at(index).info;
        info.runs(true);
        info.sits(seats, true);
    }

    fn sit_down(&mut self, info: &I, seats: u64) {
        self.totals.dispatched += 1;
        self.executing += 1;
        self.seats_in_use += seats;
        info.runs(true);
        info.sits(seats, true);
        self.note_demand();
    }

    /// Seats become free.
    fn stand_up(&mut self, info: &I, seats: u64, queue: Option<usize>) {
        self.seats_in_use -= seats;
        info.sits(seats, false);
        self.note_demand();
        if let Some(at) = queue {
            self.queue(at).seats -= seats;
            self.tidy(at);
        }
    }

    /// A request has run.
    fn finish(&mut self, request: Request<I>, now: Instant) {
        let Request { info, estimate, started, queue, .. } = request;
        self.executing -= 1;
        info.runs(false);
        let seats = estimate.width();
        if let Some(at) = queue {
            let ran = now.saturating_duration_since(started.unwrap_or(now));
            let initial = estimate.initial as f64;
            let queue = self.queue(at);
            queue.executing -= 1;
            // It was charged for a guess.
            queue.start = queue.start + Work::of(initial, ran) - Work::of(initial, GUESS);
            if queue.is_inactive() {
                self.active -= 1;
            }
            self.bound(at);
        }
        if estimate.linger.is_zero() {
            return self.stand_up(&info, seats, queue);
        }
        self.lingering.push(Lingering { until: now + estimate.linger, queue, seats, info });
    }

    fn stops_waiting(&mut self, estimate: &Estimate) {
        self.waiting -= 1;
        self.seats_waiting -= estimate.width();
    }

    /// No queue saves up for later: nothing is served before it came.
    fn bound(&mut self, at: usize) {
        let Some(queue) = self.queues.get_mut(&at) else { return };
        let Some(first) = queue.waiting.front() else { return };
        queue.start = queue.start.max(self.requests.at(*first).arrival);
    }

    /// Forgets a queue that has nothing.
    fn tidy(&mut self, at: usize) {
        let Some(queue) = self.queues.get(&at) else { return };
        if queue.is_inactive() && queue.seats == 0 {
            self.queues.remove(&at);
        }
    }

    fn queue(&mut self, at: usize) -> &mut Queue {
        self.queues.get_mut(&at).expect("a queue with requests is kept")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    impl Info for &'static str {
        fn waits(&self, _: u64, _: bool) {}
        fn runs(&self, _: bool) {}
        fn sits(&self, _: u64, _: bool) {}
        fn finds_no_room(&self) {}
    }

    /// One level, and a hand on its clock.
    struct Rig {
        queues: Queues<&'static str>,
        now: Instant,
        waiting: HashMap<&'static str, (Ticket, oneshot::Receiver<()>)>,
        running: HashMap<&'static str, Ticket>,
        /// In the order in which they began to run.
        ran: Vec<&'static str>,
    }

    impl Rig {
        fn new(response: Response, limit: u64) -> Self {
            let now = Instant::now();
            let queues = Queues::new(response, limit, now);
            Self { queues, now, waiting: HashMap::new(), running: HashMap::new(), ran: Vec::new() }
        }

        /// Two queues, of which a flow of hash 0 has the first and one of hash 1 the other.
        fn queued(limit: u64) -> Self {
            Self::new(Response::Queue { queues: 2, hand: 1, length: 3 }, limit)
        }

        fn enter(&mut self, name: &'static str, hash: u64, estimate: Estimate) -> Option<Refusal> {
            match self.queues.enter(Arrival { hash, estimate, info: name }, self.now) {
                Entered::Refused(why) => return Some(why),
                Entered::Runs(ticket) => {
                    self.ran.push(name);
                    self.running.insert(name, ticket);
                }
                Entered::Waits(ticket, heard) => {
                    self.waiting.insert(name, (ticket, heard));
                }
            }
            self.hear();
            None
        }

        fn leave(&mut self, name: &'static str) {
            let ticket = self.running.remove(name).or_else(|| self.waiting.remove(name).map(|(ticket, _)| ticket));
            self.queues.leave(ticket.expect("a ticket"), self.now);
            self.hear();
        }

        fn pass(&mut self, millis: u64) {
            self.now += Duration::from_millis(millis);
            self.queues.sync(self.now);
            self.hear();
        }

        /// Who waited and runs now.
        fn hear(&mut self) {
            let heard = |(_, heard): &mut (Ticket, oneshot::Receiver<()>)| heard.try_recv().is_ok();
            let mut begun: Vec<_> =
                self.waiting.iter_mut().filter_map(|(name, waiting)| heard(waiting).then_some(*name)).collect();
            begun.sort_unstable();
            for name in begun {
                let (ticket, _) = self.waiting.remove(name).expect("it waited");
                self.running.insert(name, ticket);
                self.ran.push(name);
            }
        }
    }

    const ONE: Estimate = Estimate::ONE;

    #[test]
    fn flows_take_turns_however_much_one_asks() {
        let mut rig = Rig::queued(1);
        for name in ["a1", "a2", "a3", "a4"] {
            assert_eq!(rig.enter(name, 0, ONE), None);
        }
        rig.enter("b1", 1, ONE);
        rig.enter("b2", 1, ONE);
        for _ in 0..5 {
            rig.pass(10);
            let first = *rig.running.keys().next().expect("somebody runs");
            rig.leave(first);
        }
        assert_eq!(rig.ran, ["a1", "b1", "a2", "b2", "a3", "a4"]);
    }

    #[test]
    fn a_full_queue_refuses_and_others_do_not() {
        let mut rig = Rig::queued(1);
        for name in ["run", "1", "2", "3"] {
            assert_eq!(rig.enter(name, 0, ONE), None);
        }
        assert_eq!(rig.enter("4", 0, ONE), Some(Refusal::Full));
        assert_eq!(rig.enter("other", 1, ONE), None);
        assert_eq!((rig.queues.waiting, rig.queues.executing), (4, 1));
        assert_eq!(rig.queues.totals, Totals { dispatched: 1, rejected: 1, cancelled: 0 });
    }

    #[test]
    fn without_queues_one_runs_or_is_refused() {
        let mut rig = Rig::new(Response::Reject, 2);
        assert_eq!((rig.enter("a", 0, ONE), rig.enter("b", 0, ONE)), (None, None));
        assert_eq!(rig.enter("c", 0, ONE), Some(Refusal::Limit));
        rig.leave("a");
        assert_eq!(rig.enter("c", 0, ONE), None);
        let mut rig = Rig::new(Response::Exempt, 0);
        assert!((0..9).all(|_| rig.enter("a", 0, ONE).is_none()));
        assert_eq!(rig.queues.seats_in_use(), 9);
    }

    #[test]
    fn who_does_not_wait_any_more_leaves_its_queue() {
        let mut rig = Rig::queued(1);
        for name in ["a", "b", "c"] {
            rig.enter(name, 0, ONE);
        }
        let (ticket, _) = rig.waiting.remove("b").expect("it waits");
        assert!(rig.queues.stop_waiting(ticket) && !rig.queues.stop_waiting(ticket));
        rig.queues.leave(ticket, rig.now);
        assert_eq!(rig.queues.totals, Totals { dispatched: 1, rejected: 1, cancelled: 1 });
        rig.leave("a");
        assert_eq!(rig.ran, ["a", "c"]);
        rig.leave("c");
        assert!(rig.queues.is_idle() && rig.queues.queues.is_empty());
    }

    #[test]
    fn seats_stay_warm_while_watchers_are_told() {
        let mut rig = Rig::queued(2);
        rig.enter("write", 0, Estimate { initial: 1, last: 2, linger: Duration::from_millis(5) });
        rig.enter("next", 1, ONE);
        rig.leave("write");
        assert_eq!((rig.queues.executing, rig.queues.seats_in_use(), rig.ran.len()), (0, 2, 1));
        assert_eq!(rig.queues.next_return(), Some(rig.now + Duration::from_millis(5)));
        rig.pass(4);
        assert_eq!(rig.ran.len(), 1);
        rig.pass(1);
        assert_eq!((rig.ran.as_slice(), rig.queues.next_return()), (&["write", "next"][..], None));
    }

    #[test]
    fn a_wide_request_waits_for_room_and_is_not_overtaken_for_ever() {
        let mut rig = Rig::queued(4);
        for name in ["a", "b", "c"] {
            rig.enter(name, 0, ONE);
        }
        rig.enter("wide", 1, Estimate::seats(3));
        rig.enter("d", 0, ONE);
        rig.pass(3);
        rig.leave("a");
        rig.leave("b");
        assert!(rig.ran.contains(&"wide"), "{:?}", rig.ran);
        // Wider than the level: alone.
        let mut rig = Rig::queued(2);
        rig.enter("a", 0, ONE);
        rig.enter("huge", 1, Estimate::seats(9));
        assert_eq!(rig.ran, ["a"]);
        rig.leave("a");
        assert_eq!(rig.ran, ["a", "huge"]);
    }

    #[test]
    fn who_is_slow_loses_the_seat_and_gives_it_back_once() {
        let mut rig = Rig::queued(1);
        rig.enter("slow", 0, ONE);
        rig.enter("next", 0, ONE);
        rig.pass(1000);
        rig.queues.reclaim(Duration::from_millis(999), rig.now);
        rig.hear();
        assert_eq!(rig.ran, ["slow", "next"]);
        rig.leave("slow");
        assert_eq!((rig.queues.executing, rig.queues.seats_in_use()), (1, 1));
    }

    #[test]
    fn more_seats_let_run_at_once_and_fewer_drain() {
        let mut rig = Rig::queued(1);
        for name in ["a", "b", "c"] {
            rig.enter(name, 0, ONE);
        }
        rig.queues.configure(Response::Queue { queues: 1, hand: 1, length: 3 }, 2, 2, rig.now);
        rig.hear();
        assert_eq!(rig.ran, ["a", "b"]);
        rig.queues.configure(Response::Reject, 1, 1, rig.now);
        rig.leave("a");
        assert_eq!(rig.ran, ["a", "b"]);
        rig.leave("b");
        assert_eq!(rig.ran, ["a", "b", "c"], "who waits is not forgotten");
    }

    #[test]
    fn usage_and_demand_are_weighed_by_time() {
        let mut rig = Rig::queued(2);
        rig.enter("a", 0, ONE);
        rig.enter("b", 0, ONE);
        rig.enter("c", 0, ONE);
        rig.pass(100);
        rig.leave("a");
        rig.leave("b");
        rig.leave("c");
        rig.pass(100);
        let observed = rig.queues.take_demand(rig.now);
        assert!((observed.average - 1.5).abs() < 1e-9 && observed.max == 3.0, "{observed:?}");
        assert_eq!(rig.queues.usage.seats.above(0.99), Duration::from_millis(100));
        assert_eq!(rig.queues.usage.demand.above(1.4), Duration::from_millis(100));
    }

    proptest! {
        /// Whatever comes and goes in whatever order: nobody is lost, and no seat.
        #[test]
        fn everybody_runs_or_is_told_so(
            limit in 1_u64..5,
            steps in prop::collection::vec((0_u8..4, 0_u64..8, 1_u64..7, 0_u64..4), 1..120),
        ) {
            let now = Instant::now();
            let mut queues: Queues<&'static str> =
                Queues::new(Response::Queue { queues: 4, hand: 2, length: 3 }, limit, now);
            let (mut now, mut tickets) = (now, Vec::new());
            for (step, hash, seats, linger) in steps {
                now += Duration::from_millis(linger);
                if step < 3 || tickets.is_empty() {
                    let linger = Duration::from_millis(linger);
                    let estimate = Estimate { initial: seats, last: seats / 2, linger };
                    match queues.enter(Arrival { hash, estimate, info: "" }, now) {
                        Entered::Refused(_) => prop_assert!(queues.seats_in_use() >= limit),
                        Entered::Runs(ticket) | Entered::Waits(ticket, _) => tickets.push(ticket),
                    }
                } else {
                    queues.leave(tickets.swap_remove(hash as usize % tickets.len()), now);
                }
                // None begins without a free seat, and none is wider than six.
                prop_assert!(queues.seats_in_use() < limit + 6);
                prop_assert_eq!(queues.waiting + queues.executing, tickets.len());
            }
            // Those that run leave, until nobody is left to wait.
            while !tickets.is_empty() {
                now += Duration::from_millis(50);
                queues.sync(now);
                let runs = |ticket: &Ticket| queues.requests.get(*ticket).is_some_and(|r| r.started.is_some());
                let at = tickets.iter().position(runs);
                prop_assert!(at.is_some(), "somebody waits for ever");
                queues.leave(tickets.swap_remove(at.unwrap_or(0)), now);
            }
            queues.sync(now + Duration::from_secs(1));
            prop_assert_eq!((queues.seats_in_use(), queues.waiting, queues.executing, queues.active), (0, 0, 0, 0));
            prop_assert!(queues.queues.is_empty());
        }
    }
}
