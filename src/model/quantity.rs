//! `resource.Quantity`: a fixed-point number with a suffix, as in `100m` or `2Gi`.
//!
//! Most are a 64-bit mantissa and a power of ten; larger ones fall back to [`Decimal`].

use std::cmp::Ordering;
use std::fmt;

use compact_str::{CompactString, ToCompactString, format_compact};

use super::decimal::Decimal;
use crate::model::value::Value;

/// Longer texts are refused. Stock has no limit of its own.
const MOST_BYTES: usize = 1024;
/// Digits that surely fit a 64-bit mantissa.
const MANTISSA_DIGITS: usize = 18;
const NANO: i32 = -9;

/// An amount and the style in which it is printed. Compares by amount: `1000m` equals `1`.
#[derive(Clone, Debug)]
pub struct Quantity {
    amount: Amount,
    format: Format,
    /// As written, where that is kept; empty where the canonical form is printed.
    text: CompactString,
}

/// The style of the suffix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `1e3`
    DecimalExponent,
    /// `1Ki`
    BinarySi,
    /// `1k`
    DecimalSi,
}

#[derive(Clone, Debug)]
enum Amount {
    /// mantissa, power of ten
    Small(i64, i32),
    Large(Box<Decimal>),
}

/// Why a text is no quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    #[error("unable to parse numeric part of quantity")]
    Numeric,
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

