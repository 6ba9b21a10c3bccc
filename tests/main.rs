//! All integration tests in one binary, so that linking stays cheap.

mod fuzz;
mod nodes;
mod oracle;
mod server;
mod store;
mod tidy;
