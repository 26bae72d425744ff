use forewarn::console::*;
use forewarn::metrics::Metrics;
use std::sync::Arc;
fn main() {
    let c = Console::new(Limits::default(), "view1");
    let lines = std::fs::read_to_string("/tmp/warnings.jsonl").unwrap();
    let docs: Vec<serde_json::Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let n = docs.len();
    for d in &docs[..n - 4] {
        c.publish(d);
    }
    let base = 1772413200000i64 + 3600_000 * 3 + 900_000;
    let mut lt = base;
    c.standing(Standing { log_time: Some(lt), lag_seconds: 0.4, records: 1834211 });
    let _r = start(
        "127.0.0.1:18080".parse().unwrap(),
        c.clone(),
        Arc::new(Metrics::new()),
        Readiness::new(|| Ready { ready: true, reasons: vec![] }),
    )
    .unwrap();
    std::thread::sleep(std::time::Duration::from_secs(3));
    let slow = std::env::args().nth(1).is_some();
    for d in &docs[n - 4..] {
        if slow {
            std::thread::sleep(std::time::Duration::from_secs(3));
        }
        c.publish(d);
    }
    loop {
        std::thread::sleep(std::time::Duration::from_millis(200));
        lt += 200;
        c.standing(Standing { log_time: Some(lt), lag_seconds: 0.4, records: 1834211 + (lt - base) as u64 / 4 });
    }
}
