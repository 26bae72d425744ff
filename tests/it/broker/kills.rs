//! Instances and the broker killed under load: nothing is lost, doubled or made up, and nobody has to do anything.

use super::Broker;
use super::system::{Dice, Feed, System, Watcher};
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What happens in a round.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// An instance is killed; one of the same slot starts at once.
    Restart,
    /// An instance is killed; the other one takes its partitions.
    Takeover,
    /// The broker is killed and started again.
    Broker,
    /// A changed pack is published.
    Publish,
}

impl Fault {
    /// Seconds until everything that was sent up to half a second after it has come out, at most, on a machine that
    /// has nothing else to do.
    fn bound(self) -> u64 {
        match self {
            Fault::Restart => 5,
            Fault::Takeover => 25,
            // Its own start included.
            Fault::Broker => 60,
            Fault::Publish => 60,
        }
    }
}

/// How many times as much as it can the machine has to do: other people's builds make a takeover slower, not wrong.
fn busy() -> f64 {
    let load = fs::read_to_string("/proc/loadavg").ok().and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    let cores = std::thread::available_parallelism().map_or(1.0, |n| n.get() as f64);
    (load.unwrap_or(0.0) / cores).max(1.0)
}

fn trial(name: &str, broker: &mut Broker, faults: &[Fault]) {
    let system = System::new(broker, name);
    let mut dice = Dice::new(name);
    let watcher = Watcher::start(&system);
    let slots = ["a", "b"];
    let mut instances = slots.map(|slot| system.start(slot));
    system.publish(1);
    let feed = Feed::start(&system, 25);
    watcher.wait(25, Duration::from_secs(60));
    let mut version = 1;
    let mut took = Vec::new();
    for (round, fault) in faults.iter().enumerate() {
        sleep(Duration::from_millis(dice.below(2_500)));
        instances.iter_mut().for_each(super::system::Instance::assert_alive);
        let victim = dice.below(2) as usize;
        let begun = Instant::now();
        match fault {
            Fault::Restart => {
                instances[victim].kill();
                instances[victim] = system.start(slots[victim]);
            }
            Fault::Takeover => instances[victim].kill(),
            Fault::Broker => {
                broker.kill();
                sleep(Duration::from_millis(dice.below(1_000)));
                broker.restart();
            }
            Fault::Publish => {
                version += 1;
                let path = system.rules().join("food/chicago_complaint_surge.yaml");
                let text = fs::read_to_string(&path).expect("a rule");
                fs::write(&path, format!("{text}# {version}\n")).expect("written");
                system.publish(version);
            }
        }
        sleep(Duration::from_millis(500));
        watcher.wait(feed.firms(), Duration::from_secs(90));
        let seconds = begun.elapsed().as_secs_f64();
        let busy = busy();
        println!("{name}: round {round}: {fault:?}: {seconds:.1} s on a machine {busy:.1} times as busy as it can be");
        took.push((*fault, seconds, busy));
        if *fault == Fault::Takeover {
            instances[victim] = system.start(slots[victim]);
            // So that the next kill meets partitions on both sides.
            sleep(Duration::from_secs(4));
        }
    }
    let sent = feed.stop();
    watcher.wait(sent.firms, Duration::from_secs(60));
    instances.iter_mut().for_each(super::system::Instance::assert_alive);
    instances.into_iter().for_each(super::system::Instance::stop);
    let replayed = watcher.check(&system, sent);
    let places: Vec<usize> = replayed.packs.values().map(Vec::len).collect();
    assert_eq!(places, vec![4; version as usize], "each version takes effect once in each partition");
    for document in replayed.changes.values() {
        let document: serde_json::Value = serde_json::from_str(document).expect("JSON");
        let number = |path: &str| document.pointer(path).and_then(serde_json::Value::as_u64).expect("a number");
        let before = |places: &[(i32, u64)]| {
            places.iter().any(|(p, at)| number("/log/partition") == *p as u64 && *at < number("/log/last"))
        };
        let counts = replayed.packs.iter().rev().find(|(_, places)| before(places)).map(|(version, _)| *version);
        assert_eq!(Some(number("/pack/version")), counts, "the pack in force at the place of {document}");
    }
    for (fault, seconds, busy) in took {
        let bound = fault.bound() as f64 * busy;
        assert!(seconds <= bound, "{fault:?} took {seconds:.1} s, at most {bound:.1} are promised");
    }
}

#[test]
fn nothing_is_lost_or_doubled_when_instances_are_killed_and_a_pack_is_published() {
    use Fault::{Publish, Restart, Takeover};
    let mut broker = Broker::start();
    trial("kills", &mut broker, &[Restart, Takeover, Publish, Restart]);
}

#[test]
fn nothing_is_lost_or_doubled_when_the_broker_is_killed() {
    let mut broker = Broker::start();
    trial("bounce", &mut broker, &[Fault::Broker]);
}

#[test]
#[ignore = "minutes; the command is in tests/kafka/README.md"]
fn nothing_is_lost_or_doubled_when_instances_and_the_broker_are_killed_many_times() {
    let rounds = std::env::var("FOREWARN_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(14);
    let all = [Fault::Restart, Fault::Takeover, Fault::Restart, Fault::Broker];
    let faults: Vec<Fault> = all.into_iter().cycle().take(rounds).collect();
    let mut broker = Broker::start();
    trial("many-kills", &mut broker, &faults);
}
