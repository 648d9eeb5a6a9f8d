//! A decision, as headers: every control header that an edge may read ends up saying what that edge may do.
//!
//! `Cache-Control` is what browsers see, and every proxy that does not know the edges' own fields. It carries `s-maxage`
//! only for an edge that reads nothing else, and `must-revalidate` keeps such a proxy from serving a page past its life
//! when the service is away.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{
    decide::{Decision, Lifetimes, Reason},
    edges::Edges,
    facts::Read,
    key_line::Form,
    profile::{Control, KeyField, Profile, Separator},
    stated::{SURROGATE_KEY, extensions, is_foreign, is_targeted},
    structured,
    verdict::{Kept, Verdict, keys, verdict},
};

/// What the headers say in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) decision: Decision,
    /// What each edge was told, in their order, if the page may be shared.
    pub(crate) verdicts: Vec<Verdict>,
}

impl Written {
    /// How far keys had to give way for some edge.
    pub(crate) fn form(&self) -> Form {
        let kept = self
            .verdicts
            .iter()
            .filter_map(|verdict| verdict.as_ref().ok());
        kept.map(Kept::form).max().unwrap_or(Form::Whole)
    }

    /// Why some edge may not keep a page that others may.
    pub(crate) fn refusal(&self) -> Option<Reason> {
        self.verdicts
            .iter()
            .find_map(|verdict| verdict.as_ref().err().copied())
    }
}

/// A page as the writer sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page<'a> {
    pub(crate) read: &'a Read<'a>,
    /// The handler's own keys.
    pub(crate) own: &'a [String],
    /// `Vary` names more than `Accept-Encoding`.
    pub(crate) varies: bool,
    pub(crate) no_transform: bool,
    /// Its keys are to be written as `Cache-Groups` too.
    pub(crate) grouped: bool,
}

/// Writes a decision. A page to be shared that no edge can take, or that one can take which `Cache-Control` alone
/// could keep from it, is not shared.
pub(crate) fn write(
    headers: &mut HeaderMap,
    decision: Decision,
    page: Page<'_>,
    edges: &Edges,
) -> Written {
    match decision {
        Decision::Share(lifetimes) => return share(headers, lifetimes, page, edges),
        Decision::ShareWithBrowsers(lifetimes) => share_with_browsers(headers, lifetimes, edges),
        Decision::Deny(_) => deny(headers, "private, no-store", page.no_transform, edges),
        Decision::AskEachTime => deny(headers, "private, no-cache", page.no_transform, edges),
        Decision::KeepOwn => deny_edges(headers, edges),
        Decision::Untouched => {}
    }
    Written {
        decision,
        verdicts: Vec::new(),
    }
}

/// Keeps the page from edges, and tells browsers `policy`: without any lifetime, as some obey one beside `no-store`.
pub(crate) fn deny(
    headers: &mut HeaderMap,
    policy: &'static str,
    no_transform: bool,
    edges: &Edges,
) {
    let policy = if no_transform {
        header_value(format!("{policy}, no-transform"))
    } else {
        HeaderValue::from_static(policy)
    };
    headers.insert(header::CACHE_CONTROL, policy);
    headers.remove(header::EXPIRES);
    deny_edges(headers, edges);
}

/// Lets no edge keep the page; what browsers may do is left as it is.
fn deny_edges(headers: &mut HeaderMap, edges: &Edges) {
    let others: Vec<HeaderName> = headers.keys().cloned().collect();
    for name in &others {
        if edges.is_control(name) {
            headers.insert(name, NOBODY.clone());
        } else if is_foreign(name) || edges.is_key_field(name) {
            headers.remove(name);
        }
    }
    for field in edges.each().filter_map(|profile| profile.control().field()) {
        headers.insert(field, NOBODY.clone());
    }
}

