//! Turns the levels of keys into warnings: one incident per indicator and incident key.
//!
//! In: a key's level reached, with what was judged. Out: changes of warnings and signals.
//! Promise: an incident has one id over all levels; a change is made once; a clear is an update; blue ends by itself.
//! Not here: departments and plans (`response`), lifting by people.

use super::batch::Batch;
use super::core::{Engine, NODE};
use super::evidence::Evidence;
use super::id::warning_id;
use super::keys::JOINT;
use super::level::NONE;
use super::outcome::{Change, ChangeKind, Reading, Reference};
use super::program::{Kinded, Node};
use super::state::{Incident, MethodState, parts};
use crate::pack::GROUP_TERMS;
use crate::record::{Level, Millis};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// Blue warnings end by themselves after so long without recurrence (handbook section 5).
const BLUE_ENDS: Millis = 30 * 86_400_000;
/// Evidence kept where rows are kept.
const EVIDENCE_ROWS: usize = 50;
/// Newest records kept beside the opener where panes are.
const EVIDENCE_RECENT: usize = 5;

/// What a judgement rests on.
pub(crate) struct Judged<'a> {
    pub(crate) key: u32,
    /// Event time of the row, or due time of the timer or border.
    pub(crate) at: Millis,
    /// Level reached with its bound.
    pub(crate) reached: Option<(Level, Option<f64>)>,
    /// Some level still holds at its moved bound.
    pub(crate) keeps: bool,
    /// This evaluation counts for the clear rule.
    pub(crate) border: bool,
    /// Clear at once, whatever the clear rule says (the thing was done).
    pub(crate) done: bool,
    pub(crate) quantities: &'a [Option<f64>],
    pub(crate) row: Option<(&'a Batch<'a>, usize)>,
    /// Why, when no row did it: `due <kind> <time>` or `roster <time>`.
    pub(crate) timer: Option<String>,
    pub(crate) partial: bool,
    /// The model has no score to judge by.
    pub(crate) unscored: bool,
    /// It alarms so often that its scores are not used.
    pub(crate) failing: bool,
}

impl Engine {
    /// Applies a judgement to the key's standing, and through it to signals and the incident.
    pub(crate) fn settle(&mut self, node: usize, j: &Judged<'_>) {
        let program = self.program.clone();
        let n = &program.nodes[node];
        let k = j.key as usize;
        let standing = &mut self.state.nodes[node].standing;
        let was = standing.level[k];
        let reached = j.reached.map_or(0, |(level, _)| level.number());
        let mut now = was;
        if reached > was {
            if n.dwell > 0 && !j.done {
                if standing.pending[k] == Millis::MIN {
                    standing.pending[k] = j.at;
                    self.state.timers.insert((j.at + n.dwell, node as u32, j.key));
                    self.state.nodes[node].busy.insert(j.key);
                }
                let standing = &mut self.state.nodes[node].standing;
                if j.at - standing.pending[k] < n.dwell {
                    return;
                }
                standing.pending[k] = Millis::MIN;
            }
            now = reached;
            self.state.nodes[node].standing.clears[k] = 0;
        } else {
            standing.pending[k] = Millis::MIN;
            if reached > 0 {
                standing.clears[k] = 0;
            } else if was > 0 && j.unscored && standing.scored[k] && !j.done {
                // What the score raised cannot be said to be over while there is none.
            } else if was > 0 && (j.done || !j.keeps) {
                if j.done || j.border {
                    standing.clears[k] += 1;
                    if j.done || standing.clears[k] >= n.evaluations {
                        now = 0;
                        standing.clears[k] = 0;
                    }
                }
            } else if was > 0 {
                standing.clears[k] = 0;
            }
        }
        let state = &mut self.state.nodes[node];
        state.standing.level[k] = now;
        state.standing.scored[k] = now > 0 && (state.standing.scored[k] || (reached > 0 && !j.unscored));
        if now > 0 {
            state.busy.insert(j.key);
        } else if state.standing.pending[k] == Millis::MIN {
            state.busy.remove(&j.key);
        }
        if now != was {
            state.matches += u64::from(now > was);
            let row = j.row.as_ref().map(|(batch, row)| batch.subject(*row));
            self.signal(node, j.key, now, j.quantities.first().copied().flatten(), j.at, row.as_ref());
        }
        if !n.silent {
            self.incident(node, j, was, now);
        }
    }

