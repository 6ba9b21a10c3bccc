//! `monokube server`: starts a plane, says that it is ready, and ends it when it is told to.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use crate::assemble::plane::Plane;
use crate::config::flags::Flags;

/// Until SIGTERM or SIGINT.
pub fn run(flags: &Flags) -> ExitCode {
    log(flags.v);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(error),
    };
    runtime.block_on(async {
        let plane = match Plane::start(flags).await {
            Ok(plane) => plane,
            Err(error) => return failed(error),
        };
        let (terminated, interrupted) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
        let (Ok(mut terminated), Ok(mut interrupted)) = (terminated, interrupted) else {
            return failed("cannot listen for signals");
        };
        // The one line on stdout: whoever started this waits for it.
        let _ = writeln!(std::io::stdout(), "ready https://{}", plane.address);
        notify("READY=1");
        tokio::select! {
            _ = terminated.recv() => {}
            _ = interrupted.recv() => {}
        }
        notify("STOPPING=1");
        plane.stop().await;
        ExitCode::SUCCESS
    })
}

fn failed(error: impl std::fmt::Display) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "monokube: {error}");
    ExitCode::FAILURE
}

/// Logs to stderr: warnings, and more the higher the level.
fn log(level: u8) {
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

/// Tells the service manager (systemd's `sd_notify`) what state this is in, where one listens.
fn notify(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let sent = std::os::unix::net::UnixDatagram::unbound().and_then(|socket| {
        use std::os::linux::net::SocketAddrExt as _;
        let text = path.to_string_lossy();
        match text.strip_prefix('@') {
            Some(name) => {
                let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
                socket.send_to_addr(state.as_bytes(), &address)
            }
            None => socket.send_to(state.as_bytes(), &path),
        }
    });
    if let Err(error) = sent {
        tracing::warn!(%error, "cannot notify the service manager");
    }
}
