//! The command line: prints errors, decides nothing.

use clap::Parser;
use forewarn::cli::{Cli, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    end_quietly_when_nobody_reads();
    match run(Cli::parse()) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error}");
            let mut cause = std::error::Error::source(&error);
            while let Some(next) = cause {
                eprintln!("  because: {next}");
                cause = next.source();
            }
            ExitCode::from(error.exit_code())
        }
    }
}

/// `forewarn check | head`: a reader who has read enough is no fault of ours. `println!` panics then; this ends instead.
fn end_quietly_when_nobody_reads() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let said = panic.payload_as_str().unwrap_or_default();
        if said.starts_with("failed printing to std") && said.contains("Broken pipe") {
            std::process::exit(0);
        }
        usual(panic);
    }));
}
