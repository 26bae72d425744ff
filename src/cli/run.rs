//! `forewarn run`: intake, engine and console by a settings file.

use super::CliError;
use super::topics::System;
use crate::clock::now_ms;
use crate::config::Settings;
use crate::console::{Console, Limits, Readiness, Ready, Standing, start};
use crate::intake;
use crate::log::kafka::{
    EngineOptions, Engines, IntakeOptions, Mapping, OpenWarnings, RaiseAtEnd, follow_warnings, read_packs, run_engine,
    run_intake, told,
};
use crate::log::{Clock, LogError};
use crate::metrics::Metrics;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Settings file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Which parts to run here
    #[arg(long, value_enum, default_value_t = Role::All)]
    pub(crate) role: Role,
    /// Name of this instance in the transactional ids; the host name when absent, and never the same twice
    #[arg(long, value_name = "NAME")]
    pub(crate) slot: Option<String>,
    /// Start although no usable snapshot reaches back to where the log begins: windows of that time are lost
    #[arg(long)]
    pub(crate) accept_lost_state: bool,
}

/// The parts of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Everything
    All,
    /// Raw topics to log
    Intake,
    /// Log to warnings
    Engine,
    /// Page and API
    Console,
}

pub(crate) fn run(args: &RunArgs) -> Result<u8, CliError> {
    let settings = Settings::read(&args.config, args.slot.as_deref()).map_err(CliError::stage)?;
    if settings.kafka.is_none() {
        return super::embedded::run(args, &settings);
    }
    let System { settings, client, form } = System::open(&args.config, args.slot.as_deref())?;
    let does = |role| args.role == Role::All || args.role == role;
    if does(Role::Intake) && settings.secret.is_empty() {
        return Err(CliError::Usage(format!(
            "{} has no `secret:`; write `secret: file:<path>` or `env:<VARIABLE>`, the same on every instance: it \
             replaces person ids",
            args.config.display()
        )));
    }
    tracing::info!(slot = settings.slot, version = env!("CARGO_PKG_VERSION"), "starts");
    let packs = read_packs(&client).map_err(CliError::stage)?;
    match packs.log {
        Some(found) => {
            if let Some(what) = found.differs(form) {
                return Err(CliError::Usage(format!("the log: {what}; `forewarn topics check` shows more")));
            }
        }
        None => {
            let what = "日志尚未建立 the log was not made; run `forewarn topics create`";
            return Err(CliError::Usage(what.to_owned()));
        }
    }
    let metrics = Arc::new(Metrics::new());
    let every = u64::try_from(settings.snapshot_every.millis()).unwrap_or(u64::MAX);
    let engines = Engines::new(&client, form.partitions, &settings.snapshots, Arc::clone(&metrics));
    let engines = Arc::new(engines.snapshot_every(Duration::from_millis(every)).budget(settings.partition_memory));
    let console = Console::new(Limits::default(), &format!("{}-{}", settings.slot, now_ms()));
    let asked = Arc::clone(&engines);
    let (judges, retention) = (does(Role::Engine), settings.log.retention.millis());
    let readiness = Readiness::new(move || {
        let reasons = if judges { asked.unready(form.clock, retention) } else { Vec::new() };
        Ready { ready: reasons.is_empty(), reasons }
    });
    let page = start(settings.listen, console.clone(), Arc::clone(&metrics), readiness).map_err(CliError::stage)?;
    println!("预警页面 page http://{} · 实例 slot {}", page.address(), settings.slot);

    let stop = AtomicBool::new(false);
    // The first thing that ends ends the rest, by a panic too.
    let part = |name: &'static str, work: &dyn Fn() -> Result<(), LogError>| {
        let _end = RaiseAtEnd(&stop);
        told(|| name.to_owned(), work).inspect_err(|error| tracing::error!(part = name, %error, "stopped"))
    };
    let part = &part;
    let open = Mutex::new(OpenWarnings::default());
    let results = std::thread::scope(|scope| {
        scope.spawn(|| {
            if let Err(error) = wait_for_signal(&stop) {
                tracing::error!(%error, "signals cannot be heard; a kill is safe at any time");
            }
        });
        let mut parts = Vec::new();
        if does(Role::Intake) {
            let records = form.clock == Clock::Records;
            let tick = if records { Duration::from_millis(2) } else { Duration::from_millis(200) };
            let options = IntakeOptions {
                partitions: form.partitions,
                after_activate: true,
                to_ends: records,
                tick,
                ..IntakeOptions::default()
            };
            let mapping =
                intake::Options { partitions: form.partitions, clock: form.clock, secret: settings.secret.clone() };
            let (client, metrics, stop) = (&client, &metrics, &stop);
            parts.push(scope.spawn(move || {
                part("intake", &|| {
                    run_intake(client, options, metrics, stop, &mut Mapping::new(client, mapping.clone()))
                })
            }));
        }
        if does(Role::Engine) {
            let options = EngineOptions { accept_lost_state: args.accept_lost_state, ..EngineOptions::default() };
            let (client, metrics, stop, engines) = (&client, &metrics, &stop, &engines);
            parts.push(scope.spawn(move || {
                part("engine", &|| run_engine(client, options, metrics, stop, |partition| engines.step(partition)))
            }));
            scope.spawn(move || {
                let _end = RaiseAtEnd(stop);
                engines.watch(stop);
            });
        }
        scope.spawn(|| {
            let _end = RaiseAtEnd(&stop);
            // The page is a reader like others: without it records are still judged.
            while !stop.load(Ordering::Relaxed) {
                let followed = follow_warnings(&client, &stop, |document| {
                    open.lock().expect("no panic under this lock").take(document);
                    console.publish(document);
                });
                if let Err(error) = followed {
                    tracing::error!(%error, "the page does not hear the warnings");
                    std::thread::sleep(Duration::from_secs(1));
                }
            }
        });
        scope.spawn(|| {
            let _end = RaiseAtEnd(&stop);
            while !stop.load(Ordering::Relaxed) {
                let log_time = engines.log_time();
                #[expect(clippy::cast_precision_loss, reason = "a lag in seconds needs no more than 52 bits")]
                let lag_seconds = log_time.map_or(0.0, |at| (now_ms() - at) as f64 / 1_000.0);
                metrics.log_time_lag(lag_seconds);
                metrics.warnings_open(&open.lock().expect("no panic under this lock").counts(&engines.partitions()));
                console.standing(Standing { log_time, lag_seconds, records: metrics.came_in() });
                std::thread::sleep(Duration::from_millis(500));
            }
        });
        let ended = |part: ScopedJoinHandle<'_, _>| part.join().expect("a panic is told as an error");
        parts.into_iter().map(ended).collect::<Vec<_>>()
    });
    page.stop();
    results.into_iter().collect::<Result<Vec<()>, LogError>>().map_err(CliError::stage)?;
    println!("已停止 stopped");
    Ok(0)
}

/// Sets `stop` at Ctrl-C or SIGTERM; ends when it is set by others.
pub(super) fn wait_for_signal(stop: &AtomicBool) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let tasks = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tasks.block_on(async {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let mut look = tokio::time::interval(Duration::from_millis(100));
        while !stop.load(Ordering::Relaxed) {
            tokio::select! {
                _ = interrupt.recv() => stop.store(true, Ordering::Relaxed),
                _ = terminate.recv() => stop.store(true, Ordering::Relaxed),
                _ = look.tick() => {}
            }
        }
        Ok(())
    })
}
