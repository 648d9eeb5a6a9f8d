//! One user's request in every shape, and two onlookers who then ask for the same page of a shared cache: which of them sees what
//! was made for somebody else.

use std::net::SocketAddr;

use axum::{
    Router,
    extract::{Path, Request, State},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::any,
};
use futures_util::future::join_all;
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{COOKIE, SET_COOKIE, VARY},
    request::Builder,
};
use tricache::{TieredCache, Visibility};
use tricache_middleware::{EdgeLayer, LastLook, Public};

use crate::{
    support::{Shop, lasting},
    visitor::Visitor,
};

/// What a user sends, and what the page answers.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) cookie: &'static str,
    pub(crate) authorization: &'static str,
    pub(crate) method: Method,
    /// Who sets a cookie: nobody, the handler, or a layer outside of ours.
    pub(crate) sets_cookie: &'static str,
    pub(crate) status: u16,
    pub(crate) is_marked: bool,
    /// Whose value the page shows: everybody's, everybody's with the same cookie, or one user's.
    pub(crate) shows: &'static str,
}

/// Every shape there is.
pub(crate) fn shapes() -> Vec<Shape> {
    let methods = [Method::GET, Method::HEAD, Method::POST, Method::PUT];
    let authorizations = ["", "Basic YTph", "Bearer a-token"];
    let cookies = ["", "theme=dark", "session=a"];
    let shapes = each(&[Shape::plain()], &cookies, |shape, cookie| {
        shape.cookie = cookie;
    });
    let shapes = each(&shapes, &authorizations, |shape, text| {
        shape.authorization = text;
    });
    let shapes = each(&shapes, &methods, |shape, method| {
        shape.method = method;
    });
    let shapes = each(&shapes, &["nobody", "inner", "outer"], |shape, who| {
        shape.sets_cookie = who;
    });
    let shapes = each(&shapes, &[200, 301, 404, 500, 206], |shape, status| {
        shape.status = status;
    });
    let shapes = each(&shapes, &[true, false], |shape, yes| {
        shape.is_marked = yes;
    });
    each(&shapes, &["public", "varying", "user"], |shape, whose| {
        shape.shows = whose;
    })
}

/// Each of the shapes with each of the values.
fn each<T: Clone>(shapes: &[Shape], values: &[T], set: impl Fn(&mut Shape, T)) -> Vec<Shape> {
    let with = |shape: &Shape, value: &T| {
        let mut shape = shape.clone();
        set(&mut shape, value.clone());
        shape
    };
    let each = shapes.iter().flat_map(|shape| {
        let values = values.iter();
        values.map(|value| with(shape, value)).collect::<Vec<_>>()
    });
    each.collect()
}

impl Shape {
    /// What anybody may ask for, and everybody may see.
    fn plain() -> Self {
        Self {
            cookie: "",
            authorization: "",
            method: Method::GET,
            sets_cookie: "nobody",
            status: 200,
            is_marked: true,
            shows: "public",
        }
    }

    /// The same page, asked for by somebody with nothing but a cookie.
    fn asked_with(&self, cookie: &'static str) -> Self {
        let (page, plain) = (self.clone(), Self::plain());
        Self {
            cookie,
            authorization: plain.authorization,
            method: plain.method,
            ..page
        }
    }

    /// Whether what was made for this request may be served to one with that cookie.
    fn may_be_shown_to(&self, cookie: &str) -> bool {
        let is_read = self.method == Method::GET || self.method == Method::HEAD;
        let is_the_same =
            self.shows == "public" || self.shows == "varying" && self.cookie == cookie;
        is_read
            && self.authorization.is_empty()
            && self.sets_cookie == "nobody"
            && [200, 301, 404].contains(&self.status)
            && self.is_marked
            && is_the_same
    }

    fn path(&self, number: usize) -> String {
        let mark = match (self.is_marked, self.shows) {
            (true, "varying") => "varying",
            (true, _) => "marked",
            (false, _) => "unmarked",
        };
        let (status, sets_cookie, shows) = (self.status, self.sets_cookie, self.shows);
        format!("/{mark}/{number}/{status}/{sets_cookie}/{shows}")
    }

    fn request(&self, number: usize, user: &str) -> http::Request<()> {
        let request = http::Request::builder()
            .method(self.method.clone())
            .uri(self.path(number))
            .header(USER, user);
        let fields = [
            ("cookie", self.cookie),
            ("authorization", self.authorization),
        ];
        let set = fields.into_iter().filter(|(_, value)| !value.is_empty());
        let request = set.fold(request, |request: Builder, (name, value)| {
            request.header(name, value)
        });
        request.body(()).unwrap()
    }
}

