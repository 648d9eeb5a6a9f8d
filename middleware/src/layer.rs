//! The layer: a scope around the request, headers on the response.
//!
//! The headers are written when the response head is ready, and for a page that an edge may keep, once the remote tier has
//! said that nothing of it has moved. What a streaming body reads after that is not in them,
//! and neither is what a spawned task reads outside of the scope.

use std::{
    fmt,
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use http::{HeaderName, Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower::{Layer, Service};
use tricache::{Confirmation, RequestScope, ScopeSummary};

use crate::{
    ahead::Ahead,
    edge::{Asked, Edge},
    observe::EdgeReport,
    profile::Profile,
    remembered::Pages,
    secret::Secret,
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
/// Works with any tower server, and any body that has an empty one for a 304. Clones share their counts.
///
/// # Streaming and spawned tasks
/// Headers are written when the response head is ready: entities that a streaming body reads later are not named in
/// them. A task that the handler spawns reads outside of the request's scope, unless it
/// [carries](RequestScope::carry) the scope along.
///
/// # The last question
/// A purge reaches what an edge holds, not what is still on its way there. So just before the headers of a page leave that
/// an edge may keep, the remote tier is asked whether anything that it shows was invalidated meanwhile: one round trip, for
/// what an edge has missed and for nothing else. If so, or if nobody can tell, the page goes to its client and says
/// `private, no-store`. See [`guard_within`](Self::guard_within).
///
/// # Examples
/// ```
/// use tower::{ServiceBuilder, service_fn};
/// use tricache_middleware::{EdgeLayer, Profile, Public};
///
/// # async fn page(_: http::Request<()>) -> Result<http::Response<String>, std::convert::Infallible> {
/// #     Ok(http::Response::new(String::new()))
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
            edge: Arc::new(Edge::new(profile)),
        }
    }

    /// The same layer for one more edge, such as a Varnish behind the CDN.
    ///
    /// Each edge has its own headers, lifetimes and limits. What one of them cannot take is denied to that one alone, if
    /// it reads a control field of its own; otherwise to all.
    ///
    /// # Panics
    /// If two edges read the same key header with different separators, as Cloudflare and KeyCDN do.
    ///
    /// # Examples
    /// ```
    /// use tricache_middleware::{EdgeLayer, Profile};
    ///
    /// let layer = EdgeLayer::new(Profile::cloudflare()).and(Profile::varnish());
    /// # let _ = layer;
    /// ```
    #[must_use]
    pub fn and(mut self, profile: Profile) -> Self {
        self.edge().add(profile);
        self
    }

    /// Gives shared pages a weak `ETag`, and answers 304 to a client that has the page already.
    ///
    /// The tag is made of the contents of what was read, of `build`, of the tags and of the request headers that the page
    /// varies on. A handler's own `ETag` stands, and is answered likewise. `build` names what renders the pages: a
    /// release, a commit; if it does not change with them, browsers keep the pages of the last release. A page that
    /// shows anything beside what it read through caches must not be marked [`Public`](crate::Public) here: its tag would
    /// not change with it. Default: no `ETag` is made, and no 304.
    #[must_use]
    pub fn etags(mut self, build: impl Into<String>) -> Self {
        self.edge().build = Some(build.into());
        self
    }

    /// How many pages are remembered, to be answered for with a 304 ahead of their handlers.
    ///
    /// Only pages of routes that [declare](crate::Public::reads_only_caches) that they read through caches alone, and only
    /// with [`etags`](Self::etags). A page that does not fit takes the place of another. It holds the headers of the page
    /// and no body, and keeps no value alive. Default: 1,000. Zero: none.
    #[must_use]
    pub fn remembered_pages(mut self, at_most: usize) -> Self {
        self.edge().pages = Arc::new(Pages::at_most(at_most));
        self
    }

    /// Writes the keys of shared pages as `Cache-Groups` too (RFC 9875): at most 32 of at most 32 bytes, or none.
    ///
    /// A complement of what the profiles write, never a replacement: a cache may act on groups or not. Default: off.
    #[must_use]
    pub fn cache_groups(mut self) -> Self {
        self.edge().groups = true;
        self
    }

    /// Adds a member to `Cache-Status` (RFC 9211) that tells whether the tiers answered all that was read.
    ///
    /// One who knows the secret of [`explain_to`](Self::explain_to) is told how many reads which tier has answered.
    /// Default: off.
    #[must_use]
    pub fn cache_status(mut self) -> Self {
        self.edge().status = true;
        self
    }

    /// Explains each response in `Tricache-Edge` to a request whose `Tricache-Debug` is this secret: what each edge was
    /// told, or why it was told nothing.
    ///
    /// Such a response says `private, no-store` to all caches, whatever it explains. An empty secret is nobody's.
    /// Default: nothing is explained.
    #[must_use]
    pub fn explain_to(mut self, secret: &str) -> Self {
        self.edge().explains.to = Some(Secret::new(secret));
        self
    }

    /// Explains each response to everybody, in builds with debug assertions. Default: off.
    #[must_use]
    pub fn explain_in_debug_builds(mut self) -> Self {
        self.edge().explains.in_debug_builds = true;
        self
    }

    /// Tells edges anything only where a request shows, by `secret` in the header `name`, that it came through one.
    ///
    /// All others are strangers: their pages are for their browsers alone, and name no key. Let the edge set the header on
    /// its way to the service. Default: every request is taken to come through the edge.
    #[must_use]
    pub fn only_through(mut self, name: HeaderName, secret: &str) -> Self {
        self.edge().through = Some((name, Secret::new(secret)));
        self
    }

    /// How long the question may take whether a page is still current. What is not answered by then is not shared.
    ///
    /// Only pages that an edge may keep wait for it: those that it has missed. Default: 50 ms.
    #[must_use]
    pub fn guard_within(mut self, limit: Duration) -> Self {
        self.edge().guard.within = limit;
        self
    }

    /// Shares also pages of which nobody can tell whether they are current: while Redis is away, and while the cache is
    /// switched off.
    ///
    /// An outage of Redis then takes no load off the edges. In exchange a page that is rendered while its data changes may
    /// stay at an edge for as long as it lives, past its purge. Default: such a page is not shared.
    #[must_use]
    pub fn share_unconfirmed(mut self) -> Self {
        self.edge().guard.share_unconfirmed = true;
        self
    }

    /// Lets edges keep a page for at most `at_most`, until nothing that it shows was invalidated for `window`.
    ///
    /// What changes is likely to change again at once, and what is rendered right after a change is the most likely to be
    /// wrong: by a lagging replica, or by a purge that is still under way. A window of zero turns it off. Default: 2 s, in a
    /// window of 10 s.
    #[must_use]
    pub fn after_invalidation(mut self, window: Duration, at_most: Duration) -> Self {
        self.edge().guard.window = window;
        self.edge().guard.at_most = at_most;
        self
    }

    /// What was decided so far, by this layer, its clones and their services.
    #[must_use]
    pub fn report(&self) -> EdgeReport {
        self.edge.report()
    }

    fn edge(&mut self) -> &mut Edge {
        Arc::make_mut(&mut self.edge)
    }
}

