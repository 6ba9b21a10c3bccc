//! `monokube certs`: what the pki folder holds, and how it is made anew. Keys of authorities are never touched.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::run::{failed, say};
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::pki::error::PkiError;
use crate::pki::folder::Serving;
use crate::pki::renewal::{self, Listed};

#[derive(Subcommand)]
pub enum Action {
    /// List files, subjects and when they expire.
    Show(Folder),
    /// Make certificates anew, with new keys, for the same names. A running server takes them when it starts again.
    Renew(Renew),
}

#[derive(Args)]
pub struct Folder {
    /// The server's data directory.
    #[arg(long, value_name = "DIR", default_value = "data")]
    data_dir: PathBuf,
}

#[derive(Args)]
pub struct Renew {
    #[command(flatten)]
    folder: Folder,
    /// Which: apiserver, apiserver-kubelet-client, front-proxy-client; by default all.
    names: Vec<String>,
}

pub fn run(action: &Action) -> ExitCode {
    let (clock, entropy) = (Clock::machine(), Entropy::machine());
    let done = match action {
        Action::Show(folder) => show(folder, &clock),
        Action::Renew(renew) => renew.run(&clock, &entropy),
    };
    match done {
        Ok(text) => {
            say(&text);
            ExitCode::SUCCESS
        }
        Err(error) => failed(error),
    }
}

fn show(folder: &Folder, clock: &Clock) -> Result<String, PkiError> {
    Ok(table(&renewal::list(&folder.data_dir.join("pki"))?, clock.now()))
}

impl Renew {
    fn run(&self, clock: &Clock, entropy: &Entropy) -> Result<String, PkiError> {
        let path = self.folder.data_dir.join("pki");
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let renewed = renewal::renew(&path, &names, &Serving::default(), clock, entropy)?;
        let mut listed = renewal::list(&path)?;
        listed.retain(|one| renewed.contains(&one.name));
        Ok(table(&listed, clock.now()))
    }
}

/// One line a certificate, in columns.
fn table(listed: &[Listed], now: Timestamp) -> String {
    let row = |one: &Listed| {
        let subject = &one.certificate.subject;
        let organizations = subject.organizations.iter().map(|name| format!(",O={name}")).collect::<String>();
        [
            format!("{}.crt", one.name),
            format!("CN={}{organizations}", subject.common_name),
            one.certificate.not_after.to_string(),
            format!("{}d", one.days_left(now)),
            one.authority.unwrap_or("").to_owned(),
        ]
    };
    let head = ["FILE", "SUBJECT", "EXPIRES", "LEFT", "AUTHORITY"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(head).chain(listed.iter().map(row)).collect();
    let widths: [usize; 5] = std::array::from_fn(|at| rows.iter().map(|row| row[at].len()).max().unwrap_or(0));
    let mut out = String::new();
    for row in &rows {
        let line = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}   ")).collect::<String>();
        let written = writeln!(out, "{}", line.trim_end());
        assert!(written.is_ok(), "a string takes every write");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::folder::Pki;

    #[tokio::test(start_paused = true)]
    async fn leaves_are_renewed_and_authorities_stay() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |time: &str| Clock::starting_at(time.parse().expect("a time"));
        let (early, late, entropy) = (at("2026-01-01T00:00:00Z"), at("2026-12-01T00:00:00Z"), Entropy::seeded(1));
        let serving = Serving::new("a", "cluster.local", &[], &[]);
        Pki::open(&folder.path().join("pki"), &serving, &early, &entropy).expect("a pki");
        let authority = std::fs::read(folder.path().join("pki/ca.crt")).expect("a file");
        let data = || Folder { data_dir: folder.path().to_owned() };
        let renewed = Renew { folder: data(), names: vec!["apiserver".into()] }.run(&late, &entropy).expect("renewed");
        assert_eq!(
            renewed,
            "FILE            SUBJECT             EXPIRES                LEFT   AUTHORITY\n\
             apiserver.crt   CN=kube-apiserver   2027-12-01T00:00:00Z   365d   ca\n"
        );
        let shown = show(&data(), &late).expect("shown");
        let lines: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(
            lines[2],
            [
                "apiserver-kubelet-client.crt",
                "CN=kube-apiserver-kubelet-client,O=kubeadm:cluster-admins",
                "2027-01-01T00:00:00Z",
                "31d",
                "ca"
            ]
        );
        assert_eq!(lines[4][..2], ["ca.crt", "CN=kubernetes"]);
        assert_eq!(std::fs::read(folder.path().join("pki/ca.crt")).expect("a file"), authority);
    }
}
