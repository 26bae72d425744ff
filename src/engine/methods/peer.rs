//! `peer`: the value of an object among those that objects of the same trade and district had at the same close.
//!
//! The routing key is the trade, so that all its values lie in one place whatever the number of partitions; the state key
//! is the object, and the warning is about it. A value is judged `wait` after its close, when the others have come; one
//! that comes later still, or is told again, a minute after it came, with those that came with it.
//! Cost: a judgement looks at every object of the trade.

use super::super::batch::Batch;
use super::super::core::{Engine, NODE};
use super::super::held::HeldRow;
use super::super::program::Kinded;
use super::super::state::MethodState;
use super::Known;
use crate::model::Peers;
use crate::record::Millis;
use arrow::array::Array;

/// Values that come after their time come together, when a partition has caught up: the first waits for the others.
const GATHER: Millis = 60_000;

impl Engine {
    pub(super) fn peer_rows(&mut self, batch: &mut Batch<'_>, node: usize) {
        let program = self.program.clone();
        let n = &program.nodes[node];
        let Kinded::Peer { value, group, wait, .. } = &n.kind else { return };
        let mask = batch.mask(n.inputs[0].filter);
        if !mask.iter().any(|m| *m) {
            return;
        }
        let values = self.reading(batch, node, *value, &mask);
        let groups = group.and_then(|e| batch.texts(e));
        let keys = self.keyed(batch, node);
        let noted = self.note_row(batch, node);
        let mut block = None;
        for row in 0..batch.len() {
            let key = keys[row];
            if key == NODE || !mask[row] {
                continue;
            }
            let (k, at) = (key as usize, batch.time(row));
            let log_time = self.state.log_time;
            let MethodState::Peer { close, value, group, .. } = &mut self.state.nodes[node].method else { return };
            if at < close[k] {
                continue;
            }
            close[k] = at;
            value[k] = values[row].unwrap_or(f64::NAN);
            group[k] = groups.as_ref().filter(|g| g.is_valid(row)).map(|g| g.value(row).into());
            self.remember(node, key, &noted, row);
            let due = at.saturating_add(*wait).max(log_time.saturating_add(GATHER));
            let number = *block.get_or_insert_with(|| self.state.held.open());
            let held = HeldRow { value: values[row], ..HeldRow::of(key, row) };
            self.state.held.hold(due, node as u32, (number, batch.block), held);
        }
    }

    /// Judges the value of a key, unless it has been judged as it is or is no longer the newest.
    pub(super) fn peer_row(&mut self, batch: &Batch<'_>, row: usize, node: usize, key: u32) {
        let (k, at) = (key as usize, batch.time(row));
        let Some(terms) = self.peer_terms(node, key) else { return };
        let MethodState::Peer { close, value, judged, scores, .. } = &mut self.state.nodes[node].method else { return };
        let now = (close[k], value[k].to_bits());
        if at != close[k] || judged[k] == now {
            return;
        }
        judged[k] = now;
        scores[k] = terms;
        let known = Known { quantities: &terms.map(Some), border: true, ..Known::default() };
        self.judge(node, key, at, &known, Some((batch, row)));
    }

    /// |z|, value, z, median, MAD, objects compared, 1 when they are those of the whole trade. `None` without a value,
    /// with too few objects, or when half of them or more are equal.
    fn peer_terms(&self, node: usize, key: u32) -> Option<[f64; 7]> {
        let n = &self.program.nodes[node];
        let Kinded::Peer { peers: least, .. } = &n.kind else { return None };
        let MethodState::Peer { close, value, group, .. } = &self.state.nodes[node].method else { return None };
        let k = key as usize;
        if value[k].is_nan() {
            return None;
        }
        let all = self.state.sets[n.set].children.get(&self.routing(n.set, key))?;
        let of_close = || {
            let known = all.iter().map(|other| *other as usize).filter(|other| *other < close.len());
            known.filter(|other| close[*other] == close[k] && !value[*other].is_nan())
        };
        let mut near: Vec<f64> = of_close().filter(|other| group[*other] == group[k]).map(|o| value[o]).collect();
        let city = near.len() < *least;
        if city {
            near = of_close().map(|o| value[o]).collect();
        }
        if near.len() < *least {
            return None;
        }
        let peers = Peers::of(&mut near)?;
        let z = peers.score(value[k])?;
        Some([z.abs(), value[k], z, peers.median, peers.mad, peers.count as f64, f64::from(u8::from(city))])
    }
}
