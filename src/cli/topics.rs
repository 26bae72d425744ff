//! `forewarn topics`: creates or checks the Kafka topics.

use super::CliError;
use crate::config::{Kafka, Settings};
use crate::intake::Fingerprint;
use crate::log::kafka::{Client, LogForm, check_topics, create_topics, raw_topics};
use crate::pack::{Body, Finding, Pack};
use clap::Subcommand;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(crate) enum TopicsCommand {
    /// Creates every topic that is missing; fixes the number of partitions and the clock of the log
    Create {
        /// Settings file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Compares the topics with the settings and the pack; changes nothing
    Check {
        /// Settings file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

pub(crate) fn run(command: &TopicsCommand) -> Result<u8, CliError> {
    let (TopicsCommand::Create { config } | TopicsCommand::Check { config }) = command;
    let system = System::open(config, None)?;
    let models = super::embedded::models_of(&system.settings)?;
    let pack = read_pack(super::replay::folder("rules:", &system.settings.rules)?, &models)?;
    let audiences = audiences(&pack);
    let raw: Vec<String> = raw_topics(&pack, &audiences).into_keys().collect();
    let retention = system.settings.log.retention.millis();
    match command {
        TopicsCommand::Create { .. } => {
            let tasks = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CliError::stage)?;
            let made = tasks
                .block_on(create_topics(&system.client, system.form, retention, &raw, &audiences))
                .map_err(CliError::stage)?;
            for topic in &made {
                println!("已建主题 made {topic}");
            }
            println!("{} 个新主题 topics made; {} 个分区 partitions of the log", made.len(), system.form.partitions);
            Ok(0)
        }
        TopicsCommand::Check { .. } => {
            let findings = check_topics(&system.client, system.form, retention, &raw, &audiences);
            let findings = findings.map_err(CliError::stage)?;
            for finding in &findings {
                println!("{}: {}", finding.topic, finding.what);
            }
            if findings.is_empty() {
                println!("主题齐备 every topic is as it should be");
            }
            Ok(u8::from(!findings.is_empty()))
        }
    }
}

/// A system over Kafka as its settings file says.
pub(crate) struct System {
    pub(crate) settings: Settings,
    pub(crate) client: Client,
    pub(crate) form: LogForm,
}

impl System {
    /// Reads the settings; nothing is sent yet.
    pub(crate) fn open(config: &Path, slot: Option<&str>) -> Result<System, CliError> {
        let settings = Settings::read(config, slot).map_err(CliError::stage)?;
        let kafka: &Kafka = settings
            .kafka
            .as_ref()
            .ok_or_else(|| CliError::Usage(format!("{} has no `kafka:`; this command needs one", config.display())))?;
        let client = Client::new(kafka, &settings.slot).map_err(CliError::stage)?;
        let secret = (!settings.secret.is_empty()).then(|| Fingerprint::of(&settings.secret));
        let form = LogForm { partitions: settings.log.partitions, clock: settings.log.clock, secret };
        Ok(System { settings, client, form })
    }
}

/// The pack of a folder, or all that is wrong with it.
pub(crate) fn read_pack(rules: &Path, models: &Path) -> Result<Pack, CliError> {
    super::replay::folder("rules", rules)?;
    let body = Body::load(rules, models).map_err(CliError::stage)?;
    Pack::read(body).map_err(|findings| {
        let first: Vec<String> = findings.iter().take(5).map(line).collect();
        CliError::Usage(format!(
            "{} has {} findings; `forewarn check` shows all\n{}",
            rules.display(),
            findings.len(),
            first.join("\n")
        ))
    })
}

fn line(finding: &Finding) -> String {
    let place = &finding.place;
    format!("  {}:{}:{} {} {}", place.file, place.line, place.column, finding.message_zh, finding.message)
}

/// Topics that the pack's warnings go to and are answered in.
pub(crate) fn audiences(pack: &Pack) -> Vec<String> {
    crate::deliver::topics(pack)
}
