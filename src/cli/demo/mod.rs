//! `demo`: the whole engine on one machine, fed by a city that does not exist.
//!
//! In: a seed and a speed. Out: warnings on the console's page within seconds, and files under `--out`.
//! The city goes through the same intake, log and engine as production, in log time that is city time; there is no
//! broker. Records enter in steps of equal city time, so that a seed gives the same warnings on a slow machine too.
//! Here: the wiring. Not here: the engine and its log, which know nothing of a demo.

mod city;
mod inlet;
mod pack;
mod terminal;

use super::CliError;
use super::gauges::Gauges;
use super::replay::{may_replace, print_summary, write_body};
use crate::clock::{Stopwatch, now_ms};
use crate::console::{self, Console, Limits, Readiness, Ready, Running, Standing};
use crate::deliver::files::Lengths;
use crate::deliver::for_centre;
use crate::engine::ChangeKind;
use crate::intake::Options;
use crate::log::{Clock, Durable, Embedded, OutcomeFiles, Stamp, Step, Store};
use crate::metrics::{CommitEnd, Metrics};
use crate::record::{Millis, time};
use crate::response::PackRef;
use city::{City, Record, START};
use clap::Args;
use inlet::Inlet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use terminal::Terminal;

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// End by itself after so long, with a summary; runs until Ctrl-C when absent
    #[arg(long = "for", value_name = "DUR", value_parser = super::duration)]
    pub(crate) length: Option<Duration>,
    /// City seconds per second
    #[arg(long, value_name = "X", default_value_t = terminal::speed())]
    pub(crate) speed: f64,
    /// The same seed gives the same city, the same records and the same warnings
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Where the console page listens; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// Folder for the log, the raw messages and the outcomes; those of an earlier run in it are removed
    #[arg(long, value_name = "DIR", default_value = "out/demo")]
    pub(crate) out: PathBuf,
}

/// The secret of a demo: there are no real persons in it, and a seed must give the same bytes.
const SECRET: &[u8] = b"demo";
/// Wall time of a step.
const STEP: Duration = Duration::from_millis(50);
/// The one mark that moves log time.
const MARK: &str = "demo/0";
/// Messages of the registry and the history that enter at once.
const CHUNK: usize = 2_048;
/// Figures of the page and the metrics are brought up to date this often.
const REFRESH: Duration = Duration::from_millis(250);
/// Files are brought to the disk this often.
const SYNC: Duration = Duration::from_secs(2);

pub(crate) fn run(args: &DemoArgs) -> Result<u8, CliError> {
    let watch = Stopwatch::start();
    if !(0.1..=100_000.0).contains(&args.speed) {
        return Err(CliError::Usage(format!("--speed {} is not between 0.1 and 100000", args.speed)));
    }
    may_replace(&args.out)?;
    let stop = on_interrupt();
    let metrics = Arc::new(Metrics::new());
    let console = Console::new(Limits::default(), &format!("{:x}", now_ms()));
    let ready = Arc::new(AtomicBool::new(false));
    // The page answers while the city is still being built.
    let page = serve(args.listen, &console, &metrics, &ready)?;
    println!("监测中心页面 page: http://{}/    metrics: http://{}/metrics", page.address(), page.address());
    let (pack, built_in) = pack::load()?;
    clear(&args.out)?;
    let pack = Arc::new(pack);
    metrics.pack(1, &pack.hash);
    let options = Options { partitions: 1, clock: Clock::Wall, secret: SECRET.to_vec() };
    let store = Store::open(&args.out.join("log"), Durable::AtEnd).map_err(CliError::stage)?;
    write_body(&args.out, &pack)?;
    let head = PackRef { version: 1, hash: pack.hash.clone() };
    let mut demo = Demo {
        run: Embedded::new(pack.clone(), &options, vec![MARK.to_owned()], store).map_err(CliError::stage)?,
        inlet: Inlet::new(&pack, &args.out, &options)?,
        files: OutcomeFiles::open(&args.out, Lengths::default(), head).map_err(CliError::stage)?,
        city: City::new(args.seed),
        gauges: Gauges::new(metrics.clone()),
        terminal: Terminal::new(),
        metrics,
        console,
        watch,
        end: args.length,
        stop,
        speed: args.speed,
        records: 0,
        raised: 0,
    };
    demo.terminal.say(&format!(
        "{} 项指标 indicators ({}), {} 个监管对象 objects, 种子 seed {}, 速度 speed {}x",
        pack.indicators.len(),
        if built_in { "built in" } else { "rules/" },
        demo.city.len(),
        args.seed,
        args.speed
    ));
    let mut at = START;
    if demo.load()? {
        ready.store(true, Ordering::Relaxed);
        at = demo.live()?;
    }
    demo.finish(at, &args.out)?;
    page.stop();
    Ok(0)
}

