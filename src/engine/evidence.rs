//! A shared reference to evidence, saved as JSON text because its values are of any type.

use super::outcome::Reference;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::Arc;

/// Evidence, shared by every window that holds the row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Evidence(pub(crate) Arc<Reference>);

impl Serialize for Evidence {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        serde_json::to_string(&*self.0).map_err(serde::ser::Error::custom)?.serialize(s)
    }
}

impl<'de> Deserialize<'de> for Evidence {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Evidence, D::Error> {
        let text = String::deserialize(d)?;
        serde_json::from_str(&text).map(|r| Evidence(Arc::new(r))).map_err(serde::de::Error::custom)
    }
}
