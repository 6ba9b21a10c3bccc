//! Where requests pass: each gets its seats, at once or after a while, or is told to come again.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderMap, HeaderName};
use prometheus_client::registry::Registry;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::counts::{Counts, Numbers};
use super::dump;
use super::estimate::Listing;
use super::fair::Fair;
use super::governor::Schema;
use super::inflight::{InFlight, Place};
use super::level::{Seated, Told};
use super::metrics::Shown;
use super::watches::Watching;
use crate::auth::authorizer::{Attributes, Resource};
use crate::base::clock::Clock;
use crate::cache::error::CacheError;
use crate::cache::handle::Cache;

pub const SCHEMA_UID: HeaderName = HeaderName::from_static("x-kubernetes-pf-flowschema-uid");
pub const LEVEL_UID: HeaderName = HeaderName::from_static("x-kubernetes-pf-prioritylevel-uid");
/// No request waits longer.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How many requests run at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Reads and writes; together the seats that levels share. 0 is without limit, where nothing is shared.
    pub reads: u64,
    pub writes: u64,
    /// How long a request may take that does not say: nobody keeps a seat for longer.
    pub request: Duration,
}

/// A request at the gate.
pub struct Asked<'a> {
    pub attributes: Attributes<'a>,
    /// Of lists and watches.
    pub listing: Listing<'a>,
    pub arrived: Instant,
    /// How long it may take: a quarter of it may be waited.
    pub limit: Duration,
}

/// What a request gets.
pub struct Admission {
    pub marks: Option<Marks>,
    pub seat: Result<Seat, Refused>,
}

/// Come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Seconds.
    pub retry_after: u32,
}

/// By what the request was told apart, for the answer's headers.
#[derive(Clone)]
pub struct Marks(Arc<Schema>);

/// The right to run, until it is dropped.
#[derive(Default)]
pub struct Seat(Option<Held>);

struct Held {
    _seated: Option<Seated>,
    _place: Option<Place>,
    counts: Option<Arc<Counts>>,
    numbers: Arc<Numbers>,
    clock: Clock,
    begun: Instant,
    watch: bool,
    write: bool,
}

/// Lets requests pass. Cheap to clone.
#[derive(Clone)]
pub struct Fairness(Arc<Gate>);

struct Gate {
    way: Way,
    numbers: Arc<Numbers>,
    clock: Clock,
    limits: Limits,
}

enum Way {
    Fair(Fair),
    InFlight(InFlight),
}

impl Fairness {
    /// By the priority levels and schemas in the cache; [`Fairness::follow`] keeps up with them.
    pub fn open(cache: &Cache, clock: &Clock, limits: Limits) -> Result<Self, CacheError> {
        let numbers = Arc::new(Numbers::new(clock.instant()));
        let fair = Fair::open(cache, clock, limits.reads.saturating_add(limits.writes), &numbers)?;
        Ok(Self(Arc::new(Gate { way: Way::Fair(fair), numbers, clock: clock.clone(), limits })))
    }

    /// By the number of requests alone.
    pub fn without_priorities(clock: &Clock, limits: Limits) -> Self {
        let now = clock.instant();
        let numbers = Arc::new(Numbers::new(now));
        for (most, at) in [(limits.reads, 0), (limits.writes, 1)] {
            numbers.executing[at].set_most(most, now);
        }
        let way = Way::InFlight(InFlight::new(limits.reads, limits.writes));
        Self(Arc::new(Gate { way, numbers, clock: clock.clone(), limits }))
    }

    /// Follows the configuration, and lends seats between levels, until `stop`.
    pub async fn follow(self, stop: CancellationToken) {
        match &self.0.way {
            Way::Fair(fair) => fair.follow(self.0.limits.request, stop).await,
            Way::InFlight(_) => stop.cancelled().await,
        }
    }

    /// Returns when the request may run or must not. Cancel safe: who does not wait any more is not waited for.
    pub async fn enter(&self, asked: &Asked<'_>, told: impl FnOnce() -> Arc<dyn Told>) -> Admission {
        let (verb, gate) = (asked.attributes.verb, &*self.0);
        let write = !matches!(verb, "get" | "list" | "watch");
        match &gate.way {
            // A watch is bounded by connections alone.
            Way::InFlight(_) if verb == "watch" => Admission { marks: None, seat: Ok(Seat::default()) },
            Way::InFlight(limits) => match limits.enter(write, asked.attributes.user) {
                Some(place) => {
                    let seat = self.seat((None, place), None, asked, write);
                    Admission { marks: None, seat: Ok(seat) }
                }
                None => Admission { marks: None, seat: Err(Refused { retry_after: 1 }) },
            },
            Way::Fair(fair) => {
                let schema = fair.classify(&asked.attributes);
                let wait = (asked.limit / 4).min(LONGEST_WAIT);
                let entered = fair.enter(&schema, asked, told, asked.arrived + wait, write).await;
                let seat = entered.map(|(seated, counts)| self.seat((Some(seated), None), Some(counts), asked, write));
                Admission { marks: Some(Marks(schema)), seat }
            }
        }
    }

