//! Keeps what the page shows: open warnings, the last closed ones, and the last events for pages that reconnect.
//!
//! In: documents of changes, in any order and perhaps twice. Out: rows, counts, whole warnings, events.
//! A change that is not newer than the one kept is dropped. Cost: the JSON text of one document per warning.

use super::document::{Head, State, head, history_line};
use crate::record::{Level, Millis, time};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast;

/// How much the console keeps.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open warnings; beyond it the one that changed longest ago leaves the page (and is counted).
    pub open: usize,
    /// Closed warnings.
    pub closed: usize,
    /// Changes of one warning.
    pub changes: usize,
    /// Events that a page that reconnects can catch up on.
    pub events: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        // A document is 2 to 10 kB: 20,000 open ones stay below 200 MB.
        Limits { open: 20_000, closed: 2_000, changes: 100, events: 4_096 }
    }
}

/// Where the engine stands.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Standing {
    /// Least log time of the partitions, if there is one yet.
    pub log_time: Option<Millis>,
    /// Wall time minus log time (demo: wall time that the city's records wait), seconds.
    pub lag_seconds: f64,
    /// Records read so far.
    pub records: u64,
}

/// One event for the pages.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) seq: u64,
    pub(super) name: &'static str,
    pub(super) data: Arc<str>,
}

struct Entry {
    head: Head,
    /// Sequence of the last change: the place in the list.
    seq: u64,
    document: Arc<str>,
    history: VecDeque<Value>,
}

struct Inner {
    limits: Limits,
    seq: u64,
    warnings: BTreeMap<String, Entry>,
    /// Place in the list to warning id; the newest change has the highest place.
    order: BTreeMap<u64, String>,
    open: usize,
    ring: VecDeque<Event>,
    dropped_open: u64,
    standing: Standing,
}

/// The console's memory; clones share it.
#[derive(Clone)]
pub struct Console {
    inner: Arc<Mutex<Inner>>,
    events: broadcast::Sender<Event>,
    /// Tells a page that the process it knew is gone: sequences of another run mean nothing.
    run: Arc<str>,
}

/// Which warnings a list holds. Empty lists and texts hold everything.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    pub(super) levels: Vec<String>,
    pub(super) industries: Vec<String>,
    pub(super) departments: Vec<String>,
    pub(super) regions: Vec<String>,
    /// `open` (active or cleared), `active`, `cleared`, `closed`, `all`
    pub(super) state: String,
    pub(super) q: String,
}

impl Filter {
    fn holds(&self, h: &Head) -> bool {
        let one = |list: &[String], value: &str| list.is_empty() || list.iter().any(|v| v == value);
        let state = match self.state.as_str() {
            "active" => h.state == State::Active,
            "cleared" => h.state == State::Cleared,
            "closed" => h.state == State::Closed,
            "all" => true,
            _ => h.state != State::Closed,
        };
        state
            && one(&self.levels, &h.level)
            && one(&self.industries, &h.industry)
            && one(&self.regions, &h.region)
            && (self.departments.is_empty() || h.departments.iter().any(|d| self.departments.contains(d)))
            && (self.q.is_empty() || h.text.contains(&self.q))
    }
}

/// A page of the list.
pub(super) struct Page {
    pub(super) rows: Vec<Value>,
    pub(super) total: usize,
    /// Give it as `cursor` to get what follows.
    pub(super) next: Option<u64>,
    pub(super) seq: u64,
}

/// What a page that connects gets first.
pub(super) struct Joined {
    pub(super) missed: Vec<Event>,
    /// The ring no longer reaches back to where the page was.
    pub(super) reset: bool,
    pub(super) seq: u64,
    pub(super) live: broadcast::Receiver<Event>,
}

