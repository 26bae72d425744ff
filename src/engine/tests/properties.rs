//! What holds for any log: random rows, times, duplicates, nulls and revisions over rules of every kind.

use super::drive::{DAY, HOUR, MINUTE, Row, SECOND, START, Step, apply, entries, looped, run};
use super::rules::all;
use crate::engine::Engine;
use crate::record::{Kind, Millis};
use proptest::prelude::*;

/// One random event: how time goes on before it, and the record.
#[derive(Clone, Debug)]
struct Event {
    wait: Millis,
    ticks: u8,
    row: Row,
    /// The record comes again right away, as long after.
    again: bool,
    /// Readings of all three sensors of the object at the same time follow, in this order.
    volley: Option<([u8; 3], bool)>,
}

fn event() -> impl Strategy<Value = Event> {
    let wait = prop_oneof![
        10 => Just(0),
        8 => (1..20_i64).prop_map(|n| n * 15 * SECOND),
        6 => (1..12_i64).prop_map(|n| n * 5 * MINUTE),
        2 => (1..60_i64).prop_map(|n| n * HOUR + 7 * SECOND),
        1 => (20..60_i64).prop_map(|n| n * DAY),
    ];
    let kind = prop_oneof![
        6 => Just(Kind::Iot),
        6 => Just(Kind::Supervision),
        2 => Just(Kind::Inspection),
        1 => Just(Kind::Licensing),
        1 => Just(Kind::Registry),
    ];
    let jitter = prop_oneof![4 => Just(0), 4 => (-80..8_i64).prop_map(|n| n * 15 * SECOND)];
    let value = prop_oneof![1 => Just(None), 9 => (0..60_u8).prop_map(|v| Some(f64::from(v)))];
    let row = (kind, jitter, 0..3_u32, 0..3_u32, value, 0..7_usize, prop_oneof![9 => Just(1_i64), 1 => Just(2)]);
    let volley = prop::option::weighted(0.1, (prop::array::uniform3(0..60_u8), any::<bool>()));
    (wait, 0..3_u8, row, prop::bool::weighted(0.05), volley).prop_map(
        |(wait, ticks, (kind, at, object, sensor, value, word, revision), again, volley)| Event {
            wait,
            ticks,
            row: Row { kind, at, id: 0, revision, object, sensor, value, word },
            again,
            volley,
        },
    )
}

/// Rows and times, not yet what the engine says to itself. Records of the same moment share one id now and then.
fn steps(events: &[Event]) -> Vec<Step> {
    let mut now = START;
    let mut out = vec![Step::Time(now)];
    for (number, event) in events.iter().enumerate() {
        if event.wait > 0 {
            for i in 1..=i64::from(event.ticks) {
                out.push(Step::Time(now + event.wait * i / (i64::from(event.ticks) + 1)));
            }
            now += event.wait;
            out.push(Step::Time(now));
        }
        let row = Row { at: now + event.row.at, id: number as u32, ..event.row.clone() };
        out.push(Step::Row(row.clone()));
        if event.again {
            out.push(Step::Row(row.clone()));
        }
        if let Some((values, backwards)) = event.volley {
            let mut readings: Vec<Row> = (0..3)
                .zip(values)
                .map(|(sensor, value)| {
                    let id = 1_000 * (sensor + 1) + number as u32;
                    Row { sensor, ..Row::reading(row.at, id, row.object, f64::from(value)) }
                })
                .collect();
            if backwards {
                readings.reverse();
            }
            out.extend(readings.into_iter().map(Step::Row));
        }
    }
    // Everything that still waits gets its time. Forgetting takes a month of borders in most of which nothing happens, and
    // most of a case's time: every fourth length of log does it.
    let waits = [HOUR, 5 * HOUR, 3 * DAY, 40 * DAY];
    let long = events.len().is_multiple_of(4);
    out.extend(waits[..if long { 4 } else { 3 }].iter().map(|wait| Step::Time(now + wait)));
    out
}

fn log() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(event(), 1..20).prop_map(|events| looped(&all(), &steps(&events)))
}

