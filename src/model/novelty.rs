//! Scores how new the newest reading of one univariate sensor is, against that sensor's own past only.
//!
//! In: `(time, reading)` of one series. Out: a [`NoveltyReading`]: the rarity in decades ("once in 10^k
//! readings"), each statistic's own part of it, the bar it was held against, and whether it is an alarm.
//! Promise: causal (a score uses this and earlier readings only), deterministic (no clock, no hash order, libm for
//! logarithms), bounded (`size_of::<NoveltyState>()`, below 5 kB, never grows), scale-free (a change of unit changes nothing).
//! Not here: levels and warnings (rules have them), gaps in the stream (indicator T2), which readings are `good`.
//! Cost: O(1) a reading; about 0.4 µs with the state out of cache.
//!
//! # Method
//! Five statistics, each the answer to one question, each turned into a causal tail probability by `Tail` (its rank
//! among its own past values; an exponential beyond the past 98 % point) and given as `-log10 p`:
//! - `level`: is the mean of the last 8 readings far from the slow mean, in slow standard deviations?
//! - `daily`: is the mean of the last 12 residuals against the same quarter hour of earlier days large?
//! - `range`: is the reading beyond everything seen so far, by more than 1 % of that range?
//! - `shape`: do the last 60 readings fill the eight level classes unlike all earlier ones (Kullback–Leibler)?
//! - `context`: is the newest class unexpected after the two before it (trigram with back-off)?
//!
//! Rarity = max(min(level, 2) + daily + 2 range + shape; 1.5 context). Alarm when it reaches the bar.
//! Bar = `threshold`, + 4 for the 12 h after an alarm (an event is told once, and again when it gets clearly worse),
//! + 0.75 for each earlier alarm, fading with a time constant of a day (a series that alarms often must show more).

use super::wide;
use serde::{Deserialize, Serialize};

/// Novelty; one for all series. [`Novelty::default`] is what was fitted and cross-validated on NAB's development half.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Novelty {
    /// Alarm when the rarity reaches this, decades.
    pub threshold: f32,
    /// Quiet time after an alarm, milliseconds: within it only what is `worse` decades rarer than the bar alarms again.
    pub quiet_ms: i64,
    /// See `quiet_ms`.
    pub worse: f32,
    /// What each alarm adds to the bar, decades, and the time constant with which that falls back, milliseconds.
    pub rise: f32,
    /// See `rise`.
    pub fall_ms: i64,
    /// Readings without alarms at the start of a series.
    pub warm_up: u32,
    /// The most that the level may say on its own, decades: a jump must be new in another respect too.
    pub level_cap: f32,
    /// Weight of the range in the sum.
    pub range_weight: f32,
    /// Weight of the context beside the sum.
    pub context_weight: f32,
}

impl Default for Novelty {
    fn default() -> Self {
        Novelty {
            threshold: 5.9,
            // 8 to 16 h score within a quarter of a point on the development half.
            quiet_ms: DAY_MS / 2,
            worse: 4.0,
            rise: 0.75,
            fall_ms: DAY_MS,
            warm_up: 144,
            level_cap: 2.0,
            range_weight: 2.0,
            context_weight: 1.5,
        }
    }
}

/// A scored reading. The parts are `-log10` of causal tail probabilities: 3 = once in a thousand readings.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct NoveltyReading {
    /// Part of the level.
    pub level: f32,
    /// Part of the time of day.
    pub daily: f32,
    /// Part of the range.
    pub range: f32,
    /// Part of the distribution.
    pub shape: f32,
    /// Part of the order of classes.
    pub context: f32,
    /// The combined rarity.
    pub rarity: f32,
    /// What the rarity must reach for an alarm now.
    pub bar: f32,
    /// The bar is reached, after the warm-up.
    pub alarm: bool,
    /// True while fewer than `warm_up` readings were seen: the score is shown, no alarm is given.
    pub warming_up: bool,
}

const SHORT: usize = 8;
const RESIDUALS: usize = 12;
const SLOTS: usize = 96;
const RECENT: usize = 60;
const CLASSES: usize = 8;
const DAY_MS: i64 = 86_400_000;
/// Half-life of the slow mean and variance: 5000 readings, long against an event, short against a season (3000 to 9000
/// score alike); of the residual's spread: 1000.
const SLOW_SHARE: f64 = 1.386_198_3e-4; // 1 - 0.5^(1/5000)
const RESIDUAL_SHARE: f64 = 6.929_070_1e-4; // 1 - 0.5^(1/1000)
/// A counter set is halved at this sum: what is older than about 30 000 readings fades, and 16 bits suffice.
const FULL: u32 = 1 << 15;

