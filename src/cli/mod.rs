//! The commands. One file each: its arguments, and a `run` that calls the stages and prints.
//!
//! In: arguments, files, settings. Out: text for people or JSON for tools, and an exit code: 0 fine, 1 findings or
//! failures, 2 wrong use.
//! Not here: anything that a test or another program would want to call; that is in the stages.

mod check;
mod dead_letters;
mod demo;
mod embedded;
mod explain;
mod gauges;
mod model;
mod publish;
mod replay;
mod run;
mod schema;
mod test;
mod topics;

use crate::config::Settings;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// 跨部门综合监管风险预警引擎 / Streaming risk early warning for cross-department supervision.
///
/// Reads supervision, inspection, licensing and sensor records, judges them by the indicators of `rules/`, and gives
/// each department its warnings with evidence, plan and deadlines. Start with `forewarn demo`.
#[derive(Debug, Parser)]
#[command(
    name = "forewarn",
    version,
    max_term_width = 110,
    after_help = "\
Exit codes: 0 fine, 1 findings or failures, 2 wrong use.
Durations (DUR) are written 30s, 10m, 24h, 7d. Log output: FOREWARN_LOG=info,forewarn::engine=debug"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// 演示 A made-up city in this process: records, warnings and the console page, no Kafka
    #[command(after_help = "Example: forewarn demo --for 2m --seed 7 --out out/demo")]
    Demo(demo::DemoArgs),
    /// 运行 Intake, engine and console by a settings file; over Kafka, or embedded without it
    #[command(after_help = "\
Example: forewarn run --config forewarn.yaml

A settings file without Kafka; paths are relative to it (all but `inputs` and `secret` may be left out):
  rules: rules                    # the pack: rules/ and models/
  models: models
  inputs:                         # source of rules/sources: a file that grows (like tail -F), or a folder
    registry: feeds/registry/     # that files are dropped into: each is read once it is whole
    iot: feeds/iot.jsonl
  out: data                       # warnings.jsonl, signals.jsonl, dead-letters.jsonl, summary.json, log/, snapshots/
  secret: file:secret             # replaces person ids; or env:VARIABLE
  log: { clock: wall }            # `records` judges the files as a history up to their present ends, and stops
  console: { listen: \"127.0.0.1:8080\" }
With Kafka, instead of `inputs` and `out`:
  kafka: { bootstrap: \"k1:9092\", prefix: \"city.\" }")]
    Run(run::RunArgs),
    /// 回放 Judges recorded history at full speed and writes the outcomes to a folder
    #[command(after_help = "\
Example: forewarn replay --rules rules/examples/nab --out out --records readings=tests/data/nab/speed_t4013.csv
Every file is put in the order of its records' times first, so that its lines may stand in any order.")]
    Replay(replay::ReplayArgs),
    /// 检查 Checks rule files, sources, plans and models; shows every finding at once
    #[command(after_help = "Example: forewarn check rules --format json")]
    Check(check::CheckArgs),
    /// 测试 Runs the <indicator>.test.yaml files beside the rules
    #[command(after_help = "Example: forewarn test rules/gas")]
    Test(test::TestArgs),
    /// 发布 Publishes a pack to a running system, in two steps
    #[command(after_help = "Example: forewarn publish rules --config forewarn.yaml")]
    Publish(publish::PublishArgs),
    /// 解释 Says why a warning was raised, and reaches its numbers again from the log
    #[command(after_help = "Example: forewarn explain waaaaaaaaaaaaa-bbbbbbbbbbbbb --out out")]
    Explain(explain::ExplainArgs),
    /// 主题 Creates the Kafka topics, or checks those that exist
    #[command(after_help = "Example: forewarn topics create --config forewarn.yaml")]
    #[command(subcommand)]
    Topics(topics::TopicsCommand),
    /// 死信 Lists, shows or replays what would not become a record
    #[command(after_help = "Example: forewarn dead-letters list --out out --reason range")]
    #[command(subcommand)]
    DeadLetters(dead_letters::DeadLettersCommand),
    /// 模型 Lists the statistical models; scores series by one of them
    #[command(subcommand)]
    Model(model::ModelCommand),
    /// 模式 Prints the JSON Schema (draft-07) of a file or message form
    #[command(after_help = "Example: forewarn schema source > source.schema.json")]
    Schema(schema::SchemaArgs),
}

/// Where the outcomes of a run are: a folder, or a system.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Where {
    /// Folder that `demo`, `replay` or an embedded `run` wrote
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Settings file of a `run`, the same that it was started with
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// What stands there.
pub(crate) enum Found {
    /// Files: the folder of the log and that of the outcomes; with the settings of the run that writes them.
    Files {
        /// Folder of the log.
        log: PathBuf,
        /// Folder of the outcomes.
        out: PathBuf,
        /// `None`: nobody writes there any more.
        settings: Option<Box<Settings>>,
    },
    /// A system over Kafka.
    Kafka(Box<topics::System>),
}

