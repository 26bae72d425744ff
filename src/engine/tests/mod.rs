//! What the engine promises, shown on logs of frames made by hand: no Kafka, no files, no sleep.
//!
//! `rules` is the pack that all of them run, with every kind of indicator; `drive` makes logs out of data and runs
//! engines over them; `properties` holds for any log; `named` for one story each; `pure` reads the source texts.

mod drive;
mod named;
mod properties;
mod pure;
mod rules;
