//! A decision, as headers: every control header that an edge may read ends up saying the same.
//!
//! `Cache-Control` is what browsers see, and every proxy that does not know `Surrogate-Control`. It never carries
//! `s-maxage`, and `must-revalidate` keeps such a proxy from serving a page past its life when the service is away.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{
    decide::{Decision, Lifetimes, Reason},
    facts::Read,
    key_line::{Form, KeyLine, OverBudget, key_line},
    stated::{SURROGATE_CONTROL, SURROGATE_KEY, is_foreign, is_targeted},
};

/// What the headers say in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) decision: Decision,
    /// How the keys stand there, if the page is shared.
    pub(crate) form: Form,
}

/// Writes a decision. A page to be shared whose keys do not fit into `key_budget` bytes is not shared.
pub(crate) fn write(
    headers: &mut HeaderMap,
    decision: Decision,
    read: &Read<'_>,
    key_budget: usize,
    no_transform: bool,
) -> Written {
    let mut written = Written {
        decision,
        form: Form::Whole,
    };
    match decision {
        Decision::Share(lifetimes) => match keys(headers, read, key_budget) {
            Ok(keys) => {
                written.form = keys.form;
                share(headers, lifetimes, keys, no_transform);
            }
            Err(OverBudget) => {
                written.decision = Decision::Deny(Reason::OverBudget);
                deny(headers, "private, no-store", no_transform);
            }
        },
        Decision::Deny(_) => deny(headers, "private, no-store", no_transform),
        Decision::AskEachTime => deny(headers, "private, no-cache", no_transform),
        Decision::KeepOwn => deny_edges(headers),
        Decision::Untouched => {}
    }
    written
}

/// The keys that the handler set itself, and those of what was read.
fn keys(headers: &HeaderMap, read: &Read<'_>, budget: usize) -> Result<KeyLine, OverBudget> {
    let lines = headers.get_all(&SURROGATE_KEY).iter();
    // They are text, or the page would not be shared.
    let own: Vec<&str> = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(str::split_ascii_whitespace)
        .collect();
    key_line(&own, &read.entities, &read.tags, budget)
}

/// Lets the edge keep the page for its shared lifetime, and find it by its keys.
fn share(headers: &mut HeaderMap, lifetimes: Lifetimes, keys: KeyLine, no_transform: bool) {
    let policy = browser_policy(lifetimes.browser, no_transform);
    headers.insert(header::CACHE_CONTROL, policy);
    let policy = header_value(format!("max-age={}", lifetimes.shared));
    set_targeted(headers, &policy);
    headers.insert(SURROGATE_KEY.clone(), header_value(keys.text));
    // The lifetime is what remains now: an age beside it would be taken off twice.
    headers.remove(header::AGE);
}

/// Keeps the page from edges, and tells browsers `policy`: without any lifetime, as some obey one beside `no-store`.
fn deny(headers: &mut HeaderMap, policy: &'static str, no_transform: bool) {
    let policy = if no_transform {
        header_value(format!("{policy}, no-transform"))
    } else {
        HeaderValue::from_static(policy)
    };
    headers.insert(header::CACHE_CONTROL, policy);
    headers.remove(header::EXPIRES);
    deny_edges(headers);
}

/// Lets no edge keep the page; what browsers may do is left as it is.
fn deny_edges(headers: &mut HeaderMap) {
    set_targeted(headers, &HeaderValue::from_static("private, no-store"));
    let foreign: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_foreign(name))
        .cloned()
        .collect();
    for name in foreign.iter().filter(|name| *name != header::EXPIRES) {
        headers.remove(name);
    }
    headers.remove(&SURROGATE_KEY);
}

/// Sets `Surrogate-Control`, and every other targeted field that the handler had set.
fn set_targeted(headers: &mut HeaderMap, policy: &HeaderValue) {
    let others: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_targeted(name))
        .cloned()
        .collect();
    for name in others {
        headers.insert(name, policy.clone());
    }
    headers.insert(SURROGATE_CONTROL.clone(), policy.clone());
}

fn browser_policy(seconds: u64, no_transform: bool) -> HeaderValue {
    match (seconds, no_transform) {
        (0, false) => HeaderValue::from_static("public, max-age=0, must-revalidate"),
        (_, false) => header_value(format!("public, max-age={seconds}, must-revalidate")),
        (_, true) => header_value(format!(
            "public, max-age={seconds}, must-revalidate, no-transform"
        )),
    }
}

fn header_value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("made of visible ASCII and spaces only")
}