impl Console {
    /// An empty console. `run` names this run of the process (any text that differs between runs, no spaces).
    #[must_use]
    pub fn new(limits: Limits, run: &str) -> Console {
        // A page that falls 1,024 events behind gets a reset: it loads the list anew, which is cheaper by then.
        let (events, _) = broadcast::channel(1_024);
        Console {
            inner: Arc::new(Mutex::new(Inner {
                limits,
                seq: 0,
                warnings: BTreeMap::new(),
                order: BTreeMap::new(),
                open: 0,
                ring: VecDeque::new(),
                dropped_open: 0,
                standing: Standing::default(),
            })),
            events,
            run: run.into(),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn run(&self) -> &str {
        &self.run
    }

    /// Shows one change of one warning: the canonical document of `response`, committed.
    ///
    /// Dropped without a word: a change that is not newer than the one shown (it is sent at least once). Dropped with
    /// a log line: a document without an id.
    pub fn publish(&self, document: &Value) {
        let Some(mut head) = head(document) else {
            tracing::warn!("a warning document without an id is not shown");
            return;
        };
        let mut guard = self.inner();
        let inner = &mut *guard;
        let mut history = VecDeque::new();
        if let Some(known) = inner.warnings.get(&head.id) {
            if known.head.change >= head.change {
                return;
            }
            history = known.history.clone();
            // Only a raise and an upgrade start the deadlines; a clear leaves those that run.
            if head.row.get("deadlines").is_none()
                && let Some(running) = known.head.row.get("deadlines")
            {
                head.row["deadlines"] = running.clone();
            }
            inner.order.remove(&known.seq);
            if known.head.state != State::Closed {
                inner.open -= 1;
            }
        }
        history.push_back(history_line(document));
        while history.len() > inner.limits.changes {
            // The first change stays: it says what raised the warning.
            history.remove(1);
        }
        inner.seq += 1;
        let seq = inner.seq;
        if head.state != State::Closed {
            inner.open += 1;
        }
        let mut row = head.row.clone();
        row["seq"] = json!(seq);
        let event = Event { seq, name: "warning", data: row.to_string().into() };
        inner.order.insert(seq, head.id.clone());
        inner.warnings.insert(head.id.clone(), Entry { head, seq, document: document.to_string().into(), history });
        inner.trim();
        inner.ring.push_back(event.clone());
        while inner.ring.len() > inner.limits.events {
            inner.ring.pop_front();
        }
        // Sent under the lock, so that a page that joins sees each event once. Nobody listening is no error.
        drop(self.events.send(event));
    }

    /// Says where the engine stands; shown by the live light.
    pub fn standing(&self, standing: Standing) {
        self.inner().standing = standing;
    }

    pub(super) fn list(&self, filter: &Filter, cursor: Option<u64>, limit: usize) -> Page {
        let inner = self.inner();
        let mut page = Page { rows: Vec::new(), total: 0, next: None, seq: inner.seq };
        let mut last = 0;
        for (seq, id) in inner.order.iter().rev() {
            let Some(entry) = inner.warnings.get(id) else { continue };
            if !filter.holds(&entry.head) {
                continue;
            }
            page.total += 1;
            if cursor.is_some_and(|c| *seq >= c) {
                continue;
            }
            if page.rows.len() < limit {
                let mut row = entry.head.row.clone();
                row["seq"] = json!(seq);
                page.rows.push(row);
                last = *seq;
            } else {
                page.next = Some(last);
            }
        }
        page
    }

    /// The newest document of a warning with its history, as JSON text.
    pub(super) fn one(&self, id: &str) -> Option<String> {
        let inner = self.inner();
        let entry = inner.warnings.get(id)?;
        let history = Value::Array(entry.history.iter().cloned().collect());
        Some(format!(
            "{{\"state\":\"{}\",\"seq\":{},\"warning\":{},\"changes\":{history}}}",
            entry.head.state.word(),
            entry.seq,
            entry.document
        ))
    }

    pub(super) fn summary(&self) -> Value {
        let inner = self.inner();
        let mut levels: BTreeMap<&str, [u64; 2]> = Level::ALL.iter().map(|l| (l.word(), [0, 0])).collect();
        let mut industries: BTreeMap<&str, [u64; 5]> = BTreeMap::new();
        let mut regions: BTreeMap<&str, [u64; 5]> = BTreeMap::new();
        let mut departments: BTreeMap<&str, [u64; 5]> = BTreeMap::new();
        let mut assisting = BTreeSet::new();
        let mut closed = 0;
        for entry in inner.warnings.values() {
            let h = &entry.head;
            let place = match h.state {
                State::Active => 0,
                State::Cleared => 1,
                State::Closed => {
                    closed += 1;
                    continue;
                }
            };
            if let Some(counts) = levels.get_mut(h.level.as_str()) {
                counts[place] += 1;
            }
            let level = usize::try_from(h.level_no.min(4)).unwrap_or(0);
            industries.entry(&h.industry).or_default()[level] += 1;
            regions.entry(&h.region).or_default()[level] += 1;
            if let Some((lead, others)) = h.departments.split_first() {
                departments.entry(lead).or_default()[level] += 1;
                assisting.extend(others.iter().map(String::as_str));
            }
        }
        let table = |counts: &BTreeMap<&str, [u64; 5]>| -> Value {
            counts
                .iter()
                .filter(|(id, _)| !id.is_empty())
                .map(|(id, n)| json!({"id": id, "blue": n[1], "yellow": n[2], "orange": n[3], "red": n[4]}))
                .collect()
        };
        let mut all = assisting;
        all.extend(departments.keys().copied().filter(|d| !d.is_empty()));
        json!({
            "run": &*self.run,
            "seq": inner.seq,
            "log_time": inner.standing.log_time.map(time::rfc3339),
            "log_time_lag_seconds": inner.standing.lag_seconds,
            "records": inner.standing.records,
            "levels": levels.iter().map(|(l, n)| ((*l).to_owned(), json!({"active": n[0], "cleared": n[1]})))
                .collect::<serde_json::Map<_, _>>(),
            "open": inner.open,
            "closed": closed,
            "dropped_open": inner.dropped_open,
            "industries": table(&industries),
            "regions": table(&regions),
            "departments": table(&departments),
            "department_ids": all,
        })
    }

    /// Joins the stream; `last` is the sequence that the page has seen, if it comes back in the same run.
    pub(super) fn join(&self, last: Option<u64>) -> Joined {
        let inner = self.inner();
        let live = self.events.subscribe();
        let Some(last) = last else {
            return Joined { missed: Vec::new(), reset: false, seq: inner.seq, live };
        };
        let reaches = last == inner.seq || inner.ring.front().is_some_and(|e| e.seq <= last.saturating_add(1));
        if last > inner.seq || !reaches {
            return Joined { missed: Vec::new(), reset: true, seq: inner.seq, live };
        }
        let missed = inner.ring.iter().filter(|e| e.seq > last).cloned().collect();
        Joined { missed, reset: false, seq: inner.seq, live }
    }

    /// How many warnings are open and on the page.
    #[must_use]
    pub fn open(&self) -> usize {
        self.inner().open
    }
}

impl Inner {
    /// Lets the oldest go once there are too many.
    fn trim(&mut self) {
        loop {
            let closed = self.warnings.len() - self.open;
            let drop_open = self.open > self.limits.open;
            if !drop_open && closed <= self.limits.closed {
                return;
            }
            let oldest = self.order.iter().find_map(|(seq, id)| {
                let open = self.warnings.get(id).is_some_and(|e| e.head.state != State::Closed);
                (open == drop_open).then(|| (*seq, id.clone()))
            });
            let Some((seq, id)) = oldest else { return };
            self.order.remove(&seq);
            self.warnings.remove(&id);
            if drop_open {
                self.open -= 1;
                self.dropped_open += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(id: &str, change: u64, kind: &str, level: &str) -> Value {
        json!({
            "id": id, "change": change, "kind": kind, "level": level,
            "industry": {"id": "gas", "name": "燃气"},
            "indicator": {"id": "gas_leak_lel", "name": "泄漏浓度"},
            "subject": {"name": "滨海小馆", "object_id": "equip:371102-0007", "region": {"code": "371102"}},
            "departments": {"lead": {"id": "urban_management@371102"}, "assist": [{"id": "fire_rescue"}]},
            "headline": "滨海小馆可燃气体30%LEL", "headline_en": "Gas at Binhai Diner",
        })
    }

    fn small() -> Console {
        Console::new(Limits { open: 3, closed: 2, changes: 3, events: 4 }, "run")
    }

    fn ids(console: &Console, filter: &Filter) -> Vec<String> {
        let page = console.list(filter, None, 100);
        assert_eq!(page.total, page.rows.len());
        page.rows.iter().map(|r| r["id"].as_str().expect("an id").to_owned()).collect()
    }

    fn with(change: impl FnOnce(&mut Filter)) -> Filter {
        let mut filter = Filter::default();
        change(&mut filter);
        filter
    }

    #[test]
    fn the_newest_change_stands_first_and_a_repeated_one_changes_nothing() {
        let c = small();
        c.publish(&document("a", 1, "raised", "blue"));
        c.publish(&document("b", 1, "raised", "red"));
        c.publish(&document("a", 2, "upgraded", "yellow"));
        c.publish(&document("a", 2, "upgraded", "yellow"));
        c.publish(&document("a", 1, "raised", "blue"));
        assert_eq!(ids(&c, &Filter::default()), ["a", "b"]);
        let one: Value = serde_json::from_str(&c.one("a").expect("a is kept")).expect("JSON");
        assert_eq!(one["warning"]["level"], "yellow");
        assert_eq!(one["changes"].as_array().map(Vec::len), Some(2));
        assert_eq!(c.summary()["levels"]["yellow"]["active"], 1);
        assert_eq!(c.summary()["levels"]["blue"]["active"], 0);
        assert_eq!(c.summary()["seq"], 3);
    }

    #[test]
    fn each_filter_holds_what_it_names() {
        let c = Console::new(Limits::default(), "run");
        c.publish(&document("a", 1, "raised", "red"));
        let mut other = document("b", 1, "cleared", "blue");
        other["industry"] = json!("food");
        other["subject"]["region"] = json!("371121");
        other["departments"] = json!({"lead": {"id": "health"}});
        other["headline"] = json!("食堂");
        other["headline_en"] = json!("Canteen");
        c.publish(&other);
        c.publish(&document("c", 1, "expired", "blue"));
        let word = |w: &str| vec![w.to_owned()];
        let rows: Vec<(&str, Filter, &[&str])> = vec![
            ("nothing asked", Filter::default(), &["b", "a"]),
            ("level", with(|f| f.levels = word("red")), &["a"]),
            ("industry", with(|f| f.industries = word("food")), &["b"]),
            ("lead", with(|f| f.departments = word("health")), &["b"]),
            ("assisting", with(|f| f.departments = word("fire_rescue")), &["a"]),
            ("district", with(|f| f.regions = word("371121")), &["b"]),
            ("active", with(|f| f.state = "active".into()), &["a"]),
            ("cleared", with(|f| f.state = "cleared".into()), &["b"]),
            ("closed", with(|f| f.state = "closed".into()), &["c"]),
            ("all", with(|f| f.state = "all".into()), &["c", "b", "a"]),
            ("text", with(|f| f.q = "binhai".into()), &["a"]),
            ("Chinese text", with(|f| f.q = "食堂".into()), &["b"]),
            ("no match", with(|f| f.q = "nowhere".into()), &[]),
        ];
        for (what, filter, expected) in rows {
            assert_eq!(ids(&c, &filter), expected, "{what}");
        }
    }

    #[test]
    fn pages_follow_each_other_without_gap() {
        let c = Console::new(Limits::default(), "run");
        for n in 0..25 {
            c.publish(&document(&format!("w{n}"), 1, "raised", "blue"));
        }
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let page = c.list(&Filter::default(), cursor, 10);
            seen.extend(page.rows.iter().map(|r| r["id"].as_str().expect("an id").to_owned()));
            assert_eq!(page.total, 25);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, (0..25).rev().map(|n| format!("w{n}")).collect::<Vec<_>>());
    }

    #[test]
    fn memory_is_bounded_and_what_was_dropped_is_counted() {
        let c = small();
        for n in 0..10 {
            c.publish(&document(&format!("o{n}"), 1, "raised", "blue"));
            c.publish(&document(&format!("c{n}"), 1, "expired", "blue"));
        }
        for n in 2..30 {
            c.publish(&document("o9", n, "upgraded", "red"));
        }
        assert_eq!(ids(&c, &with(|f| f.state = "all".into())), ["o9", "c9", "c8", "o8", "o7"]);
        assert_eq!(c.summary()["dropped_open"], 7);
        assert_eq!(c.open(), 3);
        let one: Value = serde_json::from_str(&c.one("o9").expect("kept")).expect("JSON");
        let kept: Vec<_> = one["changes"].as_array().expect("a list").iter().map(|l| l["change"].as_u64()).collect();
        assert_eq!(kept, [Some(1), Some(28), Some(29)]);
    }

    #[test]
    fn a_page_that_comes_back_gets_what_it_missed_or_is_told_to_load_anew() {
        let c = small();
        for n in 0..6 {
            c.publish(&document("a", n + 1, "upgraded", "blue"));
        }
        // The ring holds 3, 4, 5, 6.
        let rows: [(Option<u64>, &[u64], bool); 6] = [
            (None, &[], false),
            (Some(6), &[], false),
            (Some(4), &[5, 6], false),
            (Some(2), &[3, 4, 5, 6], false),
            (Some(1), &[], true),
            (Some(7), &[], true),
        ];
        for (last, missed, reset) in rows {
            let joined = c.join(last);
            assert_eq!(joined.missed.iter().map(|e| e.seq).collect::<Vec<_>>(), missed, "{last:?}");
            assert_eq!(joined.reset, reset, "{last:?}");
        }
    }

    #[test]
    fn a_document_with_nothing_but_an_id_is_shown() {
        let c = small();
        c.publish(&json!({"id": "w-x"}));
        c.publish(&json!({"headline": "no id"}));
        assert_eq!(ids(&c, &Filter::default()), ["w-x"]);
    }
}
