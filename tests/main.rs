//! All integration tests in one binary, so that linking stays cheap.

mod oracle;
mod store;
mod tidy;
