//! What all services of one layer share, and the steps from a response to the headers that leave with it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, header};
use http_body::Body;
use tricache::{Confirmation, RequestScope, ScopeSummary};

use crate::{
    cache_status::{self, Detail},
    decide::{Decision, Reason, decide},
    edges::Edges,
    entity_tag::{entity_tag, matches},
    explain::{Explains, explain},
    facts::{Explained, Read, RequestFacts, ResponseFacts},
    guard::Guard,
    last_look::Shared,
    not_modified::not_modified,
    observe::{Counts, EdgeReport, clamped, decided},
    profile::Profile,
    remembered::{Pages, Place},
    secret::Secret,
    varies_on::append_vary,
    verdict::own_keys,
    write::{Page, Written, deny, write},
};

/// The settings of a layer, and its counts, which outlive a change of settings.
#[derive(Clone, Debug)]
pub(crate) struct Edge {
    pub(crate) edges: Arc<Edges>,
    pub(crate) counts: Arc<Counts>,
    /// What may be answered for ahead of its handler.
    pub(crate) pages: Arc<Pages>,
    /// How many services were made, of this layer and its clones.
    services: Arc<AtomicU64>,
    /// What renders the pages, if they have validators.
    pub(crate) build: Option<String>,
    pub(crate) groups: bool,
    pub(crate) status: bool,
    pub(crate) explains: Explains,
    pub(crate) guard: Guard,
    /// The header by which an edge proves itself.
    pub(crate) through: Option<(HeaderName, Secret)>,
}

/// What is kept of a request until its response is there.
pub(crate) struct Asked {
    pub(crate) facts: RequestFacts,
    pub(crate) is_get: bool,
    /// All headers, if the response may have a validator.
    pub(crate) headers: Option<HeaderMap>,
    /// Where its page is to be found, if pages are remembered.
    pub(crate) place: Option<Place>,
}

impl fmt::Debug for Asked {
    /// Without the headers: credentials are among them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.facts.fmt(f)
    }
}

impl Edge {
    pub(crate) fn new(profile: Profile) -> Self {
        Self {
            edges: Arc::new(Edges::new(profile)),
            counts: Arc::default(),
            pages: Arc::new(Pages::at_most(REMEMBERED)),
            services: Arc::default(),
            build: None,
            groups: false,
            status: false,
            explains: Explains::default(),
            guard: Guard::default(),
            through: None,
        }
    }

    pub(crate) fn add(&mut self, profile: Profile) {
        Arc::make_mut(&mut self.edges).add(profile);
    }

    pub(crate) fn report(&self) -> EdgeReport {
        self.counts.report()
    }

    /// A number that no other service of this layer has.
    pub(crate) fn next_service(&self) -> u64 {
        self.services.fetch_add(1, Relaxed)
    }

    /// What must be known of a request to this service. Taken before the handler consumes it.
    pub(crate) fn asked<B>(&self, request: &Request<B>, service: u64) -> Asked {
        let mut facts = RequestFacts::of(request);
        facts.explained = self.explains.to_one_who_asks(request.headers());
        facts.through_edge = self.through.as_ref().is_none_or(|(name, secret)| {
            let given = request.headers().get(name);
            given.is_some_and(|given| secret.is(given))
        });
        let may_be_validated = self.build.is_some() && facts.is_read;
        let may_be_remembered = may_be_validated && !self.pages.is_off();
        Asked {
            facts,
            is_get: request.method() == Method::GET,
            headers: may_be_validated.then(|| request.headers().clone()),
            place: may_be_remembered.then(|| Place::of(service, request.uri(), request.headers())),
        }
    }

    /// Whether the remote tier must be asked before this response leaves: an edge may keep it, if it is current.
    pub(crate) fn must_confirm<B>(
        &self,
        asked: &Asked,
        summary: &ScopeSummary,
        response: &Response<B>,
    ) -> bool {
        // First what is true of many responses and costs no look at their headers.
        let lives = summary.remaining().is_some_and(|life| life.as_secs() > 0);
        lives && asked.facts.may_be_shared() && {
            let facts = ResponseFacts::of(response, &self.edges);
            Guard::asks_about(decide(asked.facts, &facts, &Read::without_names(summary)))
        }
    }

