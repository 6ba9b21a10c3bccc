//! Equality and order of values.

use std::cmp::Ordering;

use super::error::Fault;
use super::value::{Result, Val};
use crate::schema::structure::ListKind;

/// Values of different types are not equal; numbers of different types may be.
pub fn equal(a: &Val<'_>, b: &Val<'_>) -> Result<bool> {
    Ok(match (a, b) {
        (Val::Null, Val::Null) => true,
        (Val::Bool(a), Val::Bool(b)) => a == b,
        (Val::Int(_) | Val::Uint(_) | Val::Double(_), Val::Int(_) | Val::Uint(_) | Val::Double(_)) => {
            numbers(a, b) == Some(Ordering::Equal)
        }
        (Val::String(a), Val::String(b)) => **a == **b,
        (Val::Bytes(a), Val::Bytes(b)) => a == b,
        (Val::Timestamp(a), Val::Timestamp(b)) => a == b,
        (Val::Duration(a), Val::Duration(b)) => a == b,
        (Val::Type(a), Val::Type(b)) => a == b,
        (Val::Quantity(a), Val::Quantity(b)) => a == b,
        (Val::Ip(a), Val::Ip(b)) => a == b,
        (Val::Cidr(a), Val::Cidr(b)) => a == b,
        (Val::Url(a), Val::Url(b)) => a == b,
        (Val::Semver(a), Val::Semver(b)) => a.cmp(b) == Ordering::Equal,
        (Val::Format(a), Val::Format(b)) => a.name == b.name,
        (Val::Optional(a), Val::Optional(b)) => match (a, b) {
            (None, None) => true,
            (Some(a), Some(b)) => equal(a, b)?,
            _ => false,
        },
        (Val::Struct(a), Val::Struct(b)) => {
            a.name == b.name && a.fields.len() == b.fields.len() && {
                let mut same = true;
                for (name, value) in &a.fields {
                    let other = b.fields.iter().find(|(known, _)| known == name);
                    same &= match other {
                        Some((_, other)) => equal(value, other)?,
                        None => false,
                    };
                }
                same
            }
        }
        _ if a.is_list() && b.is_list() => lists(a, b)?,
        _ if a.is_map() && b.is_map() => maps(a, b)?,
        _ => false,
    })
}

/// `None` when they cannot be compared.
pub fn order(a: &Val<'_>, b: &Val<'_>) -> Option<Ordering> {
    match (a, b) {
        (Val::Bool(a), Val::Bool(b)) => Some(a.cmp(b)),
        (Val::String(a), Val::String(b)) => Some((**a).cmp(&**b)),
        (Val::Bytes(a), Val::Bytes(b)) => Some(a.cmp(b)),
        (Val::Timestamp(a), Val::Timestamp(b)) => Some(a.cmp(b)),
        (Val::Duration(a), Val::Duration(b)) => Some(a.cmp(b)),
        _ => numbers(a, b),
    }
}

/// As `<` and its kin do.
pub fn ordered(a: &Val<'_>, b: &Val<'_>) -> Result<Ordering> {
    match (a, b) {
        (Val::Double(x), _) if x.is_nan() => Err(Fault::new("NaN values cannot be ordered")),
        (_, Val::Double(y)) if y.is_nan() => Err(Fault::new("NaN values cannot be ordered")),
        _ => order(a, b).ok_or_else(Fault::overload),
    }
}

fn numbers(a: &Val<'_>, b: &Val<'_>) -> Option<Ordering> {
    let whole = |value: &Val<'_>| match value {
        Val::Int(number) => Some(i128::from(*number)),
        Val::Uint(number) => Some(i128::from(*number)),
        _ => None,
    };
    match (a, b) {
        (Val::Double(a), Val::Double(b)) => a.partial_cmp(b),
        (Val::Double(a), _) => with_whole(*a, whole(b)?),
        (_, Val::Double(b)) => with_whole(*b, whole(a)?).map(Ordering::reverse),
        _ => Some(whole(a)?.cmp(&whole(b)?)),
    }
}

fn with_whole(double: f64, whole: i128) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    // Beyond 2^64 no whole number of ours is larger; within, the cast keeps the whole part.
    if double.abs() > 3.7e19 {
        return Some(if double > 0.0 { Ordering::Greater } else { Ordering::Less });
    }
    let truncated = double.trunc();
    Some((truncated as i128).cmp(&whole).then(double.partial_cmp(&truncated)?))
}

fn lists(a: &Val<'_>, b: &Val<'_>) -> Result<bool> {
    if a.size() != b.size() {
        return Ok(false);
    }
    let kind = match a {
        Val::Items(_, schema) => schema.list_kind(),
        _ => None,
    };
    if let Some(kind) = kind {
        return unordered(a, b, kind);
    }
    for (a, b) in a.items().zip(b.items()) {
        if !equal(&a?, &b?)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Sets are equal in any order; so are lists with keys.
fn unordered(a: &Val<'_>, b: &Val<'_>, kind: &ListKind) -> Result<bool> {
    let others = b.items().collect::<Result<Vec<_>>>()?;
    for item in a.items() {
        let item = item?;
        let mut found = false;
        for other in &others {
            if same_key(&item, other, kind)? {
                found = equal(&item, other)?;
                break;
            }
        }
        if !found {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether two items of such a list stand for the same.
pub fn same_key(a: &Val<'_>, b: &Val<'_>, kind: &ListKind) -> Result<bool> {
    let ListKind::Map(keys) = kind else { return equal(a, b) };
    for key in keys {
        let same = match (a.field(key), b.field(key)) {
            (Some(a), Some(b)) => equal(&a?, &b?)?,
            (None, None) => true,
            _ => false,
        };
        if !same {
            return Ok(false);
        }
    }
    Ok(true)
}

fn maps(a: &Val<'_>, b: &Val<'_>) -> Result<bool> {
    if a.size() != b.size() {
        return Ok(false);
    }
    for key in a.keys() {
        let (Some(value), Some(other)) = (a.entry(&key), b.entry(&key)) else { return Ok(false) };
        if !equal(&value?, &other?)? {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_across_types() {
        for (a, b, expected) in [
            (Val::Int(1), Val::Double(1.5), Ordering::Less),
            (Val::Int(-1), Val::Double(-1.5), Ordering::Greater),
            (Val::Uint(u64::MAX), Val::Int(-1), Ordering::Greater),
            (Val::Double(2.0), Val::Uint(2), Ordering::Equal),
            (Val::Int(i64::MAX), Val::Double(1e300), Ordering::Less),
        ] {
            assert_eq!(ordered(&a, &b), Ok(expected));
            assert_eq!(ordered(&b, &a), Ok(expected.reverse()));
        }
        assert!(ordered(&Val::Int(1), &Val::Bool(true)).is_err());
        assert_eq!(equal(&Val::Int(1), &Val::Bool(true)), Ok(false));
    }
}
