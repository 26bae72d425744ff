//! The packs that judged a log, from the bodies that lie beside it.
//!
//! In: the hash of a pack, as a pack entry names it. Out: the pack, its compiled program and its responder, made once.
//! Promise: a body whose hash is another than its name is never used.

use crate::engine::{Program, ProgramError};
use crate::pack::{Body, Pack};
use crate::response::Responder;
use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a pack of a log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// The pack of an entry does not lie beside the log.
    #[error("the log was judged by pack {hash}, but {path} cannot be read")]
    NoPack {
        /// The pack's hash.
        hash: String,
        /// Where it should be.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The pack beside the log is not the one that judged it.
    #[error("{path} is not the pack {hash}: {what}")]
    WrongPack {
        /// The pack's hash.
        hash: String,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The pack does not compile in this build.
    #[error(transparent)]
    Program(#[from] ProgramError),
}

/// A pack as the engines and the response use it.
#[derive(Clone)]
pub(super) struct Judge {
    pub(super) pack: Arc<Pack>,
    pub(super) program: Arc<Program>,
    pub(super) responder: Arc<Responder>,
}

impl Judge {
    pub(super) fn new(pack: Arc<Pack>, program: Arc<Program>) -> Judge {
        Judge { responder: Arc::new(Responder::new(&pack)), pack, program }
    }
}

/// The packs of one log.
pub(super) struct Judges {
    dir: PathBuf,
    known: BTreeMap<String, Judge>,
}

impl Judges {
    /// - `dir`: the folder of the log
    pub(super) fn new(dir: &Path) -> Judges {
        Judges { dir: dir.to_owned(), known: BTreeMap::new() }
    }

    /// Takes a pack that is at hand already.
    pub(super) fn add(&mut self, judge: Judge) {
        self.known.insert(judge.pack.hash.clone(), judge);
    }

    pub(super) fn of(&mut self, hash: &str) -> Result<Judge, JudgeError> {
        if let Some(judge) = self.known.get(hash) {
            return Ok(judge.clone());
        }
        let path = path(&self.dir, hash);
        let wrong = |what: String| JudgeError::WrongPack { hash: hash.to_owned(), path: path.clone(), what };
        let text = std::fs::read_to_string(&path).map_err(|source| JudgeError::NoPack {
            hash: hash.to_owned(),
            path: path.clone(),
            source,
        })?;
        let body: Body = serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?;
        if body.hash() != hash {
            return Err(wrong(format!("its hash is {}", body.hash())));
        }
        let pack = Pack::read_logged(body).map_err(|findings| {
            let first = findings.first().map_or("", |f| f.message.as_str());
            wrong(format!("this build does not accept it: {first}"))
        })?;
        let program = Arc::new(Program::new(&pack)?);
        let judge = Judge::new(Arc::new(pack), program);
        self.known.insert(hash.to_owned(), judge.clone());
        Ok(judge)
    }
}

fn path(dir: &Path, hash: &str) -> PathBuf {
    dir.join(format!("pack-{hash}.json"))
}

/// Puts a pack's texts beside the log, so that it can be read again without the rules folder.
///
/// # Errors
/// When the disk fails.
pub fn write_body(dir: &Path, pack: &Pack) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    let text = serde_json::to_string(&pack.body).expect("a pack's body is a map of texts");
    // Whole or not there: the log may name it as soon as this returns.
    let part = dir.join(format!("pack-{}.part", pack.hash));
    let mut file = std::fs::File::create(&part)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&part, path(dir, &pack.hash))?;
    std::fs::File::open(dir)?.sync_all()
}
