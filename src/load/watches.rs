//! Many watchers of the same objects.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::child::Who;
use super::connection::{Ask, JSON, PROTOBUF};
use super::crowd::Crowd;
use super::error::{LoadError, Result};
use super::report::{Aim, Report};
use super::writes::status_patch;
use crate::base::clock::Clock;
use crate::model::value::Value;

const WATCHERS: usize = 1_000;
/// Pods that change in turn.
const PODS: usize = 100;
/// How long events may take to come.
const PATIENCE: Duration = Duration::from_secs(120);

/// How many of the expected events have come.
#[derive(Default)]
struct Seen {
    events: AtomicU64,
    more: Notify,
}

/// One form of watching.
struct Form {
    what: &'static str,
    accept: &'static str,
    connections: usize,
}

const FORMS: [Form; 3] = [
    Form { what: "JSON, on 10 connections", accept: JSON, connections: 10 },
    Form { what: "JSON, each on its own", accept: JSON, connections: WATCHERS },
    Form { what: "protobuf, each on its own", accept: PROTOBUF, connections: WATCHERS },
];

/// Watchers on few connections and each on one of its own, of changes that come as fast as they can.
pub async fn measure(crowd: &Crowd<'_>, clock: &Clock, changes: usize, report: &mut Report) -> Result<()> {
    report.section(&format!("{WATCHERS} watchers of all pods"));
    let alone = change(crowd, changes * 4, 0).await?;
    for (round, form) in FORMS.iter().enumerate() {
        fan_out(crowd, clock, changes, (form, round), alone, report).await?;
    }
    Ok(())
}

/// Changes pods; what one change costs the server, in microseconds. No two rounds write the same.
async fn change(crowd: &Crowd<'_>, changes: usize, round: usize) -> Result<f64> {
    let patch = move |n| status_patch(&format!("/api/v1/namespaces/bench/pods/many-{}", n % PODS), round << 16 | n);
    Ok(crowd.run(changes, patch).await?.cpu_each())
}

/// `alone` is what a change costs that nobody watches; it is not the watchers' fault.
async fn fan_out(
    crowd: &Crowd<'_>,
    clock: &Clock,
    changes: usize,
    (form, round): (&Form, usize),
    alone: f64,
    report: &mut Report,
) -> Result<()> {
    let seen = Arc::new(Seen::default());
    let mut watchers = open(crowd, form, &seen).await?;
    let (before, began) = (crowd.child.usage()?, clock.instant());
    change(crowd, changes, round + 1).await?;
    let wanted = (WATCHERS * changes) as u64;
    let come = || seen.events.load(Ordering::Acquire);
    let all = async {
        while come() < wanted {
            seen.more.notified().await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, all).await;
    in_time.map_err(|_| LoadError::Failed("watch", format!("{} of {wanted} events came", come())))?;
    let (after, wall) = (crowd.child.usage()?, clock.instant() - began);
    watchers.abort_all();
    let cpu = (after.cpu - before.cpu).as_secs_f64() * 1e6 - alone * changes as f64;
    let note = format!(
        "{:.2} us an event, {:.0}/s delivered, {:.0} MB resident",
        cpu / wanted as f64,
        wanted as f64 / wall.as_secs_f64(),
        after.resident as f64 / 1e6
    );
    report.row_with(form.what, wanted as f64 / cpu * 1e6, "events/s a core", Some(Aim::AtLeast(300_000.0)), &note);
    Ok(())
}

/// Watchers of what comes from now on; each counts what it sees.
async fn open(crowd: &Crowd<'_>, form: &Form, seen: &Arc<Seen>) -> Result<JoinSet<()>> {
    let list = crowd.connections[0].expect(Ask::get("/api/v1/pods?limit=1")).await?;
    let list: Value = serde_json::from_slice(&list).map_err(LoadError::of("a list"))?;
    let now = list["metadata"]["resourceVersion"].as_str().unwrap_or("");
    let mut watchers = JoinSet::new();
    for _ in 0..form.connections {
        let connection = crowd.child.connect(Who::Administrator).await?;
        for _ in 0..WATCHERS / form.connections {
            let watch = Ask::get(format!("/api/v1/pods?watch=1&resourceVersion={now}&timeoutSeconds=600"));
            let body = connection.send(watch.accepting(form.accept)).await?.into_body();
            let (seen, framed, connection) = (seen.clone(), form.accept == PROTOBUF, connection.clone());
            watchers.spawn(async move {
                count(body, framed, &seen).await;
                drop(connection);
            });
        }
    }
    Ok(watchers)
}

/// Counts the events of a body: lines, or frames that begin with their length in four bytes.
async fn count(mut body: Incoming, framed: bool, seen: &Seen) {
    let mut frames = Frames::default();
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(data) = frame.into_data() else { continue };
        let events = if framed { frames.ends_in(&data) } else { memchr::memchr_iter(b'\n', &data).count() };
        seen.events.fetch_add(events as u64, Ordering::Release);
        seen.more.notify_one();
    }
}

/// Where a stream of frames is.
#[derive(Default)]
struct Frames {
    /// Bytes of the length that have come, when it is not complete.
    length: Vec<u8>,
    /// Bytes that the current frame still lacks.
    left: usize,
}

impl Frames {
    /// How many frames end within these bytes.
    fn ends_in(&mut self, mut data: &[u8]) -> usize {
        let mut ended = 0;
        while !data.is_empty() {
            if self.left == 0 {
                self.length.push(data[0]);
                data = &data[1..];
                if let Ok(length) = <[u8; 4]>::try_from(&self.length[..]) {
                    self.left = u32::from_be_bytes(length) as usize;
                    self.length.clear();
                }
                continue;
            }
            let taken = self.left.min(data.len());
            self.left -= taken;
            data = &data[taken..];
            ended += usize::from(self.left == 0);
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_counted_however_they_are_cut() {
        let stream = [&[0, 0, 0, 3][..], b"abc", &[0, 0, 1, 0], &[7; 256], &[0, 0, 0, 1], b"x"].concat();
        for piece in [1, 2, 3, 5, 64, stream.len()] {
            let mut frames = Frames::default();
            assert_eq!(stream.chunks(piece).map(|piece| frames.ends_in(piece)).sum::<usize>(), 3, "{piece}");
        }
    }
}
