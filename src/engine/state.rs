//! Everything the engine remembers, as columns indexed by key number.
//!
//! Promise: saved and restored, it behaves exactly as if it had never been away.

use super::batch::Scalar;
use super::closes::Closes;
use super::dedupe::Dedupe;
use super::evidence::Evidence;
use super::held::Held;
use super::keys::{JOINT, KeyTable};
use super::level::Standing;
use super::outcome::Subject;
use super::program::{Kinded, Node, Program};
use super::window::{Kept, Window};
use crate::model::{CountState, GroupState, ReadingState, TERMS, Watch};
use crate::record::{Level, Millis};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// A raw partition's mark.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Mark {
    pub(crate) at: Millis,
    pub(crate) blind: bool,
}

/// Who a routing key is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Who {
    pub(crate) subject: Subject,
    pub(crate) maintained_by: Option<String>,
    pub(crate) group_id: Option<String>,
    /// The registry has named it.
    pub(crate) registered: bool,
    pub(crate) active: bool,
}

/// Level and key text of one sender's open signal.
type Open = BTreeMap<(String, String), u8>;

/// One key space.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct SpaceState {
    pub(crate) keys: KeyTable,
    pub(crate) who: Vec<Option<Box<Who>>>,
    /// Open signals by routing key.
    pub(crate) signals: BTreeMap<u32, Open>,
}

/// One key set that is finer than its space.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct SetState {
    /// `None`: the keys are the routing keys.
    pub(crate) keys: Option<KeyTable>,
    pub(crate) parent: Vec<u32>,
    pub(crate) children: BTreeMap<u32, Vec<u32>>,
}

/// One open warning.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Incident {
    pub(crate) text: String,
    pub(crate) warning_id: String,
    pub(crate) cause: String,
    pub(crate) number: u32,
    pub(crate) level: Level,
    /// Log time at which it got its level.
    pub(crate) level_since: Millis,
    pub(crate) cleared: Option<Millis>,
    /// State keys in it that stand at a level.
    pub(crate) members: BTreeSet<u32>,
    pub(crate) opener: Option<Evidence>,
    pub(crate) recent: VecDeque<Evidence>,
    pub(crate) subject: Subject,
    pub(crate) since: u64,
}

/// An item with a due time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Due {
    pub(crate) at: Millis,
    pub(crate) open: bool,
    /// Newest record applied, so that an older one does not replace it.
    pub(crate) newest: Millis,
}

impl Default for Due {
    fn default() -> Due {
        Due { at: 0, open: false, newest: Millis::MIN }
    }
}

/// What the keys of a group have had together, over the whole city.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Group {
    /// Keys, by the partition that told.
    pub(crate) keys: BTreeMap<String, f64>,
    /// The first close told.
    pub(crate) first: Millis,
    /// Rows by close; a close without rows is not told.
    pub(crate) rows: BTreeMap<Millis, f64>,
}

/// The readings of one pane.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct PaneMean {
    pub(crate) pane: i64,
    pub(crate) readings: u32,
    /// Mean event time, milliseconds after the pane's start.
    pub(crate) at: f64,
    pub(crate) value: f64,
}

/// A record or signal that counts for an item.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ItemRow {
    pub(crate) item: u16,
    /// Highest level reached; 0 for a record.
    pub(crate) level: u8,
    /// The sender stands at the level still.
    pub(crate) open: bool,
    /// Whose knowledge it is.
    pub(crate) department: u64,
    /// The record; `at` is the end of a signal that is not open, `distinct` its sender.
    pub(crate) kept: Kept,
}

