//! What is written as a Structured Field (RFC 9651): one byte wrong, and a cache ignores the whole field.

use http::HeaderValue;
use sfv::{DictSerializer, Integer, KeyRef, ListSerializer, StringRef, key_ref};

use crate::{decide::Lifetimes, profile::Profile};

/// What an edge reads in a field of its own: its lifetime, and how long past it the page may be served.
pub(crate) fn policy(lifetimes: Lifetimes, profile: &Profile) -> HeaderValue {
    let mut policy = DictSerializer::new();
    let _ = policy.bare_item(MAX_AGE, seconds(lifetimes.shared));
    if lifetimes.stale {
        let windows = [
            (WHILE_REVALIDATE, profile.stale_while_revalidate_seconds()),
            (IF_ERROR, profile.stale_if_error_seconds()),
        ];
        for (name, window) in windows.into_iter().filter(|(_, window)| *window > 0) {
            let _ = policy.bare_item(name, seconds(window));
        }
    }
    header_value(policy.finish())
}

/// The lifetime alone.
pub(crate) fn max_age(shared: u64) -> HeaderValue {
    let mut policy = DictSerializer::new();
    let _ = policy.bare_item(MAX_AGE, seconds(shared));
    header_value(policy.finish())
}

/// A list of strings: `"product.1", "lamps"`.
pub(crate) fn strings<'a>(texts: impl Iterator<Item = &'a str>) -> Option<HeaderValue> {
    let mut list = ListSerializer::new();
    for text in texts {
        let _ = list.bare_item(StringRef::from_str(text).ok()?);
    }
    list.finish().map(|text| header_value(Some(text)))
}

/// Seconds that every cache reads: more is as good as for ever.
pub(crate) fn seconds(seconds: u64) -> Integer {
    let seconds = seconds.min(LONGEST_DELTA_SECONDS);
    Integer::from(u32::try_from(seconds).expect("31 bits at most"))
}

pub(crate) fn header_value(text: Option<String>) -> HeaderValue {
    let text = text.expect("something was written");
    HeaderValue::try_from(text).expect("structured fields are visible ASCII and spaces")
}

const MAX_AGE: &KeyRef = key_ref("max-age");
const WHILE_REVALIDATE: &KeyRef = key_ref("stale-while-revalidate");
const IF_ERROR: &KeyRef = key_ref("stale-if-error");

/// The largest number of seconds that every cache reads (RFC 9111, 1.2.2).
pub(crate) const LONGEST_DELTA_SECONDS: u64 = (1 << 31) - 1;
