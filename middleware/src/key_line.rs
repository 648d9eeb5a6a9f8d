//! The keys of a page, as one header value that one edge can take. Never cut: a key that is left out is a page that can
//! no longer be purged.
//!
//! What is too long or too much for the edge is written in fewer bytes, in this order:
//! 1. each key as it is;
//! 2. *shortened*: long keys as their short form;
//! 3. *coarsened*: in the caches that save the most, one key for the whole cache instead of one for each entity; and if
//!    that is not enough, one of 32 keys for whatever entities show of others;
//! 4. not at all: [`OverBudget`], and the page is not shared.
//!
//! Whatever the form, [`purge_keys`](crate::purge_keys) of each entity and
//! [`purge_keys_of_tag`](crate::purge_keys_of_tag) of each tag name at least one key in the line.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashSet},
};

use tricache::Tag;

use crate::{
    profile::KeyField,
    surrogate_key::{SHORT_FORM, cache_key, cache_of, short_form, shown_group, shown_key},
};

/// What a page is to be found by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names<'a> {
    /// The handler's own keys. They stay as they are: only their handler knows how they are purged.
    pub(crate) own: &'a [&'a str],
    /// As in `product/42`, each once.
    pub(crate) entities: &'a [&'a str],
    /// Spelled, each once.
    pub(crate) tags: &'a [&'a str],
    /// Numbers of what the entities show of others, each once.
    pub(crate) shown: &'a [u64],
}

/// The value of a key header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyLine {
    pub(crate) text: String,
    pub(crate) form: Form,
}

/// How far the keys had to give way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    Whole,
    Shortened,
    Coarsened,
}

/// The keys of a page are more than its edge takes, in every form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OverBudget;

/// One key for each name: the handler's own, then entities, tags, and what entities show; each once.
///
/// # Errors
/// The keys are more than `field` takes in every form, or it does not take one of the own keys.
pub(crate) fn key_line(names: &Names<'_>, field: &KeyField) -> Result<KeyLine, OverBudget> {
    if names.own.iter().any(|key| !field.takes(key)) {
        return Err(OverBudget);
    }
    if let Some(text) = whole(names, field) {
        return Ok(KeyLine::new(text, Form::Whole));
    }
    // Asked first, so that a page with ten thousand tags costs no hashing on each request.
    let tags = names.tags;
    if tags.len() > field.keys() || shortest(tags) > field.bytes().saturating_add(SEPARATOR) {
        return Err(OverBudget);
    }
    let shortened = Keys::shortened(names);
    if let Some(text) = shortened.line(field) {
        return Ok(KeyLine::new(text, Form::Shortened));
    }
    let text = shortened.coarsened(field).ok_or(OverBudget)?;
    Ok(KeyLine::new(text, Form::Coarsened))
}

impl KeyLine {
    fn new(text: String, form: Form) -> Self {
        Self { text, form }
    }
}

/// Every key as it is; `None` if they do not fit.
fn whole(names: &Names<'_>, field: &KeyField) -> Option<String> {
    let (own, mut line) = (names.own, Line::new(field));
    for key in own {
        line.push_new(key)?;
    }
    // Entities differ from each other, and so do tags: what need not be looked for is not.
    let mut spelled = String::new();
    for entity in names.entities {
        if own.is_empty() {
            line.push_spelled(entity)?;
        } else {
            spelled.clear();
            Tag::spell(entity, &mut spelled);
            line.push_new(&spelled)?;
        }
    }
    for tag in names.tags {
        if own.is_empty() && !may_name_an_entity(tag) {
            line.push(tag)?;
        } else {
            line.push_new(tag)?;
        }
    }
    for number in names.shown {
        let key = shown_key(*number);
        if own.is_empty() {
            line.push(&key)?;
        } else {
            line.push_new(&key)?;
        }
    }
    Some(line.text)
}

/// Whether a tag's text may have been `product/42`.
fn may_name_an_entity(tag: &str) -> bool {
    tag.contains('.') || tag.starts_with("_0")
}

/// Keys in one line, as long as they fit.
struct Line<'a> {
    text: String,
    keys: usize,
    field: &'a KeyField,
}

impl<'a> Line<'a> {
    fn new(field: &'a KeyField) -> Self {
        Self {
            text: String::with_capacity(field.bytes().min(512)),
            keys: 0,
            field,
        }
    }

    fn push_new(&mut self, key: &str) -> Option<()> {
        let mut earlier = self.text.split(self.field.separator());
        if self.keys > 0 && earlier.any(|earlier| earlier == key) {
            return Some(());
        }
        self.push(key)
    }

    fn push(&mut self, key: &str) -> Option<()> {
        self.push_with(|text| text.push_str(key))
    }

    /// The key of an entity, spelled where it is to stand.
    fn push_spelled(&mut self, entity: &str) -> Option<()> {
        self.push_with(|text| Tag::spell(entity, text))
    }

    fn push_with(&mut self, write: impl FnOnce(&mut String)) -> Option<()> {
        if self.keys > 0 {
            self.text.push(self.field.separator());
        }
        let start = self.text.len();
        write(&mut self.text);
        self.keys += 1;
        let fits = self.text.len() <= self.field.bytes()
            && self.keys <= self.field.keys()
            && self.text.len() - start <= self.field.key_bytes();
        fits.then_some(())
    }
}

/// The keys of a page in their short forms.
#[derive(Clone)]
struct Keys<'a> {
    own: HashSet<&'a str>,
    in_order: Vec<&'a str>,
    entities: Vec<EntityKey<'a>>,
    tags: Vec<Cow<'a, str>>,
    numbers: &'a [u64],
    shown: Vec<String>,
}

