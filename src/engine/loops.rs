//! The records that the engine makes for itself: signals and values, sent to the key spaces whose indicators read them,
//! and signals that arrive.
//!
//! Promise: record ids are deterministic; what was sent a level is also sent its end.

use super::batch::Batch;
use super::core::Engine;
use super::id::record_id;
use super::keys::JOINT;
use super::outcome::{Signal, Subject, Value};
use super::program::{Kinded, Node, targets};
use super::state::Who;
use crate::log::Block;
use crate::pack::{Emit, SignalRoute};
use crate::record::{Kind, Millis, columns};
use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray, TimestampMillisecondArray, new_null_array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Key space of what every partition hears.
pub(super) const BROADCAST: &str = "broadcast";
/// What a value sent to [`BROADCAST`] counts: with the partition behind it, the keys of a group there; else their rows.
pub(super) const GROUP_KEYS: &str = "keys/";

impl Engine {
    /// Signals of other indicators arrive: remembers them and judges those who listen.
    pub(super) fn hear(&mut self, batch: &Batch<'_>, space: usize) {
        let program = self.program.clone();
        for row in 0..batch.len() {
            let (true, Some(indicator), Some(sender)) =
                (batch.keep[row], batch.text("indicator", row), batch.text("signal_key", row))
            else {
                continue;
            };
            let level = u8::try_from(batch.int("level_no", row).unwrap_or(0)).unwrap_or(0);
            let Some(state) = self.state.spaces.get_mut(&*program.spaces[space]) else { continue };
            let routing = batch.routing[row];
            let open = state.signals.entry(routing).or_default();
            let name = (indicator.to_owned(), sender.to_owned());
            if level == 0 {
                open.remove(&name);
            } else {
                open.insert(name, level);
            }
            if open.is_empty() {
                state.signals.remove(&routing);
            }
            for (i, node) in program.nodes.iter().enumerate() {
                if node.space == space && node.listens && node.rule.id != indicator {
                    // A signal may be the first that is heard of the key.
                    if let Kinded::Measure { measures, .. } = &node.kind {
                        let len = self.set_len(node.set);
                        measures.iter().for_each(|m| self.state.windows[*m].reserve(len));
                    }
                    let keys = match &self.state.sets[node.set].keys {
                        Some(_) => self.state.sets[node.set].children.get(&routing).cloned().unwrap_or_default(),
                        None => vec![routing],
                    };
                    let len = self.set_len(node.set);
                    self.state.nodes[i].reserve(node, len);
                    for key in keys {
                        self.judge_again(i, key, batch.time(row), false);
                    }
                }
            }
        }
    }

    /// The level of an open signal of an indicator for a routing key.
    pub(crate) fn heard(&self, space: usize, routing: u32, indicator: &str) -> u8 {
        let space = self.state.spaces.get(&*self.program.spaces[space]);
        let open = space.and_then(|s| s.signals.get(&routing));
        open.map_or(0, |open| {
            open.iter().filter(|((id, _), _)| id == indicator).map(|(_, level)| *level).max().unwrap_or(0)
        })
    }

    /// Says that a key's level has changed, and sends it to the key spaces whose indicators listen.
    ///
    /// The row that brought it about says where it goes; without one, what is known of the key. What was sent a level
    /// is also sent its end.
    pub(crate) fn signal(
        &mut self,
        node: usize,
        key: u32,
        level_no: u8,
        value: Option<f64>,
        at: Millis,
        row: Option<&Subject>,
    ) {
        let program = self.program.clone();
        let n = &program.nodes[node];
        let text = self.key_text(n.set, key).replace(JOINT, "/");
        let mut who = self.who(n.space, self.routing(n.set, key)).cloned().unwrap_or_default();
        if let Some(row) = row {
            who.subject = row.clone().or(who.subject);
        }
        let space = program.spaces[n.space].clone();
        let id = record_id(&["signal", &n.id, &space, &text, &at.to_string(), &level_no.to_string()]);
        let mut to_all = BTreeSet::new();
        for route in targets(&program, &n.rule) {
            let to = self.addressed(n, key, route, &who);
            let sent = self.state.nodes[node].sent.entry(key).or_default();
            let place = (route.space.to_string(), to.unwrap_or_default());
            if level_no == 0 {
                if sent.is_empty() && !place.1.is_empty() {
                    sent.insert(place);
                }
            } else if !place.1.is_empty() {
                sent.insert(place.clone());
                to_all.insert(place);
            }
        }
        if level_no == 0 {
            to_all = self.state.nodes[node].sent.remove(&key).unwrap_or_default();
        }
        let row = LoopRow {
            kind: Kind::Signal,
            industry: n.rule.industry.as_deref(),
            indicator: &n.id,
            sender: &text,
            level_no: Some(i64::from(level_no)),
            value,
            at,
            id: &id,
            revision: None,
            who: &who,
        };
        for (to_space, to) in &to_all {
            self.send(to_space, to, &row);
        }
        self.out.signals.push(Signal {
            record_id: id,
            indicator: n.id.clone(),
            space,
            key: text,
            level_no,
            value,
            at,
            subject: who.subject,
        });
    }

