//! Arrays longer than serde writes by itself, as sequences of their length.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// As a sequence.
pub(super) fn serialize<S: Serializer, T: Serialize, const N: usize>(array: &[T; N], s: S) -> Result<S::Ok, S::Error> {
    array.as_slice().serialize(s)
}

/// From a sequence of exactly that length.
pub(super) fn deserialize<'de, D: Deserializer<'de>, T: Deserialize<'de>, const N: usize>(
    d: D,
) -> Result<[T; N], D::Error> {
    let all: Vec<T> = Vec::deserialize(d)?;
    let length = all.len();
    all.try_into().map_err(|_| D::Error::custom(format!("{length} values where {N} belong")))
}
