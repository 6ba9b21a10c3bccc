//! What the functions of expressions do. Which there are and what types they take, `library` says.
//!
//! In reading order: `operators`, `convert` (from type to type, sizes), `strings`, `format` (of `%s` and its kin),
//! `lists`, `optional`, `kubernetes` (addresses, quantities, versions, formats, the authorizer).

use super::error::Fault;
use super::plan::Invocation;
use super::value::{Result, Val};

mod convert;
mod format;
mod kubernetes;
mod lists;
mod operators;
mod optional;
mod strings;

pub use convert::show;
pub use format::check as check_format;

/// A function at work; it is told which one it is.
pub type Native = for<'a> fn(&Invocation, &[Val<'a>]) -> Result<Val<'a>>;

type Row = (&'static str, Native);

/// The function of this name and what it does.
pub fn find(name: &str) -> (&'static str, Native) {
    let tables = [operators::ROWS, convert::ROWS, strings::ROWS, lists::ROWS, optional::ROWS, kubernetes::ROWS];
    let found = tables.into_iter().flatten().find(|(known, _)| *known == name);
    found.copied().unwrap_or(("", |_, _| Err(Fault::overload())))
}

#[cfg(test)]
mod tests {
    use super::super::library;

    #[test]
    fn every_declared_function_is_there() {
        let special = ["_&&_", "_||_", "_?_:_", "@not_strictly_false", "_[_]", "_[?_]", "_?._"];
        let missing: Vec<_> =
            library::names().filter(|name| !special.contains(name) && super::find(name).0.is_empty()).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
