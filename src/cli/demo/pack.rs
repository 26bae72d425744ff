//! The pack that the demo runs: that of the working folder, or the copy inside the binary.
//!
//! In: the working folder. Out: a checked pack. Promise: the binary alone is enough for a demo, anywhere.
//! Not here: what packs are (`pack`).

use super::city;
use crate::cli::CliError;
use crate::pack::{Body, Pack};
use rust_embed::RustEmbed;
use std::path::Path;

#[derive(RustEmbed)]
#[folder = "rules/"]
#[prefix = "rules/"]
struct Rules;

#[derive(RustEmbed)]
#[folder = "models/"]
#[prefix = "models/"]
struct Models;

/// The pack, and whether it came out of the binary.
pub(super) fn load() -> Result<(Pack, bool), CliError> {
    let (rules, models) = (Path::new("rules"), Path::new("models"));
    let built_in = !rules.join("sources").is_dir();
    let mut body = if built_in { embedded() } else { Body::load(rules, models).map_err(CliError::stage)? };
    name_streets(&mut body);
    Pack::read(body).map(|pack| (pack, built_in)).map_err(|findings| {
        let first = findings.first().map_or_else(String::new, |f| format!("{}: {}", f.place.file, f.message));
        let of = if built_in { "the rules inside this binary" } else { "rules/" };
        CliError::Usage(format!("{of} have {} findings, the first: {first}", findings.len()))
    })
}

/// The made-up city has streets of its own; a pack that lists streets keeps its own.
fn name_streets(body: &mut Body) {
    let Some(text) = body.files.get_mut("rules/shared/regions.yaml").filter(|t| !t.contains("\nstreets:")) else {
        return;
    };
    text.push_str("streets:\n");
    for (code, name) in city::street_names() {
        text.push_str(&format!("  - {{ code: \"{code}\", name: \"{name}\" }}\n"));
    }
}

/// The three industries as they stood when the binary was built; tests and examples are no part of a pack.
fn embedded() -> Body {
    let mut body = Body::default();
    for (name, file) in
        Rules::iter().map(|n| (n.clone(), Rules::get(&n))).chain(Models::iter().map(|n| (n.clone(), Models::get(&n))))
    {
        let wanted = name.ends_with(".yaml") && !name.ends_with(".test.yaml") && !name.starts_with("rules/examples/");
        if let Some(text) = file.filter(|_| wanted).and_then(|f| String::from_utf8(f.data.into_owned()).ok()) {
            body.files.insert(name.into_owned(), text);
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_pack_is_the_one_of_the_repository() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let disk = Body::load(&root.join("rules"), &root.join("models")).expect("the folder can be read");
        assert_eq!(embedded().files, disk.files);
    }
}
