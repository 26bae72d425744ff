//! `forewarn model`: what models there are, their scores over series in files, and what these are worth.
//!
//! In: `models/<name>.yaml`, CSV files, benchmarks with labels. Out: tables; scores, one row per input row.
//! Promise: the code that scores here is the one that scores in the engine.

mod counts;
mod evaluate;
mod risk;
mod series;

use super::CliError;
use crate::pack::{Body, ModelFile, Pack};
use clap::{Args, Subcommand};
use flate2::read::MultiGzDecoder;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// 清单 Every model: method, version, threshold and what it stands for, owner, data it was fitted on
    List(Models),
    /// 评分 Scores series in files by a model, as the engine would score them
    ///
    /// For each CSV file a file of the same relative name under --out: the time as it stands in the input, anomaly_score
    /// from 0 to 1 (0.5 is the model's threshold) and alarm, one row per input row. A reading that is missing or no
    /// number scores 0. Columns named anomaly, changepoint, label or is_anomaly are labels and are not read.
    ///
    /// Example: forewarn model score ewma --series data/realKnownCause --out scores
    Score(Box<Score>),
    /// 拟合 Fits a scorecard to records before a day and writes its model file
    ///
    /// Example: forewarn model fit inspection_risk --rules rules/examples/chicago-food \
    ///   --records inspections=inspections.csv.gz visits=visits.csv.gz --until 2014-09-01 --out inspection_risk.yaml
    Fit(Fit),
    /// 评测 The model's benchmark beside what others published on the same data
    ///
    /// Reads <DIR>/nab (sensor_novelty), <DIR>/skab (sensor_group), <DIR>/chicago (inspection_risk) or <DIR>/counts
    /// (count_surge, farrington, ears_c1, ears_c2, ears_c3): data with labels, as the benchmarks publish them, `.gz` or
    /// not. Scores are those of `model score`, at the model's own threshold; a scorecard is fitted anew for each window on
    /// what was known before it.
    ///
    /// Example: forewarn model evaluate sensor_novelty --data data
    Evaluate(Evaluate),
}

#[derive(Debug, Args)]
pub(crate) struct Evaluate {
    /// The model's id
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Folder of benchmarks
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Where model files are
    #[command(flatten)]
    pub(crate) models: Models,
}

/// Where model files are.
#[derive(Debug, Args)]
pub(crate) struct Models {
    /// Folder of the models; `models` when there is one, and what it lacks is built in
    #[arg(long, value_name = "DIR")]
    pub(crate) models: Option<PathBuf>,
}

impl Models {
    /// The folder; it is there if it was named.
    pub(crate) fn folder(&self) -> Result<PathBuf, CliError> {
        super::replay::models(self.models.as_deref(), Path::new("models"))
    }
}

#[derive(Debug, Args)]
pub(crate) struct Fit {
    /// The model's id
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Files or folders of records, `.gz` accepted; SOURCE is a name of rules/sources
    #[arg(long, value_name = "SOURCE=PATH", num_args = 1.., required = true)]
    pub(crate) records: Vec<String>,
    /// Folder of the pack
    #[arg(long, value_name = "DIR", default_value = "rules")]
    pub(crate) rules: PathBuf,
    /// Records of this day and later are not used
    #[arg(long, value_name = "DATE")]
    pub(crate) until: String,
    /// Where the model file goes
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Where model files are
    #[command(flatten)]
    pub(crate) models: Models,
}

#[derive(Debug, Args)]
pub(crate) struct Score {
    /// The model's id
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// CSV files, or folders of them: time column first, then one or more value columns; `,` or `;` between them
    #[arg(long, value_name = "PATH", num_args = 1.., required_unless_present_any = ["counts", "records"])]
    pub(crate) series: Vec<PathBuf>,
    /// Series of counts instead: NDJSON {series, counts[]} or CSV series,t,count
    #[arg(long, value_name = "FILE", conflicts_with_all = ["series", "calibrate"])]
    pub(crate) counts: Option<PathBuf>,
    /// Records instead, for a scorecard: files or folders, `.gz` accepted; SOURCE is a name of rules/sources
    #[arg(long, value_name = "SOURCE=PATH", num_args = 1.., conflicts_with_all = ["series", "counts", "calibrate"],
        requires_all = ["targets", "key", "id", "date"])]
    pub(crate) records: Vec<String>,
    /// With --records: folder of the pack
    #[arg(long, value_name = "DIR", default_value = "rules")]
    pub(crate) rules: PathBuf,
    /// With --records: CSV of what is to be scored, from records dated strictly before each row's day
    #[arg(long, value_name = "CSV", requires = "records")]
    pub(crate) targets: Option<PathBuf>,
    /// Column of --targets that names the object
    #[arg(long, value_name = "COL", requires = "records")]
    pub(crate) key: Option<String>,
    /// Column of --targets that identifies the row; also the name of the first column of the output
    #[arg(long, value_name = "COL", requires = "records")]
    pub(crate) id: Option<String>,
    /// Column of --targets with the day
    #[arg(long, value_name = "COL", requires = "records")]
    pub(crate) date: Option<String>,
    /// Score every row as of this day instead
    #[arg(long, value_name = "DATE", requires = "records")]
    pub(crate) frozen: Option<String>,
    /// Print the points behind the score of the row with this id
    #[arg(long, value_name = "ID", requires = "records")]
    pub(crate) explain: Option<String>,
    /// With --counts: one count a day; without it one a week
    #[arg(long, requires = "counts")]
    pub(crate) daily: bool,
    /// Folder for the scores; with --counts or --records a file
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// The first N rows of each series may be used to calibrate; they score 0
    #[arg(long, value_name = "N")]
    pub(crate) calibrate: Option<u32>,
    /// Where model files are
    #[command(flatten)]
    pub(crate) models: Models,
}

