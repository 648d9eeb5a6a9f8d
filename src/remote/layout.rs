//! The name of every key in Redis; `docs/redis-layout.md` lists them for people.
//!
//! `tc1:{namespace:bucket}:kind:…`: the format first, then the hash tag that keeps a bucket in one slot.

use crate::model::Address;

/// The buckets of a namespace: slices of the key space with a feed each, and one more for all tags.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    namespace: Box<str>,
    buckets: u16,
}

/// The keys of one entity.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) control: String,
    pub(super) pointer: String,
    pub(super) value: String,
}

impl Layout {
    pub(crate) fn new(namespace: &str, buckets: u16) -> Self {
        Self {
            namespace: namespace.into(),
            buckets,
        }
    }

    /// Buckets that hold entities. The tag bucket's number is the next one.
    pub(crate) fn buckets(&self) -> u16 {
        self.buckets
    }

    /// All feeds: those of the entities' buckets, then the tag bucket's.
    pub(crate) fn feeds(&self) -> u16 {
        self.buckets + 1
    }

    /// Epoch, position and owner of a bucket. No TTL: an evicted one would empty the bucket.
    pub(super) fn control(&self, bucket: u16) -> String {
        self.record(bucket, "c")
    }

    /// The last events of a bucket, a stream. No TTL, bounded in length.
    pub(super) fn log(&self, bucket: u16) -> String {
        self.record(bucket, "l")
    }

    /// The channel on which a bucket's events are pushed.
    pub(super) fn channel(&self, bucket: u16) -> String {
        self.record(bucket, "f")
    }

    pub(super) fn names(&self, at: &Address) -> Names {
        Names {
            control: self.control(at.id.bucket),
            pointer: self.pointer(at),
            value: self.value(at),
        }
    }

    /// The version of an entity, whatever the type of its value. TTL: the longest of its values' and more.
    pub(super) fn pointer(&self, at: &Address) -> String {
        format!(
            "{}p:{}/{}",
            self.prefix(at.id.bucket),
            at.cache.as_str(),
            at.key.short()
        )
    }

    /// A value: one per type of value, and per pinned version. TTL: its remaining life.
    pub(super) fn value(&self, at: &Address) -> String {
        self.typed(at, "v")
    }

    /// The lease of the one node that loads a value. TTL: a few seconds.
    pub(super) fn lease(&self, at: &Address) -> String {
        self.typed(at, "s")
    }

    fn typed(&self, at: &Address, kind: &str) -> String {
        let (prefix, cache, key) = (self.prefix(at.id.bucket), at.cache.as_str(), at.key.short());
        match at.pin {
            None => format!("{prefix}{kind}:{cache}/{key}@{:016x}", at.schema),
            Some(pin) => format!(
                "{prefix}{kind}:{cache}/{key}@{:016x}@{}",
                at.schema,
                pin.number()
            ),
        }
    }

    fn record(&self, bucket: u16, kind: &str) -> String {
        self.prefix(bucket) + kind
    }

    fn prefix(&self, bucket: u16) -> String {
        if bucket == self.buckets {
            format!("tc1:{{{}:tags}}:", self.namespace)
        } else {
            format!("tc1:{{{}:{bucket}}}:", self.namespace)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CacheName, RenderedKey, StoreVersion};
    use std::sync::Arc;

    #[test]
    fn every_key_of_a_bucket_has_its_hash_tag() {
        let layout = Layout::new("shop", 64);
        let cache = Arc::new(CacheName::new("product").unwrap());
        let mut at = Address::new(&cache, RenderedKey::new("a{b}c", cache.seed), 0xabc, 64);
        at.id.bucket = 7;

        assert_eq!(layout.control(7), "tc1:{shop:7}:c");
        assert_eq!(layout.pointer(&at), "tc1:{shop:7}:p:product/a%7bb%7dc");
        assert_eq!(
            layout.value(&at),
            "tc1:{shop:7}:v:product/a%7bb%7dc@0000000000000abc"
        );
        assert_eq!(layout.log(64), "tc1:{shop:tags}:l");
    }

    #[test]
    fn a_pinned_version_is_part_of_the_key() {
        let layout = Layout::new("shop", 64);
        let cache = Arc::new(CacheName::new("product").unwrap());
        let mut at = Address::new(&cache, RenderedKey::new(&42_u8, cache.seed), 1, 64);
        let tracked = layout.value(&at);

        at.pin = Some(StoreVersion::from(9_u64));

        assert_eq!(layout.value(&at), format!("{tracked}@9"));
    }
}
