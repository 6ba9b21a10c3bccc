//! What can be called in an expression: the tables of operators and functions, by name and by types.
//!
//! In reading order: `operators`, `functions`.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use super::types::Type;

mod functions;
mod operators;

/// (name, [(overload, arguments, result)]).
type Row = (&'static str, &'static [(&'static str, &'static str, &'static str)]);

/// Of expressions that make JSON patches.
const PATCHES: &[Row] = &[("jsonpatch.escapeKey", &[("string_jsonpatch_escapeKey_string", "string", "string")])];

pub struct Function {
    pub name: &'static str,
    pub overloads: Vec<Overload>,
}

/// One way to call a function.
pub struct Overload {
    pub id: &'static str,
    /// The first argument stands before the name.
    pub member: bool,
    pub args: Vec<Type>,
    pub result: Type,
    /// How many type parameters there are; they are numbered from 0.
    pub params: u32,
}

/// Type names that are values.
pub const TYPE_NAMES: [(&str, &str); 12] = [
    ("bool", "bool"),
    ("bytes", "bytes"),
    ("double", "double"),
    ("google.protobuf.Duration", "duration"),
    ("google.protobuf.Timestamp", "timestamp"),
    ("int", "int"),
    ("list", "list(dyn)"),
    ("map", "map(dyn, dyn)"),
    ("null_type", "null"),
    ("string", "string"),
    ("type", "type"),
    ("uint", "uint"),
];

/// The function of this name; `patches`: those of JSON patches too.
pub fn function(name: &str, patches: bool) -> Option<&'static Function> {
    static ALL: LazyLock<HashMap<&'static str, Function>> =
        LazyLock::new(|| operators::ROWS.iter().chain(functions::ROWS).map(|row| (row.0, read(row))).collect());
    static MORE: LazyLock<HashMap<&'static str, Function>> =
        LazyLock::new(|| PATCHES.iter().map(|row| (row.0, read(row))).collect());
    ALL.get(name).or_else(|| MORE.get(name).filter(|_| patches))
}

/// The names of all functions.
#[cfg(test)]
pub fn names() -> impl Iterator<Item = &'static str> {
    operators::ROWS.iter().chain(functions::ROWS).chain(PATCHES).map(|row| row.0)
}

fn read(row: &Row) -> Function {
    let overloads = row.1.iter().map(|(id, args, result)| {
        let mut letters = Vec::new();
        let (member, args) = args.strip_prefix('.').map_or((false, *args), |args| (true, args));
        let mut rest = args;
        let mut types = Vec::new();
        while !rest.is_empty() {
            types.push(ty(&mut rest, &mut letters));
            rest = rest.trim_start_matches(", ");
        }
        let result = ty(&mut &**result, &mut letters);
        Overload { id, member, args: types, result, params: letters.len() as u32 }
    });
    Function { name: row.0, overloads: overloads.collect() }
}

/// Reads a type's text, as far as it goes.
fn ty(text: &mut &'static str, letters: &mut Vec<&'static str>) -> Type {
    let end = text.find(['(', ')', ',']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    *text = rest;
    let mut params = Vec::new();
    if let Some(inner) = text.strip_prefix('(') {
        *text = inner;
        while !text.starts_with(')') {
            params.push(ty(text, letters));
            *text = text.trim_start_matches(", ");
        }
        *text = &text[1..];
    }
    let mut param = || params.pop().unwrap_or(Type::Dyn);
    match name {
        "bool" => Type::Bool,
        "bytes" => Type::Bytes,
        "double" => Type::Double,
        "duration" => Type::Duration,
        "dyn" => Type::Dyn,
        "int" => Type::Int,
        "null" => Type::Null,
        "string" => Type::String,
        "timestamp" => Type::Timestamp,
        "uint" => Type::Uint,
        "list" => Type::list(param()),
        "map" => {
            let value = param();
            Type::map(param(), value)
        }
        "type" => Type::Type(params.pop().map(Arc::new)),
        "optional_type" => Type::optional(param()),
        "net.IP" => Type::Opaque("net.IP", Arc::new([])),
        "net.CIDR" => Type::Opaque("net.CIDR", Arc::new([])),
        letter if letter.len() == 1 => {
            let at = letters.iter().position(|known| *known == letter).unwrap_or_else(|| {
                letters.push(letter);
                letters.len() - 1
            });
            Type::Param(at as u32)
        }
        other => Type::named(other),
    }
}

/// The type that a name stands for.
pub fn named_type(name: &str) -> Option<Type> {
    let (_, text) = TYPE_NAMES.iter().find(|(known, _)| *known == name)?;
    Some(ty(&mut &**text, &mut Vec::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read() {
        let shown = |name: &str| -> Vec<String> {
            let overloads = &function(name, true).expect(name).overloads;
            let show = |o: &Overload| {
                let args: Vec<_> = o.args.iter().map(Type::to_string).collect();
                format!("{} {} {} {}", o.member, args.join(" "), o.result, o.params)
            };
            overloads.iter().map(show).collect()
        };
        assert_eq!(shown("orValue"), ["true optional_type(_var0) _var0 _var0 1"]);
        assert_eq!(shown("cel.@mapInsert").len(), 2);
        assert_eq!(shown("getQuery"), ["true kubernetes.URL map(string, list(string)) 0"]);
        assert_eq!(shown("type"), ["false _var0 type(_var0) 1"]);
        assert_eq!(shown("optional.none"), ["false  optional_type(_var0) 1"]);
        assert!(function("jsonpatch.escapeKey", false).is_none());
    }
}
