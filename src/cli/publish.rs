//! `forewarn publish`: a pack to a running system, in two steps.

use super::CliError;
use super::check::{models_of, pack_of};
use super::topics::{System, audiences, read_pack};
use crate::log::kafka::{publish_activate, publish_prepare};
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
pub(crate) struct PublishArgs {
    /// Folder of the pack
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Settings file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// One step alone; both when absent
    #[arg(long, value_enum)]
    pub(crate) step: Option<PublishStep>,
}

/// The steps of a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PublishStep {
    /// Intakes learn the pack and begin to map and route by it
    Prepare,
    /// The pack takes effect, at one exact place in each log partition
    Activate,
}

pub(crate) fn run(args: &PublishArgs) -> Result<u8, CliError> {
    let system = System::open(&args.config, None)?;
    let root = pack_of(&args.dir);
    let pack = read_pack(&root, &models_of(&root))?;
    let audiences = audiences(&pack);
    if args.step != Some(PublishStep::Activate) {
        let retention = system.settings.log.retention.millis();
        let hash = publish_prepare(&system.client, system.form, retention, &pack, &audiences);
        println!("已准备 prepared {}", hash.map_err(CliError::stage)?);
    }
    if args.step != Some(PublishStep::Prepare) {
        // Ten times what a rebalance and a takeover need.
        let within = Duration::from_secs(300);
        let version = publish_activate(&system.client, system.form, &pack, &audiences, within);
        println!("已生效 active as version {}", version.map_err(CliError::stage)?);
    }
    Ok(0)
}
