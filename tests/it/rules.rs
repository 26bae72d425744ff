//! Every test of the rules, delivered once, twice and over four partitions.

use forewarn::log::{Delivery, RuleTests};
use forewarn::pack::{Body, Method, Pack, Status, TestFile};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn pack() -> Pack {
    read("rules")
}

fn read(rules: &str) -> Pack {
    let body = Body::load(Path::new(rules), Path::new("models")).unwrap();
    Pack::read(body).unwrap_or_else(|findings| panic!("{findings:#?}"))
}

/// The test files of the main pack.
fn files() -> Vec<PathBuf> {
    files_of("rules")
}

fn files_of(rules: &str) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for folder in std::fs::read_dir(rules).unwrap() {
        let folder = folder.unwrap().path();
        if !folder.is_dir() || folder.ends_with("examples") {
            continue;
        }
        let inside = std::fs::read_dir(&folder).unwrap().map(|f| f.unwrap().path());
        all.extend(inside.filter(|f| f.to_string_lossy().ends_with(".test.yaml")));
    }
    all.sort();
    all
}

#[test]
fn every_test_of_the_rules_passes_however_its_rows_come() {
    assert!(passes("rules") >= 100, "few tests were found");
}

/// Kinds that no rule in force uses yet, in a pack of their own.
#[test]
fn every_test_of_the_further_kinds_passes_however_its_rows_come() {
    assert!(passes("tests/data/kinds") >= 12, "few tests were found");
}

fn passes(rules: &str) -> usize {
    let tests = RuleTests::new(Arc::new(read(rules))).unwrap();
    let mut failures = String::new();
    let mut count = 0;
    for path in files_of(rules) {
        let text = std::fs::read_to_string(&path).unwrap();
        let file =
            TestFile::read(&path.display().to_string(), &text).unwrap_or_else(|e| panic!("{}: {e:?}", path.display()));
        for test in &file.tests {
            count += 1;
            for (how, delivery) in [
                ("once", Delivery::PLAIN),
                ("each row twice", Delivery { partitions: 1, times: 2 }),
                ("four partitions", Delivery { partitions: 4, times: 1 }),
            ] {
                let verdict = tests.run(&file.indicator, test, delivery).unwrap();
                if !verdict.passed() {
                    let place = format!("{}:{} {}", path.display(), test.line, test.name);
                    failures += &format!("{place} ({how})\n{}\n", verdict.timeline());
                    break;
                }
            }
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
    count
}

#[test]
fn every_indicator_in_force_has_a_test_that_fires_and_a_near_miss() {
    let pack = pack();
    let mut fires = BTreeSet::new();
    let mut near_miss = BTreeSet::new();
    for path in files() {
        let file = TestFile::read(&path.display().to_string(), &std::fs::read_to_string(&path).unwrap()).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert_eq!(name, format!("{}.test.yaml", file.indicator), "the file of an indicator's tests has its name");
        for test in &file.tests {
            let set = if test.expect.is_empty() { &mut near_miss } else { &mut fires };
            set.insert(file.indicator.clone());
        }
    }
    let warns = pack.indicators.values().filter(|i| {
        matches!(i.status, Status::Stable | Status::Shadow)
            && !i.id.contains("__")
            && !matches!(i.kind, Method::Lookup(_))
    });
    for indicator in warns {
        assert!(fires.contains(&indicator.id), "{} has no test in which it fires", indicator.id);
        assert!(near_miss.contains(&indicator.id), "{} has no test of a near miss", indicator.id);
    }
}

#[test]
fn a_wrong_expectation_fails_with_a_timeline() {
    let tests = RuleTests::new(Arc::new(pack())).unwrap();
    let text = std::fs::read_to_string("rules/gas/gas_leak_lel.test.yaml").unwrap();
    let mut file = TestFile::read("gas_leak_lel.test.yaml", &text).unwrap();
    let test = &mut file.tests[0];
    test.expect[1].at = "6m".parse().unwrap();
    let verdict = tests.run(&file.indicator, test, Delivery::PLAIN).unwrap();
    assert!(!verdict.passed());
    assert_eq!(verdict.first_difference, Some(1));
    let timeline = verdict.timeline();
    let marked: Vec<&str> = timeline.lines().filter(|l| l.contains("->")).collect();
    assert_eq!(marked.len(), 1, "{timeline}");
    assert!(marked[0].contains("6m upgraded yellow") && marked[0].contains("5m upgraded yellow"), "{timeline}");
    // A row that is refused fails the test too.
    test.expect[1].at = "5m".parse().unwrap();
    test.defaults.insert("sensor_type".to_owned(), "no_such_type".into());
    let verdict = tests.run(&file.indicator, test, Delivery::PLAIN).unwrap();
    assert!(!verdict.passed() && !verdict.refused.is_empty(), "{verdict:?}");
}
