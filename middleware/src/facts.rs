//! What the rules ask about a request, its response and what was read in between.

use std::time::Duration;

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use tricache::{ScopeSummary, Tag, Visibility};

use crate::{edges::Edges, last_look::Shared, public::Public, stated::Stated};

/// What the rules ask about a request. Taken before the handler consumes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestFacts {
    /// It is a `GET` or a `HEAD`.
    pub(crate) is_read: bool,
    /// It has an `Authorization`.
    pub(crate) authorized: bool,
    /// It came through an edge, or nobody asks whether it did.
    pub(crate) through_edge: bool,
    /// What is decided is to be explained on the response.
    pub(crate) explained: Explained,
}

/// To whom a response is explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Explained {
    /// To nobody.
    No,
    /// To whoever asks a debug build.
    ToAll,
    /// To one who knows the secret: the response is for nobody else.
    ToOne,
}

impl RequestFacts {
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        Self {
            is_read: matches!(*request.method(), Method::GET | Method::HEAD),
            authorized: request.headers().contains_key(header::AUTHORIZATION),
            through_edge: true,
            explained: Explained::No,
        }
    }

    /// Whether an edge may be told to keep a response, whatever that is.
    pub(crate) fn may_be_shared(&self) -> bool {
        self.is_read && !self.authorized && self.through_edge
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
    /// Its `Vary` names more than `Accept-Encoding`.
    pub(crate) varies: bool,
    /// A layer within this one has let it be shared: what its headers demand is not all the handler's.
    pub(crate) written_before: bool,
    /// It has an `ETag` or a `Last-Modified`.
    pub(crate) has_validator: bool,
    /// What its handler said about caching.
    pub(crate) stated: Stated,
}

impl ResponseFacts {
    /// Read in one pass over the headers, of which some may control one of `edges` alone.
    pub(crate) fn of<B>(response: &Response<B>, edges: &Edges) -> Self {
        let mut facts = Self {
            status: response.status(),
            public: response.extensions().get::<Public>().is_some(),
            sets_cookie: false,
            varies_on_all: false,
            varies: false,
            written_before: response.extensions().get::<Shared>().is_some(),
            has_validator: false,
            stated: Stated::default(),
        };
        for (name, value) in response.headers() {
            if name == header::SET_COOKIE {
                facts.sets_cookie = true;
            } else if name == header::VARY {
                facts.varies_on_all |= value.as_bytes().contains(&b'*');
                facts.varies |= names_more_than_encoding(value);
            } else if name == header::ETAG || name == header::LAST_MODIFIED {
                facts.has_validator = true;
            } else if edges.is_control(name) {
                facts.stated.read_targeted(value);
            } else {
                facts.stated.read(name, value);
            }
        }
        facts.stated.settle();
        facts
    }
}

fn names_more_than_encoding(vary: &HeaderValue) -> bool {
    let mut names = vary.as_bytes().split(|byte| *byte == b',');
    names.any(|name| {
        let name = name.trim_ascii();
        !name.is_empty() && !name.eq_ignore_ascii_case(b"accept-encoding")
    })
}

/// What was read while the response was made.
#[derive(Clone, Debug)]
pub(crate) struct Read<'a> {
    /// Names as in `product/42`, each once.
    pub(crate) entities: Vec<&'a str>,
    /// Spelled, each once.
    pub(crate) tags: Vec<&'a str>,
    /// Numbers of what the entities show of others, each once.
    pub(crate) shown: &'a [u64],
    /// Something within has objected to sharing.
    pub(crate) objected: bool,
    /// Who may see it: the strictest of all.
    pub(crate) visibility: Visibility,
    /// The least remaining life; `None` if nothing was read.
    pub(crate) remaining: Option<Duration>,
}

impl<'a> Read<'a> {
    pub(crate) fn of(summary: &'a ScopeSummary) -> Self {
        Self {
            entities: summary.entity_names().collect(),
            tags: summary.tags().iter().map(Tag::as_str).collect(),
            ..Self::without_names(summary)
        }
    }

    /// All that a decision asks for; the names are for the keys.
    pub(crate) fn without_names(summary: &'a ScopeSummary) -> Self {
        Self {
            entities: Vec::new(),
            tags: Vec::new(),
            shown: summary.dependencies(),
            objected: !summary.objections().is_empty(),
            visibility: summary.visibility(),
            remaining: summary.remaining(),
        }
    }
}
