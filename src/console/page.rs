//! The page's files, built into the binary: no build step, nothing loaded from elsewhere.

use axum::body::Body;
use axum::http::{HeaderMap, Response, StatusCode, header};
use rust_embed::RustEmbed;
use std::fmt::Write as _;

#[derive(RustEmbed)]
#[folder = "src/console/page/"]
struct Files;

/// One file, or 404. `no-cache` with an ETag: a new build is seen at the next load.
pub(super) fn file(path: &str, asked: &HeaderMap) -> Response<Body> {
    let Some(file) = Files::get(path) else {
        return plain(StatusCode::NOT_FOUND, "not found");
    };
    let mut tag = String::from("\"");
    for byte in file.metadata.sha256_hash().iter().take(12) {
        write!(tag, "{byte:02x}").expect("a String takes everything");
    }
    tag.push('"');
    if asked.get(header::IF_NONE_MATCH).is_some_and(|t| t.as_bytes() == tag.as_bytes()) {
        return Response::builder()
            .status(StatusCode::NOT_MODIFIED)
            .header(header::ETAG, tag)
            .body(Body::empty())
            .expect("constant headers");
    }
    let mime = mime_guess::from_path(path).first_or_octet_stream();
    let mime = match mime.type_().as_str() {
        "text" => format!("{mime}; charset=utf-8"),
        _ => mime.to_string(),
    };
    Response::builder()
        .header(header::CONTENT_TYPE, mime)
        .header(header::CACHE_CONTROL, "no-cache")
        .header(header::ETAG, tag)
        .body(Body::from(file.data.into_owned()))
        .expect("a tag of hexadecimal digits and a type from a constant table")
}

/// A short answer in plain text.
pub(super) fn plain(status: StatusCode, text: &str) -> Response<Body> {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "text/plain; charset=utf-8")
        .header(header::CACHE_CONTROL, "no-store")
        .body(Body::from(text.to_owned()))
        .expect("constant headers")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeSet;

    fn words(file: &str) -> serde_json::Map<String, Value> {
        let file = Files::get(file).expect("the dictionary is embedded");
        match serde_json::from_slice(&file.data).expect("the dictionary is JSON") {
            Value::Object(map) => map,
            other => panic!("the dictionary is not an object: {other}"),
        }
    }

    #[test]
    fn both_languages_have_the_same_words_and_none_is_empty() {
        let (zh, en) = (words("zh.json"), words("en.json"));
        let keys = |m: &serde_json::Map<String, Value>| m.keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(keys(&zh), keys(&en));
        assert!(zh.len() > 100);
        for (key, word) in zh.iter().chain(en.iter()) {
            assert!(word.as_str().is_some_and(|w| !w.trim().is_empty()), "{key}");
        }
        for (key, word) in &zh {
            let holes = |w: &Value| w.as_str().unwrap_or("").matches('{').count();
            assert_eq!(holes(word), holes(&en[key]), "{key}: another number of places to fill");
        }
    }

    #[test]
    fn every_industry_and_kind_of_change_has_its_word() {
        let zh = words("zh.json");
        for industry in crate::record::ENVELOPE.iter().filter(|c| c.name == "industry") {
            let crate::record::Check::OneOf(all) = industry.check else { panic!("industries are a list") };
            for id in all {
                assert!(zh.contains_key(&format!("industry.{id}")), "{id}");
            }
        }
        for kind in ["raised", "upgraded", "cleared", "returned", "expired"] {
            assert!(zh.contains_key(&format!("kind.{kind}")), "{kind}");
        }
    }

    #[test]
    fn the_page_loads_nothing_from_elsewhere_and_runs_nothing_inline() {
        for path in Files::iter() {
            let file = Files::get(&path).expect("listed");
            let text = String::from_utf8_lossy(&file.data).into_owned();
            let outside = text.replace("http://www.w3.org/", "");
            assert!(!outside.contains("http://") && !outside.contains("https://"), "{path} names another host");
            for bad in
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", " onclick=", "style=\""]
            {
                assert!(!text.contains(bad), "{path} has {bad}");
            }
        }
    }
}
