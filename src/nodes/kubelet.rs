//! One node after it has joined: its Node and Lease, the pods that are bound to it, and what becomes of them.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::addresses::Addresses;
use super::lease::{self, Lease};
use super::machine::{Health, Machine};
use super::pod::Pod;
use super::status::text;
use crate::base::backoff::Backoff;
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::model::object;
use crate::model::value::{Value, json};
use crate::registry::client::Target;
use crate::remote::api::Api;
use crate::remote::error::{RemoteError, Result};
use crate::remote::watch::{Event, Watch};

/// How often the status is told though nothing has changed, lengthened by up to a fifth (a kubelet: 5 minutes).
const HEARTBEAT: Duration = Duration::from_secs(300);
/// Between attempts when the server cannot be reached or refuses.
const RETRY: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));

pub struct Kubelet {
    api: Api,
    machine: Machine,
    clock: Clock,
    entropy: Entropy,
    /// Of the Node.
    uid: String,
    lease: Lease,
    health: Health,
    /// Since when it has been so.
    since: Timestamp,
    addresses: Addresses,
    pods: HashMap<String, Held>,
    /// When something happens to which pod.
    agenda: BTreeSet<(Timestamp, String)>,
    next_lease: Instant,
    next_heartbeat: Instant,
}

/// A pod and what the server knows of it.
struct Held {
    pod: Pod,
    /// Checksum of the status that was told last.
    told: Option<u32>,
    due: Option<Timestamp>,
    /// Attempts in a row to tell it that failed.
    failures: u32,
    /// Whether the watch under way has shown it.
    seen: bool,
}

impl Kubelet {
    /// Registers the node, or takes over the Node that there is, and takes its lease.
    pub async fn register(api: Api, machine: Machine, clock: &Clock, entropy: &Entropy) -> Result<Self> {
        let now = clock.now();
        let target = Target::new("", "nodes", "", &machine.name);
        let node = match api.create(target, &machine.object(&text(now))).await {
            Err(error) if error.is_already_exists() => api.get(target).await?,
            other => other?,
        };
        let mut kubelet = Self {
            uid: object::uid(&node).to_owned(),
            lease: Lease::default(),
            health: Health::NoNetwork,
            since: now,
            addresses: Addresses::default(),
            pods: HashMap::new(),
            agenda: BTreeSet::new(),
            next_lease: clock.instant() + lease::EVERY,
            next_heartbeat: clock.instant() + entropy.jitter(HEARTBEAT, 0.2),
            clock: clock.clone(),
            entropy: entropy.clone(),
            api,
            machine,
        };
        kubelet.take_ranges(&node);
        kubelet.tell_health().await?;
        kubelet.renew().await?;
        Ok(kubelet)
    }

    /// Until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut failures = 0;
        loop {
            let begun = self.clock.instant();
            let ended = tokio::select! {
                () = stop.cancelled() => return,
                ended = self.follow() => ended,
            };
            // A watch that ends after a while is nothing unusual.
            failures = if begun.elapsed() > RETRY.most { 1 } else { failures + 1 };
            let pause = match ended {
                Ok(()) if failures == 1 => Duration::ZERO,
                Ok(()) => RETRY.after(failures),
                Err(error) => {
                    tracing::warn!(node = self.machine.name, %error, "a node lost its server");
                    RETRY.after(failures)
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.clock.sleep(self.entropy.jitter(pause, 0.5)) => {}
            }
        }
    }

    /// Follows the node's pods until the watch ends.
    async fn follow(&mut self) -> Result<()> {
        let mine = format!("spec.nodeName={}", self.machine.name);
        let mut pods = self.api.watch(Target::new("", "pods", "", ""), &mine).await?;
        self.pods.values_mut().for_each(|held| held.seen = false);
        let mut node = None;
        if self.addresses.is_empty() {
            let own = format!("metadata.name={}", self.machine.name);
            node = Some(self.api.watch(Target::new("", "nodes", "", ""), &own).await?);
        }
        loop {
            let wake = self.wake();
            tokio::select! {
                event = pods.next() => match event? {
                    Some(event) => self.take(event).await?,
                    None => return Ok(()),
                },
                event = next(&mut node) => match event? {
                    Some(Event::Present(object)) if self.take_ranges(&object) => {
                        node = None;
                        self.tell_health().await?;
                        self.sync_all().await?;
                    }
                    Some(_) => {}
                    None => return Ok(()),
                },
                () = tokio::time::sleep_until(wake) => self.keep_up().await?,
            }
        }
    }

    /// When there is something to do though no event comes.
    fn wake(&self) -> Instant {
        let own = self.next_lease.min(self.next_heartbeat);
        let Some((due, _)) = self.agenda.first() else { return own };
        let wait = Duration::try_from(due.duration_since(self.clock.now())).unwrap_or_default();
        own.min(self.clock.instant() + wait)
    }

    /// Does what is due.
    async fn keep_up(&mut self) -> Result<()> {
        if self.next_lease <= self.clock.instant() {
            self.renew().await?;
        }
        if self.next_heartbeat <= self.clock.instant() {
            self.tell_health().await?;
        }
        while let Some((due, uid)) = self.agenda.first().cloned() {
            if self.clock.now() < due {
                return Ok(());
            }
            self.agenda.remove(&(due, uid.clone()));
            self.sync(&uid).await?;
        }
        Ok(())
    }

