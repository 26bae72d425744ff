//! Sensor types, their normal units, and conversion into them.
//!
//! In: a number and the unit it was sent in. Out: the number in the normal unit of its sensor type, or nothing when the
//! two measure different things. Promise: no guess. `%` alone is never taken for a share of an explosion limit.
//! Not here: limits of risk (`rules/`); the ranges only say what no sensor can have measured.

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

const fn sensor(word: &'static str, unit: &'static str, low: f64, high: f64) -> SensorType {
    SensorType { word, unit, range: (low, high) }
}

/// All sensor types of the handbook (6.0). The ranges are conventions: wide enough for any real reading, narrow enough
/// to catch a wrong unit or a sentinel.
pub const SENSOR_TYPES: &[SensorType] = &[
    sensor("temp_c", "Cel", -100.0, 2000.0),
    sensor("humidity_rh", "%RH", 0.0, 100.0),
    sensor("gas_lel", "%LEL", 0.0, 100.0),
    sensor("toxic_oel", "%OEL", 0.0, 5000.0),
    sensor("o2_vol", "%VOL", 0.0, 100.0),
    sensor("pressure_mpa", "MPa", 0.0, 150.0),
    sensor("level_pct", "%", 0.0, 150.0),
    sensor("flow_m3h", "m3/h", 0.0, 1e6),
    sensor("wind_ms", "m/s", 0.0, 120.0),
    sensor("moment_pct", "%", 0.0, 300.0),
    sensor("weight_pct", "%", 0.0, 300.0),
    sensor("tilt_permille", "‰", -1000.0, 1000.0),
    sensor("settle_mm", "mm", -10_000.0, 10_000.0),
    sensor("disp_mm", "mm", -10_000.0, 10_000.0),
    sensor("pm10_ugm3", "ug/m3", 0.0, 20_000.0),
    sensor("noise_dba", "dB(A)", 0.0, 180.0),
    sensor("ppv_cms", "cm/s", 0.0, 1000.0),
    sensor("visitors", "", 0.0, 1e7),
    sensor("al_ratio", "", 0.0, 10.0),
    sensor("dispense_l", "L", 0.0, 1e7),
    sensor("tank_l", "L", 0.0, 1e8),
    sensor("smoke_m1", "m-1", 0.0, 100.0),
    sensor("nox_ppm", "ppm", 0.0, 100_000.0),
    sensor("urea_pct", "%", 0.0, 100.0),
    sensor("power_kw", "kW", -1e6, 1e6),
    sensor("door", "", 0.0, 1.0),
    sensor("lift_fault", "", 0.0, 1e6),
    sensor("lift_trap", "", 0.0, 1e4),
    sensor("gps", "km/h", 0.0, 400.0),
    sensor("heartbeat", "", 0.0, 1e15),
    // A plain number whose quantity nobody states (public series).
    sensor("index", "", -1e15, 1e15),
];

/// What a unit measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantity {
    Temperature,
    RelativeHumidity,
    ExplosionLimit,
    ExposureLimit,
    VolumeShare,
    Percent,
    Pressure,
    Flow,
    Speed,
    Slope,
    Length,
    Concentration,
    Sound,
    Volume,
    Extinction,
    Power,
    Count,
}

/// Quantity, factor and offset to the quantity's base unit: base = value * factor + offset.
fn unit(text: &str) -> Option<(Quantity, f64, f64)> {
    use Quantity as Q;
    Some(match text {
        "Cel" | "℃" | "°C" | "degC" | "C" => (Q::Temperature, 1.0, 0.0),
        "K" => (Q::Temperature, 1.0, -273.15),
        "[degF]" | "degF" | "℉" | "°F" => (Q::Temperature, 5.0 / 9.0, -160.0 / 9.0),
        "%RH" | "RH%" => (Q::RelativeHumidity, 1.0, 0.0),
        "%LEL" | "LEL%" => (Q::ExplosionLimit, 1.0, 0.0),
        "%OEL" | "OEL%" => (Q::ExposureLimit, 1.0, 0.0),
        "%VOL" | "%vol" | "VOL%" | "vol%" | "%Vol" => (Q::VolumeShare, 1.0, 0.0),
        "ppm" | "[ppm]" => (Q::VolumeShare, 1e-4, 0.0),
        "ppb" | "[ppb]" => (Q::VolumeShare, 1e-7, 0.0),
        "%" | "pct" => (Q::Percent, 1.0, 0.0),
        "MPa" => (Q::Pressure, 1.0, 0.0),
        "kPa" | "KPa" => (Q::Pressure, 1e-3, 0.0),
        "Pa" => (Q::Pressure, 1e-6, 0.0),
        "bar" => (Q::Pressure, 0.1, 0.0),
        "mbar" | "hPa" => (Q::Pressure, 1e-4, 0.0),
        "kgf/cm2" => (Q::Pressure, 0.098_066_5, 0.0),
        "m3/h" | "m³/h" | "Nm3/h" | "Nm³/h" => (Q::Flow, 1.0, 0.0),
        "m3/s" | "m³/s" => (Q::Flow, 3600.0, 0.0),
        "L/h" => (Q::Flow, 1e-3, 0.0),
        "L/min" => (Q::Flow, 0.06, 0.0),
        "L/s" => (Q::Flow, 3.6, 0.0),
        "m/s" => (Q::Speed, 1.0, 0.0),
        "cm/s" => (Q::Speed, 1e-2, 0.0),
        "mm/s" => (Q::Speed, 1e-3, 0.0),
        "km/h" => (Q::Speed, 1.0 / 3.6, 0.0),
        "‰" | "permille" | "mm/m" | "[ppth]" => (Q::Slope, 1.0, 0.0),
        "mm" => (Q::Length, 1.0, 0.0),
        "cm" => (Q::Length, 10.0, 0.0),
        "m" => (Q::Length, 1000.0, 0.0),
        "um" | "μm" | "µm" => (Q::Length, 1e-3, 0.0),
        "ug/m3" | "μg/m3" | "µg/m3" | "ug/m³" | "μg/m³" | "µg/m³" => (Q::Concentration, 1.0, 0.0),
        "mg/m3" | "mg/m³" => (Q::Concentration, 1000.0, 0.0),
        "dB(A)" | "dBA" | "dB[A]" => (Q::Sound, 1.0, 0.0),
        "L" | "l" | "升" => (Q::Volume, 1.0, 0.0),
        "mL" | "ml" => (Q::Volume, 1e-3, 0.0),
        "m3" | "m³" => (Q::Volume, 1000.0, 0.0),
        "m-1" | "1/m" | "m⁻¹" => (Q::Extinction, 1.0, 0.0),
        "kW" | "KW" => (Q::Power, 1.0, 0.0),
        "W" => (Q::Power, 1e-3, 0.0),
        "MW" => (Q::Power, 1000.0, 0.0),
        "" | "1" | "人" | "次" | "{person}" | "{count}" => (Q::Count, 1.0, 0.0),
        _ => return None,
    })
}