impl Quantity {
    pub const ZERO: Self =
        Self { amount: Amount::Small(0, 0), format: Format::DecimalSi, text: CompactString::const_new("") };

    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        if text.is_empty() {
            return Err(QuantityError::Format);
        }
        if text.len() > MOST_BYTES {
            return Err(QuantityError::Numeric);
        }
        let parts = Parts::of(text)?;
        let suffix = Suffix::parse(parts.suffix).ok_or(QuantityError::Suffix)?;
        match parts.small(&suffix, text) {
            Some(quantity) => Ok(quantity),
            None => parts.large(&suffix),
        }
    }

    /// From a decoded object: a string or a number; null is zero.
    pub fn from_value(value: &Value) -> Result<Self, QuantityError> {
        match value {
            Value::Null => Ok(Self::ZERO),
            Value::String(text) => Self::parse(text.trim()),
            Value::Number(number) => Self::parse(&number.to_compact_string()),
            _ => Err(QuantityError::Format),
        }
    }

    pub const fn from_i64(value: i64, format: Format) -> Self {
        Self { amount: Amount::Small(value, 0), format, text: CompactString::const_new("") }
    }

    /// From thousandths.
    pub const fn from_milli(value: i64, format: Format) -> Self {
        Self { amount: Amount::Small(value, -3), format, text: CompactString::const_new("") }
    }

    pub fn format(&self) -> Format {
        self.format
    }

    pub fn is_zero(&self) -> bool {
        self.sign() == 0
    }

    /// -1, 0 or 1.
    pub fn sign(&self) -> i32 {
        match &self.amount {
            Amount::Small(value, _) => value.signum() as i32,
            Amount::Large(number) if number.is_zero() => 0,
            Amount::Large(number) => {
                if number.negative {
                    -1
                } else {
                    1
                }
            }
        }
    }

    /// Rounded up to a whole number; 0 when that does not fit, as in stock.
    pub fn value(&self) -> i64 {
        self.scaled_value(0)
    }

    /// Rounded up to thousandths; 0 when that does not fit, as in stock.
    pub fn milli_value(&self) -> i64 {
        self.scaled_value(-3)
    }

    /// Rounded up to a multiple of 10^`scale`, in those units; 0 when that does not fit, as in stock.
    pub fn scaled_value(&self, scale: i32) -> i64 {
        match &self.amount {
            Amount::Small(0, _) => 0,
            Amount::Small(value, own) if *own == scale => *value,
            Amount::Small(value, own) if *own > scale => {
                power(own.saturating_sub(scale)).and_then(|p| value.checked_mul(p)).unwrap_or(0)
            }
            Amount::Small(value, own) => divide_up(*value, scale.saturating_sub(*own)).0,
            Amount::Large(number) => number.scaled(scale.into()).unwrap_or(0),
        }
    }

    /// Only as exact as a float is.
    pub fn to_f64(&self) -> f64 {
        match &self.amount {
            Amount::Small(value, 0) => *value as f64,
            Amount::Small(value, scale) => *value as f64 * 10f64.powi(*scale),
            Amount::Large(number) => number.to_f64(),
        }
    }

    /// Adds; zero takes the other's format.
    pub fn add(&mut self, other: &Self) {
        self.text.clear();
        if self.is_zero() {
            self.format = other.format;
        }
        self.amount = self.amount.plus(&other.amount);
    }

    /// Subtracts; zero takes the other's format.
    pub fn sub(&mut self, other: &Self) {
        let mut negative = other.clone();
        negative.neg();
        self.add(&negative);
    }

    /// Drops what is smaller than 10^`scale`, away from zero.
    pub fn round_up(&mut self, scale: i32) {
        match &mut self.amount {
            Amount::Small(_, own) if *own >= scale => {}
            Amount::Small(value, own) => {
                self.amount = Amount::Small(divide_up(*value, scale.saturating_sub(*own)).0, scale);
                self.text.clear();
            }
            Amount::Large(number) => {
                if !number.round_up(scale.into()) {
                    self.text.clear();
                }
            }
        }
    }

    pub fn neg(&mut self) {
        self.text.clear();
        match &mut self.amount {
            Amount::Small(i64::MIN, scale) => {
                let mut number = Decimal::new(i64::MIN, (*scale).into());
                number.negate();
                self.amount = Amount::Large(Box::new(number));
            }
            Amount::Small(value, _) => *value = -*value,
            Amount::Large(number) => number.negate(),
        }
    }

    /// The form that stock writes: as few digits as possible and no fraction.
    fn canonical(&self) -> CompactString {
        if self.is_zero() {
            return CompactString::const_new("0");
        }
        let kilo = Self::from_i64(1024, Format::BinarySi);
        let small = || self.cmp(&kilo).is_lt() && self.cmp(&Self::from_i64(-1024, Format::BinarySi)).is_gt();
        let format = match self.format {
            Format::BinarySi if small() || !self.amount.is_whole() => Format::DecimalSi,
            format => format,
        };
        match format {
            Format::BinarySi => self.amount.canonical_1024(),
            Format::DecimalSi => {
                let (digits, exponent) = self.amount.canonical();
                digits + decimal_suffix(exponent)
            }
            Format::DecimalExponent => match self.amount.canonical() {
                (digits, 0) => digits,
                (digits, exponent) => format_compact!("{digits}e{exponent}"),
            },
        }
    }
}

impl Amount {
    fn decimal(&self) -> Decimal {
        match self {
            Amount::Small(value, scale) => Decimal::new(*value, (*scale).into()),
            Amount::Large(number) => (**number).clone(),
        }
    }

    fn is_whole(&self) -> bool {
        match self {
            Amount::Small(value, scale) => *scale >= 0 || divide_up(*value, -scale).1,
            Amount::Large(number) => (**number).clone().round_up(0),
        }
    }

    fn plus(&self, other: &Self) -> Self {
        match (self, other) {
            (_, Amount::Small(0, _)) => self.clone(),
            (Amount::Small(0, _), _) => other.clone(),
            (Amount::Small(a, sa), Amount::Small(b, sb)) => small_sum((*a, *sa), (*b, *sb)).map_or_else(
                || Amount::Large(Box::new(self.decimal().plus(&other.decimal()))),
                |(v, s)| Amount::Small(v, s),
            ),
            _ => Amount::Large(Box::new(self.decimal().plus(&other.decimal()))),
        }
    }

