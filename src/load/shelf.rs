//! Where a cache keeps its values, and the two ways between a value and its bytes.

use super::Circles;
use crate::{
    codec::{self, EncodeError, ValueCodec},
    local::{Local, Ticket},
    model::{
        Address, CacheName, Clock, EntityId, Entry, Epoch, Generation, Lifetime, Policy,
        RenderedKey, ServerTime, Version, millis,
    },
    observe::{Decision, Observer},
    remote::{LARGE, LARGE_FACTOR, Remote, Snapshot},
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// One cache's tiers, with all that is needed to put a value into them.
pub(crate) struct Shelf<V> {
    pub(crate) name: Arc<CacheName>,
    pub(crate) policy: Policy,
    pub(crate) schema: u64,
    pub(crate) codec: Box<dyn ValueCodec<V>>,
    /// Bytes of a value that could not be encoded, for the local capacity.
    pub(crate) weigh: fn(&V) -> Option<usize>,
    pub(crate) local: Local<V>,
    pub(crate) remote: Arc<Remote>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) server_time: Arc<ServerTime>,
    /// How long a call to Redis may take, in ms.
    pub(crate) remote_limit: u64,
    pub(crate) observer: Arc<Observer>,
    pub(crate) circles: Arc<Circles>,
    /// Whether some value was too big for the connection of the small ones.
    pub(crate) large: AtomicBool,
    /// Whether the log has told of a value that cannot be stored.
    pub(crate) told: AtomicBool,
    /// Whether the log has told of a batch's loader that answers keys that it was not asked for.
    pub(crate) told_of_foreign: AtomicBool,
    /// Always true, but in tests that prove what the check of a fill is good for.
    pub(crate) guarded: bool,
    pub(crate) buckets: u16,
}

/// A loaded value as bytes, with the times that stand in them.
pub(crate) struct Sealed {
    pub(crate) bytes: Vec<u8>,
    pub(crate) content_id: u64,
    pub(crate) body_len: usize,
    /// In Redis ms.
    pub(crate) deadline: u64,
}