/// What a method keeps per key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum MethodState {
    None,
    Sustained {
        /// [key * runs + run]: since when, samples; samples 0: not running.
        since: Vec<Millis>,
        samples: Vec<u32>,
        newest: Vec<Millis>,
        value: Vec<f64>,
    },
    Deadline {
        due: Vec<Due>,
        opener: BTreeMap<u32, Evidence>,
    },
    Gap {
        last: Vec<Millis>,
        roster: Vec<Millis>,
        stopped: Vec<bool>,
        scheduled: Vec<Millis>,
    },
    Sequence {
        first: Vec<Vec<Kept>>,
        then: Vec<Vec<Kept>>,
        newest: Vec<Millis>,
    },
    Lookup {
        versions: Vec<Vec<(Millis, Vec<Scalar>)>>,
    },
    Surge {
        rows: Vec<Vec<Kept>>,
        begun: Vec<Millis>,
        newest: Vec<Millis>,
        /// The group that a key's newest row named.
        group: Vec<Option<Arc<str>>>,
        groups: BTreeMap<Arc<str>, Group>,
        /// How many keys of each group were told of last.
        told: BTreeMap<Arc<str>, f64>,
        /// Event time of the newest row of all keys.
        latest: Millis,
    },
    Reading {
        /// `None` before the first reading.
        states: Vec<Option<ReadingState>>,
        /// Score, reading, terms of the newest score; NaN for none.
        scores: Vec<[f64; 2 + TERMS]>,
    },
    Group {
        /// `None` before the first readings.
        states: Vec<Option<Box<GroupState>>>,
        /// The newest time that was judged.
        newest: Vec<Millis>,
        /// Quantities then, NaN for none; empty before the first.
        scores: Vec<Vec<f64>>,
    },
    Counts {
        /// `None` before the first row.
        states: Vec<Option<Box<CountState>>>,
        /// Rows of the steps that are not judged yet, by step and key.
        open: BTreeMap<i64, BTreeMap<u32, Vec<Kept>>>,
        /// Rows of the step judged last, as evidence.
        shown: Vec<Vec<Kept>>,
        /// Terms of the newest score, then steps seen; NaN for none.
        scores: Vec<[f64; 9]>,
        /// Event time of the newest row counted.
        newest: Vec<Millis>,
        /// The step judged last.
        closed: Option<i64>,
    },
    Trend {
        panes: Vec<Vec<PaneMean>>,
        newest: Vec<Millis>,
        value: Vec<f64>,
        limit: Vec<f64>,
    },
    Peer {
        /// The newest close that a value came for; `MIN` for none.
        close: Vec<Millis>,
        /// Its value; NaN for none.
        value: Vec<f64>,
        group: Vec<Option<Arc<str>>>,
        /// The newest close that was judged, with the value that it had.
        judged: Vec<(Millis, u64)>,
        /// Terms of the newest score; NaN for none.
        scores: Vec<[f64; 7]>,
    },
    Items {
        /// By event time.
        rows: Vec<Vec<ItemRow>>,
        newest: Vec<Millis>,
        /// Objects of the key that the roster names, as hashes.
        roster: Vec<BTreeSet<u64>>,
    },
}

/// One indicator.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NodeState {
    pub(crate) standing: Standing,
    /// Keys that stand at a level or wait for one.
    pub(crate) busy: BTreeSet<u32>,
    pub(crate) incidents: Vec<Option<Incident>>,
    pub(crate) open: BTreeMap<String, u32>,
    /// Incident key to (level, until) of a cool-down.
    pub(crate) cool: BTreeMap<String, (u8, Millis)>,
    /// Key to the (key space, key) that its open signal went to.
    pub(crate) sent: BTreeMap<u32, BTreeSet<(String, String)>>,
    /// Values sent: (close, key) to revision and value.
    pub(crate) said: BTreeMap<(i64, u32), (i64, Option<f64>)>,
    pub(crate) method: MethodState,
    /// How often the model has alarmed; `None` where that is not watched, or before its first score.
    pub(crate) watch: Option<Box<Watch>>,
    pub(crate) matches: u64,
    pub(crate) nulls: u64,
    /// Rows of new keys refused for want of memory.
    pub(crate) refused: u64,
}