struct Demo {
    run: Embedded,
    inlet: Inlet,
    files: OutcomeFiles,
    city: City,
    gauges: Gauges,
    terminal: Terminal,
    metrics: Arc<Metrics>,
    console: Console,
    watch: Stopwatch,
    end: Option<Duration>,
    stop: Arc<AtomicBool>,
    speed: f64,
    records: u64,
    raised: u64,
}

impl Demo {
    fn over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.end.is_some_and(|end| self.watch.elapsed() >= end)
    }

    /// The registry, then the history; false when it was ended meanwhile.
    fn load(&mut self) -> Result<bool, CliError> {
        let registry: Vec<Record> = self.city.registry().collect();
        let history = self.city.history();
        // Log time stands still until both are in: nothing is due while the registry is not whole.
        let begin = START - 30 * 60_000;
        for (what, records) in [("名录 registry", registry), ("历史 history", history)] {
            for (n, chunk) in records.chunks(CHUNK).enumerate() {
                if self.over() {
                    return Ok(false);
                }
                self.terminal.loading(what, n * CHUNK, records.len());
                self.step(chunk, begin, START)?;
            }
        }
        self.refresh(START, START);
        Ok(true)
    }

    /// The city lives until it is ended; gives the city time reached.
    fn live(&mut self) -> Result<Millis, CliError> {
        let speed = self.speed;
        self.terminal.say(&format!("城市开始运行 the city is live after {:.1} s", self.watch.seconds()));
        let step = ((STEP.as_secs_f64() * speed * 1000.0).round() as Millis).max(1);
        let mut at = START;
        let mut clock = Stopwatch::start();
        let (mut refreshed, mut synced) = (Stopwatch::start(), Stopwatch::start());
        // City time at which `clock` began.
        let mut from = START;
        while !self.over() {
            let due = from + (clock.seconds() * speed * 1000.0) as Millis;
            if at + step > due {
                std::thread::sleep(STEP / 5);
            } else {
                let records = self.city.next(at + step);
                // Everything up to `at` has been read; the rows behind the stamp are the next step's.
                self.step(&records, at, at + step)?;
                at += step;
                if due - at > 20 * step {
                    // This machine is slower than the city: the city waits, so that nothing is skipped or piled up.
                    from = at;
                    clock = Stopwatch::start();
                }
            }
            if refreshed.elapsed() >= REFRESH {
                let seconds = refreshed.lap().as_secs_f64();
                let before = self.files.summary.records.total.incoming;
                self.refresh(at, from + (clock.seconds() * speed * 1000.0) as Millis);
                self.terminal.live(at, (before - self.records) as f64 / seconds, self.gauges.open());
                self.records = before;
            }
            if synced.elapsed() >= SYNC {
                synced.lap();
                self.inlet.flush()?;
                self.files.sync().map_err(CliError::stage)?;
            }
        }
        // What the last step's rows lead to at their own time.
        self.step(&[], at, at)?;
        Ok(at)
    }

    /// One commit: messages behind a stamp.
    fn step(&mut self, records: &[Record], mark: Millis, wall: Millis) -> Result<(), CliError> {
        let taken = self.inlet.take(records, wall, &self.metrics)?;
        self.gauges.taken(&taken.seen, &taken.dead_letters);
        self.files.intake(&taken.seen, &taken.dead_letters).map_err(CliError::stage)?;
        let stamp = Stamp { wall, marks: [(MARK.to_owned(), mark)].into(), blind: Vec::new() };
        let watch = Stopwatch::start();
        let engine = self.run.engine_seconds;
        let step = self.run.commit(&stamp, &taken.rows, &taken.positions).map_err(CliError::stage)?;
        self.metrics.engine_frame(self.run.engine_seconds - engine);
        self.metrics.commit("engine", CommitEnd::Confirmed, watch.seconds());
        self.outcomes(&step, watch)
    }

    fn outcomes(&mut self, step: &Step, since: Stopwatch) -> Result<(), CliError> {
        self.files.outcomes(step).map_err(CliError::stage)?;
        self.gauges.committed(&self.run, step);
        for warning in step.warnings.iter().filter(|w| !w.shadow) {
            let document = serde_json::to_value(for_centre(warning)).map_err(CliError::stage)?;
            self.console.publish(&document);
            self.metrics.warning_delay(since.seconds());
            if warning.kind == ChangeKind::Raised {
                self.raised += 1;
                if self.raised == 1 {
                    self.terminal.say(&format!(
                        "第一条预警已上页面 the first warning is on the page {:.1} s after the start",
                        self.watch.seconds()
                    ));
                }
                let region = warning.subject.region.as_ref().map_or("371100", |r| r.code.as_str());
                let lead = &warning.departments.lead.id;
                self.city.answer(
                    &warning.id,
                    lead,
                    region,
                    &warning.industry.id,
                    warning.level,
                    warning.found.millis(),
                );
            }
            self.terminal.change(warning);
        }
        Ok(())
    }

    fn refresh(&mut self, at: Millis, due: Millis) {
        // In seconds that people wait: at 300 x a step alone is a quarter of a minute of city time.
        let lag_seconds = (due - at).max(0) as f64 / 1000.0 / self.speed;
        self.gauges.standing(&self.run, lag_seconds);
        let records = self.files.summary.records.total.incoming;
        self.console.standing(Standing { log_time: self.run.log_time(), lag_seconds, records });
    }

    fn finish(&mut self, at: Millis, out: &Path) -> Result<(), CliError> {
        let step = self.run.finish().map_err(CliError::stage)?;
        self.outcomes(&step, Stopwatch::start())?;
        self.inlet.flush()?;
        self.refresh(at, at);
        self.terminal.clear();
        let summary = self.files.finish(&self.run, self.watch.seconds()).map_err(CliError::stage)?;
        summary.check().map_err(CliError::stage)?;
        print_summary(&summary, out);
        self.terminal.plan(&self.city.incidents(), at);
        println!("  城市时间 city time {}", time::rfc3339(at));
        Ok(())
    }
}

