//! `"...%s...".format([...])`.

use super::super::error::Fault;
use super::super::time;
use super::super::value::{Result, Val};
use super::convert::{double, show};
use crate::model::gotext::hex;

/// More digits after the point are refused.
const MOST_PRECISION: usize = 1000;

/// The text with its clauses replaced by the arguments.
pub fn format(pattern: &str, args: &[Val<'_>]) -> Result<String> {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    let mut next = 0;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let (clause, length) = clause(rest)?;
        let arg = args.get(next).ok_or_else(|| Fault::new(format!("index {next} out of range")))?;
        next += 1;
        out.push_str(&clause.print(arg)?);
        rest = &rest[length..];
    }
    out.push_str(rest);
    Ok(out)
}

/// What is wrong with a pattern that is written out, given arguments of these types (`None` for any type): the argument
/// that it is about, if it is about one, and why.
pub fn check(pattern: &str, samples: &[Option<Val<'_>>]) -> Option<(Option<usize>, Fault)> {
    let mut rest = pattern;
    let mut next = 0;
    while let Some(at) = rest.find('%') {
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            rest = after;
            continue;
        }
        if rest.is_empty() {
            return Some((None, Fault::new("unexpected end of string")));
        }
        let (clause, length) = match clause(rest) {
            Ok(clause) => clause,
            Err(fault) => return Some((None, fault)),
        };
        match samples.get(next) {
            None => return Some((None, Fault::new(format!("index {next} out of range")))),
            Some(None) => {}
            Some(Some(sample)) => {
                if let Err(fault) = clause.print(sample) {
                    return Some((Some(next), fault));
                }
            }
        }
        next += 1;
        rest = &rest[length..];
    }
    None
}

struct Clause {
    verb: char,
    precision: Option<usize>,
}

fn unparsed(reason: impl std::fmt::Display) -> Fault {
    Fault::new(format!("could not parse formatting clause: {reason}"))
}

/// A clause and its length.
fn clause(text: &str) -> Result<(Clause, usize)> {
    let mut length = 0;
    let mut precision = None;
    if let Some(after) = text.strip_prefix('.') {
        let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
        let number: usize = digits
            .parse()
            .map_err(|_| unparsed("error while parsing precision: error while converting precision to integer"))?;
        if number > MOST_PRECISION {
            return Err(unparsed(format!("precision out of range: {number}")));
        }
        precision = Some(number);
        length = 1 + digits.len();
    }
    let Some(verb) = text[length..].chars().next() else {
        return Err(unparsed("unexpected end of string"));
    };
    if !"sdfebxXo".contains(verb) {
        let quoted = crate::model::gotext::quote(&verb.to_string());
        return Err(unparsed(format!("unrecognized formatting clause {quoted}")));
    }
    Ok((Clause { verb, precision }, length + verb.len_utf8()))
}

