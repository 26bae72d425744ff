//! Numbers as officials read them.

/// A number in plain digits: no exponent, no trailing zeros, four decimals, or four significant ones below 1.
/// What is no number is a dash.
#[must_use]
pub fn plain(value: f64) -> String {
    if !value.is_finite() {
        return "—".to_owned();
    }
    let size = value.abs();
    let decimals = if size >= 1.0 || size == 0.0 {
        4
    } else {
        // 0.00123 has its first significant digit at 10^-3; below 10^-12 nothing that is measured has meaning.
        let leading = (-size.log10()).ceil().clamp(1.0, 12.0) as usize;
        leading + 3
    };
    let mut text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    }
    if text == "-0" { "0".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_plain_digits() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (27.5, "27.5"),
            (0.1 + 0.2, "0.3"),
            (1.0 / 3.0, "0.3333"),
            (2.0 / 3.0, "0.6667"),
            (0.000_012_345_6, "0.00001235"),
            (1e-5, "0.00001"),
            (1e-30, "0"),
            (-1e-30, "0"),
            (-18.25, "-18.25"),
            (12.345_678, "12.3457"),
            (1_200_000.0, "1200000"),
            (1e20, "100000000000000000000"),
            (0.999_96, "1"),
            (f64::NAN, "—"),
            (f64::INFINITY, "—"),
        ] {
            assert_eq!(plain(value), text, "{value}");
        }
    }
}
