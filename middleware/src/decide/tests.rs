//! Each rule, as a row or a few of one table. A row starts from a response that is shared for a minute.

use std::time::Duration;

use http::{Request, Response};

use super::*;
use crate::{edges::Edges, public::Public};

#[test]
fn a_public_read_is_shared_for_its_remaining_life() {
    assert_eq!(row().decide(), shared(60));
    assert_eq!(row().method("HEAD").decide(), shared(60));
}

#[test]
fn a_fraction_of_a_second_is_dropped() {
    assert_eq!(row().remaining(59_999).decide(), shared(59));
    assert_eq!(row().remaining(1_000).decide(), shared(1));
    assert_eq!(row().remaining(999).decide(), shared(0));
    assert_eq!(row().remaining(0).decide(), shared(0));
}

#[test]
fn an_absence_without_a_second_left_is_not_shared() {
    for status in [404, 410] {
        let absent = row().status(status);

        assert_eq!(absent.remaining(1_000).decide(), shared(1));
        let decision = absent.remaining(999).decide();
        assert_eq!(decision, Decision::Deny(Reason::NoLife), "{status}");
    }
}

#[test]
fn what_one_user_may_see_is_not_shared_whatever_the_handler_says() {
    for row in whatever_the_handler_says() {
        let decision = row.users().decide();

        let kept_by_browsers = row
            .headers
            .contains(&("cache-control", "private, max-age=60"));
        if kept_by_browsers {
            assert_eq!(decision, Decision::KeepOwn);
        } else {
            assert!(matches!(decision, Decision::Deny(_)), "{decision:?}");
        }
    }
}

#[test]
fn a_route_without_the_mark_is_private() {
    assert_eq!(row().unmarked().decide(), Decision::Deny(Reason::NotPublic));
}

#[test]
fn only_get_and_head_are_shared() {
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"] {
        let decision = row().method(method).decide();

        assert_eq!(decision, Decision::Deny(Reason::Method), "{method}");
    }
}

#[test]
fn what_another_method_says_of_itself_stands_for_browsers() {
    let row = row().method("POST").header("cache-control", "max-age=5");

    assert_eq!(row.decide(), Decision::KeepOwn);
    assert_eq!(row.nothing_read().decide(), Decision::KeepOwn);
}

#[test]
fn only_statuses_on_the_list_are_shared() {
    for status in (200..500).filter(|status| !NEVER.contains(status)) {
        let on_the_list = [200, 203, 301, 304, 308, 404, 410].contains(&status);
        let expected = if on_the_list {
            shared(60)
        } else {
            Decision::Deny(Reason::Status)
        };

        assert_eq!(row().status(status).decide(), expected, "{status}");
    }
}

#[test]
fn an_error_is_not_stored_whatever_the_handler_says() {
    for status in NEVER.into_iter().chain(500..600) {
        for row in whatever_the_handler_says() {
            let decision = row.status(status).decide();

            assert_eq!(decision, Decision::Deny(Reason::ErrorStatus), "{status}");
        }
    }
}

#[test]
fn an_authorized_request_is_not_shared_whatever_the_handler_says() {
    for row in whatever_the_handler_says() {
        let decision = row.authorized().decide();

        assert_eq!(decision, Decision::Deny(Reason::Authorization));
    }
}

#[test]
fn a_response_that_sets_a_cookie_is_not_shared_whatever_the_handler_says() {
    for row in whatever_the_handler_says() {
        let decision = row.header("set-cookie", "a=b").decide();

        assert_eq!(decision, Decision::Deny(Reason::SetCookie));
    }
}

#[test]
fn the_handlers_no_store_is_final() {
    for value in ["no-store", "No-Store, max-age=60", "public, no-store"] {
        let row = row().header("cache-control", value);

        assert_eq!(row.decide(), Decision::Deny(Reason::NoStore), "{value}");
        assert_eq!(
            row.nothing_read().decide(),
            Decision::Deny(Reason::NoStore),
            "{value}"
        );
    }
}

