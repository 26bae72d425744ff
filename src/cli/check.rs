//! `forewarn check`: every finding of a pack at once.

use super::CliError;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Pack folders (rules, an example), industry folders or single files; findings are limited to what is named
    #[arg(value_name = "PATH", default_value = "rules")]
    pub(crate) paths: Vec<PathBuf>,
    /// Text with the place marked, or one JSON object a line
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
    /// Mend what has one obvious remedy: punctuation, indentation, missing quotes, near-miss field names
    #[arg(long)]
    pub(crate) fix: bool,
}

/// How findings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Human,
    /// For tools
    Json,
}

pub(crate) fn run(_args: &CheckArgs) -> Result<u8, CliError> {
    Err(CliError::NotBuilt("check"))
}