/// Ticks that nothing stands behind but more ticks, thinned or thickened; log time at each row stays as it was.
fn other_ticks(log: &[Step], choose: &[u8]) -> Vec<Step> {
    let mut out: Vec<Step> = Vec::new();
    let mut now = None;
    for (number, step) in log.iter().enumerate() {
        let choice = choose.get(number % choose.len()).copied().unwrap_or(0);
        if let Step::Time(to) = step {
            let last = matches!(out.last(), Some(Step::Time(_))) && out.len() > 1;
            match (choice, now) {
                (0..=2, _) if last => {
                    out.pop();
                }
                (3..=5, Some(from)) => {
                    let parts = i64::from(choice);
                    out.extend((1..parts).map(|i| Step::Time(from + (to - from) * i / parts)));
                }
                (6, _) => out.push(step.clone()),
                _ => {}
            }
            now = Some(*to);
        }
        out.push(step.clone());
    }
    out
}

/// The first lines of two runs that differ.
fn differs(a: &[String], b: &[String]) -> Option<String> {
    if a == b {
        return None;
    }
    let at = a.iter().zip(b).position(|(x, y)| x != y).unwrap_or(a.len().min(b.len()));
    let line = |all: &[String]| all.get(at).cloned().unwrap_or_else(|| "(nothing)".to_owned());
    Some(format!("{} and {} outcomes; first difference, number {at}:\n{}\n{}", a.len(), b.len(), line(a), line(b)))
}

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_same_log_gives_the_same_bytes(log in log()) {
        let entries = entries(&log, |n| n % 3 == 0);
        let (one, a) = run(&all(), &entries);
        let (two, b) = run(&all(), &entries);
        prop_assert_eq!(a.bytes(), b.bytes());
        prop_assert!(one.save() == two.save(), "the states differ");
    }

    #[test]
    fn frames_do_not_matter(log in log(), cuts in prop::collection::vec(any::<bool>(), 1..16)) {
        let (_, each) = run(&all(), &entries(&log, |_| true));
        let (_, whole) = run(&all(), &entries(&log, |_| false));
        prop_assert_eq!(differs(&each.same(), &whole.same()), None);
        let (_, some) = run(&all(), &entries(&log, |n| cuts[n % cuts.len()]));
        prop_assert_eq!(differs(&each.same(), &some.same()), None);
    }

    #[test]
    fn the_density_of_ticks_does_not_matter(log in log(), choose in prop::collection::vec(0..8_u8, 1..16)) {
        let (_, as_written) = run(&all(), &entries(&log, |n| n % 2 == 0));
        let other = other_ticks(&log, &choose);
        let (_, otherwise) = run(&all(), &entries(&other, |n| n % 2 == 0));
        prop_assert_eq!(differs(&as_written.same(), &otherwise.same()), None);
    }

    #[test]
    fn stopped_and_restored_anywhere_gives_the_same_bytes(log in log(), places in prop::collection::vec(any::<prop::sample::Index>(), 1..4)) {
        let entries = entries(&log, |n| n % 2 == 0);
        let (unbroken, whole) = run(&all(), &entries);
        let mut stops: Vec<usize> = places.iter().map(|p| p.index(entries.len() + 1)).collect();
        stops.sort_unstable();
        let mut engine = Engine::new(all(), 0, 1);
        let mut bytes = String::new();
        let (mut changes, mut signals, mut values) = (Vec::new(), Vec::new(), Vec::new());
        let mut done = 0;
        for stop in stops.into_iter().chain([entries.len()]) {
            let mut seen = apply(&mut engine, &entries[done..stop]);
            changes.append(&mut seen.changes);
            signals.append(&mut seen.signals);
            values.append(&mut seen.values);
            done = stop;
            let saved = engine.save();
            engine = Engine::restore(all(), &saved, 0, 1).expect("what was saved reads");
            // Never beyond what was applied: a commit at this position covers the snapshot.
            prop_assert_eq!(engine.position(), done as u64);
        }
        let parts = super::drive::Seen { changes, signals, values, loops: 0 };
        bytes.push_str(&parts.bytes());
        prop_assert_eq!(whole.bytes(), bytes);
        prop_assert!(unbroken.save() == engine.save(), "the states differ at the end");
    }

    #[test]
    fn delivered_twice_gives_the_same(log in log(), lag in 0..6_usize) {
        let mut twice: Vec<Step> = Vec::new();
        let mut sent: Vec<Row> = Vec::new();
        for step in &log {
            // All that came since time last moved comes again before it moves: within every horizon.
            if let Step::Time(_) = step {
                let late = sent.len().saturating_sub(lag + 1);
                twice.extend(sent.drain(late..).map(Step::Row));
                sent.clear();
            }
            if let Step::Row(row) = step {
                sent.push(row.clone());
            }
            twice.push(step.clone());
        }
        let (one, once) = run(&all(), &entries(&log, |_| false));
        let (two, again) = run(&all(), &entries(&twice, |_| false));
        prop_assert_eq!(differs(&once.same(), &again.same()), None);
        let used = |e: &Engine| e.fates().values().map(|f| f.used).sum::<u64>();
        let unknown = one.fates().values().map(|f| f.dedupe_unknown).sum::<u64>();
        prop_assert!(unknown > 0 || used(&one) == used(&two));
    }

    #[test]
    fn every_row_is_counted_once(log in log(), cuts in prop::collection::vec(any::<bool>(), 1..8)) {
        let (engine, _) = run(&all(), &entries(&log, |n| cuts[n % cuts.len()]));
        for kind in [Kind::Iot, Kind::Supervision, Kind::Inspection, Kind::Licensing, Kind::Registry] {
            let sent = log.iter().filter(|s| matches!(s, Step::Row(r) if r.kind == kind)).count() as u64;
            let f = engine.fates().get(kind.word()).copied().unwrap_or_default();
            prop_assert_eq!(sent, f.used + f.duplicate + f.stale_revision, "{:?} {:?}", kind, f);
            prop_assert!(f.late <= f.used && f.beyond_windows <= f.used && f.dedupe_unknown <= f.used);
        }
    }
}

