//! Decimal numbers of any size: what a quantity falls back to when it leaves 64 bits.
//!
//! Slow and plain: one digit a byte. The fast path is in `quantity`.

use std::cmp::Ordering;

/// The digits that a sum may have. Operands farther apart than this do not see each other.
const MOST_DIGITS: usize = 2048;

/// `digits * 10^exponent`, negative or not. Zero has no digits and is not negative.
#[derive(Clone, Debug)]
pub struct Decimal {
    pub negative: bool,
    /// Least significant first; the last one is not 0.
    digits: Vec<u8>,
    exponent: i64,
}

impl Decimal {
    pub fn new(value: i64, exponent: i64) -> Self {
        let digits = value.unsigned_abs().to_string().bytes().rev().map(|b| b - b'0').collect();
        Self { negative: value < 0, digits, exponent }.trimmed()
    }

    /// From digits with at most one point, without a sign; `None` when there is no digit.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).rev().map(|b| b.wrapping_sub(b'0')).collect();
        if digits.is_empty() || digits.iter().any(|d| *d > 9) {
            return None;
        }
        Some(Self { negative: false, digits, exponent: -(fraction.len() as i64) }.trimmed())
    }

    pub fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    pub fn shift(&mut self, exponent: i64) {
        self.exponent += exponent;
    }

    pub fn negate(&mut self) {
        self.negative = !self.negative && !self.is_zero();
    }

    /// Times 2^`bits`.
    pub fn double(&mut self, bits: u32) {
        for _ in 0..bits {
            let mut carry = 0;
            for digit in &mut self.digits {
                let twice = *digit * 2 + carry;
                *digit = twice % 10;
                carry = twice / 10;
            }
            if carry > 0 {
                self.digits.push(carry);
            }
        }
    }

    /// Drops what is smaller than 10^`exponent`, away from zero. True when nothing was dropped.
    pub fn round_up(&mut self, exponent: i64) -> bool {
        if self.is_zero() || self.exponent >= exponent {
            return true;
        }
        let drop = usize::try_from(exponent - self.exponent).unwrap_or(usize::MAX).min(self.digits.len());
        let exact = self.digits[..drop].iter().all(|d| *d == 0) && self.top() >= exponent;
        self.digits.drain(..drop);
        self.exponent = exponent;
        if !exact {
            self.increment();
        }
        *self = std::mem::replace(self, Self::new(0, 0)).trimmed();
        exact
    }

    /// In units of 10^`exponent`, what is smaller rounded up; `None` when it does not fit.
    ///
    /// A negative number comes out one unit higher than rounding up says: so in stock.
    pub fn scaled(&self, exponent: i64) -> Option<i64> {
        let mut rounded = self.clone();
        if !rounded.round_up(exponent) && self.negative {
            return rounded.scaled(exponent)?.checked_add(2);
        }
        if rounded.top() - exponent > 19 {
            return None;
        }
        let mut value: i128 = 0;
        for digit in rounded.digits.iter().rev() {
            value = value * 10 + i128::from(*digit);
        }
        for _ in 0..(rounded.exponent - exponent) {
            value *= 10;
        }
        i64::try_from(if self.negative { -value } else { value }).ok()
    }

    /// The digits with as few zeros at the end as an exponent divisible by 3 allows, and that exponent.
    pub fn canonical(&self) -> (String, i64) {
        let zeros = self.digits.iter().take_while(|d| **d == 0).count();
        let mut exponent = self.exponent + zeros as i64;
        let mut text = self.text(zeros);
        while exponent % 3 != 0 {
            text.push('0');
            exponent -= 1;
        }
        (text, exponent)
    }

    /// The whole number without its factors of 1024, and how many there were.
    pub fn canonical_1024(&self) -> (String, u32) {
        let mut rest = self.clone();
        rest.round_up(0);
        if rest.top() > MOST_DIGITS as i64 {
            return (rest.canonical().0, 0);
        }
        while rest.exponent > 0 {
            rest.digits.insert(0, 0);
            rest.exponent -= 1;
        }
        let mut times = 0;
        while rest.digits.len() > 3 {
            let (quotient, remainder) = rest.divided(1024);
            if remainder != 0 {
                break;
            }
            rest = quotient;
            times += 1;
        }
        (rest.text(0), times)
    }

    /// The sum. When the two are more than [`MOST_DIGITS`] digits apart, the larger alone.
    pub fn plus(&self, other: &Self) -> Self {
        if self.is_zero() || other.is_zero() {
            return if self.is_zero() { other.clone() } else { self.clone() };
        }
        let low = self.exponent.min(other.exponent);
        if self.top().max(other.top()) - low > MOST_DIGITS as i64 {
            return if self.cmp_magnitude(other).is_lt() { other.clone() } else { self.clone() };
        }
        let (a, b) = (self.aligned(low), other.aligned(low));
        let (negative, digits) = if self.negative == other.negative {
            (self.negative, add(&a, &b))
        } else if self.cmp_magnitude(other).is_lt() {
            (other.negative, subtract(&b, &a))
        } else {
            (self.negative, subtract(&a, &b))
        };
        Self { negative, digits, exponent: low }.trimmed()
    }

    pub fn to_f64(&self) -> f64 {
        let text = format!("{}{}e{}", if self.negative { "-" } else { "" }, self.text(0), self.exponent);
        text.parse().unwrap_or(0.0)
    }

    fn text(&self, skip: usize) -> String {
        let mut text = String::with_capacity(self.digits.len() + 1);
        if self.negative {
            text.push('-');
        }
        text.extend(self.digits[skip..].iter().rev().map(|d| (d + b'0') as char));
        if self.is_zero() {
            text.push('0');
        }
        text
    }

    /// The power of ten above the first digit.
    fn top(&self) -> i64 {
        self.exponent + self.digits.len() as i64
    }

    fn trimmed(mut self) -> Self {
        while self.digits.last() == Some(&0) {
            self.digits.pop();
        }
        if self.digits.is_empty() {
            (self.negative, self.exponent) = (false, 0);
        }
        self
    }

    fn increment(&mut self) {
        for digit in &mut self.digits {
            if *digit < 9 {
                *digit += 1;
                return;
            }
            *digit = 0;
        }
        self.digits.push(1);
    }

    fn aligned(&self, exponent: i64) -> Vec<u8> {
        let mut digits = vec![0; (self.exponent - exponent) as usize];
        digits.extend(&self.digits);
        digits
    }

    fn divided(&self, by: u32) -> (Self, u32) {
        let mut remainder = 0;
        let mut digits = vec![0; self.digits.len()];
        for (at, digit) in self.digits.iter().enumerate().rev() {
            remainder = remainder * 10 + u32::from(*digit);
            digits[at] = (remainder / by) as u8;
            remainder %= by;
        }
        (Self { negative: self.negative, digits, exponent: self.exponent }.trimmed(), remainder)
    }

    fn cmp_magnitude(&self, other: &Self) -> Ordering {
        if self.is_zero() || other.is_zero() {
            return other.is_zero().cmp(&self.is_zero());
        }
        self.top().cmp(&other.top()).then_with(|| {
            let digits = self.digits.len().max(other.digits.len());
            let padded = |d: &Self, at: usize| {
                if at < d.digits.len() { d.digits[d.digits.len() - 1 - at] } else { 0 }
            };
            (0..digits)
                .map(|at| padded(self, at).cmp(&padded(other, at)))
                .find(|o| o.is_ne())
                .unwrap_or(Ordering::Equal)
        })
    }
}

