//! The whole measurement, in order: start, rest, requests, lists, watches, memory.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::child::{Child, Who};
use super::connection::{Ask, PROTOBUF};
use super::crowd::Crowd;
use super::error::{LoadError, Result};
use super::report::{Aim, Report};
use super::{lists, overload, watches, writes};
use crate::base::clock::Clock;
use crate::model::value::Value;

/// Starts of which the middle one counts.
const STARTS: usize = 5;
/// How long a server has to come to rest.
const SETTLE: Duration = Duration::from_secs(3);
/// Writes of which the disk's fdatasync is told.
const SYNCS: u64 = 300;
const MEGABYTE: f64 = 1e6;

/// What to measure with.
pub struct Trial {
    /// The program that has the command `server`.
    pub program: PathBuf,
    /// Where its data goes; on the disk that is meant, and empty.
    pub directory: PathBuf,
    /// Further flags of the server.
    pub flags: Vec<String>,
    pub connections: usize,
    pub at_once: usize,
    /// Requests of each kind.
    pub count: usize,
    /// Requests of each who goes on while one client asks too much.
    pub others: usize,
    /// Pods of lists and watches; none: those are left out.
    pub pods: usize,
    /// Changes that the watchers see.
    pub changes: usize,
    /// How long the server is watched at rest.
    pub rest: Duration,
    pub clock: Clock,
}

impl Trial {
    pub async fn run(&self) -> Result<Report> {
        let mut report = Report::default();
        report.section("start");
        let sync = self.fdatasync()?;
        report.row("fdatasync of 4 KB on this disk", sync, "us", None);
        let child = self.start().await?;
        let cold = child.ready_after.as_secs_f64() * 1e3;
        report.row("ready, on an empty directory", cold, "ms", Some(Aim::AtMost(500.0)));
        child.stop().await?;
        let mut warm = Vec::new();
        for _ in 0..STARTS {
            let child = self.start().await?;
            warm.push(child.ready_after.as_secs_f64() * 1e3);
            child.stop().await?;
        }
        warm.sort_unstable_by(f64::total_cmp);
        report.row("ready, again", warm[STARTS / 2], "ms", Some(Aim::AtMost(150.0)));
        let child = self.start().await?;
        let empty = self.at_rest(&child, &mut report).await?;
        let crowd = Crowd::new(&child, self.connections, self.at_once, &self.clock).await?;
        writes::prepare(&crowd).await?;
        writes::measure(&crowd, self.count, &mut report).await?;
        drop(crowd);
        let child = if self.pods > 0 { self.at_scale(child, empty, &mut report).await? } else { child };
        // Last: what it leaves would count as the pods' memory.
        overload::measure(&child, self.others, &self.clock, &mut report).await?;
        child.stop().await?;
        Ok(report)
    }

    async fn start(&self) -> Result<Child> {
        Child::start(&self.program, &self.directory, &self.flags, &self.clock).await
    }

    /// Memory and time of a server that nobody asks; the resident bytes.
    async fn at_rest(&self, child: &Child, report: &mut Report) -> Result<u64> {
        self.clock.sleep(SETTLE).await;
        let before = child.usage()?;
        self.clock.sleep(self.rest).await;
        let after = child.usage()?;
        report.section("at rest, empty, all controllers");
        let share = (after.cpu - before.cpu).as_secs_f64() / self.rest.as_secs_f64() * 100.0;
        report.row("CPU", share, "% of a core", Some(Aim::AtMost(0.2)));
        let note = format!("of which {:.1} MB heap and stacks", after.anonymous as f64 / MEGABYTE);
        let resident = after.resident as f64 / MEGABYTE;
        report.row_with("memory", resident, "MB", Some(Aim::AtMost(40.0)), &note);
        Ok(after.resident)
    }

    /// With many pods; `empty` bytes were resident without them. Gives the server that was started with them.
    async fn at_scale(&self, child: Child, empty: u64, report: &mut Report) -> Result<Child> {
        let crowd = Crowd::new(&child, self.connections, self.at_once, &self.clock).await?;
        writes::fill(&crowd, self.pods).await?;
        lists::measure(&child, self.pods, &self.clock, report).await?;
        watches::measure(&crowd, &self.clock, self.changes, report).await?;
        let all = crowd.connections[0].drain(Ask::get("/api/v1/pods").accepting(PROTOBUF)).await?;
        drop(crowd);
        child.stop().await?;
        let child = self.start().await?;
        let connection = child.connect(Who::Administrator).await?;
        let count = pods_of(&connection).await?;
        self.clock.sleep(SETTLE).await;
        let (resident, size) = (child.usage()?.resident, all as f64 / count as f64);
        report.section(&format!("{count} pods of {size:.0} bytes in protobuf"));
        report.row("ready, again", child.ready_after.as_secs_f64() * 1e3, "ms", None);
        let each = resident.saturating_sub(empty) as f64 / count as f64;
        report.row("memory of a pod", each, "bytes", Some(Aim::AtMost(1.3 * size + 300.0)));
        Ok(child)
    }

    /// Half of the writes over what a file has already were durable within this time, in microseconds.
    fn fdatasync(&self) -> Result<f64> {
        let path: &Path = &self.directory.join("fdatasync");
        let failed = || LoadError::of("the disk");
        let file = File::create(path).map_err(failed())?;
        file.write_all_at(&vec![0; 4096 * SYNCS as usize], 0).and_then(|()| file.sync_all()).map_err(failed())?;
        let mut took = Vec::new();
        for page in 0..SYNCS {
            let began = self.clock.instant();
            file.write_all_at(&[7; 4096], page * 4096).and_then(|()| file.sync_data()).map_err(failed())?;
            took.push((self.clock.instant() - began).as_secs_f64() * 1e6);
        }
        std::fs::remove_file(path).map_err(failed())?;
        took.sort_unstable_by(f64::total_cmp);
        Ok(took[took.len() / 2])
    }
}

/// How many pods there are.
async fn pods_of(connection: &super::connection::Connection) -> Result<u64> {
    let list = connection.expect(Ask::get("/api/v1/pods?limit=1")).await?;
    let list: Value = serde_json::from_slice(&list).map_err(LoadError::of("a list"))?;
    Ok(list["metadata"]["remainingItemCount"].as_u64().unwrap_or(0) + 1)
}