    async fn renew(&mut self) -> Result<()> {
        self.next_lease = self.clock.instant() + lease::EVERY;
        self.lease.renew(&self.api, &self.machine.name, &self.uid, self.clock.now().into()).await
    }

    async fn tell_health(&mut self) -> Result<()> {
        self.next_heartbeat = self.clock.instant() + self.entropy.jitter(HEARTBEAT, 0.2);
        let status = self.machine.status(self.health, &text(self.since), &text(self.clock.now()));
        let target = Target::new("", "nodes", "", &self.machine.name).part("status");
        self.api.strategic(target, &json!({"status": status})).await
    }

    /// Takes the ranges that the node was given for its pods. True when it has some now.
    fn take_ranges(&mut self, node: &Value) -> bool {
        let ranges = node["spec"]["podCIDRs"].as_array().into_iter().flatten();
        let ranges: Vec<_> = ranges.filter_map(|range| range.as_str()?.parse().ok()).collect();
        if ranges.is_empty() {
            return false;
        }
        self.addresses = Addresses::new(ranges);
        for held in self.pods.values().filter(|held| !held.pod.host_network) {
            held.pod.addresses.iter().for_each(|address| self.addresses.keep(*address));
        }
        (self.health, self.since) = (Health::Ready, self.clock.now());
        true
    }

    async fn take(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Present(object) => {
                let uid = object::uid(&object).to_owned();
                match self.pods.get_mut(&uid) {
                    Some(held) => {
                        held.pod.update(&object);
                        held.seen = true;
                    }
                    None => {
                        let pod = Pod::new(&object);
                        pod.addresses.iter().for_each(|address| self.addresses.keep(*address));
                        self.pods.insert(uid.clone(), Held { pod, told: None, due: None, failures: 0, seen: true });
                    }
                }
                self.sync(&uid).await
            }
            Event::Deleted(object) => {
                self.forget(object::uid(&object));
                Ok(())
            }
            Event::Synced => {
                let gone = self.pods.iter().filter(|(_, held)| !held.seen).map(|(uid, _)| uid.clone());
                gone.collect::<Vec<_>>().iter().for_each(|uid| self.forget(uid));
                Ok(())
            }
        }
    }

    fn forget(&mut self, uid: &str) {
        let Some(held) = self.pods.remove(uid) else { return };
        if let Some(due) = held.due {
            self.agenda.remove(&(due, uid.to_owned()));
        }
        if !held.pod.host_network {
            held.pod.addresses.iter().for_each(|address| self.addresses.release(*address));
        }
    }

    async fn sync_all(&mut self) -> Result<()> {
        for uid in self.pods.keys().cloned().collect::<Vec<_>>() {
            self.sync(&uid).await?;
        }
        Ok(())
    }

    /// Brings a pod to where it should be by now, and tells the server what is new.
    async fn sync(&mut self, uid: &str) -> Result<()> {
        let now = self.clock.now();
        let Some(held) = self.pods.get_mut(uid) else { return Ok(()) };
        let mut next = held.pod.step(now);
        if held.pod.needs_address() {
            let found = if held.pod.host_network { Some(vec![self.machine.address]) } else { self.addresses.take() };
            if let Some(found) = found {
                held.pod.addresses = found;
                next = Some(now);
            }
        }
        let told = tell(&self.api, held, self.machine.address, now).await;
        match told {
            Ok(()) => held.failures = 0,
            Err(error) if error.is_not_found() || error.is_conflict() => {
                self.forget(uid);
                return Ok(());
            }
            Err(error @ RemoteError::Refused { .. }) => {
                held.failures += 1;
                tracing::warn!(pod = held.pod.name, namespace = held.pod.namespace, %error, "a pod's status was refused");
                next = now.checked_add(RETRY.after(held.failures)).ok();
            }
            Err(error) => return Err(error),
        }
        if let Some(due) = held.due.take() {
            self.agenda.remove(&(due, uid.to_owned()));
        }
        if let Some(next) = next {
            held.due = Some(next);
            self.agenda.insert((next, uid.to_owned()));
        }
        Ok(())
    }
}

/// Tells the server the pod's status if it is new; takes the pod away when it is being deleted and has stopped.
async fn tell(api: &Api, held: &mut Held, host: IpAddr, now: Timestamp) -> Result<()> {
    let (namespace, name, uid) = (held.pod.namespace.clone(), held.pod.name.clone(), held.pod.uid.clone());
    let target = Target::new("", "pods", &namespace, &name);
    if !held.pod.is_over() {
        let status = held.pod.status(&host.to_string(), now);
        let digest = crc32fast::hash(status.to_string().as_bytes());
        if held.told != Some(digest) {
            api.strategic(target.part("status"), &json!({"metadata": {"uid": uid}, "status": status})).await?;
            held.told = Some(digest);
        }
    }
    if held.pod.is_deleting && held.pod.has_stopped() {
        api.delete(target, &uid, 0).await?;
    }
    Ok(())
}

/// The next event of a watch; never, if there is none.
async fn next(watch: &mut Option<Watch>) -> Result<Option<Event>> {
    match watch {
        Some(watch) => watch.next().await,
        None => std::future::pending().await,
    }
}
