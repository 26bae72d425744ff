//! `forewarn test`: the test files beside the rules.
//!
//! In: pack folders, industry folders or single test files. Out: a line a file; for a failed test what was expected
//! beside what was found. Exit code 1 when a test failed.

use super::CliError;
use super::check::{human, models_of, pack_of};
use super::replay::load;
use crate::log::{Delivery, RuleTests};
use crate::pack::TestFile;
use clap::Args;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// Pack folders, industry folders or single `.test.yaml` files
    #[arg(value_name = "PATH", default_value = "rules")]
    pub(crate) paths: Vec<PathBuf>,
}

pub(crate) fn run(args: &TestArgs) -> Result<u8, CliError> {
    let mut packs: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    for path in &args.paths {
        if !path.exists() {
            return Err(CliError::Usage(format!("{} does not exist", path.display())));
        }
        let files = packs.entry(pack_of(path)).or_default();
        collect(path, files)?;
        files.sort();
        files.dedup();
    }
    let (mut passed, mut failed) = (0, 0);
    for (root, files) in packs {
        let pack = load(&root, &models_of(&root))?;
        let tests = RuleTests::new(Arc::new(pack)).map_err(CliError::stage)?;
        for file in files {
            let (good, bad) = one(&tests, &file)?;
            passed += good;
            failed += bad;
        }
    }
    if passed + failed == 0 {
        return Err(CliError::Usage("no test file was found; they are called <indicator>.test.yaml".to_owned()));
    }
    println!("{passed} passed, {failed} failed");
    Ok(u8::from(failed > 0))
}

/// Runs a file and prints what came of it.
fn one(tests: &RuleTests, path: &Path) -> Result<(usize, usize), CliError> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|source| CliError::File {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    let file = match TestFile::read(&shown.to_string(), &text) {
        Ok(file) => file,
        Err(findings) => {
            println!("failed  {shown}");
            findings.iter().for_each(|f| println!("{}", human(f, &shown.to_string(), &text, false)));
            return Ok((0, findings.len()));
        }
    };
    let mut failures = Vec::new();
    for test in &file.tests {
        match tests.run(&file.indicator, test, Delivery::PLAIN) {
            Ok(verdict) if verdict.passed() => {}
            Ok(verdict) => failures.push((test, verdict.timeline())),
            Err(error) => failures.push((test, format!("      {error}\n"))),
        }
    }
    println!("{}  {shown}  {} tests", if failures.is_empty() { "ok    " } else { "failed" }, file.tests.len());
    for (test, timeline) in &failures {
        println!("   {shown}:{} {}\n{timeline}", test.line, test.name);
    }
    Ok((file.tests.len() - failures.len(), failures.len()))
}

/// The test files of a path; those of examples belong to the packs of the examples.
pub(crate) fn collect(path: &Path, into: &mut Vec<PathBuf>) -> Result<(), CliError> {
    if !path.is_dir() {
        // A rule stands for its tests.
        let rule = path.to_string_lossy().ends_with(".yaml") && !path.to_string_lossy().ends_with(".test.yaml");
        into.push(if rule { path.with_extension("test.yaml") } else { path.to_owned() });
        return Ok(());
    }
    let failed = |source| CliError::File { action: "read", path: path.to_owned(), source };
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?.path();
        let name = entry.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if entry.is_dir() && name != "examples" {
            collect(&entry, into)?;
        } else if name.ends_with(".test.yaml") {
            into.push(entry);
        }
    }
    Ok(())
}
