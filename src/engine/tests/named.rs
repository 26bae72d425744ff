//! One story each: what a duty officer would be woken for wrongly, or not at all, if it were otherwise.

use super::drive::{DAY, HOUR, MINUTE, Row, SECOND, START, Seen, Step, apply, entries, looped, object, run, stamp};
use super::rules::{all, compile};
use crate::engine::pane::{Cut, Panes};
use crate::engine::state::MethodState;
use crate::engine::{ChangeKind, Engine, Program};
use crate::log::{Activate, Clock, Entry, Stamp};
use crate::model::{CountSetting, CountState};
use crate::record::{Kind, Millis};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Readings of rostered objects; silence for 30 minutes is a yellow warning.
fn watched() -> Arc<Program> {
    compile(&[(
        "leak",
        "source: iot
key: { space: object, state: [sensor_id] }
kind: sustained
value: \"value\"
levels: { blue: 10, yellow: 25 }
clear: { below: \"80%\", evaluations: 3 }
absence: { roster: \"status = 'active'\", after: 30m, level: yellow }
on_null: skip",
    )])
}

fn activate() -> Entry {
    let raw = ["iot/0", "iot/1"].map(str::to_owned).to_vec();
    Entry::Pack(Activate { version: 1, hash: "test".into(), clock: Clock::Wall, raw })
}

/// A stamp of one intake that owns some raw partitions.
fn owns(wall: Millis, marks: &[(&str, Millis)]) -> Stamp {
    Stamp { wall, marks: marks.iter().map(|(raw, at)| ((*raw).to_owned(), *at)).collect(), blind: Vec::new() }
}

fn rows(stamp: Stamp, rows: &[Row]) -> Entry {
    let steps: Vec<Step> = rows.iter().cloned().map(Step::Row).collect();
    let Some(Entry::Rows(mut frame)) = entries(&steps, |_| false).pop() else {
        return Entry::Tick(stamp);
    };
    frame.stamp = Some(stamp);
    Entry::Rows(frame)
}

/// Minutes from the start at which an object was reported absent.
fn absences(seen: &Seen) -> Vec<(String, i64)> {
    let own = seen.changes.iter().filter(|c| c.absent && c.was.is_none());
    own.map(|c| (c.key.clone(), (c.at - START) / MINUTE)).collect()
}

/// A reading a minute of each object, from one minute to another.
fn minutely(from: i64, to: i64, objects: &[u32]) -> Vec<Row> {
    (from..to)
        .flat_map(|m| objects.iter().map(move |o| Row::reading(START + m * MINUTE, 1_000 + m as u32 * 10 + o, *o, 1.0)))
        .collect()
}

fn roster(objects: &[u32]) -> Vec<Row> {
    objects.iter().map(|o| Row::registered(START, *o, *o)).collect()
}

#[test]
fn everything_silent_fires_absence_and_what_never_reported_is_absent_too() {
    let mut log = vec![activate(), rows(owns(START, &[("iot/0", START), ("iot/1", START)]), &roster(&[0, 1]))];
    log.push(rows(owns(START, &[]), &minutely(0, 10, &[0])));
    for m in (15..=60).step_by(15) {
        let at = START + m * MINUTE;
        log.push(Entry::Tick(owns(at, &[("iot/0", at), ("iot/1", at)])));
    }
    let (_, seen) = run(&watched(), &log);
    assert_eq!(absences(&seen), [(object(1), 30), (object(0), 39)]);
}

#[test]
fn intake_stopped_for_two_hours_raises_no_absence_from_its_backlog() {
    let mut log = vec![activate(), rows(owns(START, &[("iot/0", START), ("iot/1", START)]), &roster(&[0]))];
    let both = |m: i64| [("iot/0", START + m * MINUTE), ("iot/1", START + m * MINUTE)];
    log.push(rows(owns(START + 10 * MINUTE, &both(10)), &minutely(0, 10, &[0])));
    // Two hours of wall time pass. The backlog is read in frames; nothing is marked until it has been read through.
    for from in (10..130).step_by(10) {
        log.push(rows(owns(START + 130 * MINUTE, &both(10)), &minutely(from, from + 10, &[0])));
    }
    log.push(Entry::Tick(owns(START + 131 * MINUTE, &both(131))));
    let (engine, seen) = run(&watched(), &log);
    assert_eq!(absences(&seen), []);
    assert_eq!(engine.log_time(), Some(START + 131 * MINUTE));
    // The same, but marked before its rows: this is what the rule of marks prevents.
    log.insert(3, Entry::Tick(owns(START + 130 * MINUTE, &both(130))));
    let (_, seen) = run(&watched(), &log);
    assert_eq!(absences(&seen), [(object(0), 39)]);
}

#[test]
fn of_two_intakes_one_dies_for_an_hour_and_nobody_is_absent() {
    let mut log = vec![activate(), rows(owns(START, &[("iot/0", START), ("iot/1", START)]), &roster(&[0, 1]))];
    let at = |m: i64| START + m * MINUTE;
    log.push(rows(owns(at(10), &[("iot/0", at(10))]), &minutely(0, 10, &[0])));
    log.push(rows(owns(at(10), &[("iot/1", at(10))]), &minutely(0, 10, &[1])));
    for m in (10..70).step_by(10) {
        log.push(rows(owns(at(m + 10), &[("iot/0", at(m + 10))]), &minutely(m, m + 10, &[0])));
    }
    let (mut engine, seen) = run(&watched(), &log);
    assert_eq!(absences(&seen), []);
    assert_eq!(engine.log_time(), Some(at(10)), "the dead intake's mark stays in the minimum");
    // The next owner carries the mark on, after the rows.
    let late = [
        rows(owns(at(70), &[("iot/1", at(10))]), &minutely(10, 70, &[1])),
        Entry::Tick(owns(at(70), &[("iot/1", at(70))])),
    ];
    assert_eq!(absences(&apply(&mut engine, &late)), []);
    assert_eq!(engine.log_time(), Some(at(70)));
}

#[test]
fn a_silent_partition_stops_nobody_else() {
    let mut log = vec![activate(), rows(owns(START, &[("iot/0", START), ("iot/1", START)]), &roster(&[0, 1]))];
    let at = |m: i64| START + m * MINUTE;
    // Partition 1 has nothing to read; its probes still mark it.
    for m in (0..60).step_by(10) {
        let marks = [("iot/0", at(m + 10)), ("iot/1", at(m + 10))];
        let mut all = minutely(m, m + 10, &[0]);
        if m == 50 {
            all.push(Row::reading(at(59), 9, 0, 30.0));
        }
        log.push(rows(owns(at(m + 10), &marks), &all));
    }
    let (_, seen) = run(&watched(), &log);
    assert_eq!(absences(&seen), [(object(1), 30)]);
    assert!(seen.story("leak").contains(&"59m station:0 raised yellow".to_owned()), "{:?}", seen.story("leak"));
}

#[test]
fn a_blind_source_leaves_the_minimum_until_it_is_marked_again() {
    let at = |m: i64| START + m * MINUTE;
    let blind = Stamp { blind: vec!["iot/1".to_owned()], ..owns(at(20), &[("iot/0", at(20))]) };
    let log = [activate(), Entry::Tick(owns(at(5), &[("iot/0", at(5)), ("iot/1", at(5))])), Entry::Tick(blind)];
    let (mut engine, _) = run(&watched(), &log);
    assert_eq!(engine.log_time(), Some(at(20)));
    apply(&mut engine, &[Entry::Tick(owns(at(30), &[("iot/1", at(21)), ("iot/0", at(30))]))]);
    assert_eq!(engine.log_time(), Some(at(21)));
    apply(&mut engine, &[Entry::Tick(owns(at(31), &[("iot/1", at(15))]))]);
    assert_eq!(engine.log_time(), Some(at(21)), "log time never goes back");
}

#[test]
fn rows_before_any_mark_wait_for_time_and_harm_nothing() {
    let early = vec![
        activate(),
        rows(owns(START, &[("iot/0", START)]), &[roster(&[0]), minutely(0, 3, &[0, 1])].concat()),
        Entry::Tick(owns(START + HOUR, &[("iot/0", START + HOUR), ("iot/1", START + HOUR)])),
    ];
    let (engine, seen) = run(&all(), &early);
    assert_eq!(engine.log_time(), Some(START + HOUR));
    let (_, seen_watched) = run(&watched(), &early);
    assert_eq!(absences(&seen_watched), [(object(0), 60)], "overdue when time began: due at once, as of then");
    assert!(seen.changes.iter().all(|c| c.at <= START + HOUR));
}

#[test]
fn a_row_stamped_a_day_ahead_harms_nobody() {
    let steps = |ahead: bool| {
        let mut steps = vec![Step::Time(START)];
        steps.extend([0, 1, 2, 8].map(|o| Step::Row(Row::registered(START, o, o))));
        for m in 0..180_i64 {
            let at = START + m * MINUTE;
            steps.push(Step::Time(at));
            if ahead && m == 30 {
                steps.push(Step::Row(Row::reading(at + DAY, 7, 8, 50.0)));
            }
            for object in 0..3 {
                let value = f64::from((m as u32 * 7 + object * 13) % 40);
                steps.push(Step::Row(Row::reading(at, 100 + m as u32 * 10 + object, object, value)));
            }
        }
        steps.push(Step::Time(START + 2 * DAY));
        steps
    };
    let (with, seen) = run(&all(), &entries(&steps(true), |_| false));
    let (without, usual) = run(&all(), &entries(&steps(false), |_| false));
    assert_eq!(with.log_time(), without.log_time(), "rows do not move time");
    let others = |seen: &Seen| {
        // What the row's own keys (its object, enterprise and street) say is theirs: a key's window ends at its newest
        // row. Intake keeps such rows out altogether (`future`).
        let own = ["station:8", "E4", "\"space\":\"street\""];
        seen.same().into_iter().filter(|l| !own.iter().any(|o| l.contains(o))).collect::<Vec<_>>()
    };
    assert!(!others(&usual).is_empty());
    assert_eq!(others(&seen), others(&usual));
    // And the point itself is judged again once its own time has come.
    let mut engine = with;
    let later = START + 2 * DAY + HOUR;
    let mut own = vec![Step::Time(later)];
    own.extend((0..4).map(|i| Step::Row(Row::reading(later + i * MINUTE, 20 + i as u32, 8, 50.0))));
    let seen = apply(&mut engine, &entries(&own, |_| false));
    assert!(seen.changes.iter().any(|c| c.key == object(8)), "{:?}", seen.story("held"));
}

#[test]
fn a_value_swinging_around_a_bound_gives_one_raise_and_one_clear() {
    let mut log = vec![Step::Time(START)];
    // 19, 21, 19, 21 ... around 20 for an hour, then well below.
    for m in 0..60_i64 {
        log.push(Step::Time(START + m * MINUTE));
        log.push(Step::Row(Row::reading(START + m * MINUTE, m as u32, 0, if m % 2 == 0 { 9.0 } else { 11.0 })));
    }
    for m in 60..80_i64 {
        log.push(Step::Time(START + m * MINUTE));
        log.push(Step::Row(Row::reading(START + m * MINUTE, m as u32, 0, 2.0)));
    }
    let (_, seen) = run(&watched(), &entries(&log, |_| true));
    assert_eq!(seen.story("leak"), ["1m station:0 raised blue", "62m station:0 cleared blue"]);
}

#[test]
fn an_expression_that_divides_by_zero_stops_nothing() {
    let mut steps = vec![Step::Time(START)];
    for m in 0..10_i64 {
        steps.push(Step::Time(START + m * MINUTE));
        steps.push(Step::Row(Row::reading(START + m * MINUTE, m as u32, 0, 50.0)));
    }
    let program = all();
    let (engine, seen) = run(&program, &entries(&steps, |_| true));
    // At the third reading the divisor is zero: no value, counted; before and after it is judged.
    let nulls = engine.usage()["zero_divisor"].nulls;
    assert_eq!(nulls, 1);
    assert_eq!(seen.story("zero_divisor"), ["3m station:0 raised yellow"]);
    assert!(!seen.story("held").is_empty(), "others go on");
    assert_eq!(engine.fates()["iot"].used, 10);
}

/// Keys, record ids and bytes of all windows.
fn weight(engine: &Engine) -> (usize, usize, usize) {
    let (keys, ids) = engine.keys();
    (keys, ids, engine.usage().values().map(|u| u.bytes).sum())
}

#[test]
fn keys_that_never_return_are_freed_and_their_numbers_mean_nothing_more() {
    let mut engine = Engine::new(all(), 0, 1);
    let mut heaviest = (0, 0, 0);
    let mut early = 0;
    for day in 0..90_i64 {
        let at = START + day * DAY;
        let mut steps = vec![Step::Time(at)];
        steps.extend((0..20).map(|i| Step::Row(Row::reading(at, i, 1_000 + day as u32 * 20 + i, 1.0))));
        let seen = apply(&mut engine, &entries(&steps, |_| false));
        assert!(seen.changes.is_empty(), "{:?}", seen.changes.first());
        let (keys, ids, bytes) = weight(&engine);
        heaviest = (heaviest.0.max(keys), heaviest.1.max(ids), heaviest.2.max(bytes));
        if day == 44 {
            early = bytes;
        }
    }
    // 20 objects a day with a routing key and one state key, known for 35 days after their last reading and a sweep.
    assert!(heaviest.0 <= 20 * 2 * 38, "{heaviest:?}");
    assert!(heaviest.1 <= 20 * 3, "{heaviest:?}");
    let (_, _, bytes) = weight(&engine);
    assert!(bytes <= early + early / 10, "{early} bytes on day 44, {bytes} on day 89");
}

/// Rows a second into a 12-hour window of a handful of sensors, for a simulated day.
fn a_day_in_a_twelve_hour_window(rate: i64) {
    let program = compile(&[(
        "half_day",
        "source: iot
key: { space: object, state: [sensor_id] }
kind: measure
window: 12h
measures:
  n: { count: true }
  mean: { avg: \"value\" }
  high: { max: \"value\" }
value: \"mean\"
levels: { blue: 1000 }
on_null: skip",
    )]);
    let mut engine = Engine::new(program, 0, 1);
    let mut weights = Vec::new();
    for minute in 0..24 * 60_i64 {
        let from = START + minute * MINUTE;
        let rows = (0..60 * rate).map(|i| {
            let at = from + i * SECOND / rate;
            Step::Row(Row::reading(at, (minute * 60 * rate + i) as u32, (i % 50) as u32, f64::from(i as u32 % 17)))
        });
        let steps: Vec<Step> = std::iter::once(Step::Time(from)).chain(rows).collect();
        let seen = apply(&mut engine, &entries(&steps, |_| false));
        assert!(seen.changes.is_empty());
        if minute % 60 == 59 {
            weights.push((weight(&engine), engine.save().len()));
        }
    }
    assert_eq!(engine.fates()["iot"].used, (24 * 3_600 * rate) as u64);
    // Record ids of an hour (eight slices and the one begun) and the panes: no more after a day than after three hours.
    let ((keys, ids, bytes), saved) = weights[2];
    for ((k, i, b), s) in &weights[3..] {
        assert_eq!((*k, *b), (keys, bytes));
        assert!(*i <= ids + ids / 4 && *s <= saved + saved / 4, "{weights:?}");
    }
}

#[test]
fn a_twelve_hour_window_over_a_simulated_day_keeps_memory_flat() {
    a_day_in_a_twelve_hour_window(10);
}

#[test]
#[ignore = "26 million rows, some minutes: cargo test --release --lib three_hundred_rows_a_second -- --ignored"]
fn a_twelve_hour_window_keeps_memory_flat_at_three_hundred_rows_a_second() {
    a_day_in_a_twelve_hour_window(300);
}

#[test]
fn a_snapshot_stands_at_what_was_applied_and_never_beyond() {
    let mut steps = vec![Step::Time(START)];
    steps.extend((0..20).map(|m| Step::Row(Row::reading(START + m * MINUTE, m as u32, 0, 30.0))));
    let log = entries(&steps, |_| true);
    let mut engine = Engine::new(all(), 0, 1);
    for (applied, entry) in log.iter().enumerate() {
        let saved = engine.save();
        let restored = Engine::restore(all(), &saved, 0, 1).expect("what was saved reads");
        assert_eq!(restored.position(), applied as u64);
        assert_eq!(restored.log_time(), engine.log_time());
        apply(&mut engine, std::slice::from_ref(entry));
    }
    let mut broken = engine.save();
    let last = broken.len() - 1;
    broken[last] ^= 1;
    assert!(Engine::restore(all(), &broken, 0, 1).is_err(), "a flipped bit is found");
    assert!(Engine::restore(watched(), &engine.save(), 0, 1).is_err(), "another pack is refused");
}

#[test]
fn a_border_is_judged_once_even_when_a_late_row_sets_a_timer_for_the_past() {
    // An inspection three hours late: the end of its sequence is already past when it comes, exactly on a border.
    let mut late = Row { kind: Kind::Inspection, ..Row::reading(START - 3 * HOUR, 1, 0, 0.0) };
    late.word = 0;
    let at = START + HOUR;
    let mut steps = vec![Step::Time(START)];
    steps.extend((0..3).map(|i| Step::Row(Row::reading(START, 10 + i, 0, 20.0))));
    steps.extend([Step::Time(at), Step::Row(late), Step::Time(at + 4 * MINUTE)]);
    let (_, seen) = run(&all(), &entries(&steps, |_| true));
    let mut ids: Vec<&str> = seen.values.iter().map(|v| v.record_id.as_str()).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert!(all > 0);
    assert_eq!(ids.len(), all, "a value record was made twice");
}

#[test]
fn a_stamp_without_news_changes_nothing() {
    let mut engine = Engine::new(all(), 0, 1);
    apply(&mut engine, &[Entry::Tick(stamp(START))]);
    for _ in 0..3 {
        let seen = apply(&mut engine, &[Entry::Tick(stamp(START)), Entry::Tick(stamp(START - DAY))]);
        assert!(seen.bytes().is_empty());
        assert_eq!(engine.log_time(), Some(START));
    }
}

/// The sum of a calendar day per object, said at midnight.
fn daily() -> Arc<Program> {
    compile(&[
        (
            "daily",
            "source: iot
key: { space: object }
kind: measure
window: day
measures:
  total: { sum: \"value\" }
levels: { blue: 1000 }
emit: value
signal_to: [{ space: entity, key: entity_id }]
on_null: skip",
        ),
        (
            "over",
            "source: value
key: { space: entity }
filter: \"indicator = 'daily'\"
kind: measure
window: { size: 3d, pane: 1d }
measures:
  most: { max: \"value\" }
levels: { blue: 20 }
on_null: skip",
        ),
    ])
}

#[test]
fn a_close_counts_the_rows_of_its_window_and_is_told_again_when_late_ones_come() {
    // START is two hours before midnight; iot rows may be ten minutes late.
    let midnight = START + 2 * HOUR;
    let step = |at: Millis, rows: &[(Millis, f64)], id: u32| {
        let rows = rows.iter().zip(id..).map(|((at, v), id)| Step::Row(Row::reading(*at, id, 2, *v)));
        std::iter::once(Step::Time(at)).chain(rows).collect::<Vec<_>>()
    };
    let mut steps = step(START, &[(START, 5.0), (START + HOUR, 7.0)], 1);
    // The next day's first reading is there before the day is over, and one of the old day comes after it.
    steps.extend(step(midnight - 5 * SECOND, &[(midnight + 20 * SECOND, 100.0), (midnight - 1, 8.0)], 10));
    steps.extend(step(midnight, &[], 20));
    // Late by four minutes: counts. Late by an hour and a half: the close is final.
    steps.extend(step(midnight + 3 * MINUTE, &[(midnight - MINUTE, 1.0)], 20));
    steps.extend(step(midnight + 90 * MINUTE, &[(midnight - MINUTE, 50.0)], 30));
    steps.extend(step(midnight + DAY, &[], 40));
    steps.extend(step(midnight + DAY + MINUTE, &[], 40));
    let log = looped(&daily(), &steps);
    let (_, seen) = run(&daily(), &entries(&log, |_| true));
    let said: Vec<(i64, i64, Option<f64>)> =
        seen.values.iter().map(|v| ((v.window_end - midnight) / DAY, v.revision, v.value)).collect();
    assert_eq!(said, [(0, 1, Some(20.0)), (0, 2, Some(21.0)), (1, 1, Some(100.0))]);
}

#[test]
fn while_a_source_cannot_be_read_nobody_becomes_absent_and_the_gap_goes_on_afterwards() {
    let blind = |wall: Millis| Stamp { blind: vec!["iot/0".to_owned()], ..owns(wall, &[("registry/0", wall)]) };
    let both = |wall: Millis| owns(wall, &[("iot/0", wall), ("registry/0", wall)]);
    let mut log = vec![rows(both(START), &[roster(&[2]), minutely(0, 1, &[2])].concat())];
    // Ten minutes of silence, then two hours in which nobody knows, then silence that is known.
    log.push(Entry::Tick(both(START + 10 * MINUTE)));
    log.extend((10..130).map(|m| Entry::Tick(blind(START + m * MINUTE))));
    log.extend((130..200).map(|m| Entry::Tick(both(START + m * MINUTE))));
    let (_, seen) = run(&watched(), &log);
    // 30 minutes, and the 119 between the last stamp before and the last without it.
    assert_eq!(absences(&seen), [(object(2), 149)]);
}

#[test]
fn a_key_without_history_is_judged_by_the_mean_of_its_group() {
    let program = |group: &str| {
        let rule = format!(
            "source: supervision
key: {{ space: entity }}
filter: \"action = 'complaint'\"
incident: []
kind: model
model: surge
window: 1h
parameters: {{ windows: 4, min_windows: 4 }}
{group}levels: {{ blue: {{ all: [{{ measure: score, above: 2 }}, {{ measure: count, above: 3 }}] }} }}
on_null: skip"
        );
        compile(&[("surge", &rule)])
    };
    let complaint = |minute: i64, id: u32, object: u32| Row {
        kind: Kind::Supervision,
        word: 0,
        value: None,
        ..Row::reading(START + minute * MINUTE, id, object, 0.0)
    };
    // An old firm with one complaint an hour; after three hours a new one has four at once.
    let mut steps = vec![Step::Time(START)];
    for minute in 0..200 {
        steps.push(Step::Time(START + minute * MINUTE));
        if minute % 60 == 10 {
            steps.push(Step::Row(complaint(minute, minute as u32, 2)));
        }
        if (190..194).contains(&minute) {
            steps.push(Step::Row(complaint(minute, 1_000 + minute as u32, 4)));
        }
    }
    let raised = |group: &str| {
        let program = program(group);
        let log = looped(&program, &steps);
        run(&program, &entries(&log, |_| true)).1
    };
    assert_eq!(raised("").story("surge"), Vec::<String>::new());
    let seen = raised("group: \"region\"\n");
    assert_eq!(seen.story("surge"), ["192m E2 raised blue"]);
    let mean = seen.changes[0].readings.iter().find(|r| r.name == "mean").and_then(|r| r.value);
    assert_eq!(mean, Some(1.0));
}

#[test]
fn with_the_memory_budget_spent_indicators_in_trial_take_no_new_keys_and_those_in_force_do() {
    // Every rule of these tests is in trial; one is made stable.
    let rule = |status: &str| {
        format!(
            "id: load_{status}
name: \"load\"
status: {status}
source: iot
key: {{ space: object }}
kind: measure
window: {}
measures:
  n: {{ count: true }}
levels: {{ blue: 3 }}
on_null: skip
basis: [{{ name: \"默认\", status: D }}]
to: {{ lead: urban_management }}
message: \"{{{{ value }}}}\"
",
            // Another window is another measure: one that both read would be in force.
            if status == "stable" { "1h" } else { "2h" }
        )
    };
    let program = super::rules::compile_files(&[("load_stable", &rule("stable")), ("load_shadow", &rule("shadow"))]);
    let mut steps = vec![Step::Time(START)];
    for (minute, object) in [(0, 1), (1, 1), (20, 1), (21, 2), (22, 2), (23, 2)] {
        steps.push(Step::Time(START + minute * MINUTE));
        steps.push(Step::Row(Row::reading(START + minute * MINUTE, minute as u32, object, 1.0)));
    }
    let raised = |budget: usize| {
        let mut engine = Engine::new(program.clone(), 0, 1);
        engine.set_budget(budget);
        let seen = apply(&mut engine, &entries(&steps, |_| true));
        let keys = |id: &str| {
            let own = seen.changes.iter().filter(|c| *c.indicator == *id);
            own.map(|c| c.key.clone()).collect::<Vec<_>>().join(" ")
        };
        let usage = engine.usage();
        (keys("load_stable"), keys("load_shadow"), usage["load_stable"].refused, usage["load_shadow"].refused)
    };
    let (one, both) = (object(1), format!("{} {}", object(1), object(2)));
    assert_eq!(raised(usize::MAX), (both.clone(), both.clone(), 0, 0));
    // What the trial held before goes on.
    assert_eq!(raised(1), (both, one, 0, 3));
}

/// A card of penalties, complaints and a signal of repeated violations; times of changes in minutes.
fn card() -> Arc<Program> {
    compile(&[
        (
            "repeated",
            "source: supervision
key: { space: entity }
filter: \"action = 'penalty'\"
kind: measure
window: 1h
measures:
  n: { count: true }
levels: { blue: 2, yellow: 3 }
signal_to: [{ space: entity, key: entity_id }]
on_null: zero",
        ),
        (
            "card",
            "source: supervision
key: { space: entity }
kind: scorecard
items:
  complaint: { points: 30, for: 2h, when: \"action = 'complaint'\" }
  orders: { points: 5, each: true, most: 20, for: 3h, when: \"action = 'order'\" }
  repeated: { points: { blue: 10, yellow: 25 }, for: 4h, signal: repeated }
levels: { blue: 40, yellow: 55, orange: 70 }
on_null: zero",
        ),
    ])
}

/// One supervision record of an object; words: 0 complaint, 1 penalty, 2 order.
fn said(minute: i64, id: u32, word: usize) -> Row {
    Row { kind: Kind::Supervision, word, ..Row::reading(START + minute * MINUTE, id, 0, 1.0) }
}

fn told(program: &Arc<Program>, rows: &[Row], until: i64) -> (Engine, Seen) {
    let mut steps = vec![Step::Time(START)];
    for row in rows {
        steps.push(Step::Time(row.at));
        steps.push(Step::Row(row.clone()));
        // What the engine says to itself is heard a minute later.
        steps.push(Step::Time(row.at + MINUTE));
    }
    steps.extend([until, until + 2, until + 62].map(|minute| Step::Time(START + minute * MINUTE)));
    run(program, &entries(&looped(program, &steps), |_| true))
}

#[test]
fn a_card_sums_what_holds_and_lists_each_item_with_its_points() {
    let rows: Vec<Row> = [(0, 0), (2, 1), (4, 1), (6, 2), (8, 2), (10, 1), (12, 2)]
        .into_iter()
        .enumerate()
        .map(|(id, (minute, word))| said(minute, id as u32, word))
        .collect();
    let (_, seen) = told(&card(), &rows, 13);
    // 30, 30, blue signal 40, 45, 50, yellow signal 65, 70.
    assert_eq!(seen.story("card"), ["4m E0 raised blue", "10m E0 upgraded yellow", "12m E0 upgraded orange"]);
    let last = seen.changes.iter().rfind(|c| &*c.indicator == "card").unwrap();
    let readings: Vec<(&str, f64)> = last.readings.iter().map(|r| (r.name.as_str(), r.value.unwrap())).collect();
    assert_eq!(readings, [("value", 70.0), ("complaint", 30.0), ("orders", 15.0), ("repeated", 25.0)]);
    assert_eq!((last.value, last.bound), (Some(70.0), Some(70.0)));
    // The complaint, three orders and the signal; the penalties themselves are evidence of the signal.
    let ids: Vec<&str> = last.evidence.iter().map(|e| e.source_system.as_str()).collect();
    assert_eq!(ids.iter().filter(|s| **s == "forewarn").count(), 1, "{ids:?}");
    assert_eq!(ids.len(), 5);
}

#[test]
fn an_item_ends_with_its_window_and_a_signal_so_long_after_it_was_left() {
    let rows = [said(0, 0, 1), said(2, 1, 1), said(4, 2, 0), said(5, 3, 0)];
    let (_, seen) = told(&card(), &rows, 20 * 60);
    // The second complaint at 5 renews the first: 30 points until 125. The penalties leave their hour at 62 at the
    // latest (pane border); the signal counts four hours more, so the complaint's end is what clears the card.
    assert_eq!(seen.story("card"), ["4m E0 raised blue", "125m E0 cleared blue"]);
    let signals: Vec<(i64, u8, f64)> = seen
        .signals
        .iter()
        .filter(|s| &*s.indicator == "card")
        .map(|s| ((s.at - START) / MINUTE, s.level_no, s.value.unwrap()))
        .collect();
    assert_eq!(signals, [(4, 1, 40.0), (125, 0, 10.0)]);
}

#[test]
fn nothing_of_a_card_is_kept_when_everything_has_had_its_time() {
    let program = card();
    let (engine, _) = told(&program, &[said(0, 0, 1), said(2, 1, 1), said(4, 2, 0)], 5 * 24 * 60);
    let node = program.nodes.iter().position(|n| &*n.id == "card").unwrap();
    assert!(engine.state.nodes[node].idle(&program.nodes[node], 0, engine.state.log_time));
    assert!(engine.state.timers.is_empty());
}

#[test]
fn a_card_with_a_roster_is_for_those_it_names() {
    let program = compile(&[(
        "card",
        "source: supervision
key: { space: entity }
kind: scorecard
roster: \"status = 'active'\"
items:
  complaint: { points: 50, for: 2h, when: \"action = 'complaint'\" }
levels: { blue: 40 }
on_null: zero",
    )]);
    let registered =
        |minute: i64, id: u32, word: usize| Row { word, ..Row::registered(START + minute * MINUTE, id, 0) };
    // Complaint, then named, then closed.
    let (_, seen) = told(&program, &[said(0, 0, 0), registered(5, 1, 0), registered(9, 2, 3)], 60);
    assert_eq!(seen.story("card"), ["5m E0 raised blue", "9m E0 cleared blue"]);
}

#[test]
fn weak_signals_of_two_departments_make_one_risk_with_its_factors() {
    let program = compile(&[(
        "risk",
        "source: supervision
key: { space: entity }
kind: fusion
prior: 5
items:
  complaint: { ratio: 4, for: 2h, when: \"action = 'complaint'\" }
  penalty: { ratio: 9, for: 2h, when: \"action = 'penalty'\" }
levels: { blue: 20, yellow: 40, orange: 60 }
on_null: zero",
    )]);
    let other = |row: Row| Row { sensor: 1, ..row };
    // Of one department: 5/95 x 9 x sqrt(4); of two: 5/95 x 9 x 4.
    let (_, one) = told(&program, &[said(0, 0, 0), said(2, 1, 1)], 10);
    let (_, two) = told(&program, &[other(said(0, 0, 0)), said(2, 1, 1)], 10);
    assert_eq!(one.story("risk"), ["2m E0 raised yellow"]);
    assert_eq!(two.story("risk"), ["2m E0 raised orange"]);
    let near = |seen: &Seen, expected: &[(&str, f64)]| {
        let readings = &seen.changes.last().unwrap().readings;
        assert_eq!(readings.len(), expected.len());
        for (reading, (name, value)) in readings.iter().zip(expected) {
            assert!(reading.name == *name && (reading.value.unwrap() - value).abs() < 1e-9, "{reading:?}");
        }
    };
    let percent = |odds: f64| 100.0 * odds / (1.0 + odds);
    let odds = 0.05 / 0.95 * 9.0;
    near(&one, &[("value", percent(odds * 2.0)), ("prior", 5.0), ("complaint", 2.0), ("penalty", 9.0)]);
    near(&two, &[("value", percent(odds * 4.0)), ("prior", 5.0), ("complaint", 4.0), ("penalty", 9.0)]);
}

/// A line to a limit of 45, in windows of two hours cut in twelve.
fn rising() -> Arc<Program> {
    compile(&[(
        "rising",
        "source: iot
key: { space: object, state: [sensor_id] }
kind: trend
value: \"value\"
window: { size: 2h, pane: 10m }
limit: \"limits_hi\"
levels: { blue: 606m, yellow: 305m, orange: 125m }
clear: { above: \"110%\", evaluations: 3 }
on_null: skip",
    )])
}

/// A reading every ten minutes.
fn every_ten(values: impl IntoIterator<Item = f64>) -> Vec<Row> {
    let row = |(i, value): (usize, f64)| Row::reading(START + i as Millis * 10 * MINUTE, i as u32, 0, value);
    values.into_iter().enumerate().map(row).collect()
}

#[test]
fn a_line_that_rises_to_its_limit_warns_by_the_time_left_and_clears_when_it_turns() {
    let up = (0..60).map(|i| 10.0 + 0.5 * f64::from(i));
    let down = (0..14).map(|i| 39.0 - f64::from(i));
    let (_, seen) = told(&rising(), &every_ten(up.chain(down)), 800);
    // Three an hour: 10 hours left at 15 (its eleventh reading), 5 at 30, 2 at 39. Then it falls.
    let story = seen.story("rising");
    let expected = ["100m station:0 raised blue", "400m station:0 upgraded yellow", "580m station:0 upgraded orange"];
    assert_eq!(story[..3], expected);
    assert!(story[3].ends_with("cleared orange") && story.len() == 4, "{story:?}");
    let first = &seen.changes[0];
    let terms: Vec<(&str, f64)> = first.readings.iter().map(|r| (r.name.as_str(), r.value.unwrap())).collect();
    for ((name, value), expected) in terms.iter().zip([10.0, 15.0, 45.0, 3.0, 1.0, 11.0]) {
        assert!((value - expected).abs() < 1e-9, "{name} {value}");
    }
    assert!((first.bound.unwrap() - 10.1).abs() < 1e-12 && first.window.is_some());
    // No forecast is no number.
    assert_eq!(seen.changes[3].value, None);
}

#[test]
fn nine_points_or_a_line_that_explains_little_forecast_nothing() {
    let (_, few) = told(&rising(), &every_ten((0..9).map(|i| 20.0 + 2.0 * f64::from(i))), 300);
    assert_eq!(few.changes.len(), 0);
    let noisy = (0..30).map(|i| 20.0 + 0.2 * f64::from(i) + [0.0, 9.0, 3.0, 12.0][i as usize % 4]);
    let (_, noisy) = told(&rising(), &every_ten(noisy), 300);
    assert_eq!(noisy.changes.len(), 0);
    // Sixty readings within an hour are six points.
    let quick = (0..60).map(|i| Row::reading(START + i * MINUTE, i as u32, 0, 10.0 + 0.5 * i as f64));
    let (_, quick) = told(&rising(), &quick.collect::<Vec<_>>(), 70);
    assert_eq!(quick.changes.len(), 0);
}

/// Hourly means of objects, each against the others of its trade.
fn apart(peers: u32) -> Arc<Program> {
    let apart = format!(
        "source: value
key: {{ space: trade, state: [object_id] }}
incident: [object_id]
filter: \"indicator = 'hourly'\"
kind: peer
value: \"value\"
group: \"region\"
peers: {peers}
wait: 10m
levels: {{ blue: 3.5, yellow: 5, orange: 7 }}
on_null: skip"
    );
    let hourly = "source: iot
key: { space: object }
kind: measure
window: { size: 1h, pane: 1h }
measures:
  mean: { avg: \"value\" }
emit: value
signal_to: [{ space: trade, key: object_type }]
levels: { blue: 1000 }
on_null: skip";
    compile(&[("hourly", hourly), ("apart", &apart)])
}

fn hours_of(values: &[f64]) -> Vec<Row> {
    let row = |(i, value): (usize, &f64)| Row::reading(START + 5 * MINUTE, i as u32, i as u32, *value);
    values.iter().enumerate().map(row).collect()
}

#[test]
fn an_object_far_from_its_peers_is_the_one_that_is_warned_of() {
    let mut values: Vec<f64> = (0..11).map(|i| 10.0 + 0.1 * f64::from(i)).collect();
    values.push(30.0);
    let (_, seen) = told(&apart(10), &hours_of(&values), 62);
    assert_eq!(seen.story("apart"), ["60m station raised orange"]);
    let change = &seen.changes[0];
    assert_eq!(change.subject.object_id.as_deref(), Some("station:11"));
    assert_eq!(change.log_time, START + 70 * MINUTE);
    let terms: Vec<f64> = change.readings.iter().map(|r| r.value.unwrap()).collect();
    // Median 10.55, MAD 0.3 by hand.
    let z = 0.6745 * (30.0 - 10.55) / 0.3;
    for (value, expected) in terms.iter().zip([z, 30.0, z, 10.55, 0.3, 12.0, 0.0]) {
        assert!((value - expected).abs() < 1e-9, "{terms:?}");
    }
    assert_eq!(change.evidence.len(), 1);
}

#[test]
fn too_few_peers_or_equal_ones_judge_nobody() {
    let mut values = vec![10.0, 10.1, 10.2, 10.3, 10.4, 10.5, 10.6, 10.7, 90.0];
    let (_, few) = told(&apart(10), &hours_of(&values), 62);
    assert_eq!(few.changes.len(), 0);
    values = vec![10.0; 12];
    values.push(90.0);
    let (_, equal) = told(&apart(10), &hours_of(&values), 62);
    assert_eq!(equal.changes.len(), 0);
}

#[test]
fn each_closed_week_is_scored_as_the_model_scores_its_count() {
    let program = compile(&[(
        "weekly",
        "source: supervision
key: { space: street }
filter: \"action = 'complaint'\"
incident: []
kind: model
model: count_surge
window: 7d
levels: { blue: 2, yellow: 3, orange: 4 }
on_null: skip",
    )]);
    let counts = [3, 5, 4, 2, 6, 4, 3, 0, 5, 4, 3, 6, 4, 5, 2, 21, 4, 0, 0, 3];
    let panes = Panes::Calendar(Cut::Week);
    let monday = panes.of(START);
    let mut engine = Engine::new(program.clone(), 0, 1);
    let mut seen = Seen::default();
    let mut alone = CountState::default();
    let mut id = 0;
    let mut feed = |engine: &mut Engine, step: Step| {
        let told = apply(engine, &entries(&[step], |_| true));
        seen.changes.extend(told.changes);
    };
    feed(&mut engine, Step::Time(START));
    for (week, count) in counts.into_iter().enumerate() {
        for n in 0..count {
            id += 1;
            let at = START + week as Millis * 7 * DAY + n * HOUR;
            feed(&mut engine, Step::Row(Row { kind: Kind::Supervision, ..Row::reading(at, id, 0, 1.0) }));
        }
        let close = panes.start(monday + week as i64 + 1);
        feed(&mut engine, Step::Time(close));
        // One more of the week that has been judged: it is not counted any more.
        id += 1;
        feed(&mut engine, Step::Row(Row { kind: Kind::Supervision, ..Row::reading(close - 1, id, 0, 1.0) }));
        let r = alone.update(&CountSetting::WEEKLY, monday + week as i64, count as f64);
        let expected =
            [r.score, r.count, r.expected, r.level, r.season, r.weekday, r.common, r.tail, f64::from(r.seen)];
        let MethodState::Counts { scores, .. } = &engine.state.nodes[0].method else { panic!("no counts") };
        assert_eq!(scores[0].map(f64::to_bits), expected.map(f64::to_bits), "week {week}");
        let saved = engine.save();
        engine = Engine::restore(program.clone(), &saved, 0, 1).unwrap();
        assert!(engine.save() == saved);
    }
    let story: Vec<(i64, bool)> = seen.changes.iter().map(|c| (panes.of(c.at - 1) - monday, c.partial)).collect();
    assert_eq!(story, [(15, false), (16, false)], "raised by the week of 21, cleared by the next");
    let raised = &seen.changes[0];
    assert_eq!(raised.evidence_total, 21);
    assert_eq!(raised.readings.iter().find(|r| r.name == "count").and_then(|r| r.value), Some(21.0));
    assert_eq!(raised.window, Some((panes.start(monday + 15) - 1, panes.start(monday + 16) - 1)));
}

#[test]
fn a_count_that_is_still_being_learnt_says_so_and_days_begin_at_local_midnight() {
    let program = compile(&[(
        "daily",
        "source: supervision
key: { space: street }
filter: \"action = 'complaint'\"
incident: []
kind: model
model: count_surge
window: 1d
levels: { blue: 2 }
on_null: skip",
    )]);
    // One a day at noon, then twelve on the tenth day.
    let rows = (0..10).flat_map(|day| (0..if day == 9 { 12 } else { 1 }).map(move |n| (day, n)));
    let rows: Vec<Row> =
        rows.enumerate().map(|(id, (day, n))| said(day * 24 * 60 + 14 * 60 + n, id as u32, 0)).collect();
    let (_, seen) = told(&program, &rows, 12 * 24 * 60);
    assert_eq!(seen.story("daily")[0], format!("{}m 371102001 raised blue", (10 * 24 + 2) * 60));
    assert!(seen.changes[0].partial);
}

/// Three sensors of one object a minute, the third near the sum of the others; `change` may alter a reading or drop it.
fn group_readings(minutes: u32, change: impl Fn(u32, u32, f64) -> Option<f64>) -> Vec<Step> {
    let mut random = 7_u64;
    let mut noise = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 40) as f64 / 16_777_216.0
    };
    let mut steps = vec![Step::Time(START)];
    for minute in 0..minutes {
        let at = START + Millis::from(minute) * MINUTE;
        let (a, b) = (noise(), noise());
        steps.push(Step::Time(at));
        for (sensor, value) in (0..3).zip([a, b, a + b + 0.1 * noise()]) {
            if let Some(value) = change(minute, sensor, value) {
                steps.push(Step::Row(Row { sensor, ..Row::reading(at, minute * 3 + sensor, 0, value) }));
            }
        }
    }
    steps.push(Step::Time(START + Millis::from(minutes) * MINUTE));
    steps
}

fn group(levels: &str) -> Arc<Program> {
    let body = format!(
        "source: iot
key: {{ space: object }}
kind: model
model: sensor_group
value: \"value\"
member: \"sensor_id\"
members: [s0, s1, s2]
parameters: {{ calibrate: 200, threshold: 60 }}
levels: {levels}
on_null: skip"
    );
    compile(&[("pump", &body)])
}

#[test]
fn a_group_of_sensors_is_judged_together_and_names_the_largest_part_first() {
    let program = group("{ blue: 0.5, yellow: 0.75 }");
    // Each sensor stays within its own range; what they had in common is gone.
    let steps = group_readings(260, |minute, sensor, v| Some(if minute >= 230 && sensor == 1 { v + 3.0 } else { v }));
    let (engine, seen) = run(&program, &entries(&steps, |_| false));
    let raised = &seen.changes[0];
    assert!((START + 230 * MINUTE..START + 240 * MINUTE).contains(&raised.at), "{raised:?}");
    assert!(!raised.partial && raised.cause.starts_with("record "), "{raised:?}");
    let names: Vec<&str> = raised.readings.iter().map(|r| r.name.as_str()).collect();
    assert_eq!(names[..5], ["score", "statistic", "bar", "s1", "s1_part"]);
    let of = |name: &str| raised.readings.iter().find(|r| r.name == name).and_then(|r| r.value).unwrap();
    let sum: f64 = ["s0_part", "s1_part", "s2_part"].iter().map(|n| of(n)).sum();
    assert!((sum - of("statistic")).abs() < 1e-9 * sum, "the parts are the statistic");
    assert!((of("score") - (1.0 - (-of("statistic") / of("bar")).exp2())).abs() < 1e-12);
    assert_eq!(raised.subject.sensor_id.as_deref(), Some("s1"), "the reading shown is the one that moved most");
    assert_eq!(engine.usage()["pump"].nulls, 0);
    // Whatever the order in which the readings of a minute come.
    let mut other = steps;
    other.chunk_by_mut(|a, b| matches!((a, b), (Step::Row(_), Step::Row(_)))).for_each(<[Step]>::reverse);
    let (_, again) = run(&program, &entries(&other, |_| false));
    assert_eq!(seen.same(), again.same());
}

#[test]
fn a_group_is_not_scored_on_a_third_of_its_sensors_and_that_clears_nothing() {
    let program = group("{ blue: 0.5, orange: { measure: s0, above: 50 } }");
    let steps = group_readings(300, |minute, sensor, v| match (minute, sensor) {
        // While it calibrates a bound on a reading holds.
        (20, 0) => Some(60.0),
        (230..250, 1) => Some(v + 3.0),
        // From then on only one sensor is heard, at its usual values.
        (250.., 1 | 2) => None,
        _ => Some(v),
    });
    let (_, seen) = run(&program, &entries(&steps, |_| false));
    let story: Vec<String> = seen.story("pump").iter().map(|s| s.replace("station:0 ", "")).collect();
    assert_eq!(story[..2], ["20m raised orange", "21m cleared orange"]);
    assert!(seen.changes[0].partial, "{:?}", seen.changes[0]);
    assert_eq!(seen.changes[0].readings[0].value, None, "no score yet");
    assert_eq!(story.len(), 3, "raised again by the score, and not cleared: {story:?}");
}

#[test]
fn readings_of_a_group_that_come_after_their_time_was_judged_are_not_applied() {
    let program = group("{ blue: 0.5 }");
    let whole = group_readings(260, |minute, sensor, v| Some(if minute >= 230 && sensor == 1 { v + 3.0 } else { v }));
    let (_, expected) = run(&program, &entries(&whole, |_| false));
    // The same with wild readings half an hour late: once those of that time have been judged they say nothing.
    let mut late = whole;
    for minute in [60, 120, 210] {
        let at = late.iter().position(|s| matches!(s, Step::Time(t) if *t == START + minute * MINUTE)).unwrap();
        let row = Row::reading(START + (minute - 30) * MINUTE, 9_000 + minute as u32, 0, 99.0);
        late.insert(at + 1, Step::Row(row));
    }
    let (_, seen) = run(&program, &entries(&late, |_| false));
    assert_eq!(seen.same(), expected.same());
}

/// Control charts with a plain bound beside the score.
fn charted() -> Arc<Program> {
    compile(&[(
        "chart",
        "source: iot
key: { space: object }
kind: model
model: ewma
value: \"value\"
parameters: { warm_up: 100, warm_up_days: 0 }
levels: { blue: 3, orange: { measure: value, above: 500 } }
on_null: skip",
    )])
}

/// A reading of some objects every ten minutes, as their values say by day and number of the reading in it.
fn ten_minutely(days: i64, objects: u32, value: impl Fn(i64, u32, i64) -> f64) -> Vec<Step> {
    let mut steps = vec![Step::Time(START)];
    for n in 0..days * 144 {
        let at = START + n * 10 * MINUTE;
        steps.push(Step::Time(at));
        for object in 0..objects {
            // A little noise around 10, the same every seven readings.
            let noise = [0.3, -0.2, 0.1, -0.4, 0.25, -0.15, 0.1][(n % 7) as usize];
            let id = (n * 10) as u32 + object;
            steps.push(Step::Row(Row::reading(at, id, object, 10.0 + noise + value(n / 144, object, n % 144))));
        }
    }
    steps.push(Step::Time(START + days * DAY));
    steps
}

#[test]
fn a_model_that_alarms_on_everything_for_days_is_not_used_and_plain_bounds_go_on() {
    let program = charted();
    // From the second day on far away on every reading, until the ninth; on that one beyond the plain bound for an hour.
    let steps = ten_minutely(20, 1, |day, _, n| match (day, n) {
        (8, 30..36) => 600.0,
        (1..9, _) => 50.0,
        _ => 0.0,
    });
    let entries = entries(&steps, |_| false);
    let (engine, seen) = run(&program, &entries);
    let days: Vec<i64> = seen.changes.iter().map(|c| (c.at - START) / DAY).collect();
    let story: Vec<String> =
        seen.changes.iter().map(|c| format!("{:?} {:?} {}", c.kind, c.level, c.model_failing)).collect();
    // When the bound is crossed the scores are not used; nothing is cleared for want of one.
    assert_eq!(story, ["Raised Blue false", "Upgraded Orange true", "Cleared Orange false"]);
    // Seven days after the bad ones the share of alarms is small again.
    assert!(days[..2] == [1, 8] && (14..18).contains(&days[2]), "{days:?}");
    assert_eq!(seen.changes[1].readings[0].value, None, "of a failing model no score is shown");
    let used = engine.usage()["chart"];
    assert_eq!((used.failing, used.not_finite), (0, 0));
    assert!(used.scores > 2_000 && used.alarms > 1_100, "{used:?}");
    // Stopped and restored while it fails, it fails on.
    let half = entries.len() / 2;
    let mut first = Engine::new(program.clone(), 0, 1);
    let mut told = apply(&mut first, &entries[..half]);
    assert_eq!(first.usage()["chart"].failing, 1);
    let mut second = Engine::restore(program, &first.save(), 0, 1).unwrap();
    assert_eq!(second.usage()["chart"].failing, 1);
    told.changes.extend(apply(&mut second, &entries[half..]).changes);
    let only = |changes| Seen { changes, ..Seen::default() };
    assert_eq!(only(told.changes).bytes(), only(seen.changes).bytes());
}

#[test]
fn a_burst_over_the_whole_city_or_one_object_that_alarms_for_ever_leaves_the_model_in_use() {
    // All of ten objects alarm for two days and a half; one goes on for a week.
    let steps = ten_minutely(14, 10, |day, object, n| match (day, n) {
        (5, 60..) | (6..=7, _) => 50.0,
        (8.., _) if object == 3 => 50.0,
        _ => 0.0,
    });
    let (engine, seen) = run(&charted(), &entries(&steps, |_| false));
    let raised = seen.changes.iter().filter(|c| c.was.is_none()).count();
    let last: BTreeMap<&str, ChangeKind> = seen.changes.iter().map(|c| (c.key.as_str(), c.kind)).collect();
    let cleared = last.values().filter(|kind| **kind == ChangeKind::Cleared).count();
    assert_eq!((raised, cleared), (10, 9));
    assert!(seen.changes.iter().all(|c| !c.model_failing));
    assert_eq!(engine.usage()["chart"].failing, 0);
}

#[test]
fn scores_below_every_level_are_no_alarms() {
    // The same as above with a level that is never reached: whatever the threshold of the file, nobody is troubled.
    let program = compile(&[(
        "chart",
        "source: iot
key: { space: object }
kind: model
model: ewma
value: \"value\"
parameters: { warm_up: 100, warm_up_days: 0 }
levels: { blue: 100000 }
on_null: skip",
    )]);
    let steps = ten_minutely(12, 1, |day, _, _| if day > 0 { 50.0 } else { 0.0 });
    let (engine, seen) = run(&program, &entries(&steps, |_| false));
    assert!(seen.changes.is_empty());
    let used = engine.usage()["chart"];
    assert_eq!((used.failing, used.alarms), (0, 0));
    assert!(used.scores > 1_000);
}
