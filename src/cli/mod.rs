//! The commands of the program.
//!
//! In reading order: `server`.

pub mod server;

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
}

/// Runs the program; the exit code.
pub fn main() -> std::process::ExitCode {
    match Program::parse().command {
        Command::Server(flags) => server::run(&flags),
    }
}