impl NodeState {
    pub(crate) fn new(node: &Node) -> NodeState {
        NodeState {
            standing: Standing::default(),
            busy: BTreeSet::new(),
            incidents: Vec::new(),
            open: BTreeMap::new(),
            cool: BTreeMap::new(),
            sent: BTreeMap::new(),
            said: BTreeMap::new(),
            method: match &node.kind {
                Kinded::Measure { .. } => MethodState::None,
                Kinded::Sustained { .. } => MethodState::Sustained {
                    since: Vec::new(),
                    samples: Vec::new(),
                    newest: Vec::new(),
                    value: Vec::new(),
                },
                Kinded::Deadline { .. } => MethodState::Deadline { due: Vec::new(), opener: BTreeMap::new() },
                Kinded::Gap { .. } => MethodState::Gap {
                    last: Vec::new(),
                    roster: Vec::new(),
                    stopped: Vec::new(),
                    scheduled: Vec::new(),
                },
                Kinded::Sequence { .. } => {
                    MethodState::Sequence { first: Vec::new(), then: Vec::new(), newest: Vec::new() }
                }
                Kinded::Lookup { .. } => MethodState::Lookup { versions: Vec::new() },
                Kinded::Surge { .. } => MethodState::Surge {
                    rows: Vec::new(),
                    begun: Vec::new(),
                    newest: Vec::new(),
                    group: Vec::new(),
                    groups: BTreeMap::new(),
                    told: BTreeMap::new(),
                    latest: Millis::MIN,
                },
                Kinded::Reading { .. } => MethodState::Reading { states: Vec::new(), scores: Vec::new() },
                Kinded::Group { .. } => {
                    MethodState::Group { states: Vec::new(), newest: Vec::new(), scores: Vec::new() }
                }
                Kinded::Counts { .. } => MethodState::Counts {
                    states: Vec::new(),
                    open: BTreeMap::new(),
                    shown: Vec::new(),
                    scores: Vec::new(),
                    newest: Vec::new(),
                    closed: None,
                },
                Kinded::Trend { .. } => {
                    MethodState::Trend { panes: Vec::new(), newest: Vec::new(), value: Vec::new(), limit: Vec::new() }
                }
                Kinded::Peer { .. } => MethodState::Peer {
                    close: Vec::new(),
                    value: Vec::new(),
                    group: Vec::new(),
                    judged: Vec::new(),
                    scores: Vec::new(),
                },
                Kinded::Items { .. } => MethodState::Items { rows: Vec::new(), newest: Vec::new(), roster: Vec::new() },
            },
            watch: None,
            matches: 0,
            nulls: 0,
            refused: 0,
        }
    }

    /// The model alarms so often that its scores are not used.
    pub(crate) fn is_failing(&self) -> bool {
        self.watch.as_ref().is_some_and(|watch| watch.is_failing())
    }

    pub(crate) fn reserve(&mut self, node: &Node, len: usize) {
        self.standing.reserve(len);
        match &mut self.method {
            MethodState::None => {}
            MethodState::Sustained { since, samples, newest, value } => {
                grow(since, len * node.runs.len(), 0);
                grow(samples, len * node.runs.len(), 0);
                grow(newest, len, Millis::MIN);
                grow(value, len, f64::NAN);
            }
            MethodState::Deadline { due, .. } => grow(due, len, Due::default()),
            MethodState::Gap { last, roster, stopped, scheduled } => {
                grow(last, len, Millis::MIN);
                grow(roster, len, Millis::MIN);
                grow(stopped, len, false);
                grow(scheduled, len, Millis::MAX);
            }
            MethodState::Sequence { first, then, newest } => {
                grow(first, len, Vec::new());
                grow(then, len, Vec::new());
                grow(newest, len, Millis::MIN);
            }
            MethodState::Lookup { versions } => grow(versions, len, Vec::new()),
            MethodState::Surge { rows, begun, newest, group, .. } => {
                grow(group, len, None);
                grow(rows, len, Vec::new());
                grow(begun, len, Millis::MAX);
                grow(newest, len, Millis::MIN);
            }
            MethodState::Reading { states, scores } => {
                grow(states, len, None);
                grow(scores, len, [f64::NAN; 2 + TERMS]);
            }
            MethodState::Group { states, newest, scores } => {
                grow(states, len, None);
                grow(newest, len, Millis::MIN);
                grow(scores, len, Vec::new());
            }
            MethodState::Counts { states, shown, scores, newest, .. } => {
                grow(states, len, None);
                grow(shown, len, Vec::new());
                grow(scores, len, [f64::NAN; 9]);
                grow(newest, len, Millis::MIN);
            }
            MethodState::Trend { panes, newest, value, limit } => {
                grow(panes, len, Vec::new());
                grow(newest, len, Millis::MIN);
                grow(value, len, f64::NAN);
                grow(limit, len, f64::NAN);
            }
            MethodState::Peer { close, value, group, judged, scores } => {
                grow(close, len, Millis::MIN);
                grow(value, len, f64::NAN);
                grow(group, len, None);
                grow(judged, len, (Millis::MIN, 0));
                grow(scores, len, [f64::NAN; 7]);
            }
            MethodState::Items { rows, newest, roster } => {
                grow(rows, len, Vec::new());
                grow(newest, len, Millis::MIN);
                grow(roster, len, BTreeSet::new());
            }
        }
    }

