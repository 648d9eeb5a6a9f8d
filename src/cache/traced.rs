//! The spans of calls: a hit's is made after the fact, so that it costs nothing where nobody listens.

use super::{core::Core, finish};
use crate::{
    cached::{Cached, Found},
    error::Error,
    invalidate::Receipt,
    model::{Address, RenderedKey},
    observe::{Traced, ended, is_listening, told},
    tasks::Tasks,
};
use std::future::Future;
use tracing::{Instrument, Span};

impl<V: Send + Sync + 'static> Core<V> {
    /// Answers a read with what this process holds.
    pub(super) fn hit(
        &self,
        call: Traced,
        key: &RenderedKey,
        found: Found<V>,
    ) -> Result<Cached<V>, Error> {
        if is_listening() {
            ended(&self.span(call, key), Some(Ok(found.outcome)));
        }
        found.into_result()
    }

    /// A read that does not load, of what this process could not answer.
    pub(super) async fn traced_find(&self, at: &Address) -> Option<Found<V>> {
        let span = self.span(Traced::Get, &at.key);
        let found = self.find_in_time(at).instrument(span.clone()).await;
        ended(&span, found.as_ref().map(|found| Ok(found.outcome)));
        found
    }

    /// A read that loads, of what this process could not answer.
    pub(super) async fn traced(
        &self,
        at: &Address,
        read: impl Future<Output = Result<Found<V>, Error>>,
    ) -> Result<Found<V>, Error> {
        let span = self.span(Traced::GetOrLoad, &at.key);
        let answer = read.instrument(span.clone()).await;
        ended(&span, Some(answer.as_ref().map(|found| found.outcome)));
        answer
    }

    pub(super) fn span(&self, call: Traced, key: &RenderedKey) -> Span {
        call.of_key(self.shelf.name.as_str(), key.as_str())
    }

    pub(super) fn span_of_many(&self, call: Traced, keys: usize) -> Span {
        call.of_many(self.shelf.name.as_str(), keys)
    }
}

/// A write in a task of its own, which nothing that its caller does stops.
pub(crate) async fn carried_through(
    tasks: &Tasks,
    span: Span,
    write: impl Future<Output = Result<Receipt, Error>> + Send + 'static,
) -> Result<Receipt, Error> {
    let written = finish(tasks.run(write.instrument(span.clone()))).await;
    told(&span, written.as_ref().ok().map(Receipt::is_pending));
    written
}
