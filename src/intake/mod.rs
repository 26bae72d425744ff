//! Turns what departments send into clean, enriched rows with a key: decode, validate, mask, enrich, route.
//!
//! In: the bytes of messages and files. Out: Arrow rows per log partition and key space, and a dead letter for every
//! record that did not become a row: a pointer with a reason, never the payload.
//! Promise: records in = rows + dead letters, whatever the bytes; a bad record never costs its neighbours; no personal
//! data goes further than this stage; the same bytes give the same rows however they are cut into batches.
//! Not here: reading topics and files, writing the log (`log`), counting rows as late or duplicate (`engine`).

mod columns;
mod csv;
mod decode;
mod json;
mod mapper;
mod mask;
mod registry;
mod route;
mod shown;
mod text;
mod validate;

#[cfg(test)]
mod tests;

pub(crate) use csv::table;
pub use mapper::{MapError, Mapped, Mapper, Message, Options, kind_of, row_schema};
pub use mask::Fingerprint;
pub use registry::Registry;
pub use route::{Routed, Router, block_schema};
pub use shown::{Shown, shown};
