//! `gap`: no matching record for too long, since the last match or since the roster named the key. Time in which a
//! source of matches could not be read does not count.

use super::super::batch::Batch;
use super::super::core::{Engine, NODE};
use super::super::program::{Kinded, Role};
use super::super::state::{MethodState, forgotten};
use super::{Known, days};
use crate::record::Millis;
use crate::record::time::day_start;
use arrow::array::{Array, AsArray};
use arrow::datatypes::Date32Type;

impl Engine {
    pub(super) fn gap_rows(&mut self, batch: &mut Batch<'_>, node: usize, inputs: &[usize]) {
        let program = self.program.clone();
        let n = &program.nodes[node];
        let mut read = Vec::new();
        for input in inputs {
            let mask = batch.mask(n.inputs[*input].filter);
            let role = self.role(node, *input);
            if role == Role::Roster || mask.iter().any(|m| *m) {
                read.push((role, mask));
            }
        }
        if read.is_empty() {
            return;
        }
        // What the registry says of its rows, looked up once, when a row needs it.
        let mut listed = None;
        let keys = self.keyed(batch, node);
        let noted = if read.iter().any(|r| r.0 == Role::Main) { self.note_row(batch, node) } else { Vec::new() };
        let starts = if read.iter().any(|r| r.0 == Role::Roster) {
            let column = batch.block.rows.column_by_name("valid_from");
            column.and_then(|c| c.as_primitive_opt::<Date32Type>()).cloned()
        } else {
            None
        };
        // Row by row over all inputs: a report and a declared stop may stand in one frame.
        for (row, (role, mask)) in (0..batch.len()).flat_map(|row| read.iter().map(move |r| (row, r))) {
            let (role, key) = (*role, keys[row]);
            if key == NODE || (role != Role::Roster && !mask[row]) {
                continue;
            }
            let (k, at) = (key as usize, batch.time(row));
            let log_time = self.state.log_time;
            let MethodState::Gap { last, roster, stopped, .. } = &mut self.state.nodes[node].method else { return };
            match role {
                Role::Item(_) => {}
                Role::Main | Role::Then => {
                    if at > last[k] {
                        last[k] = at;
                        stopped[k] = false;
                    }
                    self.remember(node, key, &noted, row);
                    if self.state.nodes[node].standing.level[k] > 0 {
                        self.gap_over(node, key, at, batch, row);
                    }
                }
                Role::Stop => {
                    if at >= last[k] {
                        stopped[k] = true;
                    }
                    if self.state.nodes[node].standing.level[k] > 0 {
                        self.gap_over(node, key, at, batch, row);
                    }
                }
                Role::Roster => {
                    let active = batch.text("status", row) == Some("active");
                    if mask[row] && active {
                        let from = match &starts {
                            Some(s) if s.is_valid(row) => day_start(i64::from(s.value(row))),
                            _ => at,
                        };
                        if roster[k] == Millis::MIN {
                            roster[k] = from;
                            // What was heard long before the roster named it is forgotten, freed or not.
                            if forgotten(last[k], log_time) {
                                last[k] = Millis::MIN;
                                stopped[k] = false;
                            }
                        }
                        // Nothing was reported yet: what the registry says chooses the segment.
                        if last[k] == Millis::MIN {
                            let listed = listed.get_or_insert_with(|| self.note_roster(batch, node));
                            self.remember(node, key, listed, row);
                        }
                    } else {
                        roster[k] = Millis::MIN;
                        if !active && self.state.nodes[node].standing.level[k] > 0 {
                            self.gap_over(node, key, at, batch, row);
                        }
                    }
                }
            }
            self.schedule_gap(node, key);
        }
    }

    /// Data is back, or no longer expected.
    fn gap_over(&mut self, node: usize, key: u32, at: Millis, batch: &Batch<'_>, row: usize) {
        let elapsed = self.gap_elapsed(node, key as usize, self.state.log_time.max(at));
        let Kinded::Gap { offsets, .. } = &self.program.clone().nodes[node].kind else { return };
        // An old record that came late does not end a gap that is still too long.
        if let (Some(elapsed), Some(first)) = (elapsed, offsets.first())
            && elapsed >= *first
        {
            return;
        }
        let known = Known { quantities: &[None], done: true, border: true, ..Known::default() };
        self.judge(node, key, at, &known, Some((batch, row)));
    }

