//! `forewarn demo`: a made-up city in this process.

use super::CliError;
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Stop after so much city time, and say what was seen; runs until Ctrl-C when absent
    #[arg(long = "for", value_name = "DUR", value_parser = super::duration)]
    pub(crate) length: Option<Duration>,
    /// City seconds per second
    #[arg(long, value_name = "X", default_value_t = 60.0)]
    pub(crate) speed: f64,
    /// The same seed gives the same city, the same records and the same warnings
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Where the console page listens
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// Folder for the log and the outcomes; kept in memory when absent
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

pub(crate) fn run(_args: &DemoArgs) -> Result<u8, CliError> {
    Err(CliError::NotBuilt("demo"))
}
