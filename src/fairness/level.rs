//! A priority level at work: its queues behind a lock that is held for a moment, and the seats that it has given.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use compact_str::CompactString;
use tokio::time::Instant;

use super::counts::Counts;
use super::demand::{Demand, Observed};
use super::queue::Ticket;
use super::queues::{Arrival, Entered, Info, Queues, Refusal};
use super::retry::Refusals;
use super::spec::Response;
use crate::auth::identity::User;
use crate::base::clock::Clock;

/// What is shown of a request to who looks into the queues.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    pub verb: String,
    pub path: String,
    pub namespace: String,
    pub name: String,
    /// As `apiVersion` has it.
    pub version: String,
    pub resource: String,
    pub subresource: String,
}

/// Tells what a request is, when somebody looks.
pub trait Told: Send + Sync {
    fn details(&self) -> Details;
}

/// A request of a level.
pub struct Request {
    pub counts: Arc<Counts>,
    pub user: User,
    pub flow: CompactString,
    pub told: Arc<dyn Told>,
}

/// How many seats a level has.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Standing {
    /// By its shares.
    pub nominal: u64,
    /// When it lends all that it may.
    pub least: u64,
    /// When it borrows all that it may.
    pub most: u64,
    pub current: u64,
    pub demand: Demand,
    /// What it was to get at the last adjustment, if it could.
    pub target: f64,
    /// It is configured no more, and ends with its last request.
    pub quiescing: bool,
}

/// A priority level at work.
pub struct Level {
    pub name: CompactString,
    clock: Clock,
    state: Mutex<State>,
    standing: Mutex<Standing>,
    /// Seats that one request may take at most; 0 for no such bound.
    widest: AtomicU64,
    refusals: Mutex<Refusals>,
}

struct State {
    queues: Queues<Request>,
    /// When somebody comes to look for seats that are free by then.
    timer: Option<Instant>,
}

/// A running request's seats, until it is dropped.
pub struct Seated {
    level: Arc<Level>,
    ticket: Ticket,
}

impl Level {
    pub fn new(name: &str, response: Response, seats: u64, clock: &Clock) -> Arc<Self> {
        let queues = Queues::new(response, seats, clock.instant());
        Arc::new(Self {
            name: name.into(),
            clock: clock.clone(),
            state: Mutex::new(State { queues, timer: None }),
            standing: Mutex::default(),
            widest: AtomicU64::new(0),
            refusals: Mutex::default(),
        })
    }

    /// Returns when the request may run; refused at once, or at the deadline. `waits` is asked for something to hold
    /// while it waits.
    pub async fn enter<G>(
        self: &Arc<Self>,
        arrival: Arrival<Request>,
        deadline: Instant,
        waits: impl FnOnce() -> G,
    ) -> Result<Seated, Refusal> {
        let (seated, heard) = {
            let mut state = self.lock();
            let entered = state.queues.enter(arrival, self.clock.instant());
            self.arm(&mut state);
            match entered {
                Entered::Refused(why) => return Err(why),
                Entered::Runs(ticket) => return Ok(Seated { level: self.clone(), ticket }),
                Entered::Waits(ticket, heard) => (Seated { level: self.clone(), ticket }, heard),
            }
        };
        // Whoever stops listening drops its ticket, and waits no more.
        let _waits = waits();
        let in_time = tokio::time::timeout_at(deadline, heard).await.is_ok();
        if !in_time && self.lock().queues.stop_waiting(seated.ticket) {
            return Err(Refusal::Timeout);
        }
        Ok(seated)
    }

    /// A refused client's name is noted; after how many seconds it should come again.
    pub fn refuse(&self) -> u32 {
        let second = self.clock.now().as_second();
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).note(second)
    }

    pub fn configure(self: &Arc<Self>, response: Response, seats: u64, denominator: u64) {
        let mut state = self.lock();
        state.queues.configure(response, seats, denominator, self.clock.instant());
        self.arm(&mut state);
    }

    /// The demand since it was last taken.
    pub fn take_demand(&self) -> Observed {
        self.lock().queues.take_demand(self.clock.instant())
    }

    /// Gives back the seats of requests that run for longer than `longest`.
    pub fn reclaim(&self, longest: Duration) {
        self.lock().queues.reclaim(longest, self.clock.instant());
    }

    pub fn is_idle(&self) -> bool {
        self.lock().queues.is_idle()
    }

    pub fn standing(&self) -> Standing {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn stand(&self, standing: Standing) {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner) = standing;
    }

    pub fn widest(&self) -> u64 {
        self.widest.load(Ordering::Relaxed)
    }

    pub fn set_widest(&self, seats: u64) {
        self.widest.store(seats, Ordering::Relaxed);
    }

    /// Looks into the queues as they are now.
    pub fn look<T>(&self, look: impl FnOnce(&Queues<Request>) -> T) -> T {
        let mut state = self.lock();
        state.queues.sync(self.clock.instant());
        look(&state.queues)
    }

    fn leave(self: &Arc<Self>, ticket: Ticket) {
        let mut state = self.lock();
        state.queues.leave(ticket, self.clock.instant());
        self.arm(&mut state);
    }

    /// Somebody waits for seats that come back by themselves: has them looked after.
    fn arm(self: &Arc<Self>, state: &mut State) {
        let Some(next) = state.queues.next_return() else { return };
        if state.timer.is_some_and(|armed| armed <= next) {
            return;
        }
        // Outside of a runtime nobody waits.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        state.timer = Some(next);
        let level = self.clone();
        runtime.spawn(async move {
            level.clock.sleep_until(next).await;
            let mut state = level.lock();
            if state.timer == Some(next) {
                state.timer = None;
            }
            let now = level.clock.instant();
            state.queues.sync(now);
            level.arm(&mut state);
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Level({})", self.name)
    }
}

impl Drop for Seated {
    fn drop(&mut self) {
        self.level.leave(self.ticket);
    }
}

impl Info for Request {
    fn waits(&self, seats: u64, begins: bool) {
        self.counts.waiting.change(1, begins);
        self.counts.waiting_seats.change(seats, begins);
    }

    fn runs(&self, begins: bool) {
        self.counts.executing.change(1, begins);
    }

    fn sits(&self, seats: u64, begins: bool) {
        self.counts.seats.change(seats, begins);
    }

    fn finds_no_room(&self) {
        self.counts.no_room.add(1);
    }
}
