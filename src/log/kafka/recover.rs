//! Dead letters of a system over Kafka: the pointers, the bytes that they point to, and those bytes sent in again.
//!
//! Promise: bytes that do not have the pointer's SHA-256 are never used; they are kept in memory only. What is sent in
//! again goes to the raw partition that it came from, as new messages in one transaction each thousand: records of the
//! message that were used before are known by their ids.

use super::super::{DeadLetter, LogError, Lost, Unrecoverable};
use super::client::Client;
use super::reader::{RawMessage, Reader};
use super::transaction::{Outgoing, Transactional};
use super::{DEAD_LETTERS, LOG_MESSAGE_BYTES_MAX};
use crate::deliver::read_dead_letter;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

/// Longest silence of the broker on the way to an end.
const WITHIN: Duration = Duration::from_secs(30);

/// All dead letters that the topic still holds, oldest first.
///
/// # Errors
/// When the topic cannot be read to its end.
pub fn read_dead_letters(client: &Client) -> Result<Vec<DeadLetter>, LogError> {
    let mut letters = Vec::new();
    Reader::scan(client, &client.name(DEAD_LETTERS), WITHIN, |message| {
        let text = message.payload.as_deref().and_then(|payload| std::str::from_utf8(payload).ok());
        match read_dead_letter(text.unwrap_or_default()) {
            Ok(letter) => letters.push(letter),
            Err(error) => tracing::warn!(offset = message.offset, %error, "a dead letter that cannot be read"),
        }
    })?;
    letters.sort_by(|a, b| (a.at, &a.raw, a.offset, a.row, &a.field).cmp(&(b.at, &b.raw, b.offset, b.row, &b.field)));
    Ok(letters)
}

/// The message of a dead letter, fetched again from its raw topic.
///
/// # Errors
/// [`Unrecoverable`] when it has aged out or other bytes stand there.
pub fn fetch_message(client: &Client, letter: &DeadLetter) -> Result<RawMessage, Unrecoverable> {
    let gone = |what: String| Unrecoverable::Gone { origin: letter.origin.clone(), source: io::Error::other(what) };
    let partition = letter.raw.rsplit_once('/').and_then(|(_, number)| number.parse().ok());
    let partition: i32 = partition.ok_or_else(|| gone(format!("{} names no partition", letter.raw)))?;
    let place = (letter.origin.clone(), partition);
    let (at, next) = (u64::try_from(letter.offset).unwrap_or(0), letter.offset.saturating_add(1));
    let bounds = Reader::bounds(client, std::slice::from_ref(&place), WITHIN).map_err(|e| gone(e.to_string()))?;
    let (low, end) = bounds.first().copied().unwrap_or_default();
    if !(low..end).contains(&letter.offset) {
        return Err(gone(format!("offset {} is no longer there, the topic begins at {low}", letter.offset)));
    }
    let mut found = None;
    Reader::each(client, BTreeMap::from([(place, (at, u64::try_from(next).unwrap_or(0)))]), WITHIN, |message| {
        if message.offset == letter.offset {
            found = Some(message.clone());
        }
    })
    .map_err(|e| gone(e.to_string()))?;
    let message = found.ok_or_else(|| gone(format!("no message stands at offset {}", letter.offset)))?;
    let bytes = message.payload.as_deref().unwrap_or_default();
    let hash: String = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
    if hash == letter.sha256 {
        Ok(message)
    } else {
        Err(Unrecoverable::Changed { origin: letter.origin.clone(), offset: letter.offset })
    }
}

/// Sends the messages of dead letters in again. Gives how many, and which could not be had.
///
/// # Errors
/// When the broker does not take them; then none of the last thousand was sent.
pub fn resend<'a>(client: &Client, letters: &'a [DeadLetter]) -> Result<(usize, Lost<'a>), LogError> {
    let mut out = Transactional::new(client, format!("forewarn-dead-letters-{}", client.slot()));
    out.fence()?;
    let (mut places, mut lost, mut waiting, mut sent) = (BTreeSet::new(), Vec::new(), Vec::new(), 0);
    let mut bytes = 0;
    for letter in letters {
        // Several records of one message: it goes in once.
        if !places.insert((&letter.raw, letter.offset)) {
            continue;
        }
        match fetch_message(client, letter) {
            Ok(message) => {
                bytes += message.payload.as_ref().map_or(0, Vec::len);
                waiting.push(Outgoing {
                    topic: letter.origin.clone(),
                    partition: Some(message.partition),
                    key: message.key,
                    headers: Vec::new(),
                    payload: message.payload,
                });
            }
            Err(error) => lost.push((letter, error)),
        }
        if waiting.len() >= 1_000 || bytes >= LOG_MESSAGE_BYTES_MAX {
            out.commit(&waiting, None)?;
            sent += waiting.len();
            waiting.clear();
            bytes = 0;
        }
    }
    if !waiting.is_empty() {
        out.commit(&waiting, None)?;
        sent += waiting.len();
    }
    Ok((sent, lost))
}
