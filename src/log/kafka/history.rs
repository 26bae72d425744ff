//! Messages of one raw partition as an input of the merge by the records' own time.

use super::super::{InputError, MergeInput, Piece, PieceRow};
use super::reader::RawMessage;
use crate::intake::{MapError, Mapped, Mapper, Message, Options};
use crate::pack::Pack;
use std::collections::BTreeMap;

/// Messages mapped at once.
const PIECE: usize = 1_000;

/// One raw partition, read to its end.
pub struct MessagesInput {
    mapper: Mapper,
    messages: std::vec::IntoIter<RawMessage>,
}

impl MessagesInput {
    /// - `messages`: of one raw partition of the source, in their order
    ///
    /// # Errors
    /// When the source cannot be used.
    pub fn new(
        pack: &Pack,
        source: &str,
        messages: Vec<RawMessage>,
        options: &Options,
    ) -> Result<MessagesInput, MapError> {
        Ok(MessagesInput { mapper: Mapper::new(pack, source, options)?, messages: messages.into_iter() })
    }
}

impl MergeInput for MessagesInput {
    fn next(&mut self) -> Result<Option<Piece>, InputError> {
        let mut position = None;
        for message in self.messages.by_ref().take(PIECE) {
            let payload = message.payload.as_deref();
            let raw = Message { raw: &message.raw, origin: &message.topic, offset: message.offset, payload };
            self.mapper.push(&raw, 0);
            position = Some((message.raw.to_string(), message.offset + 1));
        }
        let Some(position) = position else { return Ok(None) };
        let mapped = self.mapper.take();
        let rows = mapped.merge_time.iter().enumerate().map(|(row, at)| PieceRow { at: *at, batch: 0, row }).collect();
        Ok(Some(Piece {
            rows,
            seen: seen(&mapped),
            batches: vec![(mapped.source, mapped.rows)],
            dead_letters: mapped.dead_letters,
            position,
        }))
    }
}

/// Records by kind; what could not be split counts as of kind `unknown`, as its dead letter says.
pub(super) fn seen(mapped: &Mapped) -> BTreeMap<String, u64> {
    let kind = mapped.kind.word();
    let split = mapped.dead_letters.iter().filter(|letter| letter.kind != kind).count() as u64;
    let counts = [(kind.to_owned(), mapped.seen - split), ("unknown".to_owned(), split)];
    counts.into_iter().filter(|(_, n)| *n > 0).collect()
}