    /// A watch begins: writes to what it sees have one more to tell.
    pub fn watch(&self, resource: &Resource<'_>) -> Option<Watching> {
        match &self.0.way {
            Way::Fair(fair) => Some(fair.watches.begin(resource)),
            Way::InFlight(_) => None,
        }
    }

    /// A document below `/debug/api_priority_and_fairness/`; `None` when there is no such one.
    pub fn dump(&self, name: &str, details: bool) -> Option<String> {
        let Way::Fair(fair) = &self.0.way else { return None };
        dump::dump(&fair.configuration(), name, details, &self.0.clock)
    }

    /// Shows what is counted here under stock's names.
    pub fn register(&self, registry: &mut Registry) {
        let numbers = self.0.numbers.clone();
        let fair = match &self.0.way {
            Way::Fair(fair) => Some(fair.clone()),
            Way::InFlight(_) => None,
        };
        registry.register_collector(Box::new(Shown { numbers, fair, clock: self.0.clock.clone() }));
    }

    fn seat(
        &self,
        (seated, place): (Option<Seated>, Option<Place>),
        counts: Option<Arc<Counts>>,
        asked: &Asked<'_>,
        write: bool,
    ) -> Seat {
        let (gate, begun) = (&*self.0, self.0.clock.instant());
        gate.numbers.executing[usize::from(write)].change(true, begun);
        Seat(Some(Held {
            _seated: seated,
            _place: place,
            counts,
            numbers: gate.numbers.clone(),
            clock: gate.clock.clone(),
            begun,
            watch: asked.attributes.verb == "watch",
            write,
        }))
    }
}

impl Marks {
    pub fn put(&self, headers: &mut HeaderMap) {
        headers.insert(LEVEL_UID, self.0.level_uid.clone());
        headers.insert(SCHEMA_UID, self.0.spec.uid.clone());
    }

    pub fn schema(&self) -> &str {
        &self.0.spec.name
    }