/// Lets each edge keep the page for its shared lifetime, and find it by its keys.
fn share(headers: &mut HeaderMap, lifetimes: Lifetimes, page: Page<'_>, edges: &Edges) -> Written {
    let each = edges.each();
    let verdicts: Vec<Verdict> = each
        .map(|profile| verdict(profile, lifetimes, page.varies, page.own, page.read))
        .collect();
    if let Some(reason) = refused_to_all(edges, &verdicts) {
        deny(headers, "private, no-store", page.no_transform, edges);
        return Written {
            decision: Decision::Deny(reason),
            verdicts: Vec::new(),
        };
    }
    let mut told = Told { edges, verdicts };
    let lifetimes = told.shortest();
    headers.insert(
        header::CACHE_CONTROL,
        cache_control(lifetimes.browser, told.s_maxage(), &extensions(headers)),
    );
    told.write_fields(headers, lifetimes);
    told.write_keys(headers);
    write_groups(headers, page);
    // The lifetime is what remains now: an age beside it would be taken off twice, and a date would be a second one.
    headers.remove(header::AGE);
    headers.remove(header::EXPIRES);
    Written {
        decision: Decision::Share(lifetimes),
        verdicts: told.verdicts,
    }
}

/// Why nobody may keep the page: no edge can, or one cannot to which only `Cache-Control` would say so.
fn refused_to_all(edges: &Edges, verdicts: &[Verdict]) -> Option<Reason> {
    let mut refused = None;
    let mut kept = false;
    for (profile, verdict) in edges.each().zip(verdicts) {
        match verdict {
            Err(reason) if *profile.control() == Control::CacheControl => return Some(*reason),
            Err(reason) => refused = refused.or(Some(*reason)),
            Ok(_) => kept = true,
        }
    }
    refused.filter(|_| !kept)
}

/// The edges, each with what it is told; at least one may keep the page.
struct Told<'a> {
    edges: &'a Edges,
    verdicts: Vec<Verdict>,
}

impl Told<'_> {
    fn each(&self) -> impl Iterator<Item = (&Profile, &Verdict)> {
        self.edges.each().zip(&self.verdicts)
    }

    fn kept(&self) -> impl Iterator<Item = (&Profile, &Kept)> {
        self.each()
            .filter_map(|(profile, verdict)| Some((profile, verdict.as_ref().ok()?)))
    }

    /// The shortest lifetimes of all that may keep the page: what everyone else is told.
    fn shortest(&self) -> Lifetimes {
        let all = self.kept().map(|(_, kept)| kept.lifetimes);
        let shortest = all.reduce(|one, other| Lifetimes {
            shared: one.shared.min(other.shared),
            browser: one.browser.min(other.browser),
            stale: one.stale && other.stale,
        });
        shortest.expect("one edge may keep the page")
    }

    /// The lifetime for edges that read nothing but `Cache-Control`.
    fn s_maxage(&self) -> Option<u64> {
        let plain = self
            .kept()
            .filter(|(profile, _)| *profile.control() == Control::CacheControl);
        plain.map(|(_, kept)| kept.lifetimes.shared).min()
    }

    /// Writes the fields of all edges, and every other one that the handler had set.
    fn write_fields(&self, headers: &mut HeaderMap, lifetimes: Lifetimes) {
        let others: Vec<HeaderName> = headers
            .keys()
            .filter(|name| is_targeted(name))
            .cloned()
            .collect();
        for name in others {
            headers.insert(name, structured::max_age(lifetimes.shared));
        }
        for (profile, verdict) in self.each() {
            if let Some(name) = profile.control().field() {
                headers.insert(name, self.policy(name, profile, verdict));
            }
        }
    }

    /// What one field says. Edges that read the same one are told what the strictest of them may do.
    fn policy(&self, name: &HeaderName, profile: &Profile, verdict: &Verdict) -> HeaderValue {
        let mut strictest = (profile, verdict);
        for (other, verdict) in self
            .each()
            .filter(|(other, _)| other.control().field() == Some(name))
        {
            if strictness(other, verdict) < strictness(strictest.0, strictest.1) {
                strictest = (other, verdict);
            }
        }
        match strictest {
            (profile, Ok(kept)) => structured::policy(kept.lifetimes, profile),
            (_, Err(_)) => NOBODY.clone(),
        }
    }

    /// Writes the keys for each edge that may keep the page, in place of the handler's own.
    fn write_keys(&mut self, headers: &mut HeaderMap) {
        headers.remove(&SURROGATE_KEY);
        for field in self.edges.each().filter_map(Profile::keys) {
            headers.remove(field.name());
        }
        for (profile, verdict) in self.edges.each().zip(&mut self.verdicts) {
            let keys = verdict.as_mut().ok().and_then(|kept| kept.keys.as_mut());
            if let Some((field, keys)) = profile.keys().zip(keys) {
                field.write(std::mem::take(&mut keys.text), headers);
            }
        }
    }
}

