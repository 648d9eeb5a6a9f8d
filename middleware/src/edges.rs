//! The edges in front, as one layer knows them.

use std::fmt;

use http::HeaderName;

use crate::{
    profile::{KeyField, Profile},
    stated::{SURROGATE_KEY, is_key_field, is_targeted},
};

/// Profiles that do not contradict each other; at least one.
#[derive(Clone, Debug)]
pub(crate) struct Edges(Vec<Profile>);

impl Edges {
    pub(crate) fn new(profile: Profile) -> Self {
        Self(vec![profile])
    }

    /// Adds one more edge. Where two read the same key header, both get what the stricter takes.
    ///
    /// # Panics
    /// If two read the same key header with different separators.
    pub(crate) fn add(&mut self, profile: Profile) {
        self.0.push(profile);
        let fields: Vec<KeyField> = self.fields().cloned().collect();
        for profile in &mut self.0 {
            let Some(own) = profile.keys().cloned() else {
                continue;
            };
            let same = fields.iter().filter(|field| field.name() == own.name());
            let strictest = same.fold(own.clone(), |strictest, field| strictest.stricter(field));
            *profile = profile.clone().key_field(strictest);
        }
    }

    pub(crate) fn each(&self) -> impl Iterator<Item = &Profile> {
        self.0.iter()
    }

    /// Whether one of these edges, or any that everybody knows, is controlled by this field alone.
    pub(crate) fn is_control(&self, name: &HeaderName) -> bool {
        let mut own = self.each().filter_map(|profile| profile.control().field());
        is_targeted(name) || own.any(|field| field == name)
    }

    /// Whether handlers or edges name what a page shows in this field.
    pub(crate) fn is_key_field(&self, name: &HeaderName) -> bool {
        is_key_field(name) || self.fields().any(|field| field.name() == name)
    }

    /// The fields in which a handler may name keys of its own, each with what stands between two.
    pub(crate) fn own_key_fields(&self) -> impl Iterator<Item = (&HeaderName, char)> {
        let others = self.fields().filter(|field| *field.name() != SURROGATE_KEY);
        let others = others.map(|field| (field.name(), field.separator()));
        std::iter::once((&SURROGATE_KEY, ' ')).chain(others)
    }

    fn fields(&self) -> impl Iterator<Item = &KeyField> {
        self.0.iter().filter_map(Profile::keys)
    }
}

impl fmt::Display for Edges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, profile) in self.0.iter().enumerate() {
            let separator = if place > 0 { "+" } else { "" };
            write!(f, "{separator}{}", profile.edge())?;
        }
        Ok(())
    }
}
