//! The stream of events to one page.

use super::state::{Event, Joined};
use crate::metrics::Metrics;
use axum::response::sse;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;
use tokio_stream::{Stream, StreamExt as _};

/// Counts a page while it follows.
struct Following(Arc<Metrics>);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.console_streams(-1.0);
    }
}

struct Counted<S> {
    inner: S,
    _following: Following,
}

impl<S: Stream + Unpin> Stream for Counted<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        Pin::new(&mut self.inner).poll_next(cx)
    }
}

fn sse_event(run: &str, event: &Event) -> sse::Event {
    sse::Event::default().id(format!("{run}:{}", event.seq)).event(event.name).data(&*event.data)
}

/// What the page missed, then what comes. A page that cannot keep up gets a `reset` and the stream ends: it comes back
/// by itself and loads the list anew.
pub(super) fn events(
    run: Arc<str>,
    joined: Joined,
    metrics: Arc<Metrics>,
) -> impl Stream<Item = Result<sse::Event, Infallible>> {
    metrics.console_streams(1.0);
    let first = sse::Event::default()
        .id(format!("{run}:{}", joined.missed.first().map_or(joined.seq, |e| e.seq - 1)))
        .event(if joined.reset { "reset" } else { "hello" })
        .data(format!("{{\"seq\":{},\"run\":\"{run}\"}}", joined.seq));
    let name = Arc::clone(&run);
    let missed: Vec<_> = joined.missed.iter().map(|e| sse_event(&run, e)).collect();
    let mut ended = false;
    let live = BroadcastStream::new(joined.live).map_while(move |next| {
        if ended {
            return None;
        }
        Some(match next {
            Ok(event) => sse_event(&name, &event),
            Err(BroadcastStreamRecvError::Lagged(n)) => {
                ended = true;
                sse::Event::default().event("reset").data(format!("{{\"lagged\":{n}}}"))
            }
        })
    });
    let all = tokio_stream::once(first).chain(tokio_stream::iter(missed)).chain(live).map(Ok);
    Counted { inner: all, _following: Following(metrics) }
}
