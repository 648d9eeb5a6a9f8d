//! Why a response is shared or not, as a header on it: for whoever asks a debug build, or knows a secret.
//!
//! It names the rule, never a value: no key, no cookie, no part of the secret. A response that is explained to one who
//! knows the secret is for nobody else, so no cache may keep it.

use http::{HeaderMap, HeaderName, HeaderValue};
use sfv::{KeyRef, ListSerializer, TokenRef, key_ref, token_ref};

use crate::{
    decide::Decision,
    edges::Edges,
    facts::Explained,
    key_line::Form,
    secret::Secret,
    structured::{header_value, seconds},
    verdict::Verdict,
    write::Written,
};

/// To whom responses are explained.
#[derive(Clone, Debug, Default)]
pub(crate) struct Explains {
    pub(crate) to: Option<Secret>,
    pub(crate) in_debug_builds: bool,
}

impl Explains {
    pub(crate) fn to_one_who_asks(&self, request: &HeaderMap) -> Explained {
        let given = request.get(&ASKS);
        let knows = |secret: &Secret| given.is_some_and(|given| secret.is(given));
        if self.to.as_ref().is_some_and(knows) {
            return Explained::ToOne;
        }
        if self.in_debug_builds && cfg!(debug_assertions) {
            return Explained::ToAll;
        }
        Explained::No
    }
}

/// Says what was decided: `fastly;shared;ttl=57, cloudflare;why=ignores-vary`.
pub(crate) fn explain(headers: &mut HeaderMap, written: &Written, edges: &Edges) {
    headers.insert(ANSWERS.clone(), explanation(written, edges));
}

fn explanation(written: &Written, edges: &Edges) -> HeaderValue {
    let mut list = ListSerializer::new();
    for (profile, verdict) in edges.each().zip(&written.verdicts) {
        match TokenRef::from_str(profile.edge()) {
            Ok(edge) => one_edge(&mut list, edge, verdict),
            Err(_) => one_edge(&mut list, OTHER, verdict),
        }
    }
    if written.verdicts.is_empty() {
        let all = list.bare_item(ALL);
        let _ = match written.decision {
            Decision::Deny(reason) => all.parameter(WHY, token(reason.as_str())),
            Decision::ShareWithBrowsers(_) => all.parameter(WHY, token_ref("not-through-edge")),
            Decision::AskEachTime | Decision::KeepOwn => all.parameter(WHY, token_ref("handler")),
            Decision::Untouched => all.parameter(KeyRef::constant("untouched"), true),
            Decision::Share(_) => all.parameter(SHARED, true),
        };
    }
    header_value(list.finish())
}

fn one_edge(list: &mut ListSerializer<String>, edge: &TokenRef, verdict: &Verdict) {
    let member = list.bare_item(edge);
    let _ = match verdict {
        Err(reason) => member.parameter(WHY, token(reason.as_str())),
        Ok(kept) => {
            let shared = member
                .parameter(SHARED, true)
                .parameter(key_ref("ttl"), seconds(kept.lifetimes.shared));
            match kept.form() {
                Form::Whole => shared,
                Form::Shortened => shared.parameter(KEYS, token_ref("shortened")),
                Form::Coarsened => shared.parameter(KEYS, token_ref("coarsened")),
            }
        }
    };
}

fn token(label: &'static str) -> &'static TokenRef {
    TokenRef::from_str(label).expect("labels are lower-case words with hyphens")
}

/// The request header that carries the secret.
static ASKS: HeaderName = HeaderName::from_static("tricache-debug");

/// The response header with the explanation.
static ANSWERS: HeaderName = HeaderName::from_static("tricache-edge");

const ALL: &TokenRef = token_ref("all");
const OTHER: &TokenRef = token_ref("edge");
const SHARED: &KeyRef = key_ref("shared");
const WHY: &KeyRef = key_ref("why");
const KEYS: &KeyRef = key_ref("keys");
