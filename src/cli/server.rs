//! `monokube server`: starts a plane, says that it is ready, and ends it when it is told to.

use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use super::run::{log, say};
use crate::assemble::plane::{Plane, StartError};
use crate::config::flags::Flags;

/// Until SIGTERM or SIGINT.
pub fn run(flags: &Flags) -> ExitCode {
    log(flags.v);
    dump_nothing();
    super::run::run(serve(flags))
}

/// A dump of this process' memory would have every key and token in it. Who wants one raises the limit (`prlimit`).
fn dump_nothing() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Core);
    if let Err(error) = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum }) {
        tracing::warn!(%error, "cannot forbid dumps of memory");
    }
}

async fn serve(flags: &Flags) -> Result<(), StartError> {
    let plane = Plane::start(flags).await?;
    let (terminated, interrupted) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    let (Ok(mut terminated), Ok(mut interrupted)) = (terminated, interrupted) else {
        return Err(StartError::Flag("cannot listen for signals".into()));
    };
    // The one line on stdout: whoever started this waits for it.
    say(&format!("ready https://{}\n", plane.address));
    notify("READY=1");
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
    notify("STOPPING=1");
    plane.stop().await;
    Ok(())
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
