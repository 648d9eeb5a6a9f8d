//! The 304 ahead of the handler: for a page whose route reads through caches alone, and of which all that it read is still
//! here as it was.
//!
//! Nothing is decided anew here. What the handler said then is taken through the same steps as if it had said it now, with
//! what it read now: the rules, the last question, the lifetimes of this moment. Whatever does not end in a 304 is the
//! handler's.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, Response, StatusCode, header};
use http_body::Body;
use tricache::{Confirmation, RequestScope};

use crate::{
    edge::{Asked, Edge},
    entity_tag::matches,
    facts::Explained,
    last_look::Shared,
    observe::answered_ahead,
    public::{OnlyCaches, Public},
    remembered::{Page, Variant},
    varies_on::VariesOn,
};

/// A page that a client has already, if nothing has moved.
pub(crate) struct Ahead {
    page: Arc<Page>,
    /// In which all that the page shows was read, now.
    pub(crate) scope: RequestScope,
}

/// What a handler said of a page that may be answered for later.
pub(crate) struct Head {
    headers: HeaderMap,
    varies_on: VariesOn,
    length: Option<u64>,
}

impl Edge {
    /// A page to be answered for ahead of its handler; `None`: ask the handler.
    pub(crate) fn ahead(&self, asked: &Asked) -> Option<Ahead> {
        let (place, headers) = asked.place.as_ref().zip(asked.headers.as_ref())?;
        if asked.facts.authorized
            || asked.facts.explained == Explained::ToOne
            || !headers.contains_key(header::IF_NONE_MATCH)
            || OF_THE_HANDLER.iter().any(|name| headers.contains_key(name))
        {
            return None;
        }
        let page = self.pages.find(place, headers)?;
        if !matches(headers, &page.tag) {
            return None;
        }
        match page.reads.again() {
            Some(scope) => Some(Ahead { page, scope }),
            None => {
                self.pages.forget(&page);
                None
            }
        }
    }

    /// The 304, unless the rules have it otherwise. `confirmed`: what the remote tier has said, if it was asked.
    pub(crate) fn answer_ahead<B: Body + Default>(
        &self,
        asked: &Asked,
        ahead: &Ahead,
        confirmed: Option<Confirmation>,
    ) -> Option<Response<B>> {
        if !matches!(confirmed, None | Some(Confirmation::Current { .. })) {
            return None;
        }
        let mut response = ahead.response().map(|()| B::default());
        self.answer(asked, &ahead.scope, None, confirmed, &mut response);
        if response.status() != StatusCode::NOT_MODIFIED {
            return None;
        }
        let headers = response.headers_mut();
        match ahead.page.length {
            Some(length) => headers.insert(header::CONTENT_LENGTH, length.into()),
            None => headers.remove(header::CONTENT_LENGTH),
        };
        answered_ahead(&self.counts, &self.edges);
        Some(response)
    }

    /// What must be kept of a response before anything is written on it; `None` if it cannot be answered for later.
    pub(crate) fn head<B: Body>(&self, asked: &Asked, response: &Response<B>) -> Option<Head> {
        let (extensions, headers) = (response.extensions(), response.headers());
        asked.place.as_ref()?;
        let declared = extensions.get::<OnlyCaches>().is_some()
            && extensions.get::<Public>().is_some()
            && extensions.get::<Shared>().is_none();
        let ages = AGING.iter().any(|name| headers.contains_key(name));
        if !declared || ages || !asked.is_get || response.status() != StatusCode::OK {
            return None;
        }
        Some(Head {
            headers: headers.clone(),
            varies_on: extensions.get::<VariesOn>().cloned().unwrap_or_default(),
            length: response.body().size_hint().exact(),
        })
    }

    /// Remembers a page that was answered in full, and is known by its validator.
    pub(crate) fn remember(
        &self,
        asked: &Asked,
        head: Head,
        scope: &RequestScope,
        response: &HeaderMap,
    ) -> Option<()> {
        let (place, headers) = asked.place.as_ref().zip(asked.headers.as_ref())?;
        let tag = response.get(header::ETAG)?;
        let known = self.pages.find(place, headers);
        if known.is_some_and(|known| known.tag == *tag && known.reads.are_those_of(scope)) {
            return None;
        }
        let reads = scope.reads()?;
        if reads.entities() > MOST_ENTITIES {
            return None;
        }
        self.pages.put(Page {
            place: place.clone(),
            variant: Variant::of(response, headers)?,
            tag: tag.clone(),
            headers: head.headers,
            varies_on: head.varies_on,
            length: head.length,
            reads,
        });
        Some(())
    }
}

impl Ahead {
    /// What the handler answered then, before the layer wrote anything.
    pub(crate) fn response(&self) -> Response<()> {
        let mut response = Response::new(());
        *response.headers_mut() = self.page.headers.clone();
        let extensions = response.extensions_mut();
        extensions.insert(Public);
        self.page.varies_on.note(extensions);
        response
    }
}

/// Conditions that are the handler's to judge, and come before the one that is judged here (RFC 9110, 13.2.2).
static OF_THE_HANDLER: [HeaderName; 3] =
    [header::IF_MATCH, header::IF_UNMODIFIED_SINCE, header::RANGE];

/// What a handler says about this moment is not what it would say at another.
static AGING: [HeaderName; 4] = [
    header::AGE,
    header::DATE,
    header::EXPIRES,
    header::SET_COOKIE,
];

/// A page that reads more is not remembered: asking for all of it costs as much as a handler.
const MOST_ENTITIES: usize = 256;
