//! The four levels of a warning.

/// 预警等级: blue (IV) up to red (I). Ordered; never compared as text.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Level {
    /// 蓝 IV
    Blue = 1,
    /// 黄 III
    Yellow = 2,
    /// 橙 II
    Orange = 3,
    /// 红 I
    Red = 4,
}

impl Level {
    /// All four, lowest first.
    pub const ALL: [Level; 4] = [Level::Blue, Level::Yellow, Level::Orange, Level::Red];

    /// 1 (blue) to 4 (red).
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The level of a number from 1 to 4.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Level> {
        match number {
            1 => Some(Level::Blue),
            2 => Some(Level::Yellow),
            3 => Some(Level::Orange),
            4 => Some(Level::Red),
            _ => None,
        }
    }

    /// The level `steps` higher, red at the most.
    #[must_use]
    pub fn raised(self, steps: u8) -> Level {
        Level::from_number(self.number().saturating_add(steps).min(4)).unwrap_or(Level::Red)
    }

    /// The word used in files, records and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Level::Blue => "blue",
            Level::Yellow => "yellow",
            Level::Orange => "orange",
            Level::Red => "red",
        }
    }

    /// The Chinese name, with the grade of the law.
    #[must_use]
    pub const fn name_zh(self) -> &'static str {
        match self {
            Level::Blue => "蓝色(四级)",
            Level::Yellow => "黄色(三级)",
            Level::Orange => "橙色(二级)",
            Level::Red => "红色(一级)",
        }
    }
}