    /// The shortest digits for an exponent divisible by 3, and that exponent.
    fn canonical(&self) -> (CompactString, i64) {
        match self {
            Amount::Small(value, scale) => {
                let (mut value, mut exponent) = (i128::from(*value), i64::from(*scale));
                while value != 0 && value % 10 == 0 {
                    value /= 10;
                    exponent += 1;
                }
                while exponent % 3 != 0 {
                    value *= 10;
                    exponent -= 1;
                }
                (value.to_compact_string(), exponent)
            }
            Amount::Large(number) => {
                let (digits, exponent) = number.canonical();
                (digits.into(), exponent)
            }
        }
    }

    fn canonical_1024(&self) -> CompactString {
        let whole = match self {
            Amount::Small(value, 0) => Some(*value),
            Amount::Small(value, scale) if *scale < 0 => Some(divide_up(*value, -scale).0),
            Amount::Small(value, scale) => power(*scale).and_then(|p| value.checked_mul(p)),
            Amount::Large(_) => None,
        };
        let Some(mut value) = whole else {
            let (digits, times) = self.decimal().canonical_1024();
            return CompactString::from(digits) + binary_suffix(times);
        };
        let mut times = 0;
        while value.unsigned_abs() >= 1024 && value % 1024 == 0 {
            value /= 1024;
            times += 1;
        }
        format_compact!("{value}{}", binary_suffix(times))
    }
}

fn small_sum((a, scale_a): (i64, i32), (b, scale_b): (i64, i32)) -> Option<(i64, i32)> {
    let scale = scale_a.min(scale_b);
    let aligned = |value: i64, own: i32| power(own.checked_sub(scale)?).and_then(|p| value.checked_mul(p));
    Some((aligned(a, scale_a)?.checked_add(aligned(b, scale_b)?)?, scale))
}

/// 10^`exponent`, where it fits.
fn power(exponent: i32) -> Option<i64> {
    10i64.checked_pow(exponent.try_into().ok()?)
}

/// Divided by 10^`digits`, away from zero, and whether that was exact.
fn divide_up(value: i64, digits: i32) -> (i64, bool) {
    let Some(by) = power(digits) else { return (value.signum(), value == 0) };
    let rest = value % by;
    (value / by + rest.signum(), rest == 0)
}

/// A text taken apart, in the steps of stock's scanner.
struct Parts<'a> {
    positive: bool,
    /// Sign, digits and point.
    value: &'a str,
    /// Digits before the point, without leading zeros.
    whole: &'a str,
    fraction: &'a str,
    suffix: &'a str,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Result<Self, QuantityError> {
        let positive = !text.starts_with('-');
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let rest = unsigned.trim_start_matches('0');
        if rest.is_empty() {
            return Ok(Self { positive, value: "0", whole: "0", fraction: "", suffix: "" });
        }
        let (digits, rest) = span(rest, |b| b.is_ascii_digit());
        let whole = if digits.is_empty() { "0" } else { digits };
        let (fraction, suffix) = match rest.strip_prefix('.') {
            Some(rest) => span(rest, |b| b.is_ascii_digit()),
            None => ("", rest),
        };
        let value = &text[..text.len() - suffix.len()];
        let (_, rest) = span(suffix, |b| b"eEinumkKMGTP".contains(&b));
        let rest = rest.strip_prefix(['-', '+']).unwrap_or(rest);
        if rest.bytes().any(|b| !b.is_ascii_digit()) {
            return Err(QuantityError::Format);
        }
        Ok(Self { positive, value, whole, fraction, suffix })
    }

    /// The quantity when it surely fits a 64-bit mantissa and needs no rounding.
    fn small(&self, suffix: &Suffix, text: &str) -> Option<Quantity> {
        let digits = self.whole.len() + self.fraction.len();
        let binary = suffix.format == Format::BinarySi;
        let (scale, factor) = match binary {
            true if !self.fraction.is_empty() || self.whole.len() + suffix.exponent as usize * 3 / 10 > 14 => {
                return None;
            }
            true => (0, 1i64 << suffix.exponent),
            false if digits > MANTISSA_DIGITS => return None,
            false => (suffix.exponent.wrapping_sub(self.fraction.len() as i32), 1),
        };
        if scale < NANO {
            return None;
        }
        let value = self.whole.bytes().chain(self.fraction.bytes()).fold(0i64, |sum, b| sum * 10 + i64::from(b - b'0'));
        let signed = value.checked_mul(factor)? * if self.positive { 1 } else { -1 };
        let zeros = self.fraction.bytes().rev().chain(self.whole.bytes().rev()).take_while(|b| *b == b'0').count();
        let as_written =
            if binary { value & 7 != 0 } else { scale % 3 == 0 && zeros < 3 && !self.whole.starts_with('0') };
        let text = if as_written { text.into() } else { CompactString::const_new("") };
        Some(Quantity { amount: Amount::Small(signed, scale), format: suffix.format, text })
    }

    fn large(&self, suffix: &Suffix) -> Result<Quantity, QuantityError> {
        let unsigned = self.value.strip_prefix(['-', '+']).unwrap_or(self.value);
        let mut number = Decimal::parse(unsigned).ok_or(QuantityError::Numeric)?;
        let mut format = suffix.format;
        if format == Format::BinarySi {
            number.double(suffix.exponent as u32);
        } else {
            number.shift(suffix.exponent.into());
        }
        number.round_up(NANO.into());
        if format == Format::BinarySi {
            let most = Decimal::new(i64::MAX, 0);
            if number > most {
                number = most;
            }
            if !number.is_zero() && number < Decimal::new(1, 0) {
                format = Format::DecimalSi;
            }
        }
        if !self.positive {
            number.negate();
        }
        Ok(Quantity { amount: Amount::Large(Box::new(number)), format, text: CompactString::const_new("") })
    }
}

