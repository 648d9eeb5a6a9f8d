//! A last look at what leaves: a layer outside of the edge's may have made a shared page personal.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{HeaderMap, Request, Response, header};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::{edges::Edges, stated::Stated, write::deny};

/// The mark of a response that an [`EdgeLayer`](crate::EdgeLayer) lets be shared, with the edges that were told so.
#[derive(Clone, Debug)]
pub(crate) struct Shared(pub(crate) Arc<Edges>);

/// Watches the order of layers: what a layer between this one and [`EdgeLayer`](crate::EdgeLayer) did to a shared page.
///
/// `EdgeLayer` decides when it sees the response. A layer outside of it, such as one for sessions, may add a `Set-Cookie`
/// or a `Cache-Control: private` afterwards, and an edge would hand one visitor's cookie to the next. This layer, as the
/// outermost of all, denies such a page to every cache and logs an error that says so. The remedy is to put `EdgeLayer`
/// outside of the layer that did it; then this one finds nothing, and costs a look at a few headers.
///
/// # Examples
/// ```
/// use axum::{Router, routing::get};
/// use tricache_middleware::{EdgeLayer, LastLook, Profile};
///
/// let app: Router = Router::new()
///     .route("/", get(async || "hello"))
///     // sessions, compression, ...
///     .layer(EdgeLayer::new(Profile::fastly()))
///     .layer(LastLook);
/// # let _ = app;
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct LastLook;

impl<S> Layer<S> for LastLook {
    type Service = LastLookService<S>;

    fn layer(&self, inner: S) -> LastLookService<S> {
        LastLookService { inner }
    }
}

/// The service that [`LastLook`] makes.
#[derive(Clone, Debug)]
pub struct LastLookService<S> {
    inner: S,
}

impl<S, ReqB, ResB> Service<Request<ReqB>> for LastLookService<S>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = LastLookFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqB>) -> Self::Future {
        LastLookFuture {
            inner: self.inner.call(request),
        }
    }
}

pin_project! {
    /// The future of [`LastLookService`].
    ///
    /// # Cancel safety
    /// Dropping it drops the inner future and nothing else.
    #[derive(Debug)]
    pub struct LastLookFuture<F> {
        #[pin]
        inner: F,
    }
}

impl<F, B, E> Future for LastLookFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut response = ready!(self.project().inner.poll(cx))?;
        let shared = response.extensions_mut().remove::<Shared>();
        if let Some(Shared(edges)) = shared.filter(|_| became_personal(response.headers())) {
            tracing::error!(
                "a shared page was made personal outside of EdgeLayer, and is denied: put EdgeLayer outside of the layer \
                 that sets cookies"
            );
            deny(response.headers_mut(), "private, no-store", false, &edges);
        }
        Poll::Ready(Ok(response))
    }
}

fn became_personal(headers: &HeaderMap) -> bool {
    let mut stated = Stated::default();
    for line in headers.get_all(header::CACHE_CONTROL) {
        stated.read_cache_control(line);
    }
    stated.private || stated.no_store || headers.contains_key(header::SET_COOKIE)
}
