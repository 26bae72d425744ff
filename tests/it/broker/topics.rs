//! Topics and packs on a real broker.

use super::shared;
use super::system::System;
use forewarn::log::kafka::{PACKS, prepare, read_packs};
use forewarn::pack::Body;
use std::collections::BTreeMap;
use std::fs;

#[test]
fn the_form_of_a_log_is_fixed_when_its_topics_are_made() {
    let system = System::new(shared(), "form");
    assert!(system.done(&["topics", "create"]).contains("0 个新主题"), "nothing is made twice");
    assert!(system.done(&["topics", "check"]).contains("every topic is as it should be"));
    let settings = fs::read_to_string(system.config()).expect("settings");
    for (from, to, says) in [
        ("partitions: 4", "partitions: 8", "made with 4 partitions"),
        ("clock: wall", "clock: records", "clock Wall"),
        ("partitions: 4", "partitions: 8", "forewarn.log: 4 partitions instead of 8"),
    ] {
        fs::write(system.config(), settings.replace(from, to)).expect("written");
        let check = system.command(&["topics", "check"]);
        let said = String::from_utf8_lossy(&check.stdout).into_owned();
        assert_eq!(check.status.code(), Some(1), "{said}");
        assert!(said.contains(says), "{says}: {said}");
        assert_eq!(system.command(&["topics", "create"]).status.code(), Some(1), "{to}");
        assert_eq!(system.command(&["run"]).status.code(), Some(2), "{to}");
    }
    fs::write(system.config(), settings).expect("written");
    let secret = system.dir.path().join("secret");
    let own = fs::read(&secret).expect("a secret");
    fs::write(&secret, "another secret of the tests").expect("written");
    for (command, code) in [(["topics", "check"].as_slice(), 1), (&["topics", "create"], 1), (&["run"], 2)] {
        let done = system.command(command);
        let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
        assert_eq!(done.status.code(), Some(code), "{command:?}: {said}");
        assert!(said.contains("另一个密钥"), "{command:?}: {said}");
    }
    fs::write(&secret, own).expect("written");
    let source = system.rules().join("sources/visits.yaml");
    let text = fs::read_to_string(&source).expect("a source");
    fs::write(&source, format!("{text}topic: \"raw.elsewhere\"\n")).expect("written");
    let check = system.command(&["topics", "check"]);
    let said = String::from_utf8_lossy(&check.stdout).into_owned();
    assert_eq!(check.status.code(), Some(1), "{said}");
    assert!(said.contains("form.raw.elsewhere: missing; `forewarn topics create` makes it"), "{said}");
}

#[test]
fn a_pack_larger_than_a_message_comes_back_whole() {
    let system = System::new(shared(), "large");
    // 3 MB with Chinese text, so that a cut by bytes would show.
    let body = Body { files: BTreeMap::from([("rules/大.yaml".to_owned(), "预警\"\n".repeat(350_000))]) };
    let client = system.client("test");
    let hash = prepare(&client, &body).expect("prepared");
    let packs = read_packs(&client).expect("read");
    assert_eq!(packs.prepared.as_deref(), Some(hash.as_str()));
    assert_eq!(packs.body(&hash).expect("whole"), body);
    let error = packs.body("0000").expect_err("never prepared").to_string();
    assert!(error.contains(PACKS), "{error}");
}
