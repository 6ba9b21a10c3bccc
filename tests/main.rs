//! All integration tests in one binary, so that linking stays cheap.

mod documented;
mod fuzz;
mod nodes;
mod oracle;
mod server;
mod store;
mod tidy;
