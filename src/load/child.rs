//! The server's process: started, asked of the kernel what it used, ended.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child as Process, Command};
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::connection::{Ask, Connection};
use super::error::{LoadError, Result};
use crate::base::clock::Clock;

/// Who comes, with a token of the server's file; it listens on the loopback address, for the time of a measurement.
#[derive(Clone, Copy, Debug)]
pub enum Who {
    Administrator,
    /// A user like any other.
    Flooder,
    /// An account of the system's own namespace.
    System,
    Node,
}

impl Who {
    const ALL: [Self; 4] = [Self::Administrator, Self::Flooder, Self::System, Self::Node];

    pub fn name(self) -> &'static str {
        match self {
            Self::Administrator => "bench",
            Self::Flooder => "bench-flooder",
            Self::System => "system:serviceaccount:kube-system:bench",
            Self::Node => "system:node:bench-overload",
        }
    }

    fn groups(self) -> &'static str {
        match self {
            Self::Administrator => "system:masters",
            Self::Flooder => "",
            Self::System => "system:serviceaccounts,system:serviceaccounts:kube-system",
            Self::Node => "system:nodes",
        }
    }

    fn token(self) -> String {
        format!("token-of-{}", self.name())
    }
}
/// The kernel tells a process's time in hundredths of a second, whatever the machine.
const TICK: Duration = Duration::from_millis(10);

/// A running server of this program.
pub struct Child {
    process: Process,
    pid: u32,
    address: SocketAddr,
    tls: Arc<ClientConfig>,
    /// From the start of the process to the first answer 200 of `/readyz`.
    pub ready_after: Duration,
}

/// What the process has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Of all its threads, in the kernel too.
    pub cpu: Duration,
    /// Bytes in memory.
    pub resident: u64,
    /// Of those, what is not backed by a file: heap and stacks.
    pub anonymous: u64,
    /// The most that was resident since [`Child::forget_peak`].
    pub peak: u64,
}

impl Child {
    /// Starts `program server` in the directory, which may be empty, and waits until it is ready.
    pub async fn start(program: &Path, directory: &Path, flags: &[String], clock: &Clock) -> Result<Self> {
        let tokens = directory.join("tokens.csv");
        let line = |who: Who| format!("{},{},{},\"{}\"\n", who.token(), who.name(), who.name(), who.groups());
        std::fs::write(&tokens, Who::ALL.map(line).concat()).map_err(LoadError::of("tokens.csv"))?;
        let began = clock.instant();
        let mut process = Command::new(program)
            .args(["server", "--bind-address=127.0.0.1", "--secure-port=0", "--data-dir"])
            .arg(directory.join("data"))
            .arg("--token-auth-file")
            .arg(&tokens)
            .args(flags)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(LoadError::of("cannot start the server"))?;
        let pid = process.id().unwrap_or(0);
        let said = process.stdout.take().map(BufReader::new);
        let mut line = String::new();
        if let Some(mut said) = said {
            said.read_line(&mut line).await.map_err(LoadError::of("the server's line"))?;
        }
        let address = line.trim().strip_prefix("ready https://").and_then(|text| text.parse().ok());
        let address = address.ok_or_else(|| LoadError::Failed("the server does not start", line.clone()))?;
        let tls = trust(&directory.join("data/pki/ca.crt"))?;
        let mut child = Self { process, pid, address, tls, ready_after: Duration::ZERO };
        child.connect(Who::Administrator).await?.expect(Ask::get("/readyz")).await?;
        child.ready_after = clock.instant() - began;
        Ok(child)
    }

    /// A new connection of this client's.
    pub async fn connect(&self, who: Who) -> Result<Connection> {
        Connection::open(self.address, self.tls.clone(), &who.token()).await
    }

    /// What the process has used until now.
    pub fn usage(&self) -> Result<Usage> {
        let read = |file: &str| {
            std::fs::read_to_string(self.file(file)).map_err(LoadError::of("cannot read the server's /proc"))
        };
        let (stat, status) = (read("stat")?, read("status")?);
        // The command's name stands in parentheses and may hold anything; what follows is numbers.
        let numbers: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
        let ticks = |at: usize| numbers.get(at).and_then(|n| n.parse::<u32>().ok()).unwrap_or(0);
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("");
            line.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) * 1024
        };
        Ok(Usage {
            cpu: TICK * (ticks(11) + ticks(12)),
            resident: bytes("VmRSS:"),
            anonymous: bytes("RssAnon:"),
            peak: bytes("VmHWM:"),
        })
    }

    /// The peak begins anew, at what is resident now.
    pub fn forget_peak(&self) -> Result<()> {
        std::fs::write(self.file("clear_refs"), "5").map_err(LoadError::of("cannot reset the server's peak"))
    }

    /// Asks it to end (SIGTERM), and waits until it has.
    pub async fn stop(mut self) -> Result<()> {
        let asked = Command::new("kill").arg(self.pid.to_string()).status().await;
        asked.map_err(LoadError::of("cannot ask the server to end"))?;
        self.process.wait().await.map_err(LoadError::of("the server does not end"))?;
        Ok(())
    }

    fn file(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.pid))
    }
}

/// Trusts the server's own authority, and speaks HTTP/2 only.
fn trust(authority: &Path) -> Result<Arc<ClientConfig>> {
    let failed = || LoadError::of("the server's authority");
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(authority).map_err(failed())?;
    roots.add(certificate).map_err(LoadError::of("the server's authority"))?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(LoadError::of("TLS"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}