impl Clause {
    fn print(&self, arg: &Val<'_>) -> Result<String> {
        let wrong =
            |kinds: &str| Fault::new(format!("error during formatting: {kinds}, was given {}", arg.type_name()));
        let precision = self.precision.unwrap_or(6);
        match (self.verb, arg) {
            ('s', _) => string(arg),
            ('d', Val::Int(number)) => Ok(number.to_string()),
            ('d', Val::Uint(number)) => Ok(number.to_string()),
            ('d', _) => Err(wrong("decimal clause can only be used on integers")),
            ('f' | 'e', Val::Double(number)) if !number.is_finite() => Ok(infinite(*number)),
            ('f' | 'e', Val::String(text)) if ["NaN", "Infinity", "-Infinity"].contains(&&**text) => {
                Ok(text.to_string())
            }
            ('f', Val::Double(number)) => Ok(format!("{number:.precision$}")),
            ('f', Val::Int(number)) => Ok(format!("{:.precision$}", *number as f64)),
            ('f', Val::Uint(number)) => Ok(format!("{:.precision$}", *number as f64)),
            ('f', _) => Err(wrong("fixed-point clause can only be used on doubles")),
            ('e', Val::Double(number)) => Ok(scientific(*number, precision)),
            ('e', Val::Int(number)) => Ok(scientific(*number as f64, precision)),
            ('e', Val::Uint(number)) => Ok(scientific(*number as f64, precision)),
            ('e', _) => Err(wrong("scientific clause can only be used on doubles")),
            ('b', Val::Bool(flag)) => Ok(u8::from(*flag).to_string()),
            ('b', Val::Int(number)) => Ok(signed(*number, |n| format!("{n:b}"))),
            ('b', Val::Uint(number)) => Ok(format!("{number:b}")),
            ('b', _) => Err(wrong("only integers and bools can be formatted as binary")),
            ('o', Val::Int(number)) => Ok(signed(*number, |n| format!("{n:o}"))),
            ('o', Val::Uint(number)) => Ok(format!("{number:o}")),
            ('o', _) => Err(wrong("octal clause can only be used on integers")),
            (_, Val::Int(number)) => Ok(self.cased(signed(*number, |n| format!("{n:x}")))),
            (_, Val::Uint(number)) => Ok(self.cased(format!("{number:x}"))),
            (_, Val::String(text)) => Ok(self.cased(hex(text.as_bytes()))),
            (_, Val::Bytes(bytes)) => Ok(self.cased(hex(bytes))),
            _ => Err(wrong("only integers, byte buffers, and strings can be formatted as hex")),
        }
    }

    fn cased(&self, text: String) -> String {
        if self.verb == 'X' { text.to_uppercase() } else { text }
    }
}

fn signed(number: i64, print: impl Fn(u64) -> String) -> String {
    let sign = if number < 0 { "-" } else { "" };
    format!("{sign}{}", print(number.unsigned_abs()))
}

fn infinite(number: f64) -> String {
    if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
    .to_owned()
}

fn scientific(number: f64, precision: usize) -> String {
    let text = format!("{number:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let raised = |digit: char| "⁰¹²³⁴⁵⁶⁷⁸⁹".chars().nth(digit.to_digit(10).unwrap_or(0) as usize).unwrap_or(digit);
    let power: String = format!("{:02}", exponent.abs()).chars().map(raised).collect();
    format!("{mantissa}×10{}{power}", if exponent < 0 { "⁻" } else { "" })
}

/// As `%s` prints a value.
fn string(value: &Val<'_>) -> Result<String> {
    Ok(match value {
        Val::Double(number) if !number.is_finite() => infinite(*number),
        Val::Double(number) => double(*number),
        Val::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Val::Duration(nanos) => time::print_duration(*nanos),
        list if list.is_list() => {
            let items = list.items().map(|item| string(&item?)).collect::<Result<Vec<_>>>()?;
            format!("[{}]", items.join(", "))
        }
        map if map.is_map() => {
            let entry = |key: &Val<'_>| {
                let value = map.entry(key).unwrap_or(Err(Fault::overload()))?;
                Ok(format!("{}: {}", string(key)?, string(&value)?))
            };
            let mut entries = map.keys().iter().map(entry).collect::<Result<Vec<_>>>()?;
            entries.sort();
            format!("{{{}}}", entries.join(", "))
        }
        Val::Null | Val::Bool(_) | Val::Int(_) | Val::Uint(_) | Val::String(_) | Val::Timestamp(_) | Val::Type(_) => {
            show(value)
        }
        other => {
            let given = other.type_name();
            return Err(Fault::new(format!(
                "error during formatting: string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps, was given {given}"
            )));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clauses() {
        let args = [Val::text("a"), Val::Int(-255), Val::Double(1.5), Val::list([Val::Int(1), Val::Bool(true)])];
        assert_eq!(format("%s %x %.2f %s 100%%", &args), Ok("a -ff 1.50 [1, true] 100%".into()));
        assert_eq!(format("%e %b", &[Val::Double(1234.5), Val::Int(5)]), Ok("1.234500×10⁰³ 101".into()));
        assert!(format("%d", &[Val::text("a")]).is_err() && format("%s", &[]).is_err() && format("%q", &[]).is_err());
    }
}
