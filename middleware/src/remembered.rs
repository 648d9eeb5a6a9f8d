//! Pages that may be answered for ahead of their handlers: a bounded number, each with what it was made of.
//!
//! A place for a page is found by its address, and eight pages share the places of one lock. A new page takes the place of
//! the oldest among them, so a full map forgets and never grows.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use tricache::ReadSet;

use crate::varies_on::VariesOn;

/// Where a page is found: the service that answers it, the host, the path and the query. `GET` and `HEAD` are alike.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    /// Of the services that one layer has made.
    service: u64,
    uri: Uri,
    host: Option<HeaderValue>,
}

impl Place {
    pub(crate) fn of(service: u64, uri: &Uri, headers: &HeaderMap) -> Self {
        Self {
            service,
            uri: uri.clone(),
            host: headers.get(header::HOST).cloned(),
        }
    }
}

/// A page, without its body.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) place: Place,
    pub(crate) variant: Variant,
    /// The validator that its client was given.
    pub(crate) tag: HeaderValue,
    /// What its handler said, before the layer wrote anything.
    pub(crate) headers: HeaderMap,
    pub(crate) varies_on: VariesOn,
    /// The length of its body, if that was known.
    pub(crate) length: Option<u64>,
    pub(crate) reads: ReadSet,
}

/// The values of the request headers that a page varies on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Variant(Vec<(HeaderName, Vec<HeaderValue>)>);

impl Variant {
    /// `None` if `Vary` holds what is no name.
    pub(crate) fn of(response: &HeaderMap, asked: &HeaderMap) -> Option<Self> {
        let mut variant = Vec::new();
        for line in response.get_all(header::VARY) {
            let names = line.as_bytes().split(|byte| *byte == b',');
            for name in names
                .map(<[u8]>::trim_ascii)
                .filter(|name| !name.is_empty())
            {
                let name = HeaderName::from_bytes(name).ok()?;
                let values = asked.get_all(&name).iter().cloned().collect();
                variant.push((name, values));
            }
        }
        Some(Self(variant))
    }

    fn is_asked_for(&self, asked: &HeaderMap) -> bool {
        let mut names = self.0.iter();
        names.all(|(name, values)| asked.get_all(name).iter().eq(values))
    }
}

/// The pages of one layer.
#[derive(Debug)]
pub(crate) struct Pages {
    sets: Box<[Mutex<Vec<Arc<Page>>>]>,
    /// How many pages a set holds.
    ways: usize,
    hasher: RandomState,
}

impl Pages {
    pub(crate) fn at_most(pages: usize) -> Self {
        let ways = pages.min(WAYS);
        let sets = pages.checked_div(ways).unwrap_or_default();
        Self {
            sets: (0..sets).map(|_| Mutex::default()).collect(),
            ways,
            hasher: RandomState::new(),
        }
    }

    pub(crate) fn is_off(&self) -> bool {
        self.sets.is_empty()
    }

    /// The page that a request with these headers is answered with.
    pub(crate) fn find(&self, place: &Place, asked: &HeaderMap) -> Option<Arc<Page>> {
        let set = self.set(place)?;
        let found = set
            .iter()
            .find(|page| page.place == *place && page.variant.is_asked_for(asked));
        found.cloned()
    }

    /// Puts a page in the place of the one before it, and if there is none and no room, of the oldest.
    pub(crate) fn put(&self, page: Page) {
        let ways = self.ways;
        let Some(mut set) = self.set(&page.place) else {
            return;
        };
        set.retain(|known| known.place != page.place || known.variant != page.variant);
        if set.len() >= ways {
            set.remove(0);
        }
        set.push(Arc::new(page));
    }

    /// It cannot be answered for any more.
    pub(crate) fn forget(&self, page: &Arc<Page>) {
        if let Some(mut set) = self.set(&page.place) {
            set.retain(|known| !Arc::ptr_eq(known, page));
        }
    }

    /// `None` if no page is kept at all.
    fn set(&self, place: &Place) -> Option<MutexGuard<'_, Vec<Arc<Page>>>> {
        let hash = usize::try_from(self.hasher.hash_one(place) >> 33).unwrap_or_default();
        let set = self.sets.get(hash.checked_rem(self.sets.len())?)?;
        // Pages are put in and taken out whole.
        Some(set.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Pages that share a lock, and compete for its places.
const WAYS: usize = 8;
