//! `monokube nodes`: simulated nodes, until they are told to end.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::run::{self, log, say};
use crate::auth::token::bootstrap_secret::BootstrapSecret;
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::nodes::fleet::Fleet;
use crate::nodes::invite::{JOINING, invite};
use crate::nodes::join::JoinError;
use crate::nodes::machine::{Capacity, MOST};
use crate::remote::access::{Access, Credential};
use crate::remote::api::Api;
use crate::remote::error::RemoteError;
use crate::schema::catalog::Catalog;

/// How long the token is valid that is made when none is given.
const TOKEN_LIFE: Duration = Duration::from_secs(3600);

/// By default the nodes join the server of the data directory, by a token made for them.
#[derive(Args)]
pub struct Options {
    /// How many.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST)))]
    count: u32,
    /// The data directory of the server, whose admin.kubeconfig is used to make a token.
    #[arg(long, value_name = "DIR", default_value = "data")]
    data_dir: PathBuf,
    /// Ask for certificates as this kubeconfig's user.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["server", "token", "ca"])]
    kubeconfig: Option<PathBuf>,
    /// Ask for certificates at this server, https://HOST:PORT.
    #[arg(long, value_name = "URL", requires = "token")]
    server: Option<String>,
    /// The bootstrap token to ask by.
    #[arg(long, value_name = "TOKEN", requires = "server")]
    token: Option<String>,
    /// Who certifies the server; by default whom the system trusts.
    #[arg(long, value_name = "FILE", requires = "server")]
    ca: Option<PathBuf>,
    /// Names begin with this; a number follows.
    #[arg(long, value_name = "PREFIX", default_value = "node-")]
    name_prefix: String,
    /// What each node has: cpu=8,memory=32Gi,pods=110,...
    #[arg(long, value_name = "AMOUNTS", default_value = "", value_parser = Capacity::parse)]
    capacity: Capacity,
    /// How chatty the log is.
    #[arg(short = 'v', long, value_name = "LEVEL", default_value_t = 0)]
    v: u8,
}

pub fn run(options: &Options) -> ExitCode {
    log(options.v);
    run::run(serve(options))
}

async fn serve(options: &Options) -> Result<(), JoinError> {
    let (clock, entropy) = (Clock::machine(), Entropy::machine());
    let access = options.access(&clock, &entropy).await?;
    let server = access.server.clone();
    let fleet = Fleet {
        count: options.count,
        prefix: options.name_prefix.clone(),
        capacity: options.capacity.clone(),
        access,
        clock,
        entropy,
    };
    let stop = CancellationToken::new();
    let (Ok(mut terminated), Ok(mut interrupted)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return Err(RemoteError::Access("cannot listen for signals".to_owned()).into());
    };
    let told = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminated.recv() => {}
            _ = interrupted.recv() => {}
        }
        told.cancel();
    });
    // The one line on stdout: whoever started this waits for it.
    fleet.run(stop, || say(&format!("joined {} nodes {server}\n", options.count))).await
}

impl Options {
    /// The server, and by what nodes ask for their certificates.
    async fn access(&self, clock: &Clock, entropy: &Entropy) -> Result<Access, RemoteError> {
        if let Some(path) = &self.kubeconfig {
            return Access::from_kubeconfig(path);
        }
        if let (Some(server), Some(token)) = (&self.server, &self.token) {
            let authority = self.ca.as_deref().map(text).transpose()?.unwrap_or_default();
            return Access::new(server, &authority, Credential::token(token));
        }
        let administrator = Access::from_kubeconfig(&self.data_dir.join("admin.kubeconfig"))?;
        let api = Api::new(&administrator, &Arc::new(Catalog::builtin()), "monokube")?;
        let mut secret = BootstrapSecret::generate(entropy);
        secret.expiration = clock.now().checked_add(TOKEN_LIFE).ok();
        secret.groups = vec![JOINING.to_owned()];
        secret.description = "simulated nodes".to_owned();
        invite(&api, &secret).await?;
        Ok(administrator.with(Credential::token(&secret.token())))
    }
}

fn text(path: &Path) -> Result<String, RemoteError> {
    std::fs::read_to_string(path).map_err(|error| RemoteError::Access(format!("{}: {error}", path.display())))
}
