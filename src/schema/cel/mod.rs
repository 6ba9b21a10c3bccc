//! CEL, the Common Expression Language, as Kubernetes uses it.
//!
//! In reading order: `source`, `token`, `literal`, `ast`, `parse`, `macros`, `syntax` (errors of the grammar), `stack`.

pub mod ast;
mod literal;
mod macros;
pub mod parse;
pub mod source;
mod stack;
mod syntax;
mod token;