    /// Bytes held beside windows, by our own fixed sizes.
    pub(crate) fn bytes(&self) -> usize {
        let kept = |rows: &[Vec<Kept>]| rows.iter().map(|r| 24 + r.len() * 40).sum::<usize>();
        let method = match &self.method {
            MethodState::None => 0,
            MethodState::Sustained { since, newest, .. } => since.len() * 12 + newest.len() * 16,
            MethodState::Deadline { due, opener } => due.len() * 24 + opener.len() * 64,
            MethodState::Gap { last, .. } => last.len() * 25,
            MethodState::Sequence { first, then, .. } => kept(first) + kept(then),
            MethodState::Lookup { versions } => versions.iter().map(|v| 24 + v.len() * 64).sum(),
            MethodState::Surge { rows, .. } => kept(rows) + rows.len() * 40,
            MethodState::Reading { states, .. } => {
                states.iter().map(|s| 64 + s.as_ref().map_or(0, ReadingState::bytes)).sum()
            }
            MethodState::Group { states, scores, .. } => {
                let known: usize = states.iter().flatten().map(|s| s.bytes()).sum();
                known + scores.iter().map(|s| 40 + s.len() * 8).sum::<usize>()
            }
            MethodState::Counts { states, open, shown, .. } => {
                let waiting: usize =
                    open.values().map(|keys| keys.values().map(|r| 48 + r.len() * 40).sum::<usize>()).sum();
                let known = states.iter().flatten().count();
                waiting + kept(shown) + states.len() * 96 + known * std::mem::size_of::<CountState>()
            }
            MethodState::Trend { panes, .. } => panes.iter().map(|p| 48 + p.len() * 32).sum(),
            MethodState::Peer { close, .. } => close.len() * 112,
            MethodState::Items { rows, roster, .. } => {
                let named: usize = roster.iter().map(|named| named.len() * 24).sum();
                named + rows.iter().map(|r| 64 + r.len() * 64).sum::<usize>()
            }
        };
        let watch = self.watch.as_ref().map_or(0, |watch| watch.bytes());
        watch + method + self.standing.level.len() * 32 + self.incidents.len() * 512 + self.said.len() * 48
    }

    /// True when nothing about the key would be missed.
    pub(crate) fn idle(&self, node: &Node, key: u32, now: Millis) -> bool {
        let k = key as usize;
        self.standing.idle(key)
            && match &self.method {
                MethodState::None => true,
                MethodState::Sustained { newest, .. } => newest.get(k).is_none_or(|t| forgotten(*t, now)),
                MethodState::Deadline { due, .. } => due.get(k).is_none_or(|d| !d.open && forgotten(d.newest, now)),
                MethodState::Gap { last, roster, .. } => {
                    let Kinded::Gap { roster: needs, .. } = &node.kind else { return true };
                    let quiet = |t: &Millis| *t == Millis::MIN || (*needs && forgotten(*t, now));
                    last.get(k).is_none_or(quiet) && roster.get(k).is_none_or(|t| *t == Millis::MIN)
                }
                MethodState::Sequence { first, then, .. } => {
                    // Rows that the next one would drop are as good as gone.
                    let Kinded::Sequence { within, .. } = &node.kind else { return true };
                    first.get(k).is_none_or(Vec::is_empty)
                        && then.get(k).and_then(|all| all.last()).is_none_or(|last| last.at < now - within)
                }
                MethodState::Lookup { versions } => versions.get(k).is_none_or(Vec::is_empty),
                // Since when a key is watched is never forgotten: a quiet year makes a sudden surge the clearer.
                MethodState::Surge { begun, .. } => begun.get(k).is_none_or(|t| *t == Millis::MAX),
                MethodState::Reading { states, .. } => {
                    let newest = states.get(k).and_then(Option::as_ref).and_then(ReadingState::newest);
                    newest.is_none_or(|t| forgotten(t, now))
                }
                MethodState::Group { newest, .. } => newest.get(k).is_none_or(|t| forgotten(*t, now)),
                MethodState::Counts { states, open, .. } => {
                    states.get(k).is_none_or(Option::is_none) && open.values().all(|keys| !keys.contains_key(&key))
                }
                MethodState::Trend { newest, .. } => newest.get(k).is_none_or(|t| forgotten(*t, now)),
                MethodState::Peer { close, .. } => close.get(k).is_none_or(|t| forgotten(*t, now)),
                MethodState::Items { rows, roster, .. } => {
                    // Rows that have had their time are dropped when their timer is due.
                    rows.get(k).is_none_or(Vec::is_empty) && roster.get(k).is_none_or(BTreeSet::is_empty)
                }
            }
    }

