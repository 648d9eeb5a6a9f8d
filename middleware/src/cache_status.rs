//! `Cache-Status` (RFC 9211): how the tiers have answered, one member each at most.
//!
//! The tiers are caches of data, not of responses: a page of ten entities has ten answers. A member is a `hit` if its tier
//! has answered all that it was asked. No key is ever named.

use http::{HeaderMap, HeaderName, HeaderValue};
use sfv::{KeyRef, ListSerializer, StringRef, TokenRef, key_ref, token_ref};
use tricache::{Outcome, ScopeSummary};

use crate::structured::{header_value, seconds};

/// How much strangers are told is little: a member for all tiers, and whether it was a hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    Terse,
    Full,
}

/// Adds what is known of the reads behind what caches further inside have said; nothing if nothing was read.
pub(crate) fn append(headers: &mut HeaderMap, summary: &ScopeSummary, detail: Detail) {
    if let Some(status) = status(summary, detail) {
        headers.append(CACHE_STATUS.clone(), status);
    }
}

fn status(summary: &ScopeSummary, detail: Detail) -> Option<HeaderValue> {
    let reads = Reads::of(summary);
    if reads.all == 0 {
        return None;
    }
    let mut list = ListSerializer::new();
    if detail == Detail::Terse {
        member(&mut list, TIERS, reads.forwarded(reads.loaded), None, None);
        return Some(header_value(list.finish()));
    }
    // The first member is the closest to the origin.
    let asked = reads.all - reads.local;
    if asked > 0 {
        let answered = asked - reads.loaded;
        member(
            &mut list,
            REMOTE,
            reads.forwarded(reads.loaded),
            None,
            Some((answered, asked)),
        );
    }
    let ttl = summary.remaining().map(|remaining| remaining.as_secs());
    member(
        &mut list,
        LOCAL,
        reads.forwarded(asked),
        ttl,
        Some((reads.local, reads.all)),
    );
    Some(header_value(list.finish()))
}

/// `hit` and `fwd` exclude each other, and a time to live belongs to a hit.
fn member(
    list: &mut ListSerializer<String>,
    cache: &TokenRef,
    forwarded: Option<&'static TokenRef>,
    ttl: Option<u64>,
    answered: Option<(u32, u32)>,
) {
    let mut member = list.bare_item(cache);
    member = match (forwarded, ttl) {
        (Some(why), _) => member.parameter(FWD, why),
        (None, None) => member.parameter(HIT, true),
        (None, Some(ttl)) => member.parameter(HIT, true).parameter(TTL, seconds(ttl)),
    };
    if let Some((answered, asked)) = answered {
        let detail = format!("{answered} of {asked}");
        let detail = StringRef::from_str(&detail).expect("digits and letters");
        let _ = member.parameter(DETAIL, detail);
    }
}

/// How many reads were answered, and how.
#[derive(Default)]
struct Reads {
    all: u32,
    local: u32,
    loaded: u32,
    bypassed: u32,
}

impl Reads {
    fn of(summary: &ScopeSummary) -> Self {
        let mut reads = Self::default();
        for (outcome, count) in summary.outcomes() {
            reads.all += count;
            match outcome {
                Outcome::RemoteHit => {}
                Outcome::Loaded => reads.loaded += count,
                Outcome::Bypassed => {
                    reads.loaded += count;
                    reads.bypassed += count;
                }
                // A stale value has been here, or is here now.
                _ => reads.local += count,
            }
        }
        reads
    }

    /// Why a tier had to ask further inside, if it could not answer so many reads.
    fn forwarded(&self, unanswered: u32) -> Option<&'static TokenRef> {
        match unanswered {
            0 => None,
            _ if self.bypassed > 0 => Some(BYPASS),
            _ => Some(MISS),
        }
    }
}

static CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const TIERS: &TokenRef = token_ref("tricache");
const REMOTE: &TokenRef = token_ref("tricache-remote");
const LOCAL: &TokenRef = token_ref("tricache-local");
const HIT: &KeyRef = key_ref("hit");
const FWD: &KeyRef = key_ref("fwd");
const TTL: &KeyRef = key_ref("ttl");
const DETAIL: &KeyRef = key_ref("detail");
const MISS: &TokenRef = token_ref("miss");
const BYPASS: &TokenRef = token_ref("bypass");
