//! All integration tests in one binary, so that linking stays cheap.

mod oracle;
mod oracle_fields;
mod store;
mod tidy;
