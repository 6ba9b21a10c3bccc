//! Divides seats among levels in proportion to what they want, within the bounds of each.

/// No target counts as less, so that nothing is divided by zero.
const LEAST_TARGET: f64 = 0.001;
const EPSILON: f64 = 1e-7;

/// What one level wants, and between what.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wish {
    /// Not negative, and not above the target nor `most`.
    pub least: f64,
    pub most: f64,
    pub target: f64,
}

/// Seats for each wish.
#[derive(Clone, Debug, PartialEq)]
pub struct Division {
    pub seats: Vec<f64>,
    /// Which part of its target everybody gets whose bounds do not say otherwise.
    pub fraction: f64,
}

/// The only division of `sum` in which each gets the same fraction of its target, or the bound that the fraction would
/// pass. `None` when the bounds leave no such one.
pub fn divide(sum: u64, wishes: &[Wish]) -> Option<Division> {
    let sum = sum as f64;
    let target = |wish: &Wish| wish.target.max(LEAST_TARGET);
    let broken = |wish: &Wish| wish.least < 0.0 || wish.target < wish.least || wish.most < wish.least;
    if wishes.iter().any(broken) {
        return None;
    }
    let (least, most) = wishes.iter().fold((0.0, 0.0), |(least, most), wish| (least + wish.least, most + wish.most));
    if least - sum > EPSILON || sum - most > EPSILON {
        return None;
    }
    let at = |fraction: f64| -> Vec<f64> {
        wishes.iter().map(|wish| (fraction * target(wish)).min(wish.most).max(wish.least)).collect()
    };
    // What is given grows with the fraction, in straight lines between the fractions at which some bound is reached.
    let mut bounds: Vec<(f64, f64)> = Vec::with_capacity(2 * wishes.len());
    for wish in wishes {
        bounds.push((wish.least / target(wish), target(wish)));
        bounds.push((wish.most / target(wish), -target(wish)));
    }
    bounds.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut given, mut slope, mut fraction) = (least, 0.0, bounds.first().map_or(0.0, |(bound, _)| *bound));
    for (bound, bends) in bounds {
        let next = given + (bound - fraction) * slope;
        if next >= sum && slope > EPSILON {
            fraction += (sum - given) / slope;
            return Some(Division { seats: at(fraction), fraction });
        }
        (given, fraction) = (next, bound);
        slope += bends;
    }
    Some(Division { seats: at(fraction), fraction })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wish(least: f64, target: f64, most: f64) -> Wish {
        Wish { least, most, target }
    }

    #[test]
    fn what_is_wanted_is_given_in_proportion() {
        let division = divide(30, &[wish(0.0, 10.0, 100.0), wish(0.0, 20.0, 100.0)]).expect("divides");
        assert_eq!(division, Division { seats: vec![10.0, 20.0], fraction: 1.0 });
        let division = divide(60, &[wish(0.0, 10.0, 100.0), wish(0.0, 20.0, 100.0)]).expect("divides");
        assert_eq!(division, Division { seats: vec![20.0, 40.0], fraction: 2.0 });
    }

    #[test]
    fn bounds_are_kept() {
        let division = divide(100, &[wish(40.0, 40.0, 200.0), wish(0.0, 90.0, 90.0), wish(0.0, 90.0, 20.0)]);
        let division = division.expect("divides");
        assert_eq!(division.seats, [40.0, 40.0, 20.0]);
        assert_eq!(divide(10, &[wish(20.0, 20.0, 30.0)]), None);
        assert_eq!(divide(40, &[wish(20.0, 20.0, 30.0)]), None);
        assert_eq!(divide(30, &[wish(20.0, 10.0, 30.0)]), None);
        assert_eq!(divide(0, &[]).map(|division| division.seats), Some(vec![]));
    }

    proptest! {
        #[test]
        fn all_is_given_and_no_bound_passed(
            shapes in prop::collection::vec((0_u32..50, 0_u32..50, 0_u32..200), 1..8),
            part in 0.0..1.0_f64,
        ) {
            let wishes: Vec<Wish> = shapes
                .iter()
                .map(|(least, above, most)| {
                    let least = f64::from(*least);
                    wish(least, least + f64::from(*above), least + f64::from(*most))
                })
                .collect();
            let (low, high): (f64, f64) = wishes.iter().fold((0.0, 0.0), |(l, h), w| (l + w.least, h + w.most));
            let sum = (low + (high - low) * part).floor().max(low) as u64;
            let division = divide(sum, &wishes).expect("within the bounds");
            prop_assert!((division.seats.iter().sum::<f64>() - sum as f64).abs() < 1e-3, "{division:?}");
            for (seats, wish) in division.seats.iter().zip(&wishes) {
                prop_assert!(*seats >= wish.least - 1e-9 && *seats <= wish.most + 1e-9);
                let fair = division.fraction * wish.target.max(LEAST_TARGET);
                prop_assert!(
                    (seats - fair).abs() < 1e-6 || *seats == wish.least && fair <= wish.least + 1e-6
                        || *seats == wish.most && fair >= wish.most - 1e-6,
                    "{seats} of {wish:?} at {}", division.fraction
                );
            }
        }
    }
}
