//! A decision, as headers: every control header that an edge may read ends up saying the same.
//!
//! `Cache-Control` is what browsers see, and every proxy that does not know `Surrogate-Control`. It never carries
//! `s-maxage`, and `must-revalidate` keeps such a proxy from serving a page past its life when the service is away.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use tricache::EntityName;

use crate::{
    decide::Lifetimes,
    profile::Profile,
    stated::{SURROGATE_CONTROL, SURROGATE_KEY, is_foreign, is_targeted},
    surrogate_key::push_surrogate_key,
};

/// Lets the edge keep the page for its shared lifetime, and find it by a key for each of `entities`.
///
/// # Errors
/// The keys are too long for the edge: nothing was written.
pub(crate) fn share(
    headers: &mut HeaderMap,
    lifetimes: Lifetimes,
    entities: &[EntityName],
    profile: &Profile,
    no_transform: bool,
) -> Result<(), OverBudget> {
    let keys = surrogate_keys(
        headers,
        entities.iter().map(EntityName::as_str),
        profile.key_budget(),
    )?;
    headers.insert(
        header::CACHE_CONTROL,
        browser_policy(lifetimes.browser, no_transform),
    );
    set_targeted(
        headers,
        &header_value(format!("max-age={}", lifetimes.shared)),
    );
    headers.insert(SURROGATE_KEY.clone(), keys);
    Ok(())
}

/// The surrogate keys of a page are longer than its edge takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OverBudget;

/// Lets nobody keep the page. The bare pair, without any lifetime: some edges obey a lifetime beside `no-store`.
pub(crate) fn deny(headers: &mut HeaderMap, no_transform: bool) {
    let policy = if no_transform {
        "private, no-store, no-transform"
    } else {
        "private, no-store"
    };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(policy));
    headers.remove(header::EXPIRES);
    deny_edges(headers);
}

/// Lets no edge keep the page; what browsers may do is left as it is.
pub(crate) fn deny_edges(headers: &mut HeaderMap) {
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

/// The `Surrogate-Key` value: the handler's own keys, then one for each name, at most `budget` bytes.
///
/// A key that is left out is a page that can no longer be purged, so there is no shorter form.
fn surrogate_keys<'a>(
    headers: &HeaderMap,
    names: impl Iterator<Item = &'a str>,
    budget: usize,
) -> Result<HeaderValue, OverBudget> {
    let mut line = own_keys(headers);
    let own = line.len();
    for name in names {
        let end = line.len();
        if end > 0 {
            line.push(' ');
        }
        let start = line.len();
        push_surrogate_key(name, &mut line);
        if holds(&line[..own], &line[start..]) {
            line.truncate(end);
        }
        if line.len() > budget {
            return Err(OverBudget);
        }
    }
    Ok(header_value(line))
}

/// The keys that the handler set itself, in one line. They are text, or the page would not be shared.
fn own_keys(headers: &HeaderMap) -> String {
    let lines = headers
        .get_all(&SURROGATE_KEY)
        .iter()
        .filter_map(|line| line.to_str().ok());
    lines.collect::<Vec<_>>().join(" ")
}

fn holds(own: &str, key: &str) -> bool {
    own.split_ascii_whitespace().any(|own| own == key)
}

fn header_value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("made of visible ASCII and spaces only")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handlers_own_keys_come_first_and_none_comes_twice() {
        let headers = with_keys(&["front product.1", "list"]);

        let keys = surrogate_keys(&headers, ["product/1", "product/2"].into_iter(), 100).unwrap();

        assert_eq!(keys, "front product.1 list product.2");
    }

    #[test]
    fn a_line_may_be_as_long_as_the_budget_and_no_longer() {
        let keys = |budget| surrogate_keys(&HeaderMap::new(), ["a/1", "a/2"].into_iter(), budget);

        assert_eq!(keys(7).unwrap(), "a.1 a.2");
        assert_eq!(keys(6), Err(OverBudget));
    }

    #[test]
    fn the_handlers_own_keys_count_too() {
        let headers = with_keys(&["long-key"]);

        assert_eq!(
            surrogate_keys(&headers, ["a/1"].into_iter(), 11),
            Err(OverBudget)
        );
        assert!(surrogate_keys(&headers, ["a/1"].into_iter(), 12).is_ok());
    }

    fn with_keys(lines: &[&'static str]) -> HeaderMap {
        lines
            .iter()
            .map(|line| (SURROGATE_KEY.clone(), HeaderValue::from_static(line)))
            .collect()
    }
}
