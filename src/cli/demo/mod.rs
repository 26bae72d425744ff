//! `demo`: the whole engine on one machine, fed by a city that does not exist.
//!
//! In: a seed and a speed. Out: warnings on the console's page within seconds, and files under `--out`.
//! Here: the city. Not here: the engine and its log, which know nothing of a demo.

pub mod city;
