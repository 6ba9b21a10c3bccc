//! From type to type, sizes, and how values print.

use std::sync::Arc;

use super::super::error::Fault;
use super::super::plan::Invocation;
use super::super::time;
use super::super::value::{Result, Val};
use super::Row;

pub const ROWS: &[Row] = &[
    ("bool", to_bool),
    ("bytes", to_bytes),
    ("double", to_double),
    ("duration", to_duration),
    ("dyn", same),
    ("int", to_int),
    ("string", to_string),
    ("timestamp", to_timestamp),
    ("type", type_of),
    ("uint", to_uint),
    ("size", size),
    ("getDate", part),
    ("getDayOfMonth", part),
    ("getDayOfWeek", part),
    ("getDayOfYear", part),
    ("getFullYear", part),
    ("getHours", part),
    ("getMilliseconds", part),
    ("getMinutes", part),
    ("getMonth", part),
    ("getSeconds", part),
];

const INT: &str = "integer overflow";
const UINT: &str = "unsigned integer overflow";

/// The value as Go prints it, `%v`.
pub fn show(value: &Val<'_>) -> String {
    match value {
        Val::Null => "null".to_owned(),
        Val::Bool(flag) => flag.to_string(),
        Val::Int(number) => number.to_string(),
        Val::Uint(number) => number.to_string(),
        Val::Double(number) => double(*number),
        Val::String(text) => text.to_string(),
        Val::Timestamp(time) => time::print(*time),
        Val::Duration(nanos) => crate::model::duration::Duration(*nanos).to_string(),
        Val::Type(name) => name.to_string(),
        list if list.is_list() => {
            let items: Vec<_> = list.items().flatten().map(|item| show(&item)).collect();
            format!("[{}]", items.join(", "))
        }
        map if map.is_map() => {
            let entry = |key: &Val<'_>| {
                let value = map.entry(key).and_then(Result::ok).map(|value| show(&value)).unwrap_or_default();
                format!("{}: {value}", show(key))
            };
            let entries: Vec<_> = map.keys().iter().map(entry).collect();
            format!("{{{}}}", entries.join(", "))
        }
        other => other.type_name().to_owned(),
    }
}

/// As Go's `%v`: the shortest that reads back.
pub fn double(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>().unwrap_or(0) {
        -4..=5 => format!("{number}"),
        exponent => format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs()),
    }
}

fn failed(from: &Val<'_>, to: &str) -> Fault {
    Fault::new(format!("type conversion error from '{}' to '{to}'", from.type_name()))
}

fn one<'v, 'a>(args: &'v [Val<'a>]) -> Result<&'v Val<'a>> {
    match args {
        [value] => Ok(value),
        _ => Err(Fault::overload()),
    }
}

fn same<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    one(args).cloned()
}

fn to_bool<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    match one(args)? {
        Val::Bool(flag) => Ok(Val::Bool(*flag)),
        Val::String(text) => match &**text {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(Val::Bool(true)),
            "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(Val::Bool(false)),
            _ => Err(failed(&args[0], "bool")),
        },
        _ => Err(Fault::overload()),
    }
}

fn to_bytes<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    match one(args)? {
        Val::Bytes(bytes) => Ok(Val::Bytes(bytes.clone())),
        Val::String(text) => Ok(Val::Bytes(text.as_bytes().into())),
        _ => Err(Fault::overload()),
    }
}

fn to_double<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    match one(args)? {
        Val::Double(number) => Ok(Val::Double(*number)),
        Val::Int(number) => Ok(Val::Double(*number as f64)),
        Val::Uint(number) => Ok(Val::Double(*number as f64)),
        Val::String(text) => text.parse().map(Val::Double).map_err(|_| failed(&args[0], "double")),
        _ => Err(Fault::overload()),
    }
}

fn to_int<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    match one(args)? {
        Val::Int(number) => Ok(Val::Int(*number)),
        Val::Uint(number) => i64::try_from(*number).map(Val::Int).map_err(|_| Fault::new(INT)),
        Val::Double(number) if number.abs() < 9.223_372_036_854_775e18 => Ok(Val::Int(*number as i64)),
        Val::Double(_) => Err(Fault::new(INT)),
        Val::String(text) => text.parse().map(Val::Int).map_err(|_| failed(&args[0], "int")),
        Val::Timestamp(time) => Ok(Val::Int(time.as_second())),
        Val::Duration(nanos) => Ok(Val::Int(*nanos)),
        _ => Err(Fault::overload()),
    }
}

fn to_uint<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    match one(args)? {
        Val::Uint(number) => Ok(Val::Uint(*number)),
        Val::Int(number) => u64::try_from(*number).map(Val::Uint).map_err(|_| Fault::new(UINT)),
        Val::Double(number) if *number >= 0.0 && *number < 1.844_674_407_370_955e19 => Ok(Val::Uint(*number as u64)),
        Val::Double(_) => Err(Fault::new(UINT)),
        Val::String(text) => text.parse().map(Val::Uint).map_err(|_| failed(&args[0], "uint")),
        _ => Err(Fault::overload()),
    }
}

fn to_string<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    Ok(match one(args)? {
        Val::String(text) => Val::String(text.clone()),
        Val::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Val::text(text),
            Err(_) => return Err(Fault::new("invalid UTF-8 in bytes, cannot convert to string")),
        },
        Val::Duration(nanos) => Val::text(time::print_duration(*nanos)),
        Val::Ip(ip) => Val::text(ip.to_string()),
        Val::Cidr(cidr) => Val::text(format!("{}/{}", cidr.address, cidr.bits)),
        value @ (Val::Bool(_) | Val::Int(_) | Val::Uint(_) | Val::Double(_) | Val::Timestamp(_)) => {
            Val::text(show(value))
        }
        _ => return Err(Fault::overload()),
    })
}

fn to_duration<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    match one(args)? {
        Val::Duration(nanos) => Ok(Val::Duration(*nanos)),
        Val::Int(nanos) => Ok(Val::Duration(*nanos)),
        Val::String(text) => time::parse_duration(text),
        _ => Err(Fault::overload()),
    }
}

fn to_timestamp<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    match one(args)? {
        Val::Timestamp(time) => Ok(Val::Timestamp(*time)),
        Val::Int(seconds) => time::from_seconds(*seconds),
        Val::String(text) => match time::parse(text) {
            Some(time) => time::checked(time),
            None => {
                let quoted = crate::model::gotext::quote(text);
                Err(Fault::new(format!(
                    "parsing time {quoted} as \"2006-01-02T15:04:05Z07:00\": cannot parse {quoted}"
                )))
            }
        },
        _ => Err(Fault::overload()),
    }
}

fn type_of<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    Ok(Val::Type(Arc::from(one(args)?.type_name())))
}

fn size<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    match one(args)? {
        Val::Ip(_) | Val::Cidr(_) => Err(Fault::overload()),
        other => other.size().map(|size| Val::Int(size as i64)).ok_or_else(Fault::overload),
    }
}

fn part<'a>(call: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let part = match args {
        [Val::Timestamp(time)] => time::part(call.function, *time, None)?,
        [Val::Timestamp(time), Val::String(zone)] => time::part(call.function, *time, Some(zone))?,
        [Val::Duration(nanos)] => time::duration_part(call.function, *nanos)?,
        _ => return Err(Fault::overload()),
    };
    Ok(Val::Int(part))
}