fn span(text: &str, belongs: impl Fn(u8) -> bool) -> (&str, &str) {
    text.split_at(text.bytes().position(|b| !belongs(b)).unwrap_or(text.len()))
}

struct Suffix {
    format: Format,
    /// Of two when the format is binary, of ten otherwise.
    exponent: i32,
}

const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

impl Suffix {
    fn parse(text: &str) -> Option<Self> {
        if let Some((_, exponent)) = DECIMAL.iter().find(|(suffix, _)| *suffix == text) {
            return Some(Self { format: Format::DecimalSi, exponent: *exponent });
        }
        if let Some(at) = BINARY.iter().position(|suffix| *suffix == text) {
            return Some(Self { format: Format::BinarySi, exponent: at as i32 * 10 });
        }
        let digits = text.strip_prefix(['e', 'E'])?;
        // Cut to 32 bits as in stock.
        let exponent = digits.parse::<i64>().ok()? as i32;
        Some(Self { format: Format::DecimalExponent, exponent })
    }
}

/// Empty beyond the known suffixes, as in stock.
fn decimal_suffix(exponent: i64) -> &'static str {
    DECIMAL.iter().find(|(_, e)| i64::from(*e) == exponent).map_or("", |(suffix, _)| suffix)
}

fn binary_suffix(times: u32) -> &'static str {
    BINARY.get(times as usize).copied().unwrap_or("")
}

