//! Applies the log's entries one by one: moves log time, fires what is due, passes rows to the methods.

use super::batch::{Batch, Scalar};
use super::dedupe::Seen;
use super::keys::JOINT;
use super::loops::BROADCAST;
use super::outcome::{Change, Signal, Value};
use super::program::{Kinded, Program, Role};
use super::state::{Fates, Mark, NodeState, State, Who};
use crate::log::{Activate, Block, Entry, Frame, Stamp};
use crate::record::{Kind, Millis};
use arrow::array::{Array, ArrayRef, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_128;

/// The column name of a set's item part.
pub(crate) const ITEM: &str = "_item";
/// The key number of a node's own timers.
pub(crate) const NODE: u32 = u32::MAX;

/// What one entry brought about.
#[derive(Clone, Debug, Default)]
pub struct Outcomes {
    /// Changes of warnings, in the order they came about.
    pub changes: Vec<Change>,
    /// Bounds crossed or left.
    pub signals: Vec<Signal>,
    /// Values at pane or calendar closes.
    pub values: Vec<Value>,
    /// Loop rows for other indicators, by partition.
    pub loops: BTreeMap<u32, Vec<Block>>,
}

impl Outcomes {
    /// True when nothing came about.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.signals.is_empty() && self.values.is_empty() && self.loops.is_empty()
    }
}

/// The engine of one log partition.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(crate) program: Arc<Program>,
    pub(crate) state: State,
    pub(crate) partition: u32,
    pub(crate) partitions: u32,
    pub(crate) out: Outcomes,
    budget: usize,
}

impl Engine {
    /// An engine at the beginning of its log.
    #[must_use]
    pub fn new(program: Arc<Program>, partition: u32, partitions: u32) -> Engine {
        let state = State::new(&program);
        Engine::with_state(program, state, partition, partitions)
    }

    pub(crate) fn with_state(program: Arc<Program>, state: State, partition: u32, partitions: u32) -> Engine {
        Engine { program, state, partition, partitions, out: Outcomes::default(), budget: usize::MAX }
    }

    /// Applies one entry that stands at `position`, and gives what it brought about.
    pub fn apply(&mut self, entry: &Entry, position: u64) -> Outcomes {
        self.state.position = position + 1;
        match entry {
            Entry::Tick(stamp) => self.stamp(stamp, position),
            Entry::Rows(frame) | Entry::Loop(frame) => self.frame(frame, position),
            Entry::Pack(activate) => self.activated(activate),
        }
        std::mem::take(&mut self.out)
    }

    /// The log before the next entry is lost: windows that reach back before the time at which it begins are marked.
    pub fn cut(&mut self) {
        self.state.cut = Some(Millis::MIN);
    }

    /// Another pack counts from the next entry on. Indicators that did not change keep their state.
    pub fn change_pack(&mut self, program: Arc<Program>) {
        let state = std::mem::replace(&mut self.state, State::new(&program));
        self.state = state.adopt(&self.program, &program);
        self.program = program;
    }

    /// The time that the log has reached; `None` before the first stamp.
    #[must_use]
    pub fn log_time(&self) -> Option<Millis> {
        (self.state.log_time != Millis::MIN).then_some(self.state.log_time)
    }

