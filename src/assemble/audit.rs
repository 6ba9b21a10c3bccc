//! Audit as the flags ask for it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::core::span;
use super::plane::StartError;
use crate::audit::backend::{Backend, Deliver, Format, Mode};
use crate::audit::batch::{Bounds, Buffer, Throttle};
use crate::audit::file::{Options, Tail};
use crate::audit::load;
use crate::audit::log::Log;
use crate::audit::metrics::Metrics;
use crate::audit::recorder::Audit;
use crate::audit::webhook::Webhook;
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::base::tasks::Tasks;
use crate::config::audit::{AuditFlags, BackendFlags};
use crate::model::field::aggregate;

const MEGABYTE: u64 = 1 << 20;
/// How long the end of the server waits for the log to be written.
const LAST_WRITES: Duration = Duration::from_secs(10);

/// Starts the backends. They end after all that is started later, and with everything delivered.
pub fn audit(flags: &AuditFlags, clock: &Clock, entropy: &Entropy, tasks: &Tasks) -> Result<Audit, StartError> {
    let errors = flags.errors();
    if !errors.is_empty() {
        return Err(StartError::Flag(aggregate(errors.into_iter().map(Into::into))));
    }
    let given = |path: &Option<PathBuf>| path.clone().filter(|path| !path.as_os_str().is_empty());
    let policy = given(&flags.audit_policy_file).map(|path| load::load(&path)).transpose().map_err(StartError::Flag)?;
    let metrics = Metrics::new(clock);
    let mut backends = Vec::new();
    if let Some(path) = given(&flags.audit_log_path) {
        // Without a policy the file is made all the same, as in stock.
        let tail = Tail::create(options(flags, path.clone()), clock)
            .map_err(|error| StartError::Flag(format!("ensureLogFile: open {}: {error}", path.display())))?;
        if policy.is_some() {
            let log = log(tail, path, &metrics, tasks)?;
            let format = if flags.audit_log_format == "legacy" { Format::Legacy } else { Format::Json };
            backends.push(backend(&flags.log(), format, Arc::new(log), (&metrics, clock, tasks))?);
        }
    }
    if let Some(kubeconfig) = given(&flags.audit_webhook_config_file).filter(|_| policy.is_some()) {
        let wait = span("--audit-webhook-initial-backoff", &flags.audit_webhook_initial_backoff)?;
        let webhook = Webhook::new(&kubeconfig, wait, &metrics, clock, entropy)
            .map_err(|why| StartError::Flag(format!("initializing audit webhook: {why}")))?;
        backends.push(backend(&flags.webhook(), Format::Json, Arc::new(webhook), (&metrics, clock, tasks))?);
    }
    match policy {
        Some(policy) if !backends.is_empty() => Ok(Audit::new(policy, backends, metrics, clock)),
        _ => Ok(Audit::default()),
    }
}

fn options(flags: &AuditFlags, path: PathBuf) -> Options {
    Options {
        path,
        longest: flags.audit_log_maxsize as u64 * MEGABYTE,
        days: u32::try_from(flags.audit_log_maxage).unwrap_or(0),
        backups: flags.audit_log_maxbackup as usize,
        compress: flags.audit_log_compress,
    }
}

fn log(tail: Tail, path: PathBuf, metrics: &Metrics, tasks: &Tasks) -> Result<Log, StartError> {
    let (log, ended) = Log::start(tail, metrics).map_err(|error| StartError::File(path, error))?;
    let closing = log.clone();
    tasks.start("audit-log", |stop| async move {
        stop.cancelled().await;
        closing.close();
        if tokio::time::timeout(LAST_WRITES, ended).await.is_err() {
            closing.give_up();
        }
    });
    Ok(log)
}

/// A backend with its buffer, if it has one.
fn backend(
    flags: &BackendFlags<'_>,
    format: Format,
    deliver: Arc<dyn Deliver>,
    (metrics, clock, tasks): (&Metrics, &Clock, &Tasks),
) -> Result<Backend, StartError> {
    let mode = match flags.mode {
        "blocking" => Mode::Blocking(deliver),
        "blocking-strict" => Mode::BlockingStrict(deliver),
        _ => {
            let (buffer, worker) = Buffer::new(bounds(flags)?, deliver, metrics, clock);
            tasks.start("audit-batch", |stop| worker.run(stop));
            Mode::Batch(buffer)
        }
    };
    let longest = flags.truncate.then_some(flags.truncate_max_event_size as usize);
    Ok(Backend { mode, format, longest, metrics: metrics.clone() })
}

fn bounds(flags: &BackendFlags<'_>) -> Result<Bounds, StartError> {
    let throttle = || Throttle { rate: flags.throttle_qps, burst: flags.throttle_burst as usize };
    Ok(Bounds {
        waiting: flags.buffer_size as usize,
        batch: flags.max_size as usize,
        batch_bytes: if flags.truncate { flags.truncate_max_batch_size as usize } else { usize::MAX },
        wait: span(&format!("--audit-{}-batch-max-wait", flags.plugin), flags.max_wait).unwrap_or(Duration::ZERO),
        throttle: flags.throttle.then(throttle),
        overlap: flags.plugin == "webhook",
    })
}