#[test]
fn the_handlers_private_is_final() {
    let row = row()
        .header("cache-control", "private, max-age=60")
        .header("surrogate-control", "max-age=60");

    assert_eq!(row.decide(), Decision::KeepOwn);
    assert_eq!(row.nothing_read().decide(), Decision::KeepOwn);
}

#[test]
fn a_private_that_is_contradicted_is_left_to_nobody() {
    for policy in ["private, s-maxage=60", "private, public", "private=\"x\""] {
        let row = row().header("cache-control", policy);

        for row in [row.nothing_read(), row] {
            let decision = row.decide();
            assert_eq!(
                decision,
                Decision::Deny(Reason::ContradictedPrivate),
                "{policy}"
            );
        }
    }
}

#[test]
fn no_cache_stands_only_beside_a_validator() {
    let row = row().header("cache-control", "no-cache");

    assert_eq!(row.decide(), Decision::Deny(Reason::NoValidator));
    for validator in ["etag", "last-modified"] {
        let row = row.header(validator, "\"1\"");

        assert_eq!(row.decide(), Decision::AskEachTime, "{validator}");
        assert_eq!(row.nothing_read().decide(), Decision::AskEachTime);
    }
}

#[test]
fn a_handler_that_read_nothing_gets_no_policy_invented() {
    assert_eq!(
        row().nothing_read().decide(),
        Decision::Deny(Reason::NothingRead)
    );
}

#[test]
fn a_handler_that_read_nothing_and_leaves_caches_to_guess_is_denied() {
    for vague in ["public", "no-transform", "max-age=oops"] {
        let decision = row().nothing_read().header("cache-control", vague).decide();

        assert_eq!(decision, Decision::Deny(Reason::NothingRead), "{vague}");
    }
}

#[test]
fn a_handler_that_read_nothing_keeps_its_own_policy() {
    for policy in [
        "public, max-age=31536000, immutable",
        "s-maxage=60",
        "max-age=0, must-revalidate",
    ] {
        let row = row().nothing_read().header("cache-control", policy);

        assert_eq!(row.decide(), Decision::Untouched, "{policy}");
        assert_eq!(
            row.unmarked().status(206).decide(),
            Decision::Untouched,
            "{policy}"
        );
    }
}

#[test]
fn of_two_lifetimes_the_shorter_wins() {
    for (policy, seconds) in [
        ("max-age=30", 30),
        ("max-age=90", 60),
        ("max-age=90, s-maxage=20", 20),
    ] {
        let decision = row().header("cache-control", policy).decide();

        assert_eq!(decision, shared(seconds), "{policy}");
    }
    let zero = row().header("cache-control", "public, max-age=0").decide();
    assert_eq!(zero, shared(0));
}

#[test]
fn what_the_handler_said_unclearly_is_not_shared() {
    let unclear = [
        ("cache-control", "max-age=oops"),
        ("age", "soon"),
        ("expires", "0"),
        ("cdn-cache-control", "no-store"),
        ("surrogate-control", "private"),
    ];
    for (name, value) in unclear {
        let decision = row().header(name, value).decide();

        assert_eq!(decision, Decision::Deny(Reason::Unsure), "{name}: {value}");
    }
}

#[test]
fn a_response_that_varies_on_everything_is_not_shared() {
    for vary in ["*", "accept, *"] {
        let decision = row().header("vary", vary).decide();

        assert_eq!(decision, Decision::Deny(Reason::VariesOnAll), "{vary}");
    }
    assert_eq!(row().header("vary", "accept-encoding").decide(), shared(60));
}

#[test]
fn the_profile_bounds_the_shared_lifetime() {
    let capped = |cap| Profile::fastly().max_shared_ttl(Duration::from_millis(cap));

    assert_eq!(row().profile(capped(10_999)).decide(), shared(10));
    assert_eq!(
        row().profile(capped(999)).decide(),
        Decision::Deny(Reason::NoLife)
    );
}

#[test]
fn a_browser_keeps_a_page_no_longer_than_the_edge() {
    let with = |ttl| row().profile(Profile::varnish().browser_ttl(Duration::from_secs(ttl)));
    let share = |shared, browser| {
        Decision::Share(Lifetimes {
            shared,
            browser,
            stale: true,
        })
    };

    assert_eq!(with(5).decide(), share(60, 5));
    assert_eq!(with(90).decide(), share(60, 60));
    assert_eq!(
        with(90)
            .header("cache-control", "max-age=7, s-maxage=50")
            .decide(),
        share(50, 7)
    );
}