impl<V: Send + Sync + 'static> Shelf<V> {
    pub(crate) fn now(&self) -> u64 {
        millis(self.clock.now())
    }

    pub(crate) fn address(&self, key: RenderedKey) -> Address {
        Address::new(&self.name, key, self.schema, self.buckets)
    }

    /// The value of a snapshot, if it is the current one. `Err`: there are bytes, and they are bad.
    pub(crate) fn accept(
        &self,
        at: &Address,
        snapshot: &Snapshot,
    ) -> Result<Option<Arc<Entry<V>>>, ()> {
        let (Some(current), Some(bytes)) = (snapshot.generation(), &snapshot.value) else {
            return Ok(None);
        };
        self.note_size(bytes.len());
        // The version first: an old value that also is of another format is nobody's fault.
        match codec::generation(bytes) {
            Some(found) if found == (current.epoch.0, current.version.0) => self.unpack(at, bytes),
            Some(_) => Ok(None),
            None => self.bad(at, "not_ours"),
        }
    }

    /// The value in these bytes, which are of the current version; `None` if it is dead already.
    pub(crate) fn unpack(&self, at: &Address, bytes: &[u8]) -> Result<Option<Arc<Entry<V>>>, ()> {
        // Truncation is meant: the whole fingerprint stands in the key.
        let expected = codec::Expected {
            codec: self.codec.id(),
            schema: self.schema as u32,
        };
        let opened = match codec::open(bytes, at.key.bytes(), expected) {
            Ok(opened) => opened,
            Err(error) => return self.bad(at, error.as_str()),
        };
        let now = self.now();
        let Some(lifetime) = self.lifetime(opened.header.birth, opened.header.deadline) else {
            return Ok(None);
        };
        if lifetime.is_over(now) {
            return Ok(None);
        }
        let Ok(value) = self.codec.decode(opened.body) else {
            return self.bad(at, "undecodable");
        };
        let generation = Generation {
            epoch: Epoch(opened.header.epoch),
            version: Version(opened.header.version),
        };
        let mut entry = Entry::new(at.key.bytes(), value, Some(generation), lifetime);
        entry.content_id = Some(opened.content_id);
        entry.weight = weight(at, opened.body.len());
        Ok(Some(Arc::new(entry)))
    }

    /// Encodes a value that was loaded under `generation` by a load that began at `birth`, in Redis ms.
    pub(crate) fn pack(
        &self,
        at: &Address,
        value: &V,
        generation: Generation,
        birth: u64,
        load_micros: u32,
    ) -> Result<Sealed, EncodeError> {
        let deadline = birth + self.policy.jittered_ttl();
        let header = codec::Header {
            codec: self.codec.id(),
            schema: self.schema as u32,
            epoch: generation.epoch.0,
            version: generation.version.0,
            birth,
            deadline,
            load_micros,
        };
        let sealed = codec::seal(&header, at.key.bytes(), at.key.is_long(), |out| {
            self.codec.encode(value, out)
        })?;
        self.note_size(sealed.bytes.len());
        Ok(Sealed {
            bytes: sealed.bytes,
            content_id: sealed.content_id,
            body_len: sealed.body_len,
            deadline,
        })
    }

    /// Until when an answer to a question of now is of use, in Redis ms.
    pub(crate) fn open_until(&self) -> u64 {
        self.of_use_for(self.remote_limit)
    }

    /// The same for a question about many keys.
    pub(crate) fn open_many_until(&self) -> u64 {
        self.of_use_for(self.remote_limit * u64::from(LARGE_FACTOR))
    }

    /// Times of Redis on this node's clock.
    pub(crate) fn lifetime(&self, birth: u64, deadline: u64) -> Option<Lifetime> {
        Some(Lifetime {
            born: self.server_time.to_local(birth)?,
            deadline: self.server_time.to_local(deadline)?,
        })
    }

    /// Puts an entry that Redis proved at `proven`, unless its key was touched since the ticket.
    pub(crate) fn put(&self, id: EntityId, entry: &Arc<Entry<V>>, ticket: Ticket, proven: u64) {
        entry.prove(proven + self.policy.jittered_local_ttl(), ticket.gap);
        self.admit(id, entry, ticket);
    }

    /// Puts an entry that nothing proves: for at most a second, so that the store is not overrun while Redis is away.
    pub(crate) fn put_unproven(&self, id: EntityId, entry: &Arc<Entry<V>>, ticket: Ticket) {
        entry.keep_unproven();
        self.admit(id, entry, ticket);
    }

    /// Marks an entry as proven by Redis again, unless its key was touched since the ticket.
    pub(crate) fn renew(&self, id: EntityId, entry: &Entry<V>, ticket: Ticket, now: u64) {
        self.local
            .renew(id, entry, now + self.policy.jittered_local_ttl(), ticket);
    }

    /// The bucket of a key, without the rest of its address.
    pub(crate) fn bucket(&self, key: &RenderedKey) -> u16 {
        Address::bucket(key, self.buckets)
    }

    /// An entry for a value that Redis holds too.
    pub(crate) fn stored(
        &self,
        at: &Address,
        value: V,
        generation: Generation,
        lifetime: Lifetime,
        sealed: &Sealed,
    ) -> Arc<Entry<V>> {
        let mut entry = Entry::new(at.key.bytes(), value, Some(generation), lifetime);
        entry.content_id = Some(sealed.content_id);
        entry.weight = weight(at, sealed.body_len);
        Arc::new(entry)
    }

    /// An entry for a value that stays in this process.
    pub(crate) fn unstored(
        &self,
        at: &Address,
        value: V,
        generation: Option<Generation>,
        lifetime: Lifetime,
    ) -> Entry<V> {
        let bytes = (self.weigh)(&value).unwrap_or(size_of::<V>());
        let mut entry = Entry::new(at.key.bytes(), value, generation, lifetime);
        entry.weight = weight(at, bytes);
        entry
    }

    /// Says once per cache that its values do not reach Redis, and how they could.
    pub(crate) fn tell_of_unstorable(&self, error: &EncodeError) {
        self.observer.note(Decision::NotStored);
        if !self.told.swap(true, Ordering::Relaxed) {
            let ways_out = if error.is_skipped_field() {
                "remove `skip_serializing_if` from the type, or choose a codec that writes field names"
            } else if error.is_irreversible() {
                "write and read the same fields, or choose a codec that writes field names"
            } else {
                "choose another type or another codec"
            };
            tracing::warn!(cache = self.name.as_str(), %error, ways_out, "values of this cache stay in this process");
        }
    }

    /// A batch's loader answered a key that it was not asked for: counted, and said once per cache.
    pub(crate) fn tell_of_foreign(&self) {
        self.observer.note(Decision::ForeignKey);
        if !self.told_of_foreign.swap(true, Ordering::Relaxed) {
            let cache = self.name.as_str();
            tracing::warn!(cache, "a loader answered a key that it was not asked for");
        }
    }

    /// Whether values of this cache are known to be big.
    pub(crate) fn is_large(&self) -> bool {
        self.large.load(Ordering::Relaxed)
    }

    fn of_use_for(&self, limit: u64) -> u64 {
        let until = self.now() + limit;
        self.server_time.to_server(until).unwrap_or(u64::MAX >> 12)
    }

    fn admit(&self, id: EntityId, entry: &Arc<Entry<V>>, ticket: Ticket) {
        if !self.local.put(id, Arc::clone(entry), ticket) {
            self.observer.note(Decision::StalePut);
        }
    }

    fn note_size(&self, bytes: usize) {
        if bytes > LARGE && !self.is_large() {
            self.large.store(true, Ordering::Relaxed);
        }
    }

    fn bad<T>(&self, at: &Address, reason: &str) -> Result<T, ()> {
        self.observer.note(Decision::BadPayload);
        tracing::debug!(entity = %at.name(), reason, "a payload was refused");
        Err(())
    }
}

fn weight(at: &Address, body: usize) -> u32 {
    u32::try_from(body + at.key.bytes().len() + OVERHEAD).unwrap_or(u32::MAX)
}

/// What an entry costs beside its value and key, in bytes, moka's bookkeeping included.
const OVERHEAD: usize = 200;
