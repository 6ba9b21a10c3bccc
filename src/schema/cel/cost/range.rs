//! A cost or a size between a least and a most. Arithmetic stops at the largest number.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub min: u64,
    pub max: u64,
}

impl Range {
    pub const ZERO: Self = Self::of(0);
    pub const ONE: Self = Self::of(1);
    pub const UNKNOWN: Self = Self { min: 0, max: u64::MAX };
    /// Gives way to any other in a union.
    pub const NONE: Self = Self { min: u64::MAX, max: 0 };

    pub const fn of(number: u64) -> Self {
        Self { min: number, max: number }
    }

    pub fn plus(self, other: Self) -> Self {
        Self { min: self.min.saturating_add(other.min), max: self.max.saturating_add(other.max) }
    }

    pub fn times(self, other: Self) -> Self {
        Self { min: self.min.saturating_mul(other.min), max: self.max.saturating_mul(other.max) }
    }

    /// Rounded up.
    pub fn scaled(self, factor: f64) -> Self {
        Self { min: scaled(self.min, factor), max: scaled(self.max, factor) }
    }

    pub fn or(self, other: Self) -> Self {
        Self { min: self.min.min(other.min), max: self.max.max(other.max) }
    }
}

fn scaled(number: u64, factor: f64) -> u64 {
    // A float beyond the largest number becomes the largest.
    (number as f64 * factor).ceil() as u64
}
