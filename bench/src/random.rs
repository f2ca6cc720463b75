//! Numbers that look random and are the same in every run.

/// A number that follows from two others alone; neighbours get unlike numbers.
pub(crate) fn mix(stream: u64, place: u64) -> u64 {
    let mut z = stream
        .wrapping_mul(0xD6E8_FEB8_6659_FD93)
        .wrapping_add(place.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A number below `bound`, which is not zero.
pub(crate) fn below(bound: u64, stream: u64, place: u64) -> u64 {
    mix(stream, place) % bound.max(1)
}

/// `count` different numbers below `bound`, in the order they were drawn; all there are, if that
/// is fewer.
pub(crate) fn distinct(count: u64, bound: u64, stream: u64, place: u64) -> Vec<u64> {
    let count = count.min(bound);
    let mut drawn = Vec::with_capacity(usize::try_from(count).unwrap_or_default());
    let mut step = place.wrapping_mul(1 << 16);
    while (drawn.len() as u64) < count {
        let number = below(bound, stream, step);
        step = step.wrapping_add(1);
        if !drawn.contains(&number) {
            drawn.push(number);
        }
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_same_each_time_and_none_comes_twice() {
        let drawn = distinct(100, 200, 1, 7);
        assert_eq!(drawn, distinct(100, 200, 1, 7));
        assert_ne!(drawn, distinct(100, 200, 1, 8));
        let mut sorted = drawn.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), 100);
        assert!(drawn.iter().all(|number| *number < 200));
    }

    #[test]
    fn a_range_that_is_too_small_is_drawn_whole() {
        let mut drawn = distinct(10, 3, 1, 1);
        drawn.sort_unstable();
        assert_eq!(drawn, [0, 1, 2]);
    }
}
