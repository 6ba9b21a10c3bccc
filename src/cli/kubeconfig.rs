//! `monokube kubeconfig`: the administrator's, or one for another user, issued by the authority in the data directory.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::run::{self, failed, say};
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::pki::authority::Wanted;
use crate::pki::folder;
use crate::pki::kubeconfig::Kubeconfig;
use crate::remote::access::Access;

/// What is to be issued; without any of these options, admin.kubeconfig is printed as it is.
#[derive(Args)]
pub struct Options {
    /// The server's data directory.
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub data_dir: PathBuf,
    /// Who it is for.
    #[arg(long, value_name = "NAME", default_value = "kubernetes-admin")]
    pub user: String,
    /// The user's groups; for kubernetes-admin system:masters by default.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub group: Vec<String>,
    /// How the server is reached; by default as admin.kubeconfig says.
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// How long it is valid: 8h, 24h, ...; a year by default.
    #[arg(long, value_name = "DURATION", value_parser = run::span)]
    pub ttl: Option<Duration>,
}

const ADMIN: &str = "kubernetes-admin";

pub fn run(options: &Options) -> ExitCode {
    match print(options) {
        Ok(text) => {
            say(&text);
            ExitCode::SUCCESS
        }
        Err(error) => failed(error),
    }
}

fn print(options: &Options) -> Result<String, String> {
    let path = options.data_dir.join("admin.kubeconfig");
    let as_it_is =
        options.user == ADMIN && options.group.is_empty() && options.server.is_none() && options.ttl.is_none();
    if as_it_is {
        return std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()));
    }
    let server = match &options.server {
        Some(server) => server.clone(),
        None => Access::from_kubeconfig(&path).map_err(|error| error.to_string())?.server.to_string(),
    };
    issue(options, &server, &Clock::machine(), &Entropy::machine()).map_err(|error| error.to_string())
}

fn issue(
    options: &Options,
    server: &str,
    clock: &Clock,
    entropy: &Entropy,
) -> Result<String, crate::pki::error::PkiError> {
    let authority = folder::authority(&options.data_dir.join("pki"))?;
    let mut groups: Vec<&str> = options.group.iter().map(String::as_str).collect();
    if groups.is_empty() && options.user == ADMIN {
        groups.push("system:masters");
    }
    let wanted = Wanted { common_name: &options.user, organizations: &groups, life: options.ttl, ..Wanted::default() };
    let leaf = authority.issue(&wanted, clock, entropy)?;
    let pem = authority.to_pem()?;
    Kubeconfig { cluster: "monokube", server, authority: &pem, user: &options.user }.with_certificate(&leaf)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::folder::{Pki, Serving};
    use crate::remote::access::Credential;
    use clap::Parser;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        options: Options,
    }

    #[tokio::test(start_paused = true)]
    async fn another_user_gets_a_certificate_of_the_clusters_authority() {
        let folder = tempfile::tempdir().expect("a folder");
        let (clock, entropy) =
            (Clock::starting_at("2026-01-01T00:00:00Z".parse().expect("a time")), Entropy::seeded(1));
        Pki::open(&folder.path().join("pki"), &Serving::default(), &clock, &entropy).expect("a pki");
        let line = format!(
            "kubeconfig --data-dir {} --user jane --group dev,ops --server https://h:1 --ttl 8h",
            folder.path().display()
        );
        let options = Program::parse_from(line.split(' ')).options;
        let text = issue(&options, "https://h:1", &clock, &entropy).expect("a kubeconfig");
        let path = folder.path().join("jane");
        std::fs::write(&path, text).expect("written");
        let access = Access::from_kubeconfig(&path).expect("read");
        let Credential::Certificate(leaf) = access.credential() else { panic!("no certificate") };
        let certificate = leaf.certificate();
        assert_eq!((&*access.server, certificate.subject.common_name.as_str()), ("https://h:1", "jane"));
        assert_eq!(certificate.subject.organizations, ["dev", "ops"]);
        assert_eq!(certificate.not_after.to_string(), "2026-01-01T08:00:00Z");
    }
}
