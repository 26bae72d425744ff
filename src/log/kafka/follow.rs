//! Committed warnings for readers inside: first the open ones, then every change as it comes.

use super::super::LogError;
use super::WARNINGS;
use super::client::Client;
use super::reader::Reader;
use crate::deliver::EVERYONE;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Hands the documents of the open warnings, then those of all changes until `stop`: committed ones only, each at
/// least once.
///
/// # Errors
/// When the topics are missing or the broker does not answer in time.
pub fn follow_warnings(
    client: &Client,
    stop: &AtomicBool,
    mut each: impl FnMut(&serde_json::Value),
) -> Result<(), LogError> {
    let within = Duration::from_secs(60);
    // The end of the changes is taken before the open warnings are read: nothing falls between.
    let mut changes = Reader::tail(client, &client.name(EVERYONE), within)?;
    let (_, open) = Reader::whole(client, &client.name(WARNINGS), within)?;
    let mut newest: std::collections::BTreeMap<Option<Vec<u8>>, Option<Vec<u8>>> = std::collections::BTreeMap::new();
    newest.extend(open.into_iter().map(|message| (message.key, message.payload)));
    newest.into_values().flatten().for_each(|document| show(&document, &mut each));
    while !stop.load(Ordering::Relaxed) {
        for message in changes.batch(1_000, usize::MAX, Duration::from_millis(100))? {
            if let Some(document) = &message.payload {
                show(document, &mut each);
            }
        }
    }
    Ok(())
}

fn show(document: &[u8], each: &mut impl FnMut(&serde_json::Value)) {
    match serde_json::from_slice(document) {
        Ok(document) => each(&document),
        Err(error) => tracing::error!(%error, "a warning document is no JSON"),
    }
}
