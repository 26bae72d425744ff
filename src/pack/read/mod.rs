//! Reads the texts of a pack in three steps so that all findings come at once: tree with places, JSON Schema, typed
//! values, then SQL and references between files.

mod document;
mod scan;
mod schema;
mod tree;

use super::{Body, Finding, Pack};

pub(super) fn read(_body: Body) -> Result<(Pack, Vec<Finding>), Vec<Finding>> {
    Err(Vec::new())
}

#[cfg(test)]
mod probe {
    #[test]
    fn print() {
        println!("{}", serde_json::to_string_pretty(&super::schema::rule()).unwrap());
    }
}
