//! What each edge may keep of a page that may be shared: each has limits of its own.

use http::HeaderMap;

use crate::{
    decide::{Lifetimes, Reason},
    edges::Edges,
    facts::Read,
    key_line::{Form, KeyLine, Names, OverBudget, key_line},
    profile::{KeyField, Profile},
};

/// What one edge may do.
pub(crate) type Verdict = Result<Kept, Reason>;

/// One edge may keep the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) lifetimes: Lifetimes,
    /// Under these keys; `None` if the edge knows no keys.
    pub(crate) keys: Option<KeyLine>,
}

impl Kept {
    pub(crate) fn form(&self) -> Form {
        self.keys.as_ref().map_or(Form::Whole, |keys| keys.form)
    }
}

/// What the edge of `profile` may do with a page of these lifetimes, which `varies` on more than its encoding.
pub(crate) fn verdict(
    profile: &Profile,
    lifetimes: Lifetimes,
    varies: bool,
    own: &[String],
    read: &Read<'_>,
) -> Verdict {
    let lifetimes = lifetimes.within(profile).ok_or(Reason::NoLife)?;
    if varies && !profile.heeds_vary() {
        return Err(Reason::IgnoresVary);
    }
    let keys = profile.keys().map(|field| keys(own, read, field));
    let keys = keys.transpose().map_err(|OverBudget| Reason::OverBudget)?;
    Ok(Kept { lifetimes, keys })
}

/// The keys that the handler set itself, and those of what was read.
pub(crate) fn keys(
    own: &[String],
    read: &Read<'_>,
    field: &KeyField,
) -> Result<KeyLine, OverBudget> {
    let folded: Vec<String>;
    let own: Vec<&str> = if field.is_case_folded() {
        folded = own.iter().map(|key| key.to_ascii_lowercase()).collect();
        folded.iter().map(String::as_str).collect()
    } else {
        own.iter().map(String::as_str).collect()
    };
    let names = Names {
        own: &own,
        entities: &read.entities,
        tags: &read.tags,
        shown: read.shown,
    };
    key_line(&names, field)
}

/// The keys that the handler set itself, in any field of these edges' or in `Surrogate-Key`; `None` if they are not text.
pub(crate) fn own_keys(headers: &HeaderMap, edges: &Edges) -> Option<Vec<String>> {
    let mut own: Vec<String> = Vec::new();
    for (name, separator) in edges.own_key_fields() {
        for line in headers.get_all(name) {
            let keys = line.to_str().ok()?.split([separator, ' ', '\t']);
            for key in keys.filter(|key| !key.is_empty()) {
                if !own.iter().any(|earlier| earlier == key) {
                    own.push(key.to_owned());
                }
            }
        }
    }
    Some(own)
}
