//! The core names nothing that would make it more than a function of its log.

use std::path::{Path, PathBuf};

/// Words that no source text of the pure stages may hold outside comments, and why.
const FORBIDDEN: &[(&str, &str)] = &[
    ("tokio", "tasks"),
    ("rdkafka", "the broker"),
    ("std::fs", "files"),
    ("File::", "files"),
    ("std::net", "the network"),
    ("std::env", "the machine's settings"),
    ("std::thread", "threads"),
    ("thread::", "threads"),
    ("rayon", "threads"),
    ("Mutex", "locks"),
    ("RwLock", "locks"),
    ("mpsc", "channels"),
    ("SystemTime", "the wall clock"),
    ("Instant", "the wall clock"),
    ("crate::clock", "the wall clock"),
    ("Zoned::now", "the wall clock"),
    ("Timestamp::now", "the wall clock"),
    ("RandomState", "random seeds"),
    ("HashMap", "order that changes from run to run"),
    ("rand::", "chance"),
];

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the crate's own sources can be read") {
        let path = entry.expect("the crate's own sources can be read").path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "tests") {
                sources(&path, into);
            }
        } else if path.file_name().is_none_or(|name| name != "tests.rs") {
            into.push(path);
        }
    }
}

/// The words found in a text's code, with line numbers.
fn found(text: &str) -> Vec<(usize, &'static str)> {
    let mut all = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        all.extend(FORBIDDEN.iter().filter(|(word, _)| code.contains(word)).map(|(word, _)| (number + 1, *word)));
    }
    all
}

#[test]
fn engine_model_and_response_name_no_task_broker_file_thread_or_clock() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    for stage in ["engine", "model", "response"] {
        sources(&root.join(stage), &mut files);
    }
    assert!(files.len() > 25, "only {} files were read", files.len());
    let mut wrong = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path).expect("the crate's own sources can be read");
        wrong.extend(found(&text).into_iter().map(|(line, word)| format!("{}:{line} {word}", path.display())));
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn a_forbidden_word_in_code_is_found_and_one_in_a_comment_is_not() {
    assert_eq!(found("let a = 1;\nlet b = std::fs::read(\"x\");"), [(2, "std::fs")]);
    assert_eq!(found("//! no threads, no std::fs, no Mutex"), []);
}