    /// Says the value of a close, and sends it to the key spaces whose indicators read values.
    pub(super) fn send_value(&mut self, node: usize, key: u32, said: Value) {
        let program = self.program.clone();
        let n = &program.nodes[node];
        let who = self.who(n.space, self.routing(n.set, key)).cloned().unwrap_or_default();
        let row = LoopRow {
            kind: Kind::Value,
            industry: n.rule.industry.as_deref(),
            indicator: &n.id,
            sender: &said.key,
            level_no: None,
            value: said.value,
            at: said.window_end,
            id: &said.record_id,
            revision: Some(said.revision),
            who: &who,
        };
        let routes = if n.rule.emit == Some(Emit::Value) { targets(&program, &n.rule) } else { Vec::new() };
        let places: BTreeSet<(&str, String)> = routes
            .into_iter()
            .filter_map(|route| Some((route.space.as_str(), self.addressed(n, key, route, &who)?)))
            .collect();
        for (space, to) in places {
            self.send(space, &to, &row);
        }
        self.out.values.push(Value { subject: who.subject, ..said });
    }

    /// Says to every partition what the keys of a group had here in the window that ends at `close`.
    pub(super) fn send_group(&mut self, node: usize, group: &str, close: Millis, rows: f64, keys: f64) {
        let program = self.program.clone();
        let n = &program.nodes[node];
        let from = self.partition.to_string();
        for (what, value) in [("rows".to_owned(), rows), (format!("{GROUP_KEYS}{from}"), keys)] {
            let id = record_id(&["group", &n.id, group, &close.to_string(), &from, &what]);
            let row = LoopRow {
                kind: Kind::Value,
                industry: n.rule.industry.as_deref(),
                indicator: &n.id,
                sender: &what,
                level_no: None,
                value: Some(value),
                at: close,
                id: &id,
                revision: None,
                who: &Who::default(),
            };
            for partition in 0..self.partitions {
                self.out.loops.entry(partition).or_default().push(row.block(BROADCAST, group));
            }
        }
    }

    /// The key that a route names, as far as it is known of the sender.
    fn addressed(&self, n: &Node, key: u32, route: &SignalRoute, who: &Who) -> Option<String> {
        let subject = &who.subject;
        let to = match route.key.as_str() {
            "object_id" => subject.object_id.clone(),
            "entity_id" => subject.entity_id.clone(),
            "street" => subject.street.clone(),
            "region" => subject.region.clone(),
            "location_id" => subject.location_id.clone(),
            "sensor_id" => subject.sensor_id.clone(),
            "maintained_by" => who.maintained_by.clone(),
            "group_id" => who.group_id.clone(),
            "object_type" => subject.object_type.clone(),
            _ => None,
        };
        // The routing key itself serves a route into the sender's own space.
        let own = || (*route.space == *self.program.spaces[n.space]).then(|| self.routing(n.set, key));
        to.or_else(|| own().map(|routing| self.key_text_routing(n.space, routing)))
    }

    fn send(&mut self, space: &str, key: &str, row: &LoopRow<'_>) {
        let partition = crate::record::partition(space, key, self.partitions);
        self.out.loops.entry(partition).or_default().push(row.block(space, key));
    }
}

/// A signal or value before it is a row.
struct LoopRow<'a> {
    kind: Kind,
    industry: Option<&'a str>,
    indicator: &'a str,
    sender: &'a str,
    level_no: Option<i64>,
    value: Option<f64>,
    /// Event time; a value's close.
    at: Millis,
    id: &'a str,
    revision: Option<i64>,
    who: &'a Who,
}

impl LoopRow<'_> {
    fn block(&self, space: &str, key: &str) -> Block {
        let subject = &self.who.subject;
        let time = || -> ArrayRef { Arc::new(TimestampMillisecondArray::from(vec![self.at]).with_timezone("+08:00")) };
        let mut fields: Vec<Field> = Vec::new();
        let mut arrays: Vec<ArrayRef> = Vec::new();
        for column in columns(self.kind) {
            let text = match column.name {
                "record_id" => Some(self.id),
                "source_system" | "source_dept" => Some("forewarn"),
                "industry" => self.industry,
                "entity_id" => subject.entity_id.as_deref(),
                "object_id" => subject.object_id.as_deref(),
                "region" => subject.region.as_deref(),
                "street" => subject.street.as_deref(),
                "object_name" => subject.name.as_deref(),
                "object_type" => subject.object_type.as_deref(),
                "risk_class" => subject.risk_class.as_deref(),
                "indicator" => Some(self.indicator),
                "signal_key" => Some(self.sender),
                _ => None,
            };
            let array: ArrayRef = match (column.name, column.ty.arrow()) {
                ("occurred_at" | "window_end", _) => time(),
                ("level_no", _) => Arc::new(Int64Array::from(vec![self.level_no])),
                ("revision", _) => Arc::new(Int64Array::from(vec![self.revision])),
                ("value", _) => Arc::new(Float64Array::from(vec![self.value])),
                (_, DataType::Utf8) => Arc::new(StringArray::from(vec![text])),
                (_, ty) => new_null_array(&ty, 1),
            };
            fields.push(column.field());
            arrays.push(array);
        }
        fields.push(Field::new(Block::KEY, DataType::Utf8, true));
        arrays.push(Arc::new(StringArray::from(vec![key])));
        let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
            .expect("every array is one row of its column's type");
        Block { source: self.kind.word().into(), kind: self.kind, space: space.into(), home: false, rows }
    }
}
