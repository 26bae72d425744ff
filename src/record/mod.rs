//! The kinds of record and what each is made of: columns, types, checks, keys.
//!
//! In: nothing. Out: constant tables that intake decodes by, rules are checked against and frames are laid out by.
//! Promise: a column has one name, one type and one meaning everywhere: in JSON, in files, in SQL and in evidence.
//! Not here: reading bytes (`intake`), what a value means for risk (`rules/`).

mod column;
mod enrichment;
mod envelope;
mod feedback;
mod inspection;
mod iot;
mod key;
mod kind;
mod level;
mod licensing;
mod registry;
mod signal;
mod supervision;
pub mod time;
mod units;
mod uscc;

pub use column::{Check, Column, Personal, Required, Type};
pub use enrichment::ENRICHMENT;
pub use envelope::ENVELOPE;
pub use key::{hash_text, key_hash, partition, warning_hash};
pub use kind::{Kind, columns, words};
pub use level::Level;
pub use signal::{SIGNAL, VALUE};
pub use time::Millis;
pub use units::{SENSOR_TYPES, SensorType, convert, is_normal};
pub use uscc::{Uscc, UsccError};