pub(crate) fn run(command: &ModelCommand) -> Result<u8, CliError> {
    match command {
        ModelCommand::List(models) => {
            list(&read(&models.folder()?)?);
            Ok(0)
        }
        ModelCommand::Fit(fit) => risk::fit(fit),
        ModelCommand::Evaluate(evaluate) if evaluate.name == "inspection_risk" => {
            let own = evaluate.data.join("chicago");
            risk::evaluate(if own.is_dir() { &own } else { &evaluate.data })
        }
        ModelCommand::Score(score) if !score.records.is_empty() => risk::score(score),
        ModelCommand::Score(score) => {
            let model = one(&score.models, &score.name)?;
            match &score.counts {
                Some(counts) => counts::score(&model, counts, score.daily, &score.out),
                None => series::score(&model, &score.series, score.calibrate, &score.out),
            }
        }
        ModelCommand::Evaluate(evaluate) => {
            let model = one(&evaluate.models, &evaluate.name)?;
            print!("{}", evaluate::run(&model, &evaluate.data)?);
            Ok(0)
        }
    }
}

/// The model of a name.
fn one(models: &Models, name: &str) -> Result<ModelFile, CliError> {
    let mut models = read(&models.folder()?)?;
    models.remove(name).ok_or_else(|| {
        let names: Vec<&str> = models.keys().map(String::as_str).collect();
        CliError::Usage(format!("no model \"{name}\"; there are {}", names.join(", ")))
    })
}

/// A file's text; `.gz` or not is seen by its first bytes.
fn text(path: &Path) -> Result<String, CliError> {
    let wrong = |source| CliError::File { action: "read", path: path.to_owned(), source };
    let bytes = std::fs::read(path).map_err(wrong)?;
    let mut text = String::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        MultiGzDecoder::new(bytes.as_slice()).read_to_string(&mut text).map_err(wrong)?;
        return Ok(text);
    }
    bytes.as_slice().read_to_string(&mut text).map_err(wrong)?;
    Ok(text)
}

/// Scores must not take the place of what they are made of.
fn not_onto(input: &Path, output: &Path) -> Result<(), CliError> {
    match (input.canonicalize(), output.canonicalize()) {
        (Ok(a), Ok(b)) if a == b => {
            Err(CliError::Usage(format!("the scores would overwrite {}; give another --out", input.display())))
        }
        _ => Ok(()),
    }
}

/// Writes a file, and its folder when it is not there.
fn write(path: &Path, text: &str) -> Result<(), CliError> {
    if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|source| CliError::File {
            action: "create",
            path: folder.to_owned(),
            source,
        })?;
    }
    std::fs::write(path, text).map_err(|source| CliError::File { action: "write", path: path.to_owned(), source })
}

/// The model files of a folder, and those built in that it does not have.
fn read(folder: &Path) -> Result<BTreeMap<String, ModelFile>, CliError> {
    let mut files = BTreeMap::new();
    if folder.is_dir() {
        let wrong = |source| CliError::File { action: "read", path: folder.to_owned(), source };
        for entry in std::fs::read_dir(folder).map_err(wrong)? {
            let path = entry.map_err(wrong)?.path();
            if path.extension().is_some_and(|e| e == "yaml") {
                let text = std::fs::read_to_string(&path).map_err(|source| CliError::File {
                    action: "read",
                    path: path.clone(),
                    source,
                })?;
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                files.insert(format!("models/{name}"), text);
            }
        }
    }
    let pack = Pack::read(Body::with_defaults(files)).map_err(|findings| {
        let first = findings.first().map_or_else(String::new, |f| format!("{}: {}", f.place.file, f.message));
        CliError::Usage(format!("{first}; `forewarn check {}` says more", folder.display()))
    })?;
    Ok(pack.models)
}

fn list(models: &BTreeMap<String, ModelFile>) {
    for model in models.values() {
        println!("{:<16}{} ({}, version {})", model.id, model.name, model.method, model.version);
        if let Some(threshold) = model.threshold {
            let stands = model.false_alarms.as_deref().unwrap_or("-");
            println!("{:<16}阈值 threshold {threshold}: {stands}", "");
        }
        println!("{:<16}负责 owner {}; 数据 fitted on {}", "", model.owner, model.fitted_on);
        println!("{:<16}出处 source {}", "", model.source);
    }
}
