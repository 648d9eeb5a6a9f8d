//! The mark of a route whose answer is the same for everyone.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

/// Marks a route's responses as the same for every visitor, so that an edge may share them.
///
/// It promises that the response depends on nothing of the visitor's: no cookie, no address, no header that is not
/// named in `Vary`. Without the mark, [`EdgeLayer`](crate::EdgeLayer) lets nothing be shared. With it, the other
/// rules still hold: an error, a `Set-Cookie` or an `Authorization` is never shared.
///
/// The mark is an extension of the *response*. Three ways to set it:
/// - as a layer on the route: `get(product).layer(Public)`;
/// - as a part of an axum response, with the feature `axum`: `(Public, Json(product))`;
/// - by hand: `response.extensions_mut().insert(Public)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Public;

impl<S> Layer<S> for Public {
    type Service = MarkPublic<S>;

    fn layer(&self, inner: S) -> MarkPublic<S> {
        MarkPublic { inner }
    }
}

#[cfg(feature = "axum")]
impl axum::response::IntoResponseParts for Public {
    type Error = std::convert::Infallible;

    fn into_response_parts(
        self,
        mut parts: axum::response::ResponseParts,
    ) -> Result<axum::response::ResponseParts, Self::Error> {
        parts.extensions_mut().insert(self);
        Ok(parts)
    }
}

/// A service whose responses are marked [`Public`]. Made by the layer `Public`.
#[derive(Clone, Copy, Debug)]
pub struct MarkPublic<S> {
    inner: S,
}

impl<S, B, ResB> Service<Request<B>> for MarkPublic<S>
where
    S: Service<Request<B>, Response = Response<ResB>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = MarkPublicFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        MarkPublicFuture {
            inner: self.inner.call(request),
        }
    }
}

pin_project! {
    /// The future of [`MarkPublic`].
    #[derive(Debug)]
    pub struct MarkPublicFuture<F> {
        #[pin]
        inner: F,
    }
}

impl<F, B, E> Future for MarkPublicFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut response = ready!(self.project().inner.poll(cx))?;
        response.extensions_mut().insert(Public);
        Poll::Ready(Ok(response))
    }
}