fn add(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut sum = Vec::with_capacity(a.len().max(b.len()) + 1);
    let mut carry = 0;
    for at in 0..a.len().max(b.len()) {
        let digit = a.get(at).unwrap_or(&0) + b.get(at).unwrap_or(&0) + carry;
        sum.push(digit % 10);
        carry = digit / 10;
    }
    sum.push(carry);
    sum
}

/// `a - b`, where `a` is not the smaller.
fn subtract(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut difference = Vec::with_capacity(a.len());
    let mut borrow = 0;
    for (at, digit) in a.iter().enumerate() {
        let take = b.get(at).unwrap_or(&0) + borrow;
        borrow = u8::from(*digit < take);
        difference.push(digit + borrow * 10 - take);
    }
    difference
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Decimal {}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => self.cmp_magnitude(other),
            (true, true) => other.cmp_magnitude(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rounding_goes_away_from_zero() {
        for (value, exponent, to, rounded) in
            [(15, -1, 0, 2), (-15, -1, 0, 0), (10, -1, 0, 1), (1, -30, -9, 1), (999, -3, 0, 1)]
        {
            assert_eq!(Decimal::new(value, exponent).scaled(to), Some(rounded), "{value}e{exponent}");
        }
    }

    #[test]
    fn sums_of_distant_numbers_stay_small() {
        let sum = Decimal::new(1, 1 << 40).plus(&Decimal::new(1, 0));
        assert_eq!(sum, Decimal::new(1, 1 << 40));
    }

    proptest! {
        #[test]
        fn agrees_with_machine_arithmetic(a in any::<i32>(), b in any::<i32>(), ea in -6i64..6, eb in -6i64..6) {
            let whole = |v: i32, e: i64| i128::from(v) * 10i128.pow((e + 6) as u32);
            let (x, y) = (Decimal::new(a.into(), ea), Decimal::new(b.into(), eb));
            prop_assert_eq!(x.cmp(&y), whole(a, ea).cmp(&whole(b, eb)));
            let sum = i64::try_from(whole(a, ea) + whole(b, eb)).ok();
            prop_assert_eq!(x.plus(&y).scaled(-6), sum);
        }
    }
}
