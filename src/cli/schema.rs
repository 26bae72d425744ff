//! `forewarn schema`: the JSON Schema of a form, for editors and for departments.

use super::CliError;
use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// Which form
    #[arg(value_enum)]
    pub(crate) form: Form,
}

/// The forms that have a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// 记录 A record in our own envelope
    Record,
    /// 来源 rules/sources/<name>.yaml
    Source,
    /// 指标 rules/<industry>/<indicator>.yaml
    Rule,
    /// 预案 rules/<industry>/plan.yaml
    Plan,
    /// 模型 models/<name>.yaml
    Model,
    /// 预警 A warning as departments get it
    Warning,
}

pub(crate) fn run(_args: &SchemaArgs) -> Result<u8, CliError> {
    Err(CliError::NotBuilt("schema"))
}