/// Order-free kinds: rows shuffled within the lateness end in the same values.
mod order {
    use super::*;

    const KINDS: [&str; 5] = ["panes", "rows", "day", "unlicensed", "zero_divisor"];

    proptest! {
        #![proptest_config(config())]

        #[test]
        fn shuffled_within_the_lateness_measures_end_at_the_same_values(
            events in prop::collection::vec(event(), 2..24),
            order in prop::collection::vec(any::<u32>(), 24),
        ) {
            // All within ten minutes of log time, the least lateness of a source; one record per id.
            let mut rows: Vec<Row> = events
                .iter()
                .enumerate()
                .map(|(n, e)| Row { at: START - 4 * MINUTE + e.row.at / 3, id: n as u32, kind: if e.row.kind == Kind::Licensing { Kind::Iot } else { e.row.kind }, ..e.row.clone() })
                .collect();
            let write = |rows: &[Row]| {
                let mut steps = vec![Step::Time(START)];
                for (n, row) in rows.iter().enumerate() {
                    steps.push(Step::Time(START + n as Millis * 2 * SECOND));
                    steps.push(Step::Row(row.clone()));
                }
                steps.push(Step::Time(START + 3 * MINUTE));
                steps
            };
            let (a, _) = run(&all(), &entries(&write(&rows), |_| false));
            let mut places: Vec<usize> = (0..rows.len()).collect();
            places.sort_by_key(|i| order[*i]);
            rows = places.iter().map(|i| rows[*i].clone()).collect();
            let (b, _) = run(&all(), &entries(&write(&rows), |_| false));
            prop_assert_eq!(differs(&finals(&a), &finals(&b)), None);
        }
    }

    /// Indicator, key and quantities of every key that holds anything.
    fn finals(engine: &Engine) -> Vec<String> {
        let mut all = Vec::new();
        for (i, node) in engine.program.nodes.iter().enumerate().filter(|(_, n)| KINDS.contains(&&*n.id)) {
            for key in 0..engine.set_len(node.set) as u32 {
                let text = engine.key_text(node.set, key);
                // `last` is for ties of one instant what came last; every other function ignores order.
                let mut quantities = engine.measure_quantities(i, key);
                for (name, q) in node.quantities.iter().zip(&mut quantities) {
                    if name == "newest" || name == "latest" {
                        *q = None;
                    }
                }
                if !text.is_empty() {
                    all.push(format!("{} {text} {quantities:?}", node.id));
                }
            }
        }
        all.sort();
        all
    }
}
