//! What the rules ask about a request and its response, read in one pass over the headers.

use http::{Method, Request, Response, StatusCode, header};

use crate::{public::Public, stated::Stated};

/// What the rules ask about a request. Taken before the handler consumes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestFacts {
    /// It is a `GET` or a `HEAD`.
    pub(crate) is_read: bool,
    /// It has an `Authorization`.
    pub(crate) authorized: bool,
}

impl RequestFacts {
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        Self {
            is_read: matches!(*request.method(), Method::GET | Method::HEAD),
            authorized: request.headers().contains_key(header::AUTHORIZATION),
        }
    }
}

/// What the rules ask about a response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResponseFacts {
    pub(crate) status: StatusCode,
    /// Its route is marked [`Public`].
    pub(crate) public: bool,
    /// It has a `Set-Cookie`.
    pub(crate) sets_cookie: bool,
    /// Its `Vary` holds a `*`: no other request will match it.
    pub(crate) varies_on_all: bool,
    /// What its handler said about caching.
    pub(crate) stated: Stated,
}

impl ResponseFacts {
    pub(crate) fn of<B>(response: &Response<B>) -> Self {
        let mut facts = Self {
            status: response.status(),
            public: response.extensions().get::<Public>().is_some(),
            sets_cookie: false,
            varies_on_all: false,
            stated: Stated::default(),
        };
        for (name, value) in response.headers() {
            if name == header::SET_COOKIE {
                facts.sets_cookie = true;
            } else if name == header::VARY {
                facts.varies_on_all |= value.as_bytes().contains(&b'*');
            } else {
                facts.stated.read(name, value);
            }
        }
        facts
    }
}