/// One series' state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoveltyState {
    seen: u32,
    newest: i64,
    bar: Bar,

    slow: Slow,
    low: f64,
    high: f64,

    short: [f64; SHORT],
    residuals: [f32; RESIDUALS],
    residual: Slow,
    origin: f64,
    #[serde(with = "wide")]
    slot_mean: [f32; SLOTS],
    #[serde(with = "wide")]
    slot_days: [u8; SLOTS],

    #[serde(with = "wide")]
    recent: [u8; RECENT],
    recent_count: [u8; CLASSES],
    past_count: [u16; CLASSES],
    past_ln: [f32; CLASSES],

    one: [u16; CLASSES],
    two: [[u16; CLASSES]; CLASSES],
    three: [[[u16; CLASSES]; CLASSES]; CLASSES],

    tails: [Tail; 5],
}

impl Default for NoveltyState {
    fn default() -> Self {
        NoveltyState {
            seen: 0,
            newest: 0,
            bar: Bar::default(),
            slow: Slow::default(),
            low: f64::INFINITY,
            high: f64::NEG_INFINITY,
            short: [0.0; SHORT],
            residuals: [0.0; RESIDUALS],
            residual: Slow::default(),
            origin: 0.0,
            slot_mean: [0.0; SLOTS],
            slot_days: [0; SLOTS],
            recent: [0; RECENT],
            recent_count: [0; CLASSES],
            past_count: [1; CLASSES],
            past_ln: [0.0; CLASSES],
            one: [0; CLASSES],
            two: [[0; CLASSES]; CLASSES],
            three: [[[0; CLASSES]; CLASSES]; CLASSES],
            tails: [const { Tail::new() }; 5],
        }
    }
}

impl NoveltyState {
    /// Applies one reading and scores it. `None` (and no change) for a reading that is not finite.
    ///
    /// - `at`: event time, milliseconds; need not increase (a repeated or stepped-back time is a reading like any other)
    pub fn update(&mut self, settings: &Novelty, at: i64, reading: f64) -> Option<NoveltyReading> {
        if !reading.is_finite() {
            return None;
        }
        if self.seen == 0 {
            self.origin = reading;
        }
        let n = self.seen as usize;
        let z = self.slow.distance(reading);
        let class = class_of(z);

        let statistics = [
            self.level(n, reading),
            self.daily(n, at, reading),
            self.range(reading),
            self.shape(n, class),
            self.context(n, class),
        ];
        self.slow.push(reading, SLOW_SHARE);

        let mut part = [0.0f32; 5];
        for (k, tail) in self.tails.iter_mut().enumerate() {
            part[k] = tail.rarity(statistics[k]);
            tail.push(statistics[k]);
        }
        self.seen = self.seen.saturating_add(1);
        self.newest = if self.seen == 1 { at } else { self.newest.max(at) };

        let [level, daily, range, shape, context] = part;
        let rarity = rarity_of(settings, part);
        let bar = self.bar.at(settings, at);
        let over = rarity >= bar;
        if over {
            self.bar.raise(settings, at);
        }
        let warming_up = self.seen <= settings.warm_up;
        Some(NoveltyReading {
            level,
            daily,
            range,
            shape,
            context,
            rarity,
            bar,
            alarm: over && !warming_up,
            warming_up,
        })
    }

    /// Event time of the newest reading, milliseconds; `None` before the first.
    #[must_use]
    pub fn newest(&self) -> Option<i64> {
        (self.seen > 0).then_some(self.newest)
    }

    /// True while fewer readings than the warm-up were seen.
    #[must_use]
    pub fn is_warming_up(&self, settings: &Novelty) -> bool {
        self.seen <= settings.warm_up
    }

    fn level(&mut self, n: usize, reading: f64) -> f32 {
        self.short[n % SHORT] = reading;
        let have = (n + 1).min(SHORT);
        let mean = self.short[..have].iter().sum::<f64>() / have as f64;
        self.slow.distance(mean).abs().min(1e6) as f32
    }

