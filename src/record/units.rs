//! Sensor types, their normal units, and conversion into them.

/// A quantity that sensors measure.
#[derive(Clone, Copy, Debug)]
pub struct SensorType {
    /// Word used in records.
    pub word: &'static str,
    /// Normal unit; empty for none.
    pub unit: &'static str,
    /// Smallest and largest plausible value in the normal unit.
    pub range: (f64, f64),
}

/// All sensor types.
pub const SENSOR_TYPES: &[SensorType] = &[];

/// Converts a value into another unit; `None` when the units do not fit together.
#[must_use]
pub fn convert(_value: f64, _from: &str, _to: &str) -> Option<f64> {
    None
}
