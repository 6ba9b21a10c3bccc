//! `monokube snapshot`: the whole state to a file and back, from any store into any other.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::run::{self, say};
use crate::assemble::core::open_store;
use crate::assemble::plane::StartError;
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::config::flags::StoreFlags;
use crate::store::snapshot::{self, SnapshotError, Summary};

/// Keys that live for a time only.
const EVENTS: &str = "/registry/events/";

#[derive(Subcommand)]
pub enum Action {
    /// Save the state as of one revision: of an etcd, or of a data directory that no server has open.
    Save(Save),
    /// Restore a file into an empty etcd, or into a data directory without a store.
    Restore(Restore),
}

#[derive(Args)]
pub struct Save {
    #[command(flatten)]
    store: StoreFlags,
    /// Where to; readable by its owner only, since there are secrets in it.
    file: PathBuf,
}

#[derive(Args)]
pub struct Restore {
    #[command(flatten)]
    store: StoreFlags,
    /// Where from.
    file: PathBuf,
    /// How long restored Events live.
    #[arg(long, value_name = "DURATION", value_parser = run::span, default_value = "1h")]
    event_ttl: Duration,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{}: there is no store", .0.display())]
    Nothing(PathBuf),
    #[error(transparent)]
    Open(#[from] StartError),
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

pub fn run(action: &Action) -> ExitCode {
    match action {
        Action::Save(options) => run::run(report("saved", &options.file, save(&options.store, &options.file))),
        Action::Restore(options) => {
            let restored = restore(&options.store, &options.file, options.event_ttl);
            run::run(report("restored", &options.file, restored))
        }
    }
}

async fn report(what: &str, file: &Path, work: impl Future<Output = Result<Summary, Error>>) -> Result<(), Error> {
    let Summary { revision, entries } = work.await?;
    say(&format!("{what} {entries} keys of revision {} {}\n", revision.0, file.display()));
    Ok(())
}

async fn save(flags: &StoreFlags, file: &Path) -> Result<Summary, Error> {
    // To open a store makes it, and an empty snapshot would look like a good one.
    if flags.etcd_servers.is_empty() && !flags.embedded().is_dir() {
        return Err(Error::Nothing(flags.embedded()));
    }
    let (store, embedded) = open_store(flags, &Clock::machine(), &Entropy::machine()).await?;
    let saved = snapshot::save(&*store, file).await;
    if let Some(embedded) = embedded {
        embedded.close().await;
    }
    Ok(saved?)
}

async fn restore(flags: &StoreFlags, file: &Path, event_ttl: Duration) -> Result<Summary, Error> {
    // Before a store is made for it.
    snapshot::check(file).await?;
    let (store, embedded) = open_store(flags, &Clock::machine(), &Entropy::machine()).await?;
    let ttl = |key: &str| key.starts_with(EVENTS).then_some(event_ttl);
    let restored = snapshot::restore(file, &*store, ttl).await;
    if let Some(embedded) = embedded {
        embedded.close().await;
    }
    Ok(restored?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contract::{Commit, Expect};
    use clap::Parser;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        store: StoreFlags,
    }

    fn flags(folder: &Path, name: &str) -> StoreFlags {
        let data = folder.join(name).display().to_string();
        Program::parse_from(["monokube", "--data-dir", &data]).store
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_data_directory_moves_into_an_empty_one_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let (from, to, file) = (flags(folder.path(), "a"), flags(folder.path(), "b"), folder.path().join("saved"));
        let error = save(&from, &file).await.expect_err("no store").to_string();
        assert_eq!(error, format!("{}: there is no store", from.embedded().display()));

        let (clock, entropy) = (Clock::machine(), Entropy::machine());
        let (store, embedded) = open_store(&from, &clock, &entropy).await.expect("a store");
        for name in ["a", "b"] {
            store.commit(Commit::put(format!("/registry/pods/x/{name}"), Expect::Absent, "v")).await.expect("done");
        }
        let open = save(&from, &file).await.expect_err("in use").to_string();
        assert!(open.contains("store in use"), "{open}");
        embedded.expect("embedded").close().await;

        let saved = save(&from, &file).await.expect("saved");
        assert_eq!(saved.entries, 2);
        let hour = Duration::from_secs(3600);
        assert_eq!(restore(&to, &file, hour).await.expect("restored"), saved);
        let again = restore(&to, &file, hour).await.expect_err("not empty").to_string();
        assert_eq!(again, "the store to restore into is not empty");
        let (store, embedded) = open_store(&to, &clock, &entropy).await.expect("a store");
        let entry = store.get("/registry/pods/x/b").await.expect("read").expect("there");
        assert!(entry.revision > saved.revision);
        embedded.expect("embedded").close().await;

        std::fs::write(&file, b"monokube").expect("written");
        let none = flags(folder.path(), "c");
        assert!(restore(&none, &file, hour).await.is_err());
        assert!(!none.embedded().exists());
    }
}