fn serve(
    listen: SocketAddr,
    console: &Console,
    metrics: &Arc<Metrics>,
    ready: &Arc<AtomicBool>,
) -> Result<Running, CliError> {
    let asked = ready.clone();
    let readiness = Readiness::new(move || {
        let ready = asked.load(Ordering::Relaxed);
        Ready { ready, reasons: if ready { vec![] } else { vec!["the city is still being loaded".to_owned()] } }
    });
    console::start(listen, console.clone(), metrics.clone(), readiness).map_err(CliError::stage)
}

/// Removes what an earlier run left in the folder, and nothing else.
fn clear(out: &Path) -> Result<(), CliError> {
    for name in ["log", "raw", "warnings.jsonl", "signals.jsonl", "dead-letters.jsonl", "summary.json"] {
        let path = out.join(name);
        let done = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        match done {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(CliError::File { action: "remove", path, source });
            }
            _ => {}
        }
    }
    Ok(())
}

/// True from the first Ctrl-C on: the run ends with its summary. The second one ends the process at once.
fn on_interrupt() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let set = stop.clone();
    std::thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
            tracing::warn!("Ctrl-C ends the demo without its summary");
            return;
        };
        runtime.block_on(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                set.store(true, Ordering::Relaxed);
            }
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(130);
            }
        });
    });
    stop
}
