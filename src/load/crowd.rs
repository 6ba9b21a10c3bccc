//! Many requests at once over a few connections: how long each took, and what they cost the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use super::child::{Child, Who};
use super::connection::{Ask, Connection};
use super::error::{LoadError, Result};
use crate::base::clock::Clock;

/// Clients that are there at once.
pub struct Crowd<'a> {
    pub child: &'a Child,
    pub connections: Vec<Connection>,
    /// Requests under way at once, spread over the connections.
    pub at_once: usize,
    pub clock: Clock,
}

/// What a number of requests took.
#[derive(Clone, Debug)]
pub struct Taken {
    pub count: usize,
    pub wall: Duration,
    /// The server's, for all of them.
    pub cpu: Duration,
    /// Each request's, as its client saw it, the shortest first.
    latencies: Vec<Duration>,
}

impl Taken {
    pub fn per_second(&self) -> f64 {
        self.count as f64 / self.wall.as_secs_f64()
    }

    /// Of the server, in microseconds.
    pub fn cpu_each(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.count as f64
    }

    /// The latency that this share (0 to 1) of the requests did not exceed, in microseconds.
    pub fn latency(&self, share: f64) -> f64 {
        let at = ((self.latencies.len() as f64 * share) as usize).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(at).map_or(0.0, |latency| latency.as_secs_f64() * 1e6)
    }
}

impl<'a> Crowd<'a> {
    pub async fn new(child: &'a Child, connections: usize, at_once: usize, clock: &Clock) -> Result<Self> {
        let mut open = Vec::with_capacity(connections);
        for _ in 0..connections {
            open.push(child.connect(Who::Administrator).await?);
        }
        Ok(Self { child, connections: open, at_once, clock: clock.clone() })
    }

    /// The same with one request at a time.
    pub fn alone(&self) -> Crowd<'a> {
        Crowd { child: self.child, connections: self.connections.clone(), at_once: 1, clock: self.clock.clone() }
    }

    /// Sends `count` requests, the n-th as `make` says. Any that is refused is an error.
    pub async fn run(&self, count: usize, make: impl Fn(usize) -> Ask + Send + Sync + 'static) -> Result<Taken> {
        self.converse(count, make, |_, _| {}).await
    }

    /// The same; `hear` gets the n-th answer's body.
    pub async fn converse(
        &self,
        count: usize,
        make: impl Fn(usize) -> Ask + Send + Sync + 'static,
        hear: impl Fn(usize, &[u8]) + Send + Sync + 'static,
    ) -> Result<Taken> {
        let (next, talk) = (Arc::new(AtomicUsize::new(0)), Arc::new((make, hear)));
        let (before, began) = (self.child.usage()?, self.clock.instant());
        let mut workers = JoinSet::new();
        for worker in 0..self.at_once {
            let connection = self.connections[worker % self.connections.len()].clone();
            let (next, talk, clock) = (next.clone(), talk.clone(), self.clock.clone());
            workers.spawn(async move {
                let mut latencies = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return Ok::<_, LoadError>(latencies);
                    }
                    let ask = talk.0(number);
                    let sent = clock.instant();
                    let answer = connection.expect(ask).await?;
                    latencies.push(clock.instant() - sent);
                    talk.1(number, &answer);
                }
            });
        }
        let mut latencies = Vec::with_capacity(count);
        while let Some(worker) = workers.join_next().await {
            latencies.extend(worker.map_err(LoadError::of("a worker"))??);
        }
        let wall = self.clock.instant() - began;
        latencies.sort_unstable();
        Ok(Taken { count, wall, cpu: self.child.usage()?.cpu - before.cpu, latencies })
    }
}
