//! What a loader is given and what it answers.

use super::shelf::body_len;
use crate::{
    cached::{Cached, Found},
    error::Error,
    model::{Content, Entry, Labels, Seal, StoreVersion, Tag, Visibility},
};
use std::{sync::Arc, time::Duration};

/// What a loader is told. Owned, so that it may move into the loader's future.
#[derive(Debug)]
pub struct LoadContext<K, V> {
    key: K,
    previous: Option<Cached<V>>,
}

impl<K, V> LoadContext<K, V> {
    pub(crate) fn new(key: K, previous: Option<Found<V>>) -> Self {
        Self {
            key,
            // It holds a value, or it would not be offered.
            previous: previous.and_then(|found| found.into_result().ok()),
        }
    }

    /// The key to load.
    #[must_use]
    pub fn key(&self) -> &K {
        &self.key
    }

    /// The key to load, owned.
    #[must_use]
    pub fn into_key(self) -> K {
        self.key
    }

    /// The value that this load would replace, if Redis still holds it and it is no older than its TTL and the stale windows of
    /// the [`Policy`](crate::Policy) allow. A loader that finds it unchanged answers [`Loaded::not_modified`].
    ///
    /// Ask the store with what the value itself carries (a row version, an `ETag`), or compare with its
    /// [`content_id`](Cached::content_id).
    ///
    /// There is none on a first load, after [`invalidate`](crate::TieredCache::invalidate) and what ends a value like it,
    /// while Redis cannot be asked, for a value that was made of other cached values, and in a batch.
    #[must_use]
    pub fn previous(&self) -> Option<&Cached<V>> {
        self.previous.as_ref()
    }
}

/// What a loader answers: a value or its absence, and how it may be kept.
///
/// A plain value and an `Option` become one by themselves, so most loaders never name it.
///
/// ```
/// use std::time::Duration;
/// use tricache::Loaded;
///
/// let list = vec!["lamp", "chair"];
/// let loaded = Loaded::new(list)
///     .tag("category-7")
///     .tags(["product/1", "product/2"])
///     .ttl_at_most(Duration::from_secs(30));
/// # let _: Loaded<Vec<&str>> = loaded;
/// ```
#[derive(Debug)]
pub struct Loaded<V> {
    /// `None`: that of before, which is not known here.
    content: Option<Content<V>>,
    /// Of a value that is that of before.
    confirmed: Option<Confirmed>,
    pub(crate) labels: Labels,
    pub(crate) ttl: Option<Duration>,
    pub(crate) keep: bool,
    pub(crate) version: Option<StoreVersion>,
    pub(crate) visibility: Visibility,
}

impl<V> Loaded<V> {
    /// The value.
    #[must_use]
    pub fn new(value: V) -> Self {
        Self::of(Some(Content::Own(value)))
    }

    /// There is no such value: the callers get an error with [`is_absent`](crate::Error::is_absent), which is
    /// remembered for [`Policy::absent_ttl`](crate::Policy::absent_ttl).
    ///
    /// Give it the tags that the value would have, and whatever invalidates those forgets the absence.
    #[must_use]
    pub fn absent() -> Self {
        Self::of(Some(Content::Absent))
    }

    /// The value is still the [previous](LoadContext::previous) one: it lives for another TTL, and is neither encoded nor sent to Redis
    /// again. It keeps its tags, beside those that are given here.
    ///
    /// Only for a loader that was given a previous value; without one it is an error of the load.
    #[must_use]
    pub fn not_modified() -> Self {
        Self::of(None)
    }

    fn of(content: Option<Content<V>>) -> Self {
        Self {
            content,
            confirmed: None,
            labels: Labels::default(),
            ttl: None,
            keep: true,
            version: None,
            visibility: Visibility::Public,
        }
    }

    /// Adds a tag: [`Tiers::invalidate_tags`](crate::Tiers::invalidate_tags) with it makes the value old.
    ///
    /// At most 4,096 tags; a value with more is answered and kept nowhere.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<Tag>) -> Self {
        self.labels.tags.push(tag.into());
        self
    }

    /// Adds tags; see [`tag`](Self::tag).
    #[must_use]
    pub fn tags<T: Into<Tag>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.labels.tags.extend(tags.into_iter().map(Into::into));
        self
    }

    /// Lets it live at most this long, counted from the start of its load. Default: what the policy says.
    #[must_use]
    pub fn ttl_at_most(mut self, ttl: Duration) -> Self {
        self.ttl = Some(self.ttl.map_or(ttl, |before| before.min(ttl)));
        self
    }

    /// Keeps it in no tier: it answers those who wait for it, and nobody else. Default: it is kept.
    #[must_use]
    pub fn do_not_store(mut self) -> Self {
        self.keep = false;
        self
    }

    /// Says which version of the store was read: a row version, a commit number.
    ///
    /// A [pinned](crate::TieredCache::pinned) read keeps a value of this version only, and
    /// [`insert_at`](crate::TieredCache::insert_at) compares with it. Default: unknown.
    #[must_use]
    pub fn at_version(mut self, version: impl Into<StoreVersion>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Says who may see it, if that is stricter than the policy. Default: the policy's.
    #[must_use]
    pub fn visibility(mut self, visibility: Visibility) -> Self {
        self.visibility = visibility;
        self
    }
}

impl<V> Loaded<V> {
    /// What a loader has answered that was given this value.
    pub(crate) fn after(mut self, previous: Option<&Arc<Entry<V>>>) -> Result<Self, Error> {
        if self.content.is_none() {
            let previous = previous.ok_or_else(Error::nothing_to_confirm)?;
            self.content = Some(Content::of(previous));
            self.confirmed = Confirmed::of(previous);
            self.visibility = self.visibility.max(previous.visibility);
            self.labels.tags.extend_from_slice(previous.tags());
        }
        Ok(self)
    }

    pub(crate) fn confirmed(&self) -> Option<Confirmed> {
        self.confirmed
    }

    /// # Errors
    /// If it confirms a value that nobody was given.
    pub(crate) fn content(&mut self) -> Result<Content<V>, Error> {
        self.content.take().ok_or_else(Error::nothing_to_confirm)
    }

    pub(crate) fn is_unconfirmed(&self) -> bool {
        self.content.is_none()
    }

    pub(crate) fn is_absent(&self) -> bool {
        matches!(self.content, Some(Content::Absent))
    }
}

/// A value whose body Redis holds, as it is to be stored anew.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Confirmed {
    pub(crate) seal: Seal,
    /// Of the encoded body.
    pub(crate) body_len: usize,
}

impl Confirmed {
    fn of<V>(previous: &Entry<V>) -> Option<Self> {
        Some(Self {
            seal: previous.seal?,
            body_len: body_len(previous),
        })
    }
}

impl<V> From<V> for Loaded<V> {
    fn from(value: V) -> Self {
        Self::new(value)
    }
}

impl<V> From<Option<V>> for Loaded<V> {
    fn from(value: Option<V>) -> Self {
        value.map_or_else(Self::absent, Self::new)
    }
}
