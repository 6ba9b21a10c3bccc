//! How every command runs: a runtime, a log on stderr, and an exit code.

use std::fmt::Display;
use std::future::Future;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

/// Runs a command to its end; its error goes to stderr.
pub fn run<E: Display>(work: impl Future<Output = Result<(), E>>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(error),
    };
    match runtime.block_on(work) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(error),
    }
}

pub fn failed(error: impl Display) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "monokube: {error}");
    ExitCode::FAILURE
}

/// To stdout. Where nobody reads any more, nothing is to be said.
pub fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Logs to stderr: warnings, and more the higher the level.
pub fn log(level: u8) {
    let most = match level {
        0 => tracing::Level::WARN,
        1 => tracing::Level::INFO,
        2..=4 => tracing::Level::DEBUG,
        _ => tracing::Level::TRACE,
    };
    tracing_subscriber::fmt()
        .with_max_level(most)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}

/// A duration as Go writes it, not negative.
pub fn span(text: &str) -> Result<std::time::Duration, String> {
    let duration = crate::model::duration::Duration::parse(text)?;
    duration.to_std().ok_or_else(|| "must not be negative".to_owned())
}
