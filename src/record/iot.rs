//! 物联 iot: a sensor reading. Values are in the normal unit of the sensor type after validation.

use super::{Check, Column, Type};

pub(crate) const STATUS: &[&str] = &["good", "suspect", "fault", "offline", "calibration", "maintenance"];

pub(crate) const COLUMNS: &[Column] = &[
    Column::new("sensor_id", Type::Text, Check::Id(64), "测点编号 / point").required(),
    Column::new("sensor_type", Type::Text, Check::Id(32), "测量类型 / see sensor types").required(),
    Column::new(
        "value",
        Type::Float,
        Check::Any,
        "读数 / reading in the normal unit of the type; null for state-only records",
    ),
    Column::new("unit", Type::Text, Check::Id(16), "单位 / unit of the value as sent; converted to the normal unit"),
    Column::new("status", Type::Text, Check::OneOf(STATUS), "数据状态 / only good feeds thresholds").required(),
    Column::new("location_id", Type::Text, Check::Id(64), "位置 / place of the point"),
    Column::new("lon", Type::Float, Check::Range(-180.0, 180.0), "经度 / longitude, CGCS2000 degrees"),
    Column::new("lat", Type::Float, Check::Range(-90.0, 90.0), "纬度 / latitude, CGCS2000 degrees"),
    Column::new("seq", Type::Int, Check::Range(0.0, 9.0e18), "序号 / finds gaps and duplicates"),
    Column::new("limits_lo", Type::Float, Check::Any, "下限 / lower limit of this point").at("limits.lo"),
    Column::new("limits_hi", Type::Float, Check::Any, "上限 / upper limit of this point").at("limits.hi"),
    Column::new("limits_hihi", Type::Float, Check::Any, "上上限 / second upper limit").at("limits.hihi"),
    Column::new("limits_design", Type::Float, Check::Any, "设计值 / design value").at("limits.design"),
    Column::new("limits_rated", Type::Float, Check::Any, "额定值 / rated value").at("limits.rated"),
];
