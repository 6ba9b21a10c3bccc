//! `monokube bench`: measures a server of its own, and prints a table.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::load::trial::Trial;

/// Flags of `monokube bench`.
#[derive(Args, Clone, Debug)]
pub struct Flags {
    /// Where the measured server's data goes, in a directory that is made and removed; by default the system's
    /// temporary directory. Its disk decides how fast writes are durable.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Requests of each kind.
    #[arg(long, value_name = "NUMBER", default_value_t = 20_000)]
    count: usize,
    /// Requests at once.
    #[arg(long, value_name = "NUMBER", default_value_t = 64)]
    writers: usize,
    /// Connections that the requests are spread over.
    #[arg(long, value_name = "NUMBER", default_value_t = 8)]
    connections: usize,
    /// Requests of each client that goes on while another asks for ten times too much.
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000)]
    others: usize,
    /// Pods that lists show; 0 leaves lists, watches and memory out.
    #[arg(long, value_name = "NUMBER", default_value_t = 50_000)]
    pods: usize,
    /// Changes that each watcher sees.
    #[arg(long, value_name = "NUMBER", default_value_t = 500)]
    changes: usize,
    /// Seconds for which the server is watched at rest.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    rest: u64,
    /// Further flags of the server.
    #[arg(last = true, value_name = "FLAG")]
    server: Vec<String>,
}

/// The table on stdout, progress on stderr.
pub fn run(flags: &Flags) -> ExitCode {
    tracing_subscriber::fmt().without_time().with_target(false).with_writer(std::io::stderr).init();
    match measure(flags) {
        Ok(table) => {
            let _ = std::io::stdout().write_all(table.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "monokube: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(flags: &Flags) -> Result<String, Box<dyn std::error::Error>> {
    let place = flags.dir.clone().unwrap_or_else(std::env::temp_dir);
    let directory = place.join(format!("monokube-bench-{}", Entropy::machine().name_suffix()));
    std::fs::create_dir_all(&directory)?;
    let trial = Trial {
        program: std::env::current_exe()?,
        directory: directory.clone(),
        flags: flags.server.clone(),
        connections: flags.connections.max(1),
        at_once: flags.writers.max(1),
        count: flags.count.max(1),
        others: flags.others.max(1),
        pods: flags.pods,
        changes: flags.changes.max(1),
        rest: Duration::from_secs(flags.rest.max(1)),
        clock: Clock::machine(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(trial.run());
    std::fs::remove_dir_all(&directory)?;
    Ok(report?.to_string())
}
