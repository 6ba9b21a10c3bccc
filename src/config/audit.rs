//! Flags about audit, as kube-apiserver has them.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use crate::model::duration::Duration as GoDuration;

/// Names of a backend's modes.
pub const MODES: [&str; 3] = ["batch", "blocking", "blocking-strict"];
const FORMATS: [&str; 2] = ["legacy", "json"];
const VERSION: &str = "audit.k8s.io/v1";

/// What is recorded of requests, and where.
#[derive(Args, Clone, Debug)]
pub struct AuditFlags {
    /// What to record: a file of kind Policy (audit.k8s.io/v1). Without it nothing is.
    #[arg(long, value_name = "FILE")]
    pub audit_policy_file: Option<PathBuf>,
    /// Where to append audit events; - is stdout.
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    pub audit_log_path: Option<PathBuf>,
    /// How many days old audit logs are kept; 0: for ever.
    #[arg(long, value_name = "DAYS", default_value_t = 366, allow_negative_numbers = true)]
    pub audit_log_maxage: i64,
    /// How many old audit logs are kept; 0: all.
    #[arg(long, value_name = "COUNT", default_value_t = 100, allow_negative_numbers = true)]
    pub audit_log_maxbackup: i64,
    /// Megabytes of an audit log before the next one is begun; 0: it is never.
    #[arg(long, value_name = "MEGABYTES", default_value_t = 100, allow_negative_numbers = true)]
    pub audit_log_maxsize: i64,
    /// json, or legacy: one line of text an event.
    #[arg(long, value_name = "FORMAT", default_value = "json")]
    pub audit_log_format: String,
    /// Whether old audit logs are packed with gzip.
    #[arg(long, default_value_t = false, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub audit_log_compress: bool,
    /// The API version of logged events.
    #[arg(long, value_name = "VERSION", default_value = VERSION)]
    pub audit_log_version: String,
    /// Whether requests wait for their events: batch, blocking, blocking-strict.
    #[arg(long, value_name = "MODE", default_value = "blocking")]
    pub audit_log_mode: String,
    /// Events that wait to be logged at most, in mode batch.
    #[arg(long, value_name = "EVENTS", default_value_t = 10_000, allow_negative_numbers = true)]
    pub audit_log_batch_buffer_size: i64,
    /// Events of a batch at most.
    #[arg(long, value_name = "EVENTS", default_value_t = 1, allow_negative_numbers = true)]
    pub audit_log_batch_max_size: i64,
    /// How long a batch waits to be full.
    #[arg(long, value_name = "DURATION", default_value = "0s")]
    pub audit_log_batch_max_wait: String,
    /// Whether batches are held back to a rate.
    #[arg(long, default_value_t = false, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub audit_log_batch_throttle_enable: bool,
    /// Batches a second on average.
    #[arg(long, value_name = "RATE", default_value_t = 0.0, allow_negative_numbers = true)]
    pub audit_log_batch_throttle_qps: f64,
    /// Batches at once.
    #[arg(long, value_name = "COUNT", default_value_t = 0, allow_negative_numbers = true)]
    pub audit_log_batch_throttle_burst: i64,
    /// Whether long events lose their objects.
    #[arg(long, default_value_t = false, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub audit_log_truncate_enabled: bool,
    /// Bytes of a batch at most.
    #[arg(long, value_name = "BYTES", default_value_t = 10_485_760, allow_negative_numbers = true)]
    pub audit_log_truncate_max_batch_size: i64,
    /// Bytes of an event at most.
    #[arg(long, value_name = "BYTES", default_value_t = 102_400, allow_negative_numbers = true)]
    pub audit_log_truncate_max_event_size: i64,
    /// Where to send audit events: a kubeconfig.
    #[arg(long, value_name = "FILE")]
    pub audit_webhook_config_file: Option<PathBuf>,
    /// How long to wait before a request that failed is sent again.
    #[arg(long, value_name = "DURATION", default_value = "10s", alias = "audit-webhook-batch-initial-backoff")]
    pub audit_webhook_initial_backoff: String,
    /// The API version of sent events.
    #[arg(long, value_name = "VERSION", default_value = VERSION)]
    pub audit_webhook_version: String,
    /// Whether requests wait for their events: batch, blocking, blocking-strict.
    #[arg(long, value_name = "MODE", default_value = "batch")]
    pub audit_webhook_mode: String,
    /// Events that wait to be sent at most, in mode batch.
    #[arg(long, value_name = "EVENTS", default_value_t = 10_000, allow_negative_numbers = true)]
    pub audit_webhook_batch_buffer_size: i64,
    /// Events of a batch at most.
    #[arg(long, value_name = "EVENTS", default_value_t = 400, allow_negative_numbers = true)]
    pub audit_webhook_batch_max_size: i64,
    /// How long a batch waits to be full.
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    pub audit_webhook_batch_max_wait: String,
    /// Whether batches are held back to a rate.
    #[arg(long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub audit_webhook_batch_throttle_enable: bool,
    /// Batches a second on average.
    #[arg(long, value_name = "RATE", default_value_t = 10.0, allow_negative_numbers = true)]
    pub audit_webhook_batch_throttle_qps: f64,
    /// Batches at once.
    #[arg(long, value_name = "COUNT", default_value_t = 15, allow_negative_numbers = true)]
    pub audit_webhook_batch_throttle_burst: i64,
    /// Whether long events lose their objects.
    #[arg(long, default_value_t = false, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub audit_webhook_truncate_enabled: bool,
    /// Bytes of a batch at most.
    #[arg(long, value_name = "BYTES", default_value_t = 10_485_760, allow_negative_numbers = true)]
    pub audit_webhook_truncate_max_batch_size: i64,
    /// Bytes of an event at most.
    #[arg(long, value_name = "BYTES", default_value_t = 102_400, allow_negative_numbers = true)]
    pub audit_webhook_truncate_max_event_size: i64,
}