    /// The next position to apply.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.state.position
    }

    /// What became of the records, by kind.
    #[must_use]
    pub fn fates(&self) -> &BTreeMap<String, Fates> {
        &self.state.fates
    }

    /// Hash of the pack in force.
    #[must_use]
    pub fn pack(&self) -> &str {
        &self.program.hash
    }

    /// What each indicator has used and brought about so far, by id.
    #[must_use]
    pub fn usage(&self) -> BTreeMap<Arc<str>, RuleUse> {
        let mut all: BTreeMap<Arc<str>, RuleUse> = BTreeMap::new();
        // An indicator that also watches for absence is two nodes.
        for (node, state) in self.program.nodes.iter().zip(&self.state.nodes) {
            let used = all.entry(node.id.clone()).or_default();
            used.matches += state.matches;
            used.nulls += state.nulls;
            used.refused += state.refused;
            if let Some(watch) = &state.watch {
                let (judged, alarms, not_finite) = watch.totals();
                used.scores += judged;
                used.alarms += alarms;
                used.not_finite += not_finite;
                used.failing += u32::from(watch.is_failing());
            }
            used.bytes += match &node.kind {
                Kinded::Measure { measures, .. } => measures.iter().map(|m| self.measure_bytes(*m)).sum(),
                _ => state.bytes(),
            };
        }
        all
    }

    /// Bytes of the whole state, counted by our own fixed sizes: the same on every machine.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let (keys, ids) = self.keys();
        let windows: usize = (0..self.program.measures.len()).map(|m| self.measure_bytes(m)).sum();
        let nodes: usize = self.state.nodes.iter().map(NodeState::bytes).sum();
        keys * KEY_BYTES + ids * ID_BYTES + windows + nodes
    }

    fn measure_bytes(&self, measure: usize) -> usize {
        self.state.windows[measure].bytes() + self.state.closes[measure].bytes()
    }

    /// Sets how many bytes the state may take. Beyond it, looked at every ten minutes of log time, indicators in trial
    /// take no new keys; what is there stays, and indicators in force take all they need.
    pub fn set_budget(&mut self, bytes: usize) {
        self.budget = bytes;
        if self.state.weigh_at == Millis::MAX {
            self.state.weigh_at = self.state.log_time.max(0);
        }
    }

    /// Looks whether the budget is spent.
    fn weigh(&mut self) {
        self.state.weigh_at = self.state.log_time + WEIGH;
        self.state.spent = self.bytes() > self.budget;
    }

    /// Keys in use over all key spaces and sets, and record ids remembered.
    #[must_use]
    pub fn keys(&self) -> (usize, usize) {
        let spaces: usize = self.state.spaces.values().map(|s| s.keys.used()).sum();
        let sets: usize = self.state.sets.iter().filter_map(|s| s.keys.as_ref()).map(super::keys::KeyTable::used).sum();
        (spaces + sets, self.state.dedupe.len())
    }

    /// Rows for which an expression failed and gave null.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.state.failed
    }

    fn activated(&mut self, activate: &Activate) {
        self.state.version = activate.version;
        self.state.pack = activate.hash.clone();
        let now = self.state.log_time;
        self.state.marks.retain(|raw, _| activate.raw.contains(raw));
        for raw in &activate.raw {
            self.state.marks.entry(raw.clone()).or_insert(Mark { at: now, blind: false });
        }
    }

    fn frame(&mut self, frame: &Frame, position: u64) {
        if let Some(stamp) = &frame.stamp {
            self.stamp(stamp, position);
        }
        for block in &frame.blocks {
            self.block(block);
        }
    }

    fn stamp(&mut self, stamp: &Stamp, position: u64) {
        self.state.wall = self.state.wall.max(stamp.wall);
        if self.state.places.back().is_none_or(|(wall, _)| stamp.wall >= wall + 60_000) {
            self.state.places.push_back((stamp.wall, position));
        }
        for raw in &stamp.blind {
            self.state.blinded(raw);
        }
        for (raw, at) in &stamp.marks {
            let mark = self.state.marks.entry(raw.clone()).or_insert(Mark { at: *at, blind: false });
            mark.at = mark.at.max(*at);
            if std::mem::take(&mut mark.blind) {
                self.state.sighted(raw);
            }
        }
        let reached = self.state.marks.values().filter(|m| !m.blind).map(|m| m.at).min();
        if let Some(reached) = reached
            && reached > self.state.log_time
        {
            self.advance(reached);
        }
    }

    /// Fires every border and timer up to and including `to`, each at its own due time.
    fn advance(&mut self, to: Millis) {
        if self.state.log_time == Millis::MIN {
            self.state.log_time = to;
            self.state.sweep_at = to + SWEEP;
            self.state.cut = self.state.cut.map(|_| to);
            // What was due before time began is due now, and judged as of now.
            let due: Vec<(u32, u32)> = self.state.timers.iter().take_while(|t| t.0 < to).map(|t| (t.1, t.2)).collect();
            self.state.timers.retain(|t| t.0 >= to);
            self.state.timers.extend(due.into_iter().map(|(node, key)| (to, node, key)));
            self.fire_timers(to);
            self.apply_held(to);
            return;
        }
        while let Some(due) = self.next_due().filter(|due| *due <= to) {
            // A late row may have set a timer for now or before; the borders of now have been judged already.
            if due > self.state.log_time {
                self.state.log_time = due;
                self.borders(due);
            }
            self.fire_timers(due);
            self.apply_held(due);
            if self.state.sweep_at <= due {
                self.sweep();
            }
            if self.budget != usize::MAX && self.state.weigh_at <= due {
                self.weigh();
            }
        }
        self.state.log_time = to;
        // Not left to the sweep: an hour of readings is much less than a day of them.
        self.state.dedupe.forget(to);
    }

    fn next_due(&self) -> Option<Millis> {
        let now = self.state.log_time;
        let moving = self.moving();
        let borders = self.state.windows.iter().zip(moving).filter(|(_, moving)| *moving).map(|(w, _)| {
            let panes = w.shape().panes;
            panes.start(panes.of(now) + 1)
        });
        let surges = self.surge_borders(now);
        let timer = self.state.timers.first().map(|t| t.0.max(now));
        let expiry = self.state.expiries.first().map(|t| t.0.max(now));
        let held = self.state.held.first().map(|t| t.max(now));
        let sweep = Some(self.state.sweep_at.max(now + 1));
        let weigh = (self.budget != usize::MAX).then_some(self.state.weigh_at.max(now + 1));
        borders.chain(surges).chain(timer).chain(expiry).chain(held).chain(sweep).chain(weigh).min()
    }

    fn fire_timers(&mut self, now: Millis) {
        while let Some((due, node, key)) = self.state.timers.first().copied().filter(|t| t.0 <= now) {
            self.state.timers.remove(&(due, node, key));
            self.timer(node as usize, key, due);
        }
        while let Some((due, node, incident)) = self.state.expiries.first().copied().filter(|t| t.0 <= now) {
            self.state.expiries.remove(&(due, node, incident));
            self.expire(node as usize, incident, due);
        }
    }

    /// Frees keys that nothing remembers, once a day of log time.
    fn sweep(&mut self) {
        let now = self.state.log_time;
        self.state.sweep_at = now + SWEEP;
        self.state.blind.retain(|_, spans| {
            spans.retain(|(_, to)| *to > now - BLIND_KEPT);
            !spans.is_empty()
        });
        let program = self.program.clone();
        let oldest = now.saturating_sub(program.horizon + SWEEP);
        while self.state.places.len() > 1 && self.state.places.get(1).is_some_and(|p| p.0 < oldest) {
            self.state.places.pop_front();
        }
        let mut gone: BTreeSet<(usize, u32)> = BTreeSet::new();
        let held: BTreeSet<(usize, u32)> =
            self.state.held.keys().map(|(node, key)| (program.nodes[node as usize].set, key)).collect();
        for i in 0..program.sets.len() {
            let len = match &self.state.sets[i].keys {
                Some(keys) => keys.len(),
                None => continue,
            };
            // A signal is judged for every state key below its routing key, so all of them stay known.
            if program.nodes.iter().any(|n| n.set == i && n.listens) {
                continue;
            }
            for key in 0..len as u32 {
                let used = self.state.sets[i].keys.as_ref().is_some_and(|k| k.holds(key));
                if used && !held.contains(&(i, key)) && self.idle(i, key) {
                    let parent = self.state.sets[i].parent[key as usize];
                    if let Some(keys) = &mut self.state.sets[i].keys {
                        keys.free(key);
                    }
                    if let Some(children) = self.state.sets[i].children.get_mut(&parent) {
                        children.retain(|k| *k != key);
                    }
                    self.forget(i, key);
                    gone.insert((i, key));
                }
            }
        }
        for (number, name) in program.spaces.iter().enumerate() {
            let Some(space) = self.state.spaces.get(&**name) else { continue };
            let own: Vec<usize> = (0..program.sets.len())
                .filter(|i| program.sets[*i].space == number && self.state.sets[*i].keys.is_none())
                .collect();
            let mut parents = vec![false; space.keys.len()];
            for (_, set) in self.state.sets.iter().enumerate().filter(|(i, _)| program.sets[*i].space == number) {
                if let Some(keys) = &set.keys {
                    for key in (0..keys.len() as u32).filter(|k| keys.holds(*k)) {
                        parents[set.parent[key as usize] as usize] = true;
                    }
                }
            }
            let free: Vec<u32> = (0..space.keys.len() as u32)
                .filter(|key| {
                    let k = *key as usize;
                    space.keys.holds(*key)
                        && !parents[k]
                        && space.who.get(k).and_then(Option::as_ref).is_none_or(|w| !w.registered)
                        && !space.signals.contains_key(key)
                        && own.iter().all(|i| !held.contains(&(*i, *key)) && self.idle(*i, *key))
                })
                .collect();
            for key in free {
                for i in &own {
                    self.forget(*i, key);
                    gone.insert((*i, key));
                }
                if let Some(space) = self.state.spaces.get_mut(&**name) {
                    space.keys.free(key);
                    if let Some(who) = space.who.get_mut(key as usize) {
                        *who = None;
                    }
                }
            }
        }
        // The number may soon mean another key.
        if !gone.is_empty() {
            let set = |node: u32| program.nodes[node as usize].set;
            self.state.timers.retain(|(_, node, key)| !gone.contains(&(set(*node), *key)));
        }
    }

    fn idle(&self, set: usize, key: u32) -> bool {
        let now = self.state.log_time;
        let windows = self.program.measures.iter().zip(&self.state.windows);
        let nodes = self.program.nodes.iter().zip(&self.state.nodes);
        let closes = self.program.measures.iter().zip(&self.state.closes);
        windows.filter(|(m, _)| m.set == set).all(|(_, w)| !w.live(key))
            && closes.filter(|(m, _)| m.set == set).all(|(_, c)| !c.holds(key))
            && nodes.filter(|(n, _)| n.set == set).all(|(n, s)| s.idle(n, key, now))
    }

    fn forget(&mut self, set: usize, key: u32) {
        let program = self.program.clone();
        for (m, window) in program.measures.iter().zip(&mut self.state.windows) {
            if m.set == set {
                window.forget(key);
            }
        }
        for (node, state) in program.nodes.iter().zip(&mut self.state.nodes) {
            if node.set == set {
                state.forget(node, key);
            }
        }
    }

    /// One block of rows.
    fn block(&mut self, block: &Block) {
        // A registry row says who a key is: of two rows of one key, the first is judged by what it says itself.
        if block.kind == Kind::Registry {
            for rows in runs_of_keys(&block.rows) {
                self.run(&Block { rows, ..block.clone() });
            }
        } else {
            self.run(block);
        }
    }

    fn run(&mut self, block: &Block) {
        let program = self.program.clone();
        let Some(mut batch) = Batch::new(&program, block) else { return };
        self.state.spaces.entry(block.space.to_string()).or_default();
        self.dedupe(&mut batch);
        if *block.space == *BROADCAST {
            self.hear_groups(&batch);
        } else if let Some(space) = program.spaces.iter().position(|s| *s == block.space) {
            self.know(&mut batch);
            if block.kind == Kind::Signal {
                self.hear(&batch, space);
            }
            self.lookups(&mut batch, space);
            let touched = self.measures(&mut batch, space);
            self.mark_beyond(&batch, &touched);
            for (i, node) in program.nodes.iter().enumerate() {
                if node.space != space || matches!(node.kind, Kinded::Measure { .. } | Kinded::Lookup { .. }) {
                    continue;
                }
                let inputs: Vec<usize> =
                    (0..node.inputs.len()).filter(|number| batch.is_of(&node.inputs[*number].source)).collect();
                if !inputs.is_empty() {
                    self.method_rows(&mut batch, i, &inputs);
                }
            }
        }
        self.state.failed += batch.failed;
    }

    fn dedupe(&mut self, batch: &mut Batch<'_>) {
        let block = batch.block;
        let times = self.program.sources.get(&*block.source).copied();
        let (lateness, horizon) = times.map_or((0, SWEEP), |t| (t.lateness, t.dedupe));
        let now = self.state.log_time;
        let counted = block.home && !matches!(block.kind, Kind::Signal | Kind::Value);
        let column = |name: &str| {
            use arrow::array::AsArray;
            block.rows.column_by_name(name).and_then(|c| c.as_string_opt::<i32>())
        };
        let (system, record) = (column("source_system"), column("record_id"));
        let revisions = block.rows.column_by_name("revision").and_then(|c| c.as_any().downcast_ref::<Int64Array>());
        let mut fates = Fates::default();
        let mut id = Vec::new();
        for row in 0..batch.len() {
            let revision = revisions.filter(|r| r.is_valid(row)).map_or(1, |r| r.value(row));
            id.clear();
            for part in [&*block.space, batch.key.value(row), text_of(system, row), text_of(record, row)] {
                id.extend_from_slice(part.as_bytes());
                id.push(0x1f);
            }
            id.extend_from_slice(&revision.to_le_bytes());
            let at = batch.at.value(row);
            match self.state.dedupe.see(xxh3_128(&id), at, horizon, now) {
                Seen::New => {}
                Seen::Unknown => fates.dedupe_unknown += 1,
                Seen::Duplicate => {
                    batch.keep[row] = false;
                    fates.duplicate += 1;
                    continue;
                }
            }
            fates.used += 1;
            fates.uncorrectable += u64::from(revision > 1);
            fates.late += u64::from(now != Millis::MIN && at < now - lateness);
        }
        if counted {
            let all = self.state.fates.entry(block.kind.word().to_owned()).or_default();
            all.used += fates.used;
            all.duplicate += fates.duplicate;
            all.late += fates.late;
            all.dedupe_unknown += fates.dedupe_unknown;
            all.uncorrectable += fates.uncorrectable;
        }
    }

    /// Remembers who the routing keys are.
    fn know(&mut self, batch: &mut Batch<'_>) {
        let registry = batch.block.kind == Kind::Registry;
        let looped = matches!(batch.block.kind, Kind::Signal | Kind::Value);
        let Some(space) = self.state.spaces.get_mut(&*batch.block.space) else { return };
        for row in 0..batch.len() {
            if !batch.keep[row] || batch.key.is_null(row) {
                continue;
            }
            let key = space.keys.intern(batch.key.value(row)) as usize;
            batch.routing[row] = key as u32;
            if space.who.len() <= key {
                space.who.resize(key + 1, None);
            }
            let known = space.who[key].is_some();
            if known && !registry {
                continue;
            }
            let own = |name: &str| batch.text(name, row).map(str::to_owned);
            let mut who = Who {
                subject: batch.subject(row),
                maintained_by: own("maintained_by"),
                group_id: own("group_id"),
                registered: registry,
                active: !registry || batch.text("status", row) == Some("active"),
            };
            if looped || (registry && *batch.block.space != *"object" && known) {
                // A space that gathers many objects is not any one of them.
                if let Some(old) = &space.who[key] {
                    who = Who { registered: true, active: old.active || who.active, ..(**old).clone() };
                }
            }
            space.who[key] = Some(Box::new(who));
        }
    }

    /// Key numbers of the rows in a set; rows without a key get [`NODE`].
    pub(crate) fn keys_of(&mut self, batch: &mut Batch<'_>, set: usize, item: Option<&StringArray>) -> Arc<Vec<u32>> {
        match (item, batch.keys(set)) {
            (None, Some(known)) => known,
            (None, None) => {
                let keys = Arc::new(self.keys_anew(batch, set, None));
                batch.give_keys(set, keys.clone());
                keys
            }
            (item, _) => Arc::new(self.keys_anew(batch, set, item)),
        }
    }

    fn keys_anew(&mut self, batch: &Batch<'_>, set: usize, item: Option<&StringArray>) -> Vec<u32> {
        let program = self.program.clone();
        let spec = &program.sets[set];
        if spec.columns.is_empty() {
            return batch.routing.clone();
        }
        let columns: Vec<Option<StringArray>> = spec
            .columns
            .iter()
            .map(|name| if name == ITEM { item.cloned() } else { batch.column_text(name) })
            .collect();
        let state = &mut self.state.sets[set];
        let Some(table) = &mut state.keys else { return batch.routing.clone() };
        let mut text = String::new();
        let mut keys = Vec::with_capacity(batch.len());
        for row in 0..batch.len() {
            let routing = batch.routing[row];
            if routing == NODE {
                keys.push(NODE);
                continue;
            }
            text.clear();
            text.push_str(batch.key.value(row));
            let mut whole = true;
            for (name, column) in spec.columns.iter().zip(&columns) {
                text.push(JOINT);
                match column {
                    Some(c) if c.is_valid(row) => text.push_str(c.value(row)),
                    _ => whole &= name != ITEM,
                }
            }
            if !whole {
                keys.push(NODE);
                continue;
            }
            let before = table.used();
            let key = table.intern(&text);
            if table.used() > before {
                if state.parent.len() <= key as usize {
                    state.parent.resize(key as usize + 1, NODE);
                }
                state.parent[key as usize] = routing;
                state.children.entry(routing).or_default().push(key);
            }
            keys.push(key);
        }
        keys
    }

    /// The keys of rows for an indicator. With the budget spent, one in trial takes no key that it does not hold yet.
    pub(crate) fn keys_for(&mut self, batch: &mut Batch<'_>, node: usize, item: Option<&StringArray>) -> Arc<Vec<u32>> {
        let program = self.program.clone();
        let n = &program.nodes[node];
        let mut keys = self.keys_of(batch, n.set, item);
        if self.state.spent && n.shadow {
            let now = self.state.log_time;
            let mut refused = 0;
            for key in Arc::make_mut(&mut keys).iter_mut().filter(|key| **key != NODE) {
                if self.state.nodes[node].idle(n, *key, now) {
                    *key = NODE;
                    refused += 1;
                }
            }
            self.state.nodes[node].refused += refused;
        }
        keys
    }

    /// How many key numbers a set has given.
    pub(crate) fn set_len(&self, set: usize) -> usize {
        let spec = &self.program.sets[set];
        match &self.state.sets[set].keys {
            Some(keys) => keys.len(),
            None => self.state.spaces.get(&*self.program.spaces[spec.space]).map_or(0, |s| s.keys.len()),
        }
    }

    /// The text of a key: routing key, then state values.
    pub(crate) fn key_text(&self, set: usize, key: u32) -> &str {
        let spec = &self.program.sets[set];
        match &self.state.sets[set].keys {
            Some(keys) => keys.text(key),
            None => self.state.spaces.get(&*self.program.spaces[spec.space]).map_or("", |s| s.keys.text(key)),
        }
    }

    /// The routing key number of a key.
    pub(crate) fn routing(&self, set: usize, key: u32) -> u32 {
        match &self.state.sets[set].keys {
            Some(_) => self.state.sets[set].parent.get(key as usize).copied().unwrap_or(NODE),
            None => key,
        }
    }

    /// Who a routing key is.
    pub(crate) fn who(&self, space: usize, routing: u32) -> Option<&Who> {
        let space = self.state.spaces.get(&*self.program.spaces[space])?;
        space.who.get(routing as usize)?.as_deref()
    }

    /// Feeds lookups and gives their columns to the views that read them, row by row in log order.
    fn lookups(&mut self, batch: &mut Batch<'_>, space: usize) {
        let program = self.program.clone();
        let mut fed = Vec::new();
        for (i, node) in program.nodes.iter().enumerate() {
            if let Kinded::Lookup { effective, values } = &node.kind
                && node.space == space
                && batch.is_of(&node.inputs[0].source)
            {
                let mask = batch.mask(node.inputs[0].filter);
                let effective = effective.and_then(|e| batch.times(e));
                let arrays: Vec<ArrayRef> = values.iter().map(|(_, e)| batch.array(*e)).collect();
                let keys = self.keys_of(batch, node.set, None);
                let len = self.set_len(node.set);
                self.state.nodes[i].reserve(node, len);
                fed.push((i, mask, effective, arrays, keys));
            }
        }
        let mut read: Vec<(usize, Vec<LookupColumn>)> = Vec::new();
        for (v, view) in program.views.iter().enumerate() {
            if !batch.is_of(&view.source) || !batch.wants_lookups(v) {
                continue;
            }
            let mut columns = Vec::new();
            for (node, value) in &view.lookups {
                let set = program.nodes[*node].set;
                let keys = if program.nodes[*node].space == space {
                    self.keys_of(batch, set, None)
                } else {
                    Arc::new(vec![NODE; batch.len()])
                };
                columns.push((*node, *value, keys, Vec::with_capacity(batch.len())));
            }
            read.push((v, columns));
        }
        for row in 0..batch.len() {
            for (node, mask, effective, arrays, keys) in &fed {
                if mask[row] && keys[row] != NODE {
                    let at = match effective {
                        Some(times) if times.is_valid(row) => times.value(row),
                        _ => batch.time(row),
                    };
                    let values = arrays.iter().map(|a| Scalar::of(a, row)).collect();
                    self.state.nodes[*node].lookup_set(keys[row], at, values);
                }
            }
            for (_, columns) in &mut read {
                for (node, value, keys, out) in columns {
                    out.push(self.state.nodes[*node].lookup_get(keys[row], batch.time(row), *value));
                }
            }
        }
        for (v, columns) in read {
            let own = program.views[v].own;
            let fields = program.views[v].schema.fields();
            let arrays =
                columns.iter().enumerate().map(|(c, column)| Scalar::array(&column.3, fields[own + c].data_type()));
            let arrays = arrays.collect();
            batch.give_lookups(v, arrays);
        }
    }

    fn mark_beyond(&mut self, batch: &Batch<'_>, touched: &[(u32, u32)]) {
        if !batch.block.home {
            return;
        }
        let beyond = touched.iter().filter(|(all, counted)| *all > 0 && *counted == 0).count() as u64;
        if beyond > 0 {
            self.state.fates.entry(batch.block.kind.word().to_owned()).or_default().beyond_windows += beyond;
        }
    }

    pub(crate) fn key_text_routing(&self, space: usize, routing: u32) -> String {
        let space = self.state.spaces.get(&*self.program.spaces[space]);
        space.map_or_else(String::new, |s| s.keys.text(routing).to_owned())
    }

    /// The role of an input.
    pub(crate) fn role(&self, node: usize, input: usize) -> Role {
        self.program.nodes[node].inputs[input].role
    }
}

