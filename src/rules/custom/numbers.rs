//! Bounds of numbers.

use super::outcome::{Outcome, ValueFault};
use super::schema::Schema;
use crate::model::field::Bad;
use crate::model::gotext;
use crate::model::value::Number;

/// Beyond these a double does not tell one integer from the next.
const SAFE: f64 = 9_007_199_254_740_991.0;
/// Beyond the integers of 64 bits.
const TWO_TO_63: f64 = 9.223_372_036_854_776e18;
/// How far a double may be from an integer and still count as one.
const CLOSE: f64 = 1e-9;

/// An integer, or a double that is as good as one.
pub fn is_whole(number: &Number) -> bool {
    number.is_i64() || number.as_f64().is_some_and(is_whole_double)
}

fn is_whole_double(number: f64) -> bool {
    if !number.is_finite() || number.abs() > SAFE {
        return false;
    }
    let whole = number.trunc();
    let (apart, size) = ((number - whole).abs(), number.abs() + whole.abs());
    apart == 0.0 || (size > 0.0 && whole != 0.0 && apart / size < CLOSE)
}

/// All that is wrong with a number.
pub fn check(at: &str, number: &Number, schema: &Schema) -> Outcome {
    let mut all = Outcome { faults: Vec::new(), matches: 1 };
    let ranged = Ranged::of(schema);
    let mut in_range = |number: f64, whole: Option<i64>, what: &str| -> bool {
        let fault = ranged.fault(number, whole, what, at);
        let right = fault.is_none();
        fault.into_iter().for_each(|text| all.add(ValueFault::of_whole(text)));
        right
    };
    let double = number.as_f64().unwrap_or(f64::NAN);
    in_range(double, number.as_i64(), "Checked");
    let mut found = Vec::new();
    // A bound that is none of the type's numbers compares as a double.
    let mut native = |bound: f64, what: &str| {
        if in_range(bound, None, what) { number.as_i64().map(|whole| (whole, bound as i64)) } else { None }
    };
    if let Some(factor) = schema.multiple_of {
        found.extend(multiple(at, native(factor, "MultipleOf"), double, factor, number));
    }
    let maximum = schema.maximum.map(|most| (most, native(most, "Maximum boundary")));
    let minimum = schema.minimum.map(|least| (least, native(least, "Minimum boundary")));
    if let Some((least, native)) = minimum {
        let exclusive = schema.exclusive_minimum;
        let (below, bound) = match native {
            Some((number, least)) => (number < least || (exclusive && number == least), least.to_string()),
            None => (double < least || (exclusive && double == least), gotext::float(least)),
        };
        let words = if exclusive { "greater than" } else { "greater than or equal to" };
        found.extend(below.then(|| ValueFault::invalid(at, bad(number), &format!("should be {words} {bound}"))));
    }
    if let Some((most, native)) = maximum {
        let exclusive = schema.exclusive_maximum;
        let (above, bound) = match native {
            Some((number, most)) => (number > most || (exclusive && number == most), most.to_string()),
            None => (double > most || (exclusive && double == most), gotext::float(most)),
        };
        let words = if exclusive { "less than" } else { "less than or equal to" };
        found.extend(above.then(|| ValueFault::invalid(at, bad(number), &format!("should be {words} {bound}"))));
    }
    found.into_iter().for_each(|fault| all.add(fault));
    all
}

fn multiple(at: &str, native: Option<(i64, i64)>, double: f64, factor: f64, number: &Number) -> Option<ValueFault> {
    let (positive, right, shown) = match native {
        Some((number, factor)) => (factor > 0, factor > 0 && number % factor == 0, factor.to_string()),
        None => {
            let times = if factor < 1.0 { 1.0 / factor * double } else { double / factor };
            (factor > 0.0, is_whole_double(times), gotext::float(factor))
        }
    };
    if !positive {
        let text = format!("factor MultipleOf declared for {at} must be positive: {shown}");
        return Some(ValueFault::bad_factor(at, Bad::plain(shown), text));
    }
    (!right).then(|| ValueFault::invalid(at, bad(number), &format!("should be a multiple of {shown}")))
}

/// What numbers a type and its format have.
struct Ranged<'s> {
    integer: bool,
    format: &'s str,
}

impl<'s> Ranged<'s> {
    fn of(schema: &'s Schema) -> Self {
        let format = match (schema.kind.as_str(), schema.format.as_str()) {
            _ if schema.int_or_string => "",
            ("integer", format @ ("int32" | "int64")) | ("number", format @ ("float" | "double")) => format,
            _ => "",
        };
        Self { integer: schema.kind == "integer" && !schema.int_or_string, format }
    }

    fn fault(&self, number: f64, whole: Option<i64>, what: &str, at: &str) -> Option<String> {
        let inside = if self.integer {
            let exact = number.fract() == 0.0 && (-TWO_TO_63..TWO_TO_63).contains(&number);
            let whole = whole.or_else(|| exact.then_some(number as i64));
            whole.is_some_and(|whole| self.format != "int32" || i32::try_from(whole).is_ok())
        } else {
            self.format != "float" || number.abs() < f64::from(f32::MAX) || (number as f32).is_finite()
        };
        if inside {
            return None;
        }
        let kind = if self.integer { "integer" } else { "number" };
        Some(match self.format {
            "" => format!("{what} value must be of type {kind} (default format) in {at}"),
            format => format!("{what} value must be of type {kind} with format {format} in {at}"),
        })
    }
}

fn bad(number: &Number) -> Bad {
    Bad::plain(gotext::number(number))
}