/// As stock prints it: as written where the text was kept, else canonical.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.text.is_empty() { f.write_str(&self.canonical()) } else { f.write_str(&self.text) }
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        if let (Amount::Small(a, scale_a), Amount::Small(b, scale_b)) = (&self.amount, &other.amount) {
            let apart = i64::from(*scale_a) - i64::from(*scale_b);
            // Nineteen digits by nineteen more fit 128 bits.
            if (-19..=19).contains(&apart) {
                let power = 10i128.pow(apart.unsigned_abs() as u32);
                let (a, b) = (i128::from(*a), i128::from(*b));
                return if apart >= 0 { (a * power).cmp(&b) } else { a.cmp(&(b * power)) };
            }
        }
        self.amount.decimal().cmp(&other.amount.decimal())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn quantity(text: &str) -> Quantity {
        Quantity::parse(text).expect(text)
    }

    #[test]
    fn prints_as_stock() {
        for (text, printed) in [
            ("0", "0"),
            ("1500m", "1500m"),
            ("1000m", "1"),
            ("1024Ki", "1Mi"),
            ("0.5", "500m"),
            ("1e3", "1e3"),
            ("12e3", "12e3"),
            ("10e2", "1e3"),
            ("1.5Gi", "1536Mi"),
            ("0.5Ki", "512"),
            ("0.1Ki", "102400m"),
            ("100000", "100k"),
            ("01", "01"),
            ("1.500", "1.500"),
            ("1.1k", "1100"),
            ("8Ki", "8Ki"),
            ("0.0000000001", "1n"),
            ("-0.0000000001", "-1n"),
            ("9999Ei", "9223372036854775807"),
            ("m", "0"),
            ("+", "0"),
            ("1000000000000000000000", "1"),
            ("123456789012345678901234567890m", "123456789012345678901234567890m"),
        ] {
            assert_eq!(quantity(text).to_string(), printed, "{text}");
        }
    }

    #[test]
    fn refuses_as_stock() {
        for (text, error) in [
            ("", QuantityError::Format),
            ("abc", QuantityError::Format),
            ("1 Ki", QuantityError::Format),
            ("1.2.3", QuantityError::Format),
            ("--1", QuantityError::Suffix),
            ("1kk", QuantityError::Suffix),
            ("1i", QuantityError::Suffix),
            ("1e", QuantityError::Suffix),
            ("1e+", QuantityError::Suffix),
            (".e-30", QuantityError::Numeric),
        ] {
            assert_eq!(Quantity::parse(text).expect_err(text), error, "{text}");
        }
    }

    #[test]
    fn arithmetic_keeps_the_style() {
        for (a, b, sum, difference) in [
            ("1", "500m", "1500m", "500m"),
            ("1Gi", "1Mi", "1025Mi", "1023Mi"),
            ("0", "1Ki", "1Ki", "-1Ki"),
            ("9223372036854775807", "1", "9223372036854775808", "9223372036854775806"),
            ("1e3", "1", "1001", "999"),
        ] {
            let (mut up, mut down) = (quantity(a), quantity(a));
            up.add(&quantity(b));
            down.sub(&quantity(b));
            assert_eq!((up.to_string().as_str(), down.to_string().as_str()), (sum, difference), "{a} and {b}");
        }
    }

    #[test]
    fn values_round_up() {
        for (text, value, milli) in [
            ("1500m", 2, 1500),
            ("1n", 1, 1),
            ("-1500m", -2, -1500),
            ("1Gi", 1 << 30, 1000 << 30),
            ("9e30", 0, 0),
            ("100000000000000000000m", 100_000_000_000_000_000, 0),
        ] {
            assert_eq!((quantity(text).value(), quantity(text).milli_value()), (value, milli), "{text}");
        }
    }

    fn texts() -> impl Strategy<Value = String> {
        "[+-]?[0-9]{0,24}(\\.[0-9]{0,12})?(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E|[eE][+-]?[0-9]{1,3})?"
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,12}|[-+0-9.eEinumkKMGTP]{0,30}") {
            if let Ok(quantity) = Quantity::parse(&text) {
                let _ = (quantity.to_string(), quantity.value(), quantity.milli_value());
            }
        }

        #[test]
        fn canonical_is_idempotent(text in texts()) {
            let Ok(first) = Quantity::parse(&text) else { return Ok(()) };
            // Beyond exa and below nano stock loses the suffix.
            prop_assume!(first.to_f64().abs() < 1e20 || first.format() == Format::DecimalExponent);
            let again = quantity(&first.canonical());
            prop_assert_eq!(again.canonical(), first.canonical());
            prop_assert!(again == first);
        }

        #[test]
        fn comparing_agrees_with_subtracting(a in texts(), b in texts()) {
            let (Ok(a), Ok(b)) = (Quantity::parse(&a), Quantity::parse(&b)) else { return Ok(()) };
            let mut difference = a.clone();
            difference.sub(&b);
            prop_assert_eq!(a.cmp(&b) as i32, difference.sign());
            prop_assert_eq!(b.cmp(&a), a.cmp(&b).reverse());
        }
    }
}