/// What the onlookers saw.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// How many onlookers were shown a page that was made for somebody else.
    pub(crate) shared: usize,
    /// Those who were shown what they should not be, or not shown what they could have been.
    pub(crate) wrong: Vec<String>,
}

impl Outcome {
    fn and(mut self, other: Self) -> Self {
        self.shared += other.shared;
        self.wrong.extend(other.wrong);
        self
    }
}

/// Asks a cache for a page of each shape: first a user, then somebody without a cookie, then another user.
pub(crate) async fn look(cache: SocketAddr, shapes: &[Shape]) -> Outcome {
    let numbered: Vec<_> = shapes.iter().enumerate().collect();
    let parts = numbered.chunks(shapes.len().div_ceil(SIDE_BY_SIDE));
    let outcomes = join_all(parts.map(|part| look_at(cache, part))).await;
    outcomes.into_iter().fold(Outcome::default(), Outcome::and)
}

async fn look_at(cache: SocketAddr, shapes: &[(usize, &Shape)]) -> Outcome {
    let mut outcome = Outcome::default();
    let mut visitor = Visitor::of(cache);
    for (number, shape) in shapes {
        visitor.ask(&shape.request(*number, "a")).await;
        let (nobody, other) = (shape.asked_with(""), shape.asked_with("session=b"));
        let before = [("a", *shape), ("nobody", &nobody)];
        for (user, asks, before) in [("nobody", &nobody, &before[..1]), ("b", &other, &before)] {
            let seen = visitor.ask(&asks.request(*number, user)).await;
            let is_allowed = |(_, made): &&(&str, &Shape)| made.may_be_shown_to(asks.cookie);
            let expected = before
                .iter()
                .find(is_allowed)
                .map_or(user, |(user, _)| user);
            if seen.body != expected {
                let text = format!("{user} sees the page of {:?}, after {shape:?}", seen.body);
                outcome.wrong.push(text);
            }
            outcome.shared += usize::from(seen.body != user);
        }
    }
    outcome
}

/// Pages that say for whom they were made, below `layer`.
pub(crate) async fn pages(layer: EdgeLayer) -> Router {
    unlayered_pages()
        .await
        .layer(layer)
        .layer(from_fn(set_cookie_outside))
        .layer(LastLook)
}

/// The same without any layer of ours.
pub(crate) async fn unlayered_pages() -> Router {
    let shop = Shop::open().await;
    let private = lasting(60).visibility(Visibility::User);
    let page = Pages {
        everybodys: shop.cache("everybodys", lasting(60)),
        one_users: shop.cache("one-users", private),
    };
    let path = "/{number}/{status}/{sets_cookie}/{shows}";
    Router::new()
        .route(&format!("/marked{path}"), any(answer).layer(Public))
        .route(
            &format!("/varying{path}"),
            any(answer).layer(Public.varies_on(COOKIE)),
        )
        .route(&format!("/unmarked{path}"), any(answer))
        .with_state(page)
}

#[derive(Clone)]
struct Pages {
    everybodys: TieredCache<u64, String>,
    one_users: TieredCache<u64, String>,
}

async fn answer(
    State(pages): State<Pages>,
    Path((_, status, sets_cookie, shows)): Path<(usize, u16, String, String)>,
    asked: HeaderMap,
) -> Response {
    let cache = if shows == "user" {
        pages.one_users
    } else {
        pages.everybodys
    };
    let load = async |_| Ok::<_, std::convert::Infallible>("value".to_owned());
    cache.get_or_load(&1, load).await.unwrap();
    let mut response = asked[USER].to_str().unwrap().to_owned().into_response();
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    if shows == "varying" {
        response.headers_mut().insert(VARY, COOKIE.into());
    }
    if sets_cookie == "inner" {
        response.headers_mut().insert(SET_COOKIE, a_session());
    }
    response
}

async fn set_cookie_outside(request: Request, next: Next) -> Response {
    let is_outer = request.uri().path().contains("/outer/");
    let mut response = next.run(request).await;
    if is_outer {
        response.headers_mut().insert(SET_COOKIE, a_session());
    }
    response
}

fn a_session() -> HeaderValue {
    HeaderValue::from_static("session=a")
}

/// So many pages are looked at at the same time.
const SIDE_BY_SIDE: usize = 8;

/// Tells the page who asks, and is nothing to caches.
const USER: &str = "x-user";

/// How many onlookers are shown what was made for another, of all shapes. Of the marked pages with status 200, 301 or 404 that show what is everybody's: after each of 6 requests that may be shared
/// (`GET` and `HEAD`, 3 cookies) both onlookers, after the 30 others the second one sees the page of the first. Of those that vary
/// with the cookie: after 2 requests without one the first onlooker.
pub(crate) const SHARED: usize = 3 * (6 * 2 + 30) + 3 * 2;