    fn incident(&mut self, node: usize, j: &Judged<'_>, was: u8, now: u8) {
        let k = j.key as usize;
        if now == 0 {
            if was > 0 {
                self.leave(node, j);
            }
            return;
        }
        let Some(level) = Level::from_number(now) else { return };
        let mine = self.state.nodes[node].standing.incident[k];
        if now == was && mine != NONE {
            // A recurrence: evidence, no change.
            self.witness(node, mine, j);
            return;
        }
        let text = match mine {
            NONE => self.incident_text(node, j),
            _ => self.state.nodes[node].incidents[mine as usize].as_ref().map_or_else(String::new, |i| i.text.clone()),
        };
        let open = self.state.nodes[node].open.get(&text).copied();
        match open {
            Some(at) => {
                self.witness(node, at, j);
                let state = &mut self.state.nodes[node];
                state.standing.incident[k] = at;
                let Some(incident) = state.incidents[at as usize].as_mut() else { return };
                incident.members.insert(j.key);
                let before = incident.level;
                let returned = incident.cleared.take().is_some();
                if level > before {
                    incident.level = level;
                    self.change(node, at, ChangeKind::Upgraded, Some(before), j);
                } else if returned {
                    self.change(node, at, ChangeKind::Returned, Some(before), j);
                }
            }
            None => {
                if let Some((held, until)) = self.state.nodes[node].cool.get(&text).copied() {
                    if j.at < until && now <= held {
                        self.state.timers.insert((until, node as u32, j.key));
                        return;
                    }
                    self.state.nodes[node].cool.remove(&text);
                }
                self.raise(node, j, text, level);
            }
        }
    }

    fn raise(&mut self, node: usize, j: &Judged<'_>, text: String, level: Level) {
        let program = self.program.clone();
        let n = &program.nodes[node];
        let routing = self.routing(n.set, j.key);
        let key = self.key_text_routing(n.space, routing);
        let cause = match (&j.row, &j.timer) {
            (_, Some(timer)) => timer.clone(),
            (Some((batch, row)), None) => batch.cause(*row),
            (None, None) => format!("due {} {}", n.kind.word(), j.at),
        };
        let space = &program.spaces[n.space];
        let id = warning_id(space, &key, &n.id, &text, &cause);
        let subject = match &j.row {
            Some((batch, row)) => batch.subject(*row),
            None => self.who(n.space, routing).map(|w| w.subject.clone()).unwrap_or_default(),
        };
        let opener = match (&j.row, self.kept_opener(node, j.key)) {
            (Some((batch, row)), _) => Some(Evidence(Arc::new(batch.reference(*row, &n.reads)))),
            (None, kept) => kept,
        };
        let since = self.since(j.at);
        let incident = Incident {
            text: text.clone(),
            warning_id: id,
            cause,
            number: 0,
            level,
            level_since: Millis::MIN,
            cleared: None,
            members: BTreeSet::from([j.key]),
            opener,
            recent: VecDeque::new(),
            subject,
            since,
        };
        let state = &mut self.state.nodes[node];
        let at = match state.incidents.iter().position(Option::is_none) {
            Some(free) => {
                state.incidents[free] = Some(incident);
                free as u32
            }
            None => {
                state.incidents.push(Some(incident));
                state.incidents.len() as u32 - 1
            }
        };
        state.open.insert(text, at);
        state.standing.incident[j.key as usize] = at;
        self.change(node, at, ChangeKind::Raised, None, j);
    }

