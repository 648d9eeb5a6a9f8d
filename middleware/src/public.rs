//! The mark of a route whose answer is the same for everyone.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Extensions, HeaderName, Request, Response};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::varies_on::VariesOn;

/// Marks a route's responses as the same for every visitor, so that an edge may share them.
///
/// It promises that the response depends on nothing of the visitor's: no cookie, no address, no header that is not
/// named in `Vary`. A session cookie in the request is not looked at, because most requests carry cookies that do not
/// matter: the mark declares that this route does not care for them. Without the mark,
/// [`EdgeLayer`](crate::EdgeLayer) lets nothing be shared. With it, the other rules still hold: an error, a
/// `Set-Cookie`, an `Authorization` or data of one user is never shared.
///
/// The mark is an extension of the *response*. Three ways to set it:
/// - as a layer on the route: `get(product).layer(Public)`;
/// - as a part of an axum response, with the feature `axum`: `(Public, Json(product))`;
/// - by hand: `response.extensions_mut().insert(Public)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Public;

impl Public {
    /// The same mark for a response that depends on this request header, which is then listed in `Vary`.
    ///
    /// A name that `Vary` has already is not repeated, and what the handler put there stays.
    ///
    /// # Examples
    /// ```
    /// use axum::{Router, routing::get};
    /// use http::header::ACCEPT_LANGUAGE;
    /// use tricache_middleware::Public;
    ///
    /// let app: Router = Router::new()
    ///     .route("/front", get(async || "hello").layer(Public.varies_on(ACCEPT_LANGUAGE)));
    /// # let _ = app;
    /// ```
    #[must_use]
    pub fn varies_on(self, name: HeaderName) -> PublicVarying {
        PublicVarying {
            varies_on: VariesOn::default().and(name),
            only_caches: false,
        }
    }

    /// The same mark for a route whose response depends on nothing but what it reads through caches, and on the request
    /// headers that are named in `Vary`.
    ///
    /// It declares more than [`Public`] does: the handler shows nothing else, has no effect that counts, and sets no header
    /// that changes by itself, such as the time. In exchange a layer with [validators](crate::EdgeLayer::etags) may answer
    /// 304 ahead of the handler, as long as all that the page read is still in this process as it was.
    ///
    /// # Examples
    /// ```
    /// use axum::{Router, routing::get};
    /// use tricache_middleware::{EdgeLayer, Profile, Public};
    ///
    /// let app: Router = Router::new()
    ///     .route("/front", get(async || "hello").layer(Public.reads_only_caches()))
    ///     .layer(EdgeLayer::new(Profile::varnish()).etags(env!("CARGO_PKG_VERSION")));
    /// # let _ = app;
    /// ```
    #[must_use]
    pub fn reads_only_caches(self) -> PublicVarying {
        PublicVarying {
            varies_on: VariesOn::default(),
            only_caches: true,
        }
    }
}

/// A mark [`Public`] that says more: on which request headers the response depends, or that it depends on caches alone. Made
/// by [`Public::varies_on`] and [`Public::reads_only_caches`].
///
/// Set it as a layer or as a part of an axum response.
#[derive(Clone, Debug)]
pub struct PublicVarying {
    varies_on: VariesOn,
    only_caches: bool,
}

/// What the route of a response has declared by [`Public::reads_only_caches`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct OnlyCaches;

impl PublicVarying {
    /// The same mark for a response that depends on this request header too.
    #[must_use]
    pub fn varies_on(self, name: HeaderName) -> Self {
        Self {
            varies_on: self.varies_on.and(name),
            ..self
        }
    }

    /// The same mark for a route that reads through caches alone; see [`Public::reads_only_caches`].
    #[must_use]
    pub fn reads_only_caches(self) -> Self {
        Self {
            only_caches: true,
            ..self
        }
    }
}

impl<S> Layer<S> for Public {
    type Service = MarkPublic<S>;

    fn layer(&self, inner: S) -> MarkPublic<S> {
        MarkPublic {
            inner,
            mark: Public.into(),
        }
    }
}

impl<S> Layer<S> for PublicVarying {
    type Service = MarkPublic<S>;

    fn layer(&self, inner: S) -> MarkPublic<S> {
        MarkPublic {
            inner,
            mark: self.clone(),
        }
    }
}

#[cfg(feature = "axum")]
impl axum::response::IntoResponseParts for Public {
    type Error = std::convert::Infallible;

    fn into_response_parts(
        self,
        mut parts: axum::response::ResponseParts,
    ) -> Result<axum::response::ResponseParts, Self::Error> {
        PublicVarying::from(self).set(parts.extensions_mut());
        Ok(parts)
    }
}

#[cfg(feature = "axum")]
impl axum::response::IntoResponseParts for PublicVarying {
    type Error = std::convert::Infallible;

    fn into_response_parts(
        self,
        mut parts: axum::response::ResponseParts,
    ) -> Result<axum::response::ResponseParts, Self::Error> {
        self.set(parts.extensions_mut());
        Ok(parts)
    }
}

/// A service whose responses are marked [`Public`]. Made by the layers `Public` and [`PublicVarying`].
#[derive(Clone, Debug)]
pub struct MarkPublic<S> {
    inner: S,
    mark: PublicVarying,
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
            mark: self.mark.clone(),
        }
    }
}

pin_project! {
    /// The future of [`MarkPublic`].
    ///
    /// # Cancel safety
    /// Dropping it drops the inner future and nothing else.
    #[derive(Debug)]
    pub struct MarkPublicFuture<F> {
        #[pin]
        inner: F,
        mark: PublicVarying,
    }
}

impl<F, B, E> Future for MarkPublicFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(cx))?;
        this.mark.set(response.extensions_mut());
        Poll::Ready(Ok(response))
    }
}

impl From<Public> for PublicVarying {
    fn from(_: Public) -> Self {
        Self {
            varies_on: VariesOn::default(),
            only_caches: false,
        }
    }
}

impl PublicVarying {
    fn set(&self, extensions: &mut Extensions) {
        extensions.insert(Public);
        if self.only_caches {
            extensions.insert(OnlyCaches);
        }
        self.varies_on.note(extensions);
    }
}