    fn daily(&mut self, n: usize, at: i64, reading: f64) -> f32 {
        let slot = (at.rem_euclid(DAY_MS) * SLOTS as i64 / DAY_MS) as usize;
        let days = self.slot_days[slot];
        let value = reading - self.origin;
        let mean = f64::from(self.slot_mean[slot]);
        let sigma = self.residual.sigma();
        let off = if days > 0 { value - mean } else { 0.0 };
        if days == 0 {
            self.slot_mean[slot] = value as f32;
        } else {
            // 3 sigma: one wild day must not become tomorrow's normal.
            let bounded = if sigma > 0.0 { off.clamp(-3.0 * sigma, 3.0 * sigma) } else { off };
            let share = (1.0 / (f64::from(days) + 1.0)).max(0.2);
            self.slot_mean[slot] = (mean + share * bounded) as f32;
        }
        self.slot_days[slot] = days.saturating_add(1);
        self.residuals[n % RESIDUALS] = off as f32;
        self.residual.push(off, RESIDUAL_SHARE);
        let sigma = self.residual.sigma();
        if sigma < 1e-12 {
            return 0.0;
        }
        let have = (n + 1).min(RESIDUALS);
        let recent = self.residuals[..have].iter().map(|&r| f64::from(r)).sum::<f64>() / have as f64;
        (recent.abs() / sigma).min(1e6) as f32
    }

    fn range(&mut self, reading: f64) -> f32 {
        let width = self.high - self.low;
        let beyond = if !width.is_finite() {
            0.0
        } else if width > 0.0 {
            (reading - self.high).max(self.low - reading).max(0.0) / width
        } else if reading != self.high {
            1.0
        } else {
            0.0
        };
        self.low = self.low.min(reading);
        self.high = self.high.max(reading);
        if beyond < 0.01 { 0.0 } else { beyond.min(1e6) as f32 }
    }

    fn shape(&mut self, n: usize, class: usize) -> f32 {
        let place = n % RECENT;
        if n >= RECENT {
            let left = self.recent[place] as usize;
            self.recent_count[left] -= 1;
            self.past_count[left] += 1;
            if self.past_count.iter().map(|&c| u32::from(c)).sum::<u32>() >= FULL {
                for c in &mut self.past_count {
                    *c = (*c).div_ceil(2);
                }
                for (l, c) in self.past_ln.iter_mut().zip(self.past_count) {
                    *l = libm::logf(f32::from(c));
                }
            }
            self.past_ln[left] = libm::logf(f32::from(self.past_count[left]));
        }
        self.recent[place] = class as u8;
        self.recent_count[class] += 1;
        let have = (n + 1).min(RECENT) as f32;
        let past = self.past_count.iter().map(|&c| u32::from(c)).sum::<u32>();
        // sum c/m ln((c/m)/(q/total)) = (sum c (ln c - ln q))/m - ln m + ln total
        let mut sum = 0.0f32;
        for k in 0..CLASSES {
            let c = self.recent_count[k];
            sum += f32::from(c) * (LN[c as usize] - self.past_ln[k]);
        }
        (sum / have - LN[have as usize] + libm::logf(past as f32)).max(0.0)
    }

    fn context(&mut self, n: usize, class: usize) -> f32 {
        if n < 2 {
            return 0.0;
        }
        // `shape` has placed the newest class; the two before it lie behind it in the ring.
        let before = self.recent[(n - 1) % RECENT] as usize;
        let first = self.recent[(n - 2) % RECENT] as usize;
        let ones = self.one.iter().map(|&c| u32::from(c)).sum::<u32>() as f32;
        let twos = self.two[before].iter().map(|&c| u32::from(c)).sum::<u32>() as f32;
        let threes = self.three[first][before].iter().map(|&c| u32::from(c)).sum::<u32>() as f32;
        // Back-off with one pseudo-count: an unseen context speaks with the voice of the shorter one.
        let p1 = (f32::from(self.one[class]) + 0.5) / (ones + 0.5 * CLASSES as f32);
        let p2 = (f32::from(self.two[before][class]) + p1) / (twos + 1.0);
        let p3 = (f32::from(self.three[first][before][class]) + p2) / (threes + 1.0);
        self.one[class] += 1;
        self.two[before][class] += 1;
        self.three[first][before][class] += 1;
        if ones as u32 + 1 >= FULL {
            self.one.iter_mut().for_each(|c| *c /= 2);
            self.two.iter_mut().flatten().for_each(|c| *c /= 2);
            self.three.iter_mut().flatten().flatten().for_each(|c| *c /= 2);
        }
        (-libm::logf(p3)).max(0.0)
    }
}

/// The parts' combined rarity, decades.
fn rarity_of(settings: &Novelty, [level, daily, range, shape, context]: [f32; 5]) -> f32 {
    let sum = level.min(settings.level_cap) + daily + settings.range_weight * range + shape;
    sum.max(settings.context_weight * context)
}

/// What earlier alarms still add to the threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Bar {
    alarmed_at: i64,
    raised: f32,
}