    /// The opener that a method keeps itself.
    fn kept_opener(&self, node: usize, key: u32) -> Option<Evidence> {
        match &self.state.nodes[node].method {
            MethodState::Deadline { opener, .. } => opener.get(&key).cloned(),
            MethodState::Sequence { first, .. } => first.get(key as usize)?.last().map(|k| k.reference.clone()),
            _ => None,
        }
    }

    /// Adds the row to the incident's newest evidence.
    fn witness(&mut self, node: usize, incident: u32, j: &Judged<'_>) {
        let Some((batch, row)) = &j.row else { return };
        let program = self.program.clone();
        let Some(incident) = self.state.nodes[node].incidents[incident as usize].as_mut() else { return };
        incident.recent.push_back(Evidence(Arc::new(batch.reference(*row, &program.nodes[node].reads))));
        if incident.recent.len() > EVIDENCE_RECENT {
            incident.recent.pop_front();
        }
    }

    /// A key leaves its incident; the last one to leave clears it.
    fn leave(&mut self, node: usize, j: &Judged<'_>) {
        let state = &mut self.state.nodes[node];
        let at = std::mem::replace(&mut state.standing.incident[j.key as usize], NONE);
        let Some(incident) = state.incidents.get_mut(at as usize).and_then(Option::as_mut) else { return };
        incident.members.remove(&j.key);
        if !incident.members.is_empty() || incident.cleared.is_some() {
            return;
        }
        incident.cleared = Some(j.at);
        let level = incident.level;
        if level == Level::Blue {
            self.state.expiries.insert((j.at + BLUE_ENDS, node as u32, at));
        }
        self.witness(node, at, j);
        self.change(node, at, ChangeKind::Cleared, Some(level), j);
    }

    /// A blue warning may end by itself.
    pub(crate) fn expire(&mut self, node: usize, at: u32, due: Millis) {
        let Some(Some(incident)) = self.state.nodes[node].incidents.get(at as usize) else { return };
        // It came back, rose, or another incident has taken its place since.
        if incident.level != Level::Blue || incident.cleared.is_none_or(|c| c + BLUE_ENDS != due) {
            return;
        }
        let text = incident.text.clone();
        let quantities: Vec<Option<f64>> = Vec::new();
        let j = Judged {
            key: NODE,
            at: due,
            reached: None,
            keeps: false,
            border: false,
            done: false,
            quantities: &quantities,
            row: None,
            timer: None,
            partial: false,
            unscored: false,
            failing: false,
        };
        self.change(node, at, ChangeKind::Expired, Some(Level::Blue), &j);
        let program = self.program.clone();
        let cool = program.nodes[node].cool_down[Level::Blue.number() as usize];
        let state = &mut self.state.nodes[node];
        state.incidents[at as usize] = None;
        state.open.remove(&text);
        if cool > 0 {
            state.cool.insert(text, (Level::Blue.number(), due + cool));
        }
    }

    /// The incident key of a state key: the routing key and its location, or the columns that the rule names.
    fn incident_text(&self, node: usize, j: &Judged<'_>) -> String {
        let n = &self.program.nodes[node];
        let text = self.key_text(n.set, j.key);
        let (routing, values) = parts(text);
        let columns = &self.program.sets[n.set].columns;
        let state =
            |name: &str| columns.iter().position(|c| c == name).and_then(|i| values.get(i)).map(|v| (*v).to_owned());
        let mut out = routing.to_owned();
        match &n.rule.incident {
            Some(names) => {
                for name in names {
                    out.push(JOINT);
                    let own = || j.row.as_ref().and_then(|(batch, row)| batch.text(name, *row).map(str::to_owned));
                    out.push_str(&state(name).or_else(own).unwrap_or_default());
                }
            }
            None => {
                out.push(JOINT);
                // A group is about the whole key, wherever the member stands that is shown.
                let whole = matches!(n.kind, Kinded::Group { .. });
                let row = j.row.as_ref().filter(|_| !whole);
                let own = || row.and_then(|(batch, row)| batch.text("location_id", *row).map(str::to_owned));
                out.push_str(&state("location_id").or_else(own).unwrap_or_default());
                // Items (samples, tickets) are things of their own.
                if let Some(item) = state(super::core::ITEM) {
                    out.push(JOINT);
                    out.push_str(&item);
                }
            }
        }
        out
    }