#[derive(Clone)]
struct EntityKey<'a> {
    cache: &'a str,
    key: String,
}

impl<'a> Keys<'a> {
    /// What the handler's own keys name already, in any form, is left out.
    fn shortened(names: &Names<'a>) -> Self {
        let mut keys = Self {
            own: names.own.iter().copied().collect(),
            in_order: names.own.to_vec(),
            entities: Vec::with_capacity(names.entities.len()),
            tags: Vec::with_capacity(names.tags.len()),
            numbers: names.shown,
            shown: names.shown.iter().copied().map(shown_key).collect(),
        };
        names
            .entities
            .iter()
            .for_each(|entity| keys.add_entity(entity));
        names.tags.iter().for_each(|tag| keys.add_tag(tag));
        keys
    }

    fn add_entity(&mut self, entity: &'a str) {
        let spelled = Tag::new(entity);
        let key = shortened(spelled.as_str());
        let cache = cache_of(entity).unwrap_or_default();
        if !self.own.contains(spelled.as_str()) && !self.own.contains(&*key) {
            let key = key.into_owned();
            self.entities.push(EntityKey { cache, key });
        }
    }

    fn add_tag(&mut self, tag: &'a str) {
        let key = shortened(tag);
        if !self.own.contains(tag) && !self.own.contains(&*key) {
            self.tags.push(key);
        }
    }

    /// What is left after as little as will do was made coarser; `None` if nothing will do.
    fn coarsened(self, field: &KeyField) -> Option<String> {
        let mut keys = self.clone();
        keys.coarsen(field);
        if let Some(text) = keys.line(field) {
            return Some(text);
        }
        // A group takes more pages with each purge than a cache does, so it comes last.
        let mut keys = self;
        keys.group_shown();
        keys.coarsen(field);
        keys.line(field)
    }

    /// Replaces what entities show by the few groups that it falls into.
    fn group_shown(&mut self) {
        let groups: BTreeSet<String> = self.numbers.iter().copied().map(shown_group).collect();
        self.shown = groups.into_iter().collect();
    }

    /// Replaces the entities of as few caches as will do by one key each.
    fn coarsen(&mut self, field: &KeyField) {
        let mut bytes = self.length().saturating_sub(field.bytes());
        let mut keys = self.each().count().saturating_sub(field.keys());
        let mut coarse: BTreeMap<&str, String> = BTreeMap::new();
        for saving in self.savings() {
            if bytes == 0 && keys == 0 {
                break;
            }
            bytes = bytes.saturating_sub(saving.bytes);
            keys = keys.saturating_sub(saving.keys);
            coarse.insert(saving.cache, saving.key);
        }
        for entity in &mut self.entities {
            if let Some(key) = coarse.get(entity.cache) {
                entity.key.clone_from(key);
            }
        }
    }

    /// What each cache would save, the most first; caches that would save nothing are left out.
    fn savings(&self) -> Vec<Saving<'a>> {
        let mut sums: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for entity in self
            .entities
            .iter()
            .filter(|entity| !entity.cache.is_empty())
        {
            let (bytes, keys) = sums.entry(entity.cache).or_default();
            *bytes += entity.key.len() + SEPARATOR;
            *keys += 1;
        }
        let mut savings: Vec<_> = sums
            .into_iter()
            .filter_map(|(cache, (bytes, keys))| Saving::of(cache, bytes, keys))
            .collect();
        savings.sort_by_key(|saving| std::cmp::Reverse(saving.bytes));
        savings
    }

    fn length(&self) -> usize {
        let with_separators: usize = self.each().map(|key| key.len() + SEPARATOR).sum();
        with_separators.saturating_sub(SEPARATOR)
    }

    /// Each key once; `None` if they do not fit.
    fn line(&self, field: &KeyField) -> Option<String> {
        let mut seen = HashSet::new();
        let mut line = Line::new(field);
        for key in self.each().filter(|key| seen.insert(*key)) {
            line.push(key)?;
        }
        Some(line.text)
    }

    fn each(&self) -> impl Iterator<Item = &str> {
        let entities = self.entities.iter().map(|entity| entity.key.as_str());
        let tags = self.tags.iter().map(Cow::as_ref);
        let shown = self.shown.iter().map(String::as_str);
        let named = self.in_order.iter().copied().chain(entities);
        named.chain(tags).chain(shown)
    }
}

/// What one key for a whole cache saves.
struct Saving<'a> {
    cache: &'a str,
    key: String,
    bytes: usize,
    keys: usize,
}

impl<'a> Saving<'a> {
    fn of(cache: &'a str, bytes: usize, keys: usize) -> Option<Self> {
        let key = cache_key(cache);
        let bytes = bytes.checked_sub(key.len() + SEPARATOR)?;
        (bytes > 0).then_some(Self {
            cache,
            key,
            bytes,
            keys: keys - 1,
        })
    }
}

/// The shorter of a key and its short form.
fn shortened(key: &str) -> Cow<'_, str> {
    if key.len() > SHORT_FORM {
        Cow::Owned(short_form(key))
    } else {
        Cow::Borrowed(key)
    }
}

/// How many bytes these keys take at least, each with a separator.
fn shortest(keys: &[&str]) -> usize {
    keys.iter()
        .map(|key| key.len().min(SHORT_FORM) + SEPARATOR)
        .sum()
}

const SEPARATOR: usize = 1;

#[cfg(test)]
mod tests;