    fn schedule_gap(&mut self, node: usize, key: u32) {
        let program = self.program.clone();
        let Kinded::Gap { offsets, .. } = &program.nodes[node].kind else { return };
        let k = key as usize;
        let now = match self.state.log_time {
            // Time has not begun: as of the match itself.
            Millis::MIN => match self.gap_anchor(node, k) {
                Some(anchor) => anchor,
                None => return,
            },
            now => now,
        };
        let Some(elapsed) = self.gap_elapsed(node, k, now) else { return };
        // Overdue already: due at once, at the place in time that the log has reached.
        let overdue = self.state.log_time != Millis::MIN && offsets.iter().any(|o| *o <= elapsed);
        let next = offsets.iter().find(|o| **o > elapsed).map(|o| now + (o - elapsed));
        let due = if overdue { Some(now) } else { next };
        let MethodState::Gap { scheduled, .. } = &mut self.state.nodes[node].method else { return };
        let held = &mut scheduled[key as usize];
        // An earlier timer looks again by itself; a later one, of a gap that is over, would be too late.
        if let Some(due) = due.filter(|due| due < held) {
            if *held != Millis::MAX {
                self.state.timers.remove(&(*held, node as u32, key));
            }
            *held = due;
            self.state.timers.insert((due, node as u32, key));
        }
    }

    pub(super) fn gap_timer(&mut self, node: usize, key: u32, due: Millis) {
        let program = self.program.clone();
        let n = &program.nodes[node];
        let Kinded::Gap { offsets, .. } = &n.kind else { return };
        let k = key as usize;
        let MethodState::Gap { scheduled, last, roster, .. } = &mut self.state.nodes[node].method else { return };
        if k >= scheduled.len() {
            return;
        }
        scheduled[k] = Millis::MAX;
        let never = last[k] == Millis::MIN;
        let from = roster[k];
        if let Some(elapsed) = self.gap_elapsed(node, k, due) {
            let quantities = [Some(days(elapsed))];
            let timer = if never { format!("roster {from}") } else { format!("due gap {due}") };
            let known =
                Known { quantities: &quantities, elapsed: Some(elapsed), timer: Some(timer), ..Known::default() };
            self.judge(node, key, due, &known, None);
        }
        // The next level, if the gap goes on.
        let now = self.state.log_time.max(due);
        let elapsed = self.gap_elapsed(node, k, now);
        let next = elapsed.and_then(|e| offsets.iter().find(|o| **o > e).map(|o| now + (o - e)));
        if let (Some(next), MethodState::Gap { scheduled, .. }) = (next, &mut self.state.nodes[node].method) {
            scheduled[k] = next;
            self.state.timers.insert((next, node as u32, key));
        }
    }

    /// Since when the gap runs; `None` when it does not.
    fn gap_anchor(&self, node: usize, k: usize) -> Option<Millis> {
        let n = &self.program.nodes[node];
        let Kinded::Gap { roster: needs, .. } = &n.kind else { return None };
        let MethodState::Gap { last, roster, stopped, .. } = &self.state.nodes[node].method else { return None };
        if stopped[k] || (*needs && roster[k] == Millis::MIN) {
            return None;
        }
        let routing = self.routing(n.set, k as u32);
        if self.who(n.space, routing).is_some_and(|w| w.registered && !w.active) {
            return None;
        }
        Some(last[k].max(roster[k])).filter(|t| *t != Millis::MIN)
    }

    /// How long the gap is, without the time in which a source of matches could not be read.
    pub(super) fn gap_elapsed(&self, node: usize, k: usize, at: Millis) -> Option<Millis> {
        let Kinded::Gap { feeds, .. } = &self.program.nodes[node].kind else { return None };
        self.gap_anchor(node, k).map(|anchor| at - anchor - self.state.blind_span(feeds, anchor, at))
    }
}
