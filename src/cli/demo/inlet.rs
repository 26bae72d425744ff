//! The demo's place of Kafka: raw messages kept in files, then mapped as in production.
//!
//! In: the city's messages of one step. Out: rows per source, dead letters that point into `raw/`, and counts.
//! Promise: every message is in `raw/<source>.jsonl` before it is mapped, so that a dead letter can be looked up.

use crate::cli::CliError;
use crate::cli::demo::city::Record;
use crate::clock::Stopwatch;
use crate::intake::{Mapper, Message, Options};
use crate::log::DeadLetter;
use crate::metrics::Metrics;
use crate::pack::Pack;
use crate::record::{Kind, Millis};
use arrow::record_batch::RecordBatch;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

struct Feed {
    mapper: Mapper,
    raw: Arc<str>,
    path: PathBuf,
    origin: String,
    file: BufWriter<File>,
    at: i64,
}

/// All feeds of the city.
pub(super) struct Inlet {
    feeds: BTreeMap<Kind, Feed>,
}

/// What a step's messages became.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) rows: Vec<(Arc<str>, RecordBatch)>,
    pub(super) dead_letters: Vec<DeadLetter>,
    /// Records in, by kind; `unknown` for what could not be split.
    pub(super) seen: BTreeMap<String, u64>,
    pub(super) positions: BTreeMap<String, i64>,
}

impl Inlet {
    /// One feed for each kind of our own envelope.
    pub(super) fn new(pack: &Pack, out: &Path, options: &Options) -> Result<Inlet, CliError> {
        let dir = out.join("raw");
        std::fs::create_dir_all(&dir).map_err(|source| CliError::File {
            action: "create",
            path: dir.clone(),
            source,
        })?;
        let mut feeds = BTreeMap::new();
        for kind in Kind::OUTSIDE {
            let Some(source) = pack.sources.values().find(|s| s.envelope && s.kind == kind) else {
                return Err(CliError::Usage(format!("the pack has no source of our own form for {}", kind.word())));
            };
            let path = dir.join(format!("{}.jsonl", kind.word()));
            let file = File::create(&path).map_err(|source| CliError::File {
                action: "create",
                path: path.clone(),
                source,
            })?;
            let feed = Feed {
                mapper: Mapper::new(pack, &source.name, options).map_err(CliError::stage)?,
                raw: format!("{}/0", source.name).into(),
                origin: path.display().to_string(),
                path,
                file: BufWriter::new(file),
                at: 0,
            };
            feeds.insert(kind, feed);
        }
        Ok(Inlet { feeds })
    }

    /// Keeps and maps the messages.
    ///
    /// - `wall`: city time of their arrival
    pub(super) fn take(&mut self, records: &[Record], wall: Millis, metrics: &Metrics) -> Result<Taken, CliError> {
        let watch = Stopwatch::start();
        for record in records {
            let Some(feed) = self.feeds.get_mut(&record.kind) else { continue };
            let payload = record.payload.as_bytes();
            let written = feed.file.write_all(payload).and_then(|()| feed.file.write_all(b"\n"));
            written.map_err(|source| CliError::File { action: "write", path: feed.path.clone(), source })?;
            let message = Message { raw: &feed.raw, origin: &feed.origin, offset: feed.at, payload: Some(payload) };
            feed.mapper.push(&message, wall);
            feed.at += i64::try_from(payload.len()).unwrap_or(0) + 1;
            metrics.intake_bytes(record.source, payload.len() as u64);
        }
        let mut taken = Taken::default();
        for (kind, feed) in &mut self.feeds {
            let mapped = feed.mapper.take();
            if mapped.seen == 0 {
                continue;
            }
            let unknown = mapped.dead_letters.iter().filter(|d| d.kind != kind.word()).count() as u64;
            for (word, n) in [(kind.word(), mapped.seen - unknown), ("unknown", unknown)] {
                if n > 0 {
                    *taken.seen.entry(word.to_owned()).or_default() += n;
                }
            }
            metrics.unlisted_fields(&mapped.source, mapped.unlisted.values().sum());
            taken.positions.insert(feed.raw.to_string(), feed.at);
            taken.dead_letters.extend(mapped.dead_letters);
            if mapped.rows.num_rows() > 0 {
                taken.rows.push((mapped.source, mapped.rows));
            }
        }
        metrics.intake_batch(watch.seconds());
        Ok(taken)
    }

    /// Brings the raw messages to their files.
    pub(super) fn flush(&mut self) -> Result<(), CliError> {
        for feed in self.feeds.values_mut() {
            feed.file.flush().map_err(|source| CliError::File { action: "write", path: feed.path.clone(), source })?;
        }
        Ok(())
    }
}