/// Converts a value into another unit; `None` when a unit is unknown or the two measure different things.
///
/// A plain `%` fits `%RH` and `%VOL`, whose sensor types measure nothing else in per cent; it never fits `%LEL` or
/// `%OEL`, which differ from a share of volume by a factor of twenty and more.
#[must_use]
pub fn convert(value: f64, from: &str, to: &str) -> Option<f64> {
    if from == to {
        return Some(value);
    }
    let (source, factor, offset) = unit(from)?;
    let (target, to_factor, to_offset) = unit(to)?;
    let fits = source == target
        || (source == Quantity::Percent && matches!(target, Quantity::RelativeHumidity | Quantity::VolumeShare));
    if !fits {
        return None;
    }
    if offset == 0.0 && to_offset == 0.0 {
        // Dividing by a factor below one keeps round figures round: 1600 kPa is 1.6 MPa, not 1.6 and a rest.
        let ratio = to_factor / factor;
        return Some(if ratio >= 1.0 { value / near_whole(ratio) } else { value * near_whole(factor / to_factor) });
    }
    Some((value * factor + offset - to_offset) / to_factor)
}

/// True when a number in a unit is the same number in the normal unit of the sensor type: `℃` is `Cel`, `kPa` is not `MPa`.
#[must_use]
pub fn is_normal(text: &str, sensor: &SensorType) -> bool {
    [0.0, 1.0].into_iter().all(|value| convert(value, text, sensor.unit) == Some(value))
}

/// Factors between decimal units are whole numbers; the quotient of their binary forms may miss them by a bit.
fn near_whole(factor: f64) -> f64 {
    if (factor - factor.round()).abs() < factor * 1e-12 { factor.round() } else { factor }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_one_quantity_convert() {
        for (value, from, to, expected) in [
            (1600.0, "kPa", "MPa", 1.6),
            (16.0, "bar", "MPa", 1.6),
            (27.5, "%LEL", "%LEL", 27.5),
            (212.0, "[degF]", "Cel", 100.0),
            (273.15, "K", "Cel", 0.0),
            (36.5, "℃", "Cel", 36.5),
            (21.0, "%", "%VOL", 21.0),
            (0.15, "mg/m3", "ug/m3", 150.0),
            (36.0, "km/h", "m/s", 10.0),
            (5.0, "mm/s", "cm/s", 0.5),
            (2.5, "m3", "L", 2500.0),
            (0.05, "%VOL", "ppm", 500.0),
        ] {
            let found = convert(value, from, to).unwrap();
            assert!((found - expected).abs() < 1e-9 * expected.abs().max(1.0), "{value} {from} -> {found} {to}");
        }
        assert_eq!(convert(1600.0, "kPa", "MPa"), Some(1.6), "round figures stay round");
    }

    #[test]
    fn units_of_different_quantities_do_not_fit() {
        for (from, to) in [
            ("kPa", "Cel"),
            ("%", "%LEL"),
            ("ppm", "%LEL"),
            ("%VOL", "%LEL"),
            ("dB", "dB(A)"),
            ("foo", "MPa"),
            ("", "%"),
        ] {
            assert_eq!(convert(1.0, from, to), None, "{from} -> {to}");
        }
    }

    #[test]
    fn another_spelling_of_the_normal_unit_is_the_normal_unit() {
        let of = |word: &str| SENSOR_TYPES.iter().find(|s| s.word == word).unwrap();
        for (unit, word, same) in [
            ("℃", "temp_c", true),
            ("K", "temp_c", false),
            ("[degF]", "temp_c", false),
            ("%", "humidity_rh", true),
            ("%", "gas_lel", false),
            ("kPa", "pressure_mpa", false),
            ("人", "visitors", true),
            ("foo", "visitors", false),
        ] {
            assert_eq!(is_normal(unit, of(word)), same, "{unit} of {word}");
        }
    }

    #[test]
    fn every_sensor_type_has_a_known_unit_and_a_range() {
        for s in SENSOR_TYPES {
            assert!(unit(s.unit).is_some(), "{}", s.word);
            assert!(s.range.0 < s.range.1, "{}", s.word);
        }
    }
}