    /// The first log position that a window beginning at an instant can reach back to.
    fn since(&self, from: Millis) -> u64 {
        let places = &self.state.places;
        let at = places.partition_point(|(wall, _)| *wall < from);
        places.get(at.saturating_sub(1)).map_or(0, |p| p.1)
    }

    fn change(&mut self, node: usize, at: u32, kind: ChangeKind, was: Option<Level>, j: &Judged<'_>) {
        let program = self.program.clone();
        let n = &program.nodes[node];
        let window = self.window_of(n, j.at);
        let since = window.map(|(from, _)| self.since(from));
        // Without a window of its own a rule remembers as far back as any.
        let from = window.map_or(j.at.saturating_sub(program.horizon), |(from, _)| from);
        let cut = self.state.cut.is_some_and(|begins| begins == Millis::MIN || from < begins);
        let (kept, total) = self.evidence(node, j.key, j.row.as_ref().map(|(_, row)| *row));
        let state_columns = &program.sets[n.set].columns;
        let state: Vec<(String, String)> = match j.key {
            NODE => Vec::new(),
            key => {
                let (_, values) = parts(self.key_text(n.set, key));
                state_columns
                    .iter()
                    .zip(values)
                    .map(|(c, v)| (c.trim_start_matches('_').to_owned(), v.to_owned()))
                    .collect()
            }
        };
        let segment = match j.key {
            NODE => None,
            key => match self.state.nodes[node].standing.segment.get(key as usize) {
                Some(s) if *s > 0 => n.rule.segments.get(usize::from(*s) - 1).map(|s| s.id.clone()),
                _ => None,
            },
        };
        let bound = j.reached.and_then(|(_, bound)| bound);
        let readings = n.quantities.iter().zip(j.quantities).enumerate().map(|(i, (name, value))| Reading {
            name: name.clone(),
            value: *value,
            bound: if i == 0 { bound } else { None },
        });
        let mut readings: Vec<Reading> = readings.collect();
        if matches!(n.kind, Kinded::Group { .. }) {
            largest_first(&mut readings);
        }
        let routing_key = match self.state.nodes[node].incidents[at as usize].as_ref() {
            Some(incident) => parts(&incident.text).0.to_owned(),
            None => return,
        };
        let position = self.state.position.saturating_sub(1);
        let Some(incident) = self.state.nodes[node].incidents[at as usize].as_mut() else { return };
        incident.number += 1;
        if matches!(kind, ChangeKind::Raised | ChangeKind::Upgraded) {
            // Before time begins there is only the row's own.
            incident.level_since = if self.state.log_time == Millis::MIN { j.at } else { self.state.log_time };
        }
        let mut evidence: Vec<Reference> = kept;
        if evidence.is_empty() {
            evidence.extend(incident.opener.iter().map(|e| (*e.0).clone()));
            for recent in &incident.recent {
                if incident.opener.as_ref().is_none_or(|o| o.0.record_id != recent.0.record_id) {
                    evidence.push((*recent.0).clone());
                }
            }
        }
        let first = since.unwrap_or(incident.since).min(incident.since);
        let total = total.max(evidence.len() as u64);
        self.out.changes.push(Change {
            warning_id: incident.warning_id.clone(),
            number: incident.number,
            kind,
            level: incident.level,
            was,
            shadow: n.shadow,
            indicator: n.id.clone(),
            at: j.at,
            log_time: self.state.log_time,
            level_since: incident.level_since,
            space: program.spaces[n.space].clone(),
            key: routing_key,
            state,
            subject: incident.subject.clone(),
            value: j.quantities.first().copied().flatten(),
            bound,
            readings,
            window,
            segment,
            absent: n.absent,
            partial: j.partial || cut,
            model_failing: j.failing,
            evidence,
            evidence_total: total,
            log_range: (first, position),
            partition: self.partition,
            cause: incident.cause.clone(),
            pack_version: self.state.version,
            pack_hash: program.hash.clone(),
        });
    }

