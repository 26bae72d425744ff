//! Numbers from a seed, the same on every machine.
//!
//! # Source
//! Steele, Lea, Flood (2014), Fast Splittable Pseudorandom Number Generators (the finaliser of SplitMix64).

/// A number that depends on nothing but its arguments: no state, so the order of asking does not matter.
pub(super) fn hash(seed: u64, a: u64, b: u64) -> u64 {
    let mut z =
        seed.wrapping_add(a.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_add(b.wrapping_mul(0xd1b5_4a32_d192_ed03));
    for _ in 0..2 {
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
    }
    z
}

/// 0 up to but not including `n`.
pub(super) fn below(seed: u64, a: u64, b: u64, n: u64) -> u64 {
    hash(seed, a, b) % n.max(1)
}

/// 0 up to but not including 1.
pub(super) fn unit(seed: u64, a: u64, b: u64) -> f64 {
    (hash(seed, a, b) >> 11) as f64 / (1u64 << 53) as f64
}

/// Noise of sample `k` around 0, between -1 and 1, that its next sample takes back: like a plant with a controller.
/// White noise would cross a control chart's bound every few hundred samples, in a city of thousands every minute.
pub(super) fn noise(seed: u64, point: u64, k: u64) -> f64 {
    unit(seed, point, k) - unit(seed, point, k.wrapping_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_stays_within_one_and_sums_to_nothing() {
        let all: Vec<f64> = (1..5_000).map(|k| noise(7, 3, k)).collect();
        assert!(all.iter().all(|x| x.abs() < 1.0));
        assert!(all.iter().sum::<f64>().abs() < 1.0);
        assert!(all.iter().any(|x| *x > 0.5) && all.iter().any(|x| *x < -0.5));
    }

    #[test]
    fn shares_are_even() {
        let mut counts = [0u32; 10];
        for k in 0..10_000 {
            counts[usize::try_from(below(1, 2, k, 10)).expect("below ten")] += 1;
        }
        assert!(counts.iter().all(|n| (850..1_150).contains(n)), "{counts:?}");
    }
}
