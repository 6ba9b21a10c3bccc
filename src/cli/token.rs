//! `monokube token`: bootstrap tokens, made over the API as the administrator.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::run::{self, say};
use crate::auth::token::bootstrap_secret::BootstrapSecret;
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::nodes::invite::{JOINING, invite};
use crate::nodes::kubeadm::Cluster;
use crate::remote::access::Access;
use crate::remote::api::Api;
use crate::remote::error::RemoteError;
use crate::schema::catalog::Catalog;

#[derive(Subcommand)]
pub enum Action {
    /// Make a token and print it.
    Create(Create),
}

#[derive(Args)]
pub struct Create {
    /// The token, id.secret; by default a random one.
    token: Option<String>,
    /// The server's data directory, whose admin.kubeconfig is used.
    #[arg(long, value_name = "DIR", default_value = "data")]
    data_dir: PathBuf,
    /// Another kubeconfig.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// How long it is valid; 0 for ever.
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = run::span)]
    ttl: Duration,
    /// What it may be used for.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "signing,authentication")]
    usages: Vec<String>,
    /// The groups of its user, beside system:bootstrappers.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = JOINING)]
    groups: Vec<String>,
    /// What people should know of it.
    #[arg(long, value_name = "TEXT", default_value = "")]
    description: String,
    /// Print the command by which a machine joins with it, in place of the token.
    #[arg(long)]
    print_join_command: bool,
}

pub fn run(action: &Action) -> ExitCode {
    match action {
        Action::Create(options) => run::run(create(options)),
    }
}

async fn create(options: &Create) -> Result<(), RemoteError> {
    let path = options.kubeconfig.clone().unwrap_or_else(|| options.data_dir.join("admin.kubeconfig"));
    let access = Access::from_kubeconfig(&path)?;
    let api = Api::new(&access, &Arc::new(Catalog::builtin()), "monokube")?;
    let secret = options.secret(&Clock::machine(), &Entropy::machine()).map_err(RemoteError::Access)?;
    let cluster = Cluster::of(&api, &access).await?;
    cluster.publish(&api).await?;
    invite(&api, &secret).await?;
    let join = || cluster.join_command(&secret.token()).map_err(|why| RemoteError::Access(why.to_string()));
    let said = if options.print_join_command { join()? } else { secret.token() };
    say(&format!("{said}\n"));
    Ok(())
}

impl Create {
    fn secret(&self, clock: &Clock, entropy: &Entropy) -> Result<BootstrapSecret, String> {
        let mut secret = match &self.token {
            Some(token) => BootstrapSecret::given(token, entropy)?,
            None => BootstrapSecret::generate(entropy),
        };
        secret.expiration = match self.ttl {
            Duration::ZERO => None,
            ttl => Some(clock.now().checked_add(ttl).map_err(|error| format!("--ttl: {error}"))?),
        };
        let given = |list: &[String]| list.iter().filter(|item| !item.is_empty()).cloned().collect();
        secret.usages = given(&self.usages);
        secret.groups = given(&self.groups);
        secret.description = self.description.clone();
        secret.check().map(|()| secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        create: Create,
    }

    fn secret(line: &str) -> Result<BootstrapSecret, String> {
        let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().expect("a time"));
        Program::parse_from(line.split(' ')).create.secret(&clock, &Entropy::seeded(1))
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_valid_for_a_day_unless_said_otherwise() {
        let plain = secret("create").expect("a token");
        assert_eq!(plain.expiration.map(|at| at.to_string()).as_deref(), Some("2026-01-02T00:00:00Z"));
        assert_eq!((plain.usages.join(","), plain.groups.join(",")), ("signing,authentication".into(), JOINING.into()));
        let own = secret("create abcdef.0123456789abcdef --ttl 0 --usages signing --groups=").expect("a token");
        assert_eq!((own.token().as_str(), own.expiration), ("abcdef.0123456789abcdef", None));
        assert_eq!((own.usages.join(","), own.groups.len()), ("signing".into(), 0));
        assert!(secret("create --groups system:masters").is_err());
    }
}