    pub fn level(&self) -> &str {
        &self.0.level.name
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Seat" } else { "no Seat" })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let now = self.clock.instant();
        self.numbers.executing[usize::from(self.write)].change(false, now);
        if let Some(counts) = &self.counts {
            counts.ran[usize::from(!self.watch)].observe((now - self.begun).as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::authorizer::Target;
    use crate::auth::identity::{MASTERS, User};
    use crate::base::tasks::Tasks;
    use crate::fairness::level::Details;
    use crate::model::value::{Value, json};
    use crate::registry::client::{Client, Target as At};
    use crate::registry::fixture;
    use crate::registry::options::DeleteOptions;
    use crate::rules::flow_control::GROUP;

    const LIMITS: Limits = Limits { reads: 1, writes: 1, request: Duration::from_secs(60) };
    const LEVEL: At<'static> = At::new(GROUP, "prioritylevelconfigurations", "", "own");
    const SCHEMA: At<'static> = At::new(GROUP, "flowschemas", "", "own");

    struct Nothing;

    impl Told for Nothing {
        fn details(&self) -> Details {
            Details { verb: "get".into(), path: "/api/v1/pods".into(), version: "v1".into(), ..Details::default() }
        }
    }

    /// A level of one seat, on which one may wait, for the members of a group.
    async fn own(client: &Client) {
        let queuing = json!({"queues": 1, "handSize": 1, "queueLengthLimit": 1});
        let limited = json!({"nominalConcurrencyShares": 5, "borrowingLimitPercent": 0,
            "limitResponse": {"type": "Queue", "queuing": queuing}});
        let level = json!({"metadata": {"name": "own"}, "spec": {"type": "Limited", "limited": limited}});
        let everything: Value = json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"],
            "clusterScope": true});
        let rule = json!({"subjects": [{"kind": "Group", "group": {"name": "g"}}], "resourceRules": [everything]});
        let schema = json!({"metadata": {"name": "own"}, "spec": {"matchingPrecedence": 50, "rules": [rule],
            "priorityLevelConfiguration": {"name": "own"}, "distinguisherMethod": {"type": "ByUser"}}});
        client.create(LEVEL, &level).await.expect("a level");
        let written = client.create(SCHEMA, &schema).await.expect("a schema");
        let deadline = client.registry().clock.instant() + Duration::from_secs(1);
        client.registry().cache.at_least(written.object.revision, deadline).await.expect("it follows");
    }

    fn gate(client: &Client) -> Fairness {
        let registry = client.registry();
        Fairness::open(&registry.cache, &registry.clock, LIMITS).expect("shelves")
    }

    async fn enter(fairness: &Fairness, name: &str, group: &str, verb: &str) -> Admission {
        let user = User::new(name, &[group]);
        let pods = Resource { version: "v1", resource: "pods", namespace: "a", name: "x", ..Resource::default() };
        let attributes = Attributes { user: &user, verb, target: Target::Resource(pods) };
        let asked = Asked {
            attributes,
            listing: Listing::default(),
            arrived: fairness.0.clock.instant(),
            limit: Duration::from_secs(60),
        };
        fairness.enter(&asked, || Arc::new(Nothing)).await
    }

    async fn schema(fairness: &Fairness, group: &str) -> String {
        let admission = enter(fairness, "ann", group, "get").await;
        let marks = admission.marks.expect("marks");
        format!("{}/{}", marks.schema(), marks.level())
    }

    /// Until the schema of the group is another one.
    async fn changes(fairness: &Fairness, group: &str, from: &str) -> String {
        for _ in 0..1000 {
            let now = schema(fairness, group).await;
            if now != from {
                return now;
            }
            fairness.0.clock.sleep(Duration::from_millis(1)).await;
        }
        panic!("it stays {from}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_mandatory_ones_are_in_force_without_objects() {
        let fairness = gate(&fixture::client().await);
        assert_eq!(schema(&fairness, MASTERS).await, "exempt/exempt");
        assert_eq!(schema(&fairness, "system:authenticated").await, "catch-all/catch-all");
        assert_eq!(schema(&fairness, "made up").await, "catch-all/catch-all");
    }

    #[tokio::test(start_paused = true)]
    async fn objects_take_effect_when_they_come_and_their_levels_end_with_their_requests() {
        let (client, tasks) = (fixture::client().await, Tasks::default());
        let fairness = gate(&client);
        let follower = fairness.clone();
        tasks.start("fairness", |stop| follower.follow(stop));
        assert_eq!(schema(&fairness, "g").await, "catch-all/catch-all");
        own(&client).await;
        assert_eq!(changes(&fairness, "g", "catch-all/catch-all").await, "own/own");
        let admission = enter(&fairness, "ann", "g", "get").await;
        let mut headers = HeaderMap::new();
        admission.marks.as_ref().expect("marks").put(&mut headers);
        let uid = |object: &crate::cache::object::Object| object.uid().into_owned();
        assert_eq!(headers[SCHEMA_UID], uid(&client.get(SCHEMA).await.expect("a schema")).as_str());
        assert_eq!(headers[LEVEL_UID], uid(&client.get(LEVEL).await.expect("a level")).as_str());
        client.delete(LEVEL, &DeleteOptions::default()).await.expect("deleted");
        assert_eq!(changes(&fairness, "g", "own/own").await, "catch-all/catch-all");
        let levels = || fairness.dump("dump_priority_levels", false).expect("a document");
        assert!(levels().contains("\nown,               0,            false,  true,"), "{}", levels());
        drop(admission);
        fairness.0.clock.sleep(Duration::from_secs(11)).await;
        assert!(!levels().contains("own"), "{}", levels());
        tasks.shutdown(Duration::from_secs(1)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_or_goes_leaves_room_for_others() {
        let client = fixture::client().await;
        own(&client).await;
        let fairness = gate(&client);
        let first = enter(&fairness, "ann", "g", "get").await;
        let begun = fairness.0.clock.instant();
        let late = enter(&fairness, "bob", "g", "get").await;
        assert_eq!(late.seat.err(), Some(Refused { retry_after: 1 }));
        assert_eq!((fairness.0.clock.instant() - begun).as_secs(), 15, "a quarter of what a request may take");
        let waiting = tokio::spawn({
            let fairness = fairness.clone();
            async move { enter(&fairness, "bob", "g", "get").await.seat.is_ok() }
        });
        tokio::task::yield_now().await;
        let full = enter(&fairness, "eve", "g", "get").await;
        assert!(full.seat.is_err(), "the queue is full");
        waiting.abort();
        let _ = waiting.await;
        let next = tokio::spawn({
            let fairness = fairness.clone();
            async move { enter(&fairness, "eve", "g", "get").await.seat.is_ok() }
        });
        tokio::task::yield_now().await;
        drop(first);
        assert!(next.await.expect("a task"), "whoever had gone did not take the place");
    }

    #[tokio::test(start_paused = true)]
    async fn without_priorities_only_numbers_count() {
        let fairness = Fairness::without_priorities(&Clock::machine(), LIMITS);
        let read = enter(&fairness, "ann", "g", "list").await;
        assert!(read.seat.is_ok() && read.marks.is_none());
        let refused = enter(&fairness, "ann", "g", "get").await;
        assert_eq!(refused.seat.err(), Some(Refused { retry_after: 1 }));
        assert!(enter(&fairness, "ann", "g", "watch").await.seat.is_ok());
        assert!(enter(&fairness, "root", MASTERS, "get").await.seat.is_ok());
        assert!(enter(&fairness, "ann", "g", "create").await.seat.is_ok());
        drop(read);
        assert!(enter(&fairness, "ann", "g", "get").await.seat.is_ok());
        assert_eq!(fairness.dump("dump_queues", false), None);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_looks_sees_stocks_columns() {
        let client = fixture::client().await;
        own(&client).await;
        let fairness = gate(&client);
        let _running = enter(&fairness, "ann", "g", "get").await;
        let levels = "\
PriorityLevelName, ActiveQueues, IsIdle, IsQuiescing, WaitingRequests, ExecutingRequests, DispatchedRequests, \
RejectedRequests, TimedoutRequests, CancelledRequests
catch-all,         0,            true,   false,       0,               0,                 0,                  \
0,                0,                0
exempt,            0,            true,   false,       0,               0,                 0,                  \
0,                0,                0
own,               0,            false,  false,       0,               1,                 1,                  \
0,                0,                0
";
        assert_eq!(fairness.dump("dump_priority_levels", false).as_deref(), Some(levels));
        let queues = "\
PriorityLevelName, Index,  PendingRequests, ExecutingRequests, SeatsInUse, NextDispatchR, InitialSeatsSum, \
MaxSeatsSum, TotalWorkSum
own,               0,      0,               1,                 1,          0.00300000ss,  0,               \
0,           0.00000000ss
";
        assert_eq!(fairness.dump("dump_queues", false).as_deref(), Some(queues));
        let requests = fairness.dump("dump_requests", true).expect("a document");
        let row: Vec<&str> = requests.lines().nth(1).expect("a row").split(',').map(str::trim).collect();
        assert_eq!(row[..5], ["own", "own", "0", "-1", ""], "one queue tells no flows apart");
        assert_eq!(row[6..9], ["1", "0", "0s"]);
        assert_eq!(row[10..], ["ann", "get", "/api/v1/pods", "", "", "v1", "", ""]);
        assert_eq!(fairness.dump("dump_anything", false), None);
    }

    #[tokio::test(start_paused = true)]
    async fn metrics_have_stocks_names() {
        let client = fixture::client().await;
        own(&client).await;
        let fairness = gate(&client);
        for verb in ["create", "get", "watch"] {
            assert!(enter(&fairness, "ann", "g", verb).await.seat.is_ok());
            fairness.0.clock.sleep(Duration::from_millis(1500)).await;
        }
        let mut registry = Registry::default();
        fairness.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("text");
        let of_schema = "{priority_level=\"own\",flow_schema=\"own\"";
        let of_level = "{priority_level=\"own\"";
        for name in ["current_executing_requests", "current_executing_seats", "current_inqueue_requests"] {
            assert!(text.contains(&format!("apiserver_flowcontrol_{name}{of_schema}}} 0")), "{name} in {text}");
        }
        assert!(text.contains(&format!("apiserver_flowcontrol_dispatched_requests_total{of_schema}}} 3")), "{text}");
        for (name, labels) in [
            ("request_execution_seconds_count", format!("{of_schema},type=\"regular\"}} 2")),
            ("request_execution_seconds_count", format!("{of_schema},type=\"watch\"}} 1")),
            ("request_wait_duration_seconds_count", format!("{of_schema},execute=\"true\"}} 3")),
            ("work_estimated_seats_count", format!("{of_schema}}} 3")),
            ("watch_count_samples_count", format!("{of_schema}}} 1")),
            ("nominal_limit_seats", format!("{of_level}}} 1")),
            ("lower_limit_seats", format!("{of_level}}} 1")),
            ("upper_limit_seats", format!("{of_level}}} 1")),
            ("current_limit_seats", format!("{of_level}}} 1")),
            ("target_seats", of_level.to_owned()),
            ("demand_seats_average", of_level.to_owned()),
            ("demand_seats_stdev", of_level.to_owned()),
            ("demand_seats_smoothed", of_level.to_owned()),
            ("demand_seats_high_watermark", of_level.to_owned()),
            ("demand_seats_count", of_level.to_owned()),
            ("current_r", of_level.to_owned()),
            ("seat_fair_frac", " ".to_owned()),
            ("priority_level_seat_utilization_count", of_level.to_owned()),
            ("priority_level_request_utilization_count", of_level.to_owned()),
            ("read_vs_write_current_requests_count", "{phase=\"executing\",request_kind=\"readOnly\"".to_owned()),
        ] {
            assert!(text.contains(&format!("apiserver_flowcontrol_{name}{labels}")), "{name}{labels} in {text}");
        }
        assert!(text.contains("apiserver_current_inflight_requests{request_kind=\"mutating\"} 0"), "{text}");
    }
}