    pub(crate) fn forget(&mut self, node: &Node, key: u32) {
        self.standing.forget(key);
        if let Some(watch) = &mut self.watch {
            watch.forget(key);
        }
        let k = key as usize;
        if let MethodState::Sustained { since, samples, newest, value } = &mut self.method
            && k < newest.len()
        {
            let n = node.runs.len();
            since[k * n..(k + 1) * n].fill(0);
            samples[k * n..(k + 1) * n].fill(0);
            newest[k] = Millis::MIN;
            value[k] = f64::NAN;
        }
        if let MethodState::Deadline { due, .. } = &mut self.method
            && k < due.len()
        {
            due[k] = Due::default();
        }
        if let MethodState::Gap { last, stopped, scheduled, .. } = &mut self.method
            && k < stopped.len()
        {
            last[k] = Millis::MIN;
            stopped[k] = false;
            scheduled[k] = Millis::MAX;
        }
        if let MethodState::Sequence { first, then, newest } = &mut self.method
            && k < newest.len()
        {
            first[k] = Vec::new();
            then[k] = Vec::new();
            newest[k] = Millis::MIN;
        }
        if let MethodState::Reading { states, scores } = &mut self.method
            && k < states.len()
        {
            states[k] = None;
            scores[k] = [f64::NAN; 2 + TERMS];
        }
        if let MethodState::Group { states, newest, scores } = &mut self.method
            && k < newest.len()
        {
            states[k] = None;
            newest[k] = Millis::MIN;
            scores[k] = Vec::new();
        }
        if let MethodState::Counts { states, shown, scores, newest, .. } = &mut self.method
            && k < states.len()
        {
            states[k] = None;
            shown[k] = Vec::new();
            scores[k] = [f64::NAN; 9];
            newest[k] = Millis::MIN;
        }
        if let MethodState::Trend { panes, newest, value, limit } = &mut self.method
            && k < newest.len()
        {
            panes[k] = Vec::new();
            newest[k] = Millis::MIN;
            value[k] = f64::NAN;
            limit[k] = f64::NAN;
        }
        if let MethodState::Peer { close, value, group, judged, scores } = &mut self.method
            && k < close.len()
        {
            close[k] = Millis::MIN;
            value[k] = f64::NAN;
            group[k] = None;
            judged[k] = (Millis::MIN, 0);
            scores[k] = [f64::NAN; 7];
        }
        if let MethodState::Items { rows, newest, .. } = &mut self.method
            && k < newest.len()
        {
            rows[k] = Vec::new();
            newest[k] = Millis::MIN;
        }
    }
}

/// A key that has said nothing for so long begins anew: its runs, baselines and newest times no longer count.
/// As long as record ids are remembered by default; beyond it, what comes cannot be told from what came.
const SILENCE: Millis = 35 * 86_400_000;

/// True when what was last heard at `newest` no longer counts at `now`.
pub(crate) fn forgotten(newest: Millis, now: Millis) -> bool {
    newest < now.saturating_sub(SILENCE)
}

fn grow<T: Clone>(column: &mut Vec<T>, len: usize, fill: T) {
    if column.len() < len {
        column.resize(len, fill);
    }
}

/// Records by kind and what became of them. Home copies only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fates {
    /// Used, the late and the too old among them.
    pub used: u64,
    /// Used, older than log time by more than the source's lateness.
    pub late: u64,
    /// Used, but too old for every window that would have counted it.
    pub beyond_windows: u64,
    /// Came before.
    pub duplicate: u64,
    /// Of a revision lower than one seen; only with `corrections: window`.
    pub stale_revision: u64,
    /// Used, a revision of a source that does not correct.
    pub uncorrectable: u64,
    /// Used, too old to tell whether it came before.
    pub dedupe_unknown: u64,
}

