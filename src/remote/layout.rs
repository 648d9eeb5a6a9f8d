//! The name of every key in Redis; `docs/redis-layout.md` lists them for people.
//!
//! `tc1:{namespace:bucket}:kind:…`: the format first, then the hash tag that keeps a bucket in one slot. Where
//! environments share a server, a prefix of each stands in front: `staging:tc1:…`.

use crate::model::Address;
use smallvec::SmallVec;
use std::{ops::Deref, sync::Arc};

/// The buckets of a namespace: slices of the key space with a feed each, and one more for all tags.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// What all names begin with, `tc1:{shop`: another space of names is another world.
    root: Arc<str>,
    /// `tc1:{shop:7}:` for each bucket; the tag bucket comes last.
    prefixes: Arc<[Box<str>]>,
}

/// A key of Redis, built without allocating where it is of usual length.
#[derive(Clone, Debug)]
pub(super) struct Name(SmallVec<[u8; 128]>);

impl Layout {
    /// Names of `namespace`, behind a prefix if there is one. Both are checked already.
    pub(crate) fn new(prefix: Option<&str>, namespace: &str, buckets: u16) -> Self {
        let root = match prefix {
            Some(prefix) => format!("{prefix}:tc1:{{{namespace}"),
            None => format!("tc1:{{{namespace}"),
        };
        let numbered = (0..buckets).map(|bucket| format!("{root}:{bucket}}}:"));
        let tags = std::iter::once(format!("{root}:tags}}:"));
        Self {
            prefixes: numbered.chain(tags).map(String::into_boxed_str).collect(),
            root: root.into(),
        }
    }

    /// The beginning of all names, which no other namespace or prefix shares.
    pub(super) fn root(&self) -> &str {
        &self.root
    }

    /// Buckets that hold entities. The tag bucket's number is the next one.
    pub(crate) fn buckets(&self) -> u16 {
        self.feeds() - 1
    }

    /// The bucket of all tags.
    pub(crate) fn tag_bucket(&self) -> u16 {
        self.buckets()
    }

    /// All feeds: those of the entities' buckets, then the tag bucket's.
    pub(crate) fn feeds(&self) -> u16 {
        // Made from a `u16` and one.
        self.prefixes.len() as u16
    }

    /// Epoch, position and owner of a bucket. No TTL: an evicted one would empty the bucket.
    pub(super) fn control(&self, bucket: u16) -> Name {
        self.record(bucket, b"c")
    }

    /// What all nodes of the namespace agreed on. No TTL, as for a control record.
    pub(super) fn agreement(&self) -> Name {
        self.record(self.buckets(), b"a")
    }

    /// A key that never exists, on which rights are tried.
    pub(super) fn nothing(&self, bucket: u16) -> Name {
        self.record(bucket, b"0")
    }

    /// Written with a beat where replicas are to confirm; nobody reads it. TTL: a minute.
    pub(super) fn beat(&self, bucket: u16) -> Name {
        self.record(bucket, b"b")
    }

    /// The last events of a bucket, a stream. No TTL, bounded in length.
    pub(super) fn log(&self, bucket: u16) -> Name {
        self.record(bucket, b"l")
    }

    /// The channel on which a bucket's events are pushed.
    pub(super) fn channel(&self, bucket: u16) -> Name {
        self.record(bucket, b"f")
    }

    /// Which tags were bumped, and where: a hash, in the tags' bucket only. No TTL, pruned.
    pub(super) fn tags(&self) -> Name {
        self.record(self.tag_bucket(), b"t")
    }

    /// What is to be purged at the edge: a hash, beside the records of what was bumped. TTL: that of its last note.
    pub(super) fn purges(&self, bucket: u16) -> Name {
        self.record(bucket, b"e")
    }

    /// Who works off what others have left to be purged. TTL: a few seconds.
    pub(super) fn sweeper(&self) -> Name {
        self.record(self.tag_bucket(), b"w")
    }

    /// The version of an entity, whatever the type of its value. TTL: the longest of its values' and more.
    pub(super) fn pointer(&self, at: &Address) -> Name {
        self.entity(at, b"p:")
    }

    /// A value: one per type of value, and per pinned version. TTL: its remaining life.
    pub(super) fn value(&self, at: &Address) -> Name {
        self.typed(at, b"v:")
    }

    /// The lease of the one node that loads a value. TTL: a few seconds.
    pub(super) fn lease(&self, at: &Address) -> Name {
        self.typed(at, b"s:")
    }

    fn typed(&self, at: &Address, kind: &[u8]) -> Name {
        let mut name = self.entity(at, kind);
        name.0.push(b'@');
        for shift in (0..16).rev() {
            name.0.push(HEX[(at.schema >> (shift * 4)) as usize & 15]);
        }
        name
    }

    fn entity(&self, at: &Address, kind: &[u8]) -> Name {
        let mut name = self.record(at.id.bucket, kind);
        name.0.extend_from_slice(at.cache.as_str().as_bytes());
        name.0.push(b'/');
        name.0.extend_from_slice(&at.key.short());
        name
    }

    fn record(&self, bucket: u16, kind: &[u8]) -> Name {
        let mut name = SmallVec::from_slice(self.prefixes[usize::from(bucket)].as_bytes());
        name.extend_from_slice(kind);
        Name(name)
    }
}

#[cfg(test)]
impl Name {
    pub(super) fn of(text: &str) -> Self {
        Self(SmallVec::from_slice(text.as_bytes()))
    }
}

impl Deref for Name {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CacheName, RenderedKey, StoreVersion};
    use std::sync::Arc;

    #[test]
    fn every_key_of_a_bucket_has_its_hash_tag() {
        let layout = Layout::new(None, "shop", 64);
        let cache = Arc::new(CacheName::new("product").unwrap());
        let mut at = Address::new(&cache, RenderedKey::new("a{b}c", cache.seed), 0xabc, 64);
        at.id.bucket = 7;

        assert_eq!(*layout.control(7), *b"tc1:{shop:7}:c");
        assert_eq!(*layout.pointer(&at), *b"tc1:{shop:7}:p:product/a%7bb%7dc");
        assert_eq!(
            *layout.value(&at),
            *b"tc1:{shop:7}:v:product/a%7bb%7dc@0000000000000abc"
        );
        assert_eq!(*layout.log(64), *b"tc1:{shop:tags}:l");
        assert_eq!(*layout.agreement(), *b"tc1:{shop:tags}:a");
    }

    #[test]
    fn a_prefix_stands_in_front_of_everything() {
        let layout = Layout::new(Some("staging"), "shop", 64);

        assert_eq!(*layout.control(7), *b"staging:tc1:{shop:7}:c");
        assert_eq!(*layout.channel(64), *b"staging:tc1:{shop:tags}:f");
        assert_ne!(layout.root(), Layout::new(None, "shop", 64).root());
    }

    #[test]
    fn a_pinned_version_is_part_of_every_key() {
        let layout = Layout::new(None, "shop", 64);
        let cache = Arc::new(CacheName::new("product").unwrap());
        let pin = Some(StoreVersion::from(9_u64));
        let key = RenderedKey::pinned(&42_u8, cache.seed, pin);
        let mut at = Address::new(&cache, key, 0xabc, 64);
        at.id.bucket = 7;

        assert_eq!(*layout.pointer(&at), *b"tc1:{shop:7}:p:product/42@9");
        assert_eq!(
            *layout.value(&at),
            *b"tc1:{shop:7}:v:product/42@9@0000000000000abc"
        );
    }
}
