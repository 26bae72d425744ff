//! `forewarn explain`: why a warning was raised.

use super::{CliError, Where};
use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The warning's id, `w...`
    #[arg(value_name = "WARNING_ID")]
    pub(crate) warning_id: String,
    /// Where its log is
    #[command(flatten)]
    pub(crate) at: Where,
}

pub(crate) fn run(_args: &ExplainArgs) -> Result<u8, CliError> {
    Err(CliError::NotBuilt("explain"))
}
