//! The monitoring centre's page and its API.
//!
//! In: warning documents (`Console::publish`), committed ones only; the standing of the engine (`Console::standing`).
//! Out: a web page in Chinese and English, a JSON API, a stream of events, `/metrics`, `/healthz`, `/readyz`.
//! Promise: loopback only, until there is a login; bounded memory; a page that lost its connection misses no change
//! (it gets the missed ones, or is told to load anew). At least once: a change that is published twice is shown once.
//! Not here: what a warning says (`response`), who else gets it (`deliver`). This is the only folder that names axum.

mod document;
mod page;
mod routes;
mod server;
mod state;
mod stream;

pub use server::{ConsoleError, Readiness, Ready, Running, start};
pub use state::{Console, Limits, Standing};
