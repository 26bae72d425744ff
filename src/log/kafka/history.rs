//! Messages of one raw partition as an input of the merge by the records' own time.

use super::super::{InputError, LogError, MergeInput, Piece, PieceRow};
use super::client::Client;
use super::intake::RawRange;
use super::reader::{Place, RawMessage, Reader, retriable};
use crate::clock::Stopwatch;
use crate::intake::{MapError, Mapped, Mapper, Message, Options};
use crate::pack::Pack;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Messages mapped at once.
const PIECE: usize = 1_000;

/// One raw partition, read to its end.
pub struct MessagesInput {
    mapper: Mapper,
    from: From,
}

enum From {
    Held(std::vec::IntoIter<RawMessage>),
    Topic(Box<Stretch>),
}

/// What of a raw partition is still to be read.
struct Stretch {
    reader: Reader,
    place: Place,
    /// What the messages are called by.
    raw: Arc<str>,
    end: i64,
    /// Read, not mapped.
    ahead: VecDeque<RawMessage>,
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
        Ok(MessagesInput { mapper: Mapper::new(pack, source, options)?, from: From::Held(messages.into_iter()) })
    }

    /// What stands in a raw partition from its first position to its end. Read as it is needed: in memory is only what
    /// the client reads ahead.
    ///
    /// # Errors
    /// [`LogError::Damaged`] when the source cannot be used, [`LogError::Retriable`] when the broker cannot be asked.
    pub(super) fn of_partition(
        client: &Client,
        pack: &Pack,
        source: &str,
        range: &RawRange,
        options: &Options,
    ) -> Result<MessagesInput, LogError> {
        let mapper = Mapper::new(pack, source, options)
            .map_err(|e| LogError::Damaged { place: range.raw.clone(), what: e.to_string() })?;
        let mut reader = Reader::new(client)?;
        reader.name(&range.place, &range.raw);
        reader.assign(BTreeMap::from([(range.place.clone(), range.first)]))?;
        let (place, raw) = (range.place.clone(), range.raw.as_str().into());
        let stretch = Stretch { reader, place, raw, end: range.end, ahead: VecDeque::new() };
        Ok(MessagesInput { mapper, from: From::Topic(Box::new(stretch)) })
    }
}

impl Stretch {
    /// Up to a piece of messages; none at the end.
    fn take(&mut self) -> Result<Vec<RawMessage>, LogError> {
        let watch = Stopwatch::start();
        while self.ahead.is_empty() && self.reader.positions()?[&self.place] < self.end {
            if watch.elapsed() > Duration::from_secs(60) {
                return Err(retriable(&self.raw, "its end was not reached in time"));
            }
            let batch = self.reader.batch(PIECE, 1024 * 1024, Duration::from_millis(50))?;
            self.ahead.extend(batch.into_iter().filter(|message| message.offset < self.end));
        }
        Ok(self.ahead.drain(..).collect())
    }
}

impl MergeInput for MessagesInput {
    fn next(&mut self) -> Result<Option<Piece>, InputError> {
        let messages: Vec<RawMessage> = match &mut self.from {
            From::Held(messages) => messages.by_ref().take(PIECE).collect(),
            From::Topic(stretch) => stretch
                .take()
                .map_err(|e| InputError::Read { path: stretch.raw.as_ref().into(), source: io::Error::other(e) })?,
        };
        let mut position = None;
        for message in messages {
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