/// A lookup column being read: lookup node, value number, keys of the rows, values so far.
type LookupColumn = (usize, usize, Arc<Vec<u32>>, Vec<Scalar>);

/// A cell of a column of texts, empty when there is none.
fn text_of(column: Option<&StringArray>, row: usize) -> &str {
    column.filter(|c| c.is_valid(row)).map_or("", |c| c.value(row))
}

/// What one indicator has used and brought about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleUse {
    /// Times that a key reached or rose to a level.
    pub matches: u64,
    /// Rows for which its expressions gave null.
    pub nulls: u64,
    /// Rows of new keys that were refused because the memory budget is spent.
    pub refused: u64,
    /// Scores of its model, where the model's file declares how often they are false alarms.
    pub scores: u64,
    /// Those of them at the model's threshold or above, or not finite.
    pub alarms: u64,
    /// Those of them that are not finite.
    pub not_finite: u64,
    /// Engines in which the model alarms so often that its scores are not used.
    pub failing: u32,
    /// State kept, by our own fixed sizes.
    pub bytes: usize,
}

/// Bytes of a key with what is known of it, and of a remembered record id.
const KEY_BYTES: usize = 256;
const ID_BYTES: usize = 32;
/// How often the state is weighed against the budget.
const WEIGH: Millis = 600_000;
/// Idle keys are looked for once a day.
const SWEEP: Millis = 86_400_000;

/// Spans in which a source could not be read matter to gaps no longer than the longest cycle of duties.
const BLIND_KEPT: Millis = 5 * 366 * 86_400_000;

/// The rows in order, cut so that no key stands in one piece twice.
fn runs_of_keys(rows: &RecordBatch) -> Vec<RecordBatch> {
    use arrow::array::AsArray;
    let Some(keys) = rows.column_by_name(Block::KEY).and_then(|c| c.as_string_opt::<i32>()) else {
        return vec![rows.clone()];
    };
    let mut runs = Vec::new();
    let mut seen = BTreeSet::new();
    let mut from = 0;
    for row in 0..rows.num_rows() {
        if !seen.insert(keys.value(row)) {
            runs.push(rows.slice(from, row - from));
            seen = BTreeSet::from([keys.value(row)]);
            from = row;
        }
    }
    runs.push(rows.slice(from, rows.num_rows() - from));
    runs
}
