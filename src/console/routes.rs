//! What is answered to which address, and the headers on every answer.

use super::page;
use super::server::Readiness;
use super::state::{Console, Filter};
use super::stream;
use crate::metrics::Metrics;
use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::IntoResponse;
use axum::response::sse::{KeepAlive, Sse};
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// What the handlers share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) console: Console,
    pub(super) metrics: Arc<Metrics>,
    pub(super) readiness: Readiness,
}

/// Rows of one answer at most.
const LIMIT_MAX: usize = 500;

pub(super) fn router(shared: Shared) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/assets/{*path}", get(asset))
        .route("/favicon.ico", get(|headers: HeaderMap| async move { page::file("icon.svg", &headers) }))
        .route("/api/warnings", get(warnings))
        .route("/api/warnings/{id}", get(warning))
        .route("/api/summary", get(summary))
        .route("/api/events", get(events))
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { page::plain(StatusCode::OK, "ok\n") }))
        .route("/readyz", get(readyz))
        .fallback(|| async { page::plain(StatusCode::NOT_FOUND, "not found\n") })
        .layer(middleware::from_fn(guard))
        .with_state(shared)
}

/// True for the names of this machine to itself, with any port.
fn loopback_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => return rest.split(']').next() == Some("::1"),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
}

/// Refuses names that are not this machine's (a web page elsewhere could point its own name at 127.0.0.1 and read
/// everything), and puts the security headers on every answer.
async fn guard(request: Request, next: Next) -> Response<Body> {
    let host = request.headers().get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or("");
    let mut answer = if loopback_name(host) {
        next.run(request).await
    } else {
        page::plain(StatusCode::MISDIRECTED_REQUEST, "this console answers to localhost only\n")
    };
    let headers = answer.headers_mut();
    for (name, value) in [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "geolocation=(), camera=(), microphone=()"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    answer
}

async fn index(headers: HeaderMap) -> Response<Body> {
    page::file("index.html", &headers)
}

async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Response<Body> {
    page::file(&path, &headers)
}

/// The questions of the list; several values stand with commas between them.
#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    level: String,
    #[serde(default)]
    industry: String,
    #[serde(default)]
    department: String,
    #[serde(default)]
    region: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    q: String,
    limit: Option<usize>,
    cursor: Option<u64>,
}

fn words(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|w| !w.is_empty()).map(str::to_owned).collect()
}

async fn warnings(State(shared): State<Shared>, Query(asked): Query<Asked>) -> Response<Body> {
    for level in words(&asked.level) {
        if !matches!(level.as_str(), "blue" | "yellow" | "orange" | "red") {
            return page::plain(StatusCode::BAD_REQUEST, "level is blue, yellow, orange or red\n");
        }
    }
    if !matches!(asked.state.as_str(), "" | "open" | "active" | "cleared" | "closed" | "all") {
        return page::plain(StatusCode::BAD_REQUEST, "state is open, active, cleared, closed or all\n");
    }
    let filter = Filter {
        levels: words(&asked.level),
        industries: words(&asked.industry),
        departments: words(&asked.department),
        regions: words(&asked.region),
        state: asked.state,
        q: asked.q.trim().to_lowercase(),
    };
    let limit = asked.limit.unwrap_or(100).clamp(1, LIMIT_MAX);
    let page = shared.console.list(&filter, asked.cursor, limit);
    Json(json!({
        "run": shared.console.run(),
        "seq": page.seq,
        "total": page.total,
        "next": page.next,
        "warnings": page.rows,
    }))
    .into_response()
}

async fn warning(State(shared): State<Shared>, Path(id): Path<String>) -> Response<Body> {
    match shared.console.one(&id) {
        Some(json) => ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
        None => page::plain(StatusCode::NOT_FOUND, "no such warning\n"),
    }
}

async fn summary(State(shared): State<Shared>) -> Json<Value> {
    let mut summary = shared.console.summary();
    let ready = shared.readiness.ask();
    summary["ready"] = json!(ready.ready);
    summary["not_ready"] = json!(ready.reasons);
    Json(summary)
}

/// `Last-Event-ID: <run>:<seq>`; `?last=` says the same for a page that connects for the first time after it loaded.
#[derive(Deserialize)]
struct From {
    #[serde(default)]
    last: String,
}

async fn events(State(shared): State<Shared>, Query(from): Query<From>, headers: HeaderMap) -> impl IntoResponse {
    let last = headers.get("last-event-id").and_then(|v| v.to_str().ok()).unwrap_or(&from.last);
    let last = match last.rsplit_once(':') {
        None => None,
        // Another run's sequence: beyond any of ours, which gives a reset.
        Some((run, _)) if run != shared.console.run() => Some(u64::MAX),
        Some((_, seq)) => Some(seq.parse().unwrap_or(u64::MAX)),
    };
    let joined = shared.console.join(last);
    let stream = stream::events(shared.console.run().into(), joined, shared.metrics);
    Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}

async fn metrics(State(shared): State<Shared>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], shared.metrics.render())
}

async fn readyz(State(shared): State<Shared>) -> Response<Body> {
    let ready = shared.readiness.ask();
    if ready.ready {
        page::plain(StatusCode::OK, "ready\n")
    } else {
        page::plain(StatusCode::SERVICE_UNAVAILABLE, &format!("not ready: {}\n", ready.reasons.join("; ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_answered() {
        for (host, answered) in [
            ("localhost", true),
            ("LOCALHOST:8080", true),
            ("127.0.0.1:9", true),
            ("127.9.9.9", true),
            ("[::1]:8080", true),
            ("[::1]", true),
            ("", false),
            ("10.0.0.1:8080", false),
            ("[::2]:80", false),
            ("evil.example", false),
            ("localhost.evil.example:80", false),
            ("127.0.0.1.evil.example", false),
        ] {
            assert_eq!(loopback_name(host), answered, "{host:?}");
        }
    }
}
