//! What the handler itself said about caching, in its strictest reading.
//!
//! `Cache-Control` speaks to everyone. A targeted field (`Surrogate-Control`, `CDN-Cache-Control` and the vendors'
//! own) speaks to edges, which then ignore `Cache-Control`: a lifetime stated there wins, a prohibition anywhere
//! holds. What this file cannot read for certain makes it [`unsure`](Stated::unsure), and an unsure page is not shared.

use std::time::SystemTime;

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// The handler's own caching headers, all of them, as one policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stated {
    /// `Cache-Control` says `no-store`.
    pub(crate) no_store: bool,
    /// `Cache-Control` says `no-cache`, about the whole response.
    pub(crate) no_cache: bool,
    /// `Cache-Control` says `no-transform`.
    pub(crate) no_transform: bool,
    /// Something forbids reuse or cannot be read for certain.
    pub(crate) unsure: bool,
    /// `Cache-Control` says `private`, be it about one field.
    pub(crate) private: bool,
    /// `Cache-Control` says `must-revalidate` or `proxy-revalidate`.
    pub(crate) revalidates: bool,
    /// `Cache-Control` speaks to shared caches, or cannot be read for certain.
    not_for_browsers_alone: bool,
    cache_control: bool,
    expires: bool,
    expires_at: Option<SystemTime>,
    date: Option<SystemTime>,
    expires_in: Option<u64>,
    age: u64,
    max_age: Option<u64>,
    s_maxage: Option<u64>,
    targeted_max_age: Option<u64>,
}

impl Stated {
    /// Takes one response header into account; of those that control edges only the ones that everybody knows.
    pub(crate) fn read(&mut self, name: &HeaderName, value: &HeaderValue) {
        if name == header::CACHE_CONTROL {
            self.read_cache_control(value);
        } else if is_targeted(name) {
            self.read_targeted(value);
        } else if name == header::EXPIRES {
            // Of two, or of what is no date, none is for certain: both count as past.
            self.expires_at = (!self.expires).then(|| date_in(value)).flatten();
            self.expires = true;
        } else if name == header::DATE {
            self.date = date_in(value);
        } else if is_foreign(name) {
            self.unsure = true;
        } else if name == header::AGE {
            self.read_age(value);
        } else if is_key_field(name) {
            // Keys that are not text could not be written on with ours.
            self.unsure |= value.to_str().is_err();
        }
    }

    /// Takes one line of `Cache-Control` into account.
    pub(crate) fn read_cache_control(&mut self, value: &HeaderValue) {
        self.cache_control = true;
        let readable = self.each_directive(value, Self::cache_control_directive);
        self.not_for_browsers_alone |= !readable;
    }

    /// Takes one line of a field into account that controls edges only.
    pub(crate) fn read_targeted(&mut self, value: &HeaderValue) {
        self.each_directive(value, Self::targeted_directive);
    }

    /// To be called when all headers were read: `Expires` counts only where nothing else is said (RFC 9111, 5.3).
    pub(crate) fn settle(&mut self) {
        if !self.expires || self.max_age.is_some() || self.s_maxage.is_some() {
            return;
        }
        let now = self.date.unwrap_or_else(SystemTime::now);
        let left = self.expires_at.and_then(|at| at.duration_since(now).ok());
        self.expires_in = left.map(|left| left.as_secs()).filter(|left| *left > 0);
        self.unsure |= self.expires_in.is_none();
    }

    /// Whether `Cache-Control` says `private` about the whole response, and nothing beside it that says otherwise.
    pub(crate) fn is_private(&self) -> bool {
        self.private && !self.not_for_browsers_alone
    }

    /// Whether `Cache-Control` leaves no cache to guess a lifetime.
    pub(crate) fn is_policy(&self) -> bool {
        self.cache_control && (self.max_age.is_some() || self.s_maxage.is_some() || self.expires)
    }

    /// The longest that an edge may keep the page, in seconds; `None` if nothing was said.
    pub(crate) fn shared_seconds(&self) -> Option<u64> {
        let stated = self.targeted_max_age.or(self.s_maxage).or(self.max_age);
        self.left(stated.or(self.expires_in))
    }

