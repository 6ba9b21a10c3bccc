//! The commands of the program.
//!
//! In reading order: `run` (what all share), `server`, `kubeconfig`, `token`, `certs`, `snapshot`, `nodes`, `bench`.

pub mod bench;
pub mod certs;
pub mod kubeconfig;
pub mod nodes;
mod run;
pub mod server;
pub mod snapshot;
pub mod token;

use clap::{Parser, Subcommand};

/// A Kubernetes control plane in one process.
#[derive(Parser)]
#[command(name = "monokube", version)]
pub struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the control plane in the foreground.
    Server(Box<crate::config::flags::Flags>),
    /// Print a kubeconfig: the administrator's, or one issued for somebody else.
    Kubeconfig(kubeconfig::Options),
    /// Bootstrap tokens, by which nodes join.
    #[command(subcommand)]
    Token(token::Action),
    /// The server's certificates.
    #[command(subcommand)]
    Certs(certs::Action),
    /// The whole state in a file.
    #[command(subcommand)]
    Snapshot(snapshot::Action),
    /// Run simulated nodes, which join a server over its API.
    Nodes(Box<nodes::Options>),
    /// Measure what a control plane costs on this machine.
    Bench(bench::Flags),
}

/// Runs the program; the exit code.
pub fn main() -> std::process::ExitCode {
    match Program::parse().command {
        Command::Server(flags) => server::run(&flags),
        Command::Kubeconfig(options) => kubeconfig::run(&options),
        Command::Token(action) => token::run(&action),
        Command::Certs(action) => certs::run(&action),
        Command::Snapshot(action) => snapshot::run(&action),
        Command::Nodes(options) => nodes::run(&options),
        Command::Bench(flags) => bench::run(&flags),
    }
}
