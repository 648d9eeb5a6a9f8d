//! Where an entity lives: its cache, its key, and the bucket that both give.

use super::{RenderedKey, StoreVersion, cache_tag, entity_tag};
use crate::error::Error;
use std::{fmt, sync::Arc};
use twox_hash::XxHash3_64;

/// The name of a cache with the numbers derived from it, equal on every node.
#[derive(Debug)]
pub(crate) struct CacheName {
    text: Box<str>,
    /// Seeds the hashes of this cache's keys.
    pub(crate) seed: u64,
    /// Names the cache in events.
    pub(crate) id: u32,
    /// The tag of all its entries.
    pub(crate) tag: u64,
}

impl CacheName {
    pub(crate) fn new(name: &str) -> Result<Self, Error> {
        let text = checked_name("cache name", name)?;
        let seed = XxHash3_64::oneshot(name.as_bytes());
        // Truncation is meant: half of the hash is enough to tell caches apart.
        Ok(Self {
            text: text.into(),
            seed,
            id: seed as u32,
            tag: cache_tag(name),
        })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

/// Names that become a part of Redis keys and headers: 1 to 64 of `[A-Za-z0-9._-]`.
pub(crate) fn checked_name<'a>(what: &str, name: &'a str) -> Result<&'a str, Error> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        return Err(Error::config(format!(
            "the {what} {name:?} is refused: it must be 1 to 64 of letters, digits, '.', '_' and '-'"
        )));
    }
    Ok(name)
}

/// What an event names: enough to find an entity in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EntityId {
    pub(crate) cache: u32,
    pub(crate) hash: u64,
    pub(crate) bucket: u16,
}

impl EntityId {
    pub(crate) fn new(cache: u32, hash: u64, buckets: u16) -> Self {
        Self {
            cache,
            hash,
            // The low bits choose cells and shards in this process, so the bucket takes others.
            bucket: ((hash >> 32) % u64::from(buckets)) as u16,
        }
    }
}

/// Everything that the names of an entity's records are made of.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    pub(crate) cache: Arc<CacheName>,
    pub(crate) key: RenderedKey,
    pub(crate) id: EntityId,
    pub(crate) schema: u64,
    /// The version that the key is pinned to; it stands in the key, too.
    pub(crate) pin: Option<StoreVersion>,
}

impl Address {
    pub(crate) fn new(cache: &Arc<CacheName>, key: RenderedKey, schema: u64, buckets: u16) -> Self {
        let id = EntityId::new(cache.id, key.hash(), buckets);
        Self {
            cache: Arc::clone(cache),
            key,
            id,
            schema,
            pin: None,
        }
    }

    pub(crate) fn bucket(key: &RenderedKey, buckets: u16) -> u16 {
        EntityId::new(0, key.hash(), buckets).bucket
    }

    pub(crate) fn name(&self) -> EntityName {
        EntityName::new(self.cache.as_str(), self.key.as_str())
    }
}

/// The readable name of an entity: `product/42`.
///
/// A cache name, a slash, and the rendered key, which is ASCII of `[A-Za-z0-9._-]` and `' ~ , %`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntityName(Arc<str>);

impl EntityName {
    pub(crate) fn new(cache: &str, key: &str) -> Self {
        let mut name = String::with_capacity(cache.len() + 1 + key.len());
        name.push_str(cache);
        name.push('/');
        name.push_str(key);
        Self(name.into())
    }

    /// The name out of its text; `None` if no entity is named so.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (cache, key) = text.split_once('/')?;
        let plain = |byte: u8| byte.is_ascii_graphic();
        let whole = CacheName::new(cache).is_ok() && key.bytes().all(plain);
        whole.then(|| Self(text.into()))
    }

    /// A name that was put together before.
    pub(crate) fn named(name: &str) -> Self {
        Self(name.into())
    }

    /// The number by which whatever shows the entity of this name knows it, as in [`ScopeSummary::dependencies`];
    /// `None` if no entity is named so.
    ///
    /// The same in every process. Should two entities share one, whoever acts on it does so once too often.
    ///
    /// [`ScopeSummary::dependencies`]: crate::ScopeSummary::dependencies
    #[must_use]
    pub fn dependency(name: &str) -> Option<u64> {
        let (cache, key) = name.split_once('/')?;
        let cache = CacheName::new(cache).ok()?;
        let hash = RenderedKey::hash_of(key.as_bytes(), cache.seed);
        Some(entity_tag(cache.id, hash))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EntityName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_break_a_redis_key_are_refused() {
        for bad in ["", "a b", "a{b}", "a:b", "a/b", &"x".repeat(65), "é"] {
            assert!(CacheName::new(bad).unwrap_err().is_config(), "{bad:?}");
        }
        assert_eq!(
            CacheName::new("Order-lines.v2_x").unwrap().as_str(),
            "Order-lines.v2_x"
        );
    }

    #[test]
    fn an_address_is_the_same_on_every_node() {
        // Pinned: another rendering or hash would make nodes of two releases talk past each other.
        let cache = Arc::new(CacheName::new("product").unwrap());
        let key = RenderedKey::new(&42_u64, cache.seed);
        let id = Address::new(&cache, key, 0, 64).id;

        assert_eq!((id.cache, id.hash, id.bucket), PINNED);
    }

    #[test]
    fn the_number_of_a_dependency_is_found_by_the_name_alone() {
        let cache = Arc::new(CacheName::new("product").unwrap());
        for key in [
            RenderedKey::new(&42_u64, cache.seed),
            RenderedKey::new(&("a/b", 7_u8), cache.seed),
            RenderedKey::new("", cache.seed),
            RenderedKey::pinned(&42_u64, cache.seed, Some(9_u64.into())),
        ] {
            let at = Address::new(&cache, key, 0, 64);

            let found = EntityName::dependency(at.name().as_str());

            assert_eq!(found, Some(entity_tag(at.id.cache, at.id.hash)));
        }
        assert_eq!(EntityName::dependency("front"), None);
    }

    const PINNED: (u32, u64, u16) = (2_726_976_577, 18_133_502_833_653_627_711, 0);
}
