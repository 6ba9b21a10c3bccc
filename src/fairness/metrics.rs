//! What is counted, under stock's names.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use tokio::time::Instant;

use super::counts::{Counts, Numbers, Spread};
use super::fair::Fair;
use super::level::{Level, Standing};
use super::queues::{Dispatch, Refusal};
use super::work::Work;
use crate::base::clock::Clock;

const LEVEL: &str = "priority_level";
const SCHEMA: &str = "flow_schema";
const PHASE: &str = "phase";
const KIND: &str = "request_kind";
/// Reads, then writes.
const KINDS: [&str; 2] = ["readOnly", "mutating"];

const REASONS: [(Refusal, &str); 3] =
    [(Refusal::Full, "queue-full"), (Refusal::Limit, "concurrency-limit"), (Refusal::Timeout, "time-out")];

type Told = fmt::Result;

/// Shows everything that is counted, when somebody asks.
pub struct Shown {
    pub numbers: Arc<Numbers>,
    /// `None` where there are no priority levels.
    pub fair: Option<Fair>,
    pub clock: Clock,
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> Told {
        f.write_str("Shown")
    }
}

/// A number of each schema: its name, its help, how to read it.
type OfSchema = (&'static str, &'static str, fn(&Counts) -> u64);
type SpreadOfSchema = (&'static str, &'static str, fn(&Counts) -> &Spread);
/// A number of each level.
type OfLevel = (&'static str, &'static str, fn(&Standing) -> f64);

const COUNTERS: [OfSchema; 2] = [
    ("apiserver_flowcontrol_dispatched_requests", "Requests that were let run", |counts| counts.dispatched.get()),
    (
        "apiserver_flowcontrol_request_dispatch_no_accommodation",
        "Times that the next request found too few free seats",
        |counts| counts.no_room.get(),
    ),
];
const GAUGES: [OfSchema; 4] = [
    ("apiserver_flowcontrol_current_inqueue_requests", "Requests that wait in queues", |counts| counts.waiting.get()),
    ("apiserver_flowcontrol_current_inqueue_seats", "Seats that waiting requests will take", |counts| {
        counts.waiting_seats.get()
    }),
    ("apiserver_flowcontrol_current_executing_requests", "Requests that run; of watches, those that begin", |counts| {
        counts.executing.get()
    }),
    (
        "apiserver_flowcontrol_current_executing_seats",
        "Seats taken by requests that run, or have run just now",
        |counts| counts.seats.get(),
    ),
];
const SPREADS: [SpreadOfSchema; 2] = [
    ("apiserver_flowcontrol_work_estimated_seats", "Seats that requests were thought to take at most", |counts| {
        &counts.width
    }),
    ("apiserver_flowcontrol_watch_count_samples", "Watches concerned by each write", |counts| &counts.watches),
];
const STANDINGS: [OfLevel; 9] = [
    ("apiserver_flowcontrol_nominal_limit_seats", "Seats of each level by its shares", |standing| {
        standing.nominal as f64
    }),
    ("apiserver_flowcontrol_lower_limit_seats", "The fewest seats that a level may be left with", |standing| {
        standing.least as f64
    }),
    ("apiserver_flowcontrol_upper_limit_seats", "The most seats that a level may get", |standing| standing.most as f64),
    (
        "apiserver_flowcontrol_current_limit_seats",
        "Seats of each level, borrowed and lent ones reckoned in",
        |standing| standing.current as f64,
    ),
    (
        "apiserver_flowcontrol_demand_seats_high_watermark",
        "The most seats wanted at once in the last period",
        |standing| standing.demand.high as f64,
    ),
    (
        "apiserver_flowcontrol_demand_seats_average",
        "Seats wanted in the last period, on the average over time",
        |standing| standing.demand.average,
    ),
    (
        "apiserver_flowcontrol_demand_seats_stdev",
        "Standard deviation of the seats wanted in the last period",
        |standing| standing.demand.deviation,
    ),
    ("apiserver_flowcontrol_demand_seats_smoothed", "Seats wanted, smoothed over periods", |standing| {
        standing.demand.smoothed
    }),
    ("apiserver_flowcontrol_target_seats", "Seats that a level should get if there are enough", |standing| {
        standing.target
    }),
];

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Told {
        let now = self.clock.instant();
        self.flights(&mut encoder, now)?;
        let Some(fair) = &self.fair else { return Ok(()) };
        schemas(&mut encoder, &self.numbers.all())?;
        let levels: Vec<Arc<Level>> = fair.configuration().levels.values().cloned().collect();
        let standings: Vec<Standing> = levels.iter().map(|level| level.standing()).collect();
        for (name, help, read) in STANDINGS {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (level, standing) in levels.iter().zip(&standings) {
                metric.encode_family(&[(LEVEL, level.name.as_str())])?.encode_gauge(&read(standing))?;
            }
        }
        let (name, help) = ("apiserver_flowcontrol_seat_fair_frac", "The part of its target that each level gets");
        encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&fair.fraction())?;
        usage(&mut encoder, &levels)?;
        meters(&mut encoder, &levels)
    }
}

