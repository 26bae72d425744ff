//! What a reading costs each statistical model, and what its state of a key takes.
//!
//! `cargo bench --bench model`; time a reading over 1,000 keys taken in turn, after each has had its warm-up; bytes as saved. Counts
//! come once a week or day and key, so their cost hardly matters; farrington fits five years again at each count.

use forewarn::model::{CountGroup, CountSetting, CountState, Ears, Farrington, Group, GroupState, ReadingModel};
use std::hint::black_box;
use std::time::Instant;

const KEYS: usize = 1_000;
const MINUTE: i64 = 60_000;

/// Numbers from 0 to 1 that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// About normal, mean 0, standard deviation 1.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.next()).sum::<f64>() - 6.0
    }

    /// A count around `mean`.
    fn count(&mut self, mean: f64) -> f64 {
        (mean + mean.sqrt() * self.normal()).max(0.0).round()
    }
}

fn line(name: &str, readings: usize, start: Instant, bytes: usize) {
    let each = start.elapsed().as_secs_f64() * 1e9 / readings as f64;
    println!("{name:<34}{each:>12.0} ns{:>14.0} a second{bytes:>10} B a key", 1e9 / each);
}

fn readings(method: &str, warm_up: usize, rounds: usize) {
    let model = ReadingModel::of(method, &|_, default| default).expect("a model of readings");
    let mut numbers = Numbers(1);
    let mut states: Vec<_> = (0..KEYS).map(|_| model.state()).collect();
    let mut start = Instant::now();
    for round in 0..warm_up + rounds {
        if round == warm_up {
            start = Instant::now();
        }
        for state in &mut states {
            black_box(state.apply(&model, round as i64 * 5 * MINUTE, 20.0 + numbers.normal()));
        }
    }
    line(method, rounds * KEYS, start, postcard::to_allocvec(&states[0]).expect("plain data").len());
}

fn main() {
    for method in ["ewma", "cusum", "shewhart", "page_hinkley", "holt_winters"] {
        readings(method, 2_200, 1_000);
    }
    readings("sensor_novelty", 2_200, 400);

    let mut numbers = Numbers(2);
    let group = Group { calibrate: 400, ..Group::default() };
    let mut states: Vec<_> = (0..KEYS / 10).map(|_| GroupState::new(8)).collect();
    let mut start = Instant::now();
    for round in 0..1_400 {
        if round == 400 {
            start = Instant::now();
        }
        for state in &mut states {
            let row: [f64; 8] = std::array::from_fn(|_| numbers.normal());
            black_box(state.update(&group, &row));
        }
    }
    let bytes = postcard::to_allocvec(&states[0]).expect("plain data").len();
    line("sensor_group, 8 sensors", 1_000 * states.len(), start, bytes);

    for (name, setting, steps) in
        [("count_surge, weeks", CountSetting::WEEKLY, 600), ("count_surge, days", CountSetting::DAILY, 600)]
    {
        let mut states = vec![CountState::default(); KEYS];
        let start = Instant::now();
        for step in 0..steps {
            for state in &mut states {
                black_box(state.update(&setting, step, numbers.count(6.0)));
            }
        }
        let bytes = postcard::to_allocvec(&states[0]).expect("plain data").len();
        line(name, KEYS * steps as usize, start, bytes);
    }
    let mut city = CountGroup::new(77);
    let start = Instant::now();
    for step in 0..2_000 {
        let counts: Vec<f64> = (0..77).map(|_| numbers.count(6.0)).collect();
        black_box(city.update(&CountSetting::WEEKLY, step, &counts));
    }
    let bytes = postcard::to_allocvec(&city).expect("plain data").len();
    line("count_surge, 77 areas of a city", 77 * 2_000, start, bytes / 77);

    let counts: Vec<f64> = (0..400).map(|_| numbers.count(6.0)).collect();
    let start = Instant::now();
    for n in 300..400 {
        black_box(Farrington::default().judge(&counts[..n]));
    }
    line("farrington, five years", 100, start, 8 * 267);
    for (name, method) in [("ears_c1", Ears::C1), ("ears_c3", Ears::C3)] {
        let start = Instant::now();
        for _ in 0..100 {
            for n in 20..400 {
                black_box(method.judge(&counts[..n], 0.01));
            }
        }
        line(name, 100 * 380, start, 8 * 12);
    }
}