#[test]
fn no_lifetime_is_longer_than_caches_can_read() {
    assert_eq!(row().remaining(u64::MAX).decide(), shared(2_147_483_647));
}

#[test]
fn a_protocol_switch_is_left_alone() {
    assert_eq!(row().status(101).decide(), Decision::Untouched);
}

const NEVER: [u16; 4] = [401, 403, 407, 429];

fn shared(seconds: u64) -> Decision {
    Decision::Share(Lifetimes {
        shared: seconds,
        browser: 0,
        stale: seconds > 0,
    })
}

fn whatever_the_handler_says() -> Vec<Row> {
    let rows = [
        row(),
        row().header("cache-control", "public, max-age=60"),
        row().header("cache-control", "private, max-age=60"),
        row().header("cache-control", "no-store"),
    ];
    rows.into_iter()
        .flat_map(|row| [row.clone(), row.nothing_read()])
        .collect()
}

fn row() -> Row {
    Row {
        method: "GET",
        status: 200,
        marked: true,
        authorized: false,
        headers: Vec::new(),
        remaining: Some(Duration::from_secs(60)),
        visibility: Visibility::Public,
        profile: Profile::fastly(),
    }
}

/// A request, its response, what was read and the edge in front. Facts are taken from real ones.
#[derive(Clone)]
struct Row {
    method: &'static str,
    status: u16,
    marked: bool,
    authorized: bool,
    headers: Vec<(&'static str, &'static str)>,
    remaining: Option<Duration>,
    visibility: Visibility,
    profile: Profile,
}

impl Row {
    fn method(&self, method: &'static str) -> Self {
        Self {
            method,
            ..self.clone()
        }
    }

    fn status(&self, status: u16) -> Self {
        Self {
            status,
            ..self.clone()
        }
    }

    fn unmarked(&self) -> Self {
        Self {
            marked: false,
            ..self.clone()
        }
    }

    fn authorized(&self) -> Self {
        Self {
            authorized: true,
            ..self.clone()
        }
    }

    fn header(&self, name: &'static str, value: &'static str) -> Self {
        let headers = [self.headers.clone(), vec![(name, value)]].concat();
        Self {
            headers,
            ..self.clone()
        }
    }

    fn remaining(&self, milliseconds: u64) -> Self {
        Self {
            remaining: Some(Duration::from_millis(milliseconds)),
            ..self.clone()
        }
    }

    fn nothing_read(&self) -> Self {
        Self {
            remaining: None,
            ..self.clone()
        }
    }

    fn users(&self) -> Self {
        Self {
            visibility: Visibility::User,
            ..self.clone()
        }
    }

    fn profile(&self, profile: Profile) -> Self {
        Self {
            profile,
            ..self.clone()
        }
    }

    fn decide(&self) -> Decision {
        let request = RequestFacts::of(&self.request());
        let response = ResponseFacts::of(&self.response(), &Edges::new(self.profile.clone()));
        let read = Read {
            entities: Vec::new(),
            tags: Vec::new(),
            shown: &[],
            objected: false,
            visibility: self.visibility,
            remaining: self.remaining,
        };
        match decide(request, &response, &read) {
            Decision::Share(lifetimes) => lifetimes
                .within(&self.profile)
                .map_or(Decision::Deny(Reason::NoLife), Decision::Share),
            other => other,
        }
    }

    fn request(&self) -> Request<()> {
        let mut request = Request::builder().method(self.method);
        if self.authorized {
            request = request.header("authorization", "Bearer x");
        }
        request.body(()).unwrap()
    }

    fn response(&self) -> Response<()> {
        let mut response = Response::builder().status(self.status);
        for (name, value) in &self.headers {
            response = response.header(*name, *value);
        }
        if self.marked {
            response = response.extension(Public);
        }
        response.body(()).unwrap()
    }
}
