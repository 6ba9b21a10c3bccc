//! CEL, the Common Expression Language, as Kubernetes uses it: static types, costs known ahead, exact error texts.
//!
//! It owns the language and Kubernetes' libraries. It never knows what an expression is for: whoever has expressions
//! makes an `Env` of its variables, compiles `Program`s and runs them.
//!
//! In reading order: `program` (the way in: compile, estimate, run), `env` (what may be named), then the way of an
//! expression: `source`, `token`, `literal`, `ast`, `parse`, `macros`, `syntax` (errors of the grammar), `types`,
//! `unify`, `library` (what can be called), `check`, `cost` (estimated), `plan`, `eval`, `price` (as run); its values:
//! `value`, `typed` (of objects), `names`, `compare`, `time`, `native`, `formats`, `authorizer`, `functions`, `error`;
//! `stack`.

pub mod ast;
pub mod authorizer;
pub mod check;
mod compare;
pub mod cost;
pub mod env;
mod error;
pub mod eval;
mod formats;
mod functions;
mod library;
mod literal;
mod macros;
pub mod names;
mod native;
pub mod parse;
pub mod plan;
mod price;
pub mod program;
pub mod source;
mod stack;
mod syntax;
mod time;
mod token;
pub mod typed;
pub mod types;
mod unify;
pub mod value;

pub use error::Fault;
pub use functions::show;

/// Whether a text is a date as RFC 3339 writes one.
pub fn is_date(text: &str) -> bool {
    time::parse_date(text).is_some()
}