    /// The window that was judged, (from, to].
    fn window_of(&self, n: &Node, at: Millis) -> Option<(Millis, Millis)> {
        let end = at.max(self.state.log_time);
        match &n.kind {
            Kinded::Measure { measures, .. } => {
                measures.iter().map(|m| self.program.measures[*m].shape.bounds(end)).min()
            }
            Kinded::Surge { window, windows, .. } => Some((end - window * (*windows as i64 + 1), end)),
            Kinded::Sequence { within, .. } => Some((end - within, end)),
            Kinded::Counts { panes, .. } => {
                let step = panes.of(at - 1);
                Some((panes.start(step) - 1, panes.start(step + 1) - 1))
            }
            Kinded::Trend { shape, .. } => Some(shape.bounds(end)),
            Kinded::Items { items, .. } => items.iter().map(|i| i.keep).max().map(|keep| (end - keep, end)),
            _ => None,
        }
    }

    /// Rows that a method keeps, newest 50, oldest first, and how many the window holds; both as of a row of the batch.
    fn evidence(&self, node: usize, key: u32, row: Option<usize>) -> (Vec<Reference>, u64) {
        if key == NODE {
            return (Vec::new(), 0);
        }
        let k = key as usize;
        let mut all: Vec<&super::window::Kept> = Vec::new();
        let mut total = 0;
        match (&self.program.nodes[node].kind, &self.state.nodes[node].method) {
            (Kinded::Measure { measures, .. }, _) => {
                for m in measures {
                    all.extend(self.state.windows[*m].evidence(key, row));
                    total = total.max(self.state.windows[*m].rows(key, row));
                }
            }
            (_, MethodState::Sequence { first, then, .. }) => {
                all.extend(first.get(k).into_iter().flatten());
                all.extend(then.get(k).into_iter().flatten());
            }
            (_, MethodState::Counts { shown, .. }) => all.extend(shown.get(k).into_iter().flatten()),
            (_, MethodState::Items { rows, .. }) => all.extend(rows.get(k).into_iter().flatten().map(|r| &r.kept)),
            (_, MethodState::Surge { rows, .. }) => all.extend(rows.get(k).into_iter().flatten()),
            _ => {}
        }
        all.sort_by(|a, b| {
            (a.at, &a.reference.0.record_id, a.reference.0.revision).cmp(&(
                b.at,
                &b.reference.0.record_id,
                b.reference.0.revision,
            ))
        });
        all.dedup_by(|a, b| {
            a.reference.0.record_id == b.reference.0.record_id
                && a.reference.0.source_system == b.reference.0.source_system
                && a.reference.0.revision == b.reference.0.revision
        });
        let total = total.max(all.len() as u64);
        let newest = all.len().saturating_sub(EVIDENCE_ROWS);
        (all.into_iter().skip(newest).map(|k| (*k.reference.0).clone()).collect(), total)
    }
}

/// The members of a group, each its reading and its part of the statistic, by the size of the part.
fn largest_first(readings: &mut [Reading]) {
    let Some(members) = readings.get_mut(GROUP_TERMS.len()..) else { return };
    let (pairs, _) = members.as_chunks_mut::<2>();
    pairs.sort_by(|a, b| {
        let part = |pair: &[Reading; 2]| pair[1].value.unwrap_or(f64::NEG_INFINITY);
        part(b).total_cmp(&part(a))
    });
}