impl<S> Layer<S> for EdgeLayer {
    type Service = EdgeService<S>;

    fn layer(&self, inner: S) -> EdgeService<S> {
        EdgeService {
            inner,
            edge: Arc::clone(&self.edge),
            number: self.edge.next_service(),
        }
    }
}

/// The service that [`EdgeLayer`] makes.
#[derive(Clone, Debug)]
pub struct EdgeService<S> {
    inner: S,
    edge: Arc<Edge>,
    /// Clones answer the same pages; another service of the layer may have others at the same places.
    number: u64,
}

impl<S, ReqB, ResB> Service<Request<ReqB>> for EdgeService<S>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
    ResB: Body + Default,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = EdgeFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqB>) -> Self::Future {
        // A request made within a request, and a second layer by mistake, add to the outer one's reads.
        let outer = RequestScope::current();
        let asked = self.edge.asked(&request, self.number);
        let ahead = match &outer {
            None => self.edge.ahead(&asked),
            Some(_) => None,
        };
        let ahead = ahead.map(|ahead| Box::new(Early::new(ahead, &self.edge, &asked)));
        let scope = outer.unwrap_or_default();
        let inner = within(&scope, || self.inner.call(request));
        EdgeFuture {
            inner,
            scope,
            asked,
            edge: Arc::clone(&self.edge),
            ahead,
            held: None,
        }
    }
}