    /// The longest that a browser may keep the page, in seconds; `None` if nothing was said.
    pub(crate) fn browser_seconds(&self) -> Option<u64> {
        self.left(self.max_age.or(self.expires_in))
    }

    /// What `Age` leaves of a lifetime.
    fn left(&self, lifetime: Option<u64>) -> Option<u64> {
        lifetime.map(|seconds| seconds.saturating_sub(self.age))
    }

    fn read_age(&mut self, value: &HeaderValue) {
        match value.to_str().ok().and_then(delta_seconds) {
            Some(age) => self.age = self.age.max(age),
            None => self.unsure = true,
        }
    }

    /// Reads a list of directives; false if one of them cannot be read for certain.
    fn each_directive(
        &mut self,
        value: &HeaderValue,
        read: impl Fn(&mut Self, &str, Option<&str>) -> bool,
    ) -> bool {
        let Ok(text) = value.to_str() else {
            self.unsure = true;
            return false;
        };
        // A quoted argument may hold commas, and `private="x"` is about one field: rare, so taken as a refusal.
        let mut readable = !text.contains('"');
        for directive in text
            .split(',')
            .map(str::trim)
            .filter(|directive| !directive.is_empty())
        {
            readable &= match directive.split_once('=') {
                Some((name, argument)) => read(self, name.trim_end(), Some(argument.trim_start())),
                None => read(self, directive, None),
            };
        }
        self.unsure |= !readable;
        readable
    }

    /// Takes one directive into account; false if it cannot be read for certain.
    fn cache_control_directive(&mut self, name: &str, argument: Option<&str>) -> bool {
        let is = |directive: &str| name.eq_ignore_ascii_case(directive);
        if is("no-store") {
            self.no_store = true;
        } else if is("private") {
            self.private = true;
            return argument.is_none();
        } else if is("no-cache") {
            self.no_cache = true;
            return argument.is_none();
        } else if is("public") {
            self.not_for_browsers_alone = true;
        } else if is("must-revalidate") || is("proxy-revalidate") {
            self.revalidates = true;
        } else if is("no-transform") {
            self.no_transform = true;
        } else if is("max-age") {
            return shorten(&mut self.max_age, argument);
        } else if is("s-maxage") {
            self.not_for_browsers_alone = true;
            return shorten(&mut self.s_maxage, argument);
        }
        true
    }

    /// Takes one directive into account; false if writing the field anew would lose what it forbids.
    fn targeted_directive(&mut self, name: &str, argument: Option<&str>) -> bool {
        let is = |directive: &str| name.eq_ignore_ascii_case(directive);
        if is("max-age") {
            return shorten(&mut self.targeted_max_age, argument);
        }
        is("stale-while-revalidate") || is("stale-if-error")
    }
}

/// Whether a field controls edges only: `Surrogate-Control`, `CDN-Cache-Control`, `Vercel-CDN-Cache-Control`, ….
pub(crate) fn is_targeted(name: &HeaderName) -> bool {
    let name = name.as_str();
    name == SURROGATE_CONTROL.as_str() || name.ends_with("-cache-control")
}

/// Whether a field sets a lifetime in a form that this layer does not read.
pub(crate) fn is_foreign(name: &HeaderName) -> bool {
    matches!(name.as_str(), "edge-control" | "x-accel-expires")
}

/// Whether some edge reads the keys of a page in this field.
pub(crate) fn is_key_field(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "surrogate-key"
            | "cache-tag"
            | "edge-cache-tag"
            | "cdn-tag"
            | "netlify-cache-tag"
            | "vercel-cache-tag"
            | "xkey"
            | "cache-groups"
    )
}

/// What `Cache-Control` says beside what this layer reads and writes anew, each with `, ` before it.
pub(crate) fn extensions(headers: &HeaderMap) -> String {
    let mut kept = String::new();
    let lines = headers.get_all(header::CACHE_CONTROL).iter();
    for directive in lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(str::trim)
    {
        let name = directive.split('=').next().unwrap_or_default().trim_end();
        let is_written = WRITTEN.iter().any(|own| name.eq_ignore_ascii_case(own));
        if !name.is_empty() && !is_written {
            kept.push_str(", ");
            kept.push_str(directive);
        }
    }
    kept
}