/// What the flags say of one backend alike.
#[derive(Clone, Copy, Debug)]
pub struct BackendFlags<'a> {
    /// `log` or `webhook`.
    pub plugin: &'static str,
    pub version: &'a str,
    pub mode: &'a str,
    pub buffer_size: i64,
    pub max_size: i64,
    pub max_wait: &'a str,
    pub throttle: bool,
    pub throttle_qps: f64,
    pub throttle_burst: i64,
    pub truncate: bool,
    pub truncate_max_batch_size: i64,
    pub truncate_max_event_size: i64,
}

impl AuditFlags {
    pub fn log(&self) -> BackendFlags<'_> {
        BackendFlags {
            plugin: "log",
            version: &self.audit_log_version,
            mode: &self.audit_log_mode,
            buffer_size: self.audit_log_batch_buffer_size,
            max_size: self.audit_log_batch_max_size,
            max_wait: &self.audit_log_batch_max_wait,
            throttle: self.audit_log_batch_throttle_enable,
            throttle_qps: self.audit_log_batch_throttle_qps,
            throttle_burst: self.audit_log_batch_throttle_burst,
            truncate: self.audit_log_truncate_enabled,
            truncate_max_batch_size: self.audit_log_truncate_max_batch_size,
            truncate_max_event_size: self.audit_log_truncate_max_event_size,
        }
    }

    pub fn webhook(&self) -> BackendFlags<'_> {
        BackendFlags {
            plugin: "webhook",
            version: &self.audit_webhook_version,
            mode: &self.audit_webhook_mode,
            buffer_size: self.audit_webhook_batch_buffer_size,
            max_size: self.audit_webhook_batch_max_size,
            max_wait: &self.audit_webhook_batch_max_wait,
            throttle: self.audit_webhook_batch_throttle_enable,
            throttle_qps: self.audit_webhook_batch_throttle_qps,
            throttle_burst: self.audit_webhook_batch_throttle_burst,
            truncate: self.audit_webhook_truncate_enabled,
            truncate_max_batch_size: self.audit_webhook_truncate_max_batch_size,
            truncate_max_event_size: self.audit_webhook_truncate_max_event_size,
        }
    }

    /// What is wrong with the flags, in stock's words.
    pub fn errors(&self) -> Vec<String> {
        let mut errors = Vec::new();
        if self.audit_log_path.as_ref().is_some_and(|path| !path.as_os_str().is_empty()) {
            self.log().check(&mut errors);
            if !FORMATS.contains(&self.audit_log_format.as_str()) {
                let (format, allowed) = (&self.audit_log_format, FORMATS.join(","));
                errors.push(format!("invalid audit log format {format}, allowed formats are \"{allowed}\""));
            }
            for (flag, value) in [
                ("maxage", self.audit_log_maxage),
                ("maxbackup", self.audit_log_maxbackup),
                ("maxsize", self.audit_log_maxsize),
            ] {
                if value < 0 {
                    errors.push(format!("--audit-log-{flag} {value} can't be a negative number"));
                }
            }
        }
        if self.audit_webhook_config_file.as_ref().is_some_and(|path| !path.as_os_str().is_empty()) {
            self.webhook().check(&mut errors);
            if let Err(why) = GoDuration::parse(&self.audit_webhook_initial_backoff) {
                errors.push(format!("--audit-webhook-initial-backoff: {why}"));
            }
        }
        errors
    }
}