impl Bar {
    fn left(&self, settings: &Novelty, at: i64) -> f32 {
        let since = (at - self.alarmed_at).max(0) as f64;
        self.raised * libm::exp(-since / settings.fall_ms as f64) as f32
    }
    fn at(&self, settings: &Novelty, at: i64) -> f32 {
        if self.raised <= 0.0 {
            return settings.threshold;
        }
        let quiet = if at - self.alarmed_at < settings.quiet_ms { settings.worse } else { 0.0 };
        settings.threshold + self.left(settings, at) + quiet
    }
    fn raise(&mut self, settings: &Novelty, at: i64) {
        self.raised = self.left(settings, at) + settings.rise;
        self.alarmed_at = at;
    }
}

/// The level class of a reading: eight of three quarters of a deviation each, the outer two open.
fn class_of(z: f64) -> usize {
    ((z + 3.0) / 0.75).clamp(0.0, 7.0) as usize
}

/// Exponentially weighted mean and variance that start as the plain ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Slow {
    n: f64,
    mean: f64,
    variance: f64,
}

impl Slow {
    fn push(&mut self, x: f64, share: f64) {
        self.n += 1.0;
        let share = share.max(1.0 / self.n);
        let d = x - self.mean;
        self.mean += share * d;
        self.variance = (1.0 - share) * (self.variance + share * d * d);
    }
    fn sigma(&self) -> f64 {
        self.variance.sqrt()
    }
    /// In standard deviations; 0 while there is no spread that a number of this size can show.
    fn distance(&self, x: f64) -> f64 {
        let sigma = self.sigma();
        if sigma <= 1e-9 * self.mean.abs() + 1e-12 { 0.0 } else { (x - self.mean) / sigma }
    }
}

const BINS: usize = 128;
/// Bits of 2^-8 with three bits of mantissa kept: bin 0 is all below, then eight bins an octave up to 2^8.
const FIRST: i32 = (127 - 8) * 8;

/// Causal tail probability of a non-negative statistic: a histogram of its past, eight bins an octave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Tail {
    #[serde(with = "wide")]
    count: [u16; BINS],
    /// Sums of 16 bins each, so that a rank costs 8 + 16 additions.
    block: [u16; BINS / 16],
    total: u32,
}

impl Tail {
    const fn new() -> Self {
        Tail { count: [0; BINS], block: [0; BINS / 16], total: 0 }
    }
    fn bin(s: f32) -> usize {
        ((s.to_bits() >> 20) as i32 - FIRST).clamp(0, BINS as i32 - 1) as usize
    }
    fn centre(bin: usize) -> f32 {
        if bin == 0 { 0.0 } else { f32::from_bits(((bin as i32 + FIRST) as u32) << 20 | 1 << 19) }
    }
    fn push(&mut self, s: f32) {
        let bin = Self::bin(s);
        self.count[bin] += 1;
        self.block[bin / 16] += 1;
        self.total += 1;
        if self.total >= FULL {
            self.total = 0;
            for (block, bins) in self.block.iter_mut().zip(self.count.chunks_mut(16)) {
                *block = 0;
                for c in bins {
                    *c /= 2;
                    *block += *c;
                }
                self.total += u32::from(*block);
            }
        }
    }
    fn above(&self, bin: usize) -> u32 {
        let block = bin / 16;
        let whole = self.block[block + 1..].iter().map(|&c| u32::from(c)).sum::<u32>();
        let part = self.count[bin + 1..block * 16 + 16].iter().map(|&c| u32::from(c)).sum::<u32>();
        whole + part
    }
    /// `-log10` of the share of the past at or beyond `s`.
    fn rarity(&self, s: f32) -> f32 {
        let bin = Self::bin(s);
        let above = self.above(bin);
        let total = self.total as f32;
        let goal = 0.02 * total;
        // Its own bin counts by the part of it that lies beyond `s`.
        let inside =
            if bin == 0 || bin == BINS - 1 { 0.5 } else { 1.0 - (s.to_bits() & 0xF_FFFF) as f32 / 1_048_576.0 };
        let rank = (above as f32 + inside * f32::from(self.count[bin]) + 0.5) / (total + 1.0);
        // Below 50 readings, and within the past's lower 98 %, the rank itself.
        if bin == 0 || self.total < 50 || (above + u32::from(self.count[bin])) as f32 >= goal {
            return -libm::log10f(rank);
        }
        // The lowest bin from which 2 % of the past lies at or above, and the mean excess beyond it.
        let mut edge = BINS - 1;
        let mut at_or_above = u32::from(self.count[edge]);
        while (at_or_above as f32) < goal && edge > 0 {
            edge -= 1;
            at_or_above += u32::from(self.count[edge]);
        }
        let from = Self::centre(edge);
        if edge == 0 || s <= from {
            return -libm::log10f(rank);
        }
        let (mut beyond, mut excess) = (0u32, 0.0f32);
        for k in edge + 1..BINS {
            let c = u32::from(self.count[k]);
            beyond += c;
            excess += c as f32 * (Self::centre(k) - from);
        }
        // One pseudo-observation keeps a first excess from being infinitely rare.
        let mean = (excess + 0.25 * from) / (beyond + 1) as f32;
        let share = beyond.max(1) as f32 / total;
        -libm::log10f(share) + (s - from) / mean * std::f32::consts::LOG10_E
    }
}