/// What compares less is stricter: no lifetime at all, then the shorter one, then the shorter stale windows.
fn strictness(profile: &Profile, verdict: &Verdict) -> (Option<u64>, u64) {
    let windows = profile
        .stale_while_revalidate_seconds()
        .max(profile.stale_if_error_seconds());
    (
        verdict.as_ref().ok().map(|kept| kept.lifetimes.shared),
        windows,
    )
}

/// Lets browsers keep the page, and nobody else; nobody else is told its names.
fn share_with_browsers(headers: &mut HeaderMap, lifetimes: Lifetimes, edges: &Edges) {
    let profiles = edges.each().filter_map(|profile| lifetimes.within(profile));
    let browser = profiles
        .map(|lifetimes| lifetimes.browser)
        .min()
        .unwrap_or(0);
    let policy = format!(
        "private, max-age={browser}, must-revalidate{}",
        extensions(headers)
    );
    headers.insert(header::CACHE_CONTROL, header_value(policy));
    headers.remove(header::EXPIRES);
    headers.remove(header::AGE);
    let others: Vec<HeaderName> = headers.keys().cloned().collect();
    let surrogate =
        |name: &&HeaderName| edges.is_control(name) || is_foreign(name) || edges.is_key_field(name);
    for name in others.iter().filter(surrogate) {
        headers.remove(name);
    }
}

/// Writes the groups of a page (RFC 9875), all or none: a cache may forget what it was not promised to keep.
fn write_groups(headers: &mut HeaderMap, page: Page<'_>) {
    if !page.grouped {
        return;
    }
    let field = KeyField::new(CACHE_GROUPS.clone(), Separator::Space)
        .max_keys(32)
        .max_key_bytes(32);
    let groups = keys(page.own, page.read, &field).ok();
    match groups.and_then(|groups| structured::strings(groups.text.split(' '))) {
        Some(groups) => {
            headers.insert(CACHE_GROUPS.clone(), groups);
        }
        None => {
            headers.remove(&CACHE_GROUPS);
        }
    }
}

fn cache_control(browser: u64, s_maxage: Option<u64>, extensions: &str) -> HeaderValue {
    if browser == 0 && s_maxage.is_none() && extensions.is_empty() {
        return HeaderValue::from_static("public, max-age=0, must-revalidate");
    }
    let s_maxage = s_maxage
        .map(|seconds| format!(", s-maxage={seconds}"))
        .unwrap_or_default();
    header_value(format!(
        "public, max-age={browser}{s_maxage}, must-revalidate{extensions}"
    ))
}

fn header_value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("made of visible ASCII and spaces only")
}

/// What a field says whose edge may keep nothing. Some obey a lifetime beside it, so there is none.
static NOBODY: HeaderValue = HeaderValue::from_static("private, no-store");

/// The field of RFC 9875.
static CACHE_GROUPS: HeaderName = HeaderName::from_static("cache-groups");