impl Where {
    /// Looks what the settings say.
    pub(crate) fn found(&self) -> Result<Found, CliError> {
        match (&self.out, &self.config) {
            (Some(out), _) => Ok(Found::Files { log: out.join("log"), out: out.clone(), settings: None }),
            (None, Some(config)) => {
                // The slot plays no part here; without one a machine without a host name could not be asked.
                let settings = Settings::read(config, Some("ask")).map_err(CliError::stage)?;
                if settings.kafka.is_some() {
                    return topics::System::open(config, Some("ask")).map(Box::new).map(Found::Kafka);
                }
                let folders = embedded::folders(&settings);
                Ok(Found::Files { log: folders.log, out: folders.out, settings: Some(Box::new(settings)) })
            }
            (None, None) => Err(CliError::Usage("give --out DIR or --config FILE".to_owned())),
        }
    }
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The arguments do not make sense together.
    #[error("{0}")]
    Usage(String),
    /// A file or folder could not be read or written.
    #[error("could not {action} {path}")]
    File {
        /// read, write, create ...
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A stage failed; it says itself why.
    #[error(transparent)]
    Stage(Box<dyn std::error::Error + Send + Sync>),
}

impl CliError {
    /// 2 for wrong use, else 1.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            CliError::Usage(_) => 2,
            CliError::File { .. } | CliError::Stage(_) => 1,
        }
    }

    /// The error of a stage.
    pub(crate) fn stage(error: impl std::error::Error + Send + Sync + 'static) -> CliError {
        CliError::Stage(Box::new(error))
    }
}

/// Does what the command line says; the exit code is 0 (fine) or 1 (findings, failed tests).
///
/// # Errors
/// When the command could not do its work.
pub fn run(cli: Cli) -> Result<u8, CliError> {
    log_to_stderr(matches!(cli.command, Command::Run(_)));
    match cli.command {
        Command::Demo(args) => demo::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Publish(args) => publish::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Topics(command) => topics::run(&command),
        Command::DeadLetters(command) => dead_letters::run(&command),
        Command::Model(command) => model::run(&command),
        Command::Schema(args) => schema::run(&args),
    }
}

/// What the stages have to say goes to standard error, `FOREWARN_LOG` says how much: for a service also how it stands,
/// for the other commands only what is wrong.
fn log_to_stderr(service: bool) {
    use std::io::IsTerminal as _;
    use tracing_subscriber::EnvFilter;
    // The client library calls every lost connection an error; what matters is told by whoever waits for it.
    let usual = if service { "info,librdkafka=off,rdkafka=off" } else { "warn,librdkafka=off,rdkafka=off" };
    let filter = EnvFilter::try_from_env("FOREWARN_LOG").unwrap_or_else(|_| EnvFilter::new(usual));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second command in one process (a test) goes on with the first one's.
    drop(lines.with_ansi(std::io::stderr().is_terminal()).try_init());
}

/// A duration argument: `30s`, `10m`, `24h`, `7d`; not negative.
pub(crate) fn duration(text: &str) -> Result<std::time::Duration, String> {
    let span: crate::pack::Span = text.parse().map_err(|e: crate::pack::SpanError| e.to_string())?;
    u64::try_from(span.millis()).map(std::time::Duration::from_millis).map_err(|_| format!("\"{text}\" is negative"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn commands_of_the_handbook_parse() {
        for line in [
            "demo",
            "demo --for 2h --speed 60 --seed 7 --listen 127.0.0.1:8080 --out out",
            "run --config forewarn.yaml --role engine --slot a --accept-lost-state",
            "replay --records a.jsonl iot=b.csv.gz --rules rules --models models --out out",
            "check",
            "check rules/gas --format json --fix",
            "test rules",
            "publish rules --config f.yaml --step prepare",
            "explain w1-2 --out out",
            "explain w1-2 --config f.yaml",
            "topics create --config f.yaml",
            "topics check --config f.yaml",
            "dead-letters list --out out",
            "dead-letters show 3 --config f.yaml",
            "dead-letters list --out out --source iot --reason range --limit 5",
            "dead-letters replay --out out --to new --rules rules --models models --reason enum",
            "schema rule",
        ] {
            let words = std::iter::once("forewarn").chain(line.split(' '));
            assert!(Cli::try_parse_from(words).is_ok(), "{line}");
        }
    }

    #[test]
    fn wrong_use_is_refused() {
        for line in
            ["", "demo --for tomorrow", "demo --for -1h", "explain w1", "explain w1 --out a --config b", "schema x"]
        {
            let words = std::iter::once("forewarn").chain(line.split(' ').filter(|w| !w.is_empty()));
            assert!(Cli::try_parse_from(words).is_err(), "{line}");
        }
    }
}
