//! What people see who look into the levels, in stock's form: columns with commas, padded with blanks.

use jiff::Timestamp;
use tokio::time::Instant;

use super::governor::Configuration;
use super::level;
use super::queue::{Queue, Request};
use super::spec::Response;
use super::work::Estimate;
use crate::base::clock::Clock;
use crate::model::duration::Duration;

/// No column is narrower.
const NARROWEST: usize = 8;

const LEVELS: &[&str] = &[
    "PriorityLevelName",
    "ActiveQueues",
    "IsIdle",
    "IsQuiescing",
    "WaitingRequests",
    "ExecutingRequests",
    "DispatchedRequests",
    "RejectedRequests",
    "TimedoutRequests",
    "CancelledRequests",
];
const QUEUES: &[&str] = &[
    "PriorityLevelName",
    "Index",
    "PendingRequests",
    "ExecutingRequests",
    "SeatsInUse",
    "NextDispatchR",
    "InitialSeatsSum",
    "MaxSeatsSum",
    "TotalWorkSum",
];
const REQUESTS: &[&str] = &[
    "PriorityLevelName",
    "FlowSchemaName",
    "QueueIndex",
    "RequestIndexInQueue",
    "FlowDistingsher",
    "ArriveTime",
    "InitialSeats",
    "FinalSeats",
    "AdditionalLatency",
    "StartTime",
];
const DETAILS: &[&str] = &["UserName", "Verb", "APIPath", "Namespace", "Name", "APIVersion", "Resource", "SubResource"];

type Row = Vec<String>;

/// The document of this name; `None` when there is no such one.
pub fn dump(configuration: &Configuration, name: &str, details: bool, clock: &Clock) -> Option<String> {
    let (header, rows) = match name {
        "dump_priority_levels" => (LEVELS.to_vec(), levels(configuration)),
        "dump_queues" => (QUEUES.to_vec(), queues(configuration)),
        "dump_requests" => {
            let more = if details { DETAILS } else { &[] };
            ([REQUESTS, more].concat(), requests(configuration, details, clock))
        }
        _ => return None,
    };
    let header = header.iter().map(ToString::to_string).collect();
    Some(table([vec![header], rows].concat()))
}

fn levels(configuration: &Configuration) -> Vec<Row> {
    let row = |level: &std::sync::Arc<level::Level>| {
        let quiescing = level.standing().quiescing;
        level.look(|queues| {
            let busy = queues.queues.values().filter(|queue| !queue.waiting.is_empty()).count();
            let totals = queues.totals;
            // Stock counts no request as timed out: it calls them cancelled.
            vec![
                level.name.to_string(),
                busy.to_string(),
                queues.is_idle().to_string(),
                quiescing.to_string(),
                queues.waiting.to_string(),
                queues.executing.to_string(),
                totals.dispatched.to_string(),
                totals.rejected.to_string(),
                "0".into(),
                totals.cancelled.to_string(),
            ]
        })
    };
    configuration.levels.values().map(row).collect()
}

fn queues(configuration: &Configuration) -> Vec<Row> {
    let mut rows = Vec::new();
    for level in configuration.levels.values() {
        level.look(|queues| {
            let configured = match queues.response() {
                Response::Queue { queues, .. } => queues,
                Response::Exempt | Response::Reject => 0,
            };
            let most = queues.queues.last_key_value().map_or(0, |(at, _)| at + 1);
            let idle = Queue::default();
            for at in 0..configured.max(most) {
                let queue = queues.queues.get(&at).unwrap_or(&idle);
                rows.push(vec![
                    level.name.to_string(),
                    at.to_string(),
                    queue.waiting.len().to_string(),
                    queue.executing.to_string(),
                    queue.seats.to_string(),
                    queue.start.to_string(),
                    queue.initial_seats.to_string(),
                    queue.waiting_seats.to_string(),
                    queue.work.to_string(),
                ]);
            }
        });
    }
    rows
}

fn requests(configuration: &Configuration, details: bool, clock: &Clock) -> Vec<Row> {
    let (mut rows, clock) = (Vec::new(), (clock.instant(), clock.now()));
    for level in configuration.levels.values() {
        level.look(|queues| {
            for (at, queue) in &queues.queues {
                for (place, index) in queue.waiting.iter().enumerate() {
                    let place = Some((*at, Some(place)));
                    rows.push(request(&level.name, place, queues.requests.at(*index), details, clock));
                }
            }
            for running in queues.requests.iter().filter(|request| request.started.is_some()) {
                let place = running.queue.map(|at| (at, None));
                rows.push(request(&level.name, place, running, details, clock));
            }
        });
    }
    rows
}

/// `place`: its queue, and its place there while it waits.
fn request(
    level: &str,
    place: Option<(usize, Option<usize>)>,
    request: &Request<level::Request>,
    details: bool,
    clock: (Instant, Timestamp),
) -> Row {
    let place_text = |place: Option<usize>| place.map_or("-1".into(), |place| place.to_string());
    let Estimate { initial, last, linger } = request.estimate;
    let mut row = vec![
        level.to_owned(),
        request.info.counts.schema.to_string(),
        place_text(place.map(|(queue, _)| queue)),
        place_text(place.and_then(|(_, index)| index)),
        request.info.flow.to_string(),
        time(Some(request.arrived), clock),
        initial.to_string(),
        last.to_string(),
        Duration(i64::try_from(linger.as_nanos()).unwrap_or(i64::MAX)).to_string(),
        time(request.started, clock),
    ];
    if details {
        let told = request.info.told.details();
        row.push(request.info.user.name.to_string());
        row.extend([told.verb, told.path, told.namespace, told.name, told.version, told.resource, told.subresource]);
    }
    row
}

/// As stock shows a time: to the nanosecond, without zeros at the end; Go's zero time for none.
fn time(at: Option<Instant>, (now, clock): (Instant, Timestamp)) -> String {
    let Some(at) = at else { return "0001-01-01T00:00:00Z".into() };
    (clock - now.saturating_duration_since(at)).to_string()
}

/// Every column but the last is as wide as its widest cell with its comma, and a blank.
fn table(rows: Vec<Row>) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let widest = rows.iter().map(|row| row[column].chars().count() + 2).max().unwrap_or(0);
        widest.max(NARROWEST)
    };
    let widths: Vec<usize> = (0..columns.saturating_sub(1)).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        for (column, cell) in row.iter().enumerate() {
            match widths.get(column) {
                Some(width) => text.push_str(&format!("{:width$}", format!("{cell},"))),
                None => text.push_str(cell),
            }
        }
        text.push('\n');
    }
    text
}