pin_project! {
    /// The future of [`EdgeService`].
    ///
    /// # Cancel safety
    /// Dropping it drops the inner future, and the response with the question whether it is current; no state is left
    /// behind.
    pub struct EdgeFuture<F>
    where
        F: Future,
    {
        #[pin]
        inner: F,
        scope: RequestScope,
        asked: Asked,
        edge: Arc<Edge>,
        ahead: Option<Box<Early>>,
        held: Option<Held<F::Output>>,
    }
}

/// A page to be answered for before the inner future is polled at all.
struct Early {
    ahead: Ahead,
    /// Whether it is current, if an edge may keep it.
    question: Option<Question>,
}

impl Early {
    fn new(ahead: Ahead, edge: &Edge, asked: &Asked) -> Self {
        let (scope, response) = (&ahead.scope, ahead.response());
        let asks = edge.must_confirm(asked, &scope.summary(), &response);
        let question = asks.then(|| question(scope, edge.guard.within));
        Self { ahead, question }
    }

    /// `None`: the handler is to answer.
    fn poll<B: Body + Default>(
        &mut self,
        edge: &Edge,
        asked: &Asked,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Response<B>>> {
        let confirmed = match &mut self.question {
            Some(question) => Some(ready!(question.as_mut().poll(cx))),
            None => None,
        };
        Poll::Ready(edge.answer_ahead(asked, &self.ahead, confirmed))
    }
}

/// A response that waits for what the remote tier says of it.
struct Held<T> {
    response: T,
    question: Question,
    /// `None` once time has passed: what remains is counted when the headers are written.
    summary: Option<ScopeSummary>,
}

/// Boxed, as its type has no name; only a page that an edge may keep has one.
type Question = Pin<Box<dyn Future<Output = Confirmation> + Send>>;

impl<F, B, E> Future for EdgeFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body + Default,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let (edge, asked, scope) = (&*this.edge, &*this.asked, &*this.scope);
        if let Some(early) = this.ahead {
            let answered = ready!(early.poll(edge, asked, cx));
            *this.ahead = None;
            if let Some(response) = answered {
                return Poll::Ready(Ok(response));
            }
        }
        let mut held = match this.held.take() {
            Some(held) => held,
            None => {
                let mut response = ready!(within(scope, || this.inner.poll(cx)))?;
                let summary = scope.summary();
                if !edge.must_confirm(asked, &summary, &response) {
                    edge.answer(asked, scope, Some(summary), None, &mut response);
                    return Poll::Ready(Ok(response));
                }
                Held {
                    response: Ok(response),
                    question: question(scope, edge.guard.within),
                    summary: Some(summary),
                }
            }
        };
        let Poll::Ready(confirmed) = held.question.as_mut().poll(cx) else {
            held.summary = None;
            *this.held = Some(held);
            return Poll::Pending;
        };
        let mut response = held.response?;
        edge.answer(asked, scope, held.summary, Some(confirmed), &mut response);
        Poll::Ready(Ok(response))
    }
}

impl<F: Future + fmt::Debug> fmt::Debug for EdgeFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EdgeFuture")
            .field("inner", &self.inner)
            .field("asked", &self.asked)
            .finish_non_exhaustive()
    }
}

/// Whether all that was read in `scope` is still current.
fn question(scope: &RequestScope, limit: Duration) -> Question {
    let scope = scope.clone();
    Box::pin(async move { scope.confirm(limit).await })
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
