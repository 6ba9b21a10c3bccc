//! Long lists in every form.

use futures_util::future::try_join_all;

use super::child::{Child, Who};
use super::connection::{Ask, PROTOBUF};
use super::error::Result;
use super::report::{Aim, Report};
use crate::base::clock::Clock;

const MEGABYTE: f64 = 1e6;
/// Lists of each form.
const ROUNDS: u32 = 3;
/// Lists at once, where that is measured.
const AT_ONCE: usize = 8;

/// Lists all pods, of which there are `count`. What a core can do is told by the server's own time.
pub async fn measure(child: &Child, count: usize, clock: &Clock, report: &mut Report) -> Result<()> {
    report.section(&format!("LIST of {count} pods"));
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let metadata = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
    list(child, clock, report, "JSON", Ask::get("/api/v1/pods"), Some(300.0)).await?;
    let protobuf = Ask::get("/api/v1/pods").accepting(PROTOBUF);
    list(child, clock, report, "protobuf", protobuf, Some(1000.0)).await?;
    list(child, clock, report, "JSON, gzip (packed)", Ask { gzip: true, ..Ask::get("/api/v1/pods") }, None).await?;
    list(child, clock, report, "Table", Ask::get("/api/v1/pods").accepting(table), None).await?;
    let only_metadata = Ask::get("/api/v1/pods").accepting(metadata);
    list(child, clock, report, "PartialObjectMetadata, protobuf", only_metadata, None).await?;
    at_once(child, clock, report, "JSON", Ask::get("/api/v1/pods")).await?;
    at_once(child, clock, report, "protobuf", Ask::get("/api/v1/pods").accepting(PROTOBUF)).await
}

/// Lists by several at once: what the server takes for them above rest.
async fn at_once(child: &Child, clock: &Clock, report: &mut Report, what: &str, ask: Ask) -> Result<()> {
    let mut connections = Vec::with_capacity(AT_ONCE);
    for _ in 0..AT_ONCE {
        connections.push(child.connect(Who::Administrator).await?);
    }
    child.forget_peak()?;
    let (before, began) = (child.usage()?, clock.instant());
    let bytes = try_join_all(connections.iter().map(|connection| connection.drain(ask.clone()))).await?;
    let (after, wall) = (child.usage()?, clock.instant() - began);
    let peak = after.peak.saturating_sub(before.resident) as f64 / MEGABYTE;
    let each = bytes[0] as f64 / MEGABYTE;
    let note = format!("{each:.1} MB each in {:.2} s", wall.as_secs_f64());
    report.row_with(&format!("{what}, {AT_ONCE} at once"), peak, "MB above rest", Some(Aim::AtMost(100.0)), &note);
    Ok(())
}

async fn list(child: &Child, clock: &Clock, report: &mut Report, what: &str, ask: Ask, aim: Option<f64>) -> Result<()> {
    let connection = child.connect(Who::Administrator).await?;
    child.forget_peak()?;
    let (before, began, mut bytes) = (child.usage()?, clock.instant(), 0);
    for _ in 0..ROUNDS {
        bytes += connection.drain(ask.clone()).await?;
    }
    let (after, wall) = (child.usage()?, (clock.instant() - began) / ROUNDS);
    let cpu = (after.cpu - before.cpu).as_secs_f64();
    let peak = after.peak.saturating_sub(before.resident) as f64 / MEGABYTE;
    let each = bytes as f64 / MEGABYTE / f64::from(ROUNDS);
    let note = format!("{each:.1} MB in {:.2} s, peak +{peak:.0} MB", wall.as_secs_f64());
    let rate = bytes as f64 / MEGABYTE / cpu.max(0.005);
    report.row_with(what, rate, "MB/s a core", aim.map(Aim::AtLeast), &note);
    Ok(())
}
