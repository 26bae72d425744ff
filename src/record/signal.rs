//! The records that the engine makes for itself. They travel through the log like any other.

use super::{Check, Column, Type};

/// 风险信号: a level bound crossed or left by one key of one indicator.
pub const SIGNAL: &[Column] = &[
    Column::new("indicator", Type::Text, Check::Any, "指标 / indicator that sent it").required(),
    Column::new("signal_key", Type::Text, Check::Any, "键 / key text in the sender's key space").required(),
    Column::new("level_no", Type::Int, Check::Any, "等级 / 0 cleared, 1 blue .. 4 red").required(),
    Column::new("value", Type::Float, Check::Any, "值 / value that was judged"),
    Column::new("lead_dept", Type::Text, Check::Any, "牵头部门 / lead department of the sender"),
];

/// 指标值: an indicator's value for one key at a pane or calendar close.
pub const VALUE: &[Column] = &[
    Column::new("indicator", Type::Text, Check::Any, "指标 / indicator that sent it").required(),
    Column::new("signal_key", Type::Text, Check::Any, "键 / key text in the sender's key space").required(),
    Column::new("value", Type::Float, Check::Any, "值 / value at the close"),
    Column::new("window_end", Type::Time, Check::Any, "窗口止 / close").required(),
];
