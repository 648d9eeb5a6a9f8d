//! The layer: a scope around the request, headers on the response.
//!
//! The headers are written when the response head is ready. What a streaming body reads after that is not in them,
//! and neither is what a spawned task reads outside of the scope.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower::{Layer, Service};
use tricache::RequestScope;

use crate::{
    decide::decide,
    facts::{Read, RequestFacts, ResponseFacts},
    observe::{Counts, EdgeReport, decided},
    profile::Profile,
    varies_on::append_vary,
    write::write,
};

/// Collects what each request reads and writes the edge's headers on its response.
///
/// Put it around the whole router, once. A response is shared only if its route is marked
/// [`Public`](crate::Public), the request is a `GET` or `HEAD` without `Authorization`, the status is one that caches
/// keep, no cookie is set, at least one entry was read, and nothing that was read is for one user alone. It is shared
/// for the least remaining life of what was read, under the names of the entities and tags. Everything else says
/// `private, no-store` in every control header. The handler's own headers may forbid more or shorten a lifetime; they
/// never allow more. See `docs/edge.md`.
///
/// Works with any tower server and any body. Clones share their counts.
///
/// # Streaming and spawned tasks
/// Headers are written when the response head is ready: entities that a streaming body reads later are not named in
/// them. A task that the handler spawns reads outside of the request's scope; run it in
/// [`RequestScope::current`] to have its reads counted.
///
/// # Examples
/// ```
/// use tower::{ServiceBuilder, service_fn};
/// use tricache_middleware::{EdgeLayer, Profile, Public};
///
/// # async fn page(_: http::Request<()>) -> Result<http::Response<()>, std::convert::Infallible> {
/// #     Ok(http::Response::new(()))
/// # }
/// let service = ServiceBuilder::new()
///     .layer(EdgeLayer::new(Profile::varnish()))
///     .layer(Public)
///     .service(service_fn(page));
/// # let _ = service;
/// ```
#[derive(Clone, Debug)]
pub struct EdgeLayer {
    edge: Arc<Edge>,
}

impl EdgeLayer {
    /// A layer that writes what the edge of `profile` reads.
    #[must_use]
    pub fn new(profile: Profile) -> Self {
        Self {
            edge: Arc::new(Edge {
                profile,
                counts: Counts::default(),
            }),
        }
    }

    /// What was decided so far, by this layer, its clones and their services.
    #[must_use]
    pub fn report(&self) -> EdgeReport {
        self.edge.counts.report()
    }
}

impl<S> Layer<S> for EdgeLayer {
    type Service = EdgeService<S>;

    fn layer(&self, inner: S) -> EdgeService<S> {
        EdgeService {
            inner,
            edge: Arc::clone(&self.edge),
        }
    }
}

/// The service that [`EdgeLayer`] makes.
#[derive(Clone, Debug)]
pub struct EdgeService<S> {
    inner: S,
    edge: Arc<Edge>,
}

impl<S, ReqB, ResB> Service<Request<ReqB>> for EdgeService<S>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = EdgeFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqB>) -> Self::Future {
        // A request made within a request, and a second layer by mistake, add to the outer one's reads.
        let scope = RequestScope::current().unwrap_or_default();
        let facts = RequestFacts::of(&request);
        let inner = within(&scope, || self.inner.call(request));
        EdgeFuture {
            inner,
            scope,
            request: facts,
            edge: Arc::clone(&self.edge),
        }
    }
}

pin_project! {
    /// The future of [`EdgeService`].
    ///
    /// # Cancel safety
    /// Dropping it drops the inner future and nothing else; no state is left behind.
    #[derive(Debug)]
    pub struct EdgeFuture<F> {
        #[pin]
        inner: F,
        scope: RequestScope,
        request: RequestFacts,
        edge: Arc<Edge>,
    }
}

impl<F, B, E> Future for EdgeFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let mut response = ready!(within(this.scope, || this.inner.poll(cx)))?;
        let summary = this.scope.summary();
        this.edge
            .write_headers(*this.request, &Read::of(&summary), &mut response);
        Poll::Ready(Ok(response))
    }
}

/// What all services of one layer share.
#[derive(Debug)]
struct Edge {
    profile: Profile,
    counts: Counts,
}

impl Edge {
    fn write_headers<B>(&self, request: RequestFacts, read: &Read<'_>, response: &mut Response<B>) {
        append_vary(response);
        let facts = ResponseFacts::of(response);
        let written = write(
            response.headers_mut(),
            decide(request, &facts, read, &self.profile),
            read,
            self.profile.key_bytes(),
            facts.stated.no_transform,
        );
        decided(
            &self.counts,
            self.profile.edge(),
            written,
            read.entities.len(),
        );
    }
}

/// Runs `f` inside `scope`.
///
/// Entering for one poll at a time, instead of `scope.run(inner)` once, needs no box: the future stays nameable and
/// asks neither `Send` nor `'static` of the inner one.
fn within<T>(scope: &RequestScope, f: impl FnOnce() -> T) -> T {
    let entered = pin!(scope.run(async { f() }));
    match entered.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => {
            unreachable!("`run` waits for the block alone, and the block waits for nothing")
        }
    }
}

#[cfg(test)]
mod tests;