impl Fates {
    /// Adds those of another partition.
    pub fn add(&mut self, other: &Fates) {
        self.used += other.used;
        self.late += other.late;
        self.beyond_windows += other.beyond_windows;
        self.duplicate += other.duplicate;
        self.stale_revision += other.stale_revision;
        self.uncorrectable += other.uncorrectable;
        self.dedupe_unknown += other.dedupe_unknown;
    }
}

/// The whole state of one log partition.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) position: u64,
    pub(crate) log_time: Millis,
    pub(crate) wall: Millis,
    pub(crate) marks: BTreeMap<String, Mark>,
    /// By raw partition: spans of log time in which it could not be read; the last may be open (end MAX).
    pub(crate) blind: BTreeMap<String, Vec<(Millis, Millis)>>,
    pub(crate) version: u64,
    pub(crate) pack: String,
    pub(crate) dedupe: Dedupe,
    pub(crate) spaces: BTreeMap<String, SpaceState>,
    pub(crate) sets: Vec<SetState>,
    pub(crate) windows: Vec<Window>,
    /// Beside each window, what its closes held; empty where no indicator sends its values.
    pub(crate) closes: Vec<Closes>,
    pub(crate) nodes: Vec<NodeState>,
    /// (due, node, key)
    pub(crate) timers: BTreeSet<(Millis, u32, u32)>,
    /// Readings that wait for earlier ones.
    pub(crate) held: Held,
    /// (due, node, incident): blue warnings that end by themselves.
    pub(crate) expiries: BTreeSet<(Millis, u32, u32)>,
    /// (wall time, position), one a minute: where in the log a window begins.
    pub(crate) places: VecDeque<(Millis, u64)>,
    pub(crate) fates: BTreeMap<String, Fates>,
    /// Next time at which idle keys are freed.
    pub(crate) sweep_at: Millis,
    /// Next time at which the state is weighed, and whether it was beyond the budget then.
    pub(crate) weigh_at: Millis,
    pub(crate) spent: bool,
    /// Records that expressions failed on.
    pub(crate) failed: u64,
    /// What came before this log time is lost.
    pub(crate) cut: Option<Millis>,
}

impl State {
    pub(crate) fn new(program: &Program) -> State {
        let mut state = State {
            position: 0,
            log_time: Millis::MIN,
            wall: Millis::MIN,
            marks: BTreeMap::new(),
            blind: BTreeMap::new(),
            version: 0,
            pack: program.hash.to_string(),
            dedupe: Dedupe::default(),
            spaces: BTreeMap::new(),
            sets: Vec::new(),
            windows: Vec::new(),
            closes: Vec::new(),
            nodes: Vec::new(),
            timers: BTreeSet::new(),
            held: Held::default(),
            expiries: BTreeSet::new(),
            places: VecDeque::new(),
            fates: BTreeMap::new(),
            sweep_at: Millis::MIN,
            weigh_at: Millis::MAX,
            spent: false,
            failed: 0,
            cut: None,
        };
        for space in &program.spaces {
            state.spaces.entry(space.to_string()).or_default();
        }
        for set in &program.sets {
            let keys = (!set.columns.is_empty()).then(KeyTable::default);
            state.sets.push(SetState { keys, ..SetState::default() });
        }
        for m in &program.measures {
            state.windows.push(Window::new(m.shape, m.function, m.keep_rows));
            state.closes.push(Closes::default());
        }
        state.nodes = program.nodes.iter().map(NodeState::new).collect();
        state
    }

