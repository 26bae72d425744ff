//! Restarts with snapshots, without them, and when the log no longer reaches back.

use super::shared;
use super::system::{CHANGES, Feed, Instance, PARTITIONS, System, Watcher};
use forewarn::log::kafka::LOG;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::fs;
use std::thread::sleep;
use std::time::Duration;

/// Positions of the snapshots of each partition, rising.
fn positions(system: &System) -> BTreeMap<u32, Vec<u64>> {
    let list = |partition: u32| {
        let dir = system.snapshots().join(partition.to_string());
        let names = fs::read_dir(dir).into_iter().flatten().map(|entry| entry.expect("a file").file_name());
        let mut all: Vec<u64> =
            names.filter_map(|name| name.to_str()?.strip_suffix(".snapshot")?.parse().ok()).collect();
        all.sort_unstable();
        all
    };
    (0..PARTITIONS).map(|partition| (partition, list(partition))).collect()
}

/// Waits until partition 0 has been taken over so often; the position that its state came from the last time.
fn taken_over(instance: &Instance, times: usize) -> u64 {
    for _ in 0..300 {
        let said = instance.said();
        let places: Vec<u64> = said
            .lines()
            .filter(|line| line.contains("partition taken over partition=0"))
            .filter_map(|line| line.split("from=").nth(1)?.split(' ').next()?.parse().ok())
            .collect();
        if places.len() >= times {
            return places[times - 1];
        }
        sleep(Duration::from_millis(100));
    }
    panic!("not taken over {times} times:\n{}", instance.said());
}

/// Retention takes what lies before these positions.
fn forget(system: &System, before: &BTreeMap<u32, u64>) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &system.bootstrap).create().expect("an admin");
    let mut list = TopicPartitionList::new();
    for (partition, position) in before {
        let offset = Offset::Offset(i64::try_from(*position).expect("small"));
        let partition = i32::try_from(*partition).expect("small");
        list.add_partition_offset(&system.topic(LOG), partition, offset).expect("an offset");
    }
    let tasks = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tasks.block_on(admin.delete_records(&list, &AdminOptions::new())).expect("deleted");
}

#[test]
fn a_restart_says_the_same_with_snapshots_and_without_until_the_log_no_longer_reaches_back() {
    let system = System::new(shared(), "snapshots");
    let watcher = Watcher::start(&system);
    let mut instance = system.start("a");
    system.publish(1);
    let feed = Feed::start(&system, 20);
    watcher.wait(20, Duration::from_secs(60));
    // Saved every 2 s: more often than are kept.
    sleep(Duration::from_secs(8));
    let saved = positions(&system);
    assert!(saved.values().all(|all| all.len() == 3), "three are kept: {saved:?}");

    instance.kill();
    instance = system.start("a");
    let from = taken_over(&instance, 2);
    assert!(from > 0 && from >= saved[&0][0], "from {from}, the newest of {saved:?}");
    watcher.wait(feed.firms(), Duration::from_secs(60));

    instance.kill();
    fs::remove_dir_all(system.snapshots()).expect("removed");
    instance = system.start("a");
    assert_eq!(taken_over(&instance, 3), 0, "all snapshots lost: the log from its beginning");
    let sent = feed.stop();
    watcher.wait(sent.firms, Duration::from_secs(60));
    sleep(Duration::from_secs(5));
    assert!(!instance.said().contains("differ"), "{}", instance.said());
    instance.stop();
    watcher.check(&system, sent);

    // The log begins where the newest snapshots stand.
    let newest: BTreeMap<u32, u64> =
        positions(&system).into_iter().map(|(p, all)| (p, *all.last().expect("one"))).collect();
    forget(&system, &newest);
    let instance = system.start("a");
    assert_eq!(taken_over(&instance, 4), newest[&0]);
    instance.stop();

    fs::remove_dir_all(system.snapshots()).expect("removed");
    let mut instance = system.start("a");
    assert_eq!(instance.ended(Duration::from_secs(30)), Some(1), "what it knew is lost");
    assert!(instance.said().contains("--accept-lost-state"), "{}", instance.said());

    let instance = system.start_with("a", &["--accept-lost-state"]);
    assert_eq!(taken_over(&instance, 5), newest[&0]);
    let watcher = Watcher::start(&system);
    let feed = Feed::from(&system, sent.firms, 20);
    sleep(Duration::from_secs(2));
    let later = feed.stop();
    watcher.wait(later.firms, Duration::from_secs(60));
    instance.stop();
    let documents = system.documents();
    let new: Vec<_> = documents
        .iter()
        .filter(|d| d["key"].as_str().and_then(|key| key.parse::<u64>().ok()).is_some_and(|firm| firm >= sent.firms))
        .collect();
    assert_eq!(new.len() as u64, (later.firms - sent.firms) * CHANGES as u64);
    assert!(new.iter().all(|d| d["partial"] == true), "a window that was cut is told: {}", new[0]);
    assert!(documents.iter().any(|d| d["partial"] == false), "whole ones are not");
}