impl Shown {
    /// Reads and writes, that run and that wait.
    fn flights(&self, encoder: &mut DescriptorEncoder<'_>, now: Instant) -> Told {
        let (running, waiting) = (&self.numbers.executing, &self.numbers.waiting);
        let inflight = ("apiserver_current_inflight_requests", "The most requests at once in the last second", running);
        let inqueue = ("apiserver_current_inqueue_requests", "The most waiting requests in the last second", waiting);
        for (name, help, flights) in [inflight, inqueue] {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (kind, flight) in KINDS.iter().zip(flights) {
                metric.encode_family(&[(KIND, *kind)])?.encode_gauge(&flight.high(now))?;
            }
        }
        let name = "apiserver_flowcontrol_read_vs_write_current_requests";
        let help = "Nanoseconds by the number of requests, as a fraction of the most";
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (phase, flights) in [("executing", running), ("waiting", waiting)] {
            for (kind, flight) in KINDS.iter().zip(flights) {
                let labels = [(PHASE, phase), (KIND, *kind)];
                flight.shares(now).encode(&mut metric.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

fn labels(counts: &Counts) -> [(&'static str, &str); 2] {
    [(LEVEL, counts.level.as_str()), (SCHEMA, counts.schema.as_str())]
}

fn schemas(encoder: &mut DescriptorEncoder<'_>, all: &[Arc<Counts>]) -> Told {
    for (name, help, read) in COUNTERS {
        counters(encoder, name, help, all.iter().map(|counts| (labels(counts).to_vec(), read(counts))))?;
    }
    let refused = all.iter().flat_map(|counts| {
        let of = move |(why, reason)| {
            let labels = [labels(counts).as_slice(), &[("reason", reason)]].concat();
            (labels, counts.rejected[why as usize].get())
        };
        REASONS.into_iter().map(of)
    });
    counters(encoder, "apiserver_flowcontrol_rejected_requests", "Requests that were refused", refused)?;
    for (name, help, read) in GAUGES {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for counts in all {
            metric.encode_family(&labels(counts))?.encode_gauge(&read(counts))?;
        }
    }
    for (name, help, read) in SPREADS {
        spreads(encoder, name, help, all.iter().map(|counts| (labels(counts).to_vec(), read(counts))))?;
    }
    let waited = all.iter().flat_map(|counts| {
        let of =
            move |(at, execute)| ([labels(counts).as_slice(), &[("execute", execute)]].concat(), &counts.waited[at]);
        [(0, "true"), (1, "false")].into_iter().map(of)
    });
    let (name, help) = ("apiserver_flowcontrol_request_wait_duration_seconds", "How long requests waited for a seat");
    spreads(encoder, name, help, waited)?;
    let ran = all.iter().flat_map(|counts| {
        let of = move |(at, kind)| ([labels(counts).as_slice(), &[("type", kind)]].concat(), &counts.ran[at]);
        [(0, "watch"), (1, "regular")].into_iter().map(of)
    });
    let (name, help) =
        ("apiserver_flowcontrol_request_execution_seconds", "How long requests ran; watches, until they began");
    spreads(encoder, name, help, ran)
}

type Labels<'a> = Vec<(&'static str, &'a str)>;

/// Counters that have counted something.
fn counters<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    all: impl Iterator<Item = (Labels<'a>, u64)>,
) -> Told {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, count) in all.filter(|(_, count)| *count > 0) {
        metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, f64>(&count, None)?;
    }
    Ok(())
}

/// Spreads that have anything.
fn spreads<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    all: impl Iterator<Item = (Labels<'a>, &'a Spread)>,
) -> Told {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
    for (labels, spread) in all.filter(|(_, spread)| spread.count() > 0) {
        spread.encode(&mut metric.encode_family(&labels)?)?;
    }
    Ok(())
}

/// Which of a level's spreads, and the phase that it is of.
type Phase = (usize, Option<&'static str>);

/// How levels were used over time.
fn usage(encoder: &mut DescriptorEncoder<'_>, levels: &[Arc<Level>]) -> Told {
    let usages: Vec<_> = levels
        .iter()
        .map(|level| {
            let usage = level.look(|queues| {
                let usage = &queues.usage;
                [&usage.seats, &usage.executing, &usage.waiting, &usage.demand].map(Clone::clone)
            });
            (level.name.as_str(), usage)
        })
        .collect();
    let tables: [(&str, &str, &[Phase]); 3] = [
        (
            "apiserver_flowcontrol_priority_level_seat_utilization",
            "Nanoseconds by the seats in use, as a fraction of the level's",
            &[(0, Some("executing"))],
        ),
        (
            "apiserver_flowcontrol_priority_level_request_utilization",
            "Nanoseconds by the requests that run or wait, as a fraction of the most",
            &[(1, Some("executing")), (2, Some("waiting"))],
        ),
        (
            "apiserver_flowcontrol_demand_seats",
            "Nanoseconds by the seats wanted, as a fraction of the level's",
            &[(3, None)],
        ),
    ];
    for (name, help, parts) in tables {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (level, usage) in &usages {
            for (at, phase) in parts {
                let mut labels = vec![(LEVEL, *level)];
                labels.extend(phase.map(|phase| (PHASE, phase)));
                usage[*at].encode(&mut metric.encode_family(&labels)?)?;
            }
        }
    }
    Ok(())
}

/// Readings, of one kind or of the least and the greatest.
type Bounds = Vec<(Option<&'static str>, Work)>;

/// Where the meters stand by which queues are served.
fn meters(encoder: &mut DescriptorEncoder<'_>, levels: &[Arc<Level>]) -> Told {
    let readings: Vec<(&str, Work, Dispatch)> = levels
        .iter()
        .map(|level| {
            let (meter, dispatch) = level.look(|queues| (queues.meter(), queues.dispatch));
            (level.name.as_str(), meter, dispatch)
        })
        .collect();
    let mut gauge = |name: &str, help: &str, read: &dyn Fn(Work, &Dispatch) -> Bounds| {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (level, meter, dispatch) in &readings {
            for (bound, work) in read(*meter, dispatch) {
                let mut labels = vec![(LEVEL, *level)];
                labels.extend(bound.map(|bound| ("bound", bound)));
                metric.encode_family(&labels)?.encode_gauge(&work.as_f64())?;
            }
        }
        Ok::<(), fmt::Error>(())
    };
    let bounds = |(least, most): (Work, Work)| vec![(Some("min"), least), (Some("max"), most)];
    gauge("apiserver_flowcontrol_current_r", "The meter R", &|meter, _| vec![(None, meter)])?;
    gauge("apiserver_flowcontrol_dispatch_r", "The meter R at the last dispatch", &|_, last| vec![(None, last.meter)])?;
    gauge("apiserver_flowcontrol_latest_s", "The start S of the request that was let run last", &|_, last| {
        vec![(None, last.start)]
    })?;
    gauge("apiserver_flowcontrol_next_s_bounds", "The least and greatest start S of a queue", &|_, last| {
        bounds(last.starts)
    })?;
    let help = "The least and greatest start S of a queue, less the work under way";
    gauge("apiserver_flowcontrol_next_discounted_s_bounds", help, &|_, last| bounds(last.discounted))
}