#[expect(clippy::approx_constant, clippy::excessive_precision, reason = "a table of logarithms")]
/// ln of 0 (counted as 0: it is always multiplied by 0) to 60.
const LN: [f32; RECENT + 1] = [
    0.0, 0.0, 0.6931472, 1.0986123, 1.3862944, 1.6094379, 1.7917595, 1.9459101, 2.0794415, 2.1972246, 2.3025851,
    2.3978953, 2.4849066, 2.5649494, 2.6390573, 2.7080502, 2.7725887, 2.8332133, 2.8903718, 2.944439, 2.9957323,
    3.0445224, 3.0910425, 3.1354942, 3.1780538, 3.2188758, 3.2580965, 3.2958369, 3.3322045, 3.3672958, 3.4011974,
    3.4339872, 3.4657359, 3.4965076, 3.5263605, 3.5553481, 3.5835189, 3.6109179, 3.6375862, 3.6635616, 3.6888795,
    3.7135721, 3.7376696, 3.7612001, 3.7841896, 3.8066625, 3.8286414, 3.8501476, 3.871201, 3.8918203, 3.912023,
    3.9318256, 3.9512437, 3.9702919, 3.988984, 4.0073332, 4.0253517, 4.0430513, 4.060443, 4.0775374, 4.0943446,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn series(n: usize) -> Vec<(i64, f64)> {
        let mut r = 7u64;
        (0..n)
            .map(|i| {
                r ^= r << 13;
                r ^= r >> 7;
                r ^= r << 17;
                let noise = (r >> 40) as f64 / 16_777_216.0;
                (i as i64 * 300_000, 20.0 + 5.0 * libm::sin(i as f64 * 0.0218) + noise)
            })
            .collect()
    }
    fn run(rows: &[(i64, f64)]) -> Vec<NoveltyReading> {
        let mut state = NoveltyState::default();
        rows.iter().map(|&(t, x)| state.update(&Novelty::default(), t, x).unwrap()).collect()
    }

    #[test]
    fn a_score_does_not_change_when_more_readings_follow() {
        let rows = series(3000);
        assert_eq!(run(&rows)[..1500], run(&rows[..1500])[..]);
    }
    #[test]
    fn a_change_of_unit_by_a_power_of_two_changes_nothing() {
        let rows = series(2000);
        let scaled: Vec<_> = rows.iter().map(|&(t, x)| (t, x * 1024.0)).collect();
        assert_eq!(run(&rows), run(&scaled));
    }
    #[test]
    fn a_jump_alarms_once_and_noise_hardly_ever() {
        let mut rows = series(6000);
        for row in &mut rows[5000..5050] {
            row.1 += 30.0;
        }
        let alarms: Vec<usize> = run(&rows).iter().enumerate().filter(|(_, r)| r.alarm).map(|(i, _)| i).collect();
        assert!(alarms.iter().filter(|&&i| (5000..5100).contains(&i)).count() >= 1, "{alarms:?}");
        assert!(alarms.iter().filter(|&&i| !(5000..5200).contains(&i)).count() <= 3, "{alarms:?}");
    }
    #[test]
    fn what_is_not_finite_changes_nothing() {
        let mut state = NoveltyState::default();
        state.update(&Novelty::default(), 0, 1.0);
        let before = state.clone();
        assert_eq!(state.update(&Novelty::default(), 1, f64::NAN), None);
        assert_eq!(state, before);
    }
    #[test]
    fn a_flat_series_is_never_new_and_a_million_readings_fit() {
        let mut state = NoveltyState::default();
        for i in 0..200_000 {
            assert!(!state.update(&Novelty::default(), i * 60_000, 45.0).unwrap().alarm);
        }
        assert!(std::mem::size_of::<NoveltyState>() <= 8192);
    }
}
