//! What a loader is given and what it answers.

use crate::model::{Labels, StoreVersion, Tag, Visibility};
use std::time::Duration;

/// What a loader is told. Owned, so that it may move into the loader's future.
#[derive(Debug)]
pub struct LoadContext<K> {
    key: K,
}

impl<K> LoadContext<K> {
    pub(crate) fn new(key: K) -> Self {
        Self { key }
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
    pub(crate) value: Option<V>,
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
        Self::of(Some(value))
    }

    /// There is no such value: the callers get an error with [`is_absent`](crate::Error::is_absent), which is
    /// remembered for [`Policy::absent_ttl`](crate::Policy::absent_ttl).
    ///
    /// Give it the tags that the value would have, and whatever invalidates those forgets the absence.
    #[must_use]
    pub fn absent() -> Self {
        Self::of(None)
    }

    fn of(value: Option<V>) -> Self {
        Self {
            value,
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