/// Directives that are read, and written anew or left out.
const WRITTEN: [&str; 12] = [
    "public",
    "private",
    "no-store",
    "no-cache",
    "max-age",
    "s-maxage",
    "must-revalidate",
    "proxy-revalidate",
    "must-understand",
    "immutable",
    "stale-while-revalidate",
    "stale-if-error",
];

/// The field in which the surrogate protocol states the shared lifetime.
pub(crate) static SURROGATE_CONTROL: HeaderName = HeaderName::from_static("surrogate-control");

/// The field in which the surrogate protocol names what a page shows.
pub(crate) static SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");

/// Lowers `lifetime` to the seconds in `argument`; false if they are not a number.
fn shorten(lifetime: &mut Option<u64>, argument: Option<&str>) -> bool {
    let Some(seconds) = argument.and_then(delta_seconds) else {
        return false;
    };
    *lifetime = Some(lifetime.map_or(seconds, |earlier| earlier.min(seconds)));
    true
}

fn date_in(value: &HeaderValue) -> Option<SystemTime> {
    httpdate::parse_http_date(value.to_str().ok()?).ok()
}

/// Digits and nothing else: `parse` alone would take `+5`.
fn delta_seconds(argument: &str) -> Option<u64> {
    argument
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| argument.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_any_case_and_spacing() {
        let stated = cache_control("Public,MAX-AGE = 60 ,, S-MaxAge=30, No-Transform");

        assert_eq!(
            (stated.browser_seconds(), stated.shared_seconds()),
            (Some(60), Some(30))
        );
        assert!(stated.no_transform && !stated.unsure && !stated.is_private() && !stated.no_store);
    }

    #[test]
    fn a_repeated_lifetime_is_read_as_the_shortest() {
        assert_eq!(
            cache_control("max-age=60, max-age=5").shared_seconds(),
            Some(5)
        );
        assert_eq!(
            stated(&[
                ("cache-control", "max-age=5"),
                ("cache-control", "max-age=60")
            ])
            .shared_seconds(),
            Some(5)
        );
    }

    #[test]
    fn what_cannot_be_read_for_certain_is_unsure() {
        for odd in [
            "max-age=abc",
            "max-age=",
            "max-age",
            "max-age=-1",
            "max-age=+1",
            "max-age=\"5\"",
            "s-maxage=1.5",
        ] {
            assert!(cache_control(odd).unsure, "{odd}");
        }
        for qualified in ["private=\"set-cookie, no-store\"", "no-cache=\"x\""] {
            assert!(cache_control(qualified).unsure, "{qualified}");
        }
        assert!(cache_control("max-age=99999999999999999999").unsure);
    }

    #[test]
    fn only_a_private_that_nothing_contradicts_makes_a_private_page() {
        assert!(cache_control("Private, max-age=60").is_private());
        for contradicted in [
            "private=\"set-cookie\"",
            "private, public",
            "private, s-maxage=60",
            "private, max-age=oops",
        ] {
            let stated = cache_control(contradicted);
            assert!(stated.private && !stated.is_private(), "{contradicted}");
        }
    }

    #[test]
    fn a_private_page_may_say_something_else_to_edges() {
        let stated = stated(&[
            ("cache-control", "private"),
            ("surrogate-control", "no-store"),
        ]);

        assert!(stated.is_private() && stated.unsure);
    }

    #[test]
    fn only_a_lifetime_makes_a_policy() {
        for policy in ["max-age=0", "public, s-maxage=5, max-age=oops"] {
            assert!(cache_control(policy).is_policy(), "{policy}");
        }
        for vague in ["public", "no-transform", "max-age=oops", "must-revalidate"] {
            assert!(!cache_control(vague).is_policy(), "{vague}");
        }
        let expires = ("expires", "Thu, 01 Jan 2099 00:00:00 GMT");
        assert!(stated(&[("cache-control", "public"), expires]).is_policy());
        assert!(!stated(&[expires]).is_policy());
    }

    #[test]
    fn an_age_is_taken_off_each_lifetime() {
        let aged = |age| {
            let policy = ("cache-control", "max-age=60, s-maxage=90");
            let stated = stated(&[policy, ("age", age)]);
            (stated.browser_seconds(), stated.shared_seconds())
        };

        assert_eq!(aged("50"), (Some(10), Some(40)));
        assert_eq!(aged("70"), (Some(0), Some(20)));
        assert!(stated(&[("age", "-1")]).unsure);
    }

    #[test]
    fn a_targeted_lifetime_wins_over_cache_control() {
        let stated = stated(&[
            ("cache-control", "public, max-age=0"),
            ("surrogate-control", "max-age=60"),
        ]);

        assert_eq!(
            (stated.browser_seconds(), stated.shared_seconds()),
            (Some(0), Some(60))
        );
    }

    #[test]
    fn of_several_targeted_lifetimes_the_shortest_holds() {
        let stated = stated(&[
            ("cdn-cache-control", "max-age=9"),
            ("vercel-cdn-cache-control", "max-age=7"),
        ]);

        assert_eq!(stated.shared_seconds(), Some(7));
        assert!(!stated.is_policy() && !stated.unsure);
    }

    #[test]
    fn a_targeted_field_that_says_more_than_max_age_is_unsure() {
        for value in [
            "no-store",
            "private",
            "max-age=60, no-transform",
            "max-age=60, must-revalidate",
            "max-age=60;varnish",
            "max-age",
        ] {
            assert!(stated(&[("surrogate-control", value)]).unsure, "{value}");
        }
    }

    #[test]
    fn a_lifetime_in_another_form_is_unsure() {
        assert!(stated(&[("x-accel-expires", "60")]).unsure);
        assert!(stated(&[("edge-control", "cache-maxage=1d")]).unsure);
        assert_eq!(stated(&[("content-type", "max-age=5")]), Stated::default());
    }

    #[test]
    fn expires_counts_only_where_nothing_else_is_said() {
        let date = ("date", "Thu, 01 Jan 2026 00:00:00 GMT");
        let expires = ("expires", "Thu, 01 Jan 2026 00:01:30 GMT");

        let alone = stated(&[date, expires]);
        let beside = stated(&[date, expires, ("cache-control", "max-age=600")]);

        assert_eq!(alone.shared_seconds(), Some(90));
        assert_eq!(alone.browser_seconds(), Some(90));
        assert_eq!(beside.shared_seconds(), Some(600));
    }

    #[test]
    fn expires_that_is_past_or_no_date_is_unsure() {
        let date = ("date", "Thu, 01 Jan 2026 00:00:00 GMT");
        for value in ["0", "-1", "Thu, 01 Jan 2026 00:00:00 GMT", "soon"] {
            assert!(stated(&[date, ("expires", value)]).unsure, "{value}");
        }
        let later = ("expires", "Thu, 01 Jan 2026 00:01:00 GMT");
        assert!(stated(&[date, later, later]).unsure);
    }

    #[test]
    fn what_is_not_read_is_kept_word_for_word() {
        let mut headers = HeaderMap::new();
        for line in ["public, max-age=5,Acme=1 ,", "no-transform, IMMUTABLE"] {
            headers.append(header::CACHE_CONTROL, HeaderValue::from_static(line));
        }

        assert_eq!(extensions(&headers), ", Acme=1, no-transform");
    }

    #[test]
    fn a_surrogate_key_that_is_not_text_is_unsure() {
        let mut stated = Stated::default();

        stated.read(
            &SURROGATE_KEY,
            &HeaderValue::from_bytes(b"caf\xe9").unwrap(),
        );

        assert!(stated.unsure);
    }

    fn cache_control(value: &'static str) -> Stated {
        stated(&[("cache-control", value)])
    }

    fn stated(headers: &[(&'static str, &'static str)]) -> Stated {
        let mut stated = Stated::default();
        for (name, value) in headers {
            stated.read(
                &HeaderName::from_static(name),
                &HeaderValue::from_static(value),
            );
        }
        stated.settle();
        stated
    }
}
