//! Opens the port and answers until it is told to stop.

use super::routes::{Shared, router};
use super::state::Console;
use crate::metrics::Metrics;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// Why there is no console.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// Anybody on the network could read warnings: there is no login yet.
    #[error(
        "the console has no login yet and answers on loopback only; {address} is not loopback (use 127.0.0.1, or a tunnel)"
    )]
    NotLoopback {
        /// What was asked for.
        address: SocketAddr,
    },
    /// The port is taken or not allowed.
    #[error("could not open {address}")]
    Bind {
        /// What was asked for.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The thread or its runtime could not be made.
    #[error("could not start the console's thread")]
    Thread {
        /// Why.
        source: io::Error,
    },
}

/// What `/readyz` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// True when records are read, judged and committed.
    pub ready: bool,
    /// Why not, in plain words.
    pub reasons: Vec<String>,
}

/// Asks the caller whether the process is ready; asked at every `/readyz`, so it must be quick.
#[derive(Clone)]
pub struct Readiness(Arc<dyn Fn() -> Ready + Send + Sync>);

impl Readiness {
    /// Asks this closure.
    pub fn new(ask: impl Fn() -> Ready + Send + Sync + 'static) -> Readiness {
        Readiness(Arc::new(ask))
    }

    pub(super) fn ask(&self) -> Ready {
        (self.0)()
    }
}

/// A console that answers; it stops when this is dropped.
pub struct Running {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Where it answers (the port that was chosen when 0 was asked for).
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every connection and waits for the thread.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(stop) = self.stop.take()
            && stop.send(()).is_err()
        {
            tracing::debug!("the console's thread had ended already");
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the console's thread panicked");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// Opens the port and answers on a thread of its own, which owns a runtime of its own: a slow page never holds up a
/// commit.
///
/// # Errors
/// [`ConsoleError::NotLoopback`] for an address that others could reach, [`ConsoleError::Bind`] when the port is
/// taken.
pub fn start(
    address: SocketAddr,
    console: Console,
    metrics: Arc<Metrics>,
    readiness: Readiness,
) -> Result<Running, ConsoleError> {
    if !address.ip().is_loopback() {
        return Err(ConsoleError::NotLoopback { address });
    }
    let bind = |source| ConsoleError::Bind { address, source };
    let listener = TcpListener::bind(address).map_err(bind)?;
    listener.set_nonblocking(true).map_err(bind)?;
    let address = listener.local_addr().map_err(bind)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| ConsoleError::Thread { source })?;
    let (stop, stopped) = oneshot::channel();
    let app = router(Shared { console, metrics, readiness });
    let thread = std::thread::Builder::new()
        .name("console".into())
        .spawn(move || {
            runtime.block_on(async move {
                let listener = match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => listener,
                    Err(error) => {
                        tracing::error!(%error, "the console could not listen");
                        return;
                    }
                };
                tokio::select! {
                    served = async { axum::serve(listener, app).await } => {
                        if let Err(error) = served {
                            tracing::error!(%error, "the console stopped");
                        }
                    }
                    // Streams of events never end by themselves: the runtime is dropped with them.
                    _ = stopped => {}
                }
            });
        })
        .map_err(|source| ConsoleError::Thread { source })?;
    Ok(Running { address, stop: Some(stop), thread: Some(thread) })
}
