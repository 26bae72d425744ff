//! `forewarn test`: the test files beside the rules.

use super::CliError;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// Pack folders, industry folders or single `.test.yaml` files
    #[arg(value_name = "PATH", default_value = "rules")]
    pub(crate) paths: Vec<PathBuf>,
}

pub(crate) fn run(_args: &TestArgs) -> Result<u8, CliError> {
    Err(CliError::NotBuilt("test"))
}