    /// Writes on a response what follows from it, its request, what was read in between, and what the remote tier has said of
    /// that, if it was asked. `summary`: of the scope, if no time has passed since.
    pub(crate) fn answer<B: Body + Default>(
        &self,
        asked: &Asked,
        scope: &RequestScope,
        summary: Option<ScopeSummary>,
        confirmed: Option<Confirmation>,
        response: &mut Response<B>,
    ) {
        let summary = &summary.unwrap_or_else(|| scope.summary());
        let head = self.head(asked, response);
        let read = Read::of(summary);
        let own = own_keys(response.headers(), &self.edges);
        let written = self.write_headers(asked.facts, &read, confirmed, own.as_deref(), response);
        if let Some(headers) = &asked.headers {
            self.write_validator(headers, &written, own.as_deref(), summary, response);
        }
        if written.decision == Decision::Untouched && response.status().is_informational() {
            return;
        }
        self.tell(asked.facts.explained, summary, &written, response);
        if let Some(head) = head.filter(|_| may_be_kept(&written)) {
            self.remember(asked, head, scope, response.headers());
        }
        if let Some(headers) = &asked.headers {
            let has_it = has_it(headers, &written, response);
            if has_it && asked.facts.explained != Explained::ToOne {
                not_modified(response);
            }
        }
    }

    /// Policy and keys, and a count of what was decided.
    pub(crate) fn write_headers<B>(
        &self,
        request: RequestFacts,
        read: &Read<'_>,
        confirmed: Option<Confirmation>,
        own: Option<&[String]>,
        response: &mut Response<B>,
    ) -> Written {
        append_vary(response);
        let facts = ResponseFacts::of(response, &self.edges);
        let mut decision = decide(request, &facts, read);
        if own.is_none() && matches!(decision, Decision::Share(_)) {
            decision = Decision::Deny(Reason::Unsure);
        }
        if let Some(answer) = confirmed {
            let judged = self.guard.judge(decision, answer);
            if judged != decision && matches!(judged, Decision::Share(_)) {
                clamped(&self.counts, &self.edges);
            }
            decision = judged;
        }
        let page = Page {
            read,
            own: own.unwrap_or_default(),
            varies: facts.varies,
            no_transform: facts.stated.no_transform,
            grouped: self.groups,
        };
        let written = write(response.headers_mut(), decision, page, &self.edges);
        if matches!(written.decision, Decision::Share(_)) {
            let edges = Arc::clone(&self.edges);
            response.extensions_mut().insert(Shared(edges));
        }
        decided(&self.counts, &self.edges, &written, read.entities.len());
        written
    }

    /// A validator for a page that may be kept and has none of its handler's.
    fn write_validator<B>(
        &self,
        asked: &HeaderMap,
        written: &Written,
        own: Option<&[String]>,
        summary: &ScopeSummary,
        response: &mut Response<B>,
    ) {
        let (Some(build), Some(own)) = (&self.build, own) else {
            return;
        };
        if !may_be_kept(written)
            || !is_page(response.status())
            || response.headers().contains_key(header::ETAG)
        {
            return;
        }
        if let Some(tag) = entity_tag(build, asked, response.headers(), own, summary) {
            response.headers_mut().insert(header::ETAG, tag);
        }
    }

    /// What is told of the way to the decision. What one alone is told, no cache may keep.
    fn tell<B>(
        &self,
        explained: Explained,
        summary: &ScopeSummary,
        written: &Written,
        response: &mut Response<B>,
    ) {
        if explained == Explained::ToOne {
            response.extensions_mut().remove::<Shared>();
            deny(
                response.headers_mut(),
                "private, no-store",
                false,
                &self.edges,
            );
        }
        let headers = response.headers_mut();
        if explained != Explained::No {
            explain(headers, written, &self.edges);
        }
        if self.status {
            let full = explained == Explained::ToOne;
            let detail = if full { Detail::Full } else { Detail::Terse };
            cache_status::append(headers, summary, detail);
        }
    }
}

/// Whether the client has the page already: only a page that may be kept is answered for (RFC 9110, 13.2.1).
fn has_it<B>(asked: &HeaderMap, written: &Written, response: &Response<B>) -> bool {
    let tag = response.headers().get(header::ETAG);
    may_be_kept(written) && is_page(response.status()) && tag.is_some_and(|tag| matches(asked, tag))
}

fn may_be_kept(written: &Written) -> bool {
    matches!(
        written.decision,
        Decision::Share(_) | Decision::ShareWithBrowsers(_)
    )
}

fn is_page(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::OK | StatusCode::NON_AUTHORITATIVE_INFORMATION
    )
}

/// Pages that are remembered, if nothing else is set.
const REMEMBERED: usize = 1000;

#[cfg(test)]
mod tests;
