//! The distance of two places.

use super::{Form, Function, FunctionDoc, Param};
use crate::pack::expression::call::failed;
use crate::pack::expression::class::Class;

/// Mean radius of the earth in metres (IUGG).
const RADIUS: f64 = 6_371_008.8;

/// Great-circle distance in metres; an error of up to 0.5 % against the ellipsoid, which no radius of a rule notices.
/// A longitude beyond 180 or a latitude beyond 90 degrees is a failure.
///
/// # Source
/// Sinnott (1984), Virtues of the Haversine, Sky and Telescope 68(2).
fn haversine(lon1: f64, lat1: f64, lon2: f64, lat2: f64) -> Option<f64> {
    if lon1.abs() > 180.0 || lon2.abs() > 180.0 || lat1.abs() > 90.0 || lat2.abs() > 90.0 {
        return failed();
    }
    let half = |degrees: f64| libm::sin(degrees.to_radians() / 2.0);
    let (dlat, dlon) = (half(lat2 - lat1), half(lon2 - lon1));
    let a = dlat * dlat + libm::cos(lat1.to_radians()) * libm::cos(lat2.to_radians()) * dlon * dlon;
    Some(2.0 * RADIUS * libm::asin(a.clamp(0.0, 1.0).sqrt()))
}

pub(super) const DISTANCE: Function = Function {
    doc: FunctionDoc {
        name: "distance_m",
        signature: "distance_m(lon1, lat1, lon2, lat2) -> number",
        meaning_zh: "两点距离(米)",
        meaning_en: "the distance of two places in metres; degrees, longitude first",
        example: "round(distance_m(119.5, 35.4, 119.5, 35.41)) = 1112",
    },
    form: Form::Fixed {
        params: &[Param::Number, Param::Number, Param::Number, Param::Number],
        optional: 0,
        returns: Class::Float,
        run: |i| {
            let (x1, y1, x2, y2) = (i.float(0), i.float(1), i.float(2), i.float(3));
            i.make_float(|row| haversine(x1.get(row)?, y1.get(row)?, x2.get(row)?, y2.get(row)?))
        },
    },
};
