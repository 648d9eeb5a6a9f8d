//! Nothing personal is ever shared: every combination of what may make a page personal, under one question.

use super::*;

#[test]
fn nothing_personal_is_ever_shared() {
    let (mut asked, mut shared) = (0, 0);
    for case in cases() {
        let headers = case.write(&edge());
        asked += 1;
        if lets_be_shared(&headers) {
            shared += 1;
            assert!(!is_personal(&case), "{case:?}: {:?}", lines(&headers));
        } else {
            assert!(!headers.contains_key("surrogate-key"), "{case:?}");
        }
    }

    // The question is worth something only if some pages are shared.
    assert_eq!(
        (asked, shared),
        (6 * 2 * 2 * 2 * 11 * 2 * 2 * 4 * 2, SHARED)
    );
}

#[test]
fn a_cookie_in_the_request_changes_nothing_because_the_mark_speaks_of_it() {
    for case in cases().filter(|case| !case.cookie) {
        let with_cookie = Case {
            cookie: true,
            ..case.clone()
        };

        assert_eq!(case.answer(), with_cookie.answer(), "{case:?}");
    }
}

/// Whether no shared cache may store the page, said without a look at how the rules are written.
fn is_personal(case: &Case) -> bool {
    let sets_cookie = case.own.iter().any(|(name, _)| *name == "set-cookie");
    let is_read = ["GET", "HEAD"].contains(&case.method);
    let read_caches = case.remaining.is_some();
    // A handler that answers a write, or reads no cache, and states a lifetime of its own speaks for itself.
    let speaks_for_itself = case.own.contains(&OWN_POLICY) && (!is_read || !read_caches);
    case.authorized
        || sets_cookie
        || case.visibility == Visibility::User
        || NEVER.contains(&case.status)
        || case.own.contains(&("cache-control", "private, max-age=60"))
        || case
            .own
            .contains(&("cache-control", "no-store, max-age=60"))
        || !(speaks_for_itself || is_read && case.marked && LISTED.contains(&case.status))
}

/// Whether any control header lets a shared cache store the page, or leaves it to guess.
fn lets_be_shared(headers: &HeaderMap) -> bool {
    let controls: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .filter(|(name, _)| *name == "surrogate-control" || name.ends_with("cache-control"))
        .collect();
    let refuses = |value: &str| value.contains("private") || value.contains("no-store");
    let others = ["expires", "x-accel-expires", "edge-control"];
    !controls.iter().any(|(name, _)| *name == "cache-control")
        || controls.iter().any(|(_, value)| !refuses(value))
        || others.iter().any(|name| headers.contains_key(*name))
}

fn cases() -> impl Iterator<Item = Case> {
    let own: [&[(&str, &str)]; 4] = [
        &[],
        &[
            OWN_POLICY,
            ("surrogate-control", "max-age=60"),
            ("cdn-cache-control", "max-age=60"),
            ("surrogate-key", "x"),
        ],
        &[
            ("cache-control", "private, max-age=60"),
            ("surrogate-control", "max-age=60"),
            ("x-accel-expires", "60"),
        ],
        &[
            ("cache-control", "no-store, max-age=60"),
            ("surrogate-control", "max-age=60"),
            ("expires", "0"),
        ],
    ];
    let statuses = LISTED.into_iter().chain(NEVER);
    let base = statuses.flat_map(|status| {
        ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"].map(|method| Case {
            status,
            method,
            ..Case::default()
        })
    });
    let base = base.flat_map(|case| {
        [true, false].map(|authorized| Case {
            authorized,
            ..case.clone()
        })
    });
    let base = base.flat_map(|case| {
        [true, false].map(|cookie| Case {
            cookie,
            ..case.clone()
        })
    });
    let base = base.flat_map(|case| {
        [true, false].map(|marked| Case {
            marked,
            ..case.clone()
        })
    });
    let base = base.flat_map(|case| {
        [Visibility::Public, Visibility::User].map(|visibility| Case {
            visibility,
            ..case.clone()
        })
    });
    let base = base.flat_map(|case| {
        [Some(60_000), None].map(|remaining| Case {
            remaining,
            ..case.clone()
        })
    });
    let base = base.flat_map(move |case| own.map(|own| case.says(own)));
    base.flat_map(|case| {
        let with_cookie = [case.own.clone(), vec![("set-cookie", "session=1")]].concat();
        [case.clone(), case.says(&with_cookie)]
    })
}

const OWN_POLICY: (&str, &str) = ("cache-control", "public, max-age=60");
const LISTED: [u16; 6] = [200, 203, 301, 308, 404, 410];
const NEVER: [u16; 5] = [401, 403, 429, 500, 503];

/// Of 6 statuses, with and without a cookie in the request:
/// marked pages that read, by 2 methods, with no policy of the handler's or one that only names a lifetime; pages that
/// read nothing and state a lifetime, by 2 methods, marked or not; and answers to 4 other methods that state one,
/// marked or not, whether they read or not.
const SHARED: usize = 6 * 2 * (2 * 2 + 2 * 2 + 4 * 2 * 2);