    /// The same state under another program: what did not change keeps its state, what is new starts empty.
    pub(crate) fn adopt(self, old: &Program, new: &Program) -> State {
        let mut next = State::new(new);
        let mut sets: Vec<Option<SetState>> = self.sets.into_iter().map(Some).collect();
        let mut set_kept = vec![false; new.sets.len()];
        for (i, set) in new.sets.iter().enumerate() {
            let same =
                |s: &super::program::SetSpec| s.columns == set.columns && old.spaces[s.space] == new.spaces[set.space];
            if let Some(at) = old.sets.iter().position(same)
                && let Some(kept) = sets[at].take()
            {
                next.sets[i] = kept;
                set_kept[i] = true;
            }
        }
        let mut windows: Vec<Option<(Window, Closes)>> = self.windows.into_iter().zip(self.closes).map(Some).collect();
        for (i, m) in new.measures.iter().enumerate() {
            if set_kept[m.set]
                && let Some(at) = old.measures.iter().position(|o| o.fingerprint == m.fingerprint)
                && let Some(kept) = windows[at].take()
            {
                (next.windows[i], next.closes[i]) = kept;
            }
        }
        let mut moved = BTreeMap::new();
        let mut nodes: Vec<Option<NodeState>> = self.nodes.into_iter().map(Some).collect();
        for (i, node) in new.nodes.iter().enumerate() {
            let same = |o: &Node| o.id == node.id && o.absent == node.absent && o.fingerprint == node.fingerprint;
            if set_kept[node.set]
                && let Some(at) = old.nodes.iter().position(same)
                && old.nodes[at].runs.len() == node.runs.len()
                && let Some(kept) = nodes[at].take()
            {
                next.nodes[i] = kept;
                if node.declared.is_none() {
                    next.nodes[i].watch = None;
                }
                moved.insert(at as u32, i as u32);
            }
        }
        let renumber = |all: BTreeSet<(Millis, u32, u32)>| {
            all.into_iter().filter_map(|(due, node, key)| moved.get(&node).map(|n| (due, *n, key))).collect()
        };
        next.timers = renumber(self.timers);
        next.expiries = renumber(self.expiries);
        next.held = self.held.renumbered(&moved);
        for (name, space) in self.spaces {
            next.spaces.insert(name, space);
        }
        State {
            position: self.position,
            log_time: self.log_time,
            wall: self.wall,
            marks: self.marks,
            blind: self.blind,
            version: self.version,
            dedupe: self.dedupe,
            places: self.places,
            fates: self.fates,
            sweep_at: self.sweep_at,
            weigh_at: self.weigh_at,
            spent: self.spent,
            failed: self.failed,
            cut: self.cut,
            ..next
        }
    }

    /// A raw partition cannot be read from now on.
    pub(crate) fn blinded(&mut self, raw: &str) {
        let now = self.log_time;
        let Some(mark) = self.marks.get_mut(raw).filter(|mark| !mark.blind) else { return };
        mark.blind = true;
        self.blind.entry(raw.to_owned()).or_default().push((now, Millis::MAX));
    }

    /// A raw partition is read again.
    pub(crate) fn sighted(&mut self, raw: &str) {
        if let Some((_, to)) = self.blind.get_mut(raw).and_then(|spans| spans.last_mut())
            && *to == Millis::MAX
        {
            *to = self.log_time;
        }
    }

    /// How long, between two instants, some raw partition of these sources could not be read.
    pub(crate) fn blind_span(&self, sources: &[String], from: Millis, to: Millis) -> Millis {
        if self.blind.is_empty() {
            return 0;
        }
        let of = |raw: &str| raw.rsplit_once('/').map_or(raw, |(source, _)| source).to_owned();
        let spans = self.blind.iter().filter(|(raw, _)| sources.contains(&of(raw))).flat_map(|(_, spans)| spans);
        let mut spans: Vec<(Millis, Millis)> =
            spans.map(|(a, b)| (*a.max(&from), *b.min(&to))).filter(|(a, b)| a < b).collect();
        spans.sort_unstable();
        let mut total = 0;
        let mut reached = Millis::MIN;
        for (a, b) in spans {
            total += (b - a.max(reached)).max(0);
            reached = reached.max(b);
        }
        total
    }

    /// Builds again what is not saved.
    pub(crate) fn rebuild(&mut self) {
        for space in self.spaces.values_mut() {
            space.keys.rebuild();
        }
        for keys in self.sets.iter_mut().filter_map(|s| s.keys.as_mut()) {
            keys.rebuild();
        }
    }
}

/// The routing key and state values of a key text.
pub(crate) fn parts(text: &str) -> (&str, Vec<&str>) {
    let mut all = text.split(JOINT);
    let routing = all.next().unwrap_or("");
    (routing, all.collect())
}