impl BackendFlags<'_> {
    fn check(&self, errors: &mut Vec<String>) {
        let plugin = self.plugin;
        errors.extend(self.batch_error());
        let (event, batch) = (self.truncate_max_event_size, self.truncate_max_batch_size);
        if event <= 0 {
            errors.push(format!("invalid audit truncate {plugin} max event size {event}, must be a positive number"));
        } else if batch < event {
            errors.push(format!(
                "invalid audit truncate {plugin} max batch size {batch}, must be greater than max event size ({event})"
            ));
        }
        if self.version != VERSION {
            errors.push(format!("invalid group version, allowed versions are [{VERSION:?}]"));
        }
        if let Err(why) = GoDuration::parse(self.max_wait) {
            errors.push(format!("--audit-{plugin}-batch-max-wait: {why}"));
        }
    }

    fn batch_error(&self) -> Option<String> {
        let (plugin, mode) = (self.plugin, self.mode);
        if !MODES.contains(&mode) {
            return Some(format!("invalid audit {plugin} mode {mode}, allowed modes are \"{}\"", MODES.join(",")));
        }
        if mode != "batch" {
            return None;
        }
        let wrong = |what: &str, value: &dyn std::fmt::Display| {
            Some(format!("invalid audit batch {plugin} {what} {value}, must be a positive number"))
        };
        match self {
            _ if self.buffer_size <= 0 => wrong("buffer size", &self.buffer_size),
            _ if self.max_size <= 0 => wrong("max batch size", &self.max_size),
            _ if !self.throttle => None,
            _ if self.throttle_qps <= 0.0 => wrong("throttle QPS", &self.throttle_qps),
            _ if self.throttle_burst <= 0 => wrong("throttle burst", &self.throttle_burst),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        flags: AuditFlags,
    }

    fn errors(line: &str) -> Vec<String> {
        let words = std::iter::once("monokube").chain(line.split(' ').filter(|word| !word.is_empty()));
        Program::try_parse_from(words).unwrap_or_else(|error| panic!("{line}: {error}")).flags.errors()
    }

    #[test]
    fn what_a_backend_cannot_do_is_told_in_stocks_words() {
        assert_eq!(errors(""), Vec::<String>::new());
        assert_eq!(errors("--audit-log-maxage=-1"), Vec::<String>::new(), "there is no log");
        for (line, expected) in [
            ("--audit-log-path - --audit-log-maxage=-1", "--audit-log-maxage -1 can't be a negative number"),
            (
                "--audit-log-path=- --audit-log-format=xml",
                "invalid audit log format xml, allowed formats are \"legacy,json\"",
            ),
            (
                "--audit-log-path=a --audit-log-mode=never",
                "invalid audit log mode never, allowed modes are \"batch,blocking,blocking-strict\"",
            ),
            (
                "--audit-log-path=a --audit-log-truncate-max-event-size=10 --audit-log-truncate-max-batch-size=5",
                "invalid audit truncate log max batch size 5, must be greater than max event size (10)",
            ),
            (
                "--audit-webhook-config-file=a --audit-webhook-batch-buffer-size=0",
                "invalid audit batch webhook buffer size 0, must be a positive number",
            ),
            (
                "--audit-webhook-config-file=a --audit-webhook-batch-throttle-qps=-0.5",
                "invalid audit batch webhook throttle QPS -0.5, must be a positive number",
            ),
            (
                "--audit-webhook-config-file=a --audit-webhook-version=audit.k8s.io/v1beta1",
                "invalid group version, allowed versions are [\"audit.k8s.io/v1\"]",
            ),
        ] {
            assert_eq!(errors(line), [expected], "{line}");
        }
        let unused = "--audit-webhook-config-file=a --audit-webhook-mode=blocking --audit-webhook-batch-max-size=0";
        assert_eq!(errors(unused), Vec::<String>::new());
    }
}
