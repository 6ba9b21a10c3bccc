//! Where a name is looked for in a table of names; the build lays the tables out by it.

/// The first slot of `size`, a power of two, at which a name may be; it is there or in one of those that follow.
pub fn slot(name: &str, size: usize) -> usize {
    let bytes = name.as_bytes();
    let at = |place: usize| bytes.get(place).copied().map_or(0, usize::from);
    let (first, middle, last) = (at(0), at(bytes.len() / 2), at(bytes.len().saturating_sub(1)));
    (bytes.len().wrapping_mul(7) ^ first.wrapping_mul(31) ^ middle.wrapping_mul(113) ^ last.wrapping_mul(5))
        & (size - 1)
}
