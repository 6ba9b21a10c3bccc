//! `IntOrString`: a number, or a share as in `25%`.

use super::gotext;
use crate::model::value::Value;

/// Which way a share of a total is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    Up,
    Down,
}

/// The number itself, or the share of `total`. The error is stock's text.
pub fn scaled(value: &Value, total: i64, round: Round) -> Result<i64, String> {
    let invalid = |why: String| format!("invalid value for IntOrString: {why}");
    match value {
        Value::Null => Err("nil value for IntOrString".to_owned()),
        Value::String(text) => {
            let Some(digits) = text.strip_suffix('%') else {
                return Err(invalid("invalid type: string is not a percentage".to_owned()));
            };
            let percent =
                gotext::atoi(digits).map_err(|why| invalid(format!("invalid value {}: {why}", gotext::quote(text))))?;
            let share = percent as f64 * total as f64 / 100.0;
            Ok(if round == Round::Up { share.ceil() } else { share.floor() } as i64)
        }
        other => other.as_i64().ok_or_else(|| invalid("invalid type: neither int nor percentage".to_owned())),
    }
}

/// The number before the `%`; `None` for anything but digits and a `%`, and for what does not fit.
pub fn percent(value: &Value) -> Option<i64> {
    let digits = value.as_str()?.strip_suffix('%')?;
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::json;

    #[test]
    fn shares_are_rounded() {
        for (value, total, up, down) in
            [(json!(3), 10, 3, 3), (json!("25%"), 10, 3, 2), (json!("0%"), 7, 0, 0), (json!("-50%"), 5, -2, -3)]
        {
            assert_eq!((scaled(&value, total, Round::Up), scaled(&value, total, Round::Down)), (Ok(up), Ok(down)));
        }
    }

    #[test]
    fn others_are_refused_in_stocks_words() {
        for (value, error) in [
            (Value::Null, "nil value for IntOrString"),
            (json!("5"), "invalid value for IntOrString: invalid type: string is not a percentage"),
            (
                json!("x%"),
                "invalid value for IntOrString: invalid value \"x%\": strconv.Atoi: parsing \"x\": invalid syntax",
            ),
        ] {
            assert_eq!(scaled(&value, 1, Round::Up), Err(error.to_owned()));
        }
        assert_eq!((percent(&json!("30%")), percent(&json!("+30%")), percent(&json!(30))), (Some(30), None, None));
    }
}
